"""How many connections our servers may hold: a flood of guests leaves feeds and venues the descriptors they need."""

import resource

SHARE = 8  # one server's part of all descriptors is one in so many
LEAST = 2


def places(wanted: int) -> int:
    """As many as wanted, or what the limit of open files (as it is now) has room for."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if limit == resource.RLIM_INFINITY else max(LEAST, min(wanted, limit // SHARE))

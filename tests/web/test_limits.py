"""Counting requests: windows by name, what answers carry, bounded memory."""

from gambit.web.limits import LOGIN, NAMES_MAX, SECOND_NS, Limiter, Quota, counted_as

NOW_NS = 10**18
THREE = Quota("three", 3, 10)


def test_a_window_begins_with_the_first_request():
    """Three in ten seconds; the fourth waits for the window's end, another name does not."""
    limiter = Limiter()
    told = [limiter.take(THREE, "ann", NOW_NS + at * SECOND_NS) for at in range(4)]
    assert [one.is_within for one in told] == [True, True, True, False]
    assert [one.remaining for one in told] == [2, 1, 0, 0]
    assert told[3].headers() == {
        "RateLimit-Limit": "3", "RateLimit-Remaining": "0", "RateLimit-Reset": "7",
        "RateLimit-Policy": '3;w=10;name="three"', "Retry-After": "7",
    }  # fmt: skip
    assert "Retry-After" not in told[2].headers()
    assert limiter.take(THREE, "bob", NOW_NS).is_within
    assert limiter.take(LOGIN, "ann", NOW_NS).is_within, "another quota"
    assert limiter.take(THREE, "ann", NOW_NS + 10 * SECOND_NS).is_within


def test_memory_is_bounded():
    """As many names as there is room for; the oldest window goes."""
    limiter = Limiter()
    for at in range(NAMES_MAX + 100):
        limiter.take(THREE, str(at), NOW_NS + at)
    assert len(limiter._windows) <= NAMES_MAX


def test_who_is_counted():
    """IPv4 in IPv6's clothes is IPv4; IPv6 counts by its /64; a zone or nonsense harms nobody."""
    assert counted_as("::ffff:127.0.0.1") == "127.0.0.1"
    assert counted_as("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    assert counted_as("fe80::1%eth0") == "fe80::/64"
    assert counted_as("") == ""

"""How many examples the property tests of the kernels try: GAMBIT_TEST_EXAMPLES, by default what a minute allows."""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "core",
    max_examples=int(os.environ.get("GAMBIT_TEST_EXAMPLES", "100")),
    deadline=None,  # a shared machine stalls now and then; pytest-timeout ends what hangs
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
CORE = settings.get_profile("core")


def examples(share: float) -> settings:
    """The profile with that share (or multiple) of its examples, for tests that are slower or quicker than most."""
    return settings(CORE, max_examples=max(1, int(CORE.max_examples * share)))

"""For all tests: how long an example takes says more about the machine than about the code."""

from hypothesis import settings

settings.register_profile("gambit", deadline=None)
settings.load_profile("gambit")

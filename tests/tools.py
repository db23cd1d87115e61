"""Programs of the system that some tests call."""

import os
import shutil

EVERYTHING = "GAMBIT_ALL_TESTS"  # set where every test has to run: a missing program is a failure there, not a skip


def program(name: str, package: str) -> str | None:
    """Where a program is, or None; with $GAMBIT_ALL_TESTS its absence is an error that names the Debian package."""
    found = shutil.which(name)
    if found is None and os.environ.get(EVERYTHING):
        raise RuntimeError(f"{name} is needed since {EVERYTHING} is set: apt-get install {package}")
    return found

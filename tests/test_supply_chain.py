"""What is installed is what is pinned: every requirement, every hash, nothing besides."""

import importlib.metadata
import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = {name: ROOT / "locks" / f"{name}.txt" for name in ("run", "test", "dev")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = {"gambit"}
WITH_PYTHON = {"pip", "setuptools"}  # a virtual environment brings them along
ENTRY = re.compile(r"(?P<requirement>[^\\]+?) \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def entries(lock: str) -> dict[str, set[Version]]:
    """What a lock pins for this interpreter and for others."""
    found: dict[str, set[Version]] = {}
    for entry in ENTRY.finditer(LOCKS[lock].read_text()):
        requirement = Requirement(entry["requirement"])
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        found.setdefault(canonicalize_name(requirement.name), set()).add(Version(pin.version))
    return found


def asked_for(*extras: str) -> list[Requirement]:
    """The project's own requirements with some extras, those that an extra names of the project included."""
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in PROJECT["optional-dependencies"][extra])]
    found = []
    for requirement in map(Requirement, texts):
        if requirement.name in OURS:
            found += asked_for(*sorted(requirement.extras))
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_pins_with_hashes(lock: str) -> None:
    """And nothing else: no address, no option, no package without a hash."""
    rest = ENTRY.sub("", LOCKS[lock].read_text())
    assert rest == ""


@pytest.mark.parametrize(("lock", "extras"), [("run", ()), ("test", ("test",)), ("dev", ("test", "dev"))])
def test_a_lock_has_what_the_project_asks_for(lock: str, extras: tuple[str, ...]) -> None:
    """In versions that the project's own bounds admit; `make lock` writes the locks."""
    pinned = entries(lock)
    missing = [
        str(requirement)
        for requirement in asked_for(*extras)
        if not any(requirement.specifier.contains(v) for v in pinned.get(canonicalize_name(requirement.name), ()))
    ]
    assert missing == []


def test_the_locks_agree() -> None:
    """What is installed to run is what is tested."""
    run, test, dev = (entries(name) for name in ("run", "test", "dev"))
    assert {name: versions for name, versions in test.items() if name in run} == {
        name: versions for name, versions in run.items() if name in test
    }
    assert all(dev[name] == versions for name, versions in test.items())


@pytest.mark.skipif("GAMBIT_ALL_TESTS" not in os.environ, reason="an environment that somebody else installed into")
def test_nothing_else_is_installed() -> None:
    """The environment of a clean set-up has what the lock pins, in these versions."""
    pinned = entries("dev")
    strange = [
        f"{distribution.name} {distribution.version}"
        for distribution in importlib.metadata.distributions()
        if (name := canonicalize_name(distribution.name)) not in OURS | WITH_PYTHON
        and Version(distribution.version) not in pinned.get(name, set())
    ]
    assert strange == []

"""What every benchmark gets: how much to measure, and a report that is printed at the end of the session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.peers.race import quiet_collector
from benchmarks.report import Report, machine
from benchmarks.timing import Effort, clock_ns, effort

_REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_REPORT] = Report()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the tables, and the machine they were measured on."""
    lines = config.stash[_REPORT].lines()
    if lines:
        terminalreporter.section("what the benchmarks found")
        terminalreporter.write_line(f"{machine()}; effort: {effort().name}")
        terminalreporter.write_line(f"two readings of the clock: {clock_ns():.0f} ns, part of every time of one frame")
        terminalreporter.write_line("")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """Where a benchmark writes what it found."""
    return pytestconfig.stash[_REPORT]


@pytest.fixture(scope="session")
def much() -> Effort:
    """How much to measure."""
    return effort()


@pytest.fixture
def quiet() -> Iterator[None]:
    """The collector out of the way, as in the hot process."""
    with quiet_collector():
        yield

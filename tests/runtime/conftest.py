"""A capture that the tests of this folder damage, and what an undamaged one gives."""

from pathlib import Path

import pytest

from gambit.sim.capture import make_capture
from tests.runtime.running import Outcome, run


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of two venues, a few hundred records."""
    path = tmp_path_factory.mktemp("captures") / "made.jsonl"
    make_capture(path, venues=["binance", "kraken"], symbols=["BTC-USDT"], seconds=6, seed=3, depth=8)
    return path


@pytest.fixture(scope="session")
def whole(capture: Path) -> Outcome:
    """The ticks of the whole capture."""
    outcome = run(capture)
    assert (outcome.code, outcome.said) == (0, ())
    assert outcome.out.count(b"\n") > 100
    return outcome


@pytest.fixture(scope="session")
def lines(capture: Path) -> list[bytes]:
    """The capture's lines with their ends, the header first."""
    return capture.read_bytes().splitlines(keepends=True)

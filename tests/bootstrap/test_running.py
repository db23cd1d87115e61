"""What goes on around a daemon, and how it begins."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gambit.bootstrap import _started
from gambit.bootstrap.running import is_due
from gambit.config import load_layers
from gambit.engine.standing import Standing
from gambit.runtime.lives import EACH_NS, SINCE_NS, skip_lost_lives


@pytest.mark.parametrize(("lag", "problem", "due"), [(0, None, False), (5, None, True), (5, "the disk is full", False)])
def test_a_database_that_says_what_is_wrong_restarts_nobody(lag: int, problem: str | None, due: bool) -> None:
    """It is tried again by itself; who trades does not need it (F99). One that stands still without a word is."""
    store: Any = SimpleNamespace(lag=lag, problem=problem)
    assert is_due(store) is due


def test_the_epoch_is_beyond_those_that_a_restore_took_back(tmp_path: Path) -> None:
    """It is in the id of every order, and the venues know those of the lives that are lost."""
    config = load_layers(None, {}, [f"daemon.state_dir={tmp_path}"]).config
    dealing: Any = SimpleNamespace(desk=SimpleNamespace(standing=Standing()))
    dealing.desk.standing.state.epoch = 6
    assert _started(config, dealing).epoch == 7
    skip_lost_lives(tmp_path, SINCE_NS + 345_678 * EACH_NS)
    assert _started(config, dealing).epoch == 345_678

"""The number of a life: no life has one that another had, not even one that a restore took back."""

from pathlib import Path

import pytest

from gambit.commands import EPOCH_CHARS, base36
from gambit.runtime.lives import EACH_NS, FILE, next_epoch, skip_lost_lives
from gambit.runtime.process import ProcessError

NOW_NS = 1_780_000_000 * 10**9
YEAR_NS = 365 * 86_400 * 10**9


def test_a_life_follows_the_one_before(tmp_path: Path) -> None:
    """Where nothing was restored it is the next number."""
    assert [next_epoch(tmp_path, last) for last in (0, 1, 41)] == [1, 2, 42]


def test_after_a_restore_no_number_comes_again(tmp_path: Path) -> None:
    """Beyond any life that ten minutes each would have made, once and once more; then one by one."""
    skip_lost_lives(tmp_path, NOW_NS)
    first = next_epoch(tmp_path, 6)
    assert first > 300_000
    assert next_epoch(tmp_path, first) == first + 1
    skip_lost_lives(tmp_path, NOW_NS + 5 * EACH_NS)
    assert next_epoch(tmp_path, 6) == first + 5
    skip_lost_lives(tmp_path, NOW_NS + 20 * YEAR_NS)
    assert len(base36(next_epoch(tmp_path, 6), EPOCH_CHARS)) == EPOCH_CHARS


def test_a_number_that_cannot_be_read_starts_nothing(tmp_path: Path) -> None:
    """A guess might be a number that was used."""
    (tmp_path / FILE).write_bytes(b"\xff\n")
    with pytest.raises(ProcessError, match="is no number; write one into it"):
        next_epoch(tmp_path, 6)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(ProcessError, match="cannot be read"):
        next_epoch(tmp_path, 6)

"""The trading state survives, is told, and fails safe."""

from pathlib import Path

import pytest

from gambit.events import Fact
from gambit.events.operation import TradingStateChanged
from gambit.runtime.trading import FILE, TradingSwitch


def switch(folder: Path, told: list[Fact] | None = None) -> TradingSwitch:
    """A switch over a folder, at a fixed time."""
    return TradingSwitch(folder, lambda: 7, (told if told is not None else []).append)


def test_a_change_is_kept_and_told(tmp_path: Path) -> None:
    """ACTIVE at first; a change is on disk when it returns, and a fact."""
    told: list[Fact] = []
    first = switch(tmp_path, told)
    assert first.state == "ACTIVE"
    first.change("HALTED", "because", "me")
    assert told == [TradingStateChanged(state="HALTED", was="ACTIVE", reason="because", by="me")]
    again = switch(tmp_path)
    assert (again.state, again.kept.reason, again.kept.by, again.kept.since_ns) == ("HALTED", "because", "me", 7)
    again.change("ACTIVE", "", "me")
    assert switch(tmp_path).state == "ACTIVE"


@pytest.mark.parametrize("content", [b"", b"{", b'{"state":"GO","reason":"","by":"","since_ns":1}', b"\xff\x00"])
def test_a_file_that_cannot_be_read_means_halted(tmp_path: Path, content: bytes) -> None:
    """Nobody trades on a guess."""
    (tmp_path / FILE).write_bytes(content)
    found = switch(tmp_path)
    assert found.state == "HALTED"
    assert "cannot be read" in found.kept.reason


def test_a_change_that_does_not_reach_the_disk_is_none(tmp_path: Path) -> None:
    """Resuming fails with the reason, and the state in memory is HALTED."""
    told: list[Fact] = []
    folder = tmp_path / "gone"
    folder.mkdir()
    found = switch(folder, told)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        found.change("ACTIVE", "", "me")
    assert found.state == "HALTED"
    assert told == []

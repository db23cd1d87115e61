"""The trading state survives, is told, and fails safe."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gambit.events import Fact
from gambit.events.operation import TradingStateChanged
from gambit.runtime.trading import FILE, HaltFileThere, State, TradingSwitch


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


@pytest.mark.parametrize(("to", "why"), [("REDUCING", "the change"), ("HALTED", "fire")])
def test_a_change_that_does_not_reach_the_disk_halts_everybody(tmp_path: Path, to: State, why: str) -> None:
    """It fails with the reason; the state in memory is HALTED, and who trades by facts was told so."""
    told: list[Fact] = []
    folder = tmp_path / "gone"
    folder.mkdir()
    found = switch(folder, told)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        found.change(to, why, "me")
    assert found.state == "HALTED"
    assert [(fact.state, fact.reason.startswith(why)) for fact in told if isinstance(fact, TradingStateChanged)] == [
        ("HALTED", True)
    ]
    with pytest.raises(FileNotFoundError):
        found.change("ACTIVE", "", "me")
    assert (found.state, len(told)) == ("HALTED", 1)


def test_a_halt_is_in_force_before_it_is_on_disk(tmp_path: Path) -> None:
    """Nothing leaves while the disk is slow; a release waits for the disk."""
    on_disk: list[State] = []
    found = TradingSwitch(tmp_path, lambda: 7, lambda _fact: on_disk.append(switch(tmp_path).state))
    found.change("HALTED", "fire", "me")
    found.change("ACTIVE", "", "me")
    assert on_disk == ["ACTIVE", "ACTIVE"]
    assert switch(tmp_path).state == "ACTIVE"


def test_a_halt_that_cannot_be_told_is_kept(tmp_path: Path) -> None:
    """A journal that takes nothing does not undo it."""

    def tell(_fact: Fact) -> None:
        raise RuntimeError("the journal is full")

    with pytest.raises(RuntimeError, match="full"):
        TradingSwitch(tmp_path, lambda: 7, tell).change("HALTED", "fire", "me")
    assert switch(tmp_path).state == "HALTED"


@pytest.mark.parametrize(
    ("file", "journal", "both"),
    [("ACTIVE", "HALTED", "HALTED"), ("HALTED", "ACTIVE", "HALTED"), ("REDUCING", "HALTED", "HALTED"),
     ("ACTIVE", "REDUCING", "REDUCING"), ("ACTIVE", "ACTIVE", "ACTIVE")],
)  # fmt: skip
def test_after_a_kill_between_file_and_journal_the_stricter_counts(
    tmp_path: Path, file: State, journal: State, both: State
) -> None:
    """Whichever of the two a change reached first (I10)."""
    switch(tmp_path).change(file, "", "me")
    again = switch(tmp_path)
    again.settle(journal, "a loss", "desk")
    assert (again.state, switch(tmp_path).state) == (both, both)


def test_a_halt_file_halts_for_as_long_as_it_is_there(tmp_path: Path) -> None:
    """Its first line is the reason; resuming is refused by its name until it is gone; it is told once."""
    told: list[Fact] = []
    found = switch(tmp_path, told)
    found.look_for_halt_file()
    assert (found.state, told) == ("ACTIVE", [])
    found.halt_file.write_text("fire in the hall\nand more")
    found.look_for_halt_file()
    found.look_for_halt_file()
    assert told == [TradingStateChanged(state="HALTED", was="ACTIVE", reason="fire in the hall", by="halt file")]
    states: list[State] = ["ACTIVE", "REDUCING"]
    for to in states:
        with pytest.raises(HaltFileThere, match="HALT is there; remove it first"):
            found.change(to, "", "me")
    assert found.state == "HALTED"
    found.halt_file.unlink()
    found.change("ACTIVE", "", "me")
    assert found.state == "ACTIVE"


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo])
def test_whatever_is_called_halt_halts(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Nothing waits for what it may say."""
    found = switch(tmp_path)
    make(found.halt_file)
    found.look_for_halt_file()
    assert (found.state, found.kept.reason) == ("HALTED", f"the file {found.halt_file} is there")

"""What is not written down whole is told when it begins and when it is over, and only then."""

from pathlib import Path
from typing import Any

import pytest

from gambit.runtime.soundness import MB, Soundness

FOLDER = Path("/state")


class Part:
    """Store, journal and recording at once."""

    problem: str | None = None
    head_problem: str | None = None
    failed: str | None = None
    dropped = 0


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event))


class Room:
    """A disk with so much room, or an error."""

    def __init__(self, free: int) -> None:
        self.free: int | OSError = free

    def __call__(self, folder: Path) -> int:
        if isinstance(self.free, OSError):
            raise self.free
        return self.free


def made(free: int = 500 * MB, low: int = 100 * MB) -> tuple[Soundness, Part, Log, Room]:
    part, log, room = Part(), Log(), Room(free)
    return Soundness(FOLDER, low, part, part, part, log, room=room), part, log, room


def test_all_is_well() -> None:
    sound, _, log, _ = made()
    sound.look()
    assert (sound.reasons, sound.is_whole, sound.free, log.lines) == ({}, True, 500 * MB, [])


@pytest.mark.parametrize(
    ("name", "value", "part", "is_whole"),
    [
        ("problem", "no room", "database", False),
        ("failed", "no room", "recording", False),
        ("dropped", 3, "recording", False),
        ("head_problem", "no room", "head copy", True),
    ],
)
def test_told_once_and_when_it_is_over(name: str, value: object, part: str, is_whole: bool) -> None:
    """However often somebody looks; another wording of the same is no news."""
    sound, parts, log, _ = made()
    was = getattr(parts, name)
    setattr(parts, name, value)
    sound.look()
    sound.look()
    assert list(sound.reasons) == [part]
    assert str(value) in sound.reasons[part]
    assert sound.is_whole is is_whole
    assert log.lines == [("error", f"degraded: {sound.reasons[part]}")]
    setattr(parts, name, was)
    sound.look()
    assert (sound.reasons, sound.is_whole) == ({}, True)
    assert log.lines[1:] == [("warning", f"well again: {part}")]


def test_room_that_is_short() -> None:
    """Below the limit, and never with a limit of 0; nothing is lost yet."""
    sound, _, log, room = made(free=100 * MB)
    sound.look()
    assert sound.reasons == {}
    room.free = 100 * MB - 1
    sound.look()
    assert "100.0 MB are left on the disk of /state" in sound.reasons["disk"]
    assert sound.is_whole
    room.free = 50 * MB
    sound.look()
    assert "50.0 MB" in sound.reasons["disk"]
    assert len(log.lines) == 1
    silent, *_ = made(free=0, low=0)
    silent.look()
    assert silent.reasons == {}


def test_a_disk_that_does_not_say() -> None:
    sound, _, _, room = made()
    room.free = OSError(5, "Input/output error")
    sound.look()
    assert sound.reasons == {"disk": "/state: Input/output error"}
    assert sound.free == -1

"""An error that says where a disk was full."""

import errno
import os
from pathlib import Path

import pytest

from gambit.journal import places
from gambit.runtime.backup import Sources, write_backup
from gambit.runtime.blame import blamed_on


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "/there"),
        (OSError(errno.EFBIG, "File too large"), "/there"),
        (OSError(errno.ENOSPC, "No space left on device", "/elsewhere"), "/elsewhere"),
        (OSError(errno.ECONNRESET, "Connection reset by peer"), None),
    ],
)
def test_only_what_found_no_room_and_says_no_place_is_blamed(error: OSError, named: str | None) -> None:
    """A write knows only its descriptor; what knows better, and what is no matter of room, stays as it is."""
    with pytest.raises(OSError) as seen, blamed_on(Path("/there")):  # noqa: PT011 - which one is asked below
        raise error
    assert seen.value is error
    assert error.filename == named


def test_a_backup_without_room_names_its_target_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the bare "No space left on device", with five files it could have been."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / "to" / "b.tar"
    target.parent.mkdir()
    state = tmp_path / "state"
    with pytest.raises(OSError, match="No space left") as seen:
        write_backup(Sources(places(state), state / "gambit.duckdb", state / "exports"), target)
    assert seen.value.filename == str(target)
    assert list(target.parent.iterdir()) == []

"""gambit.scratch: folders for unfinished work."""

import subprocess
import sys
from pathlib import Path

import pytest

from gambit.scratch import scratch

HOLD = """
import sys
from pathlib import Path
from gambit.scratch import scratch
with scratch(Path(sys.argv[1]), ".work-") as folder:
    (folder / "large").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    sys.stdin.read()
"""


def holding(parent: Path) -> "tuple[subprocess.Popen[str], Path]":
    """Another process with a folder of its own, and the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def ended(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=30)


def test_it_is_gone_afterwards_whatever_happened(tmp_path: Path) -> None:
    """With what is in it; nobody else may look into it."""

    def work() -> None:
        with scratch(tmp_path, ".work-") as folder:
            (folder / "inside").mkdir()
            assert folder.stat().st_mode & 0o077 == 0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """And nothing else does: neither another prefix nor a file."""
    process, left = holding(tmp_path)
    process.kill()
    ended(process)
    others = [tmp_path / ".other-1", tmp_path / "work"]
    for one in others:
        one.mkdir()
    (tmp_path / ".work-file").write_text("no folder")
    assert (left / "large").exists()
    with scratch(tmp_path, ".work-") as folder:
        assert not left.exists()
        assert sorted(tmp_path.iterdir()) == sorted([folder, *others, tmp_path / ".work-file"])


def test_what_another_process_holds_stays(tmp_path: Path) -> None:
    """Two may work beside each other."""
    process, held = holding(tmp_path)
    with scratch(tmp_path, ".work-") as folder:
        assert folder != held
        assert (held / "large").exists()
    ended(process)
    assert not held.exists()

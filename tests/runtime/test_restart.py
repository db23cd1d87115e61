"""A start from the last snapshot takes what followed it, not what the journal holds."""

import asyncio
from pathlib import Path

import pytest

from benchmarks import desk_restart


def test_a_start_takes_what_followed_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 6000 records the last thousand or two are replayed, to the very state that all of them give."""
    monkeypatch.setattr(desk_restart, "SNAPSHOT_RECORDS", 1_000)
    digest = asyncio.run(desk_restart.fill(tmp_path, 6_000))
    short = asyncio.run(desk_restart.start(tmp_path, with_snapshot=True))
    whole = asyncio.run(desk_restart.start(tmp_path, with_snapshot=False))
    assert (short.digest, whole.digest) == (digest, digest)
    assert 0 < short.records < whole.records / 2
    assert whole.records >= 6_000

"""A start from the last snapshot takes what followed it, not what the journal holds."""

import asyncio
from pathlib import Path

import pytest

from benchmarks import desk_restart


def test_a_start_takes_what_followed_the_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 6000 records the last thousand or two are replayed, to the very state that all of them give."""
    monkeypatch.setattr(desk_restart, "SNAPSHOT_RECORDS", 1_000)
    digest = asyncio.run(desk_restart.fill(tmp_path, 6_000))
    starts = [asyncio.run(desk_restart.start(tmp_path, with_snapshot=short)) for short in (True, False) * 3]
    assert {one.digest for one in starts} == {digest}
    short, whole = starts[0::2], starts[1::2]
    assert short[0].records < whole[0].records / 3
    assert min(one.replay_s + one.read_s for one in short) < 0.7 * min(one.replay_s for one in whole)

"""A frame that cannot be used becomes a dead letter: listed, read again, thrown away, in a live daemon."""

import asyncio
from pathlib import Path
from typing import Any

import duckdb

from gambit.bootstrap import socket_path
from gambit.surface.client import call
from tests.e2e.live import config_for, exchanges, running, until

LIST = "SELECT letter_id, venue, raw FROM dead_letters WHERE purged_at IS NULL ORDER BY letter_id"


async def test_the_life_of_a_dead_letter(tmp_path: Path) -> None:
    """Rubbish is kept as it came; requeue settles what reads well, and says why the rest does not; purge is told."""
    async with exchanges() as server:
        config = config_for(server, tmp_path / "state")
        path = socket_path(config)
        async with running(config) as (daemon, _):
            market = daemon.parts.market
            conn = next(k for k, one in enumerate(market.connections) if one.venue.name == "okx")
            for raw in (
                b"no JSON at all",
                b'{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[{"bids":[["x","1"]]}]}',
            ):
                market.on_frame(conn, raw, daemon.parts.clock.now_ns())
            found = await letters_of(path, 2)
            assert [(venue, raw[:7]) for _, venue, raw in found] == [("okx", b"no JSON"), ("okx", b'{"arg":')]
            ids = [letter_id for letter_id, _, _ in found]
            answer = await asyncio.to_thread(call, path, "dlq.requeue", {"letter_ids": ids})
            assert (answer["done"], set(answer["failed"])) == ([], {str(each) for each in ids})
            answer = await asyncio.to_thread(call, path, "dlq.purge", {"all": True, "letter_ids": []})
            assert answer == {"done": ids, "failed": {}}
            answer = await asyncio.to_thread(call, path, "dlq.purge", {"letter_ids": [10**9]})
            assert answer["failed"] == {str(10**9): "no such dead letter"}
            await until(lambda: daemon.parts.keeping.store.lag == 0)
            assert await letters_of(path, 0) == []


async def letters_of(path: Path, count: int) -> list[Any]:
    """The dead letters of a fresh snapshot, as soon as there are so many."""
    async with asyncio.timeout(60):
        while True:
            snapshot = await asyncio.to_thread(call, path, "snapshot", {"max_age_sec": 0.0})
            with duckdb.connect(snapshot["path"], read_only=True) as connection:
                found = connection.execute(LIST).fetchall()
            if len(found) == count:
                return found
            await asyncio.sleep(0.05)

"""A process that fills a journal and a store until it is killed: `python -m tests.store.writing STATE_DIR DURABILITY`.

For each record it has been promised it prints the number; whatever it printed must be there afterwards.
"""

import asyncio
import random
import sys
from pathlib import Path

import orjson

from gambit.journal import Policy, open_journal, places
from gambit.store import Folders, Store
from tests.store.conftest import NOW_NS, signal

BURST = 40


def body(number: int) -> tuple[str, bytes]:
    """Kind and body of record `number`."""
    if number % 3 == 0:
        return "signal.raised", orjson.dumps(signal(number))
    if number % 3 == 1:
        return "book.lost", orjson.dumps({"venue": "okx", "symbol": "BTC-USDT", "reason": str(number)})
    return "order.something", orjson.dumps({"number": number})


async def write(state_dir: Path, durability: str) -> None:
    """Open, report the state found, append for ever."""
    policy = Policy(durability, segment_bytes=60_000, fsync_interval_ns=2_000_000)
    journal = open_journal(places(state_dir), policy, NOW_NS)
    folders = Folders(state_dir / "gambit.duckdb", state_dir / "snapshots", state_dir / "exports")
    store = Store(
        folders, journal, batch_ns=2_000_000, retention={}, now_ns=lambda: NOW_NS,
        report=lambda what: print("report", what, flush=True),
    )  # fmt: skip
    store.start()
    print("ready", journal.head, flush=True)
    chance = random.Random()
    while True:
        for _ in range(chance.randint(1, BURST)):
            append = journal.append if chance.random() < 0.9 else journal.append_now
            append(*body(journal.head + 1), NOW_NS)
        if chance.random() < 0.05:
            journal.checkpoint(f"state{journal.head}", NOW_NS)
        await (journal.until_synced if durability == "power" else journal.until_written)(journal.head)
        print(journal.head, flush=True)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))

"""A journal in memory, and a store that follows it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from gambit.journal import Record
from gambit.store import Folders, Store

DAY_NS = 86_400 * 10**9
NOW_NS = 1_780_000_000 * 10**9


class Reader:
    """Follows a ledger."""

    def __init__(self, ledger: "Ledger", after: int) -> None:
        self.ledger, self.seq, self.hash = ledger, after, b""

    @property
    def lag(self) -> int:
        return self.ledger.synced - self.seq

    def read(self, limit: int) -> Sequence[Record]:
        records = [record for record in self.ledger.records if self.seq < record.seq <= self.ledger.synced][:limit]
        if records:
            self.seq = records[-1].seq
            self.hash = self.ledger.hash_of(self.seq)
        return records

    def close(self) -> None:
        """Nothing is held."""


class Ledger:
    """A journal that is a list."""

    def __init__(self, name: bytes = b"one") -> None:
        self.journal_id = name
        self.first_seq = 1
        self.records: list[Record] = []

    @property
    def synced(self) -> int:
        return self.records[-1].seq if self.records else 0

    def append(self, kind: str, ts_ns: int = NOW_NS, **fields: Any) -> int:
        """Add a record; gives its number."""
        return self.append_body(kind, orjson.dumps(fields), ts_ns)

    def append_body(self, kind: str, body: bytes, ts_ns: int = NOW_NS) -> int:
        self.records.append(Record(self.synced + 1, ts_ns, kind, body))
        return self.synced

    def hash_of(self, seq: int) -> bytes:
        """What stands for the chain: a hash over the record and the journal's name."""
        record = next(record for record in self.records if record.seq == seq)
        return hashlib.blake2b(self.journal_id + record.kind.encode() + record.body, digest_size=32).digest()

    def follow(self, after: int) -> Reader:
        return Reader(self, after)


def signal(number: int, **fields: Any) -> dict[str, Any]:
    """The body of a raised signal."""
    return {
        "event": "raised", "recv_ns": NOW_NS + number, "ts": "2026-05-28T20:26:40.000000000Z",
        "opp_id": f"00000000-0000-5000-8000-{number:012d}", "raw_signal_id": "00000000-0000-5000-8000-00000000000a",
        "symbol": "BTC-USDT", "symbol_buy": "BTC-USDT", "symbol_sell": "BTC-USDT", "base_asset": "BTC",
        "quote_asset": "USDT", "venue_buy": "okx", "venue_sell": "kraken", "spread_bps": 20.5, "net_bps": 1.5,
        "profit_quote": "12.345678901234567891", "qty": "0.100000000000000001", "buy_vwap": "60000.1",
        "sell_vwap": "60100.2", "liquidity": 1e5, "sigma": 1.25, "persistence": 0.5, "window_mean_bps": 3.0,
        "window_max_bps": 9.0, "impact_bps": 0.25, "score": 0.75, "ttl_sec": 10, "seq_buy": 1, "seq_sell": 2,
        "book_age_buy_ns": 3, "book_age_sell_ns": 4, "degraded": False, "data_quality": "ok", "schema_ver": "2",
        **fields,
    }  # fmt: skip


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "gambit.duckdb", tmp_path / "snapshots", tmp_path / "exports")


class Running:
    """A store at work, and what it reported."""

    def __init__(self, folders: Folders, ledger: Any, retention: dict[str, int], now_ns: int = NOW_NS) -> None:
        self.reports: list[str] = []
        self.folders = folders
        self.store = Store(
            folders, ledger, batch_ns=1_000_000, retention=retention, now_ns=lambda: now_ns,
            report=self.reports.append,
        )  # fmt: skip
        self.store.start()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a reader of a snapshot sees."""
        path = self.store.snapshot(0).result(30).path
        with duckdb.connect(str(path), read_only=True) as connection:
            return connection.execute(statement).fetchall()


Start = Callable[..., Running]


@pytest.fixture
def start(folders: Folders, ledger: Ledger) -> Iterator[Start]:
    """Start a store; all are closed at the end."""
    running: list[Running] = []

    def started(retention: dict[str, int] | None = None, ledger: Any = ledger, **settings: Any) -> Running:
        running.append(Running(folders, ledger, retention or {}, **settings))
        return running[-1]

    yield started
    for one in running:
        one.store.close()
        assert not one.store._thread.is_alive()

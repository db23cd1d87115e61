"""A disk that is full: whatever cannot be written is told at once and everywhere; without a journal nobody trades."""

import asyncio
import errno
from pathlib import Path
from typing import Any

import aiohttp
import duckdb
import pytest

from gambit.bootstrap import socket_path
from gambit.journal import JournalFailed, places, verify
from gambit.journal.disk import Disk
from gambit.runtime.daemon import Daemon
from gambit.store.database import Database
from gambit.surface.client import ControlError, call
from tests.e2e.live import config_for, dear_until, exchanges, running, until
from tests.e2e.test_paper_trading import CALM, SETTINGS, SYMBOL, closed_trades


async def scraped(daemon: Daemon) -> str:
    async with aiohttp.ClientSession() as session, session.get(daemon.parts.scrape_address()) as answer:
        return await answer.text()


async def test_without_a_journal_nobody_trades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first refused write halts: no further order, one reason in log, status and metrics, the run ends with it."""
    is_full = False
    write = Disk.write

    def refusing(disk: Disk, descriptor: int, data: bytes) -> int:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(disk, descriptor, data)

    monkeypatch.setattr(Disk, "write", refusing)
    monkeypatch.setattr("gambit.runtime.daemon.LOOK_SEC", 0.05)
    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        with pytest.raises(JournalFailed, match="No space left"):  # noqa: PT012  # the end of the run raises
            async with running(config) as (daemon, log):
                desk = daemon.parts.dealing.desk
                await until(lambda: desk.standing.state.holdings.balances)
                is_full = True
                await dear_until(server, "okx", SYMBOL, lambda: daemon.parts.switch.state == "HALTED")
                status = await asyncio.to_thread(call, socket_path(config), "status")
                text = await scraped(daemon)
                (tmp_path / "state" / "trading_state.new").mkdir()  # nor can the state be written
                try:
                    halt = await asyncio.to_thread(call, socket_path(config), "halt", {"reason": "by hand"})
                except ControlError as error:
                    halt = str(error)
                head = daemon.parts.keeping.journal.head
                raised = daemon.parts.readings.board.raised
                await dear_until(
                    server, "kraken", SYMBOL, lambda: daemon.parts.readings.board.raised > raised, bps=90.0
                )
    assert (status["state"], status["trading_state"]) == ("degraded", "HALTED")
    assert "trading is HALTED now, but a restart may not know it: " in halt
    (reason,) = daemon.problems
    assert reason in status["reasons"]
    assert "takes no more records" in reason
    assert "No space left" in status["journal"]["failed"]
    assert "gambit_journal_failed 1\n" in text
    assert 'gambit_trading_state{state="HALTED"} 1\n' in text
    assert log.of("error").count(reason) == 1
    assert not daemon.is_whole
    assert daemon.parts.keeping.journal.head == head  # nothing was numbered any more
    assert not any(order.is_sent or order.executions for order in desk.standing.state.orders.values())
    proof = verify(places(tmp_path / "state"))
    assert proof is not None
    assert proof.last_seq <= head


async def test_without_a_database_trading_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, plans still come to their end, and once there is room again everything is in it."""
    is_full = False
    apply = Database.apply

    def refusing(database: Database, *args: Any) -> None:
        with database._judging():
            if is_full:
                raise duckdb.IOException("Could not write file: No space left on device")
        apply(database, *args)

    monkeypatch.setattr(Database, "apply", refusing)
    monkeypatch.setattr("gambit.store.store.WAIT_S", (0.05,))
    monkeypatch.setattr("gambit.runtime.daemon.LOOK_SEC", 0.05)
    async with exchanges(CALM) as server:
        config = config_for(server, tmp_path / "state", *SETTINGS, symbols=[SYMBOL])
        async with running(config) as (daemon, log):
            desk, store = daemon.parts.dealing.desk, daemon.parts.keeping.store
            await until(lambda: desk.standing.state.holdings.balances)
            is_full = True
            await dear_until(server, "okx", SYMBOL, lambda: closed_trades(daemon) > 0)
            await until(lambda: daemon.state == "degraded")
            await until(lambda: desk.is_flat)
            status = await asyncio.to_thread(call, socket_path(config), "status")
            text = await scraped(daemon)
            assert not daemon.is_whole
            is_full = False
            await until(lambda: daemon.state == "running" and store.lag == 0)
            assert daemon.is_whole
    assert (status["state"], status["trading_state"], status["ready"]) == ("degraded", "ACTIVE", True)
    assert any("the database takes nothing now" in reason for reason in status["reasons"])
    assert "gambit_store_failed 1\n" in text
    assert "gambit_degraded 1\n" in text
    assert [line.partition(":")[0] for line in log.of("error")] == ["degraded"]
    assert "well again: database" in log.of("warning")

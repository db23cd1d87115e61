"""A real daemon on real sockets: comes up, keeps right books, answers, writes down, ends; and says what is wrong."""

import asyncio
from pathlib import Path

import aiohttp
import duckdb
import pytest

from gambit.bootstrap import Options, socket_path
from gambit.events import SIGNAL_RAISED
from gambit.journal import places, verify
from gambit.runtime.verification import verify as verify_session
from gambit.surface.client import call
from tests.e2e.live import SYMBOLS, config_for, dear_until, exchanges, running, until


async def test_a_daemon_lives(tmp_path: Path) -> None:
    """Ready with every book synced; status, books and metrics tell the same; the journal is whole at the end."""
    async with exchanges() as server:
        config = config_for(server, tmp_path / "state")
        async with running(config) as (daemon, log):
            path = socket_path(config)
            status = await asyncio.to_thread(call, path, "status")
            assert (status["state"], status["ready"], status["trading_state"]) == ("running", True, "ACTIVE")
            assert status["books_synced"] == status["books"] == len(SYMBOLS) * len(server.world.exchanges)
            assert {venue["venue"] for venue in status["venues"]} == set(server.world.exchanges)
            books = await asyncio.to_thread(call, path, "books")
            assert all(book["synced"] and float(book["bid"]) < float(book["ask"]) for book in books)
            async with aiohttp.ClientSession() as session, session.get(status["metrics_address"]) as answer:
                text = await answer.text()
            assert "gambit_ready 1\n" in text
            assert f'gambit_book_synced{{venue="{books[0]["venue"]}",symbol="BTC-USDT"}} 1\n' in text
            assert daemon.problems == []
        assert log.of("error") == []
    proof = verify(places(tmp_path / "state"))
    assert proof is not None
    assert proof.last_seq == daemon.parts.keeping.journal.head


async def test_the_history_of_component_states(tmp_path: Path) -> None:
    """Every part when the run begins, each change after it, and that the daemon stopped; for `gambit query`."""
    async with exchanges() as server:
        config = config_for(server, tmp_path / "state")
        async with running(config):
            await asyncio.to_thread(call, socket_path(config), "halt", {"reason": "a test"})
        with duckdb.connect(str(tmp_path / "state" / "gambit.duckdb"), read_only=True) as store:
            rows = store.execute("SELECT agent, status, detail FROM agent_status_log ORDER BY ts, rowid").fetchall()
    history: dict[str, list[str]] = {}
    for agent, status, _ in rows:
        history.setdefault(agent, []).append(status)
    assert {f"feed {venue}" for venue in server.world.exchanges} < set(history)
    assert (history["journal"], history["database"]) == (["up"], ["up"])
    assert (history["daemon"][-1], history["trading"][-1]) == ("stopping", "HALTED")
    assert [row for row in rows if row[0] == "trading"][-1][2] == "a test"


async def test_halt_is_durable_and_audited(tmp_path: Path) -> None:
    """A halt by the control socket holds over a restart; resume ends it; both stand in the journal."""
    async with exchanges() as server:
        config = config_for(server, tmp_path / "state")
        path = socket_path(config)
        async with running(config):
            done = await asyncio.to_thread(call, path, "halt", {"reason": "a test"})
            assert done == {"state": "HALTED", "was": "ACTIVE", "reason": "a test"}
        async with running(config) as (daemon, _):
            status = await asyncio.to_thread(call, path, "status")
            assert (status["trading_state"], status["trading_reason"]) == ("HALTED", "a test")
            await asyncio.to_thread(call, path, "resume")
            journal = daemon.parts.keeping.journal
            await journal.until_synced(journal.head)  # type: ignore[attr-defined]  # followers see what is safe
            follower = journal.follow(0)  # type: ignore[attr-defined]
            kinds: list[str] = []
            while more := follower.read(1000):
                kinds += [record.kind for record in more]
            follower.close()
        assert kinds.count("state.changed") == 2
        assert kinds.count("audit") == 2
        assert kinds.count("daemon.started") == 2
        assert kinds.count("daemon.stopped") == 1


async def test_signals_are_written_down_and_reproduced(tmp_path: Path) -> None:
    """What the daemon found stands in its journal, and a recording of the session replays to the same decisions."""
    async with exchanges() as server:
        if len(server.world.exchanges) < 2:
            pytest.skip("one simulated venue makes no arbitrage")
        config = config_for(server, tmp_path / "state")
        seen: list[dict[str, object]] = []
        options = Options(record_to=tmp_path / "session", listeners=[seen.append])
        async with running(config, options) as (daemon, _):
            venues = list(server.world.exchanges)
            await dear_until(server, venues[0], "BTC-USDT", lambda: any(one["event"] == "raised" for one in seen))
        records = daemon.parts.keeping.journal
        assert records.failed is None
    raised = [event for event in seen if event["event"] == "raised"]
    assert raised
    verdict = verify_session(tmp_path / "session", warn=pytest.fail)
    assert verdict.difference is None
    assert verdict.decisions == len(seen)
    assert SIGNAL_RAISED == "signal.raised"


async def test_a_daemon_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    """The port of the metrics is taken: an error with the reason, and what was started is stopped."""
    async with exchanges() as server:
        taken = server.ports[next(iter(server.world.exchanges))]
        config = config_for(server, tmp_path / "state", f"metrics.port = {taken}")
        with pytest.raises(OSError, match="address already in use"):
            async with running(config):
                pytest.fail("it must not become ready")
        assert not socket_path(config).exists()


async def test_a_dead_task_halts_trading_at_once(tmp_path: Path) -> None:
    """A task of ours that ends by itself is told, and nobody trades on."""
    async with exchanges() as server:
        config = config_for(server, tmp_path / "state")
        async with running(config) as (daemon, log):
            daemon.parts.sampler.turn = lambda now_ns: 1 / 0  # type: ignore[assignment,method-assign]
            await until(lambda: daemon.parts.switch.state == "HALTED")
            assert any("sampler" in problem for problem in daemon.problems)
            assert any("ZeroDivisionError" in event for event in log.of("error"))
            del daemon.parts.sampler.turn  # type: ignore[attr-defined]

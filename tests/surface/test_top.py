"""The terminal view, driven by textual's pilot: what it shows, what its keys do, what it says without a daemon."""

import asyncio
import builtins
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from textual.widgets import DataTable, Static

from gambit.cli.top import LACKING, NO_SCREEN
from gambit.surface.control import ControlServer, Method
from gambit.surface.methods import TOPICS, bind
from gambit.surface.rpc import Refused
from gambit.surface.top import Top
from gambit.surface.watcher import Picture, Watcher
from tests.surface import fake_daemon
from tests.surface.test_commands import gambit

SIZE = (160, 48)


class Scripted:
    """A source of pictures that the test writes."""

    def __init__(self) -> None:
        plain = json.loads(msgspec.json.encode([fake_daemon.STATUS, fake_daemon.OPPORTUNITIES, fake_daemon.BOOKS]))
        self.picture = Picture(*plain)
        self.fetches = 0
        self.changes: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.is_closed = False

    def fetch(self) -> Picture:
        self.go_on.wait()
        self.fetches += 1
        return self.picture

    def change_state(self, verb: str) -> str:
        self.changes.append(verb)
        return f"trading state ACTIVE > {verb}"

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures come more often than twice a second."""
    monkeypatch.setattr("gambit.surface.top.INTERVAL_SEC", 0.1)


@contextlib.asynccontextmanager
async def shown(source: Any) -> AsyncIterator[Any]:
    """The view with its first picture; gives the pilot."""
    app = Top(source)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: bool(app.picture.status))
        yield pilot


async def until(pilot: Any, condition: Callable[[], bool]) -> None:
    """Let the view run until it holds; the test's time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0.005)


def rows(app: Top, name: str) -> list[list[str]]:
    """A table's cells as text."""
    table = app.query_one(f"#{name}", DataTable)
    return [[str(cell) for cell in table.get_row_at(y)] for y in range(table.row_count)]


def text(app: Top, name: str) -> str:
    """What a line shows."""
    return str(app.query_one(f"#{name}", Static).render())


async def test_it_shows_the_daemon() -> None:
    """Head, opportunities, feeds, latency, books; no orders where the daemon has none to show."""
    async with shown(Scripted()) as pilot:
        app = pilot.app
        first, second = text(app, "head").splitlines()
        assert first == "gambit 9.9  running  paper  ACTIVE  up 1 h 2 m  kraken: 1 of 2 books is not synced"
        assert second.startswith("books 3/4  frames 1,234/s  signals 0.5/s  open 1  tick to signal p50 12 us p99 40 us")
        best, over = rows(app, "opportunities")
        assert best[:6] == ["BTC-USDT", "kraken > binance", "20.5", "30.75 USDT", "0.25", "0.500"]
        assert over[6] == "1.00 s (not qualified)"
        assert rows(app, "feeds")[1] == ["kraken", "down", "0/1", "1/2", "0.0/s", "7", "-"]
        assert rows(app, "latency")[0] == ["tick to signal", "12 us", "40 us", "41 us", "50 us"]
        assert rows(app, "books") == [
            ["BTC-USDT", "binance", "60000", "60006", "1.00", "100 ms"],
            ["BTC-USDT", "kraken", "-", "-", "not synced", "-"],
        ]
        assert not app.query_one("#orders-panel").display
        assert not app.query_one("#plans-panel").display
        assert not app.query_one("#trouble").display


async def test_it_shows_orders_and_plans_where_there_are_any() -> None:
    """They get their panels as soon as the daemon has such a reading."""
    source = Scripted()
    order = {
        "order_id": "0123456789", "venue": "okx", "symbol": "BTC-USDT", "side": "buy", "qty": "1", "qty_filled": "0.5",
        "price": "5", "average_price": None, "status": "partially_filled",
    }  # fmt: skip
    plan = {
        "plan_id": "abcdefghij", "symbol": "BTC-USDT", "status": "settled", "total_quote_amount": "10",
        "expected_profit": "0.1", "created_ns": fake_daemon.RAISED_NS,
    }  # fmt: skip
    source.picture = source.picture._replace(orders=[order], plans=[plan])
    async with shown(source) as pilot:
        seen = rows(pilot.app, "orders")
        assert seen == [["01234567", "okx", "BTC-USDT", "buy", "partially_filled", "1", "0.5", "5"]]
        assert rows(pilot.app, "plans") == [["abcdefgh", "BTC-USDT", "settled", "10", "0.1", "15:06:40.000"]]
        assert pilot.app.query_one("#orders-panel").display
        assert pilot.app.query_one("#plans-panel").display


async def test_it_follows_the_daemon() -> None:
    """Rows change, come and go; where the reader stands stays."""
    source = Scripted()
    async with shown(source) as pilot:
        app = pilot.app
        table = app.query_one("#opportunities", DataTable)
        table.move_cursor(row=1)
        changed = [{**one, "net_bps": 99.9} for one in source.picture.opportunities]
        source.picture = source.picture._replace(opportunities=changed)
        await until(pilot, lambda: rows(app, "opportunities")[1][2] == "99.9")
        assert table.cursor_row == 1
        source.picture = source.picture._replace(opportunities=changed * 3)
        await until(pilot, lambda: table.row_count == 6)
        assert table.cursor_row == 1
        source.picture = source.picture._replace(opportunities=[])
        await until(pilot, lambda: table.row_count == 0)


async def test_keys() -> None:
    """Pause, only what lasts, books away, leave."""
    source = Scripted()
    async with shown(source) as pilot:
        app = pilot.app
        await pilot.press("o")
        assert len(rows(app, "opportunities")) == 1
        await pilot.press("o", "b")
        assert len(rows(app, "opportunities")) == 2
        assert not app.query_one("#books-panel").display
        await pilot.press("space")
        assert "PAUSED" in text(app, "head")
        await until(pilot, lambda: not app._is_fetching)
        fetches = source.fetches
        app.ask()
        assert (source.fetches, app._is_fetching) == (fetches, False)
        await pilot.press("space")
        assert "PAUSED" not in text(app, "head")
        await until(pilot, lambda: source.fetches > fetches)
        await pilot.press("q")
    assert source.is_closed


async def test_the_trading_state_changes_only_after_a_yes() -> None:
    """No, escape: nothing. Yes: done, and told."""
    source = Scripted()
    async with shown(source) as pilot:
        await pilot.press("space", "h", "n", "h", "escape")
        assert source.changes == []
        for key, verb in (("h", "halt"), ("d", "reduce"), ("r", "resume")):
            await pilot.press(key, "y")
            await until(pilot, lambda verb=verb: source.changes[-1:] == [verb])
            told = f"trading state ACTIVE > {verb}"
            await until(pilot, lambda told=told: any(n.message == told for n in pilot.app._notifications))


async def test_a_daemon_that_goes_away_is_said_so() -> None:
    """The old picture stays under the trouble, and both go when it is back."""
    source = Scripted()
    async with shown(source) as pilot:
        app = pilot.app
        good, source.picture = source.picture, Picture({}, [], [], trouble="no daemon runs at x.sock")
        await until(pilot, lambda: app.query_one("#trouble").display)
        assert text(app, "trouble") == "no daemon runs at x.sock"
        assert len(rows(app, "books")) == 2
        source.picture = good
        await until(pilot, lambda: not app.query_one("#trouble").display)


async def test_a_daemon_that_is_slow_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question at a time is on its way; the view itself stays quick."""
    monkeypatch.setattr("gambit.surface.top.STALE_SEC", 0.0)
    source = Scripted()
    async with shown(source) as pilot:
        source.go_on.clear()
        await until(pilot, lambda: "what you see is old" in text(pilot.app, "trouble"))
        await pilot.press("b")
        assert not pilot.app.query_one("#books-panel").display
        source.go_on.set()
        await until(pilot, lambda: not pilot.app.query_one("#trouble").display)


# --- over the control socket ----------------------------------------------------------------------------------------


async def test_the_watcher_asks_over_the_socket(tmp_path: Path) -> None:
    """It finds out what this daemon can show, says what is wrong, and finds its way back."""
    path = tmp_path / "state" / "gambit.sock"
    path.parent.mkdir(mode=0o700)
    watcher = Watcher(path)
    assert "no daemon runs" in watcher.fetch().trouble
    assert "no daemon runs" in watcher.change_state("halt")
    fake = fake_daemon.FakeDaemon()
    server = ControlServer(path, bind(fake.handlers()), topics=TOPICS)
    await server.start()
    picture = await asyncio.to_thread(watcher.fetch)
    assert (picture.trouble, picture.orders, len(picture.books)) == ("", None, 2)
    assert await asyncio.to_thread(watcher.change_state, "halt") == "trading state ACTIVE > HALTED"
    assert (await asyncio.to_thread(watcher.fetch)).status["trading_state"] == "HALTED"
    assert server.counts.accepted == 1
    await server.close()
    assert "hung up" in watcher.fetch().trouble

    def no(params: Any, caller: Any) -> None:
        raise Refused("only after a reconciliation")

    handlers = {**bind(fake.handlers()), "resume": Method(no, bind(fake.handlers())["resume"].params)}
    server = ControlServer(path, {**handlers, "orders": handlers["opportunities"]}, topics=TOPICS)
    await server.start()
    picture = await asyncio.to_thread(watcher.fetch)
    assert picture.orders is not None
    assert await asyncio.to_thread(watcher.change_state, "resume") == "resume: only after a reconciliation"
    await asyncio.to_thread(watcher.close)
    await server.close()


async def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, exit code 1; another missing module is a defect and not mistaken for it."""
    path = tmp_path / "gambit.sock"
    tmp_path.chmod(0o700)
    server = ControlServer(path, bind(fake_daemon.FakeDaemon().handlers()), topics=TOPICS)
    await server.start()
    load = builtins.__import__
    missing = "textual"

    def without(name: str, *rest: Any, **more: Any) -> ModuleType:
        if name == "gambit.surface.top":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = await asyncio.to_thread(gambit, tmp_path, "top")
    assert (done.returncode, done.stderr) == (1, f"{LACKING}\n")
    missing = "gambit.unheard_of"
    done = await asyncio.to_thread(gambit, tmp_path, "top")
    assert (done.returncode, "a defect in gambit" in done.stderr) == (1, True)
    monkeypatch.undo()
    await server.close()


async def test_without_a_terminal_it_draws_nothing(tmp_path: Path) -> None:
    """Into a file or a pipe it would write for ever what nobody can read, and hear no key."""
    tmp_path.chmod(0o700)
    server = ControlServer(tmp_path / "gambit.sock", bind(fake_daemon.FakeDaemon().handlers()), topics=TOPICS)
    await server.start()
    done = await asyncio.to_thread(gambit, tmp_path, "top")
    await server.close()
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{NO_SCREEN}\n")

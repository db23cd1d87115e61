"""Feeds against a scripted exchange on loopback: real sockets; time runs as fast as a test wants it to."""

import asyncio
import json
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from gambit.config import Config
from gambit.events.feed import BookLost, BookSynced, FeedDown, FeedUp
from gambit.runtime.backoff import SEC
from gambit.runtime.feed import RELEARN_CLOSED_SEC, RELEARN_DOUBTED_SEC, Feeds, FeedSettings
from gambit.runtime.health import NEVER
from gambit.runtime.transport import PicowsTransport, Transport, WebsocketsTransport
from gambit.runtime.wiring import build_market
from gambit.venues import VENUES
from tests.runtime.exchange import BinanceExchange, Exchange
from tests.runtime.feeding import Setup
from tests.runtime.test_gateway import Net, answer

TRANSPORTS: tuple[Callable[[Callable[[], int]], Transport], ...] = (PicowsTransport, WebsocketsTransport)


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """A scripted exchange."""
    found = await Exchange().start()
    yield found
    await found.stop()


@pytest.fixture(params=TRANSPORTS, ids=["picows", "websockets"])
async def setup(exchange: Exchange, request: pytest.FixtureRequest) -> AsyncIterator[Setup]:
    """A feed of two books, over either transport."""
    found = Setup(exchange, request.param)
    yield found
    await found.stop()
    assert found.deaths == []


async def test_books_come_live(setup: Setup) -> None:
    """Connected, subscribed in one request, both books synced and equal to the venue's; status says so."""
    await setup.synced()
    assert setup.exchange.heard[0]["op"] == "subscribe"
    assert len(setup.exchange.heard) == 1
    assert setup.watcher.of(FeedUp) == [FeedUp(venue="okx", conn="okx-0a")]
    book = setup.market.book(0)
    assert book is not None
    assert (book["bids"], book["asks"]) == ([["99", "5"]], [["101", "5"]])
    status = setup.status()
    assert (status.state, status.books, status.books_synced, status.connections_up) == ("up", 2, 2, 1)
    assert setup.pulses > 0


async def test_a_gap_is_healed_by_subscribing_anew(setup: Setup) -> None:
    """Only the book that lost something, by leaving its channel and coming back (F56)."""
    await setup.synced()
    await setup.exchange.update("BTC-USDT", skip=1)
    lost = await setup.watcher.until(BookLost, 1)
    assert lost == [BookLost(venue="okx", symbol="BTC-USDT", reason="gap")]
    await setup.watcher.until(BookSynced, 3)
    assert [request["op"] for request in setup.exchange.heard] == ["subscribe", "unsubscribe", "subscribe"]
    assert setup.exchange.subscriptions("ETH-USDT") == 1
    assert setup.status().resync_reasons == {"gap": 1}


async def test_a_cut_connection_comes_back(setup: Setup) -> None:
    """Its books are unsynced at once and synced again on the next connection."""
    await setup.synced()
    await setup.exchange.sockets[0].close(code=1012, message=b"restart")
    await setup.watcher.until(BookSynced, 4)
    assert [down.reason for down in setup.watcher.of(FeedDown)] == ["closed by the venue: 1012 restart"]
    assert {fact.reason for fact in setup.watcher.of(BookLost)} == {"disconnected"}
    assert setup.status().reconnects == 1


async def test_what_a_venue_does_not_list_is_left_out(exchange: Exchange) -> None:
    """It is said, and the others are fed."""
    setup = Setup(exchange, symbols=("BTC-USDT", "ETH-USDT", "FOO-USDT"))
    await setup.synced()
    assert setup.said == ["okx does not list FOO-USDT; it is left out there"]
    assert setup.status().missing == ("FOO-USDT",)
    await setup.stop()


async def test_what_comes_under_another_name_is_left_out(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product without books of its own would be asked for for ever: it is said as what they come."""
    setup = Setup(exchange, symbols=("BTC-USDT", "ETH-USDT"))
    twins = {"BTC-USDT": "", "ETH-USDT": "ETH-USD"}
    monkeypatch.setattr(setup.market, "delivered_as", lambda _venue, symbol: twins[symbol])
    await setup.feeds.start()
    await setup.watcher.until(BookSynced, 1)
    assert setup.said == ["okx delivers ETH-USDT as ETH-USD only: ask for that; it is left out there"]
    assert (setup.status().missing, setup.status().books) == (("ETH-USDT",), 1)
    await setup.stop()


# ---- connections that go wrong ----


async def test_a_half_open_connection_is_found(exchange: Exchange) -> None:
    """It accepts and reads and says nothing more: found within ten seconds, and replaced (F78)."""
    setup = Setup(exchange, speed=20)
    await setup.synced()
    exchange.is_deaf, since_ns = True, setup.clock.now_ns()
    (down,) = await setup.watcher.until(FeedDown, 1)
    assert down.reason == "nothing was heard for 8 s"
    assert setup.clock.now_ns() - since_ns < 11_000_000_000  # ten seconds and a tick or two of a busy machine
    exchange.is_deaf = False
    await setup.watcher.until(BookSynced, 4)
    await setup.stop()


async def test_accept_then_close_is_no_storm(exchange: Exchange) -> None:
    """At most 30 connects in five minutes, though each is accepted (F79)."""
    setup = Setup(exchange, speed=150)
    exchange.closes_at_once = True
    await setup.feeds.start()
    await setup.clock.sleep(300)
    assert 8 <= len(exchange.connects) <= 30
    await setup.stop()


async def test_connects_keep_to_the_venues_own_window(setup: Setup) -> None:
    """However many lines there are: OKX has two within a second, beside what holds for every venue."""
    await setup.synced()
    (feed,) = setup.feeds.feeds
    attempts = feed.attempts
    now = attempts.times[-1] + 10 * SEC
    attempts.take(now)
    assert attempts.wait_ns(now) == 0
    attempts.take(now)
    assert attempts.wait_ns(now) == SEC


async def test_nobody_listens(exchange: Exchange) -> None:
    """The reason is told; when somebody does, the books come."""
    setup = Setup(exchange, speed=20)
    await exchange.stop()
    await setup.feeds.start()
    async with asyncio.timeout(60):
        while setup.status().reason == "":
            await asyncio.sleep(0)
    assert setup.status().state == "down"
    assert setup.said[0].startswith("okx /api/v5/public/instruments?instType=SPOT: transient_network: Cannot connect")
    await setup.stop()


async def test_a_message_beyond_all_measure_ends_the_connection(exchange: Exchange) -> None:
    """It is not even read; the next connection works (F71)."""
    setup = Setup(exchange)
    await setup.synced()
    with suppress(ConnectionError):  # or all of it is in the socket before the other side lets go
        await exchange.sockets[0].send_str("x" * (17 * 1024 * 1024))
    (down,) = await setup.watcher.until(FeedDown, 1)
    assert "size" in down.reason
    await setup.watcher.until(BookSynced, 4)
    await setup.stop()


@pytest.mark.parametrize(
    "text", ["{", '{"arg":{"channel":"books","instId":"BTC-USDT"},"data":[{"asks":[["0x10","1"]]}]}']
)
async def test_a_corrupt_frame_costs_books_and_no_more(setup: Setup, text: str) -> None:
    """Unsynced at once, kept as a dead letter, back after a snapshot (F66)."""
    await setup.synced()
    await setup.exchange.sockets[0].send_str(text)
    lost = await setup.watcher.until(BookLost, 1)
    assert lost[0].reason in ("unreadable", "bad_frame")
    await setup.watcher.until(BookSynced, 2 + len(lost))
    assert [letter.raw for letter in setup.market.dead_letters] == [text.encode()]
    assert setup.watcher.of(FeedDown) == []


async def test_a_defect_of_ours_is_seen_at_once(exchange: Exchange) -> None:
    """What a listener raises is no fault of the venue: the line's task dies, and somebody hears of it (R11)."""
    setup = Setup(exchange)
    await setup.synced()

    def fail() -> None:
        raise ZeroDivisionError("ours")

    setup.feeds.feeds[0].lines[0].streams[0].pulse = fail
    await exchange.update("BTC-USDT")
    await setup.watcher.until(FeedDown, 1)
    while not setup.deaths:
        await asyncio.sleep(0)
    assert [(name, repr(error)) for name, error in setup.deaths] == [("okx-0", "ZeroDivisionError('ours')")]
    await setup.stop()


# ---- replacements ----


async def test_a_notice_brings_a_replacement_that_takes_over(setup: Setup) -> None:
    """The books go over in the call that brings the new snapshot; no pulse finds one unsynced (F77)."""
    await setup.synced()
    old = setup.exchange.sockets[0]
    await old.send_json({"event": "notice", "code": "64008", "msg": "Reconnect.", "connId": "c"})
    await setup.exchange.until(lambda: len(setup.exchange.sockets) == 1 and setup.exchange.sockets[0] is not old)
    assert len(setup.exchange.connects) == 2
    assert {fact.reason for fact in setup.watcher.of(BookLost)} == {"taken_over"}
    await setup.exchange.update("BTC-USDT")
    await setup.watcher.until(FeedDown, 1)
    status = setup.status()
    assert (status.state, status.replaced, status.reconnects, setup.unsynced) == ("up", 1, 1, 0)


async def test_a_replacement_that_gets_nowhere_is_given_up(exchange: Exchange) -> None:
    """The old connection goes on as if nothing had been."""
    setup = Setup(exchange, speed=20)
    await setup.synced()
    exchange.closes_at_once = True
    await exchange.sockets[0].send_json({"event": "notice", "code": "64008", "msg": "Reconnect.", "connId": "c"})
    await setup.watcher.until(FeedDown, 1)
    await exchange.update("BTC-USDT")
    assert setup.watcher.of(BookLost) == []
    assert (setup.status().connections_up, setup.unsynced, setup.deaths) == (1, 0, [])
    await setup.stop()


# ---- snapshots beside the stream ----


@pytest.fixture
async def binance() -> AsyncIterator[Setup]:
    """A feed of two Binance books, ten times as fast."""
    exchange = BinanceExchange()
    await exchange.start()
    setup = Setup(exchange, speed=10)
    yield setup
    await setup.stop()
    await exchange.stop()
    assert setup.deaths == []


async def fed(setup: Setup) -> None:
    """Both books have diffs and a snapshot."""
    await setup.feeds.start()
    await setup.exchange.until(lambda: len(setup.exchange.heard) == 1)
    await setup.exchange.update("BTCUSDT")
    await setup.exchange.update("ETHUSDT")
    await setup.watcher.until(BookSynced, 2)


async def test_snapshots_join_the_stream(binance: Setup) -> None:
    """One request a book, within the budget that the venue's own count corrects."""
    await fed(binance)
    calls = [call for call in binance.exchange.calls if "depth" in call]
    assert calls == ["/api/v3/depth?symbol=BTCUSDT&limit=1000", "/api/v3/depth?symbol=ETHUSDT&limit=1000"]
    await binance.exchange.until(lambda: "/api/v3/time" in binance.exchange.calls)
    assert binance.feeds.feeds[0].gateway.budget.used == 20 + 2 * 50 + 1
    book = binance.market.book(0)
    assert book is not None
    assert (book["synced"], book["gaps"]) == (True, 0)


async def test_rules_are_learnt_again(binance: Setup) -> None:
    """Once an hour, those of the books that are fed alone."""
    await fed(binance)
    await binance.feeds.feeds[0].learn()
    assert any(call.startswith("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT") for call in binance.exchange.calls)
    assert [status.state for status in binance.feeds.statuses()] == ["up"]


async def test_doubted_rules_are_learnt_again_once_in_a_while(binance: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many orders were refused by them (F49); whoever trades hears of the new list."""
    await fed(binance)
    feeds, waits, learned = binance.feeds, list[float](), list[str]()
    whole = feeds.sleep

    async def sleep(seconds: float) -> None:
        task = asyncio.current_task()
        if task is not None and task.get_name() == "binance rules":
            waits.append(seconds)
        else:
            await whole(seconds)

    def lists() -> int:
        return sum("exchangeInfo" in call for call in binance.exchange.calls)

    monkeypatch.setattr(feeds, "sleep", sleep)
    feeds.on_learned = learned.append
    before = lists()
    for venue in ("binance", "binance", "okx", "binance"):
        feeds.doubt_rules(venue)
    await feeds.supervisor.tasks["binance rules"]
    assert (lists() - before, waits, learned) == (1, [], ["binance"])
    await asyncio.sleep(0)  # the task is let go of
    feeds.doubt_rules("binance")
    feeds.doubt_rules("binance")
    await feeds.supervisor.tasks["binance rules"]
    assert (lists() - before, len(waits), learned) == (2, 1, ["binance"] * 2)
    assert 0 < waits[0] <= RELEARN_DOUBTED_SEC


async def closed_watch(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[asyncio.Event]:
    """Each wait of whoever looks whether a closed market is open again: it ends when its event is set."""
    waits = asyncio.Queue[asyncio.Event]()
    whole = setup.feeds.sleep

    async def sleep(seconds: float) -> None:
        task = asyncio.current_task()
        if task is None or not task.get_name().startswith("binance closed markets"):
            await whole(seconds)
            return
        assert seconds == RELEARN_CLOSED_SEC
        over = asyncio.Event()
        waits.put_nowait(over)
        await over.wait()

    monkeypatch.setattr(setup.feeds, "sleep", sleep)
    return waits


async def test_a_market_that_refuses_orders_is_closed_at_once_and_for_a_minute(
    binance: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the list, which is read at once, says that it trades; then the list is believed again (F50)."""
    await fed(binance)
    waits = await closed_watch(binance, monkeypatch)
    feeds, (feed,), now = binance.feeds, binance.feeds.feeds, binance.clock.mono_ns()
    monkeypatch.setattr(binance.clock, "mono_ns", lambda: now)
    feeds.close_market("binance", "BTC-USDT")
    feeds.close_market("binance", "BTC-USDT")
    feeds.close_market("okx", "BTC-USDT")
    assert feeds.statuses()[0].closed == ("BTC-USDT",)
    await feeds.supervisor.tasks["binance rules"]
    assert feeds.statuses()[0].closed == ("BTC-USDT",)
    over = await waits.get()
    assert waits.empty()
    now += int(RELEARN_CLOSED_SEC * SEC)
    watch = next(task for name, task in feeds.supervisor.tasks.items() if "closed markets" in name)
    over.set()
    await watch
    assert (feeds.statuses()[0].closed, feed.name) == ((), "binance")


async def test_a_market_whose_list_says_closed_is_looked_at_again_each_minute(
    binance: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the list says that it is open; a second closing is watched like the first."""
    await fed(binance)
    waits = await closed_watch(binance, monkeypatch)
    assert isinstance(binance.exchange, BinanceExchange)
    for _ in range(2):
        binance.exchange.status = "CANCEL_ONLY"
        await binance.feeds.feeds[0].learn()
        for _ in range(2):
            over = await waits.get()
            assert binance.feeds.statuses()[0].closed == ("BTC-USDT",)
            over.set()
        over = await waits.get()
        binance.exchange.status = "TRADING"
        watch = next(task for name, task in binance.feeds.supervisor.tasks.items() if "closed markets" in name)
        over.set()
        await watch
        assert (binance.feeds.statuses()[0].closed, waits.empty()) == ((), True)


async def test_a_gap_fetches_a_snapshot(binance: Setup) -> None:
    """Nothing is subscribed anew (F56)."""
    await fed(binance)
    await binance.exchange.update("BTCUSDT", skip=3)
    await binance.watcher.until(BookLost, 1)
    await binance.watcher.until(BookSynced, 3)
    assert len(binance.exchange.heard) == 1
    assert sum("symbol=BTCUSDT" in call for call in binance.exchange.calls) == 2


async def test_a_replacement_brings_its_snapshots_along(binance: Setup) -> None:
    """Its diffs wait for them; then the books go over in one call (F76)."""
    await fed(binance)
    old = binance.exchange.sockets[0]
    session = binance.feeds.feeds[0].lines[0].streams[0].session
    session.opened_ns -= 86_000 * 1_000_000_000
    await binance.exchange.until(lambda: len(binance.exchange.sockets) == 2 and len(binance.exchange.heard) == 2)
    for _ in range(3):
        await binance.exchange.update("BTCUSDT")
        await binance.exchange.update("ETHUSDT")
    await binance.exchange.until(lambda: len(binance.exchange.sockets) == 1)
    assert binance.exchange.sockets[0] is not old
    assert (binance.unsynced, binance.status().replaced) == (0, 1)
    await binance.exchange.update("BTCUSDT")
    assert {fact.reason for fact in binance.watcher.of(BookLost)} <= {"taken_over"}


async def test_a_feed_that_runs_late_is_degraded(exchange: Exchange) -> None:
    """Its frames come seconds after the venue's own time, look after look (F63)."""
    setup = Setup(exchange)
    await setup.synced()
    feed = setup.feeds.feeds[0]
    now_ns = setup.clock.now_ns()
    feed.clock.add(now_ns, now_ns + 1_000_000, now_ns, 1_000_000)
    for late_ns, state in ((5_000_000, "up"), (3_000_000_000, "degraded"), (5_000_000, "up")):
        for _ in range(3):
            setup.feeds.hear_lags("okx", [late_ns] * 10)
        status = setup.status()
        assert (status.state, status.is_degraded) == (state, state == "degraded")
        assert abs((status.lag_p50_ns or 0) - late_ns) < 5_000_000
    await setup.stop()


async def test_what_an_open_circuit_holds_up_says_so(exchange: Exchange) -> None:
    """Books that wait for a REST interface that fails: that is the reason, whatever ended a connection before."""
    setup = Setup(exchange)
    await setup.synced()
    feed, now_ns = setup.feeds.feeds[0], setup.clock.now_ns()
    feed.lines[0].last_reason = "nothing was heard for 8 s"
    states = [NEVER] * len(setup.feeds.market.listings)
    assert feed.status(states, Counter(), now_ns).reason == "nothing was heard for 8 s"
    for _ in range(5):
        feed.gateway.breaker.failed(now_ns)
    status = feed.status(states, Counter(), now_ns)
    assert (status.state, status.circuit_open) == ("syncing", True)
    assert "open circuit" in status.reason
    await setup.stop()


async def test_without_a_list_the_feed_goes_on(exchange: Exchange) -> None:
    """REST fails; spellings and books do not need it, and the status says that rules may be old."""
    setup = Setup(exchange, speed=50)
    exchange.on_call = lambda _: web.Response(status=503, text="down")
    await setup.synced()
    assert len(exchange.calls) > 1  # it tried for five seconds, and then began without
    status = setup.status()
    assert (status.state, status.is_degraded) == ("degraded", True)
    assert set(status.rest_failures) == {"vendor_5xx"}
    exchange.on_call = lambda _: None
    async with asyncio.timeout(60):
        while setup.status().state != "up":
            await exchange.update("BTC-USDT")
            await setup.clock.sleep(1)
    await setup.stop()


async def test_a_checksum_that_does_not_fit_has_the_list_read_again() -> None:
    """A market that has other decimals from now on would be lost until the hour is over (kraken.md 3)."""
    listed = {"wsname": "BTC/USD", "tick_size": "0.01", "lot_decimals": 8, "status": "online"}
    whole = {
        decimals: {"error": [], "result": {"XXBTZUSD": listed | {"pair_decimals": decimals}}} for decimals in (1, 2)
    }
    net = Net(*(answer(200, json.dumps(body).encode()) for body in whole.values()))
    market = build_market(Config(symbols=("BTC-USD",)), is_live=True)
    settings = FeedSettings(venue=VENUES["kraken"], symbols=("BTC-USD",), ws="ws://x", rest="http://x")
    unused: Any = None
    feeds = Feeds(
        market, [settings], transport=unused, http=net, clock=net, random=lambda: 0.0,
        on_death=lambda name, _error: pytest.fail(name),
    )  # fmt: skip
    conn = market.connect("kraken", "k")
    bids, asks = [("99.5", "1.00000000")], [("100.5", "2.00000000")]

    def book(kind: str, decimals: int) -> bytes:
        """Both sides, with the checksum of a market of so many decimals of a price."""
        text = "".join(f"{Decimal(price):.{decimals}f}{qty}".replace(".", "") for price, qty in (*asks, *bids))
        sides = {
            side: [{"price": float(price), "qty": float(qty)} for price, qty in rows]
            for side, rows in (("bids", bids), ("asks", asks))
        }
        row = {"symbol": "BTC/USD", **sides, "checksum": zlib.crc32(text.encode())}
        return json.dumps({"channel": "book", "type": kind, "data": [row]}).encode()

    await feeds.feeds[0].learn()
    for kind, decimals in (("snapshot", 1), ("update", 2)):
        market.on_frame(conn, book(kind, decimals), net.now)
        feeds.look()
    await feeds.supervisor.tasks["kraken rules"]
    assert [url for _, _, url in net.sent] == ["http://x/0/public/AssetPairs"] * 2
    market.on_frame(conn, book("snapshot", 2), net.now)
    assert [one["synced"] for one in market.books()] == [True]
    await feeds.supervisor.stop()

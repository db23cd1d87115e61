"""Any exchange that ccxt knows, the slow way: its books are rebuilt in Python by the library and copied into the market
whole. Marked as slow path wherever a feed is shown; the library is imported here only, and only when it is needed.

What the library raises is read for its category and backed off from; a symbol that says nothing for SILENCE_SEC is
subscribed anew by a fresh call. The exchange's own sockets, pings and sequence numbers are the library's business.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from gambit.events.feed import FeedDown, FeedUp
from gambit.model import Category, Instrument
from gambit.runtime.backoff import SEC, Backoff
from gambit.runtime.health import SYNCED, State
from gambit.runtime.lateness import FeedLag, VenueClock
from gambit.runtime.status import FeedError, FeedSettings, FeedStatus
from gambit.venues.generic import LISTING, book_frame, listing
from gambit.venues.generic_orders import SIGNIFICANT_DIGITS, number, step
from gambit.venues.orders import Keys

if TYPE_CHECKING:
    from gambit.runtime.feed import Feeds

OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {  # that keep an order call one request, of the kind that is meant
    "bybit": {"enableUnifiedAccount": True, "enableUnifiedMargin": False},
    "okx": {"createOrder": "privatePostTradeOrder"},
    "coinbase": {"fetchBalance": "v3PrivateGetBrokerageAccounts", "fetchTime": "v3PublicGetBrokerageTime"},
}
LEVELS: Final = 50  # a side, where `depth` says nothing
SILENCE_SEC: Final = 60.0
POLL_SEC: Final = 1.0  # where the library has no stream of books
START_SEC: Final = 30.0
RELEARN_SEC: Final = 3600.0
RELEARN_CLOSED_SEC: Final = 60.0
SHOWN_BYTES: Final = 65_536  # of what the library gives for a book that is none
HOST: Final = re.compile(r"^\w+://[^/]+")
# The first class of ccxt's that fits; it is no safe sign for anything but how to wait (venues/README.md 4.5).
CATEGORIES: Final = (
    ("DDoSProtection", Category.RATE_LIMIT),
    ("ExchangeNotAvailable", Category.VENDOR_5XX),
    ("InvalidNonce", Category.DATA_INCONSISTENCY),
    ("NetworkError", Category.TRANSIENT_NETWORK),
    ("AuthenticationError", Category.AUTH),
    ("BadRequest", Category.PERMANENT_4XX),
    ("NotSupported", Category.PERMANENT_4XX),
)


class GenericFeed:
    """One exchange over ccxt; stands where a Feed does."""

    def __init__(self, settings: FeedSettings, feeds: "Feeds") -> None:
        self.settings = settings
        self.feeds = feeds
        self.name = settings.venue.name
        self.lines: list[GenericLine] = []
        self.missing: tuple[str, ...] = ()
        self.failures: Counter[Category] = Counter()
        self.calls = 0
        self.is_degraded = False
        self.client = _client(settings)
        self.clock = VenueClock()
        self.lag = FeedLag()

    async def learn(self) -> None:
        """Load the markets; without them nothing works yet, and each symbol's line tries again."""
        try:
            self.calls += 1
            async with asyncio.timeout(START_SEC):
                markets = await self.client.load_markets(True)
        except Exception as error:
            self.note(error)
            self.is_degraded = True
            self.feeds.warn(f"{self.name}: markets: {_worded(error)}")
            return
        self.is_degraded = False
        mode = self.client.precisionMode
        body = listing([found for row in markets.values() if (found := _instrument(row, mode)) is not None])
        now_ns = self.feeds.clock.now_ns()
        self.feeds.observer.fetched(self.name, LISTING, body, now_ns)
        self.feeds.market.on_http(self.name, LISTING, body, now_ns)
        self.feeds.on_learned(self.name)

    async def keep_learning(self) -> None:
        """Once an hour; every half minute while it fails, every minute while a market of ours is closed."""
        while True:
            rest_sec = START_SEC if self.is_degraded else RELEARN_CLOSED_SEC if self.closed else RELEARN_SEC
            await self.feeds.sleep(rest_sec)
            await self.learn()

    @property
    def closed(self) -> tuple[str, ...]:
        """The symbols followed here whose market takes no orders now."""
        known = self.feeds.market.venue(self.name).catalog.by_symbol
        return tuple(symbol for symbol in self.settings.symbols if symbol in known and not known[symbol].is_open)

    async def keep_time(self) -> None:
        """The library has no question for the time everywhere; lags are shown as they are."""

    def build(self) -> None:
        """A line for each symbol that the exchange lists."""
        market, settings = self.feeds.market, self.settings
        spelled = {symbol: market.spelling(self.name, symbol) for symbol in settings.symbols}
        self.missing = tuple(symbol for symbol, spelling in spelled.items() if spelling is None)
        for symbol in self.missing:
            self.feeds.warn(f"{self.name} does not list {symbol}; it is left out there")
        for spelling in filter(None, spelled.values()):
            self.lines.append(GenericLine(self, spelling, len(self.lines)))

    def note(self, error: Exception) -> Category:
        """Count a failure by its category."""
        names = {kind.__name__ for kind in type(error).__mro__}
        category = next((category for name, category in CATEGORIES if name in names), Category.DATA_INCONSISTENCY)
        if isinstance(error, TimeoutError):
            category = Category.TRANSIENT_NETWORK
        self.failures[category] += 1
        return category

    def status(self, states: Sequence[State], lost: Counter[tuple[str, str]], now_ns: int) -> FeedStatus:
        """How the feed is."""
        markets = [line.market for line in self.lines]
        synced = sum(states[market][SYNCED] for market in markets if market < len(states))
        connected = sum(line.is_up for line in self.lines)
        resyncs = {reason: count for (venue, reason), count in lost.items() if venue == self.name}
        heard = [line.heard_ns for line in self.lines if line.heard_ns]
        state = "down" if not connected else "syncing" if synced < len(markets) else "up"
        reasons = [line.last_reason for line in self.lines if line.last_reason]
        return FeedStatus(
            venue=self.name,
            state=state,
            reason="" if state == "up" else next(reversed(reasons), ""),
            connections=len(self.lines),
            connections_up=connected,
            books=len(markets),
            books_synced=synced,
            missing=self.missing,
            closed=self.closed,
            frames=self.feeds.market.hot.venue_counts(self.feeds.market.venue(self.name).index)["frames"],
            last_frame_age_sec=(now_ns - max(heard)) / SEC if heard else None,
            lag_p50_ns=self.lag.p50_ns,
            lag_p99_ns=self.lag.p99_ns,
            clock_offset_ns=None,
            clock_shift_ns=None,
            reconnects=sum(max(0, line.connects - 1) for line in self.lines),
            replaced=0,
            resubscribed=0,
            resyncs=sum(resyncs.values()),
            resync_reasons=resyncs,
            rest_calls=self.calls,
            rest_failures={str(category): count for category, count in self.failures.items()},
            circuit_open=False,
            is_degraded=self.is_degraded,
            is_slow_path=True,
            notices=(),
        )

    async def close(self) -> None:
        """Close the library's connections."""
        for line in self.lines:
            line.down("stopped")
        await self.client.close()


class GenericLine:
    """One book of the exchange."""

    def __init__(self, feed: GenericFeed, spelling: str, number: int) -> None:
        self.feed = feed
        self.name = f"{feed.name}-{number}"
        self.spelling = spelling
        self.market = feed.feeds.market.index(feed.name, spelling)
        self.conn = feed.feeds.market.connect(feed.name, self.name)
        self.levels = feed.settings.depth or LEVELS
        self.backoff = Backoff(feed.feeds.random)
        self.is_up = False
        self.connects = 0
        self.taken = 0
        self.heard_ns = 0
        self.last_reason = ""
        self.bug: Exception | None = None

    async def run(self) -> None:
        """Take book after book, for ever; what the library raises is waited out."""
        feeds = self.feed.feeds
        while True:
            started_ns = feeds.clock.now_ns()
            try:
                while True:
                    async with asyncio.timeout(SILENCE_SEC):
                        book = await self.next_book()
                    self.take(book)
            except Exception as error:  # whatever the library raises; ours would be seen in take() alone
                if self.bug is not None:
                    raise
                self.feed.note(error)
                self.down(_worded(error))
            await feeds.sleep(self.backoff.failed(feeds.clock.now_ns() - started_ns) / SEC)

    async def next_book(self) -> Mapping[str, Any]:
        """The next state of the book."""
        client = self.feed.client
        if client.has.get("watchOrderBook"):
            book: Mapping[str, Any] = await client.watch_order_book(self.spelling)
            return book
        await self.feed.feeds.sleep(POLL_SEC)
        self.feed.calls += 1
        polled: Mapping[str, Any] = await client.fetch_order_book(self.spelling, self.levels)
        return polled

    def take(self, book: Mapping[str, Any]) -> None:
        """Copy it into the market."""
        feeds = self.feed.feeds
        recv_ns = self.heard_ns = feeds.clock.now_ns()
        if not self.is_up:
            self.is_up = True
            self.connects += 1
            feeds.observer.opened(self.feed.name, self.name, "", recv_ns)
            feeds.observer.fact(FeedUp(venue=self.feed.name, conn=self.name))
        self.taken += 1
        frame = self.framed(book)
        try:
            if feeds.observer.records:
                feeds.observer.received(self.feed.name, self.name, frame, recv_ns)
            feeds.market.on_frame(self.conn, frame, recv_ns)
            feeds.pulse()
        except Exception as error:
            self.bug = error
            raise

    def framed(self, book: Mapping[str, Any]) -> bytes:
        """The book in a frame; one that is none as it is, so that it is quarantined with its bytes like anybody's."""
        try:
            time_ms = book.get("timestamp")
            return book_frame(
                self.spelling,
                self.taken,
                time_ms if isinstance(time_ms, int) else None,
                _rows(book["bids"], self.levels),
                _rows(book["asks"], self.levels),
            )
        except (TypeError, LookupError, AttributeError):
            return repr(book).encode(errors="replace")[:SHOWN_BYTES]

    def step(self, now_ns: int, states: Sequence[State]) -> None:
        """The library decides about its connections itself."""

    @property
    def books(self) -> Sequence[int]:
        """The market's index of its book."""
        return [self.market]

    @property
    def streams(self) -> list[Any]:
        """None of ours."""
        return []

    def down(self, reason: str) -> None:
        """No book comes any more: the market's is unsynced."""
        self.last_reason = reason
        if self.is_up:
            self.is_up = False
            feeds = self.feed.feeds
            now_ns = feeds.clock.now_ns()
            feeds.market.disconnect(self.conn, now_ns)
            feeds.observer.closed(self.feed.name, self.name, now_ns)
            feeds.look()
            feeds.observer.fact(FeedDown(venue=self.feed.name, conn=self.name, reason=reason))
            feeds.pulse()


def _rows(side: Sequence[Sequence[Any]], levels: int) -> list[list[Any]]:
    """The best rows, price and quantity, without the emptied ones that some exchanges leave."""
    return [[row[0], row[1]] for row in side[:levels] if row[1] != 0]


def _client(settings: FeedSettings) -> Any:
    """The library's object for the exchange. Raises FeedError."""
    ccxt = _library(f"venues.{settings.venue.name}")
    kind = getattr(ccxt, settings.adapter, None)
    if settings.adapter not in ccxt.exchanges or kind is None:
        raise FeedError(f"venues.{settings.venue.name}: ccxt streams no exchange named {settings.adapter}")
    client = kind({
        "enableRateLimit": True,
        "options": {"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
    })  # fmt: skip
    client.has["fetchCurrencies"] = False
    client.urls["api"] = _redirected(client.urls["api"], settings.ws, settings.rest)
    if settings.is_testnet:
        client.set_sandbox_mode(True)
    return client


def account_client(settings: FeedSettings, keys: Keys) -> Any:
    """The same for an account: it repeats and waits for nothing by itself, and gives numbers as the exchange wrote
    them. Raises FeedError."""
    client = _client(settings)
    client.apiKey, client.secret, client.password = keys.key, keys.secret, keys.passphrase
    client.number = str
    client.enableRateLimit = False
    client.options |= {"fetchMargins": False, "fetchCurrencies": False, "maxRetriesOnFailure": 0}
    client.options |= OPTIONS.get(client.id, {})
    return client


def _redirected(urls: Any, ws: str, rest: str) -> Any:
    """The library's addresses with another host, each for its kind; "" leaves a kind as it is."""
    if isinstance(urls, dict):
        return {name: _redirected(url, ws, rest) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    host = ws if urls.startswith("ws") else rest
    return HOST.sub(host.rstrip("/"), urls, count=1) if host else urls


def _instrument(row: Mapping[str, Any], mode: int) -> Instrument | None:
    """A spot market of the library, whose precisions mean what `mode` says; None for one without a name, which must not
    cost the others their rules. One that is switched off stays, closed: left out it would be what it was before."""
    if not row.get("spot"):
        return None
    if not all(isinstance(row.get(name), str) for name in ("symbol", "base", "quote")):
        return None
    precision, limits = row.get("precision") or {}, row.get("limits") or {}
    return Instrument(
        symbol=f"{row['base']}-{row['quote']}",
        spelling=row["symbol"],
        base=row["base"],
        quote=row["quote"],
        tick=None if mode == SIGNIFICANT_DIGITS else _step(mode, precision.get("price")),
        lot=_step(mode, precision.get("amount")),
        min_qty=_exact((limits.get("amount") or {}).get("min")),
        max_qty=_exact((limits.get("amount") or {}).get("max")),
        min_notional=_exact((limits.get("cost") or {}).get("min")),
        is_open=row.get("active") is not False,
    )


def _step(mode: int, value: object) -> Decimal | None:
    found = step(mode, number(value))
    return found if found is not None and found > 0 else None


def _exact(value: object) -> Decimal | None:
    """A positive number as the decimal it was before the library read it."""
    found = number(value)
    return found if found is not None and found > 0 else None


def _worded(error: Exception) -> str:
    text = str(error).replace("\n", " ")[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def exchanges() -> dict[str, list[str]]:
    """The library's name of every exchange, and what this way of reaching it offers. Raises FeedError."""
    ccxt = _library("the list of other exchanges")
    words = (("streamed depth", "watchOrderBook"), ("polled depth", "fetchOrderBook"))
    found = {}
    for name in ccxt.exchanges:
        has = getattr(ccxt, name)().has
        found[name] = [word for word, capability in words if has.get(capability)][:1]
    return found


def _library(who: str) -> Any:
    """ccxt.pro, imported when somebody needs it. Raises FeedError."""
    try:
        import ccxt.pro
    except ImportError as error:
        raise FeedError(f"{who}: ccxt is not installed; `pip install gambit[ccxt]`") from error
    return ccxt.pro

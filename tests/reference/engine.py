"""The engine: which pairs of books are looked at, when one qualifies, episodes and signals (formulas.md, R11 .. R31).

Decisions are taken in exact arithmetic; doubles appear only in what is reported, in sigma and in the score.
"""

import heapq
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction

from .books import Book
from .decimals import ratio, to_text
from .instruments import Instruments
from .walk import DEFAULT_STEP, QUOTE_UNIT, Terms, Trade, executable, quote_depth
from .windows import SPREAD_SCALE, MidGrid, SpreadWindow

DEFAULTS = {
    "window_size_sec": 5,
    "min_liquidity_depth": 10000,
    "max_slippage_bps": 20,
    "opportunity_ttl_sec": 10,
    "min_spread_bps": 15,
    "fee_bps": 10,
    "max_book_age_ms": 1500,
    "max_notional": 10000,
    "safety_margin_bps": 0,
    "min_persistence": 0,
    "max_mid_ratio": 1.2,
    "spread_ref_bps": 50,
    "liquidity_ref": 100000,
    "volatility_ref": 10,
}
WEIGHTS = {"spread": 0.5, "liquidity": 0.3, "volatility": 0.2}
SECOND = 10**9


class Settings:
    """The [engine] section with its defaults; times in ns, limits as exact fractions."""

    def __init__(self, engine: dict):
        value = DEFAULTS | {key: engine[key] for key in DEFAULTS if key in engine}
        exact = {key: ratio(number) for key, number in value.items()}
        self.window_ns = int(exact["window_size_sec"] * SECOND)
        self.window_sec = float(exact["window_size_sec"])
        self.window_buckets = int(exact["window_size_sec"] * 10)
        self.ttl_sec = value["opportunity_ttl_sec"]
        self.ttl_ns = int(exact["opportunity_ttl_sec"] * SECOND)
        self.age_max_ns = int(exact["max_book_age_ms"] * 10**6)
        self.min_spread = exact["min_spread_bps"] / 10**4
        self.min_depth = exact["min_liquidity_depth"] * QUOTE_UNIT
        self.min_net = exact["safety_margin_bps"] / 10**4
        self.min_persistence = exact["min_persistence"]
        self.max_mid_ratio = exact["max_mid_ratio"]
        self.slip = exact["max_slippage_bps"] / 10**4
        self.slippage_bps, self.max_notional = exact["max_slippage_bps"], exact["max_notional"]
        self.fee_bps = exact["fee_bps"]
        self.spread_ref, self.liquidity_ref, self.volatility_ref = (
            float(exact[key]) for key in ("spread_ref_bps", "liquidity_ref", "volatility_ref")
        )
        self.weights = {key: float((WEIGHTS | engine.get("ranking_weights", {}))[key]) for key in WEIGHTS}

    def score(self, net_bps: float, liquidity: float, sigma: float) -> float:
        spread_part = min(max(net_bps / self.spread_ref, 0.0), 1.0)
        liquidity_part = min(max(liquidity / self.liquidity_ref, 0.0), 1.0)
        volatility_part = 1.0 / (1.0 + sigma / self.volatility_ref)
        weights = self.weights
        shares = weights["spread"] * spread_part, weights["liquidity"] * liquidity_part
        return shares[0] + shares[1] + weights["volatility"] * volatility_part


@dataclass
class Episode:
    """A run of qualifying evaluations of one directed pair."""

    raw_signal_id: str
    first_raise: int
    last_raise: int
    max_net_bps: float
    max_profit: float
    evaluations: int = 0


@dataclass
class Pair:
    """A directed pair: buy on one book, sell on the other. `apart` is shared by both directions (R26)."""

    key: tuple[str, str, str, str, str]
    buy: Book
    sell: Book
    terms: Terms
    window: SpreadWindow
    apart: list[bool]
    episode: Episode | None = None
    deadline: int = 0

    def other(self, book: Book) -> Book:
        return self.sell if self.buy is book else self.buy


@dataclass(frozen=True)
class Finding:
    """A qualifying evaluation, all of it exact but the sigma."""

    spread: Fraction
    trade: Trade
    weighted: int
    defined_ns: int
    high: int
    reaching_ns: int
    spread_scaled: int


@dataclass
class Engine:
    """Looks at books as they are applied and lost; `out` collects the lines of `--emit opportunities`."""

    settings: Settings
    fees: dict[str, Fraction]
    groups: dict[tuple[str, str], str]  # (venue, symbol) -> name of its group
    instruments: dict[str, Instruments]
    out: list[dict] = field(default_factory=list)
    different_coins: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.books: list[Book] = []
        self.grids: dict[int, MidGrid] = {}
        self.pairs: dict[int, list[Pair]] = {}  # by book, in ascending order of their keys
        self.deadlines: list[tuple[int, tuple, Pair]] = []

    # ---- what happens to books ----

    def applied(self, book: Book, now: int) -> None:
        """A frame was applied and the book is synced: one evaluation with every other venue's book."""
        if id(book) not in self.pairs:
            self._welcome(book)
        if book.is_two_sided():
            self.grids[id(book)].put(now, book.bids.best().price + book.asks.best().price)
        pairs = [pair for pair in self.pairs[id(book)] if pair.other(book).synced]
        self._part_different_coins(pairs, now)
        for pair in pairs:
            if not pair.apart[0]:
                self._evaluate(pair, now)

    def unsynced(self, book: Book, now: int) -> None:
        """The book takes part in nothing until it is synced again; its volatility starts anew (R16)."""
        if id(book) not in self.pairs:
            return
        self.grids[id(book)].clear()
        for pair in self.pairs[id(book)]:
            pair.window.end(now)
            self._close(pair, now, "unsynced")

    def pass_time(self, now: int) -> None:
        """R13: every book that was last fresh before `now` went stale at that instant, told in order."""
        while self.deadlines and self.deadlines[0][0] < now:
            deadline, _, pair = heapq.heappop(self.deadlines)
            if pair.window.current is not None and pair.deadline == deadline:
                pair.window.end(deadline)
                self._close(pair, deadline, "stale")

    # ---- pairs ----

    def _welcome(self, book: Book) -> None:
        self.grids[id(book)] = MidGrid(self.settings.window_buckets, self.settings.window_sec)
        self.pairs[id(book)] = []
        for other in self.books:
            name = self._common_name(book, other)
            if name is None:
                continue
            apart = [False]
            for buy, sell in ((book, other), (other, book)):
                pair = self._pair(name, buy, sell, apart)
                for side in (buy, sell):
                    self.pairs[id(side)].append(pair)
                    self.pairs[id(side)].sort(key=lambda pair: pair.key)
        self.books.append(book)

    def _common_name(self, book: Book, other: Book) -> str | None:
        """R25: the name under which two books are compared, None where they are not."""
        if book.venue == other.venue:
            return None
        group = self.groups.get((book.venue, book.symbol))
        if group is not None and group == self.groups.get((other.venue, other.symbol)):
            return group
        return book.symbol if book.symbol == other.symbol else None

    def _pair(self, name: str, buy: Book, sell: Book, apart: list[bool]) -> Pair:
        settings = self.settings
        buy_fee, sell_fee = (self.fees.get(book.venue, settings.fee_bps) for book in (buy, sell))
        terms = Terms(buy_fee, sell_fee, settings.slippage_bps, settings.max_notional)
        key = (name, buy.venue, sell.venue, buy.symbol, sell.symbol)
        return Pair(key, buy, sell, terms, SpreadWindow(settings.window_ns), apart)

    def _is_fresh(self, book: Book, now: int) -> bool:
        return now - book.last_update <= self.settings.age_max_ns

    def _part_different_coins(self, pairs: list[Pair], now: int) -> None:
        """R26: two fresh two-sided books whose mids are too far apart are never compared again."""
        parted = []
        for pair in pairs:
            books = (pair.buy, pair.sell)
            if pair.apart[0] or not all(book.is_two_sided() and self._is_fresh(book, now) for book in books):
                continue
            low, high = sorted(book.bids.best().price + book.asks.best().price for book in books)
            if high > self.settings.max_mid_ratio * low:
                parted.append(pair.apart)
        for apart in parted:
            apart[0] = True
        for pair in pairs:
            if any(pair.apart is apart for apart in parted):
                self.different_coins.append(pair.key)
                pair.window.end(now)
                self._close(pair, now, "different_coin")

    # ---- evaluation ----

    def _evaluate(self, pair: Pair, now: int) -> None:
        pair.window.end(now)
        ask, bid = pair.buy.asks.best(), pair.sell.bids.best()
        fresh = self._is_fresh(pair.buy, now) and self._is_fresh(pair.sell, now)
        if not fresh or ask is None or bid is None:
            self._close(pair, now, "not_qualified")
            return
        pair.window.forget(now)
        spread_scaled = (bid.price - ask.price) * 10**4 * SPREAD_SCALE // ask.price
        reaches = (bid.price - ask.price) * self.settings.min_spread.denominator >= (
            ask.price * self.settings.min_spread.numerator
        )
        finding = self._finding(pair, now, spread_scaled) if reaches else None
        pair.window.begin(now, spread_scaled, reaches)
        pair.deadline = min(pair.buy.last_update, pair.sell.last_update) + self.settings.age_max_ns
        heapq.heappush(self.deadlines, (pair.deadline, pair.key, pair))
        if finding is None:
            self._close(pair, now, "not_qualified")
        else:
            self._qualified(pair, finding, now)

    def _finding(self, pair: Pair, now: int, spread_scaled: int) -> Finding | None:
        """The evaluation of a pair whose spread suffices, None where it does not qualify."""
        settings = self.settings
        statistics = pair.window.statistics(now, spread_scaled)
        if statistics[3] < settings.min_persistence * settings.window_ns:
            return None
        limits = [self.instruments[book.venue].rules_of(book.symbol) for book in (pair.buy, pair.sell)]
        known = [rules.lot_step for rules in limits if rules.lot_step is not None]
        trade = executable(pair.buy, pair.sell, pair.terms, max(known, default=DEFAULT_STEP))
        if trade is None or trade.profit <= 0 or trade.net < settings.min_net:
            return None
        if trade.qty < max(rules.qty_min or 0 for rules in limits):
            return None
        for book, side in ((pair.buy, pair.buy.asks), (pair.sell, pair.sell.bids)):
            if quote_depth(book, side, settings.slip, settings.min_depth) < settings.min_depth:
                return None
        ask, bid = pair.buy.asks.best().price, pair.sell.bids.best().price
        return Finding(Fraction(bid, ask) - 1, trade, *statistics, spread_scaled)

    # ---- episodes ----

    def _qualified(self, pair: Pair, finding: Finding, now: int) -> None:
        net_bps = float(finding.trade.net * 10**4)
        profit = float(finding.trade.profit / QUOTE_UNIT)
        episode = pair.episode
        is_due = episode is None or now - episode.last_raise >= self.settings.ttl_ns
        if episode is None:
            episode = pair.episode = Episode(_identity(pair, now, "episode"), now, now, net_bps, profit)
        episode.evaluations += 1
        episode.max_net_bps = max(episode.max_net_bps, net_bps)
        episode.max_profit = max(episode.max_profit, profit)
        if is_due:
            episode.last_raise = now
            self.out.append(self._raised(pair, finding, now, net_bps, profit))

    def _raised(self, pair: Pair, finding: Finding, now: int, net_bps: float, profit: float) -> dict:
        buy, sell, trade, settings = pair.buy, pair.sell, finding.trade, self.settings
        depths = [quote_depth(b, s, settings.slip) for b, s in ((buy, buy.asks), (sell, sell.bids))]
        liquidity = float(Fraction(min(depths), QUOTE_UNIT))
        sigma = max(self.grids[id(buy)].sigma(now), self.grids[id(sell)].sigma(now))
        mean = Fraction(finding.weighted, finding.defined_ns) if finding.defined_ns else finding.spread_scaled
        impact = finding.spread - (Fraction(trade.sell_quote, trade.buy_quote) - 1)
        base_asset, quote_asset = buy.symbol.split("-")[:2]
        return {
            "event": "raised",
            "recv_ns": now,
            "ts": utc_text(now),
            "opp_id": _identity(pair, now, "signal"),
            "raw_signal_id": pair.episode.raw_signal_id,
            "correlation_id": pair.episode.raw_signal_id,
            "symbol": pair.key[0],
            "symbol_buy": buy.symbol,
            "symbol_sell": sell.symbol,
            "base_asset": base_asset,
            "quote_asset": quote_asset,
            "venue_buy": buy.venue,
            "venue_sell": sell.venue,
            "spread_bps": float(finding.spread * 10**4),
            "net_bps": net_bps,
            "profit_quote": profit,
            "qty": to_text(trade.qty),
            "buy_vwap": float(Fraction(trade.buy_quote, trade.qty * 10**18)),
            "sell_vwap": float(Fraction(trade.sell_quote, trade.qty * 10**18)),
            "liquidity": liquidity,
            "sigma": sigma,
            "persistence": float(Fraction(finding.reaching_ns, settings.window_ns)),
            "window_mean_bps": float(Fraction(mean) / SPREAD_SCALE),
            "window_max_bps": float(Fraction(finding.high, SPREAD_SCALE)),
            "impact_bps": float(impact * 10**4),
            "score": settings.score(net_bps, liquidity, sigma),
            "ttl_sec": settings.ttl_sec,
            "seq_buy": buy.last_id,
            "seq_sell": sell.last_id,
            "book_age_buy_ns": now - buy.last_update,
            "book_age_sell_ns": now - sell.last_update,
            "degraded": False,
            "data_quality": "ok",
            "schema_ver": "2",
        }

    def _close(self, pair: Pair, now: int, reason: str) -> None:
        """R31: the end of an episode, where there is one."""
        episode, pair.episode = pair.episode, None
        if episode is None:
            return
        self.out.append(
            {
                "event": "closed",
                "recv_ns": now,
                "symbol": pair.key[0],
                "venue_buy": pair.buy.venue,
                "venue_sell": pair.sell.venue,
                "raw_signal_id": episode.raw_signal_id,
                "duration_ns": now - episode.first_raise,
                "max_net_bps": episode.max_net_bps,
                "max_profit_quote": episode.max_profit,
                "evaluations": episode.evaluations,
                "reason": reason,
            }
        )


def _identity(pair: Pair, now: int, kind: str) -> str:
    """R27."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "|".join([*pair.key, str(now), kind])))


def utc_text(now: int) -> str:
    """RFC 3339, UTC, with all nine digits of the nanoseconds."""
    seconds, rest = divmod(now, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"

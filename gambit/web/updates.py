"""What the hub is fed with: facts as they become safe, and pictures of what changes all the time, at a fixed pace.

facts (once they are in the journal)   -> order.status, plan.status, trading.state, alert.raised
the board, 5 times a second            -> arb.signals: the best open ones, and which ended
the books' touches, 5 times a second   -> market.normalized
readings, once a second                -> system.metrics, account
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

from gambit.events import Fact
from gambit.events.alerts import AlertAcked, AlertRaised, AlertResolved
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import (
    Armed,
    Disarmed,
    Filled,
    OrderMoved,
    PlanApproved,
    PlanClosed,
    PlanMade,
    PlanReopened,
    PlanStopped,
    ScopeHalted,
    ScopeReleased,
    Unhedged,
)
from gambit.web.history import History
from gambit.web.hub import Channel, Hub, Row

TOP: Final = 20
FAST_NS: Final = 200_000_000
SLOW_NS: Final = 1_000_000_000

TRADING: Final = "trading.state"
ORDERS: Final = "order.status"
PLANS: Final = "plan.status"
ALERTS: Final = "alert.raised"
SIGNALS: Final = "arb.signals"
SYSTEM: Final = "system.metrics"
ACCOUNT: Final = "account"
MARKET: Final = "market.normalized"

SIGNAL_FIELDS: Final = (
    "opp_id", "raw_signal_id", "symbol", "base_asset", "quote_asset", "venue_buy", "venue_sell", "spread_bps",
    "net_bps", "profit_quote", "qty", "buy_vwap", "sell_vwap", "score", "ttl_sec", "ts", "degraded", "data_quality",
    "schema_ver",
)  # fmt: skip


class Pictures(Protocol):
    """The daemon as plain data; money is decimal text."""

    def trading(self) -> Row: ...
    def system(self) -> Row: ...
    def account(self) -> Row: ...
    def board(self, most: int) -> Sequence[Row]: ...
    def touches(self) -> Iterable[Row]: ...
    def orders(self) -> Sequence[Row]: ...
    def plans(self) -> Sequence[Row]: ...
    def order(self, key: str) -> Row | None: ...
    def plan(self, plan_id: str) -> Row | None: ...
    def alerts(self) -> Sequence[Row]: ...


def channels(pictures: Pictures) -> list[Channel]:
    """All channels, in order of priority; what they begin with comes from the pictures."""
    return [
        Channel(TRADING, False, lambda: [pictures.trading()]),
        Channel(ORDERS, False, pictures.orders),
        Channel(PLANS, False, pictures.plans),
        Channel(ALERTS, False, pictures.alerts),
        Channel(SIGNALS, True),
        Channel(SYSTEM, True),
        Channel(ACCOUNT, True),
        Channel(MARKET, True),
    ]


class Updates:
    """`head` is the journal's newest number, `safe` the last one that may be told."""

    def __init__(
        self,
        hub: Hub,
        pictures: Pictures,
        *,
        head: Callable[[], int],
        safe: Callable[[], int],
        ts: Callable[[int], str],
    ) -> None:
        self.hub = hub
        self.pictures = pictures
        self.history = History()
        self._head = head
        self._safe = safe
        self._ts = ts
        self._waiting: deque[tuple[int, Fact, int]] = deque()
        self._shown: dict[str, Row] = {}  # episodes told as open
        self._account: Row = {}
        self._fast_ns = 0
        self._slow_ns = 0

    def hear(self, fact: Fact, now_ns: int) -> None:
        """A listener of the ledger."""
        if isinstance(fact, TOLD):
            self._waiting.append((self._head(), fact, now_ns))

    def turn(self, now_ns: int) -> None:
        """Tell what may be told and is due."""
        safe = self._safe()
        while self._waiting and self._waiting[0][0] <= safe:
            _, fact, at_ns = self._waiting.popleft()
            self._tell(fact, at_ns)
        if now_ns - self._fast_ns >= FAST_NS:
            self._fast_ns = now_ns
            self._tell_board()
            for touch in self.pictures.touches():
                self.hub.publish(MARKET, touch, f"{touch['venue']} {touch['symbol']}")
        if now_ns - self._slow_ns >= SLOW_NS:
            self._slow_ns = now_ns
            system, account = self.pictures.system(), self.pictures.account()
            self.hub.publish(SYSTEM, system)
            self.history.take(now_ns, system, account, self._shown.values())
            if account != self._account:
                self._account = account
                self.hub.publish(ACCOUNT, account)

    def _tell(self, fact: Fact, at_ns: int) -> None:
        match fact:
            case OrderMoved():
                known = self.pictures.order(fact.key) or {}
                row = {**known, "limit_price": known.get("price"), **_stated(fact)}
                self.hub.publish(ORDERS, {**row, "event": "status", "ts": self._ts(at_ns)})
            case Filled() if fact.key:
                filled = self.pictures.order(fact.key)
                if filled is not None:
                    self.hub.publish(ORDERS, {**filled, "event": "fill", "ts": self._ts(at_ns), "schema_ver": "1"})
            case TradingStateChanged() | Armed() | Disarmed() | ScopeHalted() | ScopeReleased():
                self.hub.publish(TRADING, {**self.pictures.trading(), "ts": self._ts(at_ns)})
            case PlanMade() | PlanApproved() | PlanStopped() | PlanClosed() | PlanReopened() | Unhedged():
                row = {**(self.pictures.plan(fact.plan_id) or {}), **_ended(fact), "plan_id": fact.plan_id}
                self.hub.publish(PLANS, {**row, "event": _event(fact), "ts": self._ts(at_ns), "schema_ver": "1"})
            case AlertRaised() | AlertResolved() | AlertAcked():
                event = type(fact).__name__.removeprefix("Alert").lower()
                self.hub.publish(ALERTS, {**msgspec.to_builtins(fact), "event": event, "ts": self._ts(at_ns)})

    def _tell_board(self) -> None:
        """What of the best changed since the last time, and what is over."""
        open_now = {row["raw_signal_id"]: row for row in self.pictures.board(TOP)}
        for episode in [name for name in self._shown if name not in open_now]:
            last = self._shown.pop(episode)
            self.hub.end(SIGNALS, {**last, "event": "closed"}, episode)
        for episode, row in open_now.items():
            had = self._shown.get(episode)
            if had is None or had["opp_id"] != row["opp_id"]:
                shown = {name: row[name] for name in SIGNAL_FIELDS if name in row}
                shown = {"event": "raised", **shown, "since": self._ts(row["since_ns"])}
                self._shown[episode] = shown
                self.hub.publish(SIGNALS, shown, episode)


TOLD: Final = (
    OrderMoved,
    Filled,
    TradingStateChanged,
    Armed,
    Disarmed,
    ScopeHalted,
    ScopeReleased,
    PlanMade,
    PlanApproved,
    PlanStopped,
    PlanClosed,
    PlanReopened,
    Unhedged,
    AlertRaised,
    AlertResolved,
    AlertAcked,
)


def _stated(fact: OrderMoved) -> Row:
    """order.status as product.md has it; an order that has ended may be packed away by now."""
    price = None if fact.price is None else f"{fact.price:f}"
    told = msgspec.structs.asdict(fact)
    del told["key"], told["on"]
    return {**told, "qty_filled": f"{fact.qty_filled:f}", "price": price, "average_price": price}


def _ended(fact: object) -> Row:
    """What the end of an episode says by itself."""
    if not isinstance(fact, PlanClosed):
        return {}
    worth = None if fact.value is None else f"{fact.value:f}"
    return {"end": fact.end, "result": {asset: f"{amount:f}" for asset, amount in fact.profit.items()}, "value": worth}


def _event(fact: object) -> str:
    """PlanMade: made."""
    name = type(fact).__name__
    return name.removeprefix("Plan").lower()

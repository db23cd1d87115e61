"""Where the order path stands: all of its state, made of journalled facts and of nothing else.

Rules that hold here:
1. `apply` is the only door. The same facts with the same times give the same state, byte for byte, in any process;
   `digest` says which.
2. What follows from a fact by the tables (the moves of orders) is stated again as OrderMoved. Live, `apply` gives those
   out to be journalled; in a replay it holds the journal's against its own.
3. What is only waited for (questions under way, retries) is no state: after a restart it is begun anew.
4. A settled episode is packed away (gambit.engine.archive) by a rule of facts and their times alone, so that a replay
   packs the same ones at the same records; any fact about it takes it out again first.
"""

import hashlib
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Context
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

import msgspec

from gambit.engine.archive import FOREIGN, Archive, Episode, Packed, chained
from gambit.engine.funnel import Funnel, Pending
from gambit.engine.holdings import Holdings
from gambit.engine.limits import DAY_NS, MINUTE_NS
from gambit.engine.order import BY_HISTORY, Execution, Executions, Move, On, Order, Status, opened
from gambit.engine.trade import Trade
from gambit.engine.trade import opened as begun
from gambit.engine.trading_state import TradingState
from gambit.events.operation import DaemonStarted, TradingStateChanged
from gambit.events.orders import (
    ORDER_KINDS,
    AboutOrder,
    Armed,
    BalanceCorrected,
    Busted,
    Disarmed,
    DustMoved,
    Filled,
    ForeignOrderSeen,
    OpportunityEnded,
    OrderIntended,
    OrderMoved,
    OrderSettled,
    PlanApproved,
    PlanClosed,
    PlanMade,
    PlanRefused,
    PlanReopened,
    PlanStopped,
    ScopeHalted,
    ScopeReleased,
    Unhedged,
)

EXACT: Final = Context(prec=80)  # wide enough that sums and products of prices and quantities are never cut
VERSION: Final = 8  # of the state and of the rules that lead to it; goes into every digest
FILL_COMPENSATED: Final = (Status.CANCELED, Status.EXPIRED)

FORGET_AT_ONCE: Final = 4  # episodes that one fact packs away at most: market data must not wait for many
PACKED_LATELY: Final = 256  # packed episodes that are looked through at once: market data must not wait for many
PLANS_COUNTED: Final = 10_000  # times of plans that are kept per symbol: the largest limit of a day's


class Keep(NamedTuple):
    """How long, and how many, settled episodes stay at hand. Part of the rules (VERSION): who changes them makes old
    digests those of other rules."""

    rest_ns: int = 2 * MINUTE_NS
    episodes: int = 250


KEEP: Final = Keep()


def is_symbol(name: str) -> bool:
    """Whether it names base and quote; a venue's own spelling of a market that is not listed here need not."""
    base, dash, quote = name.partition("-")
    return bool(base and dash and quote)


class ReplayDiffers(Exception):
    """The journal states a move that its own facts do not make: it is not ours, or not whole, or the code changed."""


class State(msgspec.Struct):
    """Everything that has to survive."""

    version: int = VERSION
    epoch: int = 0
    plan_number: int = 0
    orders: dict[str, Order] = {}  # by key
    trades: dict[str, Trade] = {}  # by plan_id
    executions: Executions = msgspec.field(default_factory=Executions)
    holdings: Holdings = msgspec.field(default_factory=Holdings)
    funnel: Funnel = msgspec.field(default_factory=Funnel)
    trading: TradingState = msgspec.field(default_factory=TradingState)
    planned_ns: dict[str, list[int]] = {}  # by symbol, over the last day
    swept_ns: dict[str, int] = {}  # by symbol
    symbols: dict[str, int] = {}  # every symbol ever ordered or executed, and since when
    foreign: dict[str, ForeignOrderSeen] = {}  # open ones, by "venue|venue order id"
    foreign_fills: dict[str, Filled] = {}  # executions of no order of ours that may still be taken back, by their names
    unknown_keys: int = 0  # facts about orders nobody intended
    resting: list[tuple[int, str, str]] = []  # since when, plan_id or "", name of a foreign execution or ""
    archived: int = 0  # episodes packed away or taken out so far
    archive_digest: str = "00" * 32
    query_id: int = 0  # the largest of packed orders


class Snapshot(msgspec.Struct, array_like=True):
    """A whole standing as bytes: canonical JSON of its state, and its archive."""

    state: bytes
    archive: Packed

    @property
    def digest(self) -> str:
        """The state's hash: the rules' version and BLAKE2b-256 of its canonical JSON."""
        return f"{VERSION}-{hashlib.blake2b(self.state, digest_size=32).hexdigest()}"


NO_PACKED: Final = Packed([], [], {}, [])


class Standing:
    """The state and what can be read off it."""

    def __init__(self, state: State | None = None, archive: Archive | None = None, keep: Keep = KEEP) -> None:
        self.state = state or State()
        self.archive = archive or Archive()
        self.keep = keep
        self.live: dict[str, Order] = {}
        self.open: dict[str, Trade] = {}
        self.unsettled: dict[str, Order] = {}
        self.episodes: dict[str, str] = {}  # raw_signal_id to plan_id, of open trades
        self.owed: deque[OrderMoved] = deque()  # moves that the journal has not stated yet
        self.is_sound = True  # False: a fact broke off half-way, and no facts lead to this state
        for order in self.state.orders.values():
            self._index_order(order)
        for trade in self.state.trades.values():
            self._index_trade(trade)

    # ---- facts in ----

    def apply(self, fact: object, now_ns: int) -> list[OrderMoved]:
        """Take a fact in; the moves it made, to be journalled right behind it. Facts of other parts change nothing."""
        handler: Handler | None = _HANDLERS.get(type(fact))
        if handler is None and isinstance(fact, AboutOrder):
            handler = Standing._about_order
        if handler is None:
            return []
        self.is_sound = False
        moves = list(handler(self, fact, now_ns))
        self.is_sound = True
        return moves

    def replay(self, fact: object, now_ns: int) -> None:
        """Take a fact of the journal in. Raises ReplayDiffers where the journal and the tables disagree."""
        if isinstance(fact, OrderMoved):
            if not self.owed or self.owed.popleft() != fact:
                raise ReplayDiffers(f"order {fact.key}: the journal moves it from {fact.was} to {fact.status}")
            return
        if self.owed and (type(fact) in _HANDLERS or isinstance(fact, AboutOrder)):
            raise ReplayDiffers(f"order {self.owed[0].key}: its move to {self.owed[0].status} is not in the journal")
        self.owed.extend(self.apply(fact, now_ns))

    # ---- snapshots ----

    def digest(self) -> str:
        """The state's hash (Snapshot.digest)."""
        return Snapshot(_encoder.encode(self.state), NO_PACKED).digest

    @staticmethod
    def is_comparable(digest: str) -> bool:
        """Whether a digest was made by these rules."""
        return digest.startswith(f"{VERSION}-")

    def snapshot(self) -> Snapshot:
        """A copy of everything; only between facts, when no move is owed."""
        return Snapshot(_encoder.encode(self.state), self.archive.packed())

    @staticmethod
    def restored(snapshot: Snapshot, keep: Keep = KEEP) -> "Standing":
        """From a snapshot. Raises ValueError for one that is damaged or of another version."""
        state = _decoder.decode(snapshot.state)
        if state.version != VERSION:
            raise ValueError(f"the snapshot is of version {state.version}, not {VERSION}; replay the journal instead")
        return Standing(state, Archive.unpacked(snapshot.archive), keep)

    # ---- what is packed away ----

    def order(self, key: str) -> Order | None:
        """An order of ours; of a packed episode a copy."""
        found = self.state.orders.get(key)
        if found is not None:
            return found
        place = self.archive.place_of(key)
        if place is None:
            return None
        return next(order for order in self.archive.episode(place).orders if order.intent.key == key)

    def every_order(self) -> Iterator[Order]:
        """All orders ever intended: those at hand, then the packed ones, the last packed first."""
        yield from self.state.orders.values()
        for episode in self.archive.newest():
            yield from episode.orders

    def lately(self, *, is_thorough: bool) -> Iterator[Order]:
        """Those at hand, the latest last; when something is amiss before them those of the last packed episodes."""
        if is_thorough:
            for episode in reversed(list(islice(self.archive.newest(), PACKED_LATELY))):
                yield from episode.orders
        yield from self.state.orders.values()

    def every_trade(self) -> Iterator[Trade]:
        """All episodes, in the same order."""
        yield from self.state.trades.values()
        yield from (episode.trade for episode in self.archive.newest())

    def knows(self, key: str) -> bool:
        """Whether an order was ever intended."""
        return key in self.state.orders or self.archive.place_of(key) is not None

    def has_seen(self, fact: Filled | Busted) -> bool:
        """Whether an execution was ever applied."""
        name = Executions.name(fact)
        return name in self.state.executions.seen or self.archive.place_of_execution(name) is not None

    def judge(self, fact: Filled) -> Literal["new", "known", "disputed"]:
        """Whether an execution is to be applied (Executions.judge), packed ones counted in."""
        executions = self.state.executions
        judgement, name = executions.judge(fact), Executions.name(fact)
        if judgement == "known" or self.archive.has_content(name, Executions.content(fact)):
            return "known"
        if judgement == "new" and name not in executions.replaced and self.archive.place_of_execution(name) is not None:
            return "disputed"
        return judgement

    def content_of(self, fact: Filled) -> str:
        """The content that stands for an execution, empty for a packed foreign one. Raises KeyError."""
        name = Executions.name(fact)
        seen = self.state.executions.seen.get(name)
        if seen is None:
            place = self.archive.place_of_execution(name)
            if place is None:
                raise KeyError(name)
            seen = [""] if place == FOREIGN else self.archive.episode(place).seen[name]
        return seen[-1]

    def _recall_order(self, key: str, now_ns: int) -> None:
        if key not in self.state.orders:
            self._recall(self.archive.place_of(key), now_ns)

    def _recall(self, place: int | None, now_ns: int) -> None:
        """Take an episode out of the archive, because something happened to it."""
        if place is None or place == FOREIGN:
            return
        state, episode = self.state, self.archive.take(place)
        plan_id = episode.trade.made.plan_id
        state.archived += 1
        state.archive_digest = chained(state.archive_digest, plan_id.encode())
        state.trades[plan_id] = episode.trade
        for order in episode.orders:
            state.orders[order.intent.key] = order
            self._index_order(order)
        state.executions.seen |= episode.seen
        state.executions.owners |= episode.owners
        self._index_trade(episode.trade)
        episode.trade.rested_ns = 0
        self._rest(episode.trade, now_ns)

    def _rest(self, trade: Trade, now_ns: int) -> None:
        """Whether an episode has nothing more to come: since when."""
        if not self._is_settled(trade):
            trade.rested_ns = 0
        elif not trade.rested_ns:
            trade.rested_ns = now_ns
            self.state.resting.append((now_ns, trade.made.plan_id, ""))

    def _is_settled(self, trade: Trade) -> bool:
        if trade.is_open or trade.moved_by is not None or trade.net:
            return False
        return not any(key in self.live or key in self.unsettled for key in trade.keys)

    def _forget(self, now_ns: int) -> None:
        """Pack away what has rested long enough, or is too much; when an episode ends, for then nothing waits."""
        resting = self.state.resting
        for _ in range(FORGET_AT_ONCE):
            if not resting or (resting[0][0] > now_ns - self.keep.rest_ns and len(resting) <= self.keep.episodes):
                break
            since_ns, plan_id, name = resting.pop(0)
            if name:
                self._pack_foreign(name, now_ns)
                continue
            trade = self.state.trades.get(plan_id)
            if trade is not None and trade.rested_ns == since_ns:
                self._pack(trade, now_ns)

    def _pack(self, trade: Trade, now_ns: int) -> None:
        state = self.state
        executions, orders = state.executions, [state.orders[key] for key in trade.keys]
        names = [name for order in orders for name in order.execution_names]
        if any(name in executions.replaced for name in names):  # its other content is still to come
            trade.rested_ns = now_ns
            state.resting.append((now_ns, trade.made.plan_id, ""))
            return
        seen = {name: executions.seen.pop(name) for name in names if name in executions.seen}
        owners = {name: executions.owners.pop(name) for name in names if name in executions.owners}
        body = self.archive.add(Episode(trade, orders, seen, owners))
        state.archived += 1
        state.archive_digest = chained(state.archive_digest, body)
        del state.trades[trade.made.plan_id]
        for order in orders:
            state.query_id = max(state.query_id, order.last_query_id)
            del state.orders[order.intent.key]

    def _pack_foreign(self, name: str, now_ns: int) -> None:
        executions = self.state.executions
        if name in executions.replaced:
            self.state.resting.append((now_ns, "", name))
        elif name in executions.seen:
            self.archive.add_foreign(name, executions.seen.pop(name))
            executions.owners.pop(name, None)
            self.state.foreign_fills.pop(name, None)

    # ---- details ----

    def _index_order(self, order: Order) -> None:
        key = order.intent.key
        if order.is_live:
            self.live[key] = order
            self.unsettled.pop(key, None)
            return
        self.live.pop(key, None)
        if order.filled_qty > 0 and order.status is not Status.RECONCILED:
            self.unsettled[key] = order
        else:
            self.unsettled.pop(key, None)

    def _index_trade(self, trade: Trade) -> None:
        plan_id = trade.made.plan_id
        if trade.is_open or trade.moved_by is not None:
            self.open[plan_id] = trade
        else:
            self.open.pop(plan_id, None)
        if trade.is_open:
            self.episodes[trade.made.raw_signal_id] = plan_id
        else:
            self.episodes.pop(trade.made.raw_signal_id, None)

    def _moved(self, order: Order, moves: list[Move]) -> Iterator[OrderMoved]:
        intent = order.intent
        for move in moves:
            yield OrderMoved(
                key=intent.key,
                venue=intent.venue,
                order_id=intent.order_id,
                plan_id=intent.plan_id,
                symbol=intent.symbol,
                status=str(move.status),
                was=str(move.was),
                on=str(move.on),
                qty_filled=order.filled_qty,
                price=order.average_price,
                idempotency_key=intent.idempotency_key,
            )
        self._index_order(order)

    def _about_order(self, fact: AboutOrder, now_ns: int) -> Iterator[OrderMoved]:
        self._recall_order(fact.key, now_ns)
        order = self.state.orders.get(fact.key)
        if order is None or order.intent.venue != fact.venue:
            self.state.unknown_keys += 1
            return
        yield from self._moved(order, order.apply(fact, now_ns))
        self._rest(self.state.trades[order.intent.plan_id], now_ns)
        if isinstance(fact, OrderSettled):
            self._forget(now_ns)

    def _filled(self, fact: Filled, now_ns: int) -> Iterator[OrderMoved]:
        state = self.state
        if self.judge(fact) != "new":
            return
        self._recall_order(fact.key, now_ns)
        order = self.owner(fact)
        if order is None:
            name = Executions.name(fact)
            if is_symbol(fact.symbol):  # else nobody knows which assets it moved: the venue's balances tell
                base, quote = fact.symbol.split("-")[:2]
                state.symbols.setdefault(fact.symbol, now_ns)
                state.holdings.fill(fact, base, quote, None, now_ns)
                state.foreign_fills[name] = fact
            state.executions.mark(fact, "")
            state.resting.append((now_ns, "", name))
            return
        intent = order.intent
        moves = order.apply(fact, now_ns)
        state.holdings.fill(fact, intent.base, intent.quote, intent.fee_bps, now_ns)
        trade = state.trades[intent.plan_id]
        trade.execute(intent, fact.qty, fact.price, (fact.fee, fact.fee_asset), now_ns)
        if intent.purpose != "entry" and order.filled_qty == order.qty:
            trade.attempts = max(trade.attempts - 1, 0)
        state.executions.mark(fact, intent.key)
        self._index_trade(trade)
        yield from self._moved(order, moves)
        self._rest(trade, now_ns)

    def owner(self, fact: Filled) -> Order | None:
        """The order of ours that an execution says it belongs to; the side and the market have to agree."""
        order = self.order(fact.key)
        if order is None:
            return None
        intent = order.intent
        is_its = (intent.venue, intent.symbol, intent.side) == (fact.venue, fact.symbol, fact.side)
        return order if is_its else None

    def _busted(self, fact: Busted, now_ns: int) -> Iterator[OrderMoved]:
        state = self.state
        name = Executions.name(fact)
        if name not in state.executions.seen:
            self._recall(self.archive.place_of_execution(name), now_ns)
        key = state.executions.bust(fact)
        foreign = state.foreign_fills.pop(name, None)
        if foreign is not None:
            base, quote = foreign.symbol.split("-")[:2]
            state.holdings.bust_foreign(foreign, base, quote, now_ns)
        order = state.orders.get(key) if key else None
        if order is None:
            return
        execution = order.executions[fact.exec_id]
        moves = order.bust(fact.exec_id, now_ns, is_replaced=fact.reason == BY_HISTORY)
        state.holdings.bust(order, execution, now_ns)
        self._take_back(order, execution, now_ns)
        yield from self._moved(order, moves)
        self._rest(state.trades[order.intent.plan_id], now_ns)

    def _take_back(self, order: Order, execution: Execution, now_ns: int) -> None:
        trade = self.state.trades[order.intent.plan_id]
        fee = (-execution.fee, execution.fee_asset)
        trade.execute(order.intent, -execution.qty, execution.price, fee, now_ns)
        self._index_trade(trade)

    def _plan_made(self, fact: PlanMade, now_ns: int) -> Iterator[OrderMoved]:
        state = self.state
        trade = begun(fact, now_ns)
        state.trades[fact.plan_id] = trade
        state.plan_number = max(state.plan_number, fact.number)
        if fact.opp_id:
            state.funnel.opened(fact.opp_id, Pending(fact.symbol, plan_id=fact.plan_id))
            for symbol in sorted({leg.symbol for leg in fact.legs}):
                self._count_plan(state.planned_ns.setdefault(symbol, []), now_ns)
        else:
            state.swept_ns[fact.symbol] = now_ns
        self._index_trade(trade)
        yield from ()

    @staticmethod
    def _count_plan(times: list[int], now_ns: int) -> None:
        """One more, in its order, for a clock may be set back; the last day's are kept."""
        insort(times, now_ns)
        gone = max(bisect_right(times, now_ns - DAY_NS), len(times) - PLANS_COUNTED)
        if gone > 0:
            del times[:gone]

    def _plan_refused(self, fact: PlanRefused, now_ns: int) -> Iterator[OrderMoved]:
        del now_ns
        self.state.funnel.opened(fact.opp_id, Pending(fact.symbol, reason=fact.reason))
        yield from ()

    def _about_plan(self, fact: Any, now_ns: int) -> Iterator[OrderMoved]:
        trade = self.state.trades[fact.plan_id]
        trade.apply(fact, now_ns)
        self._index_trade(trade)
        if isinstance(fact, PlanClosed):
            self.state.funnel.dropped(trade.made.opp_id, trade.stopped)
            yield from self._verdicts(trade)
        self._rest(trade, now_ns)
        if isinstance(fact, PlanClosed):
            self._forget(now_ns)

    def _verdicts(self, trade: Trade) -> Iterator[OrderMoved]:
        """At the end of an episode: failed orders are aborted, canceled ones compensated where something was."""
        is_compensated = any(
            self.state.orders[key].intent.purpose != "entry" and self.state.orders[key].filled_qty > 0
            for key in trade.keys
        )
        for key in trade.keys:
            order = self.state.orders[key]
            if order.status is Status.FAILED:
                yield from self._moved(order, order.end(On.ABORTED))
            elif order.status in FILL_COMPENSATED and is_compensated and order.intent.purpose == "entry":
                yield from self._moved(order, order.end(On.COMPENSATED))

    def _intended(self, fact: OrderIntended, now_ns: int) -> Iterator[OrderMoved]:
        state = self.state
        if self.knows(fact.key):
            raise ValueError(f"order {fact.key} is intended a second time: {fact.idempotency_key}")
        order = opened(fact, now_ns)
        state.orders[fact.key] = order
        state.symbols.setdefault(fact.symbol, now_ns)
        state.trades[fact.plan_id].intended(fact)
        self._index_order(order)
        failed = state.orders.get(fact.retry_of)
        if failed is not None and failed.status is Status.FAILED:
            yield from self._moved(failed, failed.end(On.RETRIED))

    def _dust(self, fact: DustMoved, now_ns: int) -> Iterator[OrderMoved]:
        self.state.holdings.move_dust(fact.asset, fact.qty)
        self.state.trades[fact.plan_id].owe(fact.asset, -fact.qty, now_ns)
        yield from ()

    def _corrected(self, fact: BalanceCorrected, now_ns: int) -> Iterator[OrderMoved]:
        del now_ns
        self.state.holdings.correct(fact)
        yield from ()

    def _foreign(self, fact: ForeignOrderSeen, now_ns: int) -> Iterator[OrderMoved]:
        del now_ns
        name = f"{fact.venue}|{fact.venue_order_id}"
        if fact.is_open:
            self.state.foreign[name] = fact
        else:
            self.state.foreign.pop(name, None)
        yield from ()

    def _trading(self, fact: Any, now_ns: int) -> Iterator[OrderMoved]:
        del now_ns
        self.state.trading.apply(fact)
        if isinstance(fact, ScopeReleased) and fact.scope.startswith("venue:"):
            tally = self.state.holdings.tallies.get(fact.scope.removeprefix("venue:"))
            if tally is not None:
                tally.recent.clear()  # whoever let it go knows of them
        yield from ()

    def _ended(self, fact: OpportunityEnded, now_ns: int) -> Iterator[OrderMoved]:
        del now_ns
        self.state.funnel.apply(fact)
        yield from ()

    def _started(self, fact: DaemonStarted, now_ns: int) -> Iterator[OrderMoved]:
        del now_ns
        if fact.epoch > self.state.epoch:
            self.state.epoch, self.state.plan_number = fact.epoch, 0
            self.state.foreign.clear()  # those that are still there are listed before any order leaves
        yield from ()

    def _stated(self, fact: OrderMoved, now_ns: int) -> Iterator[OrderMoved]:
        """Live, moves are stated by this very class and change nothing again."""
        del fact, now_ns
        yield from ()


Handler = Callable[[Standing, Any, int], Iterator[OrderMoved]]
_HANDLERS: Final[dict[type, Handler]] = {
    Filled: Standing._filled,
    Busted: Standing._busted,
    PlanMade: Standing._plan_made,
    PlanRefused: Standing._plan_refused,
    PlanApproved: Standing._about_plan,
    PlanStopped: Standing._about_plan,
    PlanClosed: Standing._about_plan,
    PlanReopened: Standing._about_plan,
    Unhedged: Standing._about_plan,
    OrderIntended: Standing._intended,
    OrderMoved: Standing._stated,
    DustMoved: Standing._dust,
    BalanceCorrected: Standing._corrected,
    ForeignOrderSeen: Standing._foreign,
    TradingStateChanged: Standing._trading,
    Armed: Standing._trading,
    Disarmed: Standing._trading,
    ScopeHalted: Standing._trading,
    ScopeReleased: Standing._trading,
    OpportunityEnded: Standing._ended,
    DaemonStarted: Standing._started,
}
# The kinds of records that lead to the state; the others need not be read for it.
STATE_KINDS: Final = frozenset(
    kind for kind, struct in ORDER_KINDS.items() if struct in _HANDLERS or issubclass(struct, AboutOrder)
) | {"daemon.started", "state.changed"}
_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(State)

"""The life of one order: a table of lawful moves, and the quantities that decide among them.

Rules that hold here (reliability.md R1, R2, R3, 2.4):
1. Executions are the only truth. A label (`Cancelled`, `OrderFound`) never changes a quantity; an order ends when the
   executions make the quantity the label names, and until then counts as live.
2. An order whose outcome is unknown is live at its worst. Only the venue's word ends that, or our own that it never
   left, or a proof of absence: "no such order", asked after the send + the venue's validity window + a clock margin,
   its history searched too.
3. What the venue does against the table makes the order in doubt. What we do against it is a bug and raises.
4. A correction of an order that ended (late fill, bust) changes quantities; the status only where the table says so.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

from gambit.events.orders import (
    MAIN_ACCOUNT,
    AbsentProven,
    Acked,
    AmendAsked,
    Amended,
    AmendRejected,
    Busted,
    CancelAsked,
    Cancelled,
    CancelRejected,
    Expired,
    Filled,
    OrderFound,
    OrderIntended,
    OrderMissing,
    OrderSettled,
    OutcomeUnknown,
    Rejected,
    Sent,
    Unsent,
)

ZERO: Final = Decimal(0)
BY_HISTORY: Final = "history"  # reason of a bust that another content of the same execution follows
CUT: Final = Decimal("1e-18")  # quotients are cut here


class Status(StrEnum):
    """order.status: product.md's words and those of orders.md, "Idempotency and durability"."""

    CREATED = "created"
    PLANNED = "planned"
    PENDING_SUBMISSION = "pending_submission"
    SUBMITTED = "submitted"
    PARTIALLY_FILLED = "partially_filled"
    IN_DOUBT = "in_doubt"
    PENDING_CANCEL = "pending_cancel"
    PENDING_AMEND = "pending_amend"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    FAILED = "failed"
    RECONCILED = "reconciled"
    COMPENSATED = "compensated"
    RETRIED = "retried"
    ABORTED = "aborted"


class On(StrEnum):
    """What moves an order."""

    STORED = "stored"
    INTENDED = "intended"
    SENT = "sent"
    UNSENT = "unsent"
    ACKED = "acked"
    REJECTED = "rejected"
    PART_FILL = "part_fill"
    FULL_FILL = "full_fill"
    CANCELED = "canceled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    FOUND_OPEN = "found_open"
    ABSENT_PROVEN = "absent_proven"
    CONTRADICTION = "contradiction"
    CANCEL_ASKED = "cancel_asked"
    CANCEL_REJECTED = "cancel_rejected"
    AMEND_ASKED = "amend_asked"
    AMENDED = "amended"
    AMEND_REJECTED = "amend_rejected"
    LATE_FILL = "late_fill"
    BUST = "bust"
    SETTLED = "settled"
    COMPENSATED = "compensated"
    RETRIED = "retried"
    ABORTED = "aborted"


S = Status
LIVE: Final = (
    S.PENDING_SUBMISSION, S.SUBMITTED, S.PARTIALLY_FILLED, S.IN_DOUBT, S.PENDING_CANCEL, S.PENDING_AMEND,
)  # fmt: skip
CREATE_DOUBTS: Final = ("create", "restart")  # the acknowledgement of the create answers these
OVER: Final = (S.FILLED, S.CANCELED, S.EXPIRED, S.FAILED, S.RECONCILED, S.COMPENSATED, S.RETRIED, S.ABORTED)

Table = dict[tuple[Status, On], tuple[Status, ...]]


def _table() -> Table:
    back = (S.SUBMITTED, S.PARTIALLY_FILLED)  # which of the two: by the quantity
    edges: Table = {
        (S.CREATED, On.STORED): (S.PLANNED,),
        (S.PLANNED, On.INTENDED): (S.PENDING_SUBMISSION,),
        (S.PENDING_SUBMISSION, On.SENT): (S.SUBMITTED,),
        (S.PENDING_SUBMISSION, On.ACKED): (S.SUBMITTED,),  # the answer outran our own note of the send (F12)
        (S.PENDING_SUBMISSION, On.UNSENT): (S.FAILED,),
        (S.PENDING_CANCEL, On.UNSENT): (S.FAILED,),  # halted between the intent and the send
        (S.PENDING_AMEND, On.AMENDED): back,
        (S.SUBMITTED, On.AMEND_ASKED): (S.PENDING_AMEND,),
        (S.PARTIALLY_FILLED, On.AMEND_ASKED): (S.PENDING_AMEND,),
        (S.PENDING_AMEND, On.AMEND_REJECTED): (S.IN_DOUBT,),  # ask what it is like now
        (S.PENDING_CANCEL, On.CANCEL_REJECTED): (S.IN_DOUBT,),  # gone, filled or still there: ask
        (S.PENDING_SUBMISSION, On.CANCEL_ASKED): (S.PENDING_CANCEL,),
        (S.SUBMITTED, On.CANCEL_ASKED): (S.PENDING_CANCEL,),
        (S.PARTIALLY_FILLED, On.CANCEL_ASKED): (S.PENDING_CANCEL,),
        (S.PENDING_AMEND, On.CANCEL_ASKED): (S.PENDING_CANCEL,),
        (S.IN_DOUBT, On.ACKED): back,
        (S.IN_DOUBT, On.FOUND_OPEN): back,
        (S.IN_DOUBT, On.ABSENT_PROVEN): (S.FAILED,),
        (S.IN_DOUBT, On.UNSENT): (S.FAILED,),  # it waited here until it was in doubt, and then did not leave
    }
    for live in LIVE:
        is_waiting = live in (S.PENDING_CANCEL, S.PENDING_AMEND)
        edges[live, On.PART_FILL] = (live,) if is_waiting else (S.PARTIALLY_FILLED,)
        edges[live, On.FULL_FILL] = (S.FILLED,)
        edges[live, On.CANCELED] = (S.CANCELED,)
        edges[live, On.EXPIRED] = (S.EXPIRED,)
        edges[live, On.REJECTED] = (S.FAILED,)
        edges[live, On.CONTRADICTION] = (S.IN_DOUBT,)
        if live not in (S.PENDING_SUBMISSION, S.SUBMITTED):  # nothing executed stays there, so there is none to bust
            edges[live, On.BUST] = (live, S.SUBMITTED) if live is S.PARTIALLY_FILLED else (live,)
        if live is not S.IN_DOUBT:
            edges[live, On.UNKNOWN] = (S.IN_DOUBT,)
    for done in (S.FILLED, S.CANCELED, S.EXPIRED, S.COMPENSATED):
        edges[done, On.SETTLED] = (S.RECONCILED,)
    for done in (S.CANCELED, S.EXPIRED):
        edges[done, On.COMPENSATED] = (S.COMPENSATED,)
    edges |= {
        (S.FAILED, On.RETRIED): (S.RETRIED,),  # by a new order with retry_of
        (S.FAILED, On.ABORTED): (S.ABORTED,),
        (S.FILLED, On.LATE_FILL): (S.FILLED,),  # more than was asked for (F28)
        (S.CANCELED, On.LATE_FILL): (S.CANCELED, S.FILLED),
        (S.EXPIRED, On.LATE_FILL): (S.EXPIRED, S.FILLED),
        (S.COMPENSATED, On.LATE_FILL): (S.CANCELED, S.FILLED),
        (S.RECONCILED, On.LATE_FILL): (S.CANCELED, S.FILLED),  # to be settled again
        (S.FILLED, On.BUST): (S.FILLED, S.CANCELED),
        (S.CANCELED, On.BUST): (S.CANCELED,),
        (S.EXPIRED, On.BUST): (S.EXPIRED,),
        (S.COMPENSATED, On.BUST): (S.CANCELED,),
        (S.RECONCILED, On.BUST): (S.CANCELED,),
    }
    for dead in (S.FAILED, S.RETRIED, S.ABORTED):
        edges[dead, On.LATE_FILL] = (S.IN_DOUBT, S.FILLED)  # it exists after all: nothing is known of the rest
        edges[dead, On.CONTRADICTION] = (S.IN_DOUBT,)  # refused or absent, and now the venue has it (F04)
    return edges


EDGES: Final = _table()


class LifeBroken(Exception):
    """We asked an order for a move its table does not have: a bug of ours; trading stops."""


class Move(NamedTuple):
    """One walk along an edge."""

    was: Status
    status: Status
    on: On


class Execution(msgspec.Struct):
    """One execution of an order, as applied."""

    exec_id: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    is_busted: bool = False
    is_settled: bool = False
    account: str = MAIN_ACCOUNT


class Closing(msgspec.Struct):
    """How the venue says the order ended, until the executions agree."""

    on: On
    cum_qty: Decimal


class Order(msgspec.Struct):
    """One order of ours. The desk owns it; `apply` is the only thing that changes it."""

    intent: OrderIntended
    intended_ns: int
    status: Status = Status.PENDING_SUBMISSION
    qty: Decimal = ZERO  # asked for in all; the larger of the two while an amendment is under way
    price: Decimal = ZERO
    venue_order_id: str = ""
    filled_qty: Decimal = ZERO
    filled_quote: Decimal = ZERO
    executions: dict[str, Execution] = {}
    closing: Closing | None = None
    may_leave_ns: int = 0  # the latest instant at which the create may have left
    is_sent: bool = False
    failed_by: On | None = None  # what made it fail: a refusal, a proof of absence, or that it never left
    doubt: str = ""  # which request made it doubtful, while it is in doubt
    last_query_id: int = 0
    changed_ns: int = 0
    ended_ns: int = 0  # when it was last seen to be over

    @property
    def is_live(self) -> bool:
        """Whether the venue may still execute it."""
        return self.status in LIVE

    @property
    def open_qty(self) -> Decimal:
        """What may still be filled, at worst."""
        if not self.is_live:
            return ZERO
        most = self.qty if self.closing is None else self.closing.cum_qty
        return max(most - self.filled_qty, ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """Mean price of the executions."""
        return (self.filled_quote / self.filled_qty).quantize(CUT) if self.filled_qty else None

    @property
    def execution_names(self) -> list[str]:
        """What its executions are known by (Executions.name)."""
        intent = self.intent
        return [f"{intent.venue}|{one.account}|{intent.symbol}|{exec_id}" for exec_id, one in self.executions.items()]

    @property
    def waits_for_fills(self) -> bool:
        """Whether the venue named a quantity that the executions do not make yet."""
        return self.closing is not None

    def provable_ns(self, margin_ns: int) -> int | None:
        """From when on "no such order" is proof; None: never, the venue has no validity window."""
        window = self.intent.window_ns
        return None if window is None else self.may_leave_ns + window + margin_ns

    def apply(self, fact: object, now_ns: int) -> list[Move]:
        """Take a fact about this order in; the moves it made. Raises LifeBroken for a bug of ours."""
        moves: list[Move] = []
        match fact:
            case Filled():
                self._fill(fact, moves)
            case Sent():
                self.is_sent = True
                self.may_leave_ns = max(self.may_leave_ns, now_ns)
                if self.status is S.PENDING_SUBMISSION:
                    self._move(On.SENT, S.SUBMITTED, moves)
            case Unsent():
                self._unsent(moves)
            case OutcomeUnknown():
                self._unknown(fact, now_ns, moves)
            case Cancelled(cum_qty=cum):
                self._close(On.CANCELED, cum, moves)
            case Expired(cum_qty=cum):
                self._close(On.EXPIRED, cum, moves)
            case OrderFound():
                self._found(fact, moves)
            case OrderMissing(query_id=query_id):
                self.last_query_id = max(self.last_query_id, query_id)
            case _:
                self._rarer(fact, moves)
        if moves:
            self.changed_ns = now_ns
            if moves[0].was in LIVE and not self.is_live:
                self.ended_ns = now_ns
        return moves

    def _rarer(self, fact: object, moves: list[Move]) -> None:
        match fact:
            case Acked(venue_order_id=venue_order_id):
                self._acked(venue_order_id, moves)
            case Rejected():
                self._rejected(moves)
            case AbsentProven():
                if self.filled_qty > 0 or self.closing is not None:
                    raise LifeBroken(f"order {self.intent.key}: it was executed or named by the venue, so it exists")
                self._ours(On.ABSENT_PROVEN, S.FAILED, moves)
            case CancelAsked():
                if self.status not in (S.IN_DOUBT, S.PENDING_CANCEL):
                    self._ours(On.CANCEL_ASKED, S.PENDING_CANCEL, moves)
            case CancelRejected():
                if self.status is S.PENDING_CANCEL:
                    self._move(On.CANCEL_REJECTED, S.IN_DOUBT, moves)
            case AmendAsked(qty=qty):
                self._ours(On.AMEND_ASKED, S.PENDING_AMEND, moves)
                self.qty = max(self.qty, qty)
            case Amended(qty=qty, price=price):
                if self.status is S.PENDING_AMEND:
                    self.qty, self.price = qty, price
                    self._move(On.AMENDED, self._working(), moves)
                    self._end_if_whole(On.FULL_FILL, moves)
            case AmendRejected():
                if self.status is S.PENDING_AMEND:
                    self._move(On.AMEND_REJECTED, S.IN_DOUBT, moves)
            case OrderSettled(exec_ids=exec_ids):
                self._settle(exec_ids, moves)
            case _:
                raise LifeBroken(f"{type(fact).__name__} is no fact about an order")

    def end(self, on: On) -> list[Move]:
        """The desk's own verdict on an order that is over: compensated, retried or aborted."""
        moves: list[Move] = []
        self._ours(on, EDGES.get((self.status, on), (self.status,))[0], moves)
        return moves

    def bust(self, exec_id: str, now_ns: int, *, is_replaced: bool = False) -> list[Move]:
        """The venue took an execution back; one that is replaced comes again with another content, so that a quantity
        which the venue named stands. Raises KeyError for one that is not of this order."""
        execution = self.executions[exec_id]
        if execution.is_busted:
            return []
        execution.is_busted = True
        self.filled_qty -= execution.qty
        self.filled_quote -= execution.qty * execution.price
        if self.closing is not None and not is_replaced:
            self.closing.cum_qty = max(self.closing.cum_qty - execution.qty, self.filled_qty)
        moves: list[Move] = []
        target = EDGES[self.status, On.BUST][-1]
        if self.status is S.PARTIALLY_FILLED and self.filled_qty > 0:
            target = self.status
        if self.status is S.FILLED and self.filled_qty >= self.qty:
            target = self.status
        self._move(On.BUST, target, moves)
        self._try_closing(moves)
        self.changed_ns = now_ns
        return moves

    # ---- details ----

    def _fill(self, fact: Filled, moves: list[Move]) -> None:
        """The caller has dropped repetitions (Executions.admit)."""
        self.filled_qty += fact.qty
        self.filled_quote += fact.qty * fact.price
        self.executions[fact.exec_id] = Execution(
            fact.exec_id, fact.qty, fact.price, fact.fee, fact.fee_asset, account=fact.account
        )
        self.venue_order_id = self.venue_order_id or fact.venue_order_id
        is_whole = self.filled_qty >= self.qty
        if not self.is_live:
            targets = EDGES[self.status, On.LATE_FILL]
            self._move(On.LATE_FILL, targets[-1] if is_whole else targets[0], moves)
        elif is_whole:
            self.closing = None
            self._move(On.FULL_FILL, S.FILLED, moves)
        else:
            self._move(On.PART_FILL, EDGES[self.status, On.PART_FILL][0], moves)
            self._try_closing(moves)

    def _acked(self, venue_order_id: str, moves: list[Move]) -> None:
        self.venue_order_id = self.venue_order_id or venue_order_id
        if self.status is S.PENDING_SUBMISSION:
            self._move(On.ACKED, S.SUBMITTED, moves)
        elif self.status is S.IN_DOUBT and self.doubt in CREATE_DOUBTS and self.closing is None:
            self._move(On.ACKED, self._working(), moves)
        elif (self.status, On.CONTRADICTION) in EDGES and not self.is_live:
            self._move(On.CONTRADICTION, S.IN_DOUBT, moves)

    def _rejected(self, moves: list[Move]) -> None:
        if not self.is_live:
            return
        if self.filled_qty > 0 or self.closing is not None:
            self._move(On.CONTRADICTION, S.IN_DOUBT, moves)
        else:
            self._move(On.REJECTED, S.FAILED, moves)

    def _unsent(self, moves: list[Move]) -> None:
        is_untouched = not self.is_sent and not self.venue_order_id and not self.executions and self.closing is None
        if is_untouched and (self.status, On.UNSENT) in EDGES:
            self._move(On.UNSENT, S.FAILED, moves)
        elif self.is_live:
            self._move(On.CONTRADICTION, S.IN_DOUBT, moves)

    def _unknown(self, fact: OutcomeUnknown, now_ns: int, moves: list[Move]) -> None:
        if not self.is_live:
            return
        if not self.is_sent and fact.during in ("create", "restart"):
            self.may_leave_ns = max(self.may_leave_ns, now_ns)
        if self.status is not S.IN_DOUBT:
            self._move(On.UNKNOWN, S.IN_DOUBT, moves)
            self.doubt = fact.during

    def _found(self, fact: OrderFound, moves: list[Move]) -> None:
        if fact.query_id < self.last_query_id:
            return  # an older question answered late (F16)
        if self.venue_order_id and fact.venue_order_id and self.venue_order_id != fact.venue_order_id:
            return  # another order's data (F19): the desk disputes it and asks again
        self.last_query_id = fact.query_id
        if self.status in (S.FAILED, S.RETRIED, S.ABORTED):
            if fact.found_as == "rejected":
                return
            self._move(On.CONTRADICTION, S.IN_DOUBT, moves)
        self.venue_order_id = self.venue_order_id or fact.venue_order_id
        if fact.found_as == "open":
            if self.status is S.IN_DOUBT and self.closing is None:
                self._move(On.FOUND_OPEN, self._working(), moves)
        elif fact.found_as == "rejected":
            self._rejected(moves)
        else:
            self._close(On.EXPIRED if fact.found_as == "expired" else On.CANCELED, fact.cum_qty, moves)

    def _close(self, on: On, cum_qty: Decimal, moves: list[Move]) -> None:
        """The venue says the order is over with `cum_qty` filled: believed once the executions make it (F22, F33)."""
        if not self.is_live:
            return
        self.closing = Closing(on, max(cum_qty, self.filled_qty))
        self._try_closing(moves)

    def _try_closing(self, moves: list[Move]) -> None:
        closing = self.closing
        if closing is None or not self.is_live or self.filled_qty < closing.cum_qty:
            return
        self.closing = None
        if self.filled_qty >= self.qty:
            self._move(On.FULL_FILL, S.FILLED, moves)
        else:
            self._move(closing.on, EDGES[self.status, closing.on][0], moves)

    def _end_if_whole(self, on: On, moves: list[Move]) -> None:
        if self.is_live and self.filled_qty >= self.qty:
            self._move(on, S.FILLED, moves)

    def _settle(self, exec_ids: tuple[str, ...], moves: list[Move]) -> None:
        for exec_id in exec_ids:
            self.executions[exec_id].is_settled = True
        if (self.status, On.SETTLED) in EDGES:
            self._move(On.SETTLED, S.RECONCILED, moves)

    def _working(self) -> Status:
        return S.PARTIALLY_FILLED if self.filled_qty > 0 else S.SUBMITTED

    def _ours(self, on: On, target: Status, moves: list[Move]) -> None:
        if target not in EDGES.get((self.status, on), ()):
            raise LifeBroken(f"order {self.intent.key}: {on} is no move of an order that is {self.status}")
        self._move(on, target, moves)

    def _move(self, on: On, target: Status, moves: list[Move]) -> None:
        if target not in EDGES.get((self.status, on), ()):
            raise LifeBroken(f"order {self.intent.key}: no edge from {self.status} to {target} on {on}")
        moves.append(Move(self.status, target, on))
        self.status = target
        self.doubt = ""
        if target not in LIVE:
            self.closing = None
        if target is S.FAILED:
            self.failed_by = on


class Executions(msgspec.Struct):
    """Which executions were applied: once each, by venue, account, symbol and execution id (R3), for good."""

    seen: dict[str, list[str]] = {}  # every content an execution ever had
    owners: dict[str, str] = {}  # the key of its order, "" for a foreign one; only while it stands
    replaced: dict[str, bool] = {}  # taken back because the venue's history has another content, which is to come

    def judge(self, fact: Filled) -> Literal["new", "known", "disputed"]:
        """Whether it is to be applied. The caller applies first and marks afterwards, so that a failure in between
        lets the repetition through (F31). Another content under a known id is disputed,
        standing or not, until the history takes the first one back."""
        name = self.name(fact)
        if self.content(fact) in self.seen.get(name, ()):
            return "known"
        return "new" if name not in self.seen or name in self.replaced else "disputed"

    def mark(self, fact: Filled, owner: str) -> None:
        """It is applied."""
        name = self.name(fact)
        self.seen.setdefault(name, []).append(self.content(fact))
        self.owners[name] = owner
        self.replaced.pop(name, None)

    def bust(self, fact: Busted) -> str | None:
        """It is taken back: whose it was; None when it does not stand."""
        name = self.name(fact)
        if fact.reason == BY_HISTORY:
            self.replaced[name] = True
        return self.owners.pop(name, None)

    @staticmethod
    def name(fact: Filled | Busted) -> str:
        """What an execution is known by."""
        return f"{fact.venue}|{fact.account}|{fact.symbol}|{fact.exec_id}"

    @staticmethod
    def content(fact: Filled) -> str:
        """What must be the same in every repetition; a stream may leave out whose order it was."""
        return f"{fact.side}|{fact.qty.normalize():f}|{fact.price.normalize():f}"


def opened(intent: OrderIntended, now_ns: int) -> Order:
    """The order of an intent: created, planned and pending_submission at once."""
    return Order(
        intent=intent,
        intended_ns=now_ns,
        qty=intent.qty,
        price=intent.price,
        may_leave_ns=now_ns,
        executions={},
        changed_ns=now_ns,
        is_sent=intent.adopted,
    )


def states() -> dict[str, object]:
    """The table as `gambit schema show order.states` prints it."""
    return {
        "initial": str(S.CREATED),
        "live": [str(status) for status in LIVE],
        "over": [str(status) for status in OVER],
        "edges": [
            {"from": str(source), "on": str(on), "to": [str(target) for target in targets]}
            for (source, on), targets in EDGES.items()
        ],
    }


def diagram() -> str:
    """The table as a Mermaid state diagram; corrections that change no status are left out."""
    labels: dict[tuple[Status, Status], list[str]] = {}
    for (source, on), targets in EDGES.items():
        for target in targets:
            if target is not source:
                labels.setdefault((source, target), []).append(str(on))
    lines = ["stateDiagram-v2", f"    [*] --> {S.CREATED}"]
    lines += [f"    {source} --> {target}: {', '.join(on)}" for (source, target), on in labels.items()]
    return "\n".join([*lines, f"    {S.RECONCILED} --> [*]"]) + "\n"

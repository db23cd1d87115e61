"""Facts of the order path: what was planned, what left, and what the venues said about it.

The seam between the desk (gambit.engine.desk) and whoever speaks to a venue (an adapter, or gambit.engine.paper):

1. The desk hands out commands (gambit.commands) only after the facts that stand for them are in the journal; a
   PlaceOrder is preceded by its OrderIntended. An adapter sends it once, and never again by itself.
2. Every command about an order is answered by facts with the same `key` (the client order id):
   - bytes handed to the socket: Sent; known not to have left: Unsent (only when that is certain);
   - accepted: Acked; refused by the venue itself: Rejected (only what positively never became an order);
   - anything else (timeout, 5xx, a cut connection, an answer nobody understands): OutcomeUnknown.
3. Executions are the only truth about quantities: each one is a Filled with the venue's execution id (or
   `synthetic_exec_id` where there is none), as often as the venue repeats it; the desk drops repetitions.
4. An order that ended without being filled is Cancelled or Expired with the quantity the venue says was filled before
   (`cum_qty`); the desk waits for the executions that make it.
5. QueryOrder is answered by OrderFound or OrderMissing with the same `query_id`; OrderMissing is proof only when the
   history was searched too and the question was asked late enough, which the desk judges. QueryFills is answered by
   FillsRead, QueryBalances by BalanceRead. A failed query is answered by nothing; the desk asks again.
6. Fees are positive when charged, negative when a rebate, whatever sign the venue uses.

Times are ns since the epoch, quantities in base units, prices in quote units; both are decimal text on the wire.
"""

import hashlib
from decimal import Decimal
from typing import Literal

import msgspec

from gambit.model import Side, TimeInForce

MAIN_ACCOUNT = "main"
Purpose = Literal["entry", "compensation", "sweep"]
CancelCause = Literal["asked", "venue", "ioc", "self_trade"]
Doubt = Literal["create", "cancel", "amend", "stream", "restart"]
CorrectionReason = Literal["opening", "difference", "deposit", "withdrawal"]
PlanEnd = Literal["nothing", "flat", "dust", "position"]
Reopening = Literal["late_fill", "bust"]
FoundAs = Literal["open", "filled", "canceled", "expired", "rejected"]


class PlannedLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One order to be: what, how much, at which price at worst, and the book it was measured on (I08)."""

    venue: str
    symbol: str
    base: str
    quote: str
    side: Side
    qty: Decimal
    price: Decimal  # limit
    worst_price: Decimal  # of the levels taken
    average_price: Decimal  # of the levels taken
    tif: TimeInForce
    tolerance_bps: Decimal  # from worst_price to price, before rounding to the tick
    fee_bps: Decimal
    book_seq: int
    book_age_ns: int


class GateVerdict(msgspec.Struct, frozen=True):
    """What one risk gate saw and said."""

    gate: str
    ok: bool
    value: str = ""
    limit: str = ""


class PlanMade(msgspec.Struct, frozen=True, kw_only=True):
    """An opportunity became a plan that passed every gate; approval "manual" waits for PlanApproved."""

    plan_id: str
    number: int  # the plan's number in its epoch; part of its orders' keys
    epoch: int
    opp_id: str
    raw_signal_id: str
    user_id: str
    symbol: str
    strategy: Literal["partial", "atomic"]
    approval: Literal["auto", "manual"]
    legs: tuple[PlannedLeg, ...]
    total_quote: Decimal
    expected_profit: Decimal
    expires_ns: int
    gates: tuple[GateVerdict, ...]
    schema_ver: str = "1"


class PlanRefused(msgspec.Struct, frozen=True, kw_only=True):
    """An opportunity did not become a plan; `reason` is its end in the funnel."""

    opp_id: str
    raw_signal_id: str
    symbol: str
    venue_buy: str
    venue_sell: str
    reason: str
    detail: str = ""
    legs: tuple[PlannedLeg, ...] = ()
    gates: tuple[GateVerdict, ...] = ()
    expected_profit: Decimal | None = None
    schema_ver: str = "1"


class PlanApproved(msgspec.Struct, frozen=True, kw_only=True):
    """A person let a waiting plan go."""

    plan_id: str
    by: str
    gates: tuple[GateVerdict, ...] = ()  # as of that moment
    schema_ver: str = "1"


class PlanStopped(msgspec.Struct, frozen=True, kw_only=True):
    """No further entry order of this plan may leave: rejected, expired, halted, restarted."""

    plan_id: str
    reason: str
    by: str = "desk"
    gates: tuple[GateVerdict, ...] = ()  # where a plan that waited was asked about again
    schema_ver: str = "1"


class PlanClosed(msgspec.Struct, frozen=True, kw_only=True):
    """An episode ended: `nothing` was traded, it is `flat`, `dust` is left, or a `position` nobody could close."""

    plan_id: str
    end: PlanEnd
    left: dict[str, Decimal]  # base assets and what is left of them, signed
    profit: dict[str, Decimal]  # what its orders changed, by asset: money, fees, base assets bought and not sold
    naked_quote_ns: Decimal  # integral of the unhedged notional over time, quote units x ns
    compensations: int
    value: Decimal | None = None  # of all that in the currency of account, base assets at the plan's own prices
    schema_ver: str = "1"


class PlanReopened(msgspec.Struct, frozen=True, kw_only=True):
    """A late fill or a bust moved the quantities of a closed episode."""

    plan_id: str
    cause: Reopening
    key: str
    schema_ver: str = "1"


class Unhedged(msgspec.Struct, frozen=True, kw_only=True):
    """An imbalance outlived its deadline, its attempts or its budget."""

    plan_id: str
    symbol: str
    asset: str
    qty: Decimal  # signed
    notional: Decimal  # at the plan's own prices, quote units
    reason: str
    schema_ver: str = "1"


class DustMoved(msgspec.Struct, frozen=True, kw_only=True):
    """What was too small to trade entered (or, negative, left) the dust book."""

    asset: str
    qty: Decimal
    plan_id: str
    schema_ver: str = "1"


class OpportunityEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The one reason an opportunity ended with, and what it would have earned at our latency."""

    opp_id: str
    symbol: str
    reason: str
    counterfactual: Decimal | None = None  # quote units; None: the books could not tell
    latency_ns: int = 0
    schema_ver: str = "1"


class OrderIntended(msgspec.Struct, frozen=True, kw_only=True):
    """The intent, in the journal before its bytes leave: created, planned and pending_submission in one."""

    key: str
    venue: str
    order_id: str
    plan_id: str
    user_id: str
    idempotency_key: str
    symbol: str
    base: str
    quote: str
    side: Side
    qty: Decimal
    price: Decimal
    tif: TimeInForce
    purpose: Purpose
    leg: int  # index in the plan; -1 for what the plan did not foresee
    fee_bps: Decimal
    window_ns: int | None  # how long after the send the venue may still accept it; None: for ever
    retry_of: str = ""
    compensates: str = ""
    adopted: bool = False  # the venue has it already and the journal had lost it: known from now on, never sent
    schema_ver: str = "1"


class AboutOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What all facts about one order of ours have."""

    key: str
    venue: str


class Sent(AboutOrder, frozen=True, kw_only=True):
    """The create's bytes were handed to the socket."""

    schema_ver: str = "1"


class Unsent(AboutOrder, frozen=True, kw_only=True):
    """The create certainly never left."""

    reason: str
    schema_ver: str = "1"


class Acked(AboutOrder, frozen=True, kw_only=True):
    """The venue has the order."""

    venue_order_id: str
    schema_ver: str = "1"


class Rejected(AboutOrder, frozen=True, kw_only=True):
    """The venue positively refused the create."""

    code: str
    category: str = "permanent_4xx"
    text: str = ""
    schema_ver: str = "1"


class Filled(AboutOrder, frozen=True, kw_only=True):
    """One execution. `key` is empty where the venue does not say whose it is."""

    symbol: str
    side: Side
    exec_id: str
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    venue_order_id: str = ""
    exec_ns: int = 0
    account: str = MAIN_ACCOUNT
    schema_ver: str = "1"


class Cancelled(AboutOrder, frozen=True, kw_only=True):
    """The order ended; the venue says `cum_qty` of it was filled."""

    cum_qty: Decimal
    cause: CancelCause = "asked"
    schema_ver: str = "1"


class Expired(AboutOrder, frozen=True, kw_only=True):
    """The order's time ran out; the venue says `cum_qty` of it was filled."""

    cum_qty: Decimal
    schema_ver: str = "1"


class CancelAsked(AboutOrder, frozen=True, kw_only=True):
    """We want the rest of the order gone."""

    reason: str
    schema_ver: str = "1"


class CancelRejected(AboutOrder, frozen=True, kw_only=True):
    """The venue did not cancel: too late, unknown order, too fast."""

    code: str
    text: str = ""
    schema_ver: str = "1"


class AmendAsked(AboutOrder, frozen=True, kw_only=True):
    """We want another quantity or price."""

    qty: Decimal
    price: Decimal
    schema_ver: str = "1"


class Amended(AboutOrder, frozen=True, kw_only=True):
    """The venue changed the order."""

    qty: Decimal
    price: Decimal
    schema_ver: str = "1"


class AmendRejected(AboutOrder, frozen=True, kw_only=True):
    """The venue left the order as it was."""

    code: str
    text: str = ""
    schema_ver: str = "1"


class OutcomeUnknown(AboutOrder, frozen=True, kw_only=True):
    """Nobody knows what became of a request about this order (R1)."""

    during: Doubt
    reason: str
    schema_ver: str = "1"


class OrderFound(AboutOrder, frozen=True, kw_only=True):
    """The venue's answer to QueryOrder: it has, or had, the order."""

    query_id: int
    asked_ns: int
    venue_order_id: str
    found_as: FoundAs
    cum_qty: Decimal
    schema_ver: str = "1"


class OrderMissing(AboutOrder, frozen=True, kw_only=True):
    """The venue's answer to QueryOrder: no such order. `searched_history`: done orders and fills were searched too."""

    query_id: int
    asked_ns: int
    searched_history: bool
    schema_ver: str = "1"


class AbsentProven(AboutOrder, frozen=True, kw_only=True):
    """The order does not exist and cannot appear any more (R2)."""

    asked_ns: int
    provable_ns: int  # from here on "missing" is proof: sent + window + margin
    schema_ver: str = "1"


class OrderSettled(AboutOrder, frozen=True, kw_only=True):
    """The venue's own executions of a done order are ours, one by one."""

    order_id: str
    settlement_id: str
    base_net: Decimal  # signed, fees in base included
    quote_net: Decimal
    fees: dict[str, Decimal]
    exec_ids: tuple[str, ...]
    schema_ver: str = "1"


class OrderMoved(AboutOrder, frozen=True, kw_only=True):
    """order.status: the order went along an edge of the table in gambit.engine.order."""

    order_id: str
    plan_id: str
    symbol: str
    status: str
    was: str
    on: str
    qty_filled: Decimal
    price: Decimal | None  # average of the executions
    idempotency_key: str
    schema_ver: str = "1"


class Busted(msgspec.Struct, frozen=True, kw_only=True):
    """The venue took an execution back."""

    venue: str
    symbol: str
    exec_id: str
    reason: str = ""
    account: str = MAIN_ACCOUNT
    schema_ver: str = "1"


class ExecutionDisputed(msgspec.Struct, frozen=True, kw_only=True):
    """An execution id came again with other content; the first stays until the venue's history decides (F25)."""

    venue: str
    symbol: str
    exec_id: str
    kept: str
    refused: str
    schema_ver: str = "1"


class FillsRead(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's own list of executions of a symbol from `since_ns` up to the asking; whole, all pages."""

    venue: str
    symbol: str
    query_id: int
    asked_ns: int
    since_ns: int
    fills: tuple[Filled, ...]
    account: str = MAIN_ACCOUNT
    schema_ver: str = "1"


class BalanceRead(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's own balances: per asset free and locked."""

    venue: str
    query_id: int
    asked_ns: int
    free: dict[str, Decimal]
    locked: dict[str, Decimal]
    account: str = MAIN_ACCOUNT
    schema_ver: str = "1"


class BalanceCorrected(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between our books and the venue's, closed as an event."""

    venue: str
    asset: str
    delta: Decimal
    reason: CorrectionReason
    account: str = MAIN_ACCOUNT
    schema_ver: str = "1"


class ForeignOrderSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An open order on the account that is not ours: reported, counted, never touched."""

    venue: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    venue_order_id: str
    client_id: str = ""
    is_open: bool = True
    account: str = MAIN_ACCOUNT
    schema_ver: str = "1"


class ScopeHalted(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing new for one symbol or one venue: scope `symbol:BTC-USDT` or `venue:okx`."""

    scope: str
    reason: str
    by: str = "desk"
    schema_ver: str = "1"


class ScopeReleased(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol or venue may trade again."""

    scope: str
    by: str
    schema_ver: str = "1"


class Armed(msgspec.Struct, frozen=True, kw_only=True):
    """Live orders may leave until `until_ns`."""

    by: str
    until_ns: int
    schema_ver: str = "1"


class Disarmed(msgspec.Struct, frozen=True, kw_only=True):
    """Live orders may not leave."""

    by: str
    reason: str
    schema_ver: str = "1"


OrderFact = (
    PlanMade
    | PlanRefused
    | PlanApproved
    | PlanStopped
    | PlanClosed
    | PlanReopened
    | Unhedged
    | DustMoved
    | OpportunityEnded
    | OrderIntended
    | Sent
    | Unsent
    | Acked
    | Rejected
    | Filled
    | Cancelled
    | Expired
    | CancelAsked
    | CancelRejected
    | AmendAsked
    | Amended
    | AmendRejected
    | OutcomeUnknown
    | OrderFound
    | OrderMissing
    | AbsentProven
    | OrderSettled
    | OrderMoved
    | Busted
    | ExecutionDisputed
    | FillsRead
    | BalanceRead
    | BalanceCorrected
    | ForeignOrderSeen
    | ScopeHalted
    | ScopeReleased
    | Armed
    | Disarmed
)

ORDER_KINDS: dict[str, type] = {
    "plan.made": PlanMade,
    "plan.refused": PlanRefused,
    "plan.approved": PlanApproved,
    "plan.stopped": PlanStopped,
    "plan.closed": PlanClosed,
    "plan.reopened": PlanReopened,
    "plan.unhedged": Unhedged,
    "dust.moved": DustMoved,
    "opportunity.ended": OpportunityEnded,
    "order.intended": OrderIntended,
    "order.sent": Sent,
    "order.unsent": Unsent,
    "order.acked": Acked,
    "order.rejected": Rejected,
    "order.filled": Filled,
    "order.cancelled": Cancelled,
    "order.expired": Expired,
    "order.cancel_asked": CancelAsked,
    "order.cancel_rejected": CancelRejected,
    "order.amend_asked": AmendAsked,
    "order.amended": Amended,
    "order.amend_rejected": AmendRejected,
    "order.outcome_unknown": OutcomeUnknown,
    "order.found": OrderFound,
    "order.missing": OrderMissing,
    "order.absent_proven": AbsentProven,
    "order.settled": OrderSettled,
    "order.status": OrderMoved,
    "execution.busted": Busted,
    "execution.disputed": ExecutionDisputed,
    "fills.read": FillsRead,
    "balance.read": BalanceRead,
    "balance.corrected": BalanceCorrected,
    "order.foreign": ForeignOrderSeen,
    "scope.halted": ScopeHalted,
    "scope.released": ScopeReleased,
    "live.armed": Armed,
    "live.disarmed": Disarmed,
}


def synthetic_exec_id(key: str, exec_ns: int, qty: Decimal, price: Decimal, cum_qty: Decimal) -> str:
    """An execution id for a venue that gave none: the same for every repetition of the same execution (F27)."""
    text = f"{key}|{exec_ns}|{qty.normalize():f}|{price.normalize():f}|{cum_qty.normalize():f}"
    return "s" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

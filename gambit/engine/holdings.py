"""Balances, positions, realised result and fees, made of executions and nothing else.

Rules that hold here:
1. A balance is the sum of its corrections (the opening is one) and of its executions; `audit` proves it.
2. Reservations are not kept, they are counted: what live orders may still take, at worst. Nothing can leak.
3. A position is what trading changed, per symbol, with the average cost of the open part. Fees in the base asset
   are part of it. What division cuts off stays in the cost, so that cost + realised always equals what was paid.
4. All amounts are exact; only a quotient is cut, to 1e-18.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from functools import cache
from typing import Final

import msgspec

from gambit.engine.order import CUT, ZERO, Execution, Order
from gambit.events.orders import BalanceCorrected, Filled

DAY_NS: Final = 86_400_000_000_000
BPS: Final = Decimal(10_000)
FEES_KEPT: Final = 30  # executions a venue whose fees are remembered: the largest risk.fee_drift_fills


class Position(msgspec.Struct):
    """What trading changed in one symbol. qty in base units, the rest in quote units."""

    base: str
    quote: str
    qty: Decimal = ZERO  # signed
    cost: Decimal = ZERO  # of the open part: positive for a long, negative for a short
    realised: Decimal = ZERO  # before quote fees
    paid: Decimal = ZERO  # everything bought minus everything sold, at the prices of the executions

    @property
    def average_cost(self) -> Decimal | None:
        """Mean price of the open part."""
        return self.cost / self.qty if self.qty else None

    def trade(self, qty: Decimal, price: Decimal) -> Decimal:
        """A signed quantity at a price; gives what it realised."""
        self.paid += qty * price
        closing = min(abs(qty), abs(self.qty)) if qty * self.qty < 0 else ZERO
        realised = ZERO
        if closing:
            share = (
                self.cost
                if closing == abs(self.qty)
                else (self.cost * closing / abs(self.qty)).quantize(CUT, ROUND_DOWN)
            )
            signed = closing if self.qty > 0 else -closing
            realised = signed * price - share
            self.cost -= share
            self.qty -= signed
            self.realised += realised
        rest = abs(qty) - closing
        signed_rest = rest if qty > 0 else -rest
        self.qty += signed_rest
        self.cost += signed_rest * price
        return realised

    def charge(self, fee: Decimal, price: Decimal) -> Decimal:
        """A fee in the base asset (negative: given back) of an execution at a price; gives what it realised, which is
        what the fee had cost, or where nothing was held its worth at that price."""
        worth = fee * price
        realised = self.trade(-fee, price) - worth
        self.realised -= worth
        self.paid += worth  # gone for nothing
        return realised

    def unrealised(self, mark: Decimal) -> Decimal:
        """What closing the open part at a price would add."""
        return self.qty * mark - self.cost


class FeeTally(msgspec.Struct):
    """What a venue charged beside what its tier says, of executions whose fee can be priced."""

    fills: int = 0
    notional: Decimal = ZERO
    charged: Decimal = ZERO  # quote units
    modelled: Decimal = ZERO  # quote units
    recent: list[tuple[Decimal, Decimal]] = []  # notional and what was charged too much, of the last FEES_KEPT

    def count(self, notional: Decimal, charged: Decimal, modelled: Decimal) -> None:
        """One more execution."""
        self.fills += 1
        self.notional += notional
        self.charged += charged
        self.modelled += modelled
        self.recent.append((notional, charged - modelled))
        del self.recent[:-FEES_KEPT]

    def drift_bps(self, fills: int) -> Decimal:
        """How much more than modelled the last so many executions were charged, of their notional: a tier that changed
        shows however many were charged well before."""
        last = self.recent[-fills:]
        notional = sum((each for each, _ in last), ZERO)
        return sum((excess for _, excess in last), ZERO) * BPS / notional if notional else ZERO


class Day(msgspec.Struct):
    """The result of one UTC day."""

    number: int = -1
    realised: dict[str, Decimal] = {}  # by quote asset, before fees
    fees: dict[str, Decimal] = {}  # by asset, but those in a trade's own base asset, which its position bears


class Holdings(msgspec.Struct):
    """Everything owned, over all venues. Changed by facts only."""

    balances: dict[str, Decimal] = {}  # "venue|asset"
    corrected: dict[str, Decimal] = {}  # the part of a balance that corrections made
    traded: dict[str, Decimal] = {}  # the part that executions made
    positions: dict[str, Position] = {}  # by symbol
    fees: dict[str, Decimal] = {}  # by asset
    tallies: dict[str, FeeTally] = {}  # by venue
    dust: dict[str, Decimal] = {}  # by asset; known remainders of closed episodes
    day: Day = msgspec.field(default_factory=Day)
    last_fill_ns: dict[str, int] = {}  # by venue

    def balance(self, venue: str, asset: str) -> Decimal:
        """What is owned of an asset on a venue, reserved or not."""
        return self.balances.get(f"{venue}|{asset}", ZERO)

    def correct(self, fact: BalanceCorrected) -> None:
        """A difference closed as an event."""
        name = f"{fact.venue}|{fact.asset}"
        self.corrected[name] = self.corrected.get(name, ZERO) + fact.delta
        self.balances[name] = self.balances.get(name, ZERO) + fact.delta

    def fill(self, fact: Filled, base: str, quote: str, fee_bps: Decimal | None, now_ns: int) -> None:
        """An execution that was not applied before; None: of no order of ours, so nobody knows which fee is due."""
        self._apply(fact.venue, fact.symbol, base, quote, fact.side, 1, _execution(fact), now_ns)
        self.last_fill_ns[fact.venue] = now_ns
        in_quote = fact.fee if fact.fee_asset == quote else fact.fee * fact.price if fact.fee_asset == base else None
        if in_quote is not None and fee_bps is not None:
            notional = fact.qty * fact.price
            self.tallies.setdefault(fact.venue, FeeTally()).count(notional, in_quote, notional * fee_bps / BPS)

    def bust(self, order: Order, execution: Execution, now_ns: int) -> None:
        """An execution was taken back."""
        intent = order.intent
        self._apply(intent.venue, intent.symbol, intent.base, intent.quote, intent.side, -1, execution, now_ns)

    def bust_foreign(self, fact: Filled, base: str, quote: str, now_ns: int) -> None:
        """One of no order of ours was taken back."""
        self._apply(fact.venue, fact.symbol, base, quote, fact.side, -1, _execution(fact), now_ns)

    def _apply(
        self, venue: str, symbol: str, base: str, quote: str, side: str, sign: int, execution: Execution, now_ns: int
    ) -> None:
        self.roll(now_ns)
        signed = (execution.qty if side == "buy" else -execution.qty) * sign
        fee = execution.fee * sign
        self._trade(venue, base, signed)
        self._trade(venue, quote, -signed * execution.price)
        self._trade(venue, execution.fee_asset, -fee)
        self.fees[execution.fee_asset] = self.fees.get(execution.fee_asset, ZERO) + fee
        position = self.positions.setdefault(symbol, Position(base, quote))
        realised = position.trade(signed, execution.price)
        if execution.fee_asset == base:
            realised += position.charge(fee, execution.price)
        else:
            self.day.fees[execution.fee_asset] = self.day.fees.get(execution.fee_asset, ZERO) + fee
        self.day.realised[quote] = self.day.realised.get(quote, ZERO) + realised

    def _trade(self, venue: str, asset: str, delta: Decimal) -> None:
        name = f"{venue}|{asset}"
        self.traded[name] = self.traded.get(name, ZERO) + delta
        self.balances[name] = self.balances.get(name, ZERO) + delta

    def move_dust(self, asset: str, qty: Decimal) -> None:
        """A remainder entered or left the dust book."""
        left = self.dust.get(asset, ZERO) + qty
        if left:
            self.dust[asset] = left
        else:
            self.dust.pop(asset, None)

    def roll(self, now_ns: int) -> None:
        """A new UTC day begins with an empty result; time never goes back."""
        number = now_ns // DAY_NS
        if number > self.day.number:
            self.day = Day(number, {}, {})

    def result_today(self, marks: Mapping[str, Decimal], now_ns: int) -> Decimal:
        """Realised today, less fees, plus what open positions would add: in units of the marks."""
        is_today = now_ns // DAY_NS == self.day.number
        realised = sum((v * marks.get(a, ZERO) for a, v in self.day.realised.items()), ZERO) if is_today else ZERO
        fees = sum((v * marks.get(a, ZERO) for a, v in self.day.fees.items()), ZERO) if is_today else ZERO
        return realised - fees + self.unrealised(marks)

    def unrealised(self, marks: Mapping[str, Decimal]) -> Decimal:
        """What open positions would add at the marks; positions without a mark add nothing."""
        total = ZERO
        for position in self.positions.values():
            base, quote = marks.get(position.base), marks.get(position.quote)
            if base is not None and quote:
                total += position.unrealised(base / quote) * quote
        return total

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """All balances at the marks (units of one asset in the currency of account); what has no mark counts 0."""
        owned: dict[str, Decimal] = {}
        for name, amount in self.balances.items():
            asset = _asset_of(name)
            owned[asset] = owned.get(asset, ZERO) + amount
        return sum((amount * marks[asset] for asset, amount in owned.items() if asset in marks), ZERO)

    def audit(self) -> list[str]:
        """What does not add up; empty when everything does (I19)."""
        wrong = [
            f"{name}: balance {amount} is not the {self.corrected.get(name, ZERO)} corrected"
            f" and the {self.traded.get(name, ZERO)} traded"
            for name, amount in self.balances.items()
            if amount != self.corrected.get(name, ZERO) + self.traded.get(name, ZERO)
        ]
        wrong += [
            f"{symbol}: cost {p.cost} - realised {p.realised} is not paid {p.paid}"
            for symbol, p in self.positions.items()
            if p.cost - p.realised != p.paid
        ]
        return wrong


@cache
def _asset_of(name: str) -> str:
    """Of "venue|asset"; there are as many as there are balances."""
    return name.partition("|")[2]


def _execution(fact: Filled) -> Execution:
    return Execution(fact.exec_id, fact.qty, fact.price, fact.fee, fact.fee_asset)


def reserved(orders: Iterable[Order]) -> dict[str, Decimal]:
    """What live orders may still take, by "venue|asset": quote plus fee for buys, base plus fee for sells."""
    taken: dict[str, Decimal] = {}
    for order in orders:
        intent, rest = order.intent, order.open_qty
        if not rest:
            continue
        fee = 1 + max(intent.fee_bps, ZERO) / BPS
        asset, amount = (intent.quote, rest * order.price * fee) if intent.side == "buy" else (intent.base, rest)
        name = f"{intent.venue}|{asset}"
        taken[name] = taken.get(name, ZERO) + amount
    return taken

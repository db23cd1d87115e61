"""What a backtest is judged by: made of facts, signals and a look at the result once a second.

Money is exact and in the currency of account; ratios are floats. The result of a run is trading's own: realised, less
fees, plus what open positions would add at the marks. What the opening balances gained or lost is not in it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from gambit.engine.desk import Desk
from gambit.engine.funnel import Funnel
from gambit.engine.holdings import Holdings
from gambit.events import Fact
from gambit.events.operation import TradingStateChanged
from gambit.events.orders import Filled, OpportunityEnded, OrderIntended, PlanClosed, PlanMade, PlanReopened, Unhedged

ZERO: Final = Decimal(0)
QUANTILES: Final = (10, 50, 90, 99)


class PlanRow(msgspec.Struct, kw_only=True):
    """One plan and its end. Amounts in its quote asset; times in ns since 1970."""

    plan_id: str
    symbol: str
    route: str
    made_ns: int
    total_quote: Decimal
    expected: Decimal
    closed_ns: int = 0
    end: str = ""
    profit: Decimal = ZERO
    left: dict[str, Decimal] = {}
    compensations: int = 0
    naked_quote_sec: Decimal = ZERO


class Point(msgspec.Struct, frozen=True, array_like=True):
    """The result so far at an instant, in the currency of account."""

    ts_ns: int
    result: Decimal


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A run in numbers. Ratios are shares of 1 and None where nothing was there to divide by."""

    first_ns: int
    last_ns: int
    frames: int
    opportunities: int  # raised
    episodes: int  # over
    plans: int
    traded: int
    hits: int  # closed plans that earned something
    hit_rate: float | None
    orders: int
    fills: int
    fill_ratio: float | None  # of the notional that entries asked for
    result: Decimal  # after fees, open positions at their marks
    fees: Decimal
    expected: Decimal  # what the plans that traded had reckoned with
    turnover: Decimal  # quote value of all executions
    max_drawdown: Decimal
    naked_quote_sec: Decimal
    unhedged: int
    compensations: int
    trading_state: str
    trading_reason: str
    funnel: dict[str, int]  # how each opportunity ended; adds up to `opportunities`
    counterfactual: dict[str, Decimal]  # what the refused would have earned at the same latency, by reason
    ends: dict[str, int]  # of plans
    routes: dict[str, dict[str, Any]]
    lifetime_ms: dict[str, float]  # quantiles of how long episodes lasted
    lifetimes_ms: list[float]
    open_positions: dict[str, Decimal]
    curve: list[Point]
    rows: list[PlanRow]
    notices: list[str]
    without_list: list[str]  # books (`venue:SYMBOL`) whose ticks and lots were assumed
    unusable: dict[str, int]  # frames that were put aside (quarantined), by `venue: reason`


class Measures:
    """Collects while a run goes on; `finished` sums it up."""

    def __init__(self) -> None:
        self.rows: dict[str, PlanRow] = {}
        self.curve: list[Point] = []
        self.raised = 0
        self.lifetimes_ns: list[int] = []
        self.funnel: Counter[str] = Counter()
        self.counterfactual: dict[str, Decimal] = {}
        self.orders = self.fills = self.unhedged = 0
        self.asked = self.got = self.turnover = ZERO
        self.entries: dict[str, Decimal] = {}  # limit price of each entry, by key
        self.fees: dict[str, Decimal] = {}  # by asset, but those in a trade's own base asset, which its position bears
        self.state = ("ACTIVE", "")
        self.routes: dict[str, dict[str, Any]] = {}
        self.first_ns = self.last_ns = 0

    # ---- while it goes on ----

    def on_event(self, event: Mapping[str, Any]) -> None:
        """A signal or an episode's end, as the engine words it."""
        self.first_ns = self.first_ns or event["recv_ns"]
        self.last_ns = event["recv_ns"]
        route = self._route(f"{event['symbol']} {event['venue_buy']} > {event['venue_sell']}")
        if event["event"] == "raised":
            self.raised += 1
            route["opportunities"] += 1
            route["best_net_bps"] = max(route["best_net_bps"], round(float(event["net_bps"]), 4))
        else:
            self.lifetimes_ns.append(event["duration_ns"])

    def on_fact(self, fact: Fact, now_ns: int) -> None:
        """Something became true."""
        match fact:
            case PlanMade():
                self._plan(fact, now_ns)
            case OrderIntended():
                self.orders += 1
                if fact.purpose == "entry":
                    self.entries[fact.key] = fact.price
                    self.asked += fact.qty * fact.price
            case Filled():
                self._charge(fact)
                self.fills += 1
                self.turnover += fact.qty * fact.price
                self.got += fact.qty * self.entries.get(fact.key, ZERO)
            case PlanClosed():
                self._closed(fact, now_ns)
            case PlanReopened():
                self.rows[fact.plan_id].end = ""
            case OpportunityEnded():
                self.funnel[fact.reason] += 1
                if fact.counterfactual is not None:
                    known = self.counterfactual.get(fact.reason, ZERO)
                    self.counterfactual[fact.reason] = known + fact.counterfactual
            case Unhedged():
                self.unhedged += 1
            case TradingStateChanged():
                self.state = fact.state, fact.reason

    def on_tick(self, desk: Desk, marks: Mapping[str, Decimal], now_ns: int) -> None:
        """Another point of the curve, where it moved."""
        self.first_ns = self.first_ns or now_ns
        result = result_of(desk.standing.state.holdings, self.fees, marks)
        if not self.curve or self.curve[-1].result != result:
            self.curve.append(Point(now_ns, result))

    # ---- at the end ----

    def finished(
        self,
        desk: Desk,
        marks: Mapping[str, Decimal],
        now_ns: int,
        frames: int,
        notices: Sequence[str],
        without_list: Sequence[str],
        unusable: Mapping[str, int],
    ) -> Result:
        """The whole run. `now_ns` is its last instant."""
        holdings = desk.standing.state.holdings
        result = result_of(holdings, self.fees, marks)
        self.curve.append(Point(now_ns, result))
        rows = list(self.rows.values())
        traded = [row for row in rows if row.end and row.profit]
        hits = sum(row.profit > 0 for row in traded)
        for row in traded:
            route = self.routes[f"{row.symbol} {row.route}"]
            route["traded"] += 1
            route["profit"] += row.profit
        ends = Counter(row.end or "open" for row in rows)
        return Result(
            first_ns=self.first_ns,
            last_ns=now_ns,
            frames=frames,
            opportunities=self.raised,
            episodes=len(self.lifetimes_ns),
            plans=len(rows),
            traded=len(traded),
            hits=hits,
            hit_rate=hits / len(traded) if traded else None,
            orders=self.orders,
            fills=self.fills,
            fill_ratio=float(self.got / self.asked) if self.asked else None,
            result=result,
            fees=sum((v * marks.get(a, ZERO) for a, v in holdings.fees.items()), ZERO),
            expected=sum((row.expected for row in traded), ZERO),
            turnover=self.turnover,
            max_drawdown=drawdown(self.curve),
            naked_quote_sec=sum((row.naked_quote_sec for row in rows), ZERO),
            unhedged=self.unhedged,
            compensations=sum(row.compensations for row in rows),
            trading_state=self.state[0],
            trading_reason=self.state[1],
            funnel=dict(sorted((self.funnel + Counter(self._not_ended(desk.standing.state.funnel))).items())),
            counterfactual=dict(sorted(self.counterfactual.items())),
            ends=dict(sorted(ends.items())),
            routes=dict(sorted(self.routes.items(), key=lambda item: (-item[1]["profit"], item[0]))),
            lifetime_ms=quantiles([ns / 1e6 for ns in self.lifetimes_ns]),
            lifetimes_ms=[ns / 1e6 for ns in sorted(self.lifetimes_ns)],
            open_positions={name: p.qty for name, p in sorted(holdings.positions.items()) if p.qty},
            curve=self.curve,
            rows=rows,
            notices=list(notices),
            without_list=list(without_list),
            unusable=dict(unusable),
        )

    # ---- details ----

    def _not_ended(self, funnel: Funnel) -> dict[str, int]:
        """Opportunities of the first seconds, before any venue took part, and of the last, still under way."""
        return {"warm_up": self.raised - funnel.seen, "open": len(funnel.open)}

    def _charge(self, fact: Filled) -> None:
        """The paper venue takes nothing back."""
        if fact.fee_asset != fact.symbol.partition("-")[0]:
            self.fees[fact.fee_asset] = self.fees.get(fact.fee_asset, ZERO) + fact.fee

    def _route(self, name: str) -> dict[str, Any]:
        return self.routes.setdefault(
            name, {"opportunities": 0, "plans": 0, "traded": 0, "best_net_bps": 0.0, "profit": ZERO}
        )

    def _plan(self, fact: PlanMade, now_ns: int) -> None:
        buys = "+".join(leg.venue for leg in fact.legs if leg.side == "buy")
        sells = "+".join(leg.venue for leg in fact.legs if leg.side == "sell")
        route = f"{buys} > {sells}"
        self._route(f"{fact.symbol} {route}")["plans"] += 1
        self.rows[fact.plan_id] = PlanRow(
            plan_id=fact.plan_id,
            symbol=fact.symbol,
            route=route,
            made_ns=now_ns,
            total_quote=fact.total_quote,
            expected=fact.expected_profit,
        )

    def _closed(self, fact: PlanClosed, now_ns: int) -> None:
        row = self.rows.get(fact.plan_id)
        if row is None:  # a sweep of dust is nobody's plan
            return
        row.closed_ns, row.end, row.left = now_ns, fact.end, dict(fact.left)
        row.profit = fact.value or ZERO
        row.compensations = fact.compensations
        row.naked_quote_sec = fact.naked_quote_ns / 1_000_000_000


def result_of(holdings: Holdings, fees: Mapping[str, Decimal], marks: Mapping[str, Decimal]) -> Decimal:
    """Realised less fees plus unrealised, since the beginning. `fees` by asset are those that no position bears: one in
    a trade's own base asset is in its position."""
    realised = sum((p.realised * marks.get(p.quote, ZERO) for p in holdings.positions.values()), ZERO)
    charged = sum((v * marks.get(a, ZERO) for a, v in fees.items()), ZERO)
    return realised - charged + holdings.unrealised(marks)


def drawdown(curve: Sequence[Point]) -> Decimal:
    """The deepest fall from a height reached before; the run begins at 0."""
    height, deepest = ZERO, ZERO
    for point in curve:
        height = max(height, point.result)
        deepest = max(deepest, height - point.result)
    return deepest


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p10 to p99 by the nearest rank; empty for nothing."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {f"p{q}": ordered[min(len(ordered) * q // 100, len(ordered) - 1)] for q in QUANTILES}

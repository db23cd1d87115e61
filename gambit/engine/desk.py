"""The desk: opportunities, facts and the passing of time in; facts to journal and commands to carry out.

The contract with the shell around it:
1. Every call gives a `Decision`. Its facts go to the journal in their order, with the time of the call; the fact that
   was handed in is the first of them. Only then are its commands carried out (at `durability = "power"`: after the
   facts are synced). A command whose facts could not be written is dropped, and the fact handed to the desk is Unsent.
2. `deadline_ns` says when to call `on_time` at the latest. Nothing here reads a clock.
3. At the send call itself the gateway asks `may_send`, with the clock of that instant; a refusal comes back as Unsent.
4. At a start: `replay` every record, then `begin` (whose facts have DaemonStarted in their place), then `reconcile`
   every venue and hand in its open and recent orders as ForeignOrderSeen, and only then `consider`.

What decides is gambit.engine.plan, risk, trade and hedge; what is true is gambit.engine.standing. This module asks the
one about the other until nothing is left to do.
"""

from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Final

import msgspec

from gambit.commands import Command, Notify, PlaceOrder
from gambit.engine.admission import judged, latency_ns_of, plan_made, refused, second_thoughts, unplanned
from gambit.engine.answers import cancelling, may_answer, overdue, unknown
from gambit.engine.conditions import Conditions
from gambit.engine.funnel import reason_of_stop
from gambit.engine.hindsight import Hindsight, Wait
from gambit.engine.inquiry import COMPARED_NS, Inquiry
from gambit.engine.limits import SECOND_NS, Execution, Limits
from gambit.engine.order import BY_HISTORY, Executions, Order, Status
from gambit.engine.plan import NoPlan, Opportunity, build
from gambit.engine.reconciliation import (
    Suspicion,
    adoption,
    after_balances,
    after_fills,
    drifted_venues,
    is_lost,
    is_ours,
    lost_orders,
    may_be_ours,
    missing_verdict,
    named,
    nonsense,
    rival,
)
from gambit.engine.risk import Approved, Held, is_loss_limit
from gambit.engine.standing import EXACT, Standing, is_symbol
from gambit.engine.sweep import sweeps
from gambit.engine.trade import Phase, Surroundings, Trade, deadline_ns, next_facts
from gambit.engine.trading_state import Trading
from gambit.engine.vanished import Vanished
from gambit.events import Fact
from gambit.events.operation import DaemonStarted, TradingStateChanged
from gambit.events.orders import (
    AboutOrder,
    Armed,
    BalanceRead,
    Busted,
    CancelAsked,
    Disarmed,
    ExecutionDisputed,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    OpportunityEnded,
    OrderFound,
    OrderIntended,
    OrderMissing,
    PlanClosed,
    PlanRefused,
    PlanStopped,
    ScopeHalted,
    ScopeReleased,
    Unhedged,
)

SUSPICION_NS: Final = 10 * SECOND_NS  # how long a balance has to differ by the same before it is believed
STEPS_MAX: Final = 1000  # facts one call may lead to; more is a bug
CANCELLABLE: Final = (Status.PENDING_SUBMISSION, Status.SUBMITTED, Status.PARTIALLY_FILLED)


class DeskBroken(Exception):
    """The desk went round in circles: a bug of ours; trading stops."""


class Decision(msgspec.Struct):
    """Facts to journal, in order and with the time of the call, and commands to carry out once they are."""

    facts: list[Fact] = []
    commands: list[Command] = []
    at_ns: int = 0


class Desk:
    """One desk. `standing` is what a journal was replayed into, or nothing for a new one."""

    def __init__(self, rules: Execution, limits: Limits, standing: Standing | None = None) -> None:
        self.rules = rules
        self.limits = limits
        self.standing = standing or Standing()
        self.inquiry = Inquiry(rules)
        self.hindsight = Hindsight()
        self.suspicions: dict[str, Suspicion] = {}  # by venue
        self.vanished = Vanished()
        self._is_whole = True
        self._decision = Decision()
        self._now_ns = 0

    # ---- what comes in ----

    def consider(self, opportunity: Opportunity, conditions: Conditions, now_ns: int) -> Decision:
        """An opportunity becomes a plan and its orders, or a refusal with a reason; a known one becomes nothing."""
        with localcontext(EXACT):
            self._begin(now_ns)
            if opportunity.opp_id not in self.standing.state.funnel.open:
                self._plan(opportunity, conditions)
                self._settle_down(conditions)
            return self._end()

    def on_fact(self, fact: Fact, conditions: Conditions, now_ns: int) -> Decision:
        """Something happened."""
        with localcontext(EXACT):
            self._begin(now_ns)
            self._take(fact, conditions)
            self._conclude(conditions)
            return self._end()

    def on_time(self, conditions: Conditions, now_ns: int) -> Decision:
        """Time passed."""
        with localcontext(EXACT):
            self._begin(now_ns)
            self._follow(overdue(list(self.standing.live.values()), self.rules, now_ns))
            self._settle_down(conditions)
            self._counterfactuals(conditions)
            self._follow(list(sweeps(self.standing, self._around(conditions, now_ns))))
            self._conclude(conditions)
            return self._end()

    def begin(self, started: DaemonStarted, conditions: Conditions, now_ns: int) -> Decision:
        """A daemon takes over, after a replay or with nothing: what the journal still owes is stated first, whatever
        was under way is in doubt, and no plan of the life before sends another entry."""
        with localcontext(EXACT):
            self._begin(now_ns)
            self._decision.facts += self.standing.owed
            self.standing.owed.clear()
            self._note(started)
            self._take_up("the daemon started again")
            self._conclude(conditions)
            return self._end()

    def go_on_from(self, standing: Standing, reason: str, conditions: Conditions, now_ns: int) -> Decision:
        """As `begin`, in the life that there is and halted: something broke off within a fact, and the state is another
        one now, which the journal was replayed into."""
        with localcontext(EXACT):
            self.standing, self.inquiry = standing, Inquiry(self.rules, self.inquiry.serial)
            self.hindsight, self.suspicions = Hindsight(), {}
            self._end()
            self._begin(now_ns)
            self._is_whole = True
            self._decision.facts += self.standing.owed
            self.standing.owed.clear()
            self._take_up("the desk was made anew")
            self._halt(reason)
            self._conclude(conditions)
            return self._end()

    def replay(self, fact: object, now_ns: int) -> None:
        """One record of the journal. Raises ReplayDiffers."""
        with localcontext(EXACT):
            self.standing.replay(fact, now_ns)
        self.inquiry.replayed_ns = now_ns

    def reconcile(self, venue: str, conditions: Conditions, now_ns: int, *, is_routine: bool = False) -> Decision:
        """Compare executions and balances with a venue's own: at start, every 30 s and after every reconnect. What is
        `is_routine` goes back to the last answer only."""
        with localcontext(EXACT):
            self._begin(now_ns)
            for symbol in self.inquiry.markets(venue, self.standing, conditions):
                since_ns = self.inquiry.since_ns(venue, symbol, now_ns, is_routine=is_routine)
                self.inquiry.ask_fills(venue, symbol, since_ns, now_ns)
            self.inquiry.ask_balances(venue, now_ns)
            self._conclude(conditions)
            return self._end()

    # ---- what people want ----

    def approve(self, plan: str, by: str, conditions: Conditions, now_ns: int) -> Decision:
        """Let a waiting plan go, after asking every gate again. Raises KeyError for a plan that does not wait."""
        with localcontext(EXACT):
            self._begin(now_ns)
            made = self._waiting(plan).made
            verdict = second_thoughts(made, by, self.held(conditions), self.limits, self.rules, conditions, now_ns)
            self._note(verdict)
            if is_loss_limit(verdict.gates):
                self._halt("the daily loss limit is reached")
            self._conclude(conditions)
            return self._end()

    def reject(self, plan: str, by: str, conditions: Conditions, now_ns: int) -> Decision:
        """Drop a waiting plan. Raises KeyError for a plan that does not wait."""
        with localcontext(EXACT):
            self._begin(now_ns)
            self._note(PlanStopped(plan_id=self._waiting(plan).made.plan_id, reason="rejected", by=by))
            self._conclude(conditions)
            return self._end()

    def cancel(self, key: str, by: str, conditions: Conditions, now_ns: int) -> Decision:
        """Cancel an order of ours. Raises KeyError for one that is not live."""
        with localcontext(EXACT):
            self._begin(now_ns)
            self._cancel(self.standing.live[key], f"asked by {by}")
            self._conclude(conditions)
            return self._end()

    def set_trading(self, state: Trading, reason: str, by: str, conditions: Conditions, now_ns: int) -> Decision:
        """ACTIVE, REDUCING or HALTED; whether `by` may is the caller's to know."""
        fact = self.standing.state.trading.changed(state, reason, by)
        return Decision() if fact is None else self.on_fact(fact, conditions, now_ns)

    def arm(self, by: str, conditions: Conditions, now_ns: int) -> Decision:
        """Live orders may leave for `arm_hours`."""
        return self.on_fact(Armed(by=by, until_ns=now_ns + self.rules.arm_ns), conditions, now_ns)

    def disarm(self, by: str, reason: str, conditions: Conditions, now_ns: int) -> Decision:
        """Live orders may not leave any more."""
        return self.on_fact(Disarmed(by=by, reason=reason), conditions, now_ns)

    def release(self, scope: str, by: str, conditions: Conditions, now_ns: int) -> Decision:
        """A halted symbol or venue may trade again."""
        return self.on_fact(ScopeReleased(scope=scope, by=by), conditions, now_ns)

    # ---- readings ----

    def may_send(self, intent: OrderIntended, now_ns: int) -> str | None:
        """Why a create may not leave at this instant; None when it may (R6)."""
        order = self.standing.state.orders.get(intent.key)
        if order is None or not order.is_live or order.is_sent:
            return "this order is not waiting to be sent"
        if intent.purpose == "entry" and now_ns > order.intended_ns + self.rules.plan_ttl_ns:
            return "the plan expired before it could be sent"
        refusal = self.standing.state.trading.may_send(intent, self.rules.mode, now_ns)
        is_waiting = order.status is Status.PENDING_SUBMISSION  # else it is to be cancelled, or asked about by now
        return refusal or (None if is_waiting else f"this order is {order.status}")

    def deadline_ns(self, conditions: Conditions, now_ns: int) -> int | None:
        """When to call on_time at the latest; None: not before something happens."""
        with localcontext(EXACT):
            around = self._around(conditions, now_ns)
            dues = [deadline_ns(trade, around) for trade in self.standing.open.values()]
            dues += [
                order.changed_ns + self.rules.answer_timeout_ns
                for order in self.standing.live.values()
                if may_answer(order)
            ]
            dues += [self.hindsight.deadline_ns, self.inquiry.deadline_ns]
            return min((due for due in dues if due is not None), default=None)

    @property
    def is_flat(self) -> bool:
        """Whether nothing is live and nothing is left open: what a halt reports as confirmed."""
        return not self.standing.live and not self.standing.open

    def held(self, conditions: Conditions) -> Held:
        """What the gates look at."""
        state = self.standing.state
        return Held(
            holdings=state.holdings,
            trading=state.trading,
            live=tuple(self.standing.live.values()),
            episodes=self.standing.episodes,
            planned_ns=state.planned_ns,
            foreign=tuple(state.foreign.values()),
            marks=conditions.marks(),
        )

    # ---- details ----

    def _take_up(self, why: str) -> None:
        """Whatever was under way is in doubt, and what nobody remembers any more is over."""
        for order in list(self.standing.live.values()):
            self._note(unknown(order, "restart", why))
        for trade in list(self.standing.open.values()):
            if trade.is_open and not trade.stopped:
                self._note(PlanStopped(plan_id=trade.made.plan_id, reason="restart"))
        for opp_id, pending in list(self.standing.state.funnel.open.items()):
            if not pending.plan_id:
                self._note(OpportunityEnded(opp_id=opp_id, symbol=pending.symbol, reason=pending.reason))

    @property
    def is_whole(self) -> bool:
        """Whether every fact it took for true was given out: a call that broke off in the middle gave none."""
        return self._is_whole and not self._decision.facts

    def broken_off(self) -> Decision:
        """What a call that raised had taken for true by then: it is the state, so it has to be in the journal too. Its
        creates are not to be carried out."""
        return self._end()

    def _begin(self, now_ns: int) -> None:
        self._is_whole = self.is_whole
        self._decision = Decision([], [])
        self._now_ns = now_ns

    def _end(self) -> Decision:
        decision, self._decision = self._decision, Decision([], [])
        decision.at_ns = self._now_ns
        return decision

    def _around(self, conditions: Conditions, now_ns: int) -> Surroundings:
        state = self.standing.state
        return Surroundings(
            orders=state.orders, live=tuple(self.standing.live.values()), holdings=state.holdings,
            trading=state.trading, conditions=conditions, rules=self.rules, limits=self.limits, epoch=state.epoch,
            now_ns=now_ns,
        )  # fmt: skip

    def _note(self, fact: Fact) -> None:
        """Make a fact true, and everything that belongs to it. What has to hold when a fact is true is noted before it,
        so that a crash in between leaves something that is decided again, never something forgotten."""
        if len(self._decision.facts) > STEPS_MAX:
            raise DeskBroken(f"one call led to more than {STEPS_MAX} facts, the last of them {type(fact).__name__}")
        if isinstance(fact, PlanClosed):
            self._before_closed(fact)
        elif isinstance(fact, Unhedged):
            self._before_unhedged(fact)
        moves = self.standing.apply(fact, self._now_ns)
        self._decision.facts += [fact, *moves]
        match fact:
            case OrderIntended(adopted=False):
                self._decision.commands.append(PlaceOrder(fact))
            case TradingStateChanged(state="HALTED"):
                self._halted(fact.reason)

    def _notify(self, rule_id: str, severity: str, message: str, scope: str = "") -> None:
        notice = {"rule_id": rule_id, "severity": severity, "message": message, "scope": scope}
        self._decision.commands.append(msgspec.convert(notice, Notify))

    def _halt(self, reason: str) -> None:
        fact = self.standing.state.trading.changed(Trading.HALTED, reason, "desk")
        if fact is not None:
            self._note(fact)

    def _halt_scope(self, scope: str, reason: str) -> None:
        if scope not in self.standing.state.trading.scopes:
            self._note(ScopeHalted(scope=scope, reason=reason))
            self._notify("scope_halted", "high", f"{scope} is halted: {reason}", scope)

    def _halted(self, reason: str) -> None:
        self._notify("halted", "critical", f"trading is halted: {reason}")
        for order in list(self.standing.live.values()):
            self._cancel(order, "halted")
        for trade in list(self.standing.open.values()):
            if trade.is_open and not trade.stopped:
                self._note(PlanStopped(plan_id=trade.made.plan_id, reason="halted"))

    def _cancel(self, order: Order, reason: str) -> None:
        intent = order.intent
        self._note(CancelAsked(key=intent.key, venue=intent.venue, reason=reason))
        self._decision.commands.append(cancelling(order))

    def _before_closed(self, fact: PlanClosed) -> None:
        trade = self.standing.state.trades[fact.plan_id]
        opp_id = trade.made.opp_id
        if opp_id in self.standing.state.funnel.open:
            profit, latency_ns = self.hindsight.known.pop(opp_id, (None, 0))
            if trade.is_traded:
                self._end_opportunity(opp_id, "traded", None, 0)
            elif not self.hindsight.awaits(opp_id):  # else it ends when that is due
                self._end_opportunity(opp_id, reason_of_stop(trade.stopped), profit, latency_ns)
        if fact.end == "position":
            for symbol in trade.symbols_of(fact.left):
                self._halt_scope(f"symbol:{symbol}", f"plan {fact.plan_id} left a position")

    def _before_unhedged(self, fact: Unhedged) -> None:
        self._notify(
            "unhedged", "critical", f"{fact.qty:f} {fact.asset} of plan {fact.plan_id}: {fact.reason}", fact.symbol
        )
        for symbol in self.standing.state.trades[fact.plan_id].symbols_of([fact.asset]):
            self._halt_scope(f"symbol:{symbol}", f"unhedged: {fact.reason}")
        if fact.notional > self.limits.max_imbalance_quote:
            self._halt(f"{fact.notional:f} unhedged in {fact.symbol}: {fact.reason}")

    def _plan(self, opportunity: Opportunity, conditions: Conditions) -> None:
        made = build(opportunity, conditions, self.rules, self._now_ns)
        if isinstance(made, NoPlan):
            self._refuse(opportunity, unplanned(opportunity, made), conditions)
            return
        verdict = judged(made, self.held(conditions), self.limits, conditions, self._now_ns)
        if isinstance(verdict, Approved):
            self._note(plan_made(verdict, self.standing, self.rules))
            self._wait_for(opportunity, conditions)
            return
        if verdict.is_loss_limit:
            self._halt("the daily loss limit is reached")
        self._refuse(opportunity, refused(verdict), conditions)

    def _refuse(self, opportunity: Opportunity, fact: PlanRefused, conditions: Conditions) -> None:
        self._note(fact)
        self._wait_for(opportunity, conditions)

    def _wait_for(self, opportunity: Opportunity, conditions: Conditions) -> None:
        latency_ns = latency_ns_of(opportunity, conditions)
        for each in self.hindsight.add(opportunity, latency_ns, self._now_ns):
            self._would_have_earned(each, None)

    def _counterfactuals(self, conditions: Conditions) -> None:
        for each in self.hindsight.due(self._now_ns):
            timeless = msgspec.structs.replace(each.opportunity, recv_ns=self._now_ns)
            made = build(timeless, conditions, self.rules, self._now_ns)
            self._would_have_earned(each, made.expected_profit)

    def _would_have_earned(self, wait: Wait, profit: Decimal | None) -> None:
        """The end of an opportunity that was refused, or whose plan is over; an open plan's waits for that."""
        opp_id = wait.opportunity.opp_id
        pending = self.standing.state.funnel.open.get(opp_id)
        if pending is not None and pending.plan_id:
            self.hindsight.known[opp_id] = profit, wait.latency_ns
        elif pending is not None:
            self._end_opportunity(opp_id, pending.reason, profit, wait.latency_ns)

    def _end_opportunity(self, opp_id: str, reason: str, profit: Decimal | None, latency_ns: int) -> None:
        name = self.standing.state.funnel.open[opp_id].symbol
        end = OpportunityEnded(opp_id=opp_id, symbol=name, reason=reason, counterfactual=profit, latency_ns=latency_ns)
        self._note(end)

    def _take(self, fact: Fact, conditions: Conditions) -> None:
        """A fact from outside, and what it says about others. Nonsense is said and left out: the order it is about gets
        no answer, is in doubt in time, and asked about."""
        wrong = nonsense(fact)
        if wrong:
            venue = getattr(fact, "venue", "")
            self._notify("nonsense", "high", f"{venue}: {type(fact).__name__} with {wrong}", venue)
            return
        match fact:
            case Filled():
                self._adopt(lost_orders([fact], self.standing, self.rules), conditions)
                self._take_fill(fact, is_history=False)
            case FillsRead():
                self._note(fact)
                self._adopt(lost_orders(fact.fills, self.standing, self.rules), conditions)
                self.inquiry.heard(fact)
                self.vanished.heard(fact, self.standing.lately(is_thorough=fact.venue in self.suspicions))
                for fill in fact.fills:
                    self._take_fill(fill, is_history=True)
                self._follow(after_fills(fact, self.standing))
            case BalanceRead():
                self._note(fact)
                self._balance_read(fact, conditions)
            case OrderFound():
                self._note(fact)
                order = self.standing.live.get(fact.key)
                if order is not None and self.inquiry.is_to_cancel(order, self._now_ns):
                    self._cancel(order, f"{order.intent.tif} and rests")
            case OrderMissing():
                self._note(fact)
                self._follow(missing_verdict(fact, self.standing, self.rules))
            case ForeignOrderSeen():
                self._foreign(fact, conditions)
            case _:
                self._note(fact)
        if isinstance(fact, AboutOrder):
            self._rival(fact.key)

    def _follow(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._note(fact)

    def _take_fill(self, fact: Filled, *, is_history: bool) -> None:
        judgement = self.standing.judge(fact)
        if judgement == "known":
            return
        if judgement == "disputed":
            kept = self.standing.content_of(fact)
            other = Executions.content(fact)
            self._note(ExecutionDisputed(
                venue=fact.venue, symbol=fact.symbol, exec_id=fact.exec_id, kept=kept, refused=other,
            ))  # fmt: skip
            text = f"{fact.venue} {fact.symbol} {fact.exec_id}: two contents"
            self._notify("execution_disputed", "high", text, fact.venue)
            if not is_history:
                self.inquiry.ask_fills(fact.venue, fact.symbol, self._now_ns, self._now_ns)
            if not is_history or not kept:  # of a packed foreign one nobody knows any more what to take back
                return
            self._note(
                Busted(
                    venue=fact.venue, symbol=fact.symbol, exec_id=fact.exec_id, reason=BY_HISTORY, account=fact.account
                )
            )
        fact = named(fact, self.standing)
        owner = self.standing.owner(fact)
        if owner is None and may_be_ours(fact, self.standing):
            return  # it is listed again once that order is found, or proven absent
        was_over = owner is not None and not owner.is_live
        self._note(fact)
        if owner is None:
            text = f"{fact.venue} {fact.symbol} {fact.exec_id}: not of an order of ours"
            self._notify("foreign_fill", "high", text, fact.venue)
            self._rival(fact.key)
            if not is_symbol(fact.symbol):
                self.inquiry.ask_balances(fact.venue, self._now_ns)
        elif was_over or owner.filled_qty > owner.qty:
            text = f"order {owner.intent.key}: executed after its end or beyond its size"
            self._notify("late_fill", "high", text, fact.venue)
        for venue in drifted_venues(self.standing, self.limits):
            self._halt_scope(f"venue:{venue}", "it charges more than its fee tier says")

    def _balance_read(self, fact: BalanceRead, conditions: Conditions) -> None:
        """A difference counts when it is still the same after all executions were listed once more."""
        found, traded = list(after_balances(fact, self.standing)), self.standing.state.holdings.traded
        # What an asset opens with is clear where nothing was executed yet; else an execution may be on its way.
        clear = [one for one in found if one.reason == "opening" and f"{one.venue}|{one.asset}" not in traded]
        self._follow(clear)
        differences = [one for one in found if one not in clear]
        suspicion = self.suspicions.pop(fact.venue, None)
        if not differences:
            return
        deltas = {one.asset: one.delta for one in differences}
        symbols = self.inquiry.markets(fact.venue, self.standing, conditions)
        is_proven = suspicion is not None and suspicion.deltas == deltas
        if suspicion is None or not is_proven:
            suspicion = Suspicion(deltas, fact.asked_ns)
        is_ripe = fact.asked_ns >= suspicion.asked_ns + SUSPICION_NS
        if not is_proven or not is_ripe or not self.inquiry.has_read(fact.venue, symbols, suspicion.asked_ns):
            self.suspicions[fact.venue] = suspicion
            for symbol in symbols:
                self.inquiry.ask_fills(fact.venue, symbol, self._now_ns - COMPARED_NS, self._now_ns)
            self.inquiry.ask_balances(fact.venue, self._now_ns + self.rules.query_interval_max_ns)
            return
        busts = self.vanished.explaining(fact.venue, differences)
        for bust in busts:
            self._note(bust)
        for corrected in () if busts else differences:
            self._note(corrected)
            if corrected.reason == "opening":
                continue
            text = f"{fact.venue} {corrected.asset}: {corrected.delta:f} off its executions"
            self._notify("balance_difference", "high", text, fact.venue)
            mark = conditions.marks().get(corrected.asset)
            if mark is None or abs(corrected.delta) * mark > self.limits.max_balance_difference:
                self._halt(text)

    def _foreign(self, fact: ForeignOrderSeen, conditions: Conditions) -> None:
        """An order on the account that the venue told of unasked, or in its list of open and recent ones."""
        if is_ours(fact, self.standing):
            return
        if is_lost(fact.client_id, self.standing, self.rules) and is_symbol(fact.symbol):
            self._adopt([fact], conditions)
            return
        is_news = f"{fact.venue}|{fact.venue_order_id}" not in self.standing.state.foreign
        self._note(fact)
        if is_news and fact.is_open:
            self._notify("foreign_order", "high", f"{fact.venue}: order {fact.venue_order_id} is not ours", fact.venue)
        self._rival(fact.client_id)

    def _adopt(self, lost: Iterable[ForeignOrderSeen], conditions: Conditions) -> None:
        for fact in lost:
            self._follow(adoption(fact, self.standing, self.rules, conditions))
            text = f"{fact.venue}: order {fact.client_id} is not in the journal"
            self._notify("order_adopted", "high", text, fact.venue)

    def _rival(self, key: str) -> None:
        reason = rival(key, self.standing, self.rules)
        if reason:
            self._halt(reason)

    def _settle_down(self, conditions: Conditions) -> None:
        """Ask the open episodes for their next step until none has one."""
        while True:
            around = self._around(conditions, self._now_ns)
            steps = next((found for trade in self.standing.open.values() if (found := next_facts(trade, around))), [])
            if not steps:
                break
            self._follow(steps)
        if self.standing.state.trading.state is Trading.HALTED:
            for order in list(self.standing.live.values()):
                if order.status in CANCELLABLE:
                    self._cancel(order, "halted")

    def _conclude(self, conditions: Conditions) -> None:
        """Settle down, then see what is to be asked of the venues; a fresh opportunity does not wait for that."""
        self._settle_down(conditions)
        self._ask()

    def _ask(self) -> None:
        commands, alarms = self.inquiry.due(self.standing, self._now_ns)
        self._decision.commands += commands
        for key in alarms:
            self._notify("order_in_doubt", "high", f"order {key} is in doubt and the venue does not say", key)

    def _waiting(self, plan: str) -> Trade:
        trade = self.standing.open[plan]
        if trade.phase is not Phase.WAITING:
            raise KeyError(plan)
        return trade

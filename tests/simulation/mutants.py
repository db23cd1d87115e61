"""Planted bugs, each the brother of one that cost somebody money; the simulation has to catch every one."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import msgspec

from gambit.commands import PlaceOrder
from gambit.engine import answers, archive, desk, hedge, order, plan, reconciliation, risk, standing, trade
from gambit.engine.conditions import BookView
from gambit.engine.order import On, Order, Status
from gambit.engine.trading_state import Trading
from gambit.events.orders import AbsentProven, DustMoved, OutcomeUnknown, PlanClosed, Rejected
from gambit.runtime.dealing import Dealing
from tests.simulation import shell
from tests.simulation.household import Disk

D = Decimal
Mutant = Callable[[], AbstractContextManager[Any]]


def replaced(owner: Any, name: str, change: Callable[[Any], Any]) -> Mutant:
    """A bug: one function is another one."""

    @contextmanager
    def planted() -> Iterator[None]:
        with patch.object(owner, name, change(getattr(owner, name))):
            yield

    return planted


def _timeout_is_failed(original: Any) -> Any:
    def unknown(subject: Order, during: str, reason: str) -> Any:
        if during == "create":
            return Rejected(key=subject.intent.key, venue=subject.intent.venue, code="timeout")
        return original(subject, during, reason)

    return unknown


def _missing_once_is_gone(original: Any) -> Any:
    def verdict(fact: Any, where: Any, rules: Any) -> Iterator[AbsentProven]:
        subject = where.live.get(fact.key)
        is_doubtful = subject is not None and subject.status is Status.IN_DOUBT
        if is_doubtful and not subject.filled_qty and not subject.waits_for_fills:
            yield AbsentProven(key=fact.key, venue=fact.venue, asked_ns=fact.asked_ns, provable_ns=0)

    return verdict


def _journal_after_sending(original: Any) -> Any:
    def carry_out(self: Any, decision: Any) -> None:
        for command in decision.commands:
            if isinstance(command, PlaceOrder):
                self.send(command)
        kept = [command for command in decision.commands if not isinstance(command, PlaceOrder)]
        original(self, desk.Decision(decision.facts, kept))

    return carry_out


def _no_compensation(original: Any) -> Any:
    def balance(subject: Any, around: Any) -> Any:
        return [
            fact if isinstance(fact, PlanClosed) else trade._closed(subject, "flat", {}, around)
            for fact in original(subject, around)[:1]
        ]

    return balance


def _label_is_truth(original: Any) -> Any:
    def close(self: Order, on: On, cum_qty: Decimal, moves: Any) -> None:
        original(self, on, min(cum_qty, self.filled_qty), moves)

    return close


def _no_dedupe(original: Any) -> Any:
    return lambda self, fact: "new"


def _resend(original: Any) -> Any:
    def hear(self: Any, fact: Any) -> None:
        original(self, fact)
        subject = self.desk.standing.live.get(getattr(fact, "key", ""))
        if isinstance(fact, OutcomeUnknown) and fact.during == "create" and subject is not None:
            self.send(PlaceOrder(subject.intent))

    return hear


def _blind_compensation(original: Any) -> Any:
    def next_facts(subject: Any, around: Any) -> Any:
        doubtful = [o for key in subject.keys if (o := around.orders[key]).is_live]
        if doubtful and subject.is_open and subject.net and all(o.status is Status.IN_DOUBT for o in doubtful):
            return trade._balance(subject, around)
        return original(subject, around)

    return next_facts


def _late_fill_dropped(original: Any) -> Any:
    def filled(self: Any, fact: Any, now_ns: int) -> Any:
        owner = self.owner(fact)
        return iter(()) if owner is not None and not owner.is_live else original(self, fact, now_ns)

    return filled


def _bust_ignored(original: Any) -> Any:
    return lambda self, fact, now_ns: iter(())


def _base_fee_ignored(original: Any) -> Any:
    def execute(self: Any, intent: Any, qty: Any, price: Any, fee: Any, now_ns: int) -> None:
        original(self, intent, qty, price, (D(0), fee[1]), now_ns)

    return execute


def _kill_is_advice(original: Any) -> Any:
    return lambda self, intent, now_ns: None


def _doubt_is_free(original: Any) -> Any:
    return property(lambda self: D(0) if self.status is Status.IN_DOUBT else original.fget(self))


def _no_backfill(original: Any) -> Any:
    def take_fill(self: Any, fact: Any, *, is_history: bool) -> None:
        if not is_history:
            original(self, fact, is_history=is_history)

    return take_fill


def _balance_believed_at_once(original: Any) -> Any:
    def read(self: Any, fact: Any, conditions: Any) -> None:
        for corrected in desk.after_balances(fact, self.standing):
            self._note(corrected)

    return read


def _forgets_at_restart(original: Any) -> Any:
    def begin(self: Any, started: Any, conditions: Any, now_ns: int) -> Any:
        self.standing.owed.clear()
        return original(self, started, conditions, now_ns)

    return begin


def _packed_for_good(original: Any) -> Any:
    return lambda self, place, now_ns: None


def _packed_is_forgotten(original: Any) -> Any:
    return lambda self, name: None


def _one_key_for_all(original: Any) -> Any:
    return lambda prefix, epoch, number, idempotency: original(prefix, epoch, 1, idempotency.rpartition("|")[0][-20:])


def _never_alarmed(original: Any) -> Any:
    def give_up(subject: Any, large: Any, reason: str, around: Any) -> Any:
        return original(subject, large, reason, around)[-1:]

    return give_up


def _handlers(kind: type, change: Callable[[Any], Any]) -> Mutant:
    @contextmanager
    def planted() -> Iterator[None]:
        with patch.dict(standing._HANDLERS, {kind: change(standing._HANDLERS[kind])}):
            yield

    return planted


def _sends_again_at_a_start(original: Any) -> Any:
    def boot(self: Any) -> None:
        was_up = self.is_up
        original(self)
        for subject in list(self.desk.standing.live.values()) if not was_up else ():
            self.send(PlaceOrder(subject.intent))

    return boot


def _wrong_side(original: Any) -> Any:
    def hedge(found: Any, attempt: int, refused: Any, around: Any) -> Any:
        return original(dataclasses.replace(found, qty=-found.qty), attempt, refused, around)

    return hedge


def _rounded_up(original: Any) -> Any:
    del original
    return plan.ceiling


def _not_rounded(original: Any) -> Any:
    del original
    return lambda value, step: value


def _no_dust_book(original: Any) -> Any:
    def balance(subject: Any, around: Any) -> Any:
        return [fact for fact in original(subject, around) if not isinstance(fact, DustMoved)]

    return balance


def _nothing(original: Any) -> Any:
    del original
    return lambda *args: []


def _gate(name: str) -> Mutant:
    """A gate that lets everything through."""

    @contextmanager
    def planted() -> Iterator[None]:
        original = getattr(risk, name)

        def open_gate(case: Any) -> Any:
            return msgspec.structs.replace(original(case), ok=True)

        with patch.object(risk, "GATES", tuple(open_gate if gate is original else gate for gate in risk.GATES)):
            yield

    return planted


def _closed_is_open() -> AbstractContextManager[Any]:
    """The gate looks at books only."""
    original = risk._venue_health

    def open_gate(case: Any) -> Any:
        verdict = original(case)
        return msgspec.structs.replace(verdict, ok="no usable book" not in verdict.value)

    return patch.object(risk, "GATES", tuple(open_gate if gate is original else gate for gate in risk.GATES))


def _no_collar(original: Any) -> Any:
    def on(found: Any, attempt: int, book: Any, venue: Any, instrument: Any, around: Any) -> Any:
        wide = dataclasses.replace(around.rules, collar_bps=D(900), loss_budget_bps=D(900))
        return original(found, attempt, book, venue, instrument, dataclasses.replace(around, rules=wide))

    return on


def _halt_is_forgotten(original: Any) -> Any:
    def begin(self: Any, started: Any, conditions: Any, now_ns: int) -> Any:
        self.standing.state.trading.state = Trading.ACTIVE
        return original(self, started, conditions, now_ns)

    return begin


def _nameless_is_foreign(original: Any) -> Any:
    del original
    return lambda fact, where: fact


def _retries_anything(original: Any) -> Any:
    def compensation(subject: Any, one: Any, route: Any, around: Any) -> Any:
        facts = original(subject, one, route, around)
        return [msgspec.structs.replace(fact, retry_of=subject.keys[0]) for fact in facts]

    return compensation


async def _at_once(self: Any, seq: int) -> None:
    """A wait that does not wait."""


def _before_it_is_written() -> AbstractContextManager[Any]:
    return patch.multiple(
        Disk,
        append_now=lambda self, fact, ts_ns: self.append(fact, ts_ns),
        until_written=_at_once,
        until_synced=_at_once,
    )


def _before_it_is_synced() -> AbstractContextManager[Any]:
    return patch.object(Disk, "until_synced", Disk.until_written)


def _does_not_ask_again(original: Any) -> Any:
    def hand_over(self: Any, command: Any) -> Any:
        with patch.object(self.desk, "may_send", lambda intent, now_ns: None):
            return original(self, command)

    return hand_over


MUTANTS: dict[str, Mutant] = {
    "a timeout counts as failed": replaced(answers, "unknown", _timeout_is_failed),
    "not found once counts as gone": replaced(desk, "missing_verdict", _missing_once_is_gone),
    "the intent is journalled after the send": replaced(shell.Shell, "carry_out", _journal_after_sending),
    "nothing is compensated": replaced(trade, "_balance", _no_compensation),
    "canceled is believed before its fills": replaced(Order, "_close", _label_is_truth),
    "executions are not deduplicated": replaced(order.Executions, "judge", _no_dedupe),
    "an unknown create is sent again": replaced(shell.Shell, "hear", _resend),
    "compensation does not wait for doubts": replaced(desk, "next_facts", _blind_compensation),
    "late fills are dropped": _handlers(standing.Filled, _late_fill_dropped),
    "busts are ignored": _handlers(standing.Busted, _bust_ignored),
    "a fee in base is not owed": replaced(trade.Trade, "execute", _base_fee_ignored),
    "the kill switch is not asked at the send": replaced(desk.Desk, "may_send", _kill_is_advice),
    "doubt needs no reserve": replaced(Order, "open_qty", _doubt_is_free),
    "missed executions are not fetched": replaced(desk.Desk, "_take_fill", _no_backfill),
    "a balance is believed at once": replaced(desk.Desk, "_balance_read", _balance_believed_at_once),
    "what a crash cut off is not stated": replaced(desk.Desk, "begin", _forgets_at_restart),
    "keys ignore the plan": replaced(trade, "client_order_id", _one_key_for_all),
    "what is packed stays packed": replaced(standing.Standing, "_recall", _packed_for_good),
    "packed executions are forgotten": replaced(archive.Archive, "place_of_execution", _packed_is_forgotten),
    "giving up is silent": replaced(trade, "_give_up", _never_alarmed),
    "a start sends again what was under way": replaced(shell.Shell, "boot", _sends_again_at_a_start),
    "compensation goes the wrong way": replaced(trade, "hedge", _wrong_side),
    "a compensation is rounded up to the lot": replaced(hedge, "floor", _rounded_up),
    "entries are not rounded": replaced(plan, "floor", _not_rounded),
    "dust is not booked": replaced(trade, "_balance", _no_dust_book),
    "a compensation knows no collar": replaced(hedge, "_on", _no_collar),
    "the naked-exposure budget is ignored": replaced(trade, "_naked", lambda _: lambda subject, around: D(0)),
    "compensation never ends": replaced(trade, "_exhausted", lambda _: lambda subject, around: ""),
    "anything may be retried": replaced(trade, "_compensation", _retries_anything),
    "balances in flight are not reserved": replaced(risk, "reserved", lambda _: lambda orders: {}),
    "what is in flight is not limited": _gate("_max_in_flight"),
    "books are not looked at": replaced(BookView, "is_usable", lambda _: lambda self, now_ns, age_ns: True),
    "closed venues are traded on": _closed_is_open,
    "a venue may charge what it likes": replaced(desk, "drifted_venues", _nothing),
    "another daemon is nobody's business": replaced(desk.Desk, "_rival", _nothing),
    "a halt ends with the process": replaced(desk.Desk, "begin", _halt_is_forgotten),
    "an execution without our name is foreign": replaced(desk, "named", _nameless_is_foreign),
}
assert reconciliation.missing_verdict is desk.missing_verdict

# Those of the shell around the desk: what coroutines do that wait.
TASK_MUTANTS: dict[str, Mutant] = {
    "an order leaves before its intent is written": _before_it_is_written,
    "an order leaves before its intent is synced": _before_it_is_synced,
    "the switch is not asked again after a wait": replaced(Dealing, "_hand_over", _does_not_ask_again),
}

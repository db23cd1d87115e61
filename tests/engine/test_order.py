"""The life of one order: its table, its quantities, its doubts."""

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gambit.engine.order import (
    BY_HISTORY,
    EDGES,
    LIVE,
    OVER,
    Executions,
    LifeBroken,
    On,
    Order,
    Status,
    diagram,
    states,
)
from gambit.events.orders import (
    AbsentProven,
    Acked,
    AmendAsked,
    Amended,
    AmendRejected,
    Busted,
    CancelAsked,
    CancelRejected,
    Expired,
    OrderSettled,
    OutcomeUnknown,
    Rejected,
    Sent,
    Unsent,
)
from tests.engine.orders import SECOND, D, cancelled, filled, found, missing, order

ROOT = Path(__file__).parent.parent.parent


def about(kind: Any, of: Order, **fields: Any) -> Any:
    """A fact about an order."""
    return kind(key=of.intent.key, venue=of.intent.venue, **fields)


def sent(of: Order) -> Any:
    return about(Sent, of)


def acked(of: Order) -> Any:
    return about(Acked, of, venue_order_id="v1")


def unknown(of: Order, during: Any = "create") -> Any:
    return about(OutcomeUnknown, of, during=during, reason="timeout")


def told(of: Order, *facts: Any) -> list[str]:
    """The statuses an order walks through."""
    return [str(move.status) for fact in facts for move in of.apply(fact, 1)]


STORIES: dict[str, tuple[list[Any], list[str]]] = {
    "acknowledged, then filled in two": (
        [sent, acked, ("f", "e1", "4"), ("f", "e2", "6")],
        ["submitted", "partially_filled", "filled"],
    ),
    "F11: the fill outruns the acknowledgement": (
        [sent, ("f", "e1", "4"), acked, ("f", "e2", "6")],
        ["submitted", "partially_filled", "filled"],
    ),
    "F12: rejected before the send was noted": ([("reject",), sent], ["failed"]),
    "F01: in doubt, then found resting": ([sent, unknown, ("open", "0")], ["submitted", "in_doubt", "submitted"]),
    "F02: in doubt, then found filled; the executions come later": (
        [sent, unknown, ("done", "10"), ("f", "e1", "10")],
        ["submitted", "in_doubt", "filled"],
    ),
    "F22: cancelled with 7, before the fills that make 7": (
        [sent, acked, ("cancelled", "7"), ("f", "e1", "3"), ("f", "e2", "4")],
        ["submitted", "partially_filled", "partially_filled", "canceled"],
    ),
    "F20: the rest fills while the cancel travels": (
        [sent, acked, ("f", "e1", "4"), ("cancel",), ("f", "e2", "6"), ("cancelled", "10")],
        ["submitted", "partially_filled", "pending_cancel", "filled"],
    ),
    "F21: the cancel is refused, the order is asked for and was filled": (
        [sent, acked, ("cancel",), ("cancel_rejected",), ("done", "10"), ("f", "e1", "10")],
        ["submitted", "pending_cancel", "in_doubt", "filled"],
    ),
    "F33: the venue says filled with 7 of 10": (
        [sent, acked, ("f", "e1", "7"), ("done", "7")],
        ["submitted", "partially_filled", "canceled"],
    ),
    "F23: a fill after the end": (
        [sent, ("cancelled", "0"), ("f", "e1", "4"), ("f", "e2", "6")],
        ["submitted", "canceled", "canceled", "filled"],
    ),
    "F28: more than was asked for": (
        [sent, ("f", "e1", "10"), ("f", "e2", "1")],
        ["submitted", "filled", "filled"],
    ),
    "F04: proven absent, and yet it appears": (
        [sent, unknown, ("absent",), acked, ("open", "0")],
        ["submitted", "in_doubt", "failed", "in_doubt", "submitted"],
    ),
    "a refused order that fills is in doubt": (
        [sent, ("reject",), ("f", "e1", "4"), ("done", "4")],
        ["submitted", "failed", "in_doubt", "canceled"],
    ),
    "a rejection after a fill contradicts": (
        [sent, ("f", "e1", "4"), ("reject",)],
        ["submitted", "partially_filled", "in_doubt"],
    ),
    "unsent is certain": ([("unsent",)], ["failed"]),
    "unsent is certain after a doubt too": ([unknown, ("unsent",)], ["in_doubt", "failed"]),
    "unsent of what was sent contradicts": ([sent, unknown, ("unsent",)], ["submitted", "in_doubt", "in_doubt"]),
    "the create's late acknowledgement does not answer for the cancel": (
        [sent, ("cancel",), ("unknown_cancel",), acked],
        ["submitted", "pending_cancel", "in_doubt"],
    ),
    "the create's late acknowledgement answers for the create": (
        [sent, unknown, acked],
        ["submitted", "in_doubt", "submitted"],
    ),
    "expired with a part": (
        [sent, ("f", "e1", "4"), ("expired", "4")],
        ["submitted", "partially_filled", "expired"],
    ),
    "F36: an amendment races a fill": (
        [sent, acked, ("amend", "4"), ("f", "e1", "4"), ("amended", "4")],
        ["submitted", "pending_amend", "pending_amend", "partially_filled", "filled"],
    ),
    "an amendment is refused": (
        [sent, acked, ("amend", "4"), ("amend_rejected",), ("open", "0")],
        ["submitted", "pending_amend", "in_doubt", "submitted"],
    ),
    "settled": (
        [sent, ("f", "e1", "10"), ("settled", "e1")],
        ["submitted", "filled", "reconciled"],
    ),
    "a fill after the settlement": (
        [sent, ("f", "e1", "4"), ("cancelled", "4"), ("settled", "e1"), ("f", "e2", "1")],
        ["submitted", "partially_filled", "canceled", "reconciled", "canceled"],
    ),
}


def fact_of(step: Any, of: Order) -> Any:
    """The fact a story's step means."""
    if callable(step):
        return step(of)
    match step:
        case ("f", exec_id, qty):
            return filled(of, exec_id, qty)
        case ("open", cum):
            return found(of, "open", cum)
        case ("done", cum):
            return found(of, "filled", cum)
        case ("cancelled", cum):
            return cancelled(of, cum)
        case ("expired", cum):
            return about(Expired, of, cum_qty=D(cum))
        case ("amend" | "amended" as word, qty):
            return about(AmendAsked if word == "amend" else Amended, of, qty=D(qty), price=D(100))
        case ("settled", *ids):
            return settled(of, tuple(ids))
        case (word,):
            plain: dict[str, tuple[Any, dict[str, Any]]] = {
                "reject": (Rejected, {"code": "1"}),
                "cancel": (CancelAsked, {"reason": "test"}),
                "cancel_rejected": (CancelRejected, {"code": "1"}),
                "amend_rejected": (AmendRejected, {"code": "1"}),
                "unsent": (Unsent, {"reason": "no circuit"}),
                "absent": (AbsentProven, {"asked_ns": 9, "provable_ns": 8}),
                "unknown_cancel": (OutcomeUnknown, {"during": "cancel", "reason": "cut"}),
            }
            kind, fields = plain[word]
            return about(kind, of, **fields)
    raise AssertionError(step)


def settled(of: Order, exec_ids: tuple[str, ...]) -> OrderSettled:
    return about(
        OrderSettled,
        of,
        order_id=of.intent.order_id,
        settlement_id="s",
        base_net=D(0),
        quote_net=D(0),
        fees={},
        exec_ids=exec_ids,
    )


@pytest.mark.parametrize("name", STORIES)
def test_stories(name: str) -> None:
    """Facts in, statuses out, in the words of the fault catalogue."""
    steps, statuses = STORIES[name]
    subject = order()
    assert told(subject, *[fact_of(step, subject) for step in steps]) == statuses


def test_labels_on_an_order_that_ended_are_old_news() -> None:
    """Nothing that only repeats or trails the end moves an order again."""
    subject = order()
    told(subject, sent(subject), filled(subject, "e1", "10"))
    late = [acked(subject), cancelled(subject, "10"), unknown(subject), found(subject, "open"), missing(subject, 9)]
    assert told(subject, *late) == []
    assert subject.status is Status.FILLED


def test_an_older_answer_is_ignored() -> None:
    """F16: of two questions under way the later asked one counts, whatever comes last."""
    subject = order()
    told(subject, sent(subject), unknown(subject), found(subject, "open", query_id=5))
    assert told(subject, found(subject, "canceled", query_id=4)) == []
    assert subject.status is Status.SUBMITTED


def test_an_answer_about_another_order_is_ignored() -> None:
    """F19: a venue's id that is not this order's changes nothing."""
    subject = order()
    told(subject, sent(subject), acked(subject), unknown(subject, "stream"))
    assert told(subject, found(subject, "canceled", "3", venue_order_id="other")) == []


def test_absence_is_provable_only_after_the_window() -> None:
    """R2: send + validity window + margin; never without a window; a restart moves the send to the boot."""
    subject = order()
    subject.apply(sent(subject), 2 * SECOND)
    assert subject.provable_ns(SECOND) == 8 * SECOND
    assert order(window_ns=None).provable_ns(SECOND) is None
    unsure = order()
    unsure.apply(about(OutcomeUnknown, unsure, during="restart", reason="boot"), 60 * SECOND)
    assert unsure.provable_ns(SECOND) == 66 * SECOND


def test_what_may_still_fill() -> None:
    """Worst case: all of a live order, what the venue named of a closing one, nothing of one that is over."""
    subject = order()
    assert subject.open_qty == 10
    told(subject, sent(subject), filled(subject, "e1", "3"), cancelled(subject, "7"))
    assert (subject.open_qty, subject.waits_for_fills) == (4, True)
    told(subject, filled(subject, "e2", "4"))
    assert (subject.open_qty, subject.waits_for_fills) == (0, False)
    doubtful = order()
    told(doubtful, sent(doubtful), unknown(doubtful))
    assert doubtful.open_qty == 10


def test_a_bust_takes_a_quantity_back() -> None:
    """F32: once, with the order's status by what is left."""
    subject = order()
    told(subject, sent(subject), filled(subject, "e1", "4"), filled(subject, "e2", "6"))
    assert [str(m.status) for m in subject.bust("e2", 5)] == ["canceled"]
    assert subject.bust("e2", 6) == []
    assert (subject.filled_qty, subject.filled_quote) == (4, 400)
    part = order()
    told(part, sent(part), filled(part, "e1", "4"))
    assert [str(m.status) for m in part.bust("e1", 5)] == ["submitted"]


def test_our_own_mistakes_raise() -> None:
    """A move that we ask for and the table does not have is a bug, named with both sides."""
    subject = order()
    told(subject, sent(subject), filled(subject, "e1", "10"))
    with pytest.raises(LifeBroken, match="cancel_asked is no move of an order that is filled"):
        subject.apply(about(CancelAsked, subject, reason="x"), 1)
    with pytest.raises(LifeBroken, match="retried"):
        subject.end(On.RETRIED)
    with pytest.raises(LifeBroken, match="no fact about an order"):
        subject.apply("nonsense", 1)


def test_what_cannot_be_walked() -> None:
    """A refusal of an order with executions is a contradiction; what was executed is submitted no more."""
    part = order()
    told(part, sent(part), filled(part, "e1", "4"))
    assert [move.on for move in part.apply(about(Rejected, part, code="1"), 2)] == [On.CONTRADICTION]
    assert EDGES[Status.PARTIALLY_FILLED, On.REJECTED] == (Status.FAILED,)  # product.md names it all the same
    whole = order()
    told(whole, sent(whole))
    with pytest.raises(KeyError):
        whole.bust("e1", 5)
    assert {s for s in LIVE if (s, On.BUST) not in EDGES} == {Status.PENDING_SUBMISSION, Status.SUBMITTED}


def test_verdicts_of_the_desk() -> None:
    """failed becomes retried or aborted, canceled becomes compensated, in product.md's words."""
    dead = order()
    told(dead, about(Rejected, dead, code="1"))
    assert [str(m.status) for m in dead.end(On.RETRIED)] == ["retried"]
    gone = order()
    told(gone, sent(gone), cancelled(gone, "0"))
    assert [str(m.status) for m in gone.end(On.COMPENSATED)] == ["compensated"]


def test_executions_are_admitted_once() -> None:
    """F24 to F26: by venue, account, symbol and id; other content under a known id is disputed."""
    subject = order()
    index = Executions()
    fact = filled(subject, "e1", "4")
    assert index.judge(fact) == "new"
    assert index.judge(fact) == "new"  # F31: marked only after it was applied
    index.mark(fact, fact.key)
    assert index.judge(fact) == "known"
    assert index.judge(filled(subject, "e1", "4.000")) == "known"
    assert index.judge(filled(subject, "e1", "5")) == "disputed"
    busted = Busted(venue="a", symbol="BTC-USDT", exec_id="e1")
    assert (index.bust(busted), index.bust(busted)) == (fact.key, None)
    assert index.judge(fact) == "known"  # a repetition from before the bust stays out
    assert index.judge(filled(subject, "e1", "5")) == "disputed"
    index.bust(Busted(venue="a", symbol="BTC-USDT", exec_id="e1", reason=BY_HISTORY))
    assert index.judge(filled(subject, "e1", "5")) == "new"
    assert index.judge(filled(order(symbol="ETH-USDT"), "e1", "4")) == "new"
    assert index.judge(filled(order(venue="b"), "e1", "4")) == "new"


# product.md's own table, from which nothing may be missing.
BLUEPRINT = {
    "created": {"planned"},
    "planned": {"pending_submission"},
    "pending_submission": {"submitted", "failed"},
    "submitted": {"partially_filled", "filled", "canceled", "failed"},
    "partially_filled": {"filled", "canceled", "failed"},
    "filled": {"reconciled"},
    "canceled": {"compensated"},
    "failed": {"retried", "aborted"},
}


def test_the_blueprint_is_in_the_table() -> None:
    """Every lawful move of product.md is an edge."""
    edges = {(str(s), str(t)) for (s, _), targets in EDGES.items() for t in targets}
    assert {(s, t) for s, targets in BLUEPRINT.items() for t in targets} <= edges


def test_the_table_is_sound() -> None:
    """Live and over share the states; every state is reachable; only proof, or our own word that it
    never left, ends a doubt as absent."""
    assert set(LIVE).isdisjoint(OVER)
    reached = {Status.CREATED}
    for _ in Status:
        reached |= {t for (s, _), targets in EDGES.items() if s in reached for t in targets}
    assert reached == set(Status)
    to_failed = {on for (s, on), targets in EDGES.items() if s is Status.IN_DOUBT and Status.FAILED in targets}
    assert to_failed == {On.ABSENT_PROVEN, On.REJECTED, On.UNSENT}
    assert {e["from"] for e in states()["edges"]} <= {str(s) for s in Status}  # type: ignore[attr-defined]


def test_the_diagram_of_the_docs_is_the_table() -> None:
    """docs/orders.md shows what `gambit.engine.order.diagram()` draws."""
    page = (ROOT / "docs/orders.md").read_text()
    assert f"```mermaid\n{diagram()}```" in page


class Life(RuleBasedStateMachine):
    """Anything a venue can say, in any order: quantities stay sums of executions, moves stay edges."""

    def __init__(self) -> None:
        super().__init__()
        self.order = order()
        self.index = Executions()
        self.ids = itertools.count()
        self.queries = itertools.count(1)
        self.truth = Decimal(0)
        self.sent_facts: list[Any] = []

    def tell(self, fact: Any) -> None:
        for move in self.order.apply(fact, 1):
            assert move.status in EDGES[move.was, move.on]

    @rule(qty=st.sampled_from(["1", "3", "10"]))
    def fill(self, qty: str) -> None:
        fact = filled(self.order, f"e{next(self.ids)}", qty)
        self.sent_facts.append(fact)
        self.truth += fact.qty
        self.take(fact)

    def take(self, fact: Any) -> None:
        if self.index.judge(fact) == "new":
            self.tell(fact)
            self.index.mark(fact, fact.key)

    @precondition(lambda self: self.sent_facts)
    @rule(data=st.data())
    def repeat(self, data: Any) -> None:
        self.take(data.draw(st.sampled_from(self.sent_facts)))

    @rule(cum=st.integers(0, 12), kind=st.sampled_from(["cancelled", "expired"]))
    def close(self, cum: int, kind: str) -> None:
        self.tell(fact_of((kind, str(cum)), self.order))

    @rule(cum=st.integers(0, 12), found_as=st.sampled_from(["open", "filled", "canceled", "expired", "rejected"]))
    def find(self, cum: int, found_as: str) -> None:
        self.tell(found(self.order, found_as, str(cum), query_id=next(self.queries)))

    @rule(word=st.sampled_from(["reject", "cancel_rejected", "unsent", "amend_rejected", "unknown_cancel"]))
    def label(self, word: str) -> None:
        self.tell(fact_of((word,), self.order))

    @rule()
    def acknowledge(self) -> None:
        self.tell(acked(self.order))

    @rule(during=st.sampled_from(["create", "cancel", "stream", "restart"]))
    def lose(self, during: str) -> None:
        self.tell(unknown(self.order, during))

    @precondition(lambda self: self.order.is_live)
    @rule()
    def cancel(self) -> None:
        self.tell(fact_of(("cancel",), self.order))

    @precondition(lambda self: any(not e.is_busted for e in self.order.executions.values()))
    @rule(data=st.data())
    def bust(self, data: Any) -> None:
        alive = [e for e in self.order.executions.values() if not e.is_busted]
        execution = data.draw(st.sampled_from(alive))
        self.truth -= execution.qty
        for move in self.order.bust(execution.exec_id, 1):
            assert move.status in EDGES[move.was, move.on]

    @precondition(lambda self: self.order.status is Status.IN_DOUBT)
    @rule()
    def prove_absent(self) -> None:
        if self.order.filled_qty > 0 or self.order.waits_for_fills:
            with pytest.raises(LifeBroken, match="exists"):
                self.tell(fact_of(("absent",), self.order))
        else:
            self.tell(fact_of(("absent",), self.order))

    @precondition(lambda self: self.order.status in (Status.SUBMITTED, Status.PARTIALLY_FILLED))
    @rule(qty=st.integers(1, 12))
    def ask_to_amend(self, qty: int) -> None:
        self.tell(about(AmendAsked, self.order, qty=Decimal(qty), price=self.order.price))

    @rule(qty=st.integers(1, 12))
    def amend(self, qty: int) -> None:
        self.tell(about(Amended, self.order, qty=Decimal(qty), price=self.order.price))

    @invariant()
    def the_status_tells_of_executions(self) -> None:
        """Why a partially filled order is never refused, and nothing of a submitted or pending one is taken back."""
        if self.order.status in (Status.PENDING_SUBMISSION, Status.SUBMITTED):
            assert self.order.filled_qty == 0
            assert all(execution.is_busted for execution in self.order.executions.values())
        if self.order.status is Status.PARTIALLY_FILLED:
            assert self.order.filled_qty > 0

    @invariant()
    def quantities_are_sums(self) -> None:
        alive = [e for e in self.order.executions.values() if not e.is_busted]
        assert self.order.filled_qty == sum((e.qty for e in alive), Decimal(0)) == self.truth
        assert self.order.filled_quote == sum((e.qty * e.price for e in alive), Decimal(0))

    @invariant()
    def worst_case_is_never_negative(self) -> None:
        assert self.order.open_qty >= 0
        assert (self.order.open_qty == 0) or self.order.is_live

    @invariant()
    def closing_means_live(self) -> None:
        assert not self.order.waits_for_fills or self.order.is_live


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)

"""Executions that a venue's list lacks: which are held against its balances, and how many are kept."""

from gambit.engine.order import Order, opened
from gambit.engine.vanished import KEPT, SLACK_NS, Vanished
from gambit.events.orders import BalanceCorrected, Filled, FillsRead
from tests.engine.orders import D, filled, intent

ASKED_NS = 1_000 * SLACK_NS


def bought(number: int) -> tuple[Order, Filled]:
    """An order of 10 at 100, intended at `number` ns, filled by one execution."""
    subject = opened(intent(key=f"k{number}"), number)
    fill = filled(subject, f"e{number}", "10")
    subject.apply(fill, number)
    return subject, fill


def listed(since_ns: int, *fills: Filled) -> FillsRead:
    """The venue's list."""
    return FillsRead(venue="a", symbol="BTC-USDT", query_id=1, asked_ns=ASKED_NS, since_ns=since_ns, fills=fills)


def off_by(base: str, quote: str) -> list[BalanceCorrected]:
    """What the venue has beyond what we reckoned with."""
    return [
        BalanceCorrected(venue="a", asset=asset, delta=D(delta), reason="difference")
        for asset, delta in (("BTC", base), ("USDT", quote))
    ]


def test_what_a_list_lacks_explains_balances_that_are_off_by_just_that() -> None:
    """And is told once."""
    (kept, kept_fill), (gone, _) = bought(1), bought(2)
    vanished = Vanished()
    vanished.heard(listed(-SLACK_NS, kept_fill), [kept, gone])
    assert vanished.explaining("a", off_by("-10", "999")) == []
    assert [bust.exec_id for bust in vanished.explaining("a", off_by("-10", "1000"))] == ["e2"]
    assert vanished.explaining("a", off_by("-10", "1000")) == []


def test_a_list_that_lacks_ever_more_is_remembered_by_its_latest() -> None:
    """As that of a venue on paper, which forgets what is settled: memory has an end, and nothing is explained by it."""
    vanished = Vanished()
    for number in range(3 * KEPT):
        subject, _ = bought(number)
        vanished.heard(listed(number - SLACK_NS), [subject])  # surely whole from this order on
    assert vanished.explaining("a", off_by(str(-10 * 3 * KEPT), str(1000 * 3 * KEPT))) == []
    busts = vanished.explaining("a", off_by(str(-10 * KEPT), str(1000 * KEPT)))
    assert [bust.exec_id for bust in busts] == [f"e{number}" for number in range(2 * KEPT, 3 * KEPT)]

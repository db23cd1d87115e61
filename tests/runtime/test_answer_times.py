"""How long venues take to answer: made of facts, and of their round trips before the first order."""

from gambit.events.orders import Acked, OutcomeUnknown, Sent
from gambit.runtime.answer_times import WAITING, AnswerTimes, SentTimes


def sent(key: str) -> Sent:
    return Sent(key=key, venue="okx")


def acked(key: str) -> Acked:
    return Acked(key=key, venue="okx", venue_order_id="1")


def test_the_median_of_the_last_answers_counts() -> None:
    """Before any, the round trip; one slow answer moves nothing, and one that never comes neither."""
    times = AnswerTimes({"okx": 7}.get)
    assert (times.of("okx"), times.of("kraken")) == (7, 0)
    for number, took_ns in enumerate((40, 50, 9000)):
        times(sent(f"k{number}"), 1000)
        times(acked(f"k{number}"), 1000 + took_ns)
        times(acked(f"k{number}"), 99_000)  # told again
    times(sent("lost"), 1000)
    times(OutcomeUnknown(key="lost", venue="okx", during="create", reason="no answer in time"), 2000)
    times(acked("lost"), 5000)
    assert times.of("okx") == 50
    for number in range(100, 140):
        times(sent(f"k{number}"), 0)
        times(acked(f"k{number}"), 20)
    assert times.of("okx") == 20  # what it was like long ago is forgotten


def test_orders_that_are_never_answered_take_a_bounded_memory() -> None:
    """The oldest of them go, and the younger ones are timed still."""
    times = SentTimes()
    for number in range(WAITING + 5):
        times.first_word(sent(f"k{number}"), number)
    assert times.first_word(acked("k4"), WAITING) is None
    assert times.first_word(acked("k5"), WAITING) == ("okx", WAITING - 5)

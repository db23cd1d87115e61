"""Touch histories and the volatility grid against step functions kept in full (formulas.md, R13, R15-R17)."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambit._core.window import PyHistory
from tests.core.profile import examples
from tests.reference.windows import MidGrid

MS = 10**6
SECOND = 1000 * MS
Touch = tuple[int, float, float]

PRICES = st.sampled_from([0.0, 99.0, 99.5, 100.0, 100.1, 101.0, 103.0])
STEPS = st.sampled_from([0, 0, 1, 5 * MS, 60 * MS, 100 * MS, 101 * MS, 700 * MS, 4 * SECOND])
TOUCHES = st.lists(st.tuples(STEPS, PRICES, PRICES), max_size=40)
THRESHOLDS = st.sampled_from([-50.0, 0.0, 10.0, 100.0, 400.0])


def timed(touches: Sequence[tuple[int, float, float]], start: int = 10**18) -> list[Touch]:
    """Steps between touches as times."""
    found, now = [], start
    for step, bid, ask in touches:
        now += step
        found.append((now, bid, ask))
    return found


def history(touches: Sequence[Touch], keep_ns: int = 3600 * SECOND) -> PyHistory:
    made = PyHistory(keep_ns)
    for touch in touches:
        made.push(*touch)
    return made


def held(touches: Sequence[Touch], now: int) -> tuple[float, float]:
    """The touch that holds at a time: the last one that is not later."""
    for t, bid, ask in reversed(touches):
        if t <= now:
            return bid, ask
    return 0.0, 0.0


def statistics(
    buy: Sequence[Touch], sell: Sequence[Touch], since: int, until: int, threshold: float
) -> tuple[float, float, int, int]:
    """Mean, max, defined ns and ns at or over the threshold, stretch by stretch and exactly."""
    cuts = sorted({since, until, *[t for t, _, _ in (*buy, *sell) if since < t < until]})
    weighted, highest, defined, above = Fraction(0), Fraction(0), 0, 0
    for start, end in pairwise(cuts):
        ask, bid = Fraction(str(held(buy, start)[1])), Fraction(str(held(sell, start)[0]))
        if ask > 0 and bid > 0:
            spread = (bid / ask - 1) * 10_000
            highest = spread if defined == 0 else max(highest, spread)
            weighted += spread * (end - start)
            defined += end - start
            above += (end - start) * (spread >= threshold)
    return float(weighted / defined if defined else 0), float(highest), defined, above


@examples(4)
@given(TOUCHES, TOUCHES, st.integers(0, 8 * SECOND), STEPS, THRESHOLDS)
def test_statistics_agree_with_the_twin(buys, sells, window, later, threshold):
    """Mean, maximum and times of a pair over any window are those of its step function, to the nanosecond."""
    buy, sell = timed(buys), timed(sells)
    until = max([10**18, *[t for t, _, _ in (*buy, *sell)]]) + later
    ours = history(buy).stats(history(sell), until - window, until, threshold)
    expected = statistics(buy, sell, until - window, until, threshold)
    assert ours[2:] == expected[2:]
    assert ours[:2] == pytest.approx(expected[:2], rel=1e-12, abs=1e-9)


@examples(1)
@given(st.lists(st.tuples(STEPS, PRICES, PRICES), min_size=70, max_size=300), st.sampled_from([0, 1, 3]), THRESHOLDS)
def test_window_that_is_kept_is_complete(touches, seconds, threshold):
    """However many touches came, all of the last keep_ns count, and nothing older is asked for."""
    buy = timed(touches)
    sell = [(buy[0][0], 101.0, 102.0)]
    until, keep = buy[-1][0], seconds * SECOND
    ours = history(buy, keep).stats(history(sell), until - keep, until, threshold)
    expected = statistics(buy, sell, until - keep, until, threshold)
    assert ours[2:] == expected[2:]
    assert ours[:2] == pytest.approx(expected[:2], rel=1e-12, abs=1e-9)


def test_memory_stays_with_the_window():
    """A million changes need no more room than what lies inside the window."""
    made = PyHistory(SECOND)
    room = made.room
    made.bench_push(1_000_000, 10 * MS)
    assert made.room == room


def test_room_grows_with_the_window():
    """Ten thousand changes inside the window are all kept, whatever room there was."""
    made = history([(10 * k, 1.0, 100.0 if k % 2 else 200.0) for k in range(10_000)])
    sell = history([(0, 300.0, 301.0)])
    assert made.room >= 10_000
    assert made.stats(sell, 0, 100_000, 10_000.0) == (12_500.0, 20_000.0, 100_000, 50_000)
    assert made.stats(sell, 5, 25, 10_000.0) == (12_500.0, 20_000.0, 20, 10)


def test_later_touch_at_the_same_instant_counts():
    """Of several touches at one instant the last holds from then on; the earlier ones had no duration."""
    made = history([(10, 1.0, 50.0), (20, 1.0, 100.0), (20, 1.0, 200.0)])
    sell = history([(0, 300.0, 301.0)])
    mean, highest, defined, above = made.stats(sell, 20, 30, 4000.0)
    assert (mean, highest) == pytest.approx((5000.0, 5000.0))
    assert (defined, above) == (10, 10)


def test_window_excludes_its_end():
    """A touch set at the end of the window has no duration yet."""
    made = history([(10, 1.0, 100.0), (30, 1.0, 50.0)])
    sell = history([(0, 101.0, 301.0)])
    assert made.stats(sell, 10, 30, 0.0) == (pytest.approx(100.0), pytest.approx(100.0), 20, 20)
    assert made.stats(sell, 30, 30, 0.0) == (0.0, 0.0, 0, 0)


def test_threshold_counts_what_equals_it():
    """A spread equal to the threshold in exact arithmetic reaches it, although doubles may fall short (R24b)."""
    for ask in range(100, 4000, 7):
        for bps in (5, 7, 15, 50):
            bid = ask * (10_000 + bps) / 10_000
            made, sell = history([(0, 1.0, float(ask))]), history([(0, bid, bid + 1)])
            assert made.stats(sell, 0, 10, float(bps))[3] == 10
            assert made.stats(sell, 0, 10, bps * (1 + 1e-11))[3] == 0


MIDS = st.lists(
    st.tuples(STEPS, st.sampled_from([0.0, 99.0, 99.99, 100.0]), st.sampled_from([0.0, 100.01, 100.5])), max_size=60
)


@examples(3)
@given(MIDS, STEPS, st.sampled_from([1, 2, 5, 30]), st.integers(0, 60))
@example([(0, 99.0, 100.5), (SECOND, 100.0, 100.5)], 700 * MS, 1, 60)
def test_sigma_agrees_with_the_twin(touches, later, seconds, cleared_after):
    """Volatility is the twin's: completed buckets of the window, the last mid of each, older mids carried in."""
    made, twin = PyHistory(SECOND), MidGrid(10 * seconds, seconds)
    now = 10**18
    for index, (step, bid, ask) in enumerate(touches):
        now += step
        if index == cleared_after:
            made.clear_grid()
            twin.clear()
        made.push(now, bid, ask)
        if bid > 0 and ask > 0:
            twin.put(now, round((bid + ask) * 10**6) * 10**12)
            twin.known = None
    assert made.sigma(now + later, float(seconds)) == pytest.approx(twin.sigma(now + later), rel=1e-12)


@pytest.mark.parametrize("seconds", [1, 30])
def test_sigma_covers_the_whole_window(seconds):
    """A change in every bucket of the longest window counts, and not one more."""
    made = PyHistory(SECOND)
    for bucket in range(600):
        made.push(bucket * 100 * MS, 100.0, 100.0 + 0.01 * (bucket % 2))
    step = made.sigma(600 * 100 * MS, float(seconds)) ** 2 * seconds / (10 * seconds)
    one = PyHistory(SECOND)
    one.push(0, 100.0, 100.0)
    one.push(100 * MS, 100.0, 100.01)
    assert step == pytest.approx(one.sigma(200 * MS, 1.0) ** 2, rel=1e-3)

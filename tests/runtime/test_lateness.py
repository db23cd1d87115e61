"""A venue's clock against ours, and feeds that run behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.runtime.lateness import KEPT_SEC, SEC, FeedLag, Offset, VenueClock
from gambit.venues import VENUES

MS = SEC // 1000


@given(
    st.integers(-30 * SEC, 30 * SEC),
    st.lists(st.tuples(st.integers(0, SEC), st.integers(0, SEC)), min_size=1, max_size=20),
    st.sampled_from([1, MS, SEC]),
)
def test_the_true_offset_lies_within_the_error(offset: int, ways: list[tuple[int, int]], resolution: int) -> None:
    """However long question and answer are on their way, and however coarse the venue's time is."""
    clock, now = VenueClock(), 1_000 * SEC
    for there, back in ways:
        asked = now + there
        clock.add(now, asked + back, (asked + offset) // resolution * resolution, resolution)
        now = asked + back
    found = clock.offset(now)
    assert found is not None
    assert abs(found.offset_ns - offset) <= found.error_ns + 1
    assert found.error_ns <= min(sum(way) for way in ways) // 2 + resolution


def test_old_answers_do_not_count() -> None:
    """A clock that nobody asked for a while is unknown."""
    clock = VenueClock()
    assert clock.offset(0) is None
    clock.add(0, 10 * MS, 5 * MS, MS)
    assert clock.offset(int(KEPT_SEC * SEC)) is not None
    assert clock.offset(int(KEPT_SEC * SEC) + 11 * MS) is None


def test_a_feed_that_is_steadily_late_is_found() -> None:
    """Three seconds behind by the venue's own clock, whatever that is against ours (F63); one burst is nothing."""
    lag, offset = FeedLag(), Offset(5 * SEC, 20 * MS)
    late, prompt = [-2 * SEC] * 100, [-5 * SEC + 10 * MS] * 100
    for lags in (prompt, late, late, prompt, late, late):
        lag.look(lags, offset)
    assert not lag.is_late
    lag.look(late, offset)
    assert (lag.is_late, lag.p50_ns) == (True, 3 * SEC)
    for _ in range(3):
        lag.look(prompt, offset)
    assert (lag.is_late, lag.p50_ns, lag.p99_ns) == (False, 10 * MS, 10 * MS)


def test_nobody_is_judged_by_a_clock_that_is_not_known() -> None:
    """The lag is shown as it is."""
    lag = FeedLag()
    lag.look([], None)
    assert lag.p50_ns is None
    for _ in range(10):
        lag.look([9 * SEC], None)
    assert (lag.is_late, lag.p50_ns) == (False, 9 * SEC)


@pytest.mark.parametrize(
    ("venue", "path", "body", "told"),
    [
        ("binance", "/api/v3/time", '{"serverTime":1499827319559}', (1499827319559 * MS, MS)),
        ("binance-usdm", "/fapi/v1/time", '{"serverTime":1499827319559}', (1499827319559 * MS, MS)),
        ("okx", "/api/v5/public/time", '{"code":"0","data":[{"ts":"1597026383085"}]}', (1597026383085 * MS, MS)),
        ("bybit", "/v5/market/time", '{"result":{"timeNano":"1688639403423213947"}}', (1688639403423213947, 1)),
        ("kraken", "/0/public/Time", '{"error":[],"result":{"unixtime":1688669448}}', (1688669448 * SEC, SEC)),
        ("coinbase", "/api/v3/brokerage/time", '{"epochMillis":"1700000000123"}', (1700000000123 * MS, MS)),
    ],
)
def test_venues_say_what_time_it_is(venue: str, path: str, body: str, told: tuple[int, int]) -> None:
    """Each in its own words; what is none of them is no time."""
    call = VENUES[venue].time_call()
    assert call is not None
    assert call.path == path
    assert VENUES[venue].server_time(body.encode()) == told
    for other in (b"", b"{}", b"[]", b'{"serverTime":"x","data":[],"result":{"timeNano":1.5}}'):
        assert VENUES[venue].server_time(other) is None

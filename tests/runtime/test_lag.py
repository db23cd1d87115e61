"""A loop that stood still has the past in its sockets."""

from gambit.runtime.lag import HOLD_MOST_NS, STALL_NS, Stalls

SEC = 1_000_000_000


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.ns = 5 * SEC

    def __call__(self) -> int:
        return self.ns


def test_a_stop_holds_for_as_long_as_it_took() -> None:
    """From the first instant on: sockets are read before the loop's clock has its turn."""
    time = Time()
    stalls = Stalls(time)
    assert stalls.behind_ns() == 0
    time.ns += 60 * SEC
    assert stalls.behind_ns() == 0, "nobody beats yet"
    stalls.beat(0)
    time.ns += STALL_NS
    assert stalls.behind_ns() == 0
    time.ns += 8 * SEC
    assert stalls.behind_ns() == 8 * SEC + STALL_NS
    stalls.beat(8 * SEC)
    for _ in range(8):
        assert stalls.behind_ns() == 8 * SEC
        time.ns += SEC
        stalls.beat(0)
    assert stalls.behind_ns() == 0


def test_a_long_stop_holds_no_longer_than_feeds_need() -> None:
    """A lid that was closed for an hour."""
    time = Time()
    stalls = Stalls(time)
    stalls.beat(3600 * SEC)
    time.ns += HOLD_MOST_NS - 1
    stalls.beat(STALL_NS)
    assert stalls.behind_ns() == 3600 * SEC
    time.ns += 1
    assert stalls.behind_ns() == 0

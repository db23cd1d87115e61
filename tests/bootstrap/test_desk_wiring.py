"""What the desk is told of the venues, and what people are told of the desk."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gambit.bootstrap.desk import venue_views
from gambit.bootstrap.trading import desk_handlers
from gambit.config.loading import load_layers
from gambit.events.operation import Audited
from gambit.events.orders import Acked, Sent
from gambit.runtime.answer_times import AnswerTimes
from gambit.runtime.feed import Feeds
from gambit.runtime.lateness import SEC, VenueClock
from gambit.surface.control import Caller
from gambit.surface.methods import PlanId
from gambit.surface.rpc import Refused

MS = 1_000_000
PORT = SimpleNamespace(is_up=True, window_ns=7, taker_fee_bps=None)


def feed(venue: str, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "venue": venue, "connections_up": 1, "circuit_open": False, "is_degraded": False, "lag_p50_ns": 12 * MS,
        "clock_offset_ns": -3 * MS, "clock_shift_ns": -2 * MS,
    } | changes  # fmt: skip
    return SimpleNamespace(**fields)


def feeds(*found: Any) -> Any:
    return SimpleNamespace(statuses=lambda: list(found))


def test_the_round_trip_is_that_of_the_quickest_recent_question() -> None:
    """Twice what the venue's clock may be wrong by; unknown where its time was never asked, or too long ago."""
    clock = VenueClock()
    clock.add(SEC, SEC + 40 * MS, SEC + 15 * MS, 1)
    clock.add(2 * SEC, 2 * SEC + 10 * MS, 2 * SEC + 5 * MS, 1)
    now = [3 * SEC]
    asked = [SimpleNamespace(name="okx", clock=clock), SimpleNamespace(name="kraken", clock=VenueClock())]
    here: Any = SimpleNamespace(clock=SimpleNamespace(now_ns=lambda: now[0]), feeds=asked)
    took_ns = Feeds.round_trip_ns(here, "okx")
    assert took_ns is not None
    assert abs(took_ns - 10 * MS) <= 2
    assert Feeds.round_trip_ns(here, "kraken") is None
    assert Feeds.round_trip_ns(here, "bybit") is None
    now[0] += 10_000 * SEC
    assert Feeds.round_trip_ns(here, "okx") is None


def test_measured_latency_and_lag_reach_the_desk() -> None:
    """Live: the venue's own answers, before the first its round trip. On paper: the configured latency. A lag against
    a clock that nobody measured is none."""
    times = AnswerTimes({"okx": 30 * MS, "kraken": 50 * MS}.get)
    times(Sent(key="k", venue="okx"), 0)
    times(Acked(key="k", venue="okx", venue_order_id="v"), 9 * MS)
    found = feeds(feed("okx"), feed("kraken", clock_offset_ns=None), feed("bybit", circuit_open=True))
    ports: Any = {"okx": PORT, "bybit": PORT}
    live = venue_views(load_layers(None, {}, ['execution.mode = "live"']).config, found, ports, times, 4)
    assert {name: view.latency_ns for name, view in live.items()} == {"okx": 9 * MS, "kraken": 50 * MS, "bybit": 0}
    assert {name: view.feed_lag_ns for name, view in live.items()} == {
        "okx": 12 * MS, "kraken": None, "bybit": 12 * MS,
    }  # fmt: skip
    assert (live["okx"].stalled_ns, live["okx"].clock_shift_ns, live["okx"].window_ns) == (4, -2 * MS, 7)
    assert {name: view.can_trade for name, view in live.items()} == {"okx": True, "kraken": False, "bybit": False}
    paper = venue_views(load_layers(None, {}, ["execution.paper_latency_ms = 8"]).config, found, ports, times, 4)
    assert {view.latency_ns for view in paper.values()} == {8 * MS}


@pytest.mark.parametrize(("stopped", "told"), [("risk:daily_loss", "risk:daily loss"), ("", "")])
def test_who_approves_is_told_that_it_does_not_go(stopped: str, told: str) -> None:
    """The gates are asked again at the approval; what they refuse is an error to the person, with the gate's name."""
    trade, audits = SimpleNamespace(stopped=""), list[Audited]()

    def approve(_plan: str, _by: str) -> None:
        trade.stopped = stopped

    state = SimpleNamespace(trades={"p1": trade})
    dealing = SimpleNamespace(
        frozen="",
        approve=approve,
        reject=None,
        cancel=None,
        desk=SimpleNamespace(standing=SimpleNamespace(state=state)),
    )
    parts = SimpleNamespace(dealing=dealing, ledger=SimpleNamespace(fact=audits.append))
    daemon: Callable[[], Any] = lambda: SimpleNamespace(parts=parts)  # noqa: E731 - one word of a daemon
    handler = desk_handlers(daemon)["plan.approve"]
    if stopped:
        with pytest.raises(Refused, match=f"p1 does not go: {told}; `gambit explain p1`"):
            handler(PlanId(plan_id="p1"), Caller(0, 1))
    else:
        assert handler(PlanId(plan_id="p1"), Caller(0, 1)) == {"done": "p1"}
    assert [(one.action, one.outcome) for one in audits] == [("plan.approve", "refused" if stopped else "ok")]
    assert audits[0].detail.startswith("p1: p1 does not go" if stopped else "p1")

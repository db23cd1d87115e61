"""Many dashboards at once, some of which never read; python -m benchmarks.live.subscribers is the thousand of them."""

import asyncio
import time

import pytest

from benchmarks.live.subscribers import join, kernel_bytes
from gambit.web import fanout
from tests.web.standing import Standing

READING, STALLED, EVENTS = 60, 6, 60


async def test_readers_get_every_event_while_those_who_do_not_read_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every event reaches every reader, each stalled one is cut and counted, the kernel holds no more than buffers."""
    monkeypatch.setattr(fanout, "STALL_SEC", 0.3)
    monkeypatch.setattr(fanout, "CUT_SEC", 0.2)
    async with Standing() as standing:
        token = standing.tokens.issue("crowd")
        before = kernel_bytes()
        url = standing.url.removesuffix("/ws/dashboard")
        crowd = await join(url, token, ["order.status", "market.normalized"], reading=READING, stalled=STALLED)
        told = 0
        while told < EVENTS or standing.door.fanout.cut_count < STALLED:
            told += 1
            standing.hub.publish("order.status", {"sent_ns": time.monotonic_ns(), "n": told})
            standing.hub.publish("market.normalized", {"text": "x" * 100_000}, "big")
            await asyncio.sleep(1 / 60)
        readers = [dashboard for dashboard in crowd if dashboard.reads]
        while any(len(dashboard.delays_ns) < told for dashboard in readers):
            await asyncio.sleep(0.01)
        assert {len(dashboard.delays_ns) for dashboard in readers} == {told}
        assert not any(dashboard.is_closed for dashboard in readers)
        assert standing.door.fanout.cut_count == STALLED
        assert standing.hub.conflated > 0
        assert kernel_bytes() - before < len(crowd) * (1 << 20)
        for dashboard in crowd:
            dashboard.transport.abort()

"""From a frame to an order's bytes at every native venue: what is asserted are orders of magnitude within one run; the
numbers are printed by `python -m benchmarks.live.orders`."""

import asyncio
import os
import urllib.request
from pathlib import Path

import aiohttp

from benchmarks.live.orders import SHIFT_BPS, SYMBOL, read_times
from gambit.runtime.exchanges import Exchanges
from gambit.sim.world import DIALECTS, Scenario
from gambit.surface.client import call
from tests.e2e import armed

ORDERS, EPISODES = 3, 200
DEAR_MS, PAUSE_SEC = 60, 0.1


async def test_an_order_is_handed_over_where_it_is_decided(tmp_path: Path) -> None:
    """At every venue, over a line or HTTP alike: signing and handing over an order take less than planning it, which
    no way with a turn of the loop in it would, each at its quickest, for others on this machine only ever add; the
    daemon's own metric counts every one of them."""
    out = tmp_path / "times.jsonl"
    scenario = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0, rate=20.0)
    async with (
        Exchanges(list(DIALECTS), (), 1, os.environ, scenario=scenario) as there,
        aiohttp.ClientSession() as session,
    ):
        sim = armed.Sim(session, there.exchanges)
        path = armed.write(tmp_path, there.exchanges, (SYMBOL,))
        async with armed.running(path, module="benchmarks.live.timed_daemon", more=(str(out),)):
            for episode in range(EPISODES):
                counts = {venue: sum(each.venue == venue for each in read_times(out)) for venue in DIALECTS}
                wanted = [venue for venue, count in counts.items() if count < ORDERS]
                if not wanted:
                    break
                dear_ms = DEAR_MS + 2 * episode  # a busy machine is too late for the short ones
                await sim.shift(wanted[episode % len(wanted)], SYMBOL, SHIFT_BPS, dear_ms)
                await asyncio.sleep(dear_ms / 1000 + PAUSE_SEC)
            assert wanted == []
            address = (await asyncio.to_thread(call, tmp_path / "state" / "gambit.sock", "status"))["metrics_address"]
            text = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read().decode())
        orders = [one for venue in DIALECTS for one in (await sim.ledger(venue, "requests"))["requests"]]
    times = read_times(out)
    for venue in DIALECTS:
        mine = [each for each in times if each.venue == venue]
        assert all(0 < each.begun <= each.planned <= each.journalled <= each.worded <= each.written for each in mine)
        assert min(each.written - each.worded for each in mine) < min(each.planned - each.begun for each in mine)
    [line] = [line for line in text.splitlines() if line.startswith("gambit_tick_to_order_seconds_count")]
    assert len(times) <= int(float(line.split()[1])) <= sum(one["action"] == "place" for one in orders)

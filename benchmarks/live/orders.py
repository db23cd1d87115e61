"""``python -m benchmarks.live.orders``: from a frame to an order's bytes, beside the same order placed by ccxt.

A daemon in live mode trades on the five simulated exchanges, which are a process of their own; one venue after the
other turns dear, so that something is sold there. Its own metric and the stages of every order are read. In the same
run, turn by turn, ccxt (REST, async) creates limit orders that fill at once or end, at the same exchanges.

What is compared: gambit's time runs from the frame's arrival to the order's bytes being handed to the socket, with the
signal, the plan, every gate, the journal and the signature in it; ccxt's from the call of create_order to the same
point: it is told what to order. "Itself" is what of gambit's time is the same work: from the decision in the journal to
the bytes handed over, the plan's other legs before it included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.http_writer
import msgspec
import uvloop

from benchmarks.live.timed_daemon import STAGES, Times
from benchmarks.report import machine
from gambit.runtime.exchanges import Exchange, Exchanges
from gambit.sim.world import DIALECTS, Scenario, World
from tests.e2e import armed
from tests.sim.test_ccxt import CLIENTS

SYMBOL = "BTC-USDT"
SEED = 1
DEAR_MS, PAUSE_SEC = 60, 0.12
SHIFT_BPS = 60.0
A_TURN = 10  # orders of each contestant at a venue before the next


class CcxtTimes:
    """When ccxt's requests were handed to a socket."""

    def __init__(self) -> None:
        self.key = b""
        self.written_ns = 0
        writer: Any = aiohttp.http_writer.StreamWriter
        writer._write, writer._writelines = self.watched(writer._write), self.watched(writer._writelines)

    def watched(self, send: Any) -> Any:
        def sending(of: Any, data: Any) -> None:
            send(of, data)
            whole = data if isinstance(data, bytes) else b"".join(data)
            if self.key and self.key in whole:
                self.written_ns, self.key = time.perf_counter_ns(), b""

        return sending


async def main(orders: int, durability: str, venues: Sequence[str]) -> int:
    """Run it; gives 0."""
    print(machine())
    scenario = Scenario(symbols=(SYMBOL,), dislocations_per_s=0.0, rate=20.0)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        async with (
            Exchanges(list(DIALECTS), (), SEED, os.environ, scenario=scenario) as there,
            aiohttp.ClientSession() as session,
        ):
            sim = armed.Sim(session, there.exchanges)
            path = armed.write(folder, there.exchanges, (SYMBOL,), f'journal.durability = "{durability}"')
            out = folder / "times.jsonl"
            module = "benchmarks.live.timed_daemon"
            async with armed.running(path, module=module, more=(str(out),)):
                ccxt = await _race(sim, there.exchanges, venues, out, orders)
            ours = read_times(out)
    _table(ours, ccxt, durability)
    return 0


async def _race(
    sim: armed.Sim, there: Sequence[Exchange], venues: Sequence[str], out: Path, orders: int
) -> dict[str, list[int]]:
    """Both in turns, venue by venue; ccxt's times."""
    watch = CcxtTimes()
    clients = {one.venue: CLIENTS[one.venue](_second_account(one)) for one in there if one.venue in venues}
    found: dict[str, list[int]] = {venue: [] for venue in clients}
    try:
        for client in clients.values():
            await client.load_markets()
        for turn in range(-1, max(1, orders // A_TURN)):  # the first one warms up
            for venue, client in clients.items():
                await _gambit_turn(sim, venue, out)
                times = [await _ccxt_order(watch, client, venue) for _ in range(A_TURN)]
                found[venue] += times if turn >= 0 else []
    finally:
        for client in clients.values():
            await client.close()
    return found


def _second_account(there: Exchange) -> dict[str, str]:
    """Its keys: no nonce, order or balance in common with the daemon's account."""
    world = World([there.venue], Scenario(symbols=(SYMBOL,)), seed=SEED, start_ns=time.time_ns())
    keys = world.exchanges[there.venue].accounts["demo2"].credentials
    return {**msgspec.structs.asdict(there), **msgspec.structs.asdict(keys)}


async def _gambit_turn(sim: armed.Sim, venue: str, out: Path) -> None:
    """The venue is dear now and then until so many orders were sold there, or long enough."""
    before = sum(times.venue == venue for times in read_times(out))
    for _ in range(3 * A_TURN):
        await sim.shift(venue, SYMBOL, SHIFT_BPS, DEAR_MS)
        await asyncio.sleep(DEAR_MS / 1000 + PAUSE_SEC)
        if sum(times.venue == venue for times in read_times(out)) - before >= A_TURN:
            return


async def _ccxt_order(watch: CcxtTimes, client: Any, venue: str) -> int:
    """One order far from the market that ends at once; ns from the call to the bytes at the socket."""
    key = f"cx{time.time_ns():x}"[:18]
    watch.key, watch.written_ns = b"POST ", 0
    begun = time.perf_counter_ns()
    await client.create_order("BTC/USDT", "limit", "buy", 0.001, 50_000.0, {"timeInForce": "IOC", "clientOrderId": key})
    assert watch.written_ns, f"{venue}: the order's bytes were not seen"
    return watch.written_ns - begun


def read_times(out: Path) -> list[Times]:
    if not out.exists():
        return []
    return [
        msgspec.json.decode(line, type=Times)
        for line in out.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


def _table(ours: Sequence[Times], ccxt: Mapping[str, Sequence[int]], durability: str) -> None:
    print(f'\nfrom a frame to the order\'s bytes at the socket, us; durability "{durability}"')
    print(
        f"{'venue':10} {'orders':>6} {'p50':>8} {'p99':>9} {'ccxt':>6} {'p50':>8} {'p99':>9} {'x p50':>6} {'x p99':>6}"
        f" {'itself':>7} {'x':>6}"
    )
    for venue, theirs in ccxt.items():
        mine = [times.written for times in ours if times.venue == venue]
        if not mine:
            print(f"{venue:10} no order")
            continue
        a, b = _figures(mine), _figures(theirs)
        itself = _figures([times.written - times.journalled for times in ours if times.venue == venue])[0]
        print(
            f"{venue:10} {len(mine):6} {a[0]:8.0f} {a[1]:9.0f} {len(theirs):6} {b[0]:8.0f} {b[1]:9.0f} "
            f"{b[0] / a[0]:6.2f} {b[1] / a[1]:6.2f} {itself:7.0f} {b[0] / itself:6.2f}"
        )
    print("\nwhere it goes, p50 us from stage to stage")
    print(f"{'venue':10} " + " ".join(f"{name:>10}" for name in STAGES))
    for venue in ccxt:
        mine_of = [times for times in ours if times.venue == venue]
        cells = []
        for k, name in enumerate(STAGES):
            spans = [getattr(times, name) - (getattr(times, STAGES[k - 1]) if k else 0) for times in mine_of]
            cells.append(f"{_figures(spans)[0]:10.0f}" if spans else "         -")
        print(f"{venue:10} " + " ".join(cells))


def _figures(spans: Sequence[int]) -> tuple[float, float]:
    """p50 and p99 in us."""
    ordered = sorted(spans)
    return ordered[len(ordered) // 2] / 1000, ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)] / 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.orders", description=__doc__)
    parser.add_argument("--orders", type=int, default=100, help="of each contestant at each venue, about")
    parser.add_argument("--durability", choices=("process", "power"), default="process")
    parser.add_argument("--venue", action="append", choices=list(CLIENTS))
    asked = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        raise SystemExit(runner.run(main(asked.orders, asked.durability, asked.venue or list(CLIENTS))))

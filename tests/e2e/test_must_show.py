"""`gambit demo` as a newcomer runs it: plans are approved, filled and reconciled soon after ready, and what the daemon
believes to own equals the exchanges' own ledgers to the last unit. `pytest -s` prints the evidence."""

import asyncio
import contextlib
import json
import os
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

from gambit.surface.client import call
from gambit.surface.methods import ROWS_MAX
from tests.e2e.test_demo import demo, family, until_ready

SOCKET = Path("state", "demo", "gambit.sock")
LISTENING = "0A"
TRADED_SEC = 30.0  # from ready; the issue's own number
PATIENCE_SEC = 90.0


def ledgers(pid: int) -> dict[str, str]:
    """Where the demonstration's exchanges answer, by venue: among the ports that its processes listen at."""
    inodes: set[str] = set()
    for each in family(pid):
        for file in Path("/proc", str(each), "fd").iterdir():
            try:
                target = os.readlink(file)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENING and fields[9] in inodes:
            url = f"http://127.0.0.1:{int(fields[1].rpartition(':')[2], 16)}/_sim/ledger"
            with urllib.request.urlopen(url) as answer:
                found[json.load(answer)["venue"]] = url
    return found


def owned(url: str) -> dict[str, Decimal]:
    """What the ledger says we own at a venue."""
    with urllib.request.urlopen(f"{url}?parts=balances") as answer:
        balances = json.load(answer)["balances"]["demo"]
    return {asset: Decimal(each["free"]) + Decimal(each["locked"]) for asset, each in balances.items()}


def believed(path: Path) -> dict[tuple[str, str], Decimal]:
    """What the daemon believes to own."""
    return {(row["venue"], row["asset"]): Decimal(row["amount"]) for row in call(path, "positions")["balances"]}


Sides = tuple[dict[tuple[str, str], Decimal], dict[tuple[str, str], Decimal]]


def both(path: Path, urls: dict[str, str]) -> Sides:
    """What the daemon believes to own, and what the ledgers say."""
    ours = believed(path)
    return ours, {(venue, asset): amount for venue, url in urls.items() for asset, amount in owned(url).items()}


def is_equal(sides: Sides) -> bool:
    """To the last unit, wherever the daemon believes anything; the last executions may still be on their way."""
    ours, theirs = sides
    return bool(ours) and {place: theirs.get(place) for place in ours} == ours


def traded(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Plans that ended with something traded, and how many of the orders that executed are reconciled."""
    plans = [plan for plan in call(path, "plans", {"limit": ROWS_MAX}) if plan["end"] and plan["result"]]
    orders = [order for order in call(path, "orders", {"limit": ROWS_MAX}) if Decimal(order["qty_filled"])]
    return plans, sum(order["status"] == "reconciled" for order in orders)


async def until(what: Any, patience_sec: float) -> Any:
    """The first answer that is something; the daemon is looked at from outside."""
    async with asyncio.timeout(patience_sec):
        while not (found := await asyncio.to_thread(what)):
            await asyncio.sleep(0.1)
        return found


async def test_the_demonstration_trades_and_its_books_are_the_exchanges(tmp_path: Path) -> None:
    """Then it is halted, so that nothing moves while both sides are read."""
    process = await demo(tmp_path, words=("--set", "api.port=0", "--set", "metrics.port=0"))
    path = tmp_path / SOCKET
    async with asyncio.timeout(PATIENCE_SEC):
        await until_ready(process)
    ending = asyncio.create_task(process.communicate())
    try:
        begun = time.perf_counter()
        plans, reconciled = await until(
            lambda: found if (found := traded(path))[0] and found[1] >= 2 else None, TRADED_SEC
        )
        took = time.perf_counter() - begun
        await asyncio.to_thread(call, path, "halt", {"reason": "to be looked at"})
        await until(lambda: not call(path, "plans", {"open_only": True}), PATIENCE_SEC)
        urls = await asyncio.to_thread(ledgers, process.pid)
        with contextlib.suppress(TimeoutError):  # then it is shown what differs
            await until(lambda: is_equal(both(path, urls)), PATIENCE_SEC / 3)
        ours, theirs = await asyncio.to_thread(both, path, urls)
        print(f"\n{took:.1f} s after ready: {len(plans)} plans traded, {reconciled} orders reconciled")
        for place, amount in sorted(ours.items()):
            print(
                f"{place[0]:10} {place[1]:5} {amount:>32f} {'=' if theirs[place] == amount else '!='} {theirs[place]:f}"
            )
        assert len(urls) == 5
        assert {place: theirs[place] for place in ours} == ours
        assert {venue for venue, _ in ours} == set(urls)
    finally:
        process.terminate()
        _, said = await ending
    assert process.returncode == 0, said.decode()

"""SIGKILL of the real daemon at random instants under load: nothing that anybody was told is missing afterwards.

GAMBIT_DAEMON_KILLS sets how often; the campaign of the release is 200.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from gambit.journal import places, verify
from gambit.journal.segment import read_segment, segments
from gambit.runtime.exchanges import Exchanges
from gambit.runtime.process import holder
from gambit.sim.world import DIALECTS, Scenario

KILLS = int(os.environ.get("GAMBIT_DAEMON_KILLS", "3"))
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT")
READY_SEC = 60.0
STARTING_SHARE = 0.15  # of the kills hit a daemon that is still starting
LIFE_SEC_MAX = 1.5  # from ready to the kill
ASK_SEC = 0.03


@dataclass
class Told:
    """What daemons said to somebody outside, over all lives."""

    raised: set[str] = field(default_factory=set)  # opportunities
    done: set[str] = field(default_factory=set)  # commands, by their reasons
    written: int = 0  # the journal's records that outlive a daemon
    ready_s: list[float] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)  # of a signal and of a command


@asynccontextmanager
async def exchanges(folder: Path) -> AsyncIterator[Path]:
    """Exchanges in a process of their own with much to find; a configuration that points at them."""
    scenario = Scenario(symbols=SYMBOLS, rate=40.0, dislocations_per_s=30.0)
    async with Exchanges(list(DIALECTS), SYMBOLS, 1, os.environ, scenario=scenario) as there:
        lines = [f"symbols = {json.dumps(SYMBOLS)}", "[daemon]", f'state_dir = "{folder / "state"}"']
        lines += ['log_format = "json"', "[metrics]", "port = 0", "[api]", "port = 0"]
        lines += ["[engine]", "min_spread_bps = 5", "min_liquidity_depth = 1000", "max_notional = 1000"]
        lines += ["[execution]", "paper_taker_fee_bps = 1", "paper_slippage_bps = 1"]
        lines += ["[risk]", "trades_per_day = 0", "trades_per_hour = 0"]
        for one in there.exchanges:
            lines += [f"[venues.{one.venue}]", f'ws_url = "{one.ws}"', f'rest_url = "{one.rest}"', "taker_fee_bps = 1"]
        config = folder / "gambit.toml"
        config.write_text("\n".join(lines) + "\n")
        yield config


async def start(config: Path) -> Process:
    """`gambit run`."""
    command = ("-m", "gambit", "run", "-c", str(config))
    return await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=PIPE)


async def until_ready(daemon: Process) -> None:
    """Read its log until it says so."""
    assert daemon.stderr is not None
    said: list[bytes] = []
    while line := await daemon.stderr.readline():
        said.append(line)
        if orjson.loads(line)["event"] == "ready":
            return
    raise AssertionError(b"".join(said).decode())


async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, told: Told) -> None:
    """Follow signals, command, ask for the status; keep what was said until the daemon is gone."""

    async def ask() -> None:
        writer.write(b'{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":["arb.signal"]}}\n')
        for turn in itertools.count():
            for method in () if turn % 8 else ("halt", "resume"):  # trading goes on between them
                reason = f"{method} {time.monotonic_ns()}"
                request = {"jsonrpc": "2.0", "id": reason, "method": method, "params": {"reason": reason}}
                writer.write(orjson.dumps(request) + b"\n")
            writer.write(b'{"jsonrpc":"2.0","id":2,"method":"status"}\n')
            await asyncio.sleep(ASK_SEC)

    asking = asyncio.create_task(ask())
    try:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line.endswith(b"\n"):
                    take(orjson.loads(line), told)
    finally:
        asking.cancel()
        writer.close()


def take(line: dict[str, Any], told: Told) -> None:
    """One line of the control socket."""
    assert "error" not in line, line
    if line.get("id") == 2:
        told.written = max(told.written, line["result"]["journal"]["written"])
    elif isinstance(line.get("id"), str):
        told.done.add(line["id"])
    elif "params" in line and line["params"]["data"]["event"] == "raised":
        told.raised.add(line["params"]["data"]["opp_id"])
    if told.raised and told.done:
        told.heard.set()


async def life(config: Path, told: Told, chance: random.Random) -> None:
    """Start a daemon and kill it, mostly some time after it is ready."""
    state_dir = config.parent / "state"
    begun = time.perf_counter()
    daemon = await start(config)
    following: asyncio.Task[None] | None = None
    if chance.random() < STARTING_SHARE and told.ready_s:
        await asyncio.sleep(chance.random() * told.ready_s[-1])
    else:
        async with asyncio.timeout(READY_SEC):
            await until_ready(daemon)
        told.ready_s.append(time.perf_counter() - begun)
        there = await asyncio.open_unix_connection(state_dir / "gambit.sock", limit=1 << 22)
        following = asyncio.create_task(follow(*there, told))
        async with asyncio.timeout(READY_SEC):
            await told.heard.wait()  # of the first life: three short ones might say nothing at all
        await asyncio.sleep(chance.random() * LIFE_SEC_MAX)  # the instant of the kill is the point
    daemon.send_signal(signal.SIGKILL)
    _, said = await daemon.communicate()
    assert daemon.returncode == -signal.SIGKILL, said.decode()
    if following is not None:
        await following


def assert_whole(state_dir: Path, told: Told) -> int:
    """The lock is free, every record is as it was chained, none is missing that was said to be written."""
    assert not state_dir.exists() or holder(state_dir) is None
    proof = verify(places(state_dir)) if state_dir.exists() else None
    last = proof.last_seq if proof is not None else 0
    assert last >= told.written
    return last


async def stopped(config: Path, told: Told) -> None:
    """A last life: ready, the database at the journal's end, a clean end."""
    daemon = await start(config)
    async with asyncio.timeout(READY_SEC):
        await until_ready(daemon)
    daemon.send_signal(signal.SIGTERM)
    _, said = await daemon.communicate()
    is_safe_mode = b"safe mode" in said or len(told.ready_s) >= 5
    assert daemon.returncode == 0 or (daemon.returncode == 1 and is_safe_mode), said.decode()


async def compared(config: Path) -> str:
    """`gambit rebuild`: the database against one made from the journal alone; exit code 1 where they differ."""
    command = ("-m", "gambit", "rebuild", "-c", str(config))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=PIPE)
    out, said = await process.communicate()
    assert process.returncode == 0, (out + said).decode()
    return out.decode()


def assert_written_down(state_dir: Path, told: Told) -> None:
    """Every opportunity and every command that anybody heard of stands in the journal."""
    raised, done = set(), set()
    for segment in segments(places(state_dir).folder):
        for record in read_segment(segment):
            if record.kind == "signal.raised":
                raised.add(orjson.loads(record.body)["opp_id"])
            elif record.kind == "audit":
                done.add(orjson.loads(record.body)["detail"])
    assert told.raised
    assert told.done
    assert (told.raised - raised, told.done - done) == (set(), set())


@pytest.mark.timeout(300 + 10 * KILLS)
async def test_kills_of_a_running_daemon(tmp_path: Path) -> None:
    """After each kill the journal is whole and has what was promised, and the next daemon is ready in time; at the end
    every signal that anybody heard of is in the journal, and the database is what the journal makes of it."""
    chance, told = random.Random(), Told()
    state_dir = tmp_path / "state"
    async with exchanges(tmp_path) as config:
        for _ in range(KILLS):
            await life(config, told, chance)
            assert_whole(state_dir, told)
        await stopped(config, told)
    last = assert_whole(state_dir, told)
    assert_written_down(state_dir, told)
    print(await compared(config))
    ready = sorted(told.ready_s)
    print(
        f"{KILLS} kills, {last} records, {len(told.raised)} signals and {len(told.done)} commands heard, "
        f"ready after p50 {ready[len(ready) // 2]:.2f} s, at most {ready[-1]:.2f} s"
    )

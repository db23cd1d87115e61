"""`gambit demo` as a newcomer meets it: it ends at once and clean whenever Ctrl-C comes, and stays on this machine.

GAMBIT_DEMO_ENDS sets how often it is ended.
"""

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from pathlib import Path

import pytest

ENDS = int(os.environ.get("GAMBIT_DEMO_ENDS", "3"))
PATIENCE_SEC = 60.0
LIFE_SEC_MAX = 1.5  # from ready to Ctrl-C
STARTING_SHARE = 0.5  # of the ends come before it is ready
LEFT_AT_ONCE = 130  # while modules load and exchanges start there is nothing to end in order
ELSEWHERE = re.compile(
    r'(?:connect|sendto|sendmsg)\(.*sin6?_(?:addr|port).*(?:inet_addr|inet_pton)\((?:AF_INET6?, )?"([^"]+)"'
)


async def demo(folder: Path, *before: str, words: Sequence[str] = ()) -> Process:
    """A demonstration with its own state folder."""
    setting = f'daemon.state_dir="{folder / "state"}"'
    command = (*before, sys.executable, "-m", "gambit", "demo", "--json", "--set", setting, *words)
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, start_new_session=True)


def family(pid: int) -> set[int]:
    """The processes that a process has started, and theirs."""
    found: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path("/proc", str(pid), "task").iterdir():
            for child in (task / "children").read_text().split():
                found |= {int(child)} | family(int(child))
    return found


def is_alive(pid: int) -> bool:
    """Whether it still runs: one that only waits to be looked at does not."""
    try:
        state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def until_ready(process: Process) -> None:
    """Read until it says so."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if json.loads(line)["event"] == "ready":
            return
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


async def ended(folder: Path, chance: random.Random) -> tuple[bool, float]:
    """Start one and press Ctrl-C; whether it was ready, and how long it took to end."""
    process = await demo(folder)
    begun = time.monotonic()
    is_ready = chance.random() >= STARTING_SHARE
    async with asyncio.timeout(PATIENCE_SEC):
        if is_ready:
            await until_ready(process)
            await asyncio.sleep(chance.random() * LIFE_SEC_MAX)
        else:
            while not family(process.pid) and time.monotonic() - begun < PATIENCE_SEC / 2:
                await asyncio.sleep(0.02)
            await asyncio.sleep(chance.random())  # the instant is the point
    started = family(process.pid)
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    async with asyncio.timeout(PATIENCE_SEC):
        _, said = await process.communicate()
        took_s = time.monotonic() - pressed
        while any(is_alive(pid) for pid in started):
            await asyncio.sleep(0.02)
    assert process.returncode == 0 or (process.returncode == LEFT_AT_ONCE and not is_ready), said.decode()
    assert b"Traceback" not in said
    assert b"Exception" not in said
    return is_ready, took_s


@pytest.mark.timeout(300 + 20 * ENDS)
async def test_ctrl_c_at_any_moment(tmp_path: Path) -> None:
    """It ends with 0 (left at once: 130), says nothing of itself, and takes its exchanges with it."""
    chance = random.Random()
    ends = [await ended(tmp_path / str(k), chance) for k in range(ENDS)]
    slowest = max(took_s for _, took_s in ends)
    print(f"{ENDS} ends, {sum(ready for ready, _ in ends)} of them after ready; the slowest took {slowest:.2f} s")


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")
async def test_nothing_but_this_machine_is_spoken_to(tmp_path: Path) -> None:
    """No name is looked up and no address connected to but the loopback's: it runs without a network."""
    trace = tmp_path / "trace"
    watch = ("strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", str(trace))
    process = await demo(tmp_path, *watch, words=("--for", "1s"))
    _, said = await process.communicate()
    if b"PTRACE" in said or b"ptrace" in said:
        pytest.skip("this machine does not let strace look")
    assert process.returncode == 0, said.decode()
    spoken_to = set(ELSEWHERE.findall(trace.read_text()))
    assert spoken_to == {"127.0.0.1"}

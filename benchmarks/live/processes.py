"""Simulated exchanges and a daemon as processes of their own, and what can be read of them from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gambit.sim.world import DIALECTS, SYMBOLS, Scenario
from gambit.surface.client import ControlError, call

READY_SEC = 60.0
STOP_SEC = 20.0
TICKS_A_SEC = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """What a process used so far: CPU seconds; bytes of memory, descriptors and threads now."""

    cpu_s: float
    rss: int
    files: int
    threads: int


def usage(pid: int) -> Usage:
    """Read it from /proc."""
    root = Path("/proc", str(pid))
    fields = (root / "stat").read_text().rpartition(")")[2].split()
    pages = int((root / "statm").read_text().split()[1])
    cpu_s = (int(fields[11]) + int(fields[12])) / TICKS_A_SEC
    return Usage(cpu_s, pages * PAGE, len(os.listdir(root / "fd")), int(fields[17]))


def symbols(count: int) -> tuple[str, ...]:
    """So many symbols; beyond the known ones the simulator makes some up."""
    made_up = (f"{chr(65 + k % 26)}{chr(65 + k // 26)}C-USDT" for k in range(count))
    return (*SYMBOLS, *made_up)[:count]


@contextlib.contextmanager
def exchanges(folder: Path, scenario: Scenario, seed: int = 1) -> Iterator[tuple[int, list[dict[str, str]]]]:
    """All five venues: the process id, and what each printed."""
    path = folder / "scenario.json"
    path.write_bytes(msgspec.json.encode(scenario))
    words = ["sim", "--port-base", "0", "--seed", str(seed), "--scenario", str(path), "--attached"]
    with subprocess.Popen(
        [sys.executable, "-m", "gambit", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            entries = [json.loads(process.stdout.readline()) for _ in DIALECTS]
            yield process.pid, entries
        finally:
            process.send_signal(signal.SIGTERM)


def write_config(folder: Path, entries: Sequence[dict[str, str]], scenario: Scenario, *more: str) -> Path:
    """A configuration as that of the demonstration, on these exchanges. `more` are lines of `[section]`s."""
    lines = [f"symbols = {json.dumps(scenario.symbols)}", "[daemon]", f'state_dir = "{folder / "state"}"']
    lines += ['log_level = "warning"', "[metrics]", "port = 0", "[api]", "port = 0"]
    lines += ["[engine]", "min_spread_bps = 5", "min_liquidity_depth = 1000", "max_notional = 10000"]
    lines += ["[execution]", "paper_taker_fee_bps = 1", "paper_slippage_bps = 1"]
    lines += ["[risk]", "trades_per_day = 0", "trades_per_hour = 0"]
    for entry in entries:
        lines += [f"[venues.{entry['venue']}]", "taker_fee_bps = 1"]
        lines += [f'ws_url = "{entry["ws"]}"', f'rest_url = "{entry["rest"]}"']
    path = folder / "gambit.toml"
    path.write_text("\n".join([*lines, *more]) + "\n")
    return path


@contextlib.contextmanager
def daemon(config: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """`gambit run`, or another command with this configuration, once it is ready; it must end well."""
    words = command or (sys.executable, "-m", "gambit", "run", "-c")
    with subprocess.Popen([*words, str(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            _until_ready(process, config.parent / "state" / "gambit.sock")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_SEC)
    if code:
        raise RuntimeError(f"the daemon ended with code {code}")


def _until_ready(process: subprocess.Popen[str], path: Path) -> None:
    deadline = time.monotonic() + READY_SEC
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the daemon ended with code {process.returncode} before it was ready")
        with contextlib.suppress(ControlError):
            if call(path, "status")["ready"]:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the daemon was not ready after {READY_SEC:g} s")


def scraped(address: str) -> dict[str, float]:
    """The daemon's metrics by name with labels."""
    with urllib.request.urlopen(address) as answer:
        lines = answer.read().decode().splitlines()
    rows = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


def total(metrics: dict[str, float], name: str) -> float:
    """The sum over a metric's labels."""
    return sum(value for key, value in metrics.items() if key == name or key.startswith(f"{name}{{"))


def status_of(config: Path) -> dict[str, Any]:
    """`gambit status --json`."""
    status: dict[str, Any] = call(config.parent / "state" / "gambit.sock", "status")
    return status

"""``python -m benchmarks.desk_speed --against CHECKOUT``: what a signal costs the desk, beside another version of it.

A seeded capture of five simulated venues is traded on paper by `gambit.backtest`, with the live market and books behind
the desk; each `Desk.consider` is timed, and what it states (plans, refusals, the verdict of every gate) is hashed. This
checkout and the other one take turns, each in a process of its own; the best round of each counts. Equal hashes mean
that every decision and every recorded verdict is the same.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SYMBOLS = [f"{base}-USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK", "DOT", "AVAX")]
SETTINGS = (
    "engine.min_spread_bps=5", "engine.min_liquidity_depth=1000", "engine.max_notional=10000",
    "execution.paper_taker_fee_bps=1", "execution.paper_slippage_bps=1", "risk.trades_per_day=0",
    "risk.trades_per_hour=0",
)  # fmt: skip


def measure(capture: Path) -> dict[str, Any]:
    """Microseconds of every consideration, best of nothing: one run; and a digest of what was stated."""
    from gambit.backtest import run
    from gambit.config import load_layers
    from gambit.engine.desk import Desk
    from gambit.events import written

    spent: list[float] = []
    stated = hashlib.blake2b(digest_size=16)
    original = Desk.consider

    def timed(self: Any, opportunity: Any, conditions: Any, now_ns: int) -> Any:
        begun = time.thread_time_ns()  # the machine is shared; what others take does not count
        decision = original(self, opportunity, conditions, now_ns)
        spent.append((time.thread_time_ns() - begun) / 1000)
        for fact in decision.facts:
            stated.update(b"|".join(part if isinstance(part, bytes) else part.encode() for part in written(fact)))
        return decision

    config = load_layers(None, {}, list(SETTINGS)).config
    gc.collect()
    gc.freeze()
    gc.disable()
    Desk.consider = timed  # type: ignore[method-assign]
    begun = time.process_time()
    run([capture], config)
    whole_s = time.process_time() - begun
    spent.sort()
    return {
        "signals": len(spent), "p50": spent[len(spent) // 2], "p90": spent[len(spent) * 9 // 10],
        "p99": spent[len(spent) * 99 // 100], "mean": sum(spent) / len(spent), "whole_s": whole_s,
        "stated": stated.hexdigest(),
    }  # fmt: skip


def made(folder: Path, seconds: float) -> Path:
    """The capture."""
    from gambit.sim.capture import make_capture

    path = folder / "capture.jsonl.zst"
    make_capture(
        path, venues=["binance", "okx", "bybit", "kraken", "coinbase"], symbols=SYMBOLS, seconds=seconds, seed=7
    )
    return path


def in_checkout(checkout: Path, capture: Path) -> dict[str, Any]:
    """One round in a process of its own."""
    found = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--round", str(capture)],
        env={**os.environ, "PYTHONPATH": str(checkout)}, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(found.stdout)
    return result


def best(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The least of every time."""
    return {key: min(one[key] for one in rounds) for key in rounds[0]}


def main(words: list[str] | None = None) -> int:
    """Race and tell; exit code 1 when the two state different things."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.desk_speed", description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, built")
    parser.add_argument("--seconds", type=float, default=60.0, help="of recorded time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--round", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.round is not None:
        print(json.dumps(measure(asked.round)))
        return 0
    here = Path(__file__).resolve().parents[1]
    checkouts = {"here": here} | ({"there": asked.against.resolve()} if asked.against else {})
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="gambit-desk-speed-") as folder:
        capture = made(Path(folder), asked.seconds)
        for _ in range(asked.rounds):
            for name, checkout in checkouts.items():
                rounds[name].append(in_checkout(checkout, capture))
    found = {name: best(of) for name, of in rounds.items()}
    for name, one in found.items():
        print(
            f"{name:6} {one['signals']:,} signals considered  p50 {one['p50']:.0f}  p90 {one['p90']:.0f}  "
            f"p99 {one['p99']:.0f}  mean {one['mean']:.0f} us  whole run {one['whole_s']:.2f} s CPU  {one['stated']}"
        )
    if "there" not in found:
        return 0
    ratios = {key: found["there"][key] / found["here"][key] for key in ("p50", "p90", "p99", "mean", "whole_s")}
    print("there over here: " + "  ".join(f"{key} {ratio:.2f}" for key, ratio in ratios.items()))
    return 0 if found["here"]["stated"] == found["there"]["stated"] else 1


if __name__ == "__main__":
    raise SystemExit(main())

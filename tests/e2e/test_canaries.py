"""Twelve planted secrets through refused logons, signing errors, names that do not resolve, debug level and a crash:
none of them is written anywhere (S45, I20)."""

import asyncio
import base64
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from gambit.surface.client import call
from gambit.vault import Vault
from tests.e2e.live import exchanges, until
from tests.e2e.test_live_trading import CALM, SYMBOL
from tests.e2e.test_watchdog import children, command_line

PATIENCE_SEC = 30.0
VENUES = ("binance", "okx", "bybit", "kraken", "coinbase")


def planted() -> dict[str, str]:
    """Every secret that a daemon may be given, each with a value of its own that signs but opens nothing."""
    values = {f"{venue}/{part}": secrets.token_hex(20) for venue in VENUES for part in ("api_key", "secret")}
    values["kraken/secret"] = base64.b64encode(secrets.token_bytes(48)).decode()
    values["coinbase/secret"] = base64.b64encode(secrets.token_bytes(32)).decode()
    return values | {"okx/passphrase": secrets.token_hex(20), "telegram/bot_token": secrets.token_hex(20)}


async def test_no_secret_is_written_anywhere(tmp_path: Path) -> None:
    """Log, journal, database, metrics, control socket, command lines, the watchdog's log: whatever is on the disk."""
    state, canaries = tmp_path / "state", planted()
    assert len(canaries) == 12
    state.mkdir(mode=0o700)
    async with exchanges(CALM) as server:
        canaries["bybit/api_key"] = server.entry("bybit")["key"]  # a key that Bybit knows it repeats with the error
        vault = Vault.open(state, {}, lambda: 1)
        vault.put_all({name: value.encode() for name, value in canaries.items()})
        words = ['execution.mode="live"', f'symbols=["{SYMBOL}"]', "metrics.port=0", "api.port=0"]
        words += [f"daemon.state_dir={state}", "daemon.log_level=debug", "daemon.log_format=json"]
        for venue in VENUES:
            entry = server.entry(venue)
            private = "ws://gambit-canary.invalid/v2" if venue == "kraken" else entry["ws_private"]
            words += [f"venues.{venue}.ws_url={entry['ws']}", f"venues.{venue}.rest_url={entry['rest']}"]
            words += [f"venues.{venue}.ws_private_url={private}"]
        options = [part for word in words for part in ("--set", word)]
        output = tmp_path / "output"
        with output.open("wb") as said:
            daemon = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gambit", "run", *options), stdout=said, stderr=said, stdin=PIPE
            )
        seen = []
        try:
            await until(lambda: output.read_bytes().count(b"no orders go to an account") >= 4, PATIENCE_SEC)
            status = await asyncio.to_thread(call, state / "gambit.sock", "status")
            seen.append(repr(status))
            seen.append(await asyncio.to_thread(lambda: urlopen(status["metrics_address"]).read().decode()))
            watchdogs = children(daemon.pid)
            seen += [command_line(pid).decode() for pid in (daemon.pid, *watchdogs)]
            daemon.send_signal(signal.SIGABRT)
            await daemon.wait()
        finally:
            if daemon.returncode is None:
                daemon.kill()
                await daemon.wait()
        for pid in watchdogs:
            os.kill(pid, signal.SIGKILL)
    held = {account["venue"] for account in status["accounts"] if account["held"]}
    assert {"binance", "okx", "bybit"} <= held
    assert b"***" in output.read_bytes()  # a venue repeated one of them
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"gambit.duckdb", "vault.json", "watchdog.log", "output"} <= {path.name for path in files}
    seen += [path.read_bytes().decode("latin-1") for path in files]
    leaked = {
        (name, number)
        for name, value in canaries.items()
        for number, text in enumerate(seen)
        if any(form in text for form in (value, quote(value, safe="")))
    }
    assert leaked == set()

"""Twelve planted secrets, and all that the doors make, through refused logons, signing errors, names that do not
resolve, wrong and reused passwords and tokens, debug level and a crash: none is written anywhere (S45, I20)."""

import asyncio
import base64
import json
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import aiohttp

from gambit.surface.client import call
from gambit.vault import Vault
from tests.e2e.live import exchanges, until
from tests.e2e.test_live_trading import CALM, SYMBOL
from tests.e2e.test_watchdog import children, command_line

PATIENCE_SEC = 60.0
ANN = {"email": "ann@desk"}
VENUES = ("binance", "okx", "bybit", "kraken", "coinbase")


def planted() -> dict[str, str]:
    """Every secret that a daemon may be given, each with a value of its own that signs but opens nothing."""
    values = {f"{venue}/{part}": secrets.token_hex(20) for venue in VENUES for part in ("api_key", "secret")}
    values["kraken/secret"] = base64.b64encode(secrets.token_bytes(48)).decode()
    values["coinbase/secret"] = base64.b64encode(secrets.token_bytes(32)).decode()
    return values | {"okx/passphrase": secrets.token_hex(20), "telegram/bot_token": secrets.token_hex(20)}


async def _through_the_doors(state: Path, address: str, canaries: dict[str, str]) -> list[str]:
    """Log in, rightly and wrongly, and make whatever is secret and shown once; every error that is answered meanwhile.
    What was made is added to the canaries."""
    password, wrong = secrets.token_hex(20), secrets.token_hex(20)
    canaries |= {"password": password, "wrong password": wrong}
    await asyncio.to_thread(call, state / "gambit.sock", "user.add", {**ANN, "password": password, "role": "admin"})
    errors: list[str] = []
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def ask(method: str, path: str, body: object = None, **headers: str) -> dict[str, Any]:
            async with session.request(method, path, json=body, headers=headers) as reply:
                for one in reply.cookies.values():
                    canaries["cookie"] = one.value
                text = await reply.text()
                errors.extend([text] if reply.status >= 400 else [])
                return json.loads(text) if text else {}

        login = {**ANN, "password": password}
        await ask("POST", "/auth/login", {**ANN, "password": wrong})
        await ask("POST", "/auth/login", {**login, "unknown": password})
        await ask("POST", "/auth/login", {**login, "cookie": True})
        told = await ask("POST", "/auth/login", login)
        canaries |= {"first refresh token": told["refresh_token"]}
        bearer = {"Authorization": f"Bearer {told['access_token']}"}
        canaries["totp"] = (
            (await ask("POST", "/auth/totp", **bearer))["otpauth"].partition("secret=")[2].partition("&")[0]
        )
        key = {"name": "bot", "scopes": ["market:read"]}
        canaries["api key"] = (await ask("POST", "/auth/api-keys", key, **bearer))["secret"]
        guest = {"email": "bob@desk", "role": "viewer"}
        canaries["invitation"] = (await ask("POST", "/admin/invitations", guest, **bearer))["code"]
        await ask("POST", "/auth/accept", {"code": canaries["invitation"], "password": "short"})
        following = await ask("POST", "/auth/refresh", {"refresh_token": told["refresh_token"]})
        canaries |= {"refresh token": following["refresh_token"], "access token": following["access_token"]}
        await ask("POST", "/auth/refresh", {"refresh_token": told["refresh_token"]})  # reused: the session ends
        await ask("GET", "/auth/me", **bearer)
    assert len(errors) == 5
    return errors


def _keys_of(state: Path) -> dict[str, str]:
    """What the daemon made for itself and keeps in its vault, as it would be written."""
    vault = Vault.open(state, {}, lambda: 1)
    names = [name for name in vault.names() if name.startswith(("jwt/", "access/"))]
    return {f"{name} {way.__name__}": way(vault.get(name)) for name in names for way in (_raw, _hex, _base64)}


def _raw(value: bytes) -> str:
    return value.decode("latin-1")


def _hex(value: bytes) -> str:
    return value.hex()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


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
            seen += await _through_the_doors(state, status["web_address"], canaries)
            seen.append(await asyncio.to_thread(lambda: urlopen(status["metrics_address"]).read().decode()))
            watchdogs = children(daemon.pid)
            seen += [command_line(pid).decode() for pid in (daemon.pid, *watchdogs)]
            seen += [Path(f"/proc/{pid}/comm").read_text() for pid in (daemon.pid, *watchdogs)]
            daemon.send_signal(signal.SIGABRT)
            await daemon.wait()
        finally:
            if daemon.returncode is None:
                daemon.kill()
                await daemon.wait()
        for pid in watchdogs:
            os.kill(pid, signal.SIGKILL)
    canaries |= await asyncio.to_thread(_keys_of, state)
    held = {account["venue"] for account in status["accounts"] if account["held"]}
    assert {"binance", "okx", "bybit"} <= held
    assert b"***" in output.read_bytes()  # a venue repeated one of them
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"gambit.duckdb", "vault.json", "watchdog.log", "output"} <= {path.name for path in files}
    seen += [path.read_bytes().decode("latin-1") for path in files]
    assert {"password", "cookie", "access token", "refresh token", "totp", "api key", "invitation"} < set(canaries)
    assert any(name.startswith("jwt/") for name in canaries)
    leaked = {
        (name, number)
        for name, value in canaries.items()
        for number, text in enumerate(seen)
        if any(form in text for form in (value, quote(value, safe="")))
    }
    assert leaked == set()

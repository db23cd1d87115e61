"""`gambit credentials`, and what a daemon does with keys: as a user meets them, in processes of their own."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click.testing
import pytest

from gambit.bootstrap.credentials import CredentialError, live_keys
from gambit.cli.program import gambit
from gambit.config.loading import load_layers
from gambit.model import rfc3339
from gambit.sim.server import Server
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import Scenario
from gambit.vault import Vault
from tests.e2e.live import exchanges

KEY, SECRET = "k" + "0123456789abcdef" * 2, "sEcReT" + "0123456789abcdef" * 2
KRAKEN_SECRET = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"
WAIT_SEC = 60


class Done:
    """How a command ended, in this process; `gambit start` and `stop` in one of their own."""

    def __init__(self, state: Path, *words: str, given: str = "", env: dict[str, str] | None = None) -> None:
        words = (*words, "--set", f"daemon.state_dir={state}")
        if words[0] in ("start", "stop"):
            environ = {name: value for name, value in os.environ.items() if not name.startswith("GAMBIT_")}
            done = subprocess.run(
                [sys.executable, "-m", "gambit", *words],
                capture_output=True, timeout=WAIT_SEC, check=False, env=environ | (env or {}),
            )  # fmt: skip
            self.code, self.out, self.err = done.returncode, done.stdout.decode(), done.stderr.decode()
        else:
            result = click.testing.CliRunner().invoke(gambit, words, input=given, env=env, standalone_mode=False)
            error = result.exception
            assert error is None or isinstance(error, click.ClickException), result.exc_info
            self.code = error.exit_code if error else result.return_value or 0
            self.out, self.err = result.stdout, result.stderr + (error.format_message() if error else "")
        assert "Traceback" not in self.err
        assert "a defect" not in self.err
        assert SECRET not in self.out + self.err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def test_the_life_of_an_accounts_keys(tmp_path: Path) -> None:
    """Added, listed, rotated, removed; values come by file and stdin, and stand nowhere in the clear."""
    state, key_file = tmp_path / "state", tmp_path / "key"
    key_file.write_text(f"{KEY}\n")
    sources = ("--from", f"api_key={key_file}", "--from", "secret=-")
    added = Done(state, "credentials", "add", "binance", *sources, given=SECRET)
    assert (added.code, added.out) == (0, "kept binance/api_key (version 1), binance/secret (version 1)\n")
    assert "made a master key" in added.err
    again = Done(state, "credentials", "add", "binance", *sources, given=SECRET)
    assert (again.code, "gambit credentials rotate binance" in again.err) == (2, True)
    assert Done(state, "credentials", "rotate", "binance", *sources, given=SECRET[::-1]).code == 0
    rows = Done(state, "credentials", "list", "--json").json
    assert [(row["name"], row["version"], row["masked"]) for row in rows] == [
        ("binance/api_key", 2, "k01…def"), ("binance/secret", 2, "***"),
    ]  # fmt: skip
    assert all(row["age_days"] == 0 and len(row["due"]) == len("2026-01-01") for row in rows)
    assert {row["venue"] for row in rows} == {"binance"}
    assert all(row["created_at"] == rfc3339(row["created_ns"]) for row in rows)
    for path in state.rglob("*"):
        assert not path.is_file() or (SECRET.encode() not in path.read_bytes() and path.stat().st_mode & 0o077 == 0)
    assert Done(state, "credentials", "remove", "binance").out == "removed binance/api_key, binance/secret\n"
    assert Done(state, "credentials", "list").out.startswith("the vault is empty")


@pytest.mark.parametrize(
    ("words", "given", "text"),
    [
        (("add", "binance", "--from", "api_key=-", "--from", SECRET), "k", "wants PART=FILE"),
        (("add", "kraken", "--from", "api_key=KEYFILE", "--from", "secret=-"), SECRET + "!", "is not base64"),
        (("add", "okx", "--from", "api_key=KEYFILE", "--from", "secret=-"), SECRET, "no terminal to ask on"),
        (("add", "binance", "--from", "api_key=KEYFILE", "--from", "secret=-"), "  \n", "binance/secret: empty"),
        (("rotate", "bybit"), "", "has nothing of 'bybit'"),
        (("remove", "bybit"), "", "has nothing of 'bybit'"),
        (("add", "Upper/Case", "--from", "Case=-"), SECRET, "not a name of a secret"),
    ],
)
def test_what_is_refused_keeps_nothing(tmp_path: Path, words: tuple[str, ...], given: str, text: str) -> None:
    """With exit code 2, and never with the value in the message."""
    (tmp_path / "key").write_text(KEY)
    named = [word.replace("KEYFILE", str(tmp_path / "key")) for word in words]
    done = Done(tmp_path / "state", "credentials", *named, given=given)
    assert (done.code, done.out) == (2, "")
    assert text in done.err
    assert not (tmp_path / "state" / "vault.json").exists()


def test_another_master_key(tmp_path: Path) -> None:
    """rewrap: the old key opens it no more; a wrong one is told and changes nothing."""
    state, fresh = tmp_path / "state", tmp_path / "fresh.key"
    fresh.write_text("cd" * 32)
    fresh.chmod(0o600)
    assert Done(state, "credentials", "add", "telegram/bot_token", "--from", "bot_token=-", given=SECRET).code == 0
    assert Done(state, "credentials", "rewrap", "--to", str(fresh)).code == 0
    refused = Done(state, "credentials", "list")
    assert (refused.code, "does not open the vault" in refused.err) == (2, True)
    listed = Done(state, "credentials", "list", "--json", env={"GAMBIT_MASTER_KEY_FILE": str(fresh)})
    assert [row["name"] for row in listed.json] == ["telegram/bot_token"]
    fresh.chmod(0o644)
    wide = Done(state, "credentials", "list", env={"GAMBIT_MASTER_KEY_FILE": str(fresh)})
    assert (wide.code, "(mode 0644); chmod 600 it" in wide.err) == (2, True)


def settings(server: Server, tmp_path: Path, *lines: str) -> list[str]:
    """The options of a live daemon on simulated exchanges."""
    words = ['execution.mode="live"', 'symbols=["BTC-USDT"]', "metrics.port=0", "api.port=0", *lines]
    for venue in server.world.exchanges:
        entry = server.entry(venue)
        words += [f"venues.{venue}.ws_url={entry['ws']}", f"venues.{venue}.rest_url={entry['rest']}"]
        words += [f"venues.{venue}.ws_private_url={entry['ws_private']}"]
    return [part for word in words for part in ("--set", word)]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ((), 'execution.mode = "live" needs keys, and there are none for binance'),
        (("binance.api_key=env:THE_KEY",), "binance has no secret beside its api_key"),
        (("binance.api_key=secret:nothing/here", "binance.secret=env:THE_SECRET"), "no such secret"),
        (("kraken.api_key=env:THE_KEY", "kraken.secret=env:THE_SECRET"), "the keys of kraken cannot sign"),
        (("coinbase.api_key=env:THE_KEY", "coinbase.secret=env:THE_SECRET"), "the keys of coinbase cannot sign"),
        (("okx.api_key=env:THE_KEY", "okx.secret=env:THE_SECRET"), "okx: its keys have a passphrase"),
        (("binance.api_key=env:NOT_THERE",), "venues.binance.api_key: the environment has no variable NOT_THERE"),
    ],
)
def test_keys_that_are_missing_or_cannot_sign_are_named(tmp_path: Path, lines: tuple[str, ...], text: str) -> None:
    """And never shown."""
    environ = {"THE_KEY": KEY, "THE_SECRET": SECRET + "!"}
    config = load_layers(None, {}, ["venues.binance.enabled=true", *(f"venues.{line}" for line in lines)]).config
    with pytest.raises(CredentialError, match=re.escape(text)) as caught:
        live_keys(config, Vault.open(tmp_path, {}, time.time_ns), environ)
    assert SECRET not in str(caught.value)


def test_a_live_daemon_without_keys_is_refused(tmp_path: Path) -> None:
    """`gambit start`: a sentence and exit code 2, no defect, and no crash to count."""
    state = tmp_path / "state"
    done = Done(state, "start", "--set", 'execution.mode="live"', "--set", "venues.binance.enabled=true")
    assert (done.code, "`gambit credentials add VENUE`" in done.err) == (2, True), done.err
    assert not any("start" in path.name for path in state.iterdir())


async def test_a_daemon_takes_its_keys_from_the_vault_and_new_ones_while_it_runs(tmp_path: Path) -> None:
    """Added before the start, wrong ones: held, as `gambit status` says; rotated: up without a restart. What was done
    to them is in the journal and the database, without values."""
    state = tmp_path / "state"
    async with exchanges(Scenario(symbols=("BTC-USDT",), dislocations_per_s=0.0)) as server:
        await run(check_life, server, state, settings(server, tmp_path, "journal.fsync_interval_ms=1"))


async def run(what: Any, *words: Any) -> None:
    """In a thread, for the exchanges live in this one."""
    await asyncio.to_thread(what, *words)


def check_life(server: Server, state: Path, words: list[str]) -> None:
    """The daemon's life, as an operator leads it."""
    entries = {venue: server.entry(venue) for venue in ("bybit", "okx")}
    for venue, entry in entries.items():
        put(state, "add", venue, {**entry, "secret": "wrong secret of this account"})
    try:
        started = Done(state, "start", *words)
        assert started.code == 0, started.err
        shown = waited(state, lambda status: [account["held"] for account in status["accounts"]] == ["auth", "auth"])
        assert {account["venue"] for account in shown["accounts"]} == {"bybit", "okx"}
        told = Done(state, "status").out
        assert "no orders: auth" in told
        assert "gambit credentials rotate okx" in told
        for venue, entry in entries.items():
            assert put(state, "rotate", venue, entry).endswith(f"; the daemon tries {venue} again\n")
        waited(state, lambda status: all(account["up"] for account in status["accounts"]))
    finally:
        Done(state, "stop", "--now")
    told = Done(state, "query", "--json", "select name, what from api_credentials order by seq").out
    rows = [json.loads(line) for line in told.splitlines()]
    assert [(row["name"], row["what"]) for row in rows][:2] == [("bybit/api_key", "added"), ("bybit/secret", "added")]
    assert sorted(row["name"] for row in rows if row["what"] == "rotated") == [
        "bybit/api_key", "bybit/secret", "okx/api_key", "okx/passphrase", "okx/secret",
    ]  # fmt: skip
    values = [entry[part] for entry in entries.values() for part in ("key", "secret", "passphrase") if entry[part]]
    for path in state.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert [value for value in values if value.encode() in content] == [], path


def put(state: Path, verb: str, venue: str, entry: dict[str, Any]) -> str:
    """Give a venue's keys by files."""
    words = []
    for part, name in (("api_key", "key"), ("secret", "secret"), ("passphrase", "passphrase")):
        if entry[name]:
            path = state.parent / f"{venue}.{part}"
            path.write_text(entry[name])
            words += ["--from", f"{part}={path}"]
    done = Done(state, "credentials", verb, venue, *words)
    assert done.code == 0, done.err
    return done.out


def waited(state: Path, what: Any) -> Any:
    """The daemon's status once it is so."""
    deadline = time.monotonic() + WAIT_SEC
    while True:
        status = Done(state, "status", "--json").json
        if what(status):
            return status
        assert time.monotonic() < deadline, status["accounts"]


def test_the_vault_is_read_by_who_needs_it(tmp_path: Path) -> None:
    """A damaged vault is told by `gambit start` in paper mode too, and left as it is."""
    state = tmp_path / "state"
    assert Done(state, "credentials", "add", "users", "--from", "users=-", given=SECRET).code == 2  # a venue's name
    assert Done(state, "credentials", "add", "web/users", "--from", "users=-", given=SECRET).code == 0
    damaged = bytearray((state / "vault.json").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (state / "vault.json").write_bytes(damaged)
    done = Done(state, "start", "--set", "venues.binance.enabled=true")
    assert (done.code, "vault.json" in done.err) == (2, True)
    assert (state / "vault.json").read_bytes() == bytes(damaged)
    assert Vault.exists(state)


async def test_venues_check_says_what_keys_may_do(tmp_path: Path) -> None:
    """And ends with 1 where one of them may withdraw."""
    state = tmp_path / "state"
    async with exchanges(Scenario(symbols=("BTC-USDT",), dislocations_per_s=0.0)) as server:
        words = settings(server, tmp_path)
        for venue in server.world.exchanges:
            put(state, "add", venue, server.entry(venue))
        fine = await asyncio.to_thread(Done, state, "venues", "check", *words)
        assert fine.out.count("may trade and nothing that it should not") == 5
        assert fine.out.count("10 bps, account 1") == 5
        assert fine.code == 0
        server.world.exchanges["okx"].strike(FaultOrder(kind="rights", args={"withdraw": True}))
        wrong = await asyncio.to_thread(Done, state, "venues", "check", "--json", *words)
        assert {(row["taker_fee_bps"], row["maker_fee_bps"], row["account_taker_fee_bps"]) for row in wrong.json} == {
            ("10", None, "1")
        }
        keys = {row["venue"]: row["key"] for row in wrong.json}
        assert keys.pop("okx").startswith("the key of okx may withdraw funds")
        assert set(keys.values()) == {"ok"}
        assert wrong.code == 1

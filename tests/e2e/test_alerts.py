"""Alerts of a live daemon: an exchange that refuses connections is told of, acted upon, kept and resolved."""

import asyncio
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from benchmarks.live.alerts import measure
from gambit.bootstrap import Options
from gambit.bootstrap.alerting import Alerting
from gambit.journal import JournalFailed
from gambit.notify.signing import Verifier
from gambit.runtime.daemon import Daemon
from gambit.sim.server import Server
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import Scenario
from gambit.surface import client
from tests.e2e.live import config_for, exchanges, running, until
from tests.notify.servers import Inbox, http_server

RULE = '{rule="venue_down", for_sec=0.2, actions=["reduce"]}'


def cut_off(server: Server, venue: str, for_ms: int) -> None:
    """The venue ends its connections and takes no others for a time."""
    exchange = server.world.exchanges[venue]
    exchange.strike(FaultOrder(kind="refuse", for_ms=for_ms))
    exchange.strike(FaultOrder(kind="disconnect", args={"code": 1006}, count=20, for_ms=for_ms))


def alerting_of(daemon: Daemon) -> Alerting:
    [alerting] = [each for each in daemon.parts.beside if isinstance(each, Alerting)]
    return alerting


async def asked(daemon: Daemon, method: str, **params: Any) -> Any:
    """Through the control socket, as the command line does it."""
    path = Path(str(daemon.parts.servers[0].path))  # type: ignore[attr-defined]
    return await asyncio.to_thread(client.call, path, method, params, 10.0)


async def of_okx(daemon: Daemon, alert_id: str = "") -> list[Any]:
    """The alert that this venue is down: the open one, or this one. On a busy machine others may be for a moment, and
    this one at the start."""
    rows = await asked(daemon, "alerts", rule_id="venue_down", open_only=not alert_id)
    return [row for row in rows if row["scope"] == "venue:okx" and alert_id in ("", row["alert_id"])]


async def test_an_alert_from_fault_to_journal_store_and_action(tmp_path: Path) -> None:
    """Raised once, counted, in `facts` and `alerts`, trading reduced; silenced, taken, resolved; kept."""
    async with exchanges(Scenario(symbols=("BTC-USDT",))) as server:
        config = config_for(server, tmp_path / "state", f"alerts.rules = [{RULE}]", symbols=("BTC-USDT",))
        async with running(config) as (daemon, log):
            alerting = alerting_of(daemon)
            cut_off(server, "okx", 3_600_000)
            cases = alerting.engine._cases
            await until(lambda: any(key == "venue:okx" and one.raised for key, one in cases["venue_down"].items()))
            [row] = await of_okx(daemon)
            assert (row["severity"], row["acked_by"]) == ("high", "")
            await until(lambda: daemon.parts.switch.state == "REDUCING")
            assert [one["rule_id"] for one in await asked(daemon, "alerts", rule_id="reducing")] == ["reducing"]
            assert "venue_down" in daemon.parts.switch.kept.reason
            metrics = await asked(daemon, "metrics")
            assert 'gambit_alerts_total{rule="venue_down",severity="high"} ' in metrics
            assert "no connection to okx stands" in log.of("warning")

            await asked(daemon, "alert.ack", alert_id=row["alert_id"])
            made = await asked(daemon, "alert.silence", scope="venue:okx", for_sec=60, reason="known")
            [row] = await of_okx(daemon, row["alert_id"])
            assert row["is_silenced"]
            assert row["acked_by"].startswith("user ")
            with pytest.raises(client.ControlError, match="still holds"):
                await asked(daemon, "alert.resolve", alert_id=row["alert_id"])
            assert [one["silence_id"] for one in await asked(daemon, "alert.silences")] == [made["silence_id"]]
            assert {one["slo"] for one in await asked(daemon, "slo")} >= {"frames"}
            rules = {one["rule_id"]: one for one in await asked(daemon, "alert.rules")}
            assert rules["venue_down"]["firing"] >= 1
            assert rules["halted"]["firing"] == 0
            await daemon.parts.keeping.journal.until_synced(daemon.parts.keeping.journal.head)
            await until(lambda: daemon.parts.keeping.store.lag == 0)
            copy = await daemon.parts.keeping.snapshot(0.0)
            kept = "SELECT alert_id FROM alerts WHERE rule_id = 'venue_down' AND scope = 'venue:okx'"
            assert rows_of(copy["path"], kept).count((row["alert_id"],)) == 1
            done = rows_of(copy["path"], "SELECT action FROM audit_log ORDER BY seq")
            assert [action for (action,) in done] == ["trading state REDUCING", "alert.ack", "alert.silence",
                                                      "alert.resolve"]  # fmt: skip
        server.world.exchanges["okx"].clear()
        async with running(config) as (daemon, _):
            alerting = alerting_of(daemon)
            [again] = await of_okx(daemon, row["alert_id"])
            assert again["alert_id"] == row["alert_id"]
            assert again["is_silenced"]
            for case in alerting.engine._cases["venue_down"].values():
                case.held_until_ns = 0  # not the half minute a restart is given
            await until(lambda: not alerting.engine.firing("venue_down"))
            [over] = await of_okx(daemon, row["alert_id"])
            assert over["resolved_ns"] is not None


def rows_of(path: str, sql: str) -> list[tuple[Any, ...]]:
    """What SQL says of a copy of the database."""
    import duckdb

    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


async def test_from_fault_to_phone_and_mail(tmp_path: Path) -> None:
    """Two venues cut off one after the other: a message by each way for each, sooner than anybody's patience ends."""
    found = await measure(tmp_path, rounds=1, venues=2)
    assert len(found) == 2


async def test_an_alert_outlives_the_daemon_and_the_channel(tmp_path: Path) -> None:
    """The mail server is gone: the alert goes to the fallback; with none it waits and is told by the next life."""
    inbox = Inbox()
    async with http_server(inbox) as url, exchanges(Scenario(symbols=("BTC-USDT",))) as server:
        env = {"HOOK": f"{url}/hook", "SECRET": "0123456789abcdef"}
        hook = '{name="hook", kind="webhook", url="env:HOOK", secret="env:SECRET", allow_private=true}'
        config = config_for(
            server, tmp_path / "state", f"notify.channels = [{hook}]", "notify.group_ms = 0", symbols=("BTC-USDT",)
        )
        inbox.answers = [(503, {"Retry-After": "3600"}, b"")] * 100
        async with running(config, Options(env=env)) as (daemon, _):
            await asked(daemon, "alert.create", message="look at this", severity="critical")
            await inbox.until(lambda: len(told_of(inbox)) == 1)
        inbox.answers.clear()
        async with running(config, Options(env=env)) as (daemon, _):
            await inbox.until(lambda: len(told_of(inbox)) == 2)
            for _, headers, body in inbox.requests:
                verified = Verifier([env["SECRET"].encode()])
                verified.verify(headers, body, int(headers["x-gambit-timestamp"]))
            [done] = await asked(daemon, "alert.test")
            assert (done["channel"], done["ok"]) == ("hook", True)
            await until(lambda: delivered(daemon) >= 1)
    for secret in env.values():  # S45: neither the address nor the shared secret is written anywhere
        files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
        assert [path.name for path in files if secret.encode() in path.read_bytes()] == []


async def test_what_the_journal_does_not_take_is_told(tmp_path: Path) -> None:
    """A journal that fails raises the alert that matters most: it leaves all the same, and trading halts."""
    inbox = Inbox()
    async with http_server(inbox) as url, exchanges(Scenario(symbols=("BTC-USDT",))) as server:
        env = {"HOOK": f"{url}/hook", "SECRET": "0123456789abcdef"}
        hook = '{name="hook", kind="webhook", url="env:HOOK", secret="env:SECRET", allow_private=true}'
        config = config_for(server, tmp_path / "state", f"notify.channels = [{hook}]", symbols=("BTC-USDT",))
        async with running(config, Options(env=env)) as (daemon, _):
            journal = daemon.parts.keeping.journal
            with mock.patch.object(type(journal), "failed", "the disk is full"), mock.patch.object(
                journal, "append", side_effect=JournalFailed("the disk is full")
            ):  # fmt: skip
                await inbox.until(lambda: any(b"the journal takes no more records" in r[2] for r in inbox.requests))
            assert alerting_of(daemon).engine.firing("journal_failed") == 1


def told_of(inbox: Inbox) -> list[Any]:
    """The messages about the one that somebody made; a busy machine may give rise to others."""
    return [one for one in inbox.requests if b"look at this" in one[2]]


def delivered(daemon: Daemon) -> float:
    """How many messages the metrics say have arrived by the hook."""
    text = alerting_of(daemon)._registry.render().decode()
    found = [line for line in text.splitlines() if line.startswith('gambit_alert_deliveries_total{channel="hook"}')]
    return sum(float(line.split()[-1]) for line in found)

"""The HTTP door of a real daemon: what it tells is what the daemon has, what it does is in the journal."""

import secrets
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gambit.access.permissions import Role
from gambit.bootstrap.web import DoorError
from gambit.runtime.daemon import Daemon
from tests.e2e.live import config_for, exchanges, running, until

PASSWORD = "correct horse battery staple"


class Desk:
    """Somebody at the door of a daemon."""

    def __init__(self, session: aiohttp.ClientSession, daemon: Daemon) -> None:
        self.session = session
        self.url = daemon.parts.web_address()
        self.token = ""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body."""
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        async with self.session.request(method, self.url + path, json=body, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None) if reply.status != 204 else None

    async def log_in(self, daemon: Daemon, role: Role) -> None:
        """As a new user, by a link."""
        access = daemon.parts.access
        user = await access.people.add(f"{role.value}-{secrets.token_hex(4)}@desk", PASSWORD, role)
        _, told = await self.ask("POST", "/auth/ticket", {"ticket": access.logins.ticket(user.user_id)})
        self.token = told["access_token"]


async def test_a_day_at_the_door(tmp_path: Path) -> None:
    """Log in, read everything, halt and resume; the journal says who; after
    a restart the same key does not halt again."""
    async with exchanges() as server, aiohttp.ClientSession() as session:
        config = config_for(server, tmp_path / "state")
        async with running(config) as (daemon, log):
            desk = Desk(session, daemon)
            assert (await desk.ask("GET", "/orders"))[0] == 401
            await desk.log_in(daemon, Role.ADMIN)
            await until(lambda: daemon.parts.dealing.desk.standing.state.orders)
            for path in (
                "/status", "/market/snapshot", "/arb/opportunities", "/orders", "/plans", "/positions", "/pnl",
                "/alerts", "/silences", "/slo", "/admin/users", "/auth/sessions", "/health", "/ready", "/auth/me",
            ):  # fmt: skip
                status, body = await desk.ask("GET", path)
                assert (status, body["schema_version"]) == (200, "1"), (path, body)
            _, listed = await desk.ask("GET", "/orders?limit=1")
            status, order = await desk.ask("GET", f"/orders/{listed['items'][0]['order_id']}")
            assert (status, order["client_order_id"]) == (200, listed["items"][0]["client_order_id"])
            key = {"Idempotency-Key": "halt-1"}
            status, told = await desk.ask("POST", "/control/halt", {"reason": "lunch"}, **key)
            assert (status, told["state"], daemon.parts.switch.state) == (200, "HALTED", "HALTED")
            assert (await desk.ask("POST", "/control/resume", {}))[0] == 200
            assert daemon.parts.switch.state == "ACTIVE"
            await until(lambda: any(fact.get("action") == "trading state ACTIVE" for fact in facts(daemon)))
            [record] = [
                fact for fact in facts(daemon) if fact.get("action") == "trading state HALTED"
            ]  # by the daemon itself, with the name of the caller
            assert (record["door"], record["detail"]) == ("rest", "lunch")
            assert record["who"].startswith("admin-")
            assert "the HTTP door" not in log.of("error")
        async with running(config) as (daemon, _):
            desk.url = daemon.parts.web_address()
            again = await desk.ask("POST", "/control/halt", {"reason": "lunch"}, **key)
            assert (again, daemon.parts.switch.state) == ((200, told), "ACTIVE")


def facts(daemon: Daemon) -> list[dict[str, Any]]:
    """The audit records of the journal so far."""
    import msgspec

    follower = daemon.parts.keeping.journal.follow(0)
    found = []
    while records := follower.read(1000):
        found += [msgspec.json.decode(record.body) for record in records if record.kind == "audit"]
    return found


async def test_a_door_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    """A port that is taken, a state that others may read, a certificate that is none: an error with what to do."""
    async with exchanges() as server:
        config = config_for(server, tmp_path / "state")
        async with running(config) as (daemon, _):
            port = daemon.parts.web_address().rpartition(":")[2]
            with pytest.raises(DoorError, match="takes a free one"):
                async with running(config_for(server, tmp_path / "other", f"api.port = {port}")):
                    pass
        (tmp_path / "state" / "access.json").chmod(0o644)
        with pytest.raises(DoorError, match="others may read it"):
            async with running(config):
                pass
        tls = ("api.tls = true", f'api.tls_cert = "{tmp_path}/none.pem"', f'api.tls_key = "{tmp_path}/none.pem"')
        with pytest.raises(DoorError, match=r"api\.tls_cert"):
            async with running(config_for(server, tmp_path / "third", *tls)):
                pass

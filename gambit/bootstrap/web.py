"""The HTTP door wired to a daemon: the routes over the daemon's table of methods, and access behind them."""

import asyncio
import inspect
import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gambit.access.access import Access
from gambit.access.permissions import Principal
from gambit.access.statefile import StateFileError
from gambit.bootstrap.dashboard import Dashboard
from gambit.config import Config
from gambit.events.operation import Audited
from gambit.journal import JournalFailed
from gambit.notify.signing import SECRET_BYTES_MIN, Verifier
from gambit.runtime.clock import Clock
from gambit.runtime.daemon import Daemon, Log
from gambit.runtime.recorder import config_hash
from gambit.surface.control import Caller, Handler
from gambit.surface.metrics import Registry
from gambit.vault import VaultError, resolve
from gambit.web import assets
from gambit.web.pipeline import Pipeline
from gambit.web.replays import Replays
from gambit.web.routes import ROUTES
from gambit.web.routing import Routing
from gambit.web.server import BindError, WebServer
from gambit.web.services import Services, Versions

SWEEP_SEC: Final = 60.0


class DoorError(Exception):
    """The HTTP door cannot be opened as it is configured or kept; nothing was changed."""


class WebDoor:
    """The server of a daemon, with what has to be open before it listens."""

    def __init__(
        self,
        config: Config,
        access: Access,
        replays: Replays,
        server: WebServer | None,
        log: Log,
        services: Services,
    ) -> None:
        self.config = config
        self._services = services
        self._log = log
        self._sweeper: asyncio.Task[None] | None = None
        self.access = access
        self.server = server
        self._replays = replays

    async def start(self) -> None:
        """Raises DoorError, VaultError, OSError."""
        try:
            await self.access.book.open()
            self._replays.open()
            self._services.webhooks = await asyncio.to_thread(self._verifier)
            if self.server is not None:
                self.server.secure(tls_of(self.config))
                await self.server.start()
        except KeyError as error:
            text = "restore the vault from a backup, or remove access.json: every user has to be made anew then"
            raise DoorError(f"the vault has no {error.args[0]} any more: {text}") from error
        except (BindError, StateFileError, ValueError) as error:
            raise DoorError(str(error)) from error
        if self.server is not None and not self.access.book.state.users:
            self._log.info("nobody can log in to the dashboard yet: `gambit user add EMAIL --role admin`")
        self._sweeper = asyncio.create_task(self._sweep(), name="access: what is over")

    def _verifier(self) -> Verifier | None:
        """What believes webhooks; None where none are taken, or a secret is missing, which is told."""
        secrets = self.access.book.secrets
        try:
            found = [resolve(one, secrets, os.environ).encode() for one in self.config.api.webhook_secrets]
        except (VaultError, KeyError, OSError) as error:
            self._log.warning(f"webhooks are not taken: {error}")
            return None
        short = [one for one in found if len(one) < SECRET_BYTES_MIN]
        if short:
            self._log.warning(f"webhooks are not taken: a secret has less than {SECRET_BYTES_MIN} bytes")
        return Verifier(found) if found and not short else None

    async def _sweep(self) -> None:
        """Sessions whose time is over end by themselves, and a signing key that is old enough gets a successor."""
        while True:
            try:
                await self.access.logins.sweep()
                kid = await self.access.book.tend_keys()
                if kid is not None:
                    self._log.info("access tokens are signed with a new key: the old one had its time", kid=kid)
            except (OSError, VaultError) as error:
                self._log.warning(f"access could not be tended (sessions that are over, signing keys): {error}")
            await asyncio.sleep(SWEEP_SEC)

    async def close(self) -> None:
        """Nobody is let in any more."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        if self.server is not None:
            await self.server.close()

    def url(self) -> str:
        """Where it listens; empty where it does not."""
        return self.server.url if self.server is not None else ""


def build_web(
    config: Config,
    clock: Clock,
    log: Log,
    daemon: Callable[[], Daemon],
    access: Access,
    handlers: Mapping[str, Handler],
    registry: Registry,
    settled: Callable[[], Awaitable[None]],
    health: Callable[[], Sequence[str]],
    dashboard: Dashboard,
) -> WebDoor:
    """The door, not yet open."""

    async def method(name: str, params: Any, who: Principal) -> Any:
        answer = handlers[name](params, Caller.by_network(who))
        return await answer if inspect.isawaitable(answer) else answer

    services = Services(
        access=access,
        method=method,
        now_ns=clock.now_ns,
        health=health,
        ready=lambda: () if daemon().is_ready else (daemon().unready() or ["starting"]),
        metrics=registry.render,
        mono_ns=clock.mono_ns,
        observe=_observer(registry),
        audit=_audit(daemon, log),
        quality=lambda: quality(daemon()),
        settled=settled,
        history=dashboard.updates.history,
        versions=Versions(rules=config_hash(config)[:12]),
        cors_origins=frozenset(config.api.cors_origins),
        on_defect=lambda what, error: log.error("the HTTP door", what=what, error=repr(error)),
    )
    replays = Replays(Path(config.daemon.state_dir), clock.now_ns)
    services.is_new = replays.is_new
    pipeline = Pipeline(Routing(ROUTES), services, replays, assets.read())
    api = config.api
    server = WebServer(pipeline, api.host, api.port, sockets=dashboard.sockets) if api.enabled else None
    return WebDoor(config, access, replays, server, log, services)


def _audit(daemon: Callable[[], Daemon], log: Log) -> Callable[[Audited], None]:
    """Writes down what was done or refused. What needs a journal is refused before it comes to that; a halt is not, and
    then the log has it."""

    def audit(fact: Audited) -> None:
        try:
            daemon().parts.ledger.fact(fact)
        except JournalFailed as error:
            log.error("not in the journal", action=fact.action, who=fact.who, outcome=fact.outcome, reason=str(error))

    return audit


def _observer(registry: Registry) -> Callable[[str, int, int], None]:
    """Requests by route and status, and how long all of them took."""
    requests, taken = registry["gambit_api_requests_total"], registry["gambit_api_request_seconds"].histogram()

    def observe(route: str, status: int, ns: int) -> None:
        requests.of(route, str(status)).add()
        taken.observe(ns)

    return observe


def tls_of(config: Config) -> ssl.SSLContext | None:
    """What HTTPS needs, where it is wanted. Raises DoorError for a certificate that cannot be used."""
    if not config.api.tls:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.api.tls_cert, config.api.tls_key)
    except OSError as error:
        names = f"api.tls_cert {config.api.tls_cert}, api.tls_key {config.api.tls_key}"
        raise DoorError(f"{names}: {error.strerror or error}") from error
    return context


def quality(daemon: Daemon) -> list[str]:
    """Why what the API tells may be incomplete or late: feeds that are not up, and what is broken."""
    feeds = [
        f"{feed.venue}: {feed.state}" + (f" ({feed.reason})" if feed.reason else "")
        for feed in daemon.parts.feeds.statuses()
        if feed.state != "up"
    ]
    return [*feeds, *(f"broken: {one}" for one in daemon.problems)]

"""The HTTP door without a daemon behind it: real sockets, real access, a table of methods that remembers its calls."""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from gambit.access.access import Access
from gambit.access.passwords import Cost
from gambit.access.permissions import Principal, Role
from gambit.access.records import State
from gambit.access.statefile import StateFile
from gambit.web.pipeline import Pipeline
from gambit.web.replays import Replays
from gambit.web.routes import ROUTES
from gambit.web.routing import Routing
from gambit.web.server import WebServer
from gambit.web.services import Services

CHEAP = Cost(memory_kib=64, passes=1)
PASSWORD = "correct horse battery staple"
START_NS = 1_800_000_000 * 1_000_000_000
SECOND_NS = 1_000_000_000


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        """The time."""
        return self.ns

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.ns += int(seconds * SECOND_NS)


class Memory:
    """A keeper and a store of secrets that outlive an Access, as a disk would."""

    def __init__(self) -> None:
        self.state = State()
        self.values: dict[str, bytes] = {}
        self.saves = 0

    def load(self) -> State:
        """What was saved."""
        return self.state.copy()

    def save(self, state: State) -> None:
        """Keep it."""
        self.state = state.copy()
        self.saves += 1

    def get(self, name: str) -> bytes:
        """A secret; raises KeyError."""
        return self.values[name]

    def put(self, name: str, value: bytes) -> None:
        """Keep a secret."""
        self.values[name] = value

    def forget(self, name: str) -> None:
        """Keep it no longer."""
        self.values.pop(name, None)


class Reply(NamedTuple):
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    body: Any
    raw: bytes


@dataclass
class Rig:
    """A door that listens; `calls` are the methods that were carried out, `facts` what was written down."""

    access: Access
    clock: Clock
    memory: Memory
    url: str
    session: aiohttp.ClientSession
    services: Services
    server: WebServer
    facts: list[Any] = field(default_factory=list)
    calls: list[tuple[str, Any, Principal]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    defects: list[BaseException] = field(default_factory=list)

    async def ask(self, method: str, path: str, token: str | None = None, body: Any = None, **more: Any) -> Reply:
        """One request; a body is sent as JSON unless it is bytes."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        target = self.url + path
        async with self.session.request(
            method, target, data=data, headers=headers, allow_redirects=False, **more
        ) as it:
            raw = await it.read()
            is_json = it.content_type.endswith("json") and raw
            return Reply(it.status, it.headers.copy(), json.loads(raw) if is_json else None, raw)

    async def user(self, email: str, role: Role) -> str:
        """A new user's id."""
        return (await self.access.people.add(email, PASSWORD, role)).user_id

    async def login(self, email: str, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        """The tokens of a login that works."""
        reply = await self.ask("POST", "/auth/login", body={"email": email, "password": password, **more})
        assert reply.status == 200, reply.body
        return reply.body  # type: ignore[no-any-return]

    async def token(self, role: Role) -> str:
        """An access token of a user of this role, fresh and with a second factor, as a link from the terminal gives."""
        user = self.access.book.user_named(f"{role.value}@desk")
        user_id = user.user_id if user is not None else await self.user(f"{role.value}@desk", role)
        issued = await self.access.logins.with_ticket(self.access.logins.ticket(user_id), "local", "test")
        return issued.access_token


@asynccontextmanager
async def rig(
    memory: Memory | None = None, clock: Clock | None = None, folder: Path | None = None, **more: Any
) -> AsyncIterator[Rig]:
    """A door on a free port of the loopback. `folder`: keep state and replays in files there."""
    memory, clock = memory or Memory(), clock or Clock()
    facts: list[Any] = []
    calls: list[tuple[str, Any, Principal]] = []
    answers: dict[str, Any] = {}
    defects: list[BaseException] = []
    keeper = memory if folder is None else StateFile(folder)
    access = Access.over(
        keeper, memory, now_ns=clock.now_ns, chance=os.urandom, tell=facts.append, cost=more.pop("cost", CHEAP)
    )
    await access.book.open()

    async def method(name: str, params: Any, who: Principal) -> Any:
        calls.append((name, params, who))
        answer = answers.get(name)
        return answer(params) if callable(answer) else answer

    services = Services(
        access=access,
        method=method,
        now_ns=clock.now_ns,
        health=tuple,
        ready=tuple,
        metrics=lambda: b"# EOF\n",
        audit=facts.append,
        on_defect=lambda _what, error: defects.append(error),
        **more,
    )
    replays = Replays(folder, clock.now_ns)
    replays.open()
    services.is_new = replays.is_new
    server = WebServer(Pipeline(Routing(ROUTES), services, replays), "127.0.0.1", 0)
    await server.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Rig(access, clock, memory, server.url, session, services, server, facts, calls, answers, defects)
    finally:
        await server.close()
    assert defects == [], defects


def audits(rig: Rig, outcome: str) -> list[Any]:
    """The audit records with this outcome."""
    return [fact for fact in rig.facts if getattr(fact, "outcome", None) == outcome]


Build = Callable[..., Any]

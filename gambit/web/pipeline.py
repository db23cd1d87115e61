"""What happens to every request, in this order, so that nothing can be forgotten on one route:

    id -> path -> who -> how often -> may they -> what do they want -> done before? -> do it -> write it down -> answer

Whatever goes wrong is a problem document; a defect of ours tells the client nothing but its request id.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from gambit.access.permissions import Door, Principal, denial_by
from gambit.access.refusal import Refusal
from gambit.events.operation import Audited
from gambit.journal import JournalFailed
from gambit.web import cookie, identity, parsing
from gambit.web.assets import PAGE_POLICY, Asset
from gambit.web.limits import ANONYMOUS, AUTHENTICATED, FILES, Quota, Verdict, counted_as
from gambit.web.problem import MEDIA, Problem, not_found, of_denial, of_refusal, unauthenticated
from gambit.web.replays import Replays
from gambit.web.route import Ask, Reply, Route
from gambit.web.routing import Routing
from gambit.web.services import Services

API_VERSION: Final = "1"
HANDLER_SEC: Final = 30.0
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
HEADERS: Final = {
    "Server": "gambit",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-API-Version": API_VERSION,
}
EXPOSED: Final = "X-Request-Id, X-API-Version, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, ETag"
ALLOWED: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Request-Id, "
    "X-Gambit-Key, X-Gambit-Timestamp, X-Gambit-Nonce, X-Gambit-Signature"
)


class _Turn:
    """One request under way: what is known of it so far."""

    def __init__(self, request: web.BaseRequest, chance: str) -> None:
        told = request.headers.get("X-Request-Id", "")
        self.request = request
        self.request_id = told if REQUEST_ID.fullmatch(told) else chance
        self.address = counted_as(request.remote or "")
        self.who: Principal | None = None
        self.verdict: Verdict | None = None
        self.named = "none"
        self.body: bytes | None = None

    async def read(self) -> bytes:
        """The body, once."""
        if self.body is None:
            self.body = await parsing.body_of(self.request)
        return self.body


class Pipeline:
    """Answers requests by the routes; `__call__` never raises for what a client did."""

    def __init__(
        self, routing: Routing, services: Services, replays: Replays, files: Mapping[str, Asset] | None = None
    ) -> None:
        self.routing = routing
        self.services = services
        self.replays = replays
        self.files = dict(files or {})

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer."""
        begun_ns = self.services.mono_ns()
        turn = _Turn(request, self.services.access.book.new_id())
        try:
            response = await self._answered(turn)
        except Problem as problem:
            response = self._refusal(turn, problem)
        except Refusal as refusal:
            response = self._refusal(turn, of_refusal(refusal))
        except TimeoutError as error:
            self.services.on_defect(f"{request.method} {request.path} took too long", error)
            response = self._refusal(turn, Problem(503, "slow", "this took too long", headers={"Retry-After": "5"}))
        except JournalFailed:  # told of by the daemon
            text = "the journal takes no more records; what has to be written down waits for the daemon's next start"
            response = self._refusal(turn, Problem(503, "journal_failed", text))
        except Exception as error:
            self.services.on_defect(f"{request.method} {request.path} failed", error)
            response = self._refusal(turn, Problem(500, "defect", "a defect in gambit; it has been reported"))
        self.services.observe(turn.named, response.status, self.services.mono_ns() - begun_ns)
        return self._dressed(turn, response)

    # ---- in order ----

    async def _answered(self, turn: _Turn) -> web.Response:
        path = parsing.path_of(turn.request)
        methods = self.routing.methods(path) if path is not None else {}
        found = methods.get("GET" if turn.request.method == "HEAD" else turn.request.method)
        if turn.request.method == "OPTIONS" and methods:
            self._count(turn, None)
            return self._preflight(turn, list(methods))
        if path in self.files and found is None and turn.request.method in ("GET", "HEAD"):
            self._count(turn, None, FILES)
            turn.named = "file"
            return _file(turn.request, self.files[path])
        if found is None:
            self._count(turn, None)
            raise _unrouted(list(methods))
        route, words = found
        turn.named = route.named
        try:
            await self._identify(turn, route)
            self._authorise(turn, route)
        except (Problem, Refusal) as refused:
            self._audit_refusal(turn, route, refused)
            raise
        ask = await self._asked(turn, route, words)
        response = await self._done(turn, route, ask)
        if route.has_etag:
            response = _conditional(turn.request, response, "no-cache" if route.rule is None else "no-store")
        return response

    async def _identify(self, turn: _Turn, route: Route) -> None:
        """Who it is, if anybody is shown, and whether they come too often. A credential that is wrong counts as the
        address's, so that guessing is slow."""
        services = self.services
        is_for_all = route.rule is None and not route.may_show
        if is_for_all or not identity.shows_something(turn.request):
            self._count(turn, route)
            return
        try:
            body = await turn.read() if identity.is_signed(turn.request) else b""
            turn.who = await identity.principal_of(turn.request, body, services.access.logins, Door.REST)
        except (Refusal, Problem):
            self._count(turn, route)
            raise
        self._count(turn, route)

    def _count(self, turn: _Turn, route: Route | None, quota: Quota = ANONYMOUS) -> None:
        """Raises Problem when there are too many."""
        limiter, now_ns = self.services.limiter, self.services.now_ns()
        if turn.who is not None:
            verdict = limiter.take(AUTHENTICATED, turn.who.user_id, now_ns)
        else:
            verdict = limiter.take(route.quota if route is not None else quota, turn.address, now_ns)
        turn.verdict = verdict
        if not verdict.is_within:
            raise Problem(
                429, "too_fast", f"{verdict.quota.most} requests in {verdict.quota.window_sec} s are the most"
            )

    def _authorise(self, turn: _Turn, route: Route) -> None:
        if route.rule is None:
            return
        if turn.who is None:
            raise unauthenticated()
        denied = denial_by(route.rule, turn.who, route.named, self.services.now_ns())
        if denied is not None:
            raise of_denial(denied)

    async def _asked(self, turn: _Turn, route: Route, words: dict[str, str]) -> Ask:
        request = turn.request
        raw = await turn.read()
        if route.body is None and raw.strip() not in (b"", b"{}"):
            raise Problem(422, "invalid", "no body is due here")
        return Ask(
            who=turn.who,
            names=parsing.typed_words(words, route.names),
            query=parsing.typed_query(request.query, route.query),
            body=None if route.body is None else parsing.typed_body(request, raw, route.body),
            address=turn.address,
            label=request.headers.get("User-Agent", ""),
            cookie=self._cookie(request),
            is_secure=request.secure,
            is_loopback=_is_loopback(request),
            raw=raw,
            headers={name.lower(): value for name, value in request.headers.items()},
        )

    def _cookie(self, request: web.BaseRequest) -> str:
        """The refresh cookie, from a page of ours only."""
        token = cookie.read(request)
        if not token or request.method != "POST":
            return ""
        origin = request.headers.get("Origin")
        if cookie.CSRF not in request.headers or origin not in (None, f"{request.scheme}://{request.host}"):
            raise Problem(403, "csrf", f"with the cookie the header {cookie.CSRF} is due, from a page of this host")
        return token

    async def _done(self, turn: _Turn, route: Route, ask: Ask) -> web.Response:
        key = turn.request.headers.get("Idempotency-Key")
        if key is None or not route.takes_key or ask.who is None:
            return await self._carried_out(turn, route, ask)
        scope = f"{ask.who.user_id} {turn.request.method} {turn.request.raw_path}"
        async with self.replays.claim(scope, key, turn.body or b"") as claim:
            if claim.answer is not None:
                return _raw(claim.answer.body, claim.answer.status, {"Idempotency-Replayed": "true"})
            response = await self._carried_out(turn, route, ask)
            body = response.body if isinstance(response.body, bytes) else b""
            await claim.keep(response.status, body)
            return response

    async def _carried_out(self, turn: _Turn, route: Route, ask: Ask) -> web.Response:
        try:
            async with asyncio.timeout(HANDLER_SEC):
                reply = await route.handle(self.services, ask)
        except (Problem, Refusal) as refused:
            self._audit_refusal(turn, route, refused)
            raise
        if route.action:
            self._audit(turn, route, "ok", "")
        if route.rule is None or route.rule.is_privileged or route.action:
            await self.services.settled()
        return _response(route, reply if isinstance(reply, Reply) else Reply(body=reply), ask.is_secure)

    # ---- written down ----

    def _audit_refusal(self, turn: _Turn, route: Route, refused: Problem | Refusal) -> None:
        """Every no to somebody who wanted something that is not for everybody, except one for coming too often."""
        problem = refused if isinstance(refused, Problem) else of_refusal(refused)
        is_theirs = route.rule is not None or bool(route.action)
        if is_theirs and problem.status in (401, 403, 409, 429) and problem.code != "too_fast":
            self._audit(turn, route, "refused", problem.code)

    def _audit(self, turn: _Turn, route: Route, outcome: str, detail: str) -> None:
        who = turn.who
        self.services.audit(
            Audited(
                who=who.name if who is not None else turn.address,
                door=Door.REST.value,
                action=route.action or route.named,
                entity_type="route",
                entity_ref=turn.request.raw_path.partition("?")[0][:200],
                outcome=outcome,
                detail=f"{detail} request {turn.request_id}".strip(),
            )
        )

    # ---- answers ----

    def _refusal(self, turn: _Turn, problem: Problem) -> web.Response:
        path = turn.request.raw_path.partition("?")[0][:200]
        headers = {**problem.headers, "Content-Type": MEDIA}
        return web.Response(body=problem.body(path, turn.request_id), status=problem.status, headers=headers)

    def _preflight(self, turn: _Turn, methods: list[str]) -> web.Response:
        names = ", ".join(sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])}))
        headers = {"Allow": names}
        if turn.request.headers.get("Origin") in self.services.cors_origins:
            headers |= {
                "Access-Control-Allow-Methods": names,
                "Access-Control-Allow-Headers": ALLOWED,
                "Access-Control-Max-Age": "600",
            }
        return web.Response(status=204, headers=headers)

    def _dressed(self, turn: _Turn, response: web.Response) -> web.Response:
        versions, headers = self.services.versions, response.headers
        for name, text in HEADERS.items():
            headers.setdefault(name, text)
        headers["X-Request-Id"] = turn.request_id
        headers["X-Model-Version"] = versions.model
        headers["X-Features-Version"] = versions.features
        headers["X-Rules-Version"] = versions.rules
        if turn.verdict is not None:
            for name, text in turn.verdict.headers().items():
                headers.setdefault(name, text)
        if turn.request.secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        headers.add("Vary", "Origin")
        origin = turn.request.headers.get("Origin")
        if origin is not None and origin in self.services.cors_origins:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED
        if headers.get("Connection") == "close":
            response.force_close()
        return response


def _response(route: Route, reply: Reply, is_secure: bool) -> web.Response:
    status = reply.status or route.status
    if reply.body is None:
        response = web.Response(status=status if route.answer is not None else 204, headers=reply.headers)
    else:
        raw = reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body)
        response = _raw(raw, status, {"Content-Type": route.media, **reply.headers})
    if reply.cookie is not None:
        cookie.keep(response, reply.cookie, is_secure)
    return response


def _raw(body: bytes, status: int, headers: Mapping[str, str]) -> web.Response:
    given = {"Content-Type": "application/json", **headers} if body else dict(headers)
    return web.Response(body=body or None, status=status, headers=given)


def _conditional(request: web.BaseRequest, response: web.Response, keeping: str) -> web.Response:
    """304 for who has this body already; data is kept by the poller itself, by no cache."""
    body: Any = response.body
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]
    headers = {"ETag": tag, "Cache-Control": keeping}
    if tag in known:
        return web.Response(status=304, headers=headers)
    response.headers.update(headers)
    return response


def _file(request: web.BaseRequest, file: Asset) -> web.Response:
    """One of the dashboard's; kept by the browser, and asked for anew each time."""
    headers = {"ETag": f'"{file.tag}"', "Cache-Control": "no-cache", "Content-Security-Policy": PAGE_POLICY}
    if f'"{file.tag}"' in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, headers={**headers, "Content-Type": file.media})


def _unrouted(methods: list[str]) -> Problem:
    if not methods:
        return not_found()
    allowed = sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})
    return Problem(405, "method", "this path knows other methods", headers={"Allow": ", ".join(allowed)})


def _is_loopback(request: web.BaseRequest) -> bool:
    """Asked from this machine, to this machine, and by nobody on behalf of another."""
    host = request.host.rpartition(":")[0] if re.search(r":\d+$", request.host) else request.host
    is_forwarded = any(name in request.headers for name in FORWARDED)
    return counted_as(request.remote or "") in LOOPBACK and host.lower() in LOOPBACK and not is_forwarded

"""S15 to S19: who may what. The matrix is made of the OpenAPI document and of what crawling finds; nobody keeps it up
by hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gambit.access.permissions import FRESH_NS, RULES, SCOPES_OF, Role, Scope
from gambit.web.openapi import document
from gambit.web.routes import ROUTES
from tests.web.answers import answers
from tests.web.rig import PASSWORD, SECOND_NS, Rig, audits, rig
from tests.web.second_factor import code_at, secret_from

DOCUMENT = document(ROUTES, "1")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")
NAME = "0" * 32


def filled(path: str) -> str:
    """A path with something in its places."""
    return "/".join(NAME if part.startswith("{") else part for part in path.split("/"))


def operations() -> Sequence[tuple[str, str, dict[str, Any]]]:
    """Method, path and what the document says of it."""
    return [
        (method.upper(), path, told) for path, methods in DOCUMENT["paths"].items() for method, told in methods.items()
    ]


async def test_s15_every_route_by_every_role():
    """With no token 401, without the scope 403, with it neither; the scope is the one of the document."""
    async with rig() as door:
        door.answers |= answers()
        for method, path, told in operations():
            if not told["security"]:
                continue
            for role in (None, *Role):
                token = None if role is None else await door.token(role)
                reply = await door.ask(method, filled(path), token, body=b"" if method != "GET" else None)
                may = role is not None and Scope(told["x-scope"]) in SCOPES_OF[role]
                expected = 401 if role is None else None if may else 403
                assert (reply.status if not may else None) == expected, (method, path, role, reply.body)
                assert reply.status not in (401, 403) or not may, (method, path, role, reply.body)


def test_s15_a_viewer_changes_nothing_and_a_trader_no_users_keys_or_limits():
    """Read off the document: what a viewer may besides GET concerns only themself."""
    for method, path, told in operations():
        if not told["security"] or method == "GET":
            continue
        scope = Scope(told["x-scope"])
        assert scope not in SCOPES_OF[Role.VIEWER] or scope is Scope.SELF, path
        if path.startswith(("/admin", "/auth/register", "/control/resume", "/control/arm")):
            assert scope not in SCOPES_OF[Role.TRADER], path


async def test_s15_every_method_of_every_path():
    """What the document does not name is 405 and says what there is; TRACE too."""
    async with rig() as door:
        door.answers |= answers()
        for path, declared in DOCUMENT["paths"].items():
            door.services.limiter = type(door.services.limiter)()
            for method in METHODS:
                if method.lower() in declared:
                    continue
                reply = await door.ask(method, filled(path))
                assert reply.status == 405, (method, path)
                assert set(reply.headers["Allow"].split(", ")) >= {one.upper() for one in declared}


WORDS = (
    "", "admin", "api", "auth", "backup", "config", "control", "credentials", "debug", "dlq", "env", "exec", "files",
    "graphql", "internal", "journal", "keys", "login", "logs", "market", "orders", "plans", "private", "query",
    "reload", "root", "secrets", "settings", "shell", "snapshot", "sql", "static", "stop", "system", "test", "token",
    "tokens", "trace", "transfer", "upload", "user", "users", "vault", "version", "withdraw", "withdrawals", "ws",
)  # fmt: skip
TAILS = ("", "/1", "/list", "/all", "/admin", "/export", "/register", "/halt")


async def test_s15_what_crawling_finds_is_in_the_document():
    """Every path of two likely words: 404 where the document has nothing. No withdrawal exists under any name."""
    known = {filled(path) for path in DOCUMENT["paths"]}
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        for path in sorted({f"/{word}{tail}" for word in WORDS for tail in TAILS} | {"/.env", "/.git/config"}):
            door.services.limiter = type(door.services.limiter)()
            reply = await door.ask("GET", path, token)
            is_known = path in known or any(_fits(path, shape) for shape in DOCUMENT["paths"])
            assert reply.status != 404 if is_known else reply.status == 404, path
        assert not any("withdraw" in path or "transfer" in path for path in known)
        assert not any("withdraw" in name for name in RULES)


def _fits(path: str, shape: str) -> bool:
    parts, names = path.split("/"), shape.split("/")
    return len(parts) == len(names) and all(
        name.startswith("{") or name == part for part, name in zip(parts, names, strict=True)
    )


async def test_s16_what_is_another_users_is_not_there():
    """Sessions and API keys: 404 to read, end or revoke, as for those that never were; an admin may end sessions."""
    async with rig() as door:
        for name in ("ann", "bob"):
            await door.user(f"{name}@desk", Role.TRADER)
        ann, bob = await door.login("ann@desk"), await door.login("bob@desk")
        key = await door.ask("POST", "/auth/api-keys", ann["access_token"], {"name": "k", "scopes": ["market:read"]})
        assert key.status == 201
        token = bob["access_token"]
        for method, path, body in (
            ("DELETE", f"/auth/sessions/{ann['session_id']}", None),
            ("DELETE", f"/auth/api-keys/{key.body['key_id']}", None),
            ("POST", "/auth/revoke", {"session_id": ann["session_id"]}),
            (
                "POST",
                "/auth/revoke",
                {"user_id": (await door.ask("GET", "/auth/me", ann["access_token"])).body["user_id"]},
            ),
        ):
            reply = await door.ask(method, path, token, body)
            never = await door.ask(
                method,
                path.replace(path.split("/")[-1], NAME) if body is None else path,
                token,
                body and dict.fromkeys(body, NAME),
            )
            assert (reply.status, never.status) == (404, 404)
            assert reply.body["detail"].replace(key.body["key_id"], NAME) == never.body["detail"]
        mine = (await door.ask("GET", "/auth/sessions", token)).body["items"]
        assert [one["session_id"] for one in mine] == [bob["session_id"]]
        assert (await door.ask("GET", "/auth/me", ann["access_token"])).status == 200
        admin = await door.token(Role.ADMIN)
        assert (await door.ask("POST", "/auth/revoke", admin, {"session_id": ann["session_id"]})).status == 204
        assert (await door.ask("GET", "/auth/me", ann["access_token"])).status == 401


async def test_s17_a_field_that_is_not_declared_is_refused():
    """In every body: role, id, created_at and nonsense beside a good body are 422, and nothing was done."""
    good: dict[str, Any] = {
        "post_auth_register": {"email": "eve@desk", "password": PASSWORD},
        "post_auth_login": {"email": "eve@desk", "password": PASSWORD},
        "post_auth_api_keys": {"name": "k", "scopes": ["market:read"]},
        "post_auth_totp_confirm": {"code": "123456"},
        "post_auth_ticket": {"ticket": "x" * 64},
        "post_auth_reauthenticate": {"password": PASSWORD},
        "post_orders": {"plan_id": "p1"},
        "post_alerts": {"message": "m"},
    }
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        before = len(door.access.people.users())
        for method, path, told in operations():
            if "requestBody" not in told:
                continue
            for name, value in (
                ("id", NAME),
                ("user_role", "admin"),
                ("created_at", 1),
                ("__proto__", {}),
                ("is_admin", True),
            ):
                body = {**good.get(told["operationId"], {}), name: value}
                reply = await door.ask(method, filled(path), token, body)
                assert reply.status == 422, (path, name, reply.body)
                assert reply.body["errors"][0]["field"] == name
        assert (door.calls, len(door.access.people.users())) == ([], before)


async def raw(door: Rig, text: str) -> tuple[int, bytes]:
    """The status and all of the answer to bytes as they stand."""
    host, port = door.server.address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(text.encode("latin-1"))
    await writer.drain()
    async with asyncio.timeout(60):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return int(head.split(b" ")[1]), head


TRICKS = (
    "/admin//users", "//admin/users", "/admin/users/", "/./admin/users", "/x/../admin/users", "/admin/%75sers",
    "/admin/users%2f", "/%2e%2e/admin/users", "/admin/users.", "/admin/users%20", "/ADMIN/users", "/admin/Users",
    "/admin;x=1/users", "/admin\\users", "/admin/users%00", "/admin/users#x", "http://other/admin/users",
    "/admin/users/..;/", "*",
)  # fmt: skip


async def test_s18_no_second_name_of_a_path():
    """Slashes, dots, escapes, case, another host: a viewer gets nothing by them, and nobody else either."""
    async with rig() as door:
        token = await door.token(Role.ADMIN)
        for target in TRICKS:
            status, _ = await raw(
                door, f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            )
            assert status in (400, 404), target


async def test_s18_no_header_says_another_method_or_path():
    """Override headers are words like any others; a parameter that comes twice is an error."""
    async with rig() as door:
        door.answers |= answers()
        viewer = await door.token(Role.VIEWER)
        for name, value in (
            ("X-HTTP-Method-Override", "DELETE"), ("X-Original-URL", "/admin/users"), ("X-Rewrite-URL", "/admin/users"),
            ("X-Forwarded-User", "admin@desk"), ("X-User", "admin@desk"), ("X-Role", "admin"),
        ):  # fmt: skip
            reply = await door.ask("GET", "/auth/me", viewer, headers={name: value})
            assert (reply.status, reply.body["role"]) == (200, "viewer")
        assert (await door.ask("GET", "/market/snapshot?limit=1&limit=2", viewer)).status == 422
        assert (await door.ask("GET", "/market/snapshot?limit=1&admin=true", viewer)).status == 422
        doubled = f"Authorization: Bearer {viewer}\r\n" * 2
        status, _ = await raw(door, f"GET /auth/me HTTP/1.1\r\nHost: x\r\n{doubled}Connection: close\r\n\r\n")
        assert status in (400, 401)


STRONG = ("/control/resume", "/control/arm")
FRESH = (
    ("POST", "/auth/register", {"email": "eve@desk", "password": PASSWORD}),
    ("POST", "/auth/api-keys", {"name": "k", "scopes": ["market:read"]}),
    ("POST", "/auth/totp", None),
    ("POST", "/admin/signing-keys/rotate", None),
)


async def test_s19_what_lets_risk_in_wants_a_fresh_authentication():
    """With a token of ten minutes ago: 403 reauth, for arming, resuming, users and keys; refreshing does not help."""
    async with rig() as door:
        door.answers |= answers()
        await door.user("ann@desk", Role.ADMIN)
        tokens = await door.login("ann@desk")
        door.clock.pass_(600)
        refreshed = await door.ask("POST", "/auth/refresh", body={"refresh_token": tokens["refresh_token"]})
        for token in (tokens["access_token"], refreshed.body["access_token"]):
            for method, path, body in (*(("POST", path, {}) for path in STRONG), *FRESH):
                reply = await door.ask(method, path, token, body)
                assert (reply.status, reply.body["code"]) == (403, "reauth"), path
        assert door.calls == []
        assert FRESH_NS < 600 * SECOND_NS


async def test_s19_and_a_second_factor_and_a_code_works_once():
    """A fresh password is not enough to resume; with a code it is; the same code again is a conflict."""
    async with rig() as door:
        door.answers |= answers()
        await door.user("ann@desk", Role.ADMIN)
        token = (await door.login("ann@desk"))["access_token"]
        assert (await door.ask("POST", "/control/resume", token, {})).body["code"] == "second_factor"
        secret = secret_from((await door.ask("POST", "/auth/totp", token)).body["otpauth"])
        code = code_at(secret, door.clock)
        assert (await door.ask("POST", "/auth/totp/confirm", token, {"code": code})).status == 204
        again = {"password": PASSWORD, "code": code}
        used = await door.ask("POST", "/auth/reauthenticate", token, again)
        assert (used.status, used.body["code"]) == (409, "code_used")
        door.clock.pass_(30)
        again["code"] = code_at(secret, door.clock)
        fresh = await door.ask("POST", "/auth/reauthenticate", token, again)
        assert fresh.status == 200
        assert (await door.ask("POST", "/control/resume", fresh.body["access_token"], {})).status == 200
        assert door.calls[-1][0] == "resume"
        assert (await door.ask("POST", "/auth/reauthenticate", token, again)).status == 409
        assert audits(door, "refused")


@pytest.mark.parametrize("path", ["/control/halt", "/control/reduce", "/control/disarm"])
async def test_s19_taking_risk_away_is_never_made_hard(path: str):
    """A trader halts with any token that is valid."""
    async with rig() as door:
        door.answers |= answers()
        await door.user("bob@desk", Role.TRADER)
        token = (await door.login("bob@desk"))["access_token"]
        door.clock.pass_(800)
        assert (await door.ask("POST", path, token, {})).status == 200

"""S11 to S14: logging in. Guessing is slow, tells nothing, and there is nothing to guess before an admin was made."""

import asyncio
import statistics
import time

import msgspec
import pytest

from gambit.access.passwords import COST, LENGTH_MAX
from gambit.access.permissions import Role
from gambit.access.second_factor import STEP_SEC
from gambit.web.routes import ROUTES
from tests.web.rig import PASSWORD, Clock, Memory, rig
from tests.web.second_factor import code_at, secret_from


async def test_s11_guessing_is_slow():
    """Twenty wrong logins: 429 with Retry-After, for the right password too; others from the same address go on; a
    restart forgets nothing; when the time is over the right password works."""
    memory, clock = Memory(), Clock()
    wrong, right = [{"email": "ann@desk", "password": word} for word in ("not it at all", PASSWORD)]
    async with rig(memory, clock) as door:
        await door.user("ann@desk", Role.ADMIN)
        await door.user("bob@desk", Role.VIEWER)
        statuses = [(await door.ask("POST", "/auth/login", body=wrong)).status for _ in range(20)]
        assert statuses == [401] * 10 + [429] * 10
        locked = await door.ask("POST", "/auth/login", body=right)
        assert (locked.status, 0 < int(locked.headers["Retry-After"]) <= 60) == (429, True)
        assert (await door.login("bob@desk"))["role"] == "viewer"
    clock.pass_(5)
    async with rig(memory, clock) as door:
        again = await door.ask("POST", "/auth/login", body=right)
        assert (again.status, again.body["code"]) == (429, "locked")
        clock.pass_(int(again.headers["Retry-After"]))
        assert (await door.login("ann@desk"))["role"] == "admin"


async def test_s11_a_burst_gets_no_more_tries_than_a_row():
    """Fifty wrong passwords at the same moment: no more than ten are held against the account."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        body = {"email": "ann@desk", "password": "not it at all"}
        replies = await asyncio.gather(*(door.ask("POST", "/auth/login", body=body) for _ in range(50)))
        statuses = [reply.status for reply in replies]
        assert (statuses.count(401) <= 10, statuses.count(401) + statuses.count(429)) == (True, 50)


async def test_s11_many_accounts_from_one_address():
    """A password tried on many accounts closes the address's gate, not only each account's."""
    async with rig() as door:
        statuses = []
        for at in range(60):
            body = {"email": f"user{at}@desk", "password": "not it at all"}
            statuses.append((await door.ask("POST", "/auth/login", body=body)).status)
        assert statuses == [401] * 50 + [429] * 10


async def test_s12_an_answer_does_not_tell_whether_an_account_exists():
    """Wrong password, unknown account and a suspended one: the same status, body and headers but the request's id."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        eve = await door.user("eve@desk", Role.VIEWER)
        await door.access.people.set_status(eve, "suspended")
        told = []
        for email, password in (("ann@desk", "wrong"), ("nobody@desk", "wrong"), ("eve@desk", PASSWORD)):
            reply = await door.ask("POST", "/auth/login", body={"email": email, "password": password})
            body = {name: text for name, text in reply.body.items() if name != "request_id"}
            told.append((reply.status, body, sorted(reply.headers)))
        assert told[0][0] == 401
        assert told[0] == told[1] == told[2]


async def test_s12_nor_does_its_time():
    """The medians of a known and an unknown account differ by less than 5 % of a hash, or by less than the noise."""
    async with rig(cost=COST._replace(memory_kib=8192)) as door:
        await door.user("ann@desk", Role.ADMIN)
        logins, taken = door.access.logins, {"ann@desk": [], "nobody@desk": []}
        for _ in range(40):
            for email, times in taken.items():
                begun = time.perf_counter()
                user = door.access.book.user_named(email)
                phc = user.password_hash if user is not None else logins._nobody
                assert not await logins.is_password("wrong", phc)
                times.append(time.perf_counter() - begun)
        known, unknown = (statistics.median(times) for times in taken.values())
        spread = statistics.median(abs(one - known) for one in taken["ann@desk"])
        assert abs(known - unknown) <= max(0.05 * known, 3 * spread)


async def test_s13_passwords_are_hashed_and_count_whole():
    """Argon2id in the state; 73 characters and more are not cut; nothing shorter than twelve, nor a trivial one."""
    async with rig() as door:
        long = "".join(chr(33 + at % 90) for at in range(200))
        await door.access.people.add("ann@desk", long, Role.ADMIN)
        [user] = door.memory.state.users.values()
        assert user.password_hash.startswith("$argon2id$v=19$")
        assert (await door.login("ann@desk", long))["role"] == "admin"
        for wrong in (long[:72], long[:73], long[:199], long[:72] + "x" + long[73:], long + "x"):
            reply = await door.ask("POST", "/auth/login", body={"email": "ann@desk", "password": wrong})
            assert reply.status == 401
        admin = await door.token(Role.ADMIN)
        for weak in ("x" * 11, "aaaaaaaaaaaa", "bob-is-the-best-1", "é" * (LENGTH_MAX + 1)):
            body = {"email": "bob@desk", "password": weak}
            assert (await door.ask("POST", "/auth/register", admin, body)).status == 422
        assert (COST.memory_kib, COST.passes) == (47_104, 1)


COMMON_NAMES = ("admin@gambit", "admin@localhost", "root@localhost", "user@example.com", "demo@demo", "test@test")
COMMON_PASSWORDS = ("admin", "password", "gambit", "123456", "changeme", "root", "")
SETUP_LOOKING = (
    "/setup", "/install", "/init", "/auth/setup", "/auth/init", "/admin", "/admin/setup", "/register", "/signup",
    "/auth/signup", "/users", "/api/users", "/admin/users", "/auth/register", "/auth/api-keys", "/auth/totp",
)  # fmt: skip


async def test_s14_there_is_no_account_before_one_was_made_locally():
    """A fresh state: common names and passwords, and whatever looks like a set-up: 401, 404, 405 or 429; nobody is
    there after it."""
    async with rig() as door:
        for name in COMMON_NAMES:
            for password in COMMON_PASSWORDS:
                reply = await door.ask("POST", "/auth/login", body={"email": name, "password": password})
                assert reply.status in (401, 422, 429)
        door.clock.pass_(3600)
        body = {"email": "me@here", "password": PASSWORD, "role": "admin"}
        for path in SETUP_LOOKING:
            for method in ("GET", "POST", "PUT"):
                reply = await door.ask(method, path, body=body if method != "GET" else None)
                assert reply.status in (401, 404, 405), (method, path)
        assert door.access.people.users() == []


async def test_s14_no_route_without_a_token_makes_anything():
    """Those for everybody are health, documents, logging in or choosing a password with what one was given,
    and what bears a signature."""
    everybody = {route.named for route in ROUTES if route.rule is None}
    assert everybody == {
        "GET /health", "GET /ready", "GET /metrics", "GET /openapi.json", "GET /docs",
        "GET /runbook/{page}", "POST /auth/login",
        "POST /auth/ticket", "POST /auth/refresh", "POST /auth/accept", "POST /hooks/alerts",
    }  # fmt: skip


async def test_an_invited_person_chooses_the_password():
    """By a code that works once, for a day, over a restart; of a known one the old password is good until then. A code
    is no login, and nobody's password is known to an admin."""
    memory, clock = Memory(), Clock()
    async with rig(memory, clock) as door:
        admin = await door.token(Role.ADMIN)
        body = {"email": "bob@desk", "role": "trader"}
        made = await door.ask("POST", "/admin/invitations", admin, body)
        assert (made.status, made.body["role"]) == (201, "trader")
        assert (await door.ask("POST", "/admin/invitations", admin, body)).status == 409
        listed = (await door.ask("GET", "/admin/users", admin)).body["items"]
        assert [row["is_invited"] for row in listed] == [False, True]
        lost = made.body["code"]
        code = (await door.ask("POST", "/admin/invitations", admin, {"email": "bob@desk"})).body["code"]
        assert lost not in msgspec.json.encode(memory.state).decode() + repr(door.facts)
    async with rig(memory, clock) as door:
        for shown, password, status in (
            (lost, PASSWORD, 401), ("0" * 64, PASSWORD, 401), (code, "too short", 422), (code, "bob@desk" * 2, 422),
            (code, PASSWORD, 200), (code, PASSWORD + "!", 401),
        ):  # fmt: skip
            reply = await door.ask("POST", "/auth/accept", None, {"code": shown, "password": password})
            assert reply.status == status, (reply.body, status)
        before = await door.login("bob@desk")
        assert before["role"] == "trader"
        user_id = door.access.book.user_named("bob@desk").user_id
        again = (await door.access.people.invite_again(user_id)).code
        await door.login("bob@desk")
        await door.access.people.accept(again, PASSWORD + "!")
        assert (await door.ask("GET", "/auth/me", before["access_token"])).status == 401
        stale = (await door.access.people.invite_again(user_id)).code
        clock.pass_(24 * 3600 + 1)
        assert (await door.ask("POST", "/auth/accept", None, {"code": stale, "password": PASSWORD})).status == 401
        assert not door.access.people.is_invited(user_id)


async def test_a_second_factor():
    """Once confirmed a login needs a code; a wrong one counts as a wrong login; none works twice."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        token = (await door.login("ann@desk"))["access_token"]
        secret = secret_from((await door.ask("POST", "/auth/totp", token)).body["otpauth"])
        wrong = await door.ask("POST", "/auth/totp/confirm", token, {"code": "000000"})
        assert wrong.status == 401
        assert (await door.login("ann@desk"))["role"] == "admin", "not on before it was confirmed"
        code = code_at(secret, door.clock)
        assert (await door.ask("POST", "/auth/totp/confirm", token, {"code": code})).status == 204
        shown = {"email": "ann@desk", "password": PASSWORD}
        bare = await door.ask("POST", "/auth/login", body=shown)
        assert (bare.status, bare.body["code"]) == (401, "second_factor")
        used = await door.ask("POST", "/auth/login", body=shown | {"code": code})
        assert (used.status, used.body["code"]) == (409, "code_used")
        door.clock.pass_(STEP_SEC)
        code = code_at(secret, door.clock)
        assert (await door.ask("POST", "/auth/login", body=shown | {"code": code})).status == 200
        door.clock.pass_(10 * STEP_SEC)
        for _ in range(10):
            await door.ask("POST", "/auth/login", body=shown | {"code": "000000"})
        door.clock.pass_(30)
        locked = await door.ask("POST", "/auth/login", body=shown | {"code": code_at(secret, door.clock)})
        assert (locked.status, locked.body["code"]) == (429, "locked")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TRADER])
async def test_s14_only_an_admin_makes_users(role: Role):
    """And the user they make has the role they said, no other."""
    async with rig() as door:
        body = {"email": "bob@desk", "password": PASSWORD, "role": "trader"}
        assert (await door.ask("POST", "/auth/register", await door.token(role), body)).status == 403
        made = await door.ask("POST", "/auth/register", await door.token(Role.ADMIN), body)
        assert (made.status, made.body["role"]) == (201, "trader")
        assert (await door.ask("POST", "/auth/register", await door.token(Role.ADMIN), body)).status == 409

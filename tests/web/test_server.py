"""The HTTP door itself: every answer's headers, every error's shape, logging in and out."""

from gambit.access.permissions import Role
from gambit.journal import JournalFailed
from gambit.surface.methods import Reason
from tests.web.answers import answers
from tests.web.rig import rig

EVERYWHERE = (
    "X-Request-Id", "X-API-Version", "X-Model-Version", "X-Features-Version", "X-Rules-Version",
    "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy",
)  # fmt: skip


async def test_every_answer_has_its_headers():
    """Good and bad ones alike; a request id that is well formed is taken over."""
    async with rig() as door:
        for method, path in (("GET", "/health"), ("GET", "/nothing"), ("PUT", "/health"), ("GET", "/auth/me")):
            reply = await door.ask(method, path, headers={"X-Request-Id": "abc-1"})
            assert [name for name in EVERYWHERE if name not in reply.headers] == []
            assert reply.headers["X-Request-Id"] == "abc-1"
        reply = await door.ask("GET", "/health", headers={"X-Request-Id": "<script>"})
        assert len(reply.headers["X-Request-Id"]) == 32


async def test_errors_are_problem_documents():
    """404, 405, 401, 415, 400 and 422, with the field that is wrong."""
    asked = [
        ("GET", "/nothing", None, None, 404),
        ("DELETE", "/health", None, None, 405),
        ("GET", "/auth/me", None, None, 401),
        ("POST", "/auth/login", b"{}", "text/plain", 415),
        ("POST", "/auth/login", b"{", "application/json", 400),
        ("POST", "/auth/login", b'{"email": "a", "password": "b", "role": "admin"}', "application/json", 422),
        ("POST", "/auth/login", b'{"email": "a"}', "application/json", 422),
    ]
    async with rig() as door:
        for method, path, body, kind, status in asked:
            headers = {} if kind is None else {"Content-Type": kind}
            reply = await door.ask(method, path, body=body, headers=headers)
            assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
            assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(reply.body)
        assert reply.body["errors"][0]["field"] == "password"


async def test_in_and_out():
    """Log in, see oneself, renew, log out: the token is worth nothing after that."""
    async with rig() as door:
        await door.user("ann@desk", Role.TRADER)
        tokens = await door.login("ann@desk")
        me = await door.ask("GET", "/auth/me", tokens["access_token"])
        assert (me.status, me.body["email"], me.body["role"]) == (200, "ann@desk", "trader")
        renewed = await door.ask("POST", "/auth/refresh", body={"refresh_token": tokens["refresh_token"]})
        assert renewed.status == 200
        assert (await door.ask("POST", "/auth/logout", renewed.body["access_token"])).status == 204
        assert (await door.ask("GET", "/auth/me", tokens["access_token"])).status == 401
        again = await door.ask("POST", "/auth/refresh", body={"refresh_token": renewed.body["refresh_token"]})
        assert again.status == 401


async def test_a_link_logs_in_once():
    """The second use of it is refused."""
    async with rig() as door:
        user_id = await door.user("ann@desk", Role.ADMIN)
        body = {"ticket": door.access.logins.ticket(user_id)}
        first, second = [await door.ask("POST", "/auth/ticket", body=body) for _ in range(2)]
        assert (first.status, second.status) == (200, 401)


async def test_where_nothing_has_to_be_said_no_body_is_due():
    """The kill switch by a bare POST; an empty object is none; what has to be said is missed by name, a form's media
    type stays refused."""
    async with rig() as door:
        door.answers |= answers()
        trader = await door.token(Role.TRADER)
        assert (await door.ask("POST", "/control/halt", trader)).status == 200
        assert door.calls[-1][:2] == ("halt", Reason(reason=""))
        assert (await door.ask("POST", "/plans/p1/approve", trader, body={})).status == 202
        refused = await door.ask("POST", "/plans/p1/approve", trader, body={"amount": 1})
        assert (refused.status, refused.body["detail"]) == (422, "no body is due here")
        missed = await door.ask("POST", "/alerts", trader)
        assert (missed.status, missed.body["errors"][0]["field"]) == (422, "message")
        form = await door.ask("POST", "/control/halt", trader, headers={"Content-Type": "text/plain"})
        assert form.status == 415


async def test_a_journal_that_takes_nothing_is_no_defect(monkeypatch):
    """A login has to be written down: 503 and why, and nobody looks for a bug."""
    async with rig() as door:
        await door.user("ann@desk", Role.TRADER)

        async def refusing(*_args, **_named):
            raise JournalFailed("/state/journal: No space left on device")

        monkeypatch.setattr(type(door.access.logins), "login", refusing)
        reply = await door.ask("POST", "/auth/login", body={"email": "ann@desk", "password": "any password will do"})
        assert (reply.status, reply.body["detail"].startswith("the journal takes no more records")) == (503, True)
        assert "/state" not in reply.body["detail"]

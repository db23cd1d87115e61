"""S01 to S10: tokens. What is forged, old, reused or stolen opens nothing, and every such no looks the same."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gambit.access.access import Access
from gambit.access.book import Book
from gambit.access.logins import Credentials
from gambit.access.permissions import Role
from gambit.access.records import REFRESH_KEY, name_of_signing_key
from gambit.access.refusal import Refusal
from gambit.access.tokens import ACCESS_SEC, IDLE_NS, REFRESH_NS, Claims
from gambit.events.access import RefreshReused, SessionEnded
from tests.web.killed import campaign
from tests.web.rig import CHEAP, PASSWORD, SECOND_NS, START_NS, Clock, Memory, Rig, rig

NOW = START_NS // SECOND_NS


def folded(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unfolded(text: str) -> Any:
    """The JSON of a part of a token."""
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def forged(header: Any, claims: Any, key: bytes, digest: str = "sha256") -> str:
    """A token of any header and claims, signed by any key."""
    raw = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)]
    text = ".".join(map(folded, raw))
    return f"{text}.{folded(hmac.digest(key, text.encode(), digest))}"


class Holder:
    """A good token, and what it takes to make others like it."""

    def __init__(self, door: Rig, token: str) -> None:
        self.door, self.token = door, token
        head, body, self.signature = token.split(".")
        self.header, self.claims = unfolded(head), unfolded(body)
        self.key = door.access.book.keys[self.header["kid"]]

    async def status(self, token: str) -> int:
        """What a request with a token is answered."""
        reply = await self.door.ask("GET", "/auth/me", token)
        return reply.status


async def holder(door: Rig) -> Holder:
    """Of an admin's."""
    return Holder(door, await door.token(Role.ADMIN))


async def test_s01_only_our_algorithm():
    """`none` in every spelling, no signature, other algorithms, the key as text of another kind: 401."""
    async with rig() as door:
        one = await holder(door)
        assert await one.status(one.token) == 200
        assert await one.status(forged(one.header, one.claims, one.key)) == 200, "the forger knows how it is done"
        head, body, _ = one.token.split(".")
        for alg in ("none", "None", "nOnE", "NONE", ""):
            bare = f"{folded(json.dumps(one.header | {'alg': alg}).encode())}.{body}."
            assert await one.status(bare) == 401
            assert await one.status(bare + one.signature) == 401
        assert await one.status(f"{head}.{body}.") == 401
        for alg, digest in (("HS384", "sha384"), ("HS512", "sha512"), ("RS256", "sha256"), ("ES256", "sha256")):
            assert await one.status(forged(one.header | {"alg": alg}, one.claims, one.key, digest)) == 401
        assert await one.status(forged(one.header, one.claims, b"")) == 401
        assert await one.status(forged(one.header, one.claims, one.header["kid"].encode())) == 401


async def test_s02_key_headers_are_inert():
    """Any key id but ours, and headers that name a key elsewhere: 401, and nobody is called."""
    called: list[Any] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.append(await reader.read(10))
        writer.close()

    trap = await asyncio.start_server(listen, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{trap.sockets[0].getsockname()[1]}/keys"
    async with trap, rig() as door:
        one = await holder(door)
        kids: list[Any] = ["../../etc/passwd", "' OR 1=1 --", "a\0b", "k" * 10_000, "unknown", "", None, 7, ["a"], {}]
        for kid in kids:
            assert await one.status(forged(one.header | {"kid": kid}, one.claims, one.key)) == 401
            assert await one.status(forged(one.header | {"kid": kid}, one.claims, b"")) == 401
        jwk = {"kty": "oct", "k": folded(b"x" * 32)}
        for more in ({"jku": address}, {"x5u": address}, {"jwk": jwk}, {"x5c": ["A"]}, {"crit": ["exp"]}):
            assert await one.status(forged(one.header | more, one.claims, one.key)) == 401
            assert await one.status(forged(one.header | more, one.claims, b"x" * 32)) == 401
    assert called == []


def without(name: str, claims: dict[str, Any]) -> dict[str, Any]:
    """Claims without one."""
    return {key: value for key, value in claims.items() if key != name}


WRONG_CLAIMS: list[Callable[[dict[str, Any]], Any]] = [
    lambda it: it | {"exp": NOW - 1, "iat": NOW - 60, "nbf": NOW - 60},
    lambda it: it | {"exp": NOW},
    lambda it: it | {"nbf": NOW + 600},
    lambda it: it | {"iat": NOW + 600, "exp": NOW + 900},
    lambda it: it | {"exp": NOW + ACCESS_SEC + 1},
    lambda it: it | {"exp": str(it["exp"])},
    lambda it: json.dumps(it).replace(str(it["exp"]), "1e400").encode(),
    lambda it: it | {"exp": float(it["exp"]) + 0.5},
    lambda it: it | {"exp": True},
    lambda it: it | {"exp": -1},
    lambda it: it | {"exp": 2**70},
    lambda it: it | {"aud": "other"},
    lambda it: it | {"aud": ["gambit-api"]},
    lambda it: it | {"iss": "other"},
    lambda it: it | {"sub": "0" * 32},
    lambda it: it | {"sid": "0" * 32},
    lambda it: it | {"auth_time": NOW + 100_000},
    lambda it: it | {"role": "admin"},
    lambda it: b"[]",
    lambda it: b"{",
    *(partial(without, name) for name in ("exp", "iat", "nbf", "sub", "sid", "jti", "auth_time")),
]


async def test_s03_claims_are_enforced():
    """Each claim that is missing, of another type or out of its time makes the token none."""
    async with rig() as door:
        one = await holder(door)
        for wrong in WRONG_CLAIMS:
            assert await one.status(forged(one.header, wrong(dict(one.claims)), one.key)) == 401, wrong(
                dict(one.claims)
            )


async def test_s03_a_refresh_token_is_no_access_token_and_the_other_way_round():
    """Neither opens the other's door."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        tokens = await door.login("ann@desk")
        assert (await door.ask("GET", "/auth/me", tokens["refresh_token"])).status == 401
        swapped = await door.ask("POST", "/auth/refresh", body={"refresh_token": tokens["access_token"]})
        assert swapped.status == 401


async def test_s04_keys_rotate_with_an_overlap():
    """Old tokens work until their end, new ones have the new kid, after the overlap an old key signs nothing; twice."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        first = Holder(door, (await door.login("ann@desk"))["access_token"])
        await door.access.book.rotate()
        second = Holder(door, (await door.login("ann@desk"))["access_token"])
        await door.access.book.rotate()
        third = Holder(door, (await door.login("ann@desk"))["access_token"])
        assert len({one.header["kid"] for one in (first, second, third)}) == 3
        assert [await one.status(one.token) for one in (first, second, third)] == [200, 200, 200]
        door.clock.pass_(ACCESS_SEC - 1)
        assert await first.status(first.token) == 200
        door.clock.pass_(2)
        now = door.clock.ns // SECOND_NS
        fresh = {"iat": now, "nbf": now, "exp": now + 60, "auth_time": now}
        assert await first.status(forged(first.header, first.claims | fresh, first.key)) == 401
        assert await third.status(forged(third.header, third.claims | fresh, third.key)) == 200
        await door.access.book.rotate()
        kept = {name for name in door.memory.values if name.startswith("jwt/")}
        assert kept == {name_of_signing_key(kid) for kid in door.access.book.keys}
        assert name_of_signing_key(first.header["kid"]) not in kept


async def test_s04_rotations_at_once_keep_every_key_that_signs():
    """Two people and the daemon itself: one after the other, and none forgets what another has just made."""
    async with rig() as door:
        book = door.access.book
        await asyncio.gather(book.rotate(), book.tend_keys(), book.rotate(), book.rotate())
        kids = {one.kid for one in book.state.signing}
        assert len(kids) == 4
        assert kids == set(book.keys)
        assert {name_of_signing_key(kid) for kid in kids} <= set(door.memory.values)


async def test_s04_a_key_that_is_old_enough_gets_a_successor():
    """By itself, a week before its 180 days are over; what it signed is believed to its end, then it is forgotten."""
    async with rig() as door:
        book = door.access.book
        first = book.state.signing[-1].kid
        assert await book.tend_keys() is None
        door.clock.pass_(173 * 24 * 3600 - 60)
        old = (await door.token(Role.VIEWER), await book.tend_keys())
        assert old[1] is None
        door.clock.pass_(60)
        second = await book.tend_keys()
        assert second is not None
        assert (second != first, book.state.signing[-1].kid) == (True, second)
        assert (await door.ask("GET", "/auth/me", old[0])).status == 200
        assert await book.tend_keys() is None
        door.clock.pass_(15 * 60)
        assert (await door.ask("GET", "/auth/me", old[0])).status == 401
        assert await book.tend_keys() is None
        assert [one.kid for one in book.state.signing] == [second]
        assert [name for name in door.memory.values if name.startswith("jwt/")] == [f"jwt/{second}"]


async def test_s05_a_reused_refresh_token_ends_its_session():
    """The successor and its access tokens are dead at once, other sessions live, and a fact is there to alert on."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        stolen, other = await door.login("ann@desk"), await door.login("ann@desk")
        renewed = await door.ask("POST", "/auth/refresh", body={"refresh_token": stolen["refresh_token"]})
        reused = await door.ask("POST", "/auth/refresh", body={"refresh_token": stolen["refresh_token"]})
        assert (renewed.status, reused.status, reused.body["code"]) == (200, 401, "reused")
        successor = renewed.body["refresh_token"]
        assert (await door.ask("POST", "/auth/refresh", body={"refresh_token": successor})).status == 401
        for token in (stolen["access_token"], renewed.body["access_token"]):
            assert (await door.ask("GET", "/auth/me", token)).status == 401
        assert (await door.ask("GET", "/auth/me", other["access_token"])).status == 200
        assert [fact.session_id for fact in door.facts if isinstance(fact, RefreshReused)] == [stolen["session_id"]]


async def test_s06_fifty_at_once_are_one():
    """One gets the tokens. The others get a conflict that changes nothing or, once the answer is out, end the session;
    never are there two living successors."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        token = (await door.login("ann@desk"))["refresh_token"]
        logins = door.access.logins
        outcomes = await asyncio.gather(*(logins.refresh(token) for _ in range(50)), return_exceptions=True)
        won = [one for one in outcomes if not isinstance(one, BaseException)]
        codes = {one.code for one in outcomes if isinstance(one, Refusal)}
        assert (len(won), codes) == (1, {"conflict"})
        assert (await logins.refresh(won[0].refresh_token)).refresh_token

        token = (await door.login("ann@desk"))["refresh_token"]
        body = {"refresh_token": token}
        replies = await asyncio.gather(*(door.ask("POST", "/auth/refresh", body=body) for _ in range(50)))
        assert sum(reply.status == 200 for reply in replies) == 1
        assert {reply.status for reply in replies} <= {200, 401, 409}


async def test_s07_a_kill_between_writing_and_answering():
    """Fifty times: what was written is not answered. The old token then ends the session: never two living ones."""
    memory, clock = Memory(), Clock()

    async def started() -> Access:
        access = Access.over(
            memory, memory, now_ns=clock.now_ns, chance=os.urandom, tell=lambda _fact: None, cost=CHEAP
        )
        await access.book.open()
        return access

    access = await started()
    await access.people.add("ann@desk", PASSWORD, Role.ADMIN)
    for at in range(50):
        issued = await access.logins.login(Credentials("ann@desk", PASSWORD))
        lost = await access.logins.refresh(issued.refresh_token)  # written; the answer never arrives
        access = await started()  # from what was written
        with pytest.raises(Refusal, match="was used before"):
            await access.logins.refresh(issued.refresh_token)
        with pytest.raises(Refusal):
            await access.logins.refresh(lost.refresh_token)
        assert len(access.book.state.sessions) == 0, at


async def test_s07_nothing_is_answered_before_it_is_written():
    """A state that cannot be written gives no token, and the old one still works."""

    class Full(Memory):
        is_full = False

        def save(self, state: Any) -> None:
            if self.is_full:
                raise OSError(28, "no space")
            super().save(state)

    memory = Full()
    async with rig(memory=memory) as door:
        await door.user("ann@desk", Role.ADMIN)
        token = (await door.login("ann@desk"))["refresh_token"]
        memory.is_full = True
        with pytest.raises(OSError, match="no space"):
            await door.access.logins.refresh(token)
        memory.is_full = False
        assert (await door.ask("POST", "/auth/refresh", body={"refresh_token": token})).status == 200


@pytest.mark.parametrize("how", ["logout", "revoke", "role", "disable", "password", "revoked by an admin"])
async def test_s08_what_ends_a_session_acts_at_once(how: str):
    """The old tokens are refused by the next request, and whoever holds a socket is told."""
    async with rig() as door:
        user_id = await door.user("ann@desk", Role.TRADER)
        tokens = await door.login("ann@desk")
        told: list[str] = []
        door.access.book.on_end.append(told.append)
        admin, people = await door.token(Role.ADMIN), door.access.people
        match how:
            case "logout":
                await door.ask("POST", "/auth/logout", tokens["access_token"])
            case "revoke":
                await door.ask("DELETE", f"/auth/sessions/{tokens['session_id']}", tokens["access_token"])
            case "role":
                body = {"role": "viewer"}
                assert (await door.ask("PATCH", f"/admin/users/{user_id}", admin, body)).status == 200
            case "disable":
                body = {"status": "suspended"}
                assert (await door.ask("PATCH", f"/admin/users/{user_id}", admin, body)).status == 200
            case "password":
                await people.set_password(user_id, PASSWORD + "!")
            case _:
                assert (await door.ask("POST", "/auth/revoke", admin, {"user_id": user_id})).status == 204
        assert (await door.ask("GET", "/auth/me", tokens["access_token"])).status == 401
        again = await door.ask("POST", "/auth/refresh", body={"refresh_token": tokens["refresh_token"]})
        assert again.status == 401
        assert told == [tokens["session_id"]]
        assert [fact.session_id for fact in door.facts if isinstance(fact, SessionEnded)] == told


async def test_s09_lifetimes():
    """Access 15 minutes; refresh 24 hours of silence and 30 days in all; token ids of 128 bits, none twice."""
    async with rig() as door:
        await door.user("ann@desk", Role.ADMIN)
        tokens = await door.login("ann@desk")
        one = Holder(door, tokens["access_token"])
        assert one.claims["exp"] - one.claims["iat"] == tokens["expires_in"] == ACCESS_SEC == 15 * 60
        ids = {Holder(door, (await door.login("ann@desk"))["access_token"]).claims["jti"] for _ in range(5)}
        assert {len(jti) for jti in ids} == {32}
        assert len(ids) == 5
        door.clock.pass_(ACCESS_SEC)
        assert await one.status(one.token) == 401
        door.clock.pass_(IDLE_NS / SECOND_NS - ACCESS_SEC)
        assert (await door.ask("POST", "/auth/refresh", body={"refresh_token": tokens["refresh_token"]})).status == 401

        token, opened_ns = (await door.login("ann@desk"))["refresh_token"], door.clock.ns
        while door.clock.ns - opened_ns < REFRESH_NS - IDLE_NS:
            door.clock.pass_(IDLE_NS / SECOND_NS - 60)
            reply = await door.ask("POST", "/auth/refresh", body={"refresh_token": token})
            assert reply.status == 200
            token = reply.body["refresh_token"]
        door.clock.ns = opened_ns + REFRESH_NS
        assert (await door.ask("POST", "/auth/refresh", body={"refresh_token": token})).status == 401


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 31, b"\0" * 64, b"changeme" * 8])
async def test_s10_no_secret_no_start(key: bytes):
    """A signing key that is empty, short or a pattern: access does not open. A vault that lost it neither."""
    memory, clock = Memory(), Clock()

    def book() -> Book:
        return Book(memory, memory, now_ns=clock.now_ns, chance=os.urandom, tell=lambda _fact: None)

    await book().open()
    name = name_of_signing_key(memory.state.signing[-1].kid)
    good = memory.values[name]
    memory.values[name] = key
    with pytest.raises(ValueError, match="32 bytes of chance are due"):
        await book().open()
    del memory.values[name]
    with pytest.raises(KeyError):
        await book().open()
    memory.values |= {name: good, REFRESH_KEY: key}
    with pytest.raises(ValueError, match="32 bytes of chance are due"):
        await book().open()


def test_refresh_tokens_are_kept_hashed():
    """The state has no text that opens anything."""

    async def states() -> tuple[bytes, dict[str, Any]]:
        import msgspec

        async with rig() as door:
            await door.user("ann@desk", Role.ADMIN)
            tokens = await door.login("ann@desk")
            return msgspec.json.encode(door.memory.state), tokens

    raw, tokens = asyncio.run(states())
    assert tokens["refresh_token"].encode() not in raw
    assert tokens["refresh_token"].split(".")[3].encode() not in raw
    assert hashlib.sha256(tokens["refresh_token"].encode()).hexdigest().encode() in raw
    assert PASSWORD.encode() not in raw
    assert Claims.__struct_config__.forbid_unknown_fields


async def test_s07_a_process_that_is_killed(tmp_path: Path):
    """Killed at any moment while it renews: the state can be read, and no token has two living successors."""
    outcomes = await campaign(tmp_path, 2, seed=3)
    assert set(outcomes) <= {"renewed", "over"}

"""S50 and S52: what was done or refused is written down; what was asked twice is done once."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from gambit.access.permissions import Role
from gambit.access.signatures import Signed, signature_of
from gambit.web import replays
from gambit.web.replays import KEPT_NS, Replays
from tests.web.answers import answers
from tests.web.rig import PASSWORD, SECOND_NS, Clock, Memory, Rig, audits, rig


async def test_s50_each_refusal_has_a_record():
    """No token, a wrong one, no scope, an old login, a wrong password, a locked one: who, what, why, which request."""
    async with rig() as door:
        door.answers |= answers()
        await door.user("ann@desk", Role.ADMIN)
        viewer, old = await door.token(Role.VIEWER), (await door.login("ann@desk"))["access_token"]
        door.clock.pass_(600)
        asked: list[tuple[str, str, str | None, Any, str]] = [
            ("POST", "/control/halt", None, {}, "token"),
            ("POST", "/control/halt", "guess", {}, "token"),
            ("POST", "/control/halt", viewer, {}, "scope"),
            ("GET", "/orders", viewer, None, "scope"),
            ("POST", "/control/resume", old, {}, "reauth"),
            ("POST", "/auth/login", None, {"email": "ann@desk", "password": "wrong"}, "credentials"),
        ]
        for method, path, token, body, code in asked:
            reply = await door.ask(method, path, token, body)
            record = audits(door, "refused")[-1]
            assert record.detail == f"{code} request {reply.headers['X-Request-Id']}", path
            assert record.door == "rest"
        assert [record.who for record in audits(door, "refused")] == [
            "127.0.0.1", "127.0.0.1", "viewer@desk", "viewer@desk", "ann@desk", "127.0.0.1",
        ]  # fmt: skip
        assert PASSWORD not in repr(door.facts)


async def test_s50_each_privileged_action_has_a_record():
    """Users, keys, sessions: what the door does itself it writes down; what the daemon does, its handlers do."""
    async with rig() as door:
        token = await door.token(Role.ADMIN)
        done = (
            ("POST", "/auth/register", {"email": "eve@desk", "password": PASSWORD}, "user add"),
            ("POST", "/auth/api-keys", {"name": "k", "scopes": ["market:read"]}, "api key new"),
            ("POST", "/admin/signing-keys/rotate", None, "signing keys rotate"),
            ("POST", "/auth/logout", None, "logout"),
        )
        for method, path, body, action in done:
            assert (await door.ask(method, path, token, body)).status < 300
            record = audits(door, "ok")[-1]
            assert (record.who, record.action) == ("admin@desk", action)


async def halted(door: Rig, token: str, key: str, reason: str = "why") -> Any:
    """A halt under a key."""
    return await door.ask("POST", "/control/halt", token, {"reason": reason}, headers={"Idempotency-Key": key})


async def test_s52_the_same_key_is_done_once(tmp_path: Path):
    """Same key and body: the same answer, no second effect; another body: a conflict; over a restart too. Another
    user's key is another key; after a day it is forgotten."""
    memory, clock = Memory(), Clock()
    async with rig(memory, clock, tmp_path) as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        first, second = await halted(door, token, "k1"), await halted(door, token, "k1")
        assert (first.status, first.raw) == (second.status, second.raw)
        assert second.headers["Idempotency-Replayed"] == "true"
        assert (await halted(door, token, "k1", "other")).status == 409
        assert len(door.calls) == 1
        assert (await halted(door, await door.token(Role.TRADER), "k1")).status == 200
        assert len(door.calls) == 2
    async with rig(memory, clock, tmp_path) as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        again = await halted(door, token, "k1")
        assert (again.raw, door.calls) == (first.raw, [])
        assert (await halted(door, token, "k1", "other")).status == 409
        clock.ns += KEPT_NS + 1
        token = await door.token(Role.ADMIN)
        assert (await halted(door, token, "k1", "other")).status == 200


async def test_s52_fifty_at_once_are_one_effect():
    """All get the one answer."""
    async with rig() as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        replies = await asyncio.gather(*(halted(door, token, "k1") for _ in range(50)))
        assert ({reply.status for reply in replies}, len({reply.raw for reply in replies})) == ({200}, 1)
        assert len(door.calls) == 1


async def test_s52_a_refused_request_may_be_tried_again():
    """What came to nothing is not remembered as done."""
    async with rig() as door:
        door.answers |= answers() | {"order.show": None}
        token = await door.token(Role.ADMIN)
        headers = {"Idempotency-Key": "k1"}
        assert (await door.ask("DELETE", "/orders/o1", token, headers=headers)).status == 404
        door.answers |= answers()
        assert (await door.ask("DELETE", "/orders/o1", token, headers=headers)).status == 202


async def test_s52_a_kill_in_between_is_told(tmp_path: Path):
    """A request that began and was not answered is not done again: its outcome is not known."""
    memory, clock = Memory(), Clock()
    async with rig(memory, clock, tmp_path) as door:

        def die(_params: Any) -> Any:
            os.rename(tmp_path / "replays.jsonl", tmp_path / "as the kill left it")
            return answers()["halt"]

        door.answers |= answers() | {"halt": die}
        assert (await halted(door, await door.token(Role.ADMIN), "k1")).status == 200
    left = (tmp_path / "as the kill left it").read_bytes()
    (tmp_path / "replays.jsonl").write_bytes(left + b'{"name":"cut o')
    async with rig(memory, clock, tmp_path) as door:
        door.answers |= answers()
        told = await halted(door, await door.token(Role.ADMIN), "k1")
        assert (told.status, told.body["code"], door.calls) == (409, "unknown_outcome", [])


async def test_s52_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """When it has too many lines it is written anew, without what is over; what is known stays."""
    monkeypatch.setattr(replays, "LINES_MAX", 10)
    async with rig(folder=tmp_path) as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        for at in range(12):
            assert (await halted(door, token, f"k{at}")).status == 200
        assert len((tmp_path / "replays.jsonl").read_bytes().splitlines()) < 24
        assert (await halted(door, token, "k0")).headers["Idempotency-Replayed"] == "true"


async def test_s52_keys_that_are_none_are_refused():
    """Empty, too long, with a space."""
    async with rig() as door:
        token = await door.token(Role.ADMIN)
        for key in ("", "x" * 129, "a b"):
            assert (await halted(door, token, key)).status == 422
    assert Replays(None, lambda: 0)


async def signed(door: Rig, key_id: str, secret: str, method: str, path: str, body: bytes = b"", **more: Any) -> Any:
    """A request of a machine."""
    stamp = str(more.get("at_ns", door.clock.ns) // 1_000_000)
    request = Signed(key_id, stamp, more.get("nonce", os.urandom(12).hex()), "", method, path, more.get("signed", body))
    headers = {
        "X-Gambit-Key": key_id,
        "X-Gambit-Timestamp": stamp,
        "X-Gambit-Nonce": request.nonce,
        "X-Gambit-Signature": more.get("signature") or signature_of(secret.encode(), request),
    }
    return await door.ask(method, more.get("sent_to", path), body=body or None, headers=headers)


async def test_a_machine_signs_its_requests():
    """Method, path, query, body, time and nonce are all signed; no nonce works twice, over a restart neither."""
    memory, clock = Memory(), Clock()
    async with rig(memory, clock) as door:
        door.answers |= answers()
        token = await door.token(Role.ADMIN)
        body = {"name": "bot", "scopes": ["market:read", "control:halt"]}
        made = (await door.ask("POST", "/auth/api-keys", token, body)).body
        key, secret = made["key_id"], made["secret"]
        assert len(bytes.fromhex(secret)) == 32
        target = "/market/snapshot?symbol=BTC-USDT"
        assert (await signed(door, key, secret, "GET", target)).status == 200
        assert (await signed(door, key, secret, "POST", "/control/halt", b'{"reason":"x"}')).status == 200
        assert door.calls[-1][2].name == "admin@desk"
        assert (await signed(door, key, secret, "GET", "/orders")).status == 403, (
            "its scopes are narrower than its user's"
        )
        assert (await signed(door, key, secret, "POST", "/control/resume", b"{}")).status == 403

        nonce = "n" * 20
        assert (await signed(door, key, secret, "GET", target, nonce=nonce)).status == 200
        forged: list[dict[str, Any]] = [
            {"nonce": nonce},
            {"at_ns": clock.ns - 31 * SECOND_NS},
            {"at_ns": clock.ns + 31 * SECOND_NS},
            {"nonce": "short"},
            {"signature": "0" * 64},
            {"signature": "é"},
            {"sent_to": "/market/snapshot?symbol=ETH-USDT"},
        ]
        for more in forged:
            assert (await signed(door, key, secret, "GET", target, **more)).status == 401, more
        changed = await signed(door, key, secret, "POST", "/control/halt", b'{"reason":"y"}', signed=b'{"reason":"x"}')
        assert changed.status == 401
        assert (await signed(door, "0" * 32, secret, "GET", target)).status == 401
    clock.pass_(1)
    async with rig(memory, clock) as door:
        door.answers |= answers()
        replayed = await signed(door, key, secret, "GET", target, nonce=nonce, at_ns=clock.ns - SECOND_NS)
        assert replayed.status == 401
        assert (await signed(door, key, secret, "GET", target)).status == 200
        token = await door.token(Role.ADMIN)
        assert (await door.ask("DELETE", f"/auth/api-keys/{key}", token)).status == 204
        assert not any(key in name for name in memory.values)
        assert (await signed(door, key, secret, "GET", target)).status == 401

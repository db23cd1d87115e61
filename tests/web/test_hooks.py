"""S43 at the door: an alert by a signed webhook, and what is not believed."""

import json
from pathlib import Path

from gambit.notify import signing
from gambit.notify.signing import Verifier
from tests.web.rig import Clock, Memory, rig

SECRET = b"a shared secret of thirty-two by"
BODY = {"message": "the price feed of the fund is late", "severity": "high", "scope": "venue:okx"}


async def test_s43_webhooks():
    """Signed, timely and new: an alert. Otherwise 401, a repetition 409, and a record of it; without a secret none."""
    async with rig() as door:
        raw = json.dumps(BODY).encode()
        now_sec = door.clock.now_ns() // 1_000_000_000
        good = signing.headers(SECRET, "d1", raw, now_sec)
        door.answers["alert.create"] = {"alert_id": "a1"}
        assert (await door.ask("POST", "/hooks/alerts", None, BODY, headers=good)).status == 401
        door.services.webhooks = Verifier([SECRET])
        made = await door.ask("POST", "/hooks/alerts", None, BODY, headers=good)
        assert (made.status, made.body["alert_id"]) == (201, "a1")
        assert (await door.ask("POST", "/hooks/alerts", None, BODY, headers=good)).status == 409
        changed = {**BODY, "severity": "low"}
        for headers, body in (
            ({}, BODY),
            ({**good, "X-Gambit-Delivery": "d2"}, BODY),
            (signing.headers(SECRET, "d3", raw, now_sec - 360), BODY),
            (signing.headers(b"x" * 32, "d4", raw, now_sec), BODY),
            (signing.headers(SECRET, "d5", raw, now_sec), changed),
        ):
            refused = await door.ask("POST", "/hooks/alerts", None, body, headers=headers)
            assert (refused.status, refused.body["title"] != "") == (401, True)
        calls = [name for name, _, _ in door.calls]
        assert calls == ["alert.create"]
        audited = [fact.outcome for fact in door.facts if getattr(fact, "action", "") == "webhook alert"]
        assert audited == ["refused", "ok", *["refused"] * 6]


async def test_s43_a_delivery_counts_once_over_a_restart(tmp_path: Path):
    """What was taken is on disk before it is done: the next daemon does not take it again."""
    raw, memory, clock = json.dumps(BODY).encode(), Memory(), Clock()
    headers = signing.headers(SECRET, "d1", raw, clock.now_ns() // 1_000_000_000)
    for status in (201, 409):
        async with rig(memory, clock, tmp_path, webhooks=Verifier([SECRET])) as door:
            door.answers["alert.create"] = {"alert_id": "a1"}
            reply = await door.ask("POST", "/hooks/alerts", None, BODY, headers=headers)
            assert reply.status == status
            assert len(door.calls) == (status == 201)

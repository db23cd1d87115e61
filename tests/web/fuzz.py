"""Requests that nobody means: seeded, over every route, by every role, at HTTP's and at JSON's level.

python -m tests.web.fuzz [REQUESTS] [SEED]      20,000 by itself; a few hundred in the suite
"""

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Any
from unittest.mock import patch

from gambit.access.permissions import Role
from gambit.web import parsing, server
from gambit.web.routes import ROUTES
from tests.web.answers import answers
from tests.web.rig import PASSWORD, Rig, rig
from tests.web.schema_driven import Patient

CANARY = "canary-2f9c"
WORDS = (
    "", "0", "-1", "1e400", "null", "true", "[]", "{}", "'", '"', "' OR 1=1 --", "; DROP TABLE orders", "%00", "%2e%2e",
    "../../etc/passwd", "<script>alert(1)</script>", "=cmd()", "\u0000", "\u202e", "é", "BTC-USDT", "okx", "a" * 300,
    "9" * 30, "NaN", "p1", "o1", "%", "_", "\\", "${jndi:ldap://x}", "{{7*7}}", PASSWORD, CANARY,
)  # fmt: skip
VALUES: tuple[Any, ...] = (*WORDS, 0, -1, 2**63, 2**200, 1.5, True, None, [], {}, [[[]]], {"a": {"b": 1}}, ["x"] * 50)
NAMES = (
    "email", "password", "role", "reason", "limit", "cursor", "plan_id", "scopes", "name", "user_id", "code",
    "__proto__", "id",
)  # fmt: skip
HEADERS = (
    "Authorization", "Cookie", "Idempotency-Key", "If-None-Match", "Origin", "Content-Type", "X-Request-Id",
    "X-Gambit-Key", "X-Gambit-Nonce", "X-Gambit-Signature", "X-Gambit-Timestamp", "Range", "Expect",
    "Transfer-Encoding", "Content-Length", "Upgrade", "Host",
)  # fmt: skip
AT_ONCE = 20
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "G\x00T", "PRI", "")


def request_of(chance: random.Random, tokens: list[str]) -> bytes:
    """The bytes of one request; one in four is damaged after it was made."""
    route = chance.choice(ROUTES)
    path = "/".join(
        _word(chance) if part.startswith("{") or chance.random() < 0.05 else part for part in route.path.split("/")
    )
    query = "&".join(f"{chance.choice(NAMES)}={_word(chance)}" for _ in range(chance.choice((0, 0, 0, 1, 2, 3))))
    method = route.method if chance.random() < 0.8 else chance.choice(METHODS)
    body = _body(chance) if route.body is not None or chance.random() < 0.1 else b""
    lines = [f"{method} {path}{'?' if query else ''}{query} HTTP/1.1", "Host: x", "Connection: close"]
    if chance.random() < 0.8:
        lines.append(f"Authorization: Bearer {chance.choice(tokens)}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{chance.choice(HEADERS)}: {_word(chance)}" for _ in range(chance.choice((0, 0, 0, 1, 2)))]
    raw = "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body
    return _damaged(chance, raw) if chance.random() < 0.25 else raw


def _word(chance: random.Random) -> str:
    return chance.choice(WORDS).replace("\n", "")


def _body(chance: random.Random) -> bytes:
    if chance.random() < 0.15:
        return chance.randbytes(chance.randrange(1, 200))
    return json.dumps({chance.choice(NAMES): chance.choice(VALUES) for _ in range(chance.randrange(4))}).encode()


def _damaged(chance: random.Random, raw: bytes) -> bytes:
    at = chance.randrange(len(raw))
    match chance.randrange(4):
        case 0:
            return raw[:at] + chance.randbytes(chance.randrange(1, 9)) + raw[at:]
        case 1:
            return raw[:at] + raw[at + chance.randrange(1, 20) :]
        case 2:
            return raw[:at]
        case _:
            return raw[:at] + bytes([raw[at] ^ 1 << chance.randrange(8)]) + raw[at + 1 :]


async def sent(door: Rig, raw: bytes) -> tuple[int, bytes]:
    """Status and all of the answer; 0 where there is none."""
    reader, writer = await asyncio.open_connection(*door.server.address)
    try:
        writer.write(raw)
        await writer.drain()
        async with asyncio.timeout(20):
            said = await reader.read()
    except (ConnectionError, OSError):
        return 0, b""
    finally:
        writer.close()
    status = said.split(b" ", 2)[1] if said.startswith(b"HTTP/1.") else b"0"
    return int(status), said


async def run(requests: int, seed: int) -> tuple[Counter[int], list[str]]:
    """Statuses, and what was wrong: a 5xx, a trace, our canary in an answer or a fact, a door that does not answer."""

    async def stay(_session_id: str, _reason: str) -> None:
        """As if it had ended."""

    quick = (patch.object(server, "IDLE_SEC", 0.2), patch.object(parsing, "BODY_SEC", 0.2))
    with quick[0], quick[1]:
        async with rig(limiter=Patient()) as door:
            door.access.logins.end = stay  # type: ignore[method-assign]
            return await _run(door, requests, random.Random(seed), f"of seed {seed}")


async def _run(door: Rig, requests: int, chance: random.Random, whose: str) -> tuple[Counter[int], list[str]]:
    """All requests, a few at a time."""
    statuses, wrong = Counter[int](), list[str]()
    door.answers |= answers()
    tokens = [await door.token(role) for role in Role] + [CANARY]
    for begin in range(0, requests, AT_ONCE):
        raws = [request_of(chance, tokens) for _ in range(min(AT_ONCE, requests - begin))]
        for at, (raw, (status, said)) in enumerate(
            zip(raws, await asyncio.gather(*(sent(door, raw) for raw in raws)), strict=True)
        ):
            statuses[status] += 1
            if status >= 500 or b"Traceback" in said or b'File "' in said or CANARY.encode() in _unasked(said):
                wrong.append(f"request {begin + at} {whose}: {raw!r} -> {said[-300:]!r}")
    health, _ = await sent(door, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    wrong += [f"health: {health}"] if health != 200 else []
    wrong += [repr(error) for error in door.defects]
    door.defects.clear()
    return statuses, wrong + [repr(fact) for fact in door.facts if PASSWORD in repr(fact)]


def _unasked(said: bytes) -> bytes:
    """An answer without what it repeats on purpose: the path, the request's id."""
    head, _, body = said.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"x-request-id")]
    try:
        told = json.loads(body)
    except ValueError:
        return b"\r\n".join(kept) + body
    for name in ("instance", "request_id"):
        told.pop(name, None) if isinstance(told, dict) else None
    return b"\r\n".join(kept) + json.dumps(told).encode()


def main(words: list[str]) -> int:
    """Print statuses and findings."""
    requests, seed = (int(word) for word in [*words, *("20000", "1")[len(words) :]][:2])
    statuses, wrong = asyncio.run(run(requests, seed))
    print(dict(sorted(statuses.items())))
    print(*wrong[:20], sep="\n")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

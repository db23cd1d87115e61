"""Reading what went wrong with a call: HTTP statuses and error bodies become one of the six categories.

Each venue's module has the table of its own codes; this is what they share. Whatever no table knows goes by its HTTP
status, and an answer that nobody can read counts as "nobody knows whether it was carried out".
"""

import json
from collections.abc import Mapping

from gambit.model import Category, Failure
from gambit.venues.plain_text import writable

RATE, NET, VENDOR = Category.RATE_LIMIT, Category.TRANSIENT_NETWORK, Category.VENDOR_5XX
AUTH, DATA, PERMANENT = Category.AUTH, Category.DATA_INCONSISTENCY, Category.PERMANENT_4XX
TEXT_MAX = 200  # characters of a venue's words that a message repeats
WAIT_MAX_SEC = 259_200.0  # no ban is longer (binance.md 7), whatever an answer says


def load_object(body: bytes) -> dict[str, object] | None:
    """The JSON object of an answer; None when it is none."""
    try:
        found = writable(json.loads(body), body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, at most WAIT_MAX_SEC; None where it is absent or a date."""
    value = headers.get("retry-after", "")
    return min(float(value), WAIT_MAX_SEC) if value.isdecimal() else None


def by_status(status: int, headers: Mapping[str, str], text: str, code: str = "") -> Failure | None:
    """What an HTTP status alone says; None for a success."""
    text = text[:TEXT_MAX]
    if 200 <= status < 300:
        return None
    if status in (418, 429):
        return Failure(RATE, text, code, wait_sec=wait_of(headers))
    if status >= 500:
        return Failure(VENDOR, text, code, execution_unknown=True, wait_sec=wait_of(headers))
    if status == 408:
        return Failure(NET, text, code, execution_unknown=True)
    if status in (401, 403):
        return Failure(AUTH, text, code)
    return Failure(PERMANENT, text, code)


def unreadable(body: bytes) -> Failure:
    """A success without a body that can be read: what was asked may have been done."""
    return Failure(DATA, f"the answer is no JSON object: {body[:60]!r}", execution_unknown=True)


def shown(body: bytes) -> str:
    """An error's body as a message repeats it."""
    return body[:TEXT_MAX].decode(errors="replace")


def time_of(body: bytes, *path: str, unit_ns: int) -> tuple[int, int] | None:
    """The whole number at a path of an answer, a count of `unit_ns` since 1970, and that unit; None where none is."""
    node: object = load_object(body)
    for name in path:
        if isinstance(node, list):
            node = node[0] if node else None
        node = node.get(name) if isinstance(node, dict) else None
    number = int(node) if isinstance(node, str) and node.isdecimal() else number_of(node)
    return (number * unit_ns, unit_ns) if number is not None and 0 < number < 1 << 62 else None


def number_of(value: object) -> int | None:
    """A code that is a JSON integer; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None

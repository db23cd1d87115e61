"""What the verbs of faults take: each argument and each fact that may be matched, and which values make sense.

Rules: a fault that could never strike, or would break whoever is struck by it, is refused when it is asked for, with
what is wrong and what would be right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

DAY_MS = 86_400_000
REASON_BYTES_MAX = 123  # of a close frame's reason (RFC 6455, section 5.5)
FRAMES_MAX = 1000  # that one repetition makes
STEPS_MAX = 10**12
MONEY_MAX = 10**15  # of any asset; far from where exact texts end
PPM = 1_000_000
EXACT = 1e-6  # what sums of floats may be off
MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)


class BadFault(ValueError):
    """A fault that cannot be: what is wrong with it."""


class Bound(NamedTuple):
    """Which values an argument takes, in a test and in words."""

    holds: Callable[[Any], bool]
    words: str


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(least: float, most: float) -> Bound:
    return Bound(lambda value: _is_number(value) and least <= value <= most, f"a number from {least:g} to {most:g}")


def _whole(least: int, most: int) -> Bound:
    return Bound(lambda value: _is_whole(value) and least <= value <= most, f"a whole number from {least} to {most}")


def _one_of(*words: object) -> Bound:
    return Bound(
        lambda value: any(value == word and type(value) is type(word) for word in words),
        f"one of {', '.join(map(repr, words))}",
    )


def _is_amount(value: object) -> bool:
    try:
        return isinstance(value, str | int) and 0 <= Decimal(str(value)) <= MONEY_MAX
    except InvalidOperation:
        return False


def _is_rate(value: Any) -> bool:
    return _is_number(value) and abs(value) <= 0.5 and abs(value * PPM - round(value * PPM)) < EXACT


def _are_headers(value: object) -> bool:
    return isinstance(value, dict) and all(
        HEADER.fullmatch(name) and _is_scalar(text) and str(text).isprintable() for name, text in value.items()
    )


def _is_scalar(value: object) -> bool:
    return isinstance(value, str) or _is_number(value)


TEXT = Bound(lambda value: isinstance(value, str), "a text")
BOOL = _one_of(True, False)
APPLIED = _one_of(True, False, "yes", "no")
MS = _number(0, DAY_MS)
SHARE = _number(0, 1)
STEPS = _whole(1, STEPS_MAX)
ASSET = Bound(lambda value: isinstance(value, str) and re.fullmatch("[A-Z0-9]{0,16}", value) is not None, "an asset")

ARGUMENTS: Mapping[str, Mapping[str, Bound]] = {
    "delay": {"ms": MS},
    "hold": {"ms": MS},
    "burst": {"ms": MS},
    "late": {"ms": MS},
    "http": {
        "status": _whole(200, 599),
        "body": TEXT,
        "applied": APPLIED,
        "headers": Bound(_are_headers, "an object of header names and texts"),
        "content_type": Bound(
            lambda value: isinstance(value, str) and MEDIA_TYPE.fullmatch(value) is not None,
            "a media type, such as text/html",
        ),
    },
    "close_after_read": {"applied": APPLIED},
    "dup": {
        "times": _whole(0, FRAMES_MAX),
        "set": Bound(
            lambda value: isinstance(value, dict) and all(map(_is_scalar, value.values())),
            "an object of fields and what they say",
        ),
    },
    "partial": {"share": SHARE},
    "late_fill": {"after_ms": MS, "share": SHARE},
    "overfill": {"after_ms": MS, "share": _number(0, 10)},
    "bust": {"after_ms": MS},
    "reject": {
        "code": Bound(lambda value: isinstance(value, str) or _is_whole(value), "the venue's code"),
        "msg": TEXT,
        "status": _whole(200, 599),
        "subCode": TEXT,
        "preview": TEXT,
    },
    "checksum": {"how": _one_of("bad", "zero", "absent")},
    "freeze": {"what": _one_of("book", "venue", "socket")},
    "poison": {
        "value": Bound(_is_scalar, "a text or a number"),
        "field": _one_of("price", "qty", ""),
        "bare": BOOL,
    },
    "disconnect": {
        "code": _whole(1000, 4999),
        "reason": Bound(
            lambda value: isinstance(value, str) and len(value.encode()) <= REASON_BYTES_MAX,
            f"a text of at most {REASON_BYTES_MAX} bytes",
        ),
    },
    "expire_session": {"revoke": BOOL},
    "limit": {"status": _one_of(429, 418), "seconds": _whole(1, 86_400)},
    "maintenance": {"scope": _one_of("orders", "all")},
    "status": {"status": _one_of("HALT", "CANCEL_ONLY", "TRADING"), "symbol": TEXT},
    "filters": {
        **dict.fromkeys(("tick_multiple", "lot_multiple", "min_lots", "max_lots"), STEPS),
        "min_cost": Bound(_is_amount, "an amount of quote"),
        "symbol": TEXT,
    },
    "fee": {"rate": Bound(_is_rate, "a share from -0.5 to 0.5 in whole millionths"), "asset": ASSET},
    "clock": {"offset_ms": _number(-30 * DAY_MS, 30 * DAY_MS)},
    "rights": {"trade": BOOL, "withdraw": BOOL, "bound": BOOL},
}
MATCHED: Mapping[str, Bound] = {
    **dict.fromkeys(("account", "channel", "client_id", "method", "path", "symbol"), TEXT),
    "action": _one_of("place", "amend", "cancel", "query", ""),
    "private": BOOL,
    "report": _one_of("new", "trade", "amended", "canceled", "expired", "rejected", "bust"),
    "session": _whole(0, 1 << 62),
    "side": _one_of("buy", "sell"),
}
ASKED = ("method", "path", "action")
CONNECTION = ("session", "path", "private", "account")
FRAME = (*CONNECTION, "symbol", "channel", "report")
ORDER = ("symbol", "account", "side", "client_id")
FACTS: Mapping[str, tuple[str, ...]] = {  # what each verb is asked about
    **dict.fromkeys(("drop_request", "drop_reply", "close_after_read", "http", "hold", "delay"), ASKED + CONNECTION),
    **dict.fromkeys(("limit", "maintenance", "refuse"), ASKED),
    **dict.fromkeys(("reject", "partial", "late_fill", "overfill", "bust"), ORDER),
    **dict.fromkeys(("gap", "dup", "reorder", "checksum", "poison", "freeze", "strip_id", "microseconds"), FRAME),
    **dict.fromkeys(("burst", "late", "disconnect", "half_open", "expire_session"), CONNECTION),
    **dict.fromkeys(("cross", "status", "filters"), ("symbol",)),
    **dict.fromkeys(("fee", "rights"), ("account",)),
}


def check_arguments(kind: str, args: Mapping[str, Any], match: Mapping[str, Any]) -> None:
    """Raise BadFault for an argument or a fact to match that the verb does not have or that cannot be so."""
    _check(kind, "argument", args, ARGUMENTS.get(kind, {}))
    _check(kind, "fact to match", match, {name: MATCHED[name] for name in FACTS.get(kind, ())})


def _check(kind: str, what: str, said: Mapping[str, Any], known: Mapping[str, Bound]) -> None:
    for name, value in said.items():
        bound = known.get(name)
        if bound is None:
            raise BadFault(f"{kind} has no {what} {name!r}; known are {', '.join(known) or 'none'}")
        if not bound.holds(value):
            raise BadFault(f"{kind}: {name} is {value!r}, must be {bound.words}")

"""Intents, imperative: what the desk wants done, and the names orders are known by.

A command may fail; what became of it comes back as facts (gambit.events.orders says which). Commands are not journalled
themselves: the facts that stand for them are.
"""

import hashlib
import re
import uuid
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import msgspec

from gambit.events.orders import MAIN_ACCOUNT, OrderIntended
from gambit.model import Side

BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
PREFIX_CHARS, EPOCH_CHARS, NUMBER_CHARS, DIGEST_CHARS = 2, 4, 5, 7
KEY: Final = re.compile(r"[a-z0-9]{18}")
NAMESPACE: Final = uuid.NAMESPACE_OID


class PlaceOrder(msgspec.Struct, frozen=True):
    """Send this order, once; the same intent never leaves twice."""

    intent: OrderIntended


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Cancel the rest of an order of ours."""

    venue: str
    symbol: str
    key: str
    venue_order_id: str = ""


class QueryOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the venue what became of an order: open orders, then history and fills."""

    venue: str
    symbol: str
    key: str
    query_id: int
    venue_order_id: str = ""


class QueryFills(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the venue for all executions of a symbol from a time on. `is_awaited`: an order that may still be live waits
    for them."""

    venue: str
    symbol: str
    since_ns: int
    query_id: int
    account: str = MAIN_ACCOUNT
    is_awaited: bool = False


class QueryBalances(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the venue for all balances of the account."""

    venue: str
    query_id: int
    account: str = MAIN_ACCOUNT


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Tell people (alert.raised)."""

    rule_id: str
    severity: Literal["low", "medium", "high", "critical"]
    message: str
    scope: str = ""


Command = PlaceOrder | CancelOrder | QueryOrder | QueryFills | QueryBalances | Notify


class KeyParts(NamedTuple):
    """What a client order id says about itself."""

    prefix: str
    epoch: int
    number: int


def base36(value: int, chars: int) -> str:
    """A number of at most `chars` base-36 digits, zero-padded. Raises ValueError when it does not fit."""
    digits = ""
    rest = value
    for _ in range(chars):
        rest, digit = divmod(rest, 36)
        digits = BASE36[digit] + digits
    if rest or value < 0:
        raise ValueError(f"{value} does not fit {chars} base-36 digits of a client order id")
    return digits


def uuid5(name: str) -> str:
    """The text of the UUIDv5 of a name in NAMESPACE; the library's own takes several times as long, and every order
    waits for three of them."""
    digest = hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def plan_id(prefix: str, epoch: int, number: int) -> str:
    """The UUID of the `number`-th plan of an epoch."""
    return uuid5(f"{prefix}|{epoch}|{number}|plan")


def idempotency_key(plan: str, user: str, venue: str, symbol: str, side: Side, qty: Decimal, again: str = "") -> str:
    """product.md's key: user, plan, venue, symbol, side, quantity; `again` tells apart the further orders of one plan
    that would otherwise be the same intent (retry_of, compensates): by the life that decided it and a count of them."""
    text = f"{user}|{plan}|{venue}|{symbol}|{side}|{qty.normalize():f}"
    return f"{text}|{again}" if again else text


def client_order_id(prefix: str, epoch: int, number: int, idempotency: str) -> str:
    """The client order id of an intent: prefix, epoch, plan number and a digest of the idempotency key, 18 characters
    of [a-z0-9], which every venue takes. A pure function: one intent, one id. Raises ValueError."""
    if len(prefix) != PREFIX_CHARS or not all(char in BASE36 for char in prefix):
        raise ValueError(f'the prefix "{prefix}" of client order ids is not two characters of a-z, 0-9')
    digest = int.from_bytes(hashlib.blake2b(idempotency.encode(), digest_size=16).digest(), "big")
    short = base36(digest % 36**DIGEST_CHARS, DIGEST_CHARS)
    return prefix + base36(epoch, EPOCH_CHARS) + base36(number, NUMBER_CHARS) + short


def key_parts(text: str, prefix: str) -> KeyParts | None:
    """What a client order id with our prefix says; None for a foreign one."""
    if KEY.fullmatch(text) is None or not text.startswith(prefix):
        return None
    epoch_at = PREFIX_CHARS + EPOCH_CHARS
    return KeyParts(prefix, int(text[PREFIX_CHARS:epoch_at], 36), int(text[epoch_at : epoch_at + NUMBER_CHARS], 36))


def order_id(key: str) -> str:
    """The UUID an order has on the outside."""
    return uuid5(f"{key}|order")

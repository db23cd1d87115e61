"""The control plane of a simulated venue: ledger, book, accounts, fault, faults, price, deposit, clear under /_sim/.

Rules: no client of the venue's own language comes here, no fault strikes here, and what is wrong with a request is
said in plain words.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gambit.sim.accounts import MONEY_DIGITS, UNIT, base_units, money_text
from gambit.sim.arguments import MONEY_MAX, BadFault
from gambit.sim.dialect import Reply, Request
from gambit.sim.exchange import Exchange
from gambit.sim.spelling import decimal_text, trimmed
from gambit.sim.verbs import FaultOrder
from gambit.sim.world import World

PREFIX = "/_sim/"
KNOWN = "there are GET ledger, faults, book, accounts and POST fault, price, deposit, clear"
LEVELS_TOLD = 1000


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What POST /_sim/price takes."""

    symbol: str
    shift_bps: float
    for_ms: int = 1000


class Deposit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What POST /_sim/deposit takes; a negative amount is a withdrawal."""

    account: str
    asset: str
    amount: str


def control(world: World, exchange: Exchange, request: Request, now_ns: int) -> Reply:
    """Answer a request whose path begins with PREFIX."""
    world.advance(now_ns)
    what = f"{request.method} {request.path}"
    try:
        if what == "GET /_sim/ledger":
            parts = dict(parse_qsl(request.query)).get("parts", "")
            return _said(exchange.ledger.told(exchange.accounts, now_ns, parts.split(",") if parts else ()))
        if what == "GET /_sim/faults":
            return _said(exchange.faults.listing(now_ns))
        if what == "GET /_sim/accounts":
            keys = {name: msgspec.structs.asdict(account.credentials) for name, account in exchange.accounts.items()}
            return _said(keys)
        if what == "GET /_sim/book":
            return _book(exchange, dict(parse_qsl(request.query)).get("symbol", ""))
        if what == "POST /_sim/fault":
            fault = exchange.strike(msgspec.json.decode(request.body, type=FaultOrder))
            return _said({"id": fault.number})
        if what == "POST /_sim/price":
            move = msgspec.json.decode(request.body, type=Move)
            world.shift(exchange.venue, move.symbol, move.shift_bps, now_ns, move.for_ms)
            return _said({"ok": True})
        if what == "POST /_sim/deposit":
            _deposit(exchange, msgspec.json.decode(request.body, type=Deposit))
            return _said({"ok": True})
        if what == "POST /_sim/clear":
            exchange.clear()
            return _said({"ok": True})
    except (msgspec.DecodeError, BadFault, ValueError) as error:
        return _said({"error": f"{what}: {error}"}, 400)
    return _said({"error": f"no {what}; {KNOWN}"}, 404)


def _deposit(exchange: Exchange, deposit: Deposit) -> None:
    """Change a balance from outside."""
    account = exchange.accounts.get(deposit.account)
    if account is None:
        raise ValueError(f"no account {deposit.account!r}; there are {', '.join(exchange.accounts)}")
    try:
        amount = Decimal(deposit.amount)
        units = Fraction(amount) * UNIT if abs(amount) <= MONEY_MAX else Fraction(1, 2)
    except InvalidOperation:
        units = Fraction(1, 2)
    if units.denominator != 1:
        told = f"at most {MONEY_MAX} of it with at most {MONEY_DIGITS} decimals"
        raise ValueError(f"amount {deposit.amount!r} is no amount: {told}")
    exchange.desk.deposit(account, deposit.asset, int(units))


def _book(exchange: Exchange, symbol: str) -> Reply:
    """The true book of a symbol, best first, accounts' orders included."""
    book = exchange.books.get(symbol)
    if book is None:
        raise ValueError(f"no symbol {symbol!r}; there are {', '.join(exchange.books)}")
    item = book.instrument
    rows: dict[str, Any] = {"symbol": symbol, "update_id": book.update_id}
    for name, side in (("bids", book.bids), ("asks", book.asks)):
        rows[name] = [
            [trimmed(decimal_text(ticks * item.tick, item.price_decimals)), money_text(base_units(item, lots))]
            for ticks, lots in side.levels()[:LEVELS_TOLD]
        ]
    return _said(rows)


def _said(content: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(content), status)

"""Faults that change how a venue stands rather than single messages: status, filters, fee, clock, the keys' rights,
revoked keys.

Rules: they hold at once, and until `for_ms` have passed where that is given.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from gambit.sim.accounts import MONEY_DIGITS, PPM, Account, Rights
from gambit.sim.desk import Rules
from gambit.sim.dialect import MILLI_NS
from gambit.sim.verbs import BadFault, Fault

if TYPE_CHECKING:
    from gambit.sim.exchange import Exchange

STATUSES = ("TRADING", "HALT", "CANCEL_ONLY")
FILTERS = ("tick_multiple", "lot_multiple", "min_lots", "max_lots")


def change_standing(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    """Do what the fault says; what undoes it.

    Raises BadFault for arguments that make no sense.
    """
    change = {
        "status": _status,
        "filters": _filters,
        "fee": _fee,
        "clock": _clock,
        "rights": _rights,
        "expire_session": _revoke,
    }
    return change[fault.order.kind](exchange, fault)


def _rights(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    """`trade`, `withdraw` and `bound` as the venue reports them."""
    try:
        rights = msgspec.convert(dict(fault.args), Rights)
    except msgspec.ValidationError as error:
        raise BadFault(f"rights: {error}") from error
    accounts = _accounts(exchange, fault)
    before = [account.rights for account in accounts]
    for account in accounts:
        account.rights = rights

    def undo() -> None:
        for account, known in zip(accounts, before, strict=True):
            account.rights = known

    return undo


def _rules(exchange: Exchange, fault: Fault) -> list[Rules]:
    symbol = fault.order.match.get("symbol", fault.args.get("symbol"))
    if symbol is None:
        return list(exchange.desk.rules.values())
    if symbol not in exchange.desk.rules:
        raise BadFault(f"{fault.order.kind}: no symbol {symbol!r}; there are {', '.join(exchange.desk.rules)}")
    return [exchange.desk.rules[symbol]]


def _status(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    status = str(fault.args.get("status", "HALT"))
    if status not in STATUSES:
        raise BadFault(f"status: {status!r} is not one of {', '.join(STATUSES)}")
    rules = _rules(exchange, fault)
    for rule in rules:
        rule.status = status

    def undo() -> None:
        for rule in rules:
            rule.status = "TRADING"

    return undo


def _filters(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    changes = {name: _filter(name, value) for name, value in fault.args.items() if name != "symbol"}
    rules = _rules(exchange, fault)
    before = [{name: getattr(rule, name) for name in changes} for rule in rules]
    for rule in rules:
        for name, value in changes.items():
            setattr(rule, name, value)

    def undo() -> None:
        for rule, values in zip(rules, before, strict=True):
            for name, value in values.items():
                setattr(rule, name, value)

    return undo


def _filter(name: str, value: object) -> int:
    """A rule's new value: min_cost comes as an amount of quote, the others as whole numbers."""
    if name == "min_cost":
        try:
            return int(Decimal(str(value)).scaleb(MONEY_DIGITS))
        except (InvalidOperation, ValueError):
            raise BadFault(f"filters: min_cost={value!r} is no amount") from None
    if name not in FILTERS or not isinstance(value, int) or value < 1:
        raise BadFault(f"filters: {name}={value!r}; known are min_cost and, whole numbers, {', '.join(FILTERS)}")
    return value


def _fee(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    accounts = _accounts(exchange, fault)
    before = [account.fees for account in accounts]
    for account in accounts:
        rate_ppm = int(fault.number_arg("rate", account.fees.taker_ppm / PPM) * PPM)
        asset = str(fault.args.get("asset", ""))
        account.fees = msgspec.structs.replace(account.fees, taker_ppm=rate_ppm, maker_ppm=rate_ppm, asset=asset)

    def undo() -> None:
        for account, fees in zip(accounts, before, strict=True):
            account.fees = fees

    return undo


def _revoke(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    """Keys are good no more, and neither are sessions that were opened with them."""
    accounts = _accounts(exchange, fault)
    for account in accounts:
        account.is_revoked = True
    for session in exchange.sessions.values():
        if session.account in accounts:
            exchange.dialect.expire(session)

    def undo() -> None:
        for account in accounts:
            account.is_revoked = False

    return undo


def _accounts(exchange: Exchange, fault: Fault) -> list[Account]:
    """Those that the fault matches."""
    name = fault.order.match.get("account")
    accounts = [account for account in exchange.accounts.values() if name in (None, account.name)]
    if not accounts:
        raise BadFault(f"{fault.order.kind}: no account {name!r}; there are {', '.join(exchange.accounts)}")
    return accounts


def _clock(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    moved_ns = int(fault.number_arg("offset_ms", 0) * MILLI_NS)
    exchange.offset_ns += moved_ns

    def undo() -> None:
        exchange.offset_ns -= moved_ns

    return undo

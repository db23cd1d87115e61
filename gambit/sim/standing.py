"""Faults that change how a venue stands rather than single messages: status, filters, fee, clock, the keys' rights,
revoked keys.

Rules: they hold at once, and until `for_ms` have passed where that is given.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from gambit.sim.accounts import MONEY_DIGITS, PPM, Account, Rights
from gambit.sim.arguments import BadFault
from gambit.sim.desk import Rules
from gambit.sim.dialect import MILLI_NS
from gambit.sim.verbs import Fault

if TYPE_CHECKING:
    from gambit.sim.exchange import Exchange


def change_standing(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    """Do what the fault, whose arguments were looked at, says; what undoes it.

    Raises BadFault for a symbol or account that is not here.
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
    rights = msgspec.convert(dict(fault.args), Rights)
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
    rules = _rules(exchange, fault)
    before = [rule.status for rule in rules]
    for rule in rules:
        rule.status = status

    def undo() -> None:
        for rule, known in zip(rules, before, strict=True):
            rule.status = known

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


def _filter(name: str, value: Any) -> int:
    """A rule's new value: min_cost comes as an amount of quote, the others as whole numbers."""
    return int(Decimal(str(value)).scaleb(MONEY_DIGITS)) if name == "min_cost" else int(value)


def _fee(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    accounts = _accounts(exchange, fault)
    before = [account.fees for account in accounts]
    for account in accounts:
        rate_ppm = round(fault.number_arg("rate", account.fees.taker_ppm / PPM) * PPM)
        asset = str(fault.args.get("asset", ""))
        account.fees = msgspec.structs.replace(account.fees, taker_ppm=rate_ppm, maker_ppm=rate_ppm, asset=asset)

    def undo() -> None:
        for account, fees in zip(accounts, before, strict=True):
            account.fees = fees

    return undo


def _revoke(exchange: Exchange, fault: Fault) -> Callable[[], None]:
    """Keys are good no more, and neither are sessions that were opened with them."""
    accounts = _accounts(exchange, fault)
    before = [account.is_revoked for account in accounts]
    for account in accounts:
        account.is_revoked = True
    for session in exchange.sessions.values():
        if session.account in accounts:
            exchange.dialect.expire(session)

    def undo() -> None:
        for account, known in zip(accounts, before, strict=True):
            account.is_revoked = known

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
    exchange.move_clock(moved_ns)
    return lambda: exchange.move_clock(-moved_ns)

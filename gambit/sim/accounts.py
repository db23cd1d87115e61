"""Who trades on a simulated venue, what they own and what they pay: exact integers of money.

Rules: an amount of any asset is an integer of units of 10**-18, so prices times quantities and fees are exact; the sum
of free and locked changes only by fills, fees and deposits.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from gambit.sim.instruments import STABLE, Instrument, reference_price
from gambit.sim.matching import Order
from gambit.sim.spelling import decimal_text, trimmed

MONEY_DIGITS = 18
UNIT: int = 10**MONEY_DIGITS
PPM = 1_000_000
ACCOUNTS = ("demo", "demo2")
QUOTE_START = 1_000_000  # units of a stable coin or of fiat an account starts with
BASE_START_QUOTE = 500_000  # worth of any other asset it starts with


class Credentials(msgspec.Struct, frozen=True):
    """What a client proves itself with; what a venue does not know stays empty."""

    key: str
    secret: str
    passphrase: str = ""


class FeeRule(msgspec.Struct, frozen=True):
    """What a fill costs, in parts per million, and in which currency.

    "received": buyers pay base, sellers quote. "quote": both pay quote. `asset` names a third one, which is then taken
    at its reference price. Fees are rounded half up to `digits`.
    """

    maker_ppm: int = 50
    taker_ppm: int = 100
    currency: Literal["received", "quote"] = "received"
    digits: int = 12
    asset: str = ""


class Rights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an account's keys may do; `bound`: from listed addresses only."""

    trade: bool = True
    withdraw: bool = False
    bound: bool = True


class Balance:
    """What an account has of one asset, in units."""

    __slots__ = ("free", "locked")

    def __init__(self, free: int) -> None:
        self.free = free
        self.locked = 0


class Account:
    """One customer of one venue."""

    __slots__ = ("balances", "credentials", "fees", "is_revoked", "name", "number", "rights")

    def __init__(self, name: str, number: int, credentials: Credentials, fees: FeeRule) -> None:
        """`number` is what the venue calls the user."""
        self.name = name
        self.number = number
        self.credentials = credentials
        self.fees = fees
        self.is_revoked = False
        self.rights = Rights()
        self.balances: dict[str, Balance] = {}

    def balance(self, asset: str) -> Balance:
        """The balance of an asset, nothing at first."""
        found = self.balances.get(asset)
        if found is None:
            found = self.balances[asset] = Balance(0)
        return found


def secret_text(seed: int, *names: str) -> str:
    """64 hexadecimal digits that nobody guesses without the seed and everybody gets with it."""
    return hashlib.sha256(":".join((str(seed), *names)).encode()).hexdigest()


def start_amount(asset: str) -> int:
    """What an account starts with of an asset, in units, rounded to two significant digits."""
    if asset in STABLE or asset == "EUR":
        return QUOTE_START * UNIT
    worth = BASE_START_QUOTE / reference_price(asset, "USD")
    return int(float(f"{worth:.1e}") * 1e8) * tenfold(MONEY_DIGITS - 8)


def tenfold(digits: int) -> int:
    """10 to a power that is not negative."""
    return int(10**digits)


def base_units(item: Instrument, lots: int) -> int:
    """Lots as units of the base asset."""
    return lots * item.lot * tenfold(MONEY_DIGITS - item.lot_decimals)


def quote_units(item: Instrument, cost: int) -> int:
    """A cost in ticks * lots as units of the quote asset.

    Raises ValueError when the instrument's digits are finer than money.
    """
    digits = MONEY_DIGITS - item.price_decimals - item.lot_decimals
    if digits < 0:
        raise ValueError(f"{item.venue} {item.symbol}: price and lot have more than {MONEY_DIGITS} decimals together")
    return cost * item.tick * item.lot * tenfold(digits)


def fee_of(rule: FeeRule, item: Instrument, *, buys: bool, is_maker: bool, lots: int, cost: int) -> tuple[int, str]:
    """The fee of a fill in units, and its asset."""
    ppm = rule.maker_ppm if is_maker else rule.taker_ppm
    grain = tenfold(MONEY_DIGITS - rule.digits)
    if rule.asset:
        worth = quote_units(item, cost) * ppm / PPM * reference_price(item.quote, rule.asset)
        return int(worth) // grain * grain, rule.asset
    in_base = rule.currency == "received" and buys
    amount = base_units(item, lots) if in_base else quote_units(item, cost)
    return (amount * ppm + PPM * grain // 2) // (PPM * grain) * grain, item.base if in_base else item.quote


def reserve(rule: FeeRule, item: Instrument, order: Order) -> tuple[int, str]:
    """What the rest of an order sets aside: units and asset; buyers who pay fees in quote reserve them too."""
    if not order.buys:
        return base_units(item, order.left), item.base
    cost = order.cost_max - order.cost if order.cost_max else order.left * order.price_ticks
    amount = quote_units(item, cost)
    if rule.currency == "quote":
        ppm = max(rule.maker_ppm, rule.taker_ppm)
        amount += (amount * ppm + PPM - 1) // PPM
    return amount, item.quote


def money_text(units: int, digits: int | None = None) -> str:
    """Units as decimal text: all that matters, or exactly `digits` digits, finer ones cut."""
    sign = "-" if units < 0 else ""
    if digits is None:
        return sign + trimmed(decimal_text(abs(units), MONEY_DIGITS))
    return sign + decimal_text(abs(units) // 10 ** (MONEY_DIGITS - digits), digits)

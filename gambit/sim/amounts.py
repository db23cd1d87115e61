"""Prices, quantities and costs of orders as decimal text without needless zeros."""

from __future__ import annotations

from gambit.sim.accounts import base_units, money_text, quote_units
from gambit.sim.instruments import Instrument
from gambit.sim.matching import Order
from gambit.sim.spelling import decimal_text, trimmed

WHOLE_DIGITS = 18  # of a whole number that a client may send
AVERAGE_DIGITS = 8  # of an average price beyond those of a price; finer ones are cut


def whole(text: str, default: int = 0) -> int:
    """A whole number of a client's, or the default for what is none or too long."""
    return int(text) if text.isdecimal() and len(text) <= WHOLE_DIGITS else default


def price_text(item: Instrument, ticks: int) -> str:
    """A price."""
    return trimmed(decimal_text(ticks * item.tick, item.price_decimals))


def qty_text(item: Instrument, lots: int) -> str:
    """A quantity of base."""
    return money_text(base_units(item, lots))


def cost_text(item: Instrument, cost: int) -> str:
    """A cost (ticks * lots) in quote."""
    return money_text(quote_units(item, cost))


def average_text(item: Instrument, order: Order) -> str:
    """What the filled part cost on average; 0 for nothing filled."""
    if not order.filled:
        return "0"
    average = order.cost * item.tick * 10**AVERAGE_DIGITS // order.filled
    return trimmed(decimal_text(average, item.price_decimals + AVERAGE_DIGITS))

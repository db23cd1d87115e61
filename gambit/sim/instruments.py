"""What is listed where: ticks, lots and minimums of a symbol on a simulated venue, as exact integers.

Symbols are gambit's (BASE-QUOTE, a third part for derivatives); how a venue spells them is the business of its wire
module.
"""

from __future__ import annotations

import math
import zlib

import msgspec

SPOT_VENUES = ("binance", "binance-us", "okx", "bybit", "kraken", "coinbase")
FUTURES_VENUES = ("binance-usdm", "binance-coinm", "bybit-linear")
VENUES = SPOT_VENUES + FUTURES_VENUES

STABLE = {"USD": "USD", "USDT": "USD", "USDC": "USD"}  # quotes that move as one in the simulated market
PRICES = {
    "USD": 1.0, "EUR": 1.08, "BTC": 64000.0, "ETH": 3150.0, "SOL": 152.0, "LTC": 84.0, "LINK": 14.2, "XRP": 0.52,
    "ADA": 0.3841, "DOGE": 0.1234, "LRC": 0.0637, "SHIB": 0.0000171, "PEPE": 0.0000000341,
}  # fmt: skip
COARSE_DECIMALS = {"LRC": 4}  # bases with few price digits everywhere: one tick is many basis points
FINER_BY = {"binance": 1, "binance-us": 1, "coinbase": 1}  # extra price digits over the others
DIGITS_MAX = 18


class Instrument(msgspec.Struct, frozen=True):
    """One symbol on one venue.

    A price is ticks * tick * 10**-price_decimals, a quantity lots * lot * 10**-lot_decimals. `contract_size` is the
    quote value of one contract where quantities are contracts, else 0. `level_lots` is the usual size of a level,
    `price` the reference price the market starts from.
    """

    venue: str
    symbol: str
    base: str
    quote: str
    price: float
    price_decimals: int
    tick: int
    lot_decimals: int
    lot: int
    min_lots: int
    level_lots: int
    contract_size: int = 0

    @property
    def ticks_per_unit(self) -> float:
        """Ticks in one unit of the quote currency."""
        return float(10**self.price_decimals) / self.tick


def reference_price(base: str, quote: str) -> float:
    """The price a pair starts from: the known ones above, any other base by a hash of its name (0.01 to 1000)."""
    return _usd_price(base) / _usd_price(quote)


def _usd_price(asset: str) -> float:
    known = PRICES.get(STABLE.get(asset, asset))
    if known is not None:
        return known
    spread = zlib.crc32(asset.encode()) / 2**32
    return float(f"{10 ** (5 * spread - 2):.4g}")


def venue_symbol(venue: str, symbol: str) -> str | None:
    """What `symbol` is called on `venue` in gambit's spelling; None when the venue cannot list it.

    A spot symbol names its perpetual on a venue of derivatives (COIN-M: against USD, whatever the stable quote was).
    """
    parts = symbol.split("-")
    if len(parts) not in (2, 3):
        raise ValueError(f"symbol {symbol!r} is not BASE-QUOTE or BASE-QUOTE-EXPIRY")
    if venue in SPOT_VENUES:
        return symbol if len(parts) == 2 else None
    if venue not in FUTURES_VENUES:
        raise ValueError(f"venue {venue!r} is not simulated; known are {', '.join(VENUES)}")
    base, quote = parts[0], parts[1]
    expiry = parts[2] if len(parts) == 3 else "PERP"
    if venue == "binance-coinm":
        return f"{base}-USD-{expiry}" if quote in STABLE else None
    if venue == "bybit-linear" and expiry != "PERP":
        return None
    return f"{base}-USDT-{expiry}" if quote in STABLE else None


def list_instrument(venue: str, symbol: str, *, level_quote: float = 4000.0) -> Instrument:
    """The rules of `symbol` (gambit's spelling on that venue) with levels of about `level_quote` quote units."""
    base, quote = symbol.split("-")[:2]
    price = reference_price(base, quote)
    magnitude = math.floor(math.log10(price))
    price_decimals = _price_decimals(venue, base, magnitude)
    contract_size = (100 if base == "BTC" else 10) if venue == "binance-coinm" else 0
    lot_decimals = 0 if contract_size else _lot_decimals(venue, magnitude, level_quote / price)
    lot_value = contract_size or price * 10.0**-lot_decimals
    return Instrument(
        venue=venue,
        symbol=symbol,
        base=base,
        quote=quote,
        price=price,
        price_decimals=price_decimals,
        tick=1,
        lot_decimals=lot_decimals,
        lot=1,
        min_lots=max(1, round(_min_quote(venue) / lot_value)),
        level_lots=max(3, round(level_quote / lot_value)),
        contract_size=contract_size,
    )


def _price_decimals(venue: str, base: str, magnitude: int) -> int:
    if base in COARSE_DECIMALS:
        return COARSE_DECIMALS[base]
    return max(0, 5 - magnitude + FINER_BY.get(venue, 0))


def _lot_decimals(venue: str, magnitude: int, level_qty: float) -> int:
    """Digits of a lot, few enough that the largest level still fits DIGITS_MAX significant digits."""
    wanted = {
        "binance": magnitude + 1,
        "binance-us": magnitude + 1,
        "bybit": magnitude + 2,
        "binance-usdm": magnitude - 1,
        "bybit-linear": magnitude - 1,
    }.get(venue, 8)
    room = DIGITS_MAX - 2 - max(1, math.floor(math.log10(max(level_qty, 1.0))) + 1)
    return max(0, min(wanted, 8, room))


def _min_quote(venue: str) -> float:
    return {"okx": 1.0, "kraken": 5.0, "coinbase": 0.1, "bybit": 1.0}.get(venue, 0.6)

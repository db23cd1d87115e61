"""Which symbol a venue's spelling means, and the instrument rules that a recording tells (R7, R12).

A symbol is known when a recorded list has it or it was asked for by name. `--symbols` is a filter besides; members of
groups name symbols and filter nothing.
"""

import re
from dataclasses import dataclass

from .decimals import UNIT, BadNumberError, to_units

KRAKEN_TICKERS = {"XBT": "BTC", "XDG": "DOGE"}
DERIVATIVES = ("binance-usdm", "binance-coinm", "bybit-linear")
SEPARATORS = {"okx": "-", "coinbase": "-", "kraken": "/"}


@dataclass
class Rules:
    """What is known of an instrument, in units of 1e-18 of the base; None is unknown. Precisions are Kraken's."""

    lot_step: int | None = None
    qty_min: int | None = None
    contract_size: int | None = None
    price_decimals: int | None = None
    qty_decimals: int | None = None


def _positive(value: object) -> int | None:
    """A configured number of a list in units, None where it is absent, zero or no number."""
    try:
        units = to_units(value) if isinstance(value, str) else 0
    except BadNumberError:
        return None
    return units if units > 0 else None


def _decimals(value: object) -> int | None:
    text = str(value) if isinstance(value, str) else ""
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else None


def _objects(value: object) -> list[dict]:
    return [entry for entry in value if type(entry) is dict] if type(value) is list else []


class Instruments:
    """The symbols of one venue. `asked` is the filter (None: none), `members` the symbols groups name here."""

    def __init__(self, venue: str, asked: list[str] | None, members: list[str], aliases: list[dict]):
        self.venue = venue
        self.asked = None if asked is None else set(asked)
        self.members = set(members)
        self.tickers = dict(KRAKEN_TICKERS) if venue == "kraken" else {}
        for alias in aliases:
            if alias.get("venue") in (None, venue):
                self.tickers[alias["ticker"]] = alias["asset"]
        self.has_list = False
        self.listed: dict[str, str] = {}  # a venue's spelling (or, with separators, the symbol) -> symbol
        self.rules: dict[str, Rules] = {}
        self.spelled = {wire: symbol for symbol in self.named() for wire in self._spellings(symbol)}

    def named(self) -> list[str]:
        """Symbols asked for by name that this venue can spell, members of groups among them."""
        names = self.members if self.asked is None else self.asked
        return sorted(symbol for symbol in names if self._spellings(symbol))

    def symbol_of(self, wire: str) -> str | None:
        """The symbol of a venue's spelling, None where it is unknown or filtered out."""
        if self.venue in SEPARATORS:
            return self._separated(wire)
        symbol = self.listed.get(wire) or self.spelled.get(wire)
        return symbol if self.asked is None or symbol in self.asked else None

    def rules_of(self, symbol: str) -> Rules:
        return self.rules.setdefault(symbol, Rules())

    def contract_size(self, symbol: str) -> int | None:
        """Quote value of one contract in units, for COIN-M; None where quantities are base already."""
        if self.venue != "binance-coinm":
            return None
        known = self.rules_of(symbol).contract_size
        return known or (100 if symbol.split("-")[0] == "BTC" else 10) * UNIT

    def _asset(self, ticker: str) -> str:
        return self.tickers.get(ticker, ticker)

    def _tickers_of(self, asset: str) -> list[str]:
        names = [ticker for ticker, known in self.tickers.items() if known == asset]
        return names + ([asset] if self._asset(asset) == asset else [])

    def _separated(self, wire: str) -> str | None:
        parts = wire.split(SEPARATORS[self.venue])
        if len(parts) < 2 or not all(parts) or (self.venue == "kraken" and len(parts) > 2):
            return None
        symbol = "-".join([self._asset(parts[0]), self._asset(parts[1]), *parts[2:]])
        if self.asked is not None:
            return symbol if symbol in self.asked else None
        if symbol in self.listed or symbol in self.members:
            return symbol
        return symbol if not self.has_list and len(parts) == 2 else None

    def _spellings(self, symbol: str) -> list[str]:
        """How this venue may write a symbol; empty where it cannot trade such a thing."""
        parts = symbol.split("-")
        if len(parts) < 2 or not all(parts):
            return []
        if self.venue in SEPARATORS:
            return [symbol] if self.venue != "kraken" or len(parts) == 2 else []
        if (len(parts) == 3) != (self.venue in DERIVATIVES) or len(parts) > 3:
            return []
        tail = self._tail(parts[2]) if len(parts) == 3 else ""
        pairs = [(base, quote) for base in self._tickers_of(parts[0]) for quote in self._tickers_of(parts[1])]
        return [base + quote + tail for base, quote in pairs if self._settles_in(quote)]

    def _settles_in(self, quote: str) -> bool:
        """COIN-M contracts are quoted in USD, those of USD-M in anything else."""
        if self.venue not in ("binance-usdm", "binance-coinm"):
            return True
        return (quote == "USD") == (self.venue == "binance-coinm")

    def _tail(self, expiry: str) -> str:
        if self.venue == "binance-coinm":
            return "_" + expiry
        if expiry == "PERP":
            return ""
        return ("-" if self.venue == "bybit-linear" else "_") + expiry

    def _list(self, wire: str, base: object, quote: object, tail: str = "") -> Rules | None:
        if type(base) is not str or type(quote) is not str or not base or not quote:
            return None
        symbol = f"{self._asset(base)}-{self._asset(quote)}{tail}"
        self.listed[symbol if self.venue in SEPARATORS else wire] = symbol
        return self.rules_of(symbol)

    # ---- recorded lists ----

    def read_list(self, path: str, query: dict[str, str], doc: object) -> bool:
        """Takes a recorded instrument list in; False where the answer is not one of this venue."""
        if self.venue.startswith("binance") and path.endswith("exchangeInfo"):
            entries, read = doc.get("symbols") if isinstance(doc, dict) else None, self._binance
        elif self.venue == "okx" and path.endswith("public/instruments"):
            if isinstance(doc, dict) and doc.get("code", "0") not in ("0", None):
                return False
            entries, read = doc.get("data") if isinstance(doc, dict) else None, self._okx
        elif self.venue.startswith("bybit") and path.endswith("instruments-info"):
            if query.get("category") != ("linear" if self.venue == "bybit-linear" else "spot"):
                return False
            result = doc.get("result") if isinstance(doc, dict) else None
            entries, read = result.get("list") if isinstance(result, dict) else None, self._bybit
        elif self.venue == "kraken" and path.endswith("AssetPairs"):
            told = doc.get("error") if isinstance(doc, dict) else None
            if isinstance(told, list) and any(not str(text).startswith("W") for text in told):
                return False
            result = doc.get("result") if isinstance(doc, dict) else None
            entries, read = list(result.values()) if isinstance(result, dict) else None, self._kraken
        elif self.venue == "coinbase" and path.endswith("products"):
            entries, read = doc.get("products") if isinstance(doc, dict) else None, self._coinbase
        else:
            return False
        if type(entries) is not list:
            return False
        self.has_list = True
        for entry in _objects(entries):
            read(entry)
        return True

    def _binance(self, entry: dict) -> None:
        wire = entry.get("symbol")
        if type(wire) is not str:
            return
        tail = wire.partition("_")[2] if self.venue in DERIVATIVES else ""
        if self.venue in DERIVATIVES:
            tail = "-" + (tail or "PERP")
        rules = self._list(wire, entry.get("baseAsset"), entry.get("quoteAsset"), tail)
        if rules is None:
            return
        if self.venue == "binance-coinm":  # lot step and minimum are in contracts: unknown for the base quantity
            rules.contract_size = _positive(entry.get("contractSize"))
            return
        for limit in _objects(entry.get("filters")):
            if limit.get("filterType") == "LOT_SIZE":
                rules.lot_step, rules.qty_min = _positive(limit.get("stepSize")), _positive(limit.get("minQty"))

    def _okx(self, entry: dict) -> None:
        if entry.get("instType") != "SPOT":
            return
        rules = self._list("", entry.get("baseCcy"), entry.get("quoteCcy"))
        if rules is not None:
            rules.lot_step, rules.qty_min = _positive(entry.get("lotSz")), _positive(entry.get("minSz"))

    def _bybit(self, entry: dict) -> None:
        wire = entry.get("symbol")
        if type(wire) is not str:
            return
        linear = self.venue == "bybit-linear"
        tail = "-" + (wire.partition("-")[2] or "PERP") if linear else ""
        rules = self._list(wire, entry.get("baseCoin"), entry.get("quoteCoin"), tail)
        limits = entry.get("lotSizeFilter")
        if rules is not None and type(limits) is dict:
            rules.lot_step = _positive(limits.get("qtyStep" if linear else "basePrecision"))
            rules.qty_min = _positive(limits.get("minOrderQty"))

    def _kraken(self, entry: dict) -> None:
        base, slash, quote = str(entry.get("wsname")).partition("/")
        rules = self._list("", base, quote) if slash else None
        if rules is None:
            return
        rules.price_decimals, rules.qty_decimals = (_decimals(entry.get(k)) for k in ("pair_decimals", "lot_decimals"))
        if rules.qty_decimals is not None:
            rules.lot_step = 10 ** (18 - rules.qty_decimals) if rules.qty_decimals <= 18 else None
        rules.qty_min = _positive(entry.get("ordermin"))

    def read_kraken_pairs(self, doc: dict) -> None:
        """The `instrument` channel: it names pairs, but it is no list for R7's "taken as they are"."""
        data = doc.get("data")
        for entry in _objects(data.get("pairs")) if type(data) is dict else []:
            base, slash, quote = str(entry.get("symbol")).partition("/")
            rules = self._list("", base, quote) if slash else None
            if rules is None:
                continue
            decimals = (_decimals(entry.get(k)) for k in ("price_precision", "qty_precision"))
            rules.price_decimals, rules.qty_decimals = decimals
            rules.lot_step, rules.qty_min = _positive(entry.get("qty_increment")), _positive(entry.get("qty_min"))

    def _coinbase(self, entry: dict) -> None:
        if entry.get("product_type", "SPOT") != "SPOT":
            return
        base, dash, quote = str(entry.get("product_id")).partition("-")
        rules = self._list("", base, quote) if dash else None
        if rules is not None:
            rules.lot_step = _positive(entry.get("base_increment"))
            rules.qty_min = _positive(entry.get("base_min_size"))

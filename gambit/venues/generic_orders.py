"""Orders in the words of a library that knows many exchanges (ccxt): what its rows and errors mean here. Pure.

The library's classes of errors are no safe sign: it calls time-outs of one exchange invalid orders, and refusals of
another just errors. The code of an exchange whose table there is (gambit.venues.refusals) goes before the class. A
create or cancel counts as refused only where the exchange's own words do, or the class is one that none of the known
traps has; whatever else was raised leaves it unknown (docs/order-entry.md, "Three outcomes"). Numbers come as the
exchange's text.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any, Final

from gambit.events.orders import MAIN_ACCOUNT, BalanceRead, Filled, ForeignOrderSeen, FoundAs, synthetic_exec_id
from gambit.model import Category, Side
from gambit.venues.orders import Fault, Means
from gambit.venues.reading import Malformed
from gambit.venues.refusals import (
    BINANCE,
    BYBIT,
    OKX,
    Rule,
    binance_fault,
    bybit_fault,
    coinbase_fault,
    kraken_fault,
    okx_fault,
)

ZERO: Final = Decimal(0)
NS_A_MS: Final = 1_000_000
DECIMAL_PLACES: Final = 2  # the library's numbers for what a market's precision means; 4 is a step
SIGNIFICANT_DIGITS: Final = 3
DECIMALS_MAX: Final = 18
# Codes after which nobody knows, whatever the class (venues' error tables: time-outs, internal errors, overload).
UNKNOWN_CODES: Final = frozenset({
    "-1000", "-1001", "-1006", "-1007", "-1008", "50004", "50013", "50026", "51054", "51149", "51412", "10000", "10016",
    "170001", "170007", "170032", "170035", "170146", "170147", "51016", "50071", "170141", "110072", "10014",
})  # fmt: skip
UNKNOWN_WORDS: Final = re.compile(
    r"time[d ]*-?out|EService|Internal error|unavailable|overload|busy|try again|maintenance", re.IGNORECASE
)
SENT_WORDS: Final = re.compile(r"duplicate|already (?:exist|been used|used|in use)", re.IGNORECASE)
# Raised where nobody knows, or the answer was none of the exchange's engine, whatever code is in it.
DOUBTFUL: Final = frozenset({"ExchangeNotAvailable", "RequestTimeout", "OperationFailed"})
TOO_MANY: Final = "DDoSProtection"
# The exchange's name stands in front of its answer. Its other houses speak the same language.
HOUSES: Final[Mapping[str, str]] = {
    "binance": "binance", "binanceus": "binance", "okx": "okx", "okxus": "okx", "myokx": "okx", "bybit": "bybit",
    "bybiteu": "bybit", "kraken": "kraken", "coinbase": "coinbase",
}  # fmt: skip
CODED: Final[Mapping[str, tuple[Callable[[str, str], Fault], Mapping[str, Rule]]]] = {
    "binance": (lambda code, text: binance_fault(code, text, 200), BINANCE),
    "okx": (okx_fault, OKX),
    "bybit": (bybit_fault, BYBIT),
}
KRAKEN_WORDS: Final = re.compile(r'"(E[A-Z][A-Za-z]*:[^"]*)"')
COINBASE_WORDS: Final = re.compile(r'"(?:error|\w*failure_reason)"\s*:\s*"(\w+)"')
CODES: Final = re.compile(r'"(?:code|sCode|retCode|err_code|error_code)"\s*:\s*"?(-?\d+)')
# Kraken's, which the library mostly calls just an error.
REFUSED_WORDS: Final = re.compile(
    r"EOrder:(Cost minimum|Order minimum|Insufficient|Tick size|Invalid price|Post only|Orders limit|Scheduled)"
)
DENIED_WORDS: Final = re.compile(r"EAPI:Invalid (key|signature)|EGeneral:Permission denied")
# Raised before anything is sent: the library itself would not.
UNSENT: Final = frozenset({"ArgumentsRequired", "NotSupported", "BadSymbol"})
REFUSED: Final = frozenset({"InsufficientFunds", "InvalidOrder", "OrderImmediatelyFillable", "OrderNotFillable"})
DENIED: Final = frozenset({"AuthenticationError", "PermissionDenied", "AccountNotEnabled", "AccountSuspended"})
CATEGORIES: Final = (
    ("DDoSProtection", Category.RATE_LIMIT),
    ("RateLimitExceeded", Category.RATE_LIMIT),
    ("ExchangeNotAvailable", Category.VENDOR_5XX),
    ("InvalidNonce", Category.AUTH),
    ("AuthenticationError", Category.AUTH),
    ("NetworkError", Category.TRANSIENT_NETWORK),
    ("OrderNotFound", Category.PERMANENT_4XX),
    ("BadRequest", Category.PERMANENT_4XX),
    ("NotSupported", Category.PERMANENT_4XX),
    ("InvalidOrder", Category.PERMANENT_4XX),
    ("InsufficientFunds", Category.PERMANENT_4XX),
)
FOUND_AS: Final[Mapping[str, FoundAs]] = {
    "open": "open",
    "closed": "filled",
    "canceled": "canceled",
    "cancelled": "canceled",
    "canceling": "open",
    "expired": "expired",
    "rejected": "rejected",
}


def fault_of(classes: Collection[str], text: str) -> Fault:
    """What an error of the library means: `classes` are the names of its class and of those it is one of, `text` is
    what it says, the exchange's answer in it. `is_definite`: an order call certainly was not carried out."""
    codes = [code for code in CODES.findall(text) if code not in ("0", "1", "2", "200")]
    known = _by_code(text, codes)
    category = next((category for name, category in CATEGORIES if name in classes), Category.DATA_INCONSISTENCY)
    if DENIED_WORDS.search(text):
        category = Category.AUTH
    means: Means = "clock" if "InvalidNonce" in classes else "missing" if "OrderNotFound" in classes else "other"
    if means == "other" and SENT_WORDS.search(text):
        means = "already_sent"
    if known is not None:
        category, means = known.category, known.means if known.means != "other" else means
        is_refused = known.is_definite and not _is_passing(known) and not _is_cut_off(classes)
    else:
        is_refused = _is_refusal(classes, text) and not _is_doubtful(codes, text)
    is_certain = not UNSENT.isdisjoint(classes) or is_refused
    return Fault(
        category=category, code=next(iter(codes), next(iter(classes), "error")), text=text[:300],
        is_definite=is_certain, execution_unknown=not is_certain, means=means,
    )  # fmt: skip


def _by_code(text: str, codes: Collection[str]) -> Fault | None:
    """By the table of the exchange whose answer it is; None where there is none, or no code in it that it has."""
    house = HOUSES.get(text.partition(" ")[0])
    if house == "kraken":
        faults = [kraken_fault(words) for words in KRAKEN_WORDS.findall(text)]
    elif house == "coinbase":
        faults = [coinbase_fault([word], text) for word in COINBASE_WORDS.findall(text)]
    elif house is not None:
        faults = [read(code, text) for read, table in [CODED[house]] for code in codes if code in table]
    else:
        faults = []
    return next((fault for fault in faults if _says_something(fault)), None)


def _says_something(fault: Fault) -> bool:
    """Whether a table had the code: one that it has not gets its category from the HTTP status alone."""
    return fault.category is not Category.DATA_INCONSISTENCY or fault.means != "other"


def _is_passing(fault: Fault) -> bool:
    """Refused for now: asked about before anybody makes it again."""
    return fault.category is Category.RATE_LIMIT or fault.means in ("clock", "nonce", "too_late")


def _is_cut_off(classes: Collection[str]) -> bool:
    return not DOUBTFUL.isdisjoint(classes) and TOO_MANY not in classes


def _is_refusal(classes: Collection[str], text: str) -> bool:
    by_class = not (REFUSED | DENIED).isdisjoint(classes) and "OrderNotFound" not in classes
    return by_class or any(words.search(text) for words in (REFUSED_WORDS, DENIED_WORDS))


def _is_doubtful(codes: Collection[str], text: str) -> bool:
    has_words = any(words.search(text) for words in (UNKNOWN_WORDS, SENT_WORDS))
    return has_words or not UNKNOWN_CODES.isdisjoint(codes)


def step(mode: int, precision: Decimal | None) -> Decimal | None:
    """The step of prices or quantities that a precision means: itself, or so many decimals. Where prices have a number
    of significant digits, that is none of theirs; quantities have decimals there (Bitfinex, Bithumb). None: unknown."""
    if precision is None or mode not in (DECIMAL_PLACES, SIGNIFICANT_DIGITS):
        return precision
    return Decimal(1).scaleb(-int(precision)) if abs(precision) <= DECIMALS_MAX else None


def to_digits(price: Decimal, side: Side, digits: int) -> Decimal:
    """A limit price of so many significant digits, never worse for us: a buy rounded down, a sell up."""
    least = Decimal(1).scaleb(price.adjusted() - digits + 1)
    return price.quantize(least, ROUND_FLOOR if side == "buy" else ROUND_CEILING)


class Seen:
    """An order as a row of the library tells it."""

    __slots__ = ("client_id", "cum_qty", "found_as", "price", "qty", "side", "spelling", "venue_id")

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.venue_id = str(row.get("id") or "")
        # Gate's ids begin with "t-", which the library puts there and leaves; none of ours has a dash.
        self.client_id = str(row.get("clientOrderId") or "").removeprefix("t-")
        self.spelling = str(row.get("symbol") or "")
        self.found_as = FOUND_AS.get(str(row.get("status") or ""))
        self.cum_qty = number(row.get("filled"))
        self.qty = number(row.get("amount"))
        self.price = number(row.get("price"))
        self.side: Side | None = row["side"] if row.get("side") in ("buy", "sell") else None

    @property
    def is_over(self) -> bool:
        """Whether it ended, and the row says with how much."""
        return self.found_as not in (None, "open") and self.cum_qty is not None

    def foreign(self, venue: str, symbol: str) -> ForeignOrderSeen | None:
        """As an open order of the account; None where the row does not say enough."""
        if self.side is None:
            return None
        return ForeignOrderSeen(
            venue=venue, symbol=symbol, side=self.side, qty=self.qty or ZERO, price=self.price or ZERO,
            venue_order_id=self.venue_id, client_id=self.client_id, is_open=self.found_as == "open",
        )  # fmt: skip


def filled(venue: str, symbol: str, key: str, row: Mapping[str, Any]) -> Filled | None:
    """An execution; None where the row lacks what counts. Raises Malformed where its fee is in several currencies or
    cannot be read: a wrong fee is never told."""
    qty, price, side = number(row.get("amount")), number(row.get("price")), row.get("side")
    if not qty or not price or side not in ("buy", "sell"):
        return None
    fee, fee_asset = _fee(row)
    exec_ns = int(row.get("timestamp") or 0) * NS_A_MS
    venue_id = str(row.get("order") or "")
    exec_id = str(row.get("id") or "") or synthetic_exec_id(key or venue_id, exec_ns, qty, price, qty)
    return Filled(
        key=key, venue=venue, symbol=symbol, side=side, exec_id=exec_id, qty=qty, price=price, fee=fee,
        fee_asset=fee_asset or symbol.split("-")[1], venue_order_id=venue_id, exec_ns=exec_ns,
    )  # fmt: skip


def _fee(row: Mapping[str, Any]) -> tuple[Decimal, str]:
    """What was charged, in one currency: Gate lists each it knows of, all but one at zero."""
    paid: dict[str, Decimal] = {}
    for each in row.get("fees") or [row.get("fee") or {}]:
        if each.get("cost") is not None:
            cost, currency = number(each["cost"]), str(each.get("currency") or "")
            if cost is None:
                raise Malformed(f"execution {row.get('id')} has a fee that is no number: {each['cost']!r:.60}")
            paid[currency] = paid.get(currency, ZERO) + cost
    told = [(cost, currency) for currency, cost in paid.items() if cost]
    if len(told) > 1:
        raise Malformed(f"execution {row.get('id')} has a fee in {len(told)} currencies")
    if told and not told[0][1]:
        raise Malformed(f"execution {row.get('id')} has a fee in no currency")
    return told[0] if told else (ZERO, next(iter(paid), ""))


def balances(venue: str, query_id: int, asked_ns: int, answer: Mapping[str, Any]) -> BalanceRead:
    """All balances; what the row calls used is what open orders hold."""
    free = _amounts(answer.get("free") or {})
    return BalanceRead(
        venue=venue, query_id=query_id, asked_ns=asked_ns, free=free, locked=_amounts(answer.get("used") or {}),
        account=MAIN_ACCOUNT,
    )  # fmt: skip


def _amounts(rows: Mapping[str, Any]) -> dict[str, Decimal]:
    return {asset: amount for asset, value in rows.items() if (amount := number(value)) is not None}


def number(value: object) -> Decimal | None:
    """The exact number of a text; None where there is none."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def by_client_id(rows: Iterable[Mapping[str, Any]], key: str, venue_id: str = "") -> Seen | None:
    """The order of this id among rows."""
    for row in rows:
        seen = Seen(row)
        if seen.client_id == key or (venue_id and seen.venue_id == venue_id):
            return seen
    return None

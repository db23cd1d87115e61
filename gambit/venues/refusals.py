"""What each venue's error codes mean for an order: category, whether the order may have been carried out, whether it
certainly was not, and what to do about it.

Only what a table calls definite is: an answer that nobody foresaw, any 5xx and anything that is no JSON leave an order
unknown (R1). Sources: section 6 of each venue's sheet, and section 3 of their common page.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gambit.model import Category
from gambit.venues.failure import AUTH, DATA, NET, PERMANENT, RATE, VENDOR
from gambit.venues.orders import Fault, Means

TEXT_MAX: Final = 300  # characters of a venue's words that are kept


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a code means."""

    category: Category
    is_unknown: bool = False
    is_definite: bool = False
    means: Means = "other"


def _no(category: Category, means: Means = "other") -> Rule:
    """Refused: it was not carried out."""
    return Rule(category=category, is_definite=True, means=means)


def _perhaps(category: Category, means: Means = "other") -> Rule:
    """The words are not about whether it was carried out."""
    return Rule(category=category, means=means)


UNKNOWN: Final = Rule(category=VENDOR, is_unknown=True)
SENT: Final = _perhaps(PERMANENT, "already_sent")
MISSING: Final = _perhaps(DATA, "missing")
DONE: Final = _perhaps(DATA, "done")
BAD: Final = _no(PERMANENT)
FILTERS: Final = _no(PERMANENT, "filters")  # tick, lot or a least amount: the rules that we know may be old
FUNDS: Final = _no(PERMANENT, "funds")
POST_ONLY: Final = _no(PERMANENT, "post_only")
CLOSED: Final = _no(PERMANENT, "market_state")
LATE: Final = _no(PERMANENT, "too_late")
CLOCK: Final = _no(AUTH, "clock")
SESSION: Final = _no(AUTH, "session")
KEY: Final = _no(AUTH)
SLOWER: Final = _no(RATE)


def _table(*rows: tuple[Rule, Iterable[int | str]]) -> Mapping[str, Rule]:
    return {str(code): rule for rule, codes in rows for code in codes}


BINANCE: Final = _table(
    (SLOWER, (-1003, -1015, -1034)),
    (KEY, (-1002, -1022, -2014, -2015)),
    (CLOCK, (-1021,)),
    (BAD, (*range(-1130, -1099), -2010)),
    (FILTERS, (-1013, -1111)),
    (MISSING, (-2011, -2013)),
    (_perhaps(DATA), (-2039,)),
    (_perhaps(PERMANENT, "done"), (-2026,)),
    (UNKNOWN, (-1000, -1001, -1006, -1007, -1008)),
    (_perhaps(VENDOR, "market_state"), (-1016,)),
)
# -2010 is the engine's refusal and says why in words only.
BINANCE_WORDS: Final = (
    ("insufficient balance", FUNDS),
    ("duplicate order", SENT),
    ("immediately match", POST_ONLY),
    ("market is closed", CLOSED),
)
BINANCE_BAND: Final = "PERCENT_PRICE"  # a filter of the market's price, not of steps or least amounts
OKX_STEPS: Final = ("parameter px ", "parameter sz ")  # 51000 is for any parameter

OKX: Final = _table(
    (SLOWER, (50011, 50061, 50040, 60014, 60023)),
    (_perhaps(VENDOR), (50013, 50001)),
    (_perhaps(VENDOR, "market_state"), (50046, 50062)),
    (UNKNOWN, (50004, 50026, 51054, 51149, 51412)),
    (LATE, (50036, 50037)),
    (CLOCK, (50102, 50112, 60004, 60006)),
    (KEY, (50101, *range(50103, 50108), 50110, 50111, 50113, 50114, 50119, 50120, 50121, 50035)),
    (KEY, (60005, 60007, 60009, 60024, 60032)),
    (SESSION, (60011,)),
    (BAD, (51000, 50002, 50014, 50015, 50016, 60012, 60013, 60033, 51001, 60018, 64003)),
    (FUNDS, (51008,)),
    (FILTERS, (51020, 51121, 50122, 51005)),
    (BAD, (51006, 51137, 51138, 51025)),
    (SENT, (51016, 50071)),
    (CLOSED, (51021, 51022)),
    (DONE, (51400, 51401, 51402, 51410)),
    (MISSING, (51603, 51503)),
    (BAD, (50051, 50052, 50059, 50060, 51024)),
    (_perhaps(NET), (64008,)),
)

BYBIT: Final = _table(
    (SLOWER, (10006, 10018, 10429, 170005, 170222, 10403, 20003)),
    (KEY, (10003, 10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 33004)),
    (CLOCK, (10002,)),
    (BAD, (10001, 10017, 170130, 10404, 20006, 170121)),
    (FUNDS, (170131, 170033, 110007)),
    (FILTERS, (170136, 170137, 170124, 170148, 170134, 170140)),
    (BAD, (170132, 170133)),
    (POST_ONLY, (170218, 170217)),
    (SENT, (10014, 170141, 110072)),
    (DONE, (170139, 170142, 170143, 170212)),
    (MISSING, (170213, 110001)),
    (UNKNOWN, (170007, 170146, 170147, 10000, 170032, 170035, 10016, 170001, 170149, 10019)),
    (CLOSED, (170031, 170210)),
)
BYBIT_ENTRY: Final = {**BYBIT, "10003": SLOWER}  # too many sessions of the account, not a bad key

# By the beginning of the text, the first that fits. What mentions a client id may be a duplicate's answer.
KRAKEN: Final = (
    ("EAPI:Rate limit", SLOWER),
    ("EService:Throttled", SLOWER),
    ("EOrder:Rate limit", SLOWER),
    ("EOrder:Domain rate limit", SLOWER),
    ("EAuth:Rate limit", SLOWER),
    ("EAuth:Too many requests", SLOWER),
    ("Exceeded msg rate", SLOWER),
    ("EGeneral:Temporary lockout", KEY),
    ("EAPI:Invalid nonce", _no(AUTH, "nonce")),
    ("EAPI:Invalid key", KEY),
    ("EAPI:Invalid signature", KEY),
    ("EGeneral:Permission denied", KEY),
    ("EAuth:Account unconfirmed", KEY),
    ("ESession:Invalid session", SESSION),
    ("EOrder:Insufficient funds", FUNDS),
    ("EOrder:Insufficient margin", FUNDS),
    ("EOrder:Post only order", POST_ONLY),
    ("EOrder:Unknown order", MISSING),
    ("EService:Deadline elapsed", LATE),
    ("EService:Market in ", _no(VENDOR, "market_state")),
    ("EService:Unavailable", UNKNOWN),
    ("EService:Busy", UNKNOWN),
    ("EGeneral:Internal error", UNKNOWN),
    ("EGeneral:Invalid arguments:volume", FILTERS),
    ("EGeneral:Invalid arguments:price", FILTERS),
    ("EGeneral:Invalid arguments", BAD),
    ("EQuery:Unknown asset pair", BAD),
    ("EOrder:Invalid price", FILTERS),
    ("EOrder:Tick size check failed", FILTERS),
    ("EOrder:Limit price", BAD),
    ("EOrder:Order minimum not met", FILTERS),
    ("EOrder:Cost minimum not met", FILTERS),
    ("EOrder:Orders limit exceeded", BAD),
    ("EOrder:Positions limit exceeded", BAD),
)
_KRAKEN_CLIENT_ID: Final = re.compile(r"^E(?:Order|General):.*cl_ord_id", re.IGNORECASE)
_KRAKEN_UNTIL: Final = re.compile(r"^EService:Throttled: *(\d{9,11})$")

COINBASE: Final = _table(
    (SLOWER, ("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")),
    (SESSION, ("UNAUTHORIZED",)),
    (KEY, ("PERMISSION_DENIED",)),
    (BAD, ("INVALID_ARGUMENT", "INVALID_SIDE", "INVALID_PRODUCT_ID", "UNSUPPORTED_ORDER_CONFIGURATION")),
    (BAD, ("INVALID_REQUEST",)),
    (FILTERS, ("INVALID_SIZE_PRECISION", "INVALID_PRICE_PRECISION")),
    (FILTERS, ("PREVIEW_INVALID_BASE_SIZE_TOO_SMALL", "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE")),
    (FILTERS, ("PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL", "PREVIEW_INVALID_QUOTE_SIZE_TOO_LARGE")),
    (FUNDS, ("INSUFFICIENT_FUND", "INSUFFICIENT_FUNDS", "INVALID_LEDGER_BALANCE", "PREVIEW_INSUFFICIENT_FUND")),
    (POST_ONLY, ("INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY")),
    (BAD, ("LIMIT_PRICE_TOO_FAR_FROM_MARKET", "LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY")),
    (BAD, ("LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_SELL", "INVALID_NO_LIQUIDITY", "COMMANDER_REJECTED_NEW_ORDER")),
    (CLOSED, ("ORDER_ENTRY_DISABLED", "INELIGIBLE_PAIR", "TRADING_DISABLED", "PRODUCT_TRADING_HALTED")),
    (CLOSED, ("UNTRADABLE_PRODUCT", "PREVIEW_NOT_ALLOWED_BY_MARKET_STATE")),
    (SENT, ("DUPLICATE_CLIENT_ORDER_ID",)),
    (MISSING, ("NOT_FOUND", "UNKNOWN_CANCEL_ORDER")),
    (DONE, ("ORDER_IS_FULLY_FILLED", "ORDER_IS_BEING_REPLACED", "DUPLICATE_CANCEL_REQUEST")),
    (BAD, ("INVALID_CANCEL_REQUEST", "INVALID_CANCEL_PRODUCT_ID", "NOT_ALLOWED_TO_CANCEL")),
    (BAD, ("COMMANDER_REJECTED_CANCEL_ORDER",)),
    (UNKNOWN, ("INTERNAL", "UNAVAILABLE")),
)


def binance_fault(code: str, text: str, status: int) -> Fault:
    """By code, -2010 and -1013 by their words."""
    rule = BINANCE.get(code)
    if code == "-2010":
        words = text.lower()
        rule = next((found for part, found in BINANCE_WORDS if part in words), BAD)
    elif rule is FILTERS and BINANCE_BAND in text:
        rule = BAD
    return _fault(rule, code, text, status)


def okx_fault(code: str, text: str, status: int = 200) -> Fault:
    """By code, 51000 by its words; errors often come with HTTP 200."""
    is_step = code == "51000" and text.lower().startswith(OKX_STEPS)
    return _fault(FILTERS if is_step else OKX.get(code), code, text, status)


def bybit_fault(code: str, text: str, status: int = 200, *, entry: bool = False) -> Fault:
    """By code; 10003 means another thing on the entry line."""
    return _fault((BYBIT_ENTRY if entry else BYBIT).get(code), code, text, status)


def kraken_fault(text: str, status: int = 200) -> Fault:
    """By the text, which is the code."""
    rule = next((rule for start, rule in KRAKEN if text.startswith(start)), None)
    if _KRAKEN_CLIENT_ID.search(text):
        rule = SENT
    fault = _fault(rule, text[:TEXT_MAX], text, status)
    until = _KRAKEN_UNTIL.match(text)
    return msgspec.structs.replace(fault, until_ns=int(until[1]) * 1_000_000_000) if until else fault


def coinbase_fault(codes: Iterable[str], text: str, status: int = 200) -> Fault:
    """By the first of several codes that says something: UNKNOWN_* never does."""
    told = [code.upper() for code in codes if (code and not code.upper().startswith("UNKNOWN_")) or code in COINBASE]
    known = next((code for code in told if code in COINBASE), told[0] if told else "")
    rule = COINBASE.get(known)
    if rule is None and "account is not available" in text.lower():
        rule = FUNDS
    return _fault(rule, known, text, status)


def http_fault(status: int, body: bytes) -> Fault:
    """What an answer says that is no JSON, or not the venue's; it leaves an order unknown (F09)."""
    return _fault(None, f"HTTP {status}", shown(body), status, is_readable=False)


def shown(body: bytes) -> str:
    """A body as messages repeat it."""
    return body[:TEXT_MAX].decode(errors="replace")


def _fault(rule: Rule | None, code: str, text: str, status: int, *, is_readable: bool = True) -> Fault:
    """By the table's rule, else by the HTTP status; a 5xx or 408 is unknown whatever else it says."""
    text = text[:TEXT_MAX]
    is_server = status >= 500 or status == 408
    if rule is None or not is_readable:
        return Fault(category=_by_status(status), code=code, text=text, execution_unknown=is_server or not is_readable)
    return Fault(
        category=rule.category,
        code=code,
        text=text,
        execution_unknown=rule.is_unknown or is_server,
        is_definite=rule.is_definite and not is_server,
        means=rule.means,
    )


def _by_status(status: int) -> Category:
    if status >= 500:
        return VENDOR
    if status == 408:
        return NET
    if status in (418, 429):
        return RATE
    if status == 401:
        return AUTH
    return PERMANENT if status >= 400 else DATA

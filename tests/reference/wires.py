"""What each venue's frame says: text to book messages with their rows checked (venue sheets, R19, R20, R32).

`read_json` keeps every number as its text. `classify_*` says which book messages a frame has and which books they
name, without looking at the rows; `check_*` then checks one message whole and gives an `Update`. Anything wrong in a
frame that is meant for a book is a `BadFrameError`; a frame that is nobody's is `Other`.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from .decimals import BadNumberError, to_units

ID_LIMIT = 1 << 63


class UnreadableError(ValueError):
    """R5: nobody can tell what the frame said."""


class BadFrameError(ValueError):
    """R19: a book frame with something wrong in it."""


class IntText(str):
    """A JSON integer, as its text."""

    __slots__ = ()


class RealText(str):
    """A JSON number with a fraction or an exponent, as its text."""

    __slots__ = ()


class Row(NamedTuple):
    """One level as sent: price and quantity in units of 1e-18, and their texts for checksums."""

    price: int
    qty: int
    price_text: str
    qty_text: str


@dataclass
class Update:
    """A checked message for one book. `action` is snapshot, update or replace (a best-bid-ask frame)."""

    action: str
    bids: list[Row]
    asks: list[Row]
    last_id: int | None = None
    first_id: int | None = None
    prev_id: int | None = None
    checksum: int | None = None
    exchange_ns: int | None = None


@dataclass
class Message:
    """A part of a frame that is about one book: the venue's spelling of the symbol and the unchecked fields."""

    wire_symbol: str
    fields: dict
    action: str = ""


@dataclass
class BookFrame:
    """A frame for books. `feed` is depth or bbo; `broken` says why the frame as a whole is bad."""

    feed: str
    channel: str
    messages: list[Message] = field(default_factory=list)
    broken: str | None = None


@dataclass(frozen=True)
class Other:
    """A frame that touches no book; `kind` is only counted."""

    kind: str


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_int=IntText, parse_float=RealText, parse_constant=_no_constant)


def read_json(text: str) -> object:
    """The frame as Python values, numbers as text; UnreadableError where it is not JSON."""
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {error}"[:200]) from error


def integer(value: object) -> int | None:
    """A JSON integer with |value| < 2**63, else None."""
    if type(value) is not IntText or len(value) > 20:
        return None
    number = int(value)
    return number if abs(number) < ID_LIMIT else None


def _id(fields: dict, name: str) -> int:
    number = integer(fields.get(name))
    if number is None:
        raise BadFrameError(f"{name} is missing or not an integer")
    return number


def _row(price: object, qty: object) -> Row:
    if not isinstance(price, str) or not isinstance(qty, str):
        raise BadFrameError("a level's price or quantity is not a number")
    try:
        price_units, qty_units = to_units(price), to_units(qty)
    except BadNumberError as error:
        raise BadFrameError(str(error)) from error
    if price_units <= 0:
        raise BadFrameError(f"price {price} is not positive")
    if qty_units < 0:
        raise BadFrameError(f"quantity {qty} is negative")
    return Row(price_units, qty_units, price, qty)


def _array(fields: dict, name: str) -> list:
    rows = fields.get(name)
    if type(rows) is not list:
        raise BadFrameError(f"{name} is missing or not an array")
    return rows


def _pairs(fields: dict, name: str) -> list[Row]:
    """Rows that are arrays of exactly two (Binance, Bybit)."""
    rows = []
    for row in _array(fields, name):
        if type(row) is not list or len(row) != 2:
            raise BadFrameError("a level is not an array of two")
        rows.append(_row(row[0], row[1]))
    return rows


def _millis(value: object, unit: int = 1_000_000) -> int | None:
    """An exchange time in ns from a count of ms (a JSON integer, or the same digits as a string); else None."""
    if not isinstance(value, str) or not 0 < len(value) <= 19 or not value.isascii() or not value.isdigit():
        return None
    time_ns = int(value) * unit
    return time_ns if time_ns < ID_LIMIT else None


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def rfc3339_ns(value: object) -> int | None:
    """Nanoseconds since 1970 of an RFC 3339 time; None where it is not one."""
    match = _RFC3339.fullmatch(value) if type(value) is str else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, ahead_h, ahead_m = match.groups()[6:]
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    offset = (int(ahead_h) * 3600 + int(ahead_m) * 60) * (-1 if sign == "-" else 1) if sign else 0
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
    time_ns = seconds * 10**9 + int((fraction or "0")[:9].ljust(9, "0"))
    return time_ns if abs(time_ns) < ID_LIMIT else None


# ---- Binance ---------------------------------------------------------------------------------------------------

_PARTIAL_DEPTH = re.compile(r"@depth(5|10|20)(@|$)")


def classify_binance(doc: object) -> BookFrame | Other:
    """Diffs (`depthUpdate`, but not the partial books of futures, which look the same) and bookTickers."""
    stream = ""
    if isinstance(doc, dict) and "data" in doc:  # a combined stream
        stream, doc = str(doc.get("stream")), doc["data"]
    if not isinstance(doc, dict):
        return Other("unknown")
    event = doc.get("e")
    if event == "depthUpdate":
        if _PARTIAL_DEPTH.search(stream):
            return Other("partial depth")
        return _one_book(BookFrame("depth", "diff"), doc.get("s"), doc)
    if event == "bookTicker" or (type(event) is not str and _is_top(doc)):
        return _one_book(BookFrame("bbo", "bookTicker"), doc.get("s"), doc)
    return Other(str(event) if event else "control")


def _is_top(doc: dict) -> bool:
    """Spot bookTickers have no event type: two of the best prices and quantities say that it means to be one."""
    return sum(isinstance(doc.get(name), str) for name in ("b", "B", "a", "A")) >= 2


def _one_book(frame: BookFrame, wire_symbol: object, fields: dict, action: str = "") -> BookFrame:
    if type(wire_symbol) is not str:
        frame.broken = "no symbol"
    else:
        frame.messages.append(Message(wire_symbol, fields, action))
    return frame


def check_binance_diff(message: Message, time_unit: int = 1_000_000) -> Update:
    fields = message.fields
    prev_id = _id(fields, "pu") if "pu" in fields else None
    return Update(
        "update",
        _pairs(fields, "b"),
        _pairs(fields, "a"),
        first_id=_id(fields, "U"),
        last_id=_id(fields, "u"),
        prev_id=prev_id,
        exchange_ns=_millis(fields.get("E"), time_unit),
    )


def check_binance_snapshot(doc: object) -> Update:
    if not isinstance(doc, dict):
        raise BadFrameError("not a depth snapshot")
    return Update("snapshot", _pairs(doc, "bids"), _pairs(doc, "asks"), last_id=_id(doc, "lastUpdateId"))


def check_binance_bbo(message: Message, time_unit: int = 1_000_000) -> Update:
    fields = message.fields
    bid, ask = _row(fields.get("b"), fields.get("B")), _row(fields.get("a"), fields.get("A"))
    exchange_ns = _millis(fields.get("E"), time_unit)
    return Update("replace", [bid], [ask], last_id=_id(fields, "u"), exchange_ns=exchange_ns)


# ---- OKX -------------------------------------------------------------------------------------------------------

OKX_DEPTH = {"books": 400, "books-l2-tbt": 400, "books50-l2-tbt": 50}


def classify_okx(doc: object) -> BookFrame | Other:
    """`books` and its tbt forms, and bbo-tbt. Every entry of `data` is a message for the same book."""
    if not isinstance(doc, dict) or (isinstance(doc.get("event"), str) and type(doc.get("data")) is not list):
        return Other("control")
    arg = doc.get("arg")
    channel = arg.get("channel") if isinstance(arg, dict) else None
    if type(channel) is not str or (channel not in OKX_DEPTH and channel != "bbo-tbt"):
        return Other(str(channel))
    frame = BookFrame("bbo" if channel == "bbo-tbt" else "depth", channel)
    wire_symbol, action, data = arg.get("instId"), doc.get("action"), doc.get("data")
    if type(wire_symbol) is not str:
        frame.broken = "no instId"
        return frame
    entries = data if type(data) is list and data and all(type(entry) is dict for entry in data) else None
    if entries is None:
        frame.broken = "data is not an array of objects"
    elif frame.feed == "depth" and action not in ("snapshot", "update"):
        frame.broken = "action is neither snapshot nor update"
    frame.messages = [Message(wire_symbol, entry, str(action)) for entry in entries or [{}]]
    return frame


def _okx_rows(fields: dict, name: str) -> list[Row]:
    rows = []
    for row in _array(fields, name):
        if type(row) is not list or len(row) < 2:
            raise BadFrameError("a level is not an array of at least two")
        rows.append(_row(row[0], row[1]))
    return rows


def check_okx(message: Message, had_seq_id: bool) -> Update:
    """R10: with a seqId the chain rules and the checksum is not looked at; without one the checksum is needed.

    `had_seq_id`: the last frame of this book carried a seqId, so one without it lost what its rule needs.
    """
    fields = message.fields
    update = Update(message.action, _okx_rows(fields, "bids"), _okx_rows(fields, "asks"))
    update.exchange_ns = _millis(fields.get("ts"))
    if "seqId" in fields:
        update.last_id = _id(fields, "seqId")
        if message.action == "update" or "prevSeqId" in fields:
            update.prev_id = _id(fields, "prevSeqId")
    elif "prevSeqId" in fields:
        raise BadFrameError("prevSeqId without seqId")
    elif message.action == "update" and had_seq_id:
        raise BadFrameError("seqId is missing")
    else:
        update.checksum = _id(fields, "checksum")
    return update


def check_okx_bbo(message: Message) -> Update:
    fields = message.fields
    bids, asks = _okx_rows(fields, "bids"), _okx_rows(fields, "asks")
    return Update("replace", bids, asks, last_id=_id(fields, "seqId"), exchange_ns=_millis(fields.get("ts")))


# ---- Bybit -----------------------------------------------------------------------------------------------------

_BYBIT_TOPIC = re.compile(r"orderbook\.([0-9]+)\.(.+)")


def classify_bybit(doc: object) -> BookFrame | Other:
    """`orderbook.N.SYMBOL`; N is the channel. Which N feeds which kind of book is the caller's to decide."""
    topic = doc.get("topic") if isinstance(doc, dict) else None
    match = _BYBIT_TOPIC.fullmatch(topic) if type(topic) is str else None
    if match is None:
        return Other(topic.split(".")[0] if type(topic) is str else "control")
    frame = BookFrame("depth", match[1])
    data = doc.get("data")
    fields = dict(data) if type(data) is dict else {}
    if type(data) is not dict:
        frame.broken = "data is not an object"
    fields["cts"], fields["ts"] = doc.get("cts"), doc.get("ts")
    frame.messages = [Message(match[2], fields, str(doc.get("type")))]
    return frame


def check_bybit(message: Message) -> Update:
    """R23: u = 1 is a snapshot whatever its type."""
    fields = message.fields
    bids, asks, last_id = _pairs(fields, "b"), _pairs(fields, "a"), _id(fields, "u")
    if last_id != 1 and message.action not in ("snapshot", "delta"):
        raise BadFrameError("type is neither snapshot nor delta")
    action = "snapshot" if last_id == 1 or message.action == "snapshot" else "update"
    exchange_ns = _millis(fields["cts"] if isinstance(fields["cts"], str) else fields["ts"])
    return Update(action, bids, asks, last_id=last_id, exchange_ns=exchange_ns)


# ---- Kraken ----------------------------------------------------------------------------------------------------


def classify_kraken(doc: object) -> BookFrame | Other:
    """`book` and, for best-bid-ask, `ticker`: one message for each entry of `data`."""
    channel = doc.get("channel") if isinstance(doc, dict) else None
    if channel not in ("book", "ticker"):
        return Other(str(channel) if channel else "control")
    frame = BookFrame("depth" if channel == "book" else "bbo", channel)
    data, action = doc.get("data"), doc.get("type")
    if action not in ("snapshot", "update"):
        frame.broken = "type is neither snapshot nor update"
    _collect(frame, data, "symbol", str(action))
    return frame


def _collect(frame: BookFrame, entries: object, name: str, action: str = "") -> None:
    """A message for each entry of an array of objects that each name a book."""
    if type(entries) is not list:
        frame.broken = frame.broken or "not an array of objects"
        return
    for entry in entries:
        wire_symbol = entry.get(name) if type(entry) is dict else None
        if type(wire_symbol) is not str:
            frame.broken = frame.broken or f"an entry without {name}"
        else:
            frame.messages.append(Message(wire_symbol, entry, action))


def _kraken_rows(fields: dict, name: str) -> list[Row]:
    rows = []
    for level in _array(fields, name):
        if type(level) is not dict:
            raise BadFrameError("a level is not an object")
        rows.append(_row(level.get("price"), level.get("qty")))
    return rows


def check_kraken(message: Message) -> Update:
    fields = message.fields
    bids, asks = _kraken_rows(fields, "bids"), _kraken_rows(fields, "asks")
    checksum, exchange_ns = _id(fields, "checksum"), rfc3339_ns(fields.get("timestamp"))
    return Update(message.action, bids, asks, checksum=checksum, exchange_ns=exchange_ns)


def check_kraken_bbo(message: Message) -> Update:
    fields = message.fields
    bid, ask = _row(fields.get("bid"), fields.get("bid_qty")), _row(fields.get("ask"), fields.get("ask_qty"))
    return Update("replace", [bid], [ask], exchange_ns=rfc3339_ns(fields.get("timestamp")))


# ---- Coinbase --------------------------------------------------------------------------------------------------


def classify_coinbase(doc: object) -> BookFrame | Other:
    """`l2_data` and, for best-bid-ask, `ticker`: one message for each event (ticker) of `events`."""
    channel = doc.get("channel") if isinstance(doc, dict) else None
    if channel not in ("l2_data", "ticker"):
        return Other(str(channel) if channel else "control")
    frame = BookFrame("depth" if channel == "l2_data" else "bbo", channel)
    events = doc.get("events")
    if channel == "l2_data":
        _collect(frame, events, "product_id")
        for message in frame.messages:
            message.action = str(message.fields.get("type"))
        return frame
    for event in events if type(events) is list else [None]:
        _collect(frame, event.get("tickers") if type(event) is dict else None, "product_id")
    return frame


def check_coinbase(message: Message, sequence: int | None, timestamp: object) -> Update:
    if sequence is None:
        raise BadFrameError("sequence_num is missing or not an integer")
    if message.action not in ("snapshot", "update"):
        raise BadFrameError("an event is neither snapshot nor update")
    update = Update(message.action, [], [], last_id=sequence, exchange_ns=rfc3339_ns(timestamp))
    for level in _array(message.fields, "updates"):
        side = level.get("side") if type(level) is dict else None
        if side not in ("bid", "offer"):
            raise BadFrameError("a level is on neither side")
        row = _row(level.get("price_level"), level.get("new_quantity"))
        (update.bids if side == "bid" else update.asks).append(row)
    return update


def check_coinbase_bbo(message: Message, sequence: int | None, timestamp: object) -> Update:
    if sequence is None:
        raise BadFrameError("sequence_num is missing or not an integer")
    fields = message.fields
    bid = _row(fields.get("best_bid"), fields.get("best_bid_quantity"))
    ask = _row(fields.get("best_ask"), fields.get("best_ask_quantity"))
    return Update("replace", [bid], [ask], last_id=sequence, exchange_ns=rfc3339_ns(timestamp))

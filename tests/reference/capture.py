"""Captures: lines of one or several files become records in one order (contract.md "Captures", R1, R2, R6).

A line that cannot be a record is told to `Notes` and left out. A damaged file gives what can be read of it, and an
error. The order inside a file is never changed; files are merged by always taking the smallest next `ts`.
"""

import base64
import binascii
import heapq
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

VENUES = {
    "binance-spot": "binance",
    "binance": "binance",
    "binance-us": "binance-us",
    "binance-usdm": "binance-usdm",
    "binance-coinm": "binance-coinm",
    "okx": "okx",
    "bybit": "bybit",
    "bybit-linear": "bybit-linear",
    "kraken": "kraken",
    "coinbase-advanced": "coinbase",
    "coinbase": "coinbase",
}
KINDS = ("connect", "close", "send", "recv", "http")
CHUNK = 1 << 16


class BadLineError(ValueError):
    """A line of a capture that is not a record."""


class BadCaptureError(ValueError):
    """A capture that cannot be read at all: no header, or one of another kind."""


@dataclass(frozen=True)
class Record:
    """One line of a capture. `data` is text, or None for a binary frame that is not UTF-8 (then `raw` has it)."""

    kind: str
    ts: int
    venue: str
    conn: str | None = None
    data: str | None = None
    raw: bytes = b""
    url: str = ""
    addr: str | None = None


@dataclass
class Notes:
    """What went wrong while reading: bad lines (with file and line number) and errors that end with exit 1."""

    bad_lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _header_venue(fields: object) -> str | None:
    """The venue of a header line, None for `multi`; BadCaptureError for anything that is no header of ours."""
    if not isinstance(fields, dict) or fields.get("t") != "header":
        raise BadCaptureError("the first line is not a capture header")
    if type(fields.get("v")) is not int or fields["v"] != 1:
        raise BadCaptureError(f"capture format version {fields.get('v')!r} is not 1")
    venue = fields.get("venue")
    if venue == "multi":
        return None
    if not isinstance(venue, str) or venue not in VENUES:
        raise BadCaptureError(f"unknown venue {venue!r}")
    return VENUES[venue]


def _text(fields: dict, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise BadLineError(f"{name} is missing or not a string")
    return value


def to_record(fields: object, venue: str | None) -> Record:
    """A parsed line as a record; `venue` is the header's. BadLineError where it is none."""
    if not isinstance(fields, dict):
        raise BadLineError("not an object")
    kind = fields.get("t")
    if kind not in KINDS:
        raise BadLineError(f"unknown record type {kind!r}")
    ts = fields.get("ts")
    if type(ts) is not int or not 0 <= ts < 1 << 62:
        raise BadLineError("ts is not an integer of nanoseconds")
    if "venue" in fields:
        name = fields["venue"]
        if not isinstance(name, str) or name not in VENUES:
            raise BadLineError(f"unknown venue {name!r}")
        venue = VENUES[name]
    if venue is None:
        raise BadLineError("no venue")
    if kind == "http":
        return Record(kind, ts, venue, data=_text(fields, "data"), url=_text(fields, "url"))
    if kind == "send":
        return Record(kind, ts, venue)
    conn = _text(fields, "conn")
    if kind == "recv":
        return _received(fields, ts, venue, conn)
    addr = fields.get("addr")
    return Record(kind, ts, venue, conn, addr=addr if isinstance(addr, str) else None)


def _received(fields: dict, ts: int, venue: str, conn: str) -> Record:
    if "data" in fields:
        data = _text(fields, "data")
        return Record("recv", ts, venue, conn, data=data, raw=data.encode("utf-8", "surrogatepass"))
    try:
        raw = base64.b64decode(_text(fields, "b64"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadLineError(f"b64: {error}") from error
    try:
        data = raw.decode()
    except UnicodeDecodeError:
        return Record("recv", ts, venue, conn, raw=raw)
    return Record("recv", ts, venue, conn, data=data, raw=raw)


def _unpacked(path: Path, name: str, notes: Notes) -> Iterator[bytes]:
    """The content of a plain, .zst or .gz file in pieces; damage ends it with an error."""
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start == b"\x28\xb5\x2f\xfd" or name.endswith(".zst"):
            yield from _inflated(file, name, notes, lambda: zstandard.ZstdDecompressor().decompressobj())
        elif start[:2] == b"\x1f\x8b" or name.endswith(".gz"):
            yield from _inflated(file, name, notes, lambda: zlib.decompressobj(31))
        else:
            while piece := file.read(CHUNK):
                yield piece


def _inflated(file, name: str, notes: Notes, fresh) -> Iterator[bytes]:
    """Decompressed pieces of a file of one or more frames (members)."""
    stream = None
    piece = file.read(CHUNK)
    while piece:
        stream = stream or fresh()
        try:
            out = stream.decompress(piece)
        except (zstandard.ZstdError, zlib.error) as error:
            notes.errors.append(f"{name}: corrupt: {error}")
            return
        if out:
            yield out
        piece = stream.unused_data
        if stream.eof:
            stream = None
        piece = piece or file.read(CHUNK)
    if stream is not None:
        notes.errors.append(f"{name}: truncated: it ends inside a compressed block")


def _lines(path: Path, name: str, notes: Notes) -> Iterator[tuple[bytes, bool]]:
    """Lines without their newline, and whether they had one."""
    rest = b""
    for piece in _unpacked(path, name, notes):
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line, True
    if rest:
        yield rest, False


def _parse(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"not JSON: {error}") from error


def read_file(path: Path, notes: Notes) -> Iterator[Record]:
    """The records of one file, bad lines noted and left out."""
    name = str(path)
    venue, header_seen = None, False
    for number, (line, ended) in enumerate(_lines(path, name, notes), 1):
        if not ended:
            notes.errors.append(f"{name}: truncated: no newline at the end of line {number}")
        try:
            fields = _parse(line)
            if header_seen:
                yield to_record(fields, venue)
            else:
                venue, header_seen = _header_venue(fields), True
        except BadLineError as error:
            if not header_seen:
                notes.errors.append(f"{name}:{number}: the first line is not a capture header")
                return
            if ended:
                notes.bad_lines.append(f"{name}:{number}: {error}")
        except BadCaptureError as error:
            notes.errors.append(f"{name}:{number}: {error}")
            return
    if not header_seen:
        notes.errors.append(f"{name}: empty")


def read_records(parsed: Iterable[dict], name: str, notes: Notes) -> Iterator[Record]:
    """The records of an already parsed capture; a header may come first, else each record names its venue."""
    venue = None
    for number, fields in enumerate(parsed, 1):
        if number == 1 and isinstance(fields, dict) and fields.get("t") == "header":
            venue = _header_venue(fields)
            continue
        try:
            yield to_record(fields, venue)
        except BadLineError as error:
            notes.bad_lines.append(f"{name}:{number}: {error}")


def merged(streams: list[Iterator[Record]]) -> Iterator[Record]:
    """R2: always the record of the stream whose next one has the smallest ts; ties: the earlier stream."""
    heads = []
    for index, stream in enumerate(streams):
        record = next(stream, None)
        if record is not None:
            heapq.heappush(heads, (record.ts, index, record))
    while heads:
        _, index, record = heapq.heappop(heads)
        yield record
        following = next(streams[index], None)
        if following is not None:
            heapq.heappush(heads, (following.ts, index, following))

"""Capture files: plain, .zst or .gz JSON lines, streamed in bounded memory (contract.md "Captures")."""

import base64
import binascii
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson
import zstandard

COMPRESSED_CHUNK = 8192  # what decompresses to at most some MB in any real capture
TEXT_CHUNK = 1 << 18
RECORD_TYPES = frozenset({"connect", "close", "send", "recv", "http"})
NEEDS_CONN = frozenset({"connect", "close", "recv"})
VERSION = 1


class CaptureError(Exception):
    """A capture that cannot be read on; what was read before is good."""


class BadLine(ValueError):
    """A line that is no record."""


class Record(NamedTuple):
    """A record other than an ordinary frame."""

    type: str
    ts: int
    conn: str
    venue: str | None
    text: bytes  # data, or what b64 stands for
    address: str | None  # addr of connect, url of http


def chunks(path: Path, on_read: "CountBytes") -> Iterator[bytes]:
    """The decompressed bytes of a capture. Raises CaptureError where it is truncated, corrupt or unreadable."""
    try:
        with path.open("rb") as file:
            source = on_read.counted(file)
            if path.suffix == ".zst":
                yield from _zst(source)
            elif path.suffix == ".gz":
                yield from _gz(source)
            else:
                yield from source.blocks(TEXT_CHUNK)
    except OSError as error:
        raise CaptureError(error.strerror or str(error)) from error


class CountBytes:
    """Adds up what was read of a file, for progress."""

    def __init__(self) -> None:
        self.bytes_read = 0

    def counted(self, file: BinaryIO) -> "_Source":
        """The file, counted from now on."""
        return _Source(file, self)


class _Source:
    def __init__(self, file: BinaryIO, count: CountBytes) -> None:
        self.file = file
        self.count = count

    def blocks(self, size: int) -> Iterator[bytes]:
        while block := self.file.read(size):
            self.count.bytes_read += len(block)
            yield block


def _zst(source: _Source) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
    inside = True  # an empty file is truncated too
    try:
        for block in source.blocks(COMPRESSED_CHUNK):
            rest = block
            while rest:
                inside = True
                yield inflater.decompress(rest)
                rest = b""
                if inflater.eof:
                    rest = inflater.unused_data
                    inside = False
                    inflater = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
    except zstandard.ZstdError as error:
        raise CaptureError(f"corrupt zstd data: {error}") from error
    if inside:
        raise CaptureError("truncated: the file ends inside a zstd frame")


def _gz(source: _Source) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    inside = True
    try:
        for block in source.blocks(COMPRESSED_CHUNK):
            rest = block
            while rest:
                inside = True
                yield inflater.decompress(rest, TEXT_CHUNK)
                rest = inflater.unconsumed_tail
                if inflater.eof:
                    rest = inflater.unused_data
                    inside = False
                    inflater = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        raise CaptureError(f"corrupt gzip data: {error}") from error
    if inside:
        raise CaptureError("truncated: the file ends inside a gzip stream")


def read_header(line: bytes) -> str:
    """The venue that a capture's first line names. Raises BadLine."""
    try:
        header = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLine(f"the first line is no capture header: {error}") from error
    if not isinstance(header, dict) or header.get("t") != "header":
        raise BadLine('the first line is no capture header: {"t":"header","v":1,"venue":...} is due')
    if header.get("v") != VERSION:
        raise BadLine(f"capture format version {header.get('v')!r}; this gambit reads version {VERSION}")
    venue = header.get("venue")
    if not isinstance(venue, str) or not venue:
        raise BadLine("the header names no venue")
    return venue


def read_record(line: bytes) -> Record:
    """A record line, strictly. Raises BadLine saying what is wrong."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLine(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise BadLine("a record is an object")
    kind, ts, conn, venue = row.get("t"), row.get("ts"), row.get("conn"), row.get("venue")
    if kind not in RECORD_TYPES:
        raise BadLine(f"unknown record type {kind!r}")
    if not isinstance(ts, int) or isinstance(ts, bool) or not 0 <= ts < 1 << 62:
        raise BadLine(f"ts is no time in ns: {ts!r}")
    if not isinstance(conn, str) and (conn is not None or kind in NEEDS_CONN):
        raise BadLine(f"conn is no name: {conn!r}")
    if venue is not None and not isinstance(venue, str):
        raise BadLine(f"venue is no name: {venue!r}")
    address = row.get("addr" if kind == "connect" else "url")
    return Record(kind, ts, conn or "", venue, _payload(row, kind), address if isinstance(address, str) else None)


def _payload(row: dict[str, object], kind: str) -> bytes:
    data, binary = row.get("data"), row.get("b64")
    if isinstance(data, str):
        return data.encode()
    if isinstance(binary, str):
        try:
            return base64.b64decode(binary, validate=True)
        except binascii.Error as error:
            raise BadLine(f"b64 is no base64: {error}") from error
    if kind in ("recv", "http"):
        raise BadLine(f"{kind} without data")
    return b""

"""Capture files: plain, .zst or .gz JSON lines, streamed in bounded memory (contract.md "Captures")."""

import base64
import binascii
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple, Protocol

import orjson
import zstandard

from gambit.runtime.zstd_blocks import BlockCutter

COMPRESSED_CHUNK = 8192  # in one go: gzip makes at most 8.5 MB of it, and zstd is cut further
WINDOW_MAX = 1 << 27  # what zstd itself allows unless told otherwise
TEXT_CHUNK = 1 << 18
RECORD_TYPES = frozenset({"connect", "close", "send", "recv", "http"})
NEEDS_CONN = frozenset({"connect", "close", "recv"})
VERSION = 1
SHOWN_MAX = 60  # characters of a value in a message


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
                yield from _inflated(source, _Packing("zstd", _new_zst, zstandard.ZstdError, BlockCutter))
            elif path.suffix == ".gz":
                yield from _inflated(source, _Packing("gzip", _new_gz, zlib.error, _Uncut))
            else:
                yield from source.blocks(TEXT_CHUNK)
    except OSError as error:
        raise CaptureError(error.strerror or str(error)) from error


class CountBytes:
    """Adds up what was read of a file, for progress."""

    def __init__(self) -> None:
        self.bytes_read = 0

    def counted(self, file: BufferedReader) -> "_Source":
        """The file, counted from now on."""
        return _Source(file, self)


class _Source:
    def __init__(self, file: BufferedReader, count: CountBytes) -> None:
        self.file = file
        self.count = count

    def blocks(self, size: int) -> Iterator[bytes]:
        while block := self.file.read1(size):
            self.count.bytes_read += len(block)
            yield block


class _Inflater(Protocol):
    """What decompresses one zstd frame or gzip member."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _new_zst() -> _Inflater:
    return zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX).decompressobj()


def _new_gz() -> _Inflater:
    return zlib.decompressobj(wbits=31)


class _Cutter(Protocol):
    """What cuts compressed data, given in order, so that no piece holds too much."""

    def pieces(self, data: bytes) -> Iterator[bytes]: ...


class _Uncut:
    def pieces(self, data: bytes) -> Iterator[bytes]:
        yield data


class _Packing(NamedTuple):
    """How a file is compressed."""

    name: str
    new_inflater: Callable[[], _Inflater]
    broken: type[Exception]
    new_cutter: Callable[[], _Cutter]


def _inflated(source: _Source, packing: _Packing) -> Iterator[bytes]:
    """What the frames of a file hold, one behind the other."""
    inflater, cutter = packing.new_inflater(), packing.new_cutter()
    inside = False
    begin = read = 0  # where the frame at hand begins, and what of the file went into inflaters
    for piece in (piece for block in source.blocks(COMPRESSED_CHUNK) for piece in cutter.pieces(block)):
        rest = piece
        while rest:
            try:
                text = inflater.decompress(rest)
            except packing.broken as error:
                yield from _before_damage(source.file, begin, read, packing)
                raise CaptureError(f"corrupt {packing.name} data: {error}") from error
            yield text
            inside = not inflater.eof
            read += len(rest) - len(inflater.unused_data)
            rest = inflater.unused_data
            if inflater.eof:
                inflater = packing.new_inflater()
                begin = read
    if inside:
        raise CaptureError(f"truncated: the file ends inside a {packing.name} frame")


def _before_damage(file: BufferedReader, begin: int, read: int, packing: _Packing) -> Iterator[bytes]:
    """What a block that cannot be decompressed gives before its damage: an inflater that fails says nothing of what it
    had so far, so the frame goes through a new one up to that block, and the block byte by byte."""
    if not file.seekable():
        return
    inflater, cutter = packing.new_inflater(), packing.new_cutter()
    file.seek(begin)
    while begin < read:
        block = file.read(min(COMPRESSED_CHUNK, read - begin))
        for piece in cutter.pieces(block):
            inflater.decompress(piece)
        begin += len(block)
    try:
        for byte in file.read(COMPRESSED_CHUNK):
            yield inflater.decompress(bytes([byte]))
    except packing.broken:
        return


def shown(value: object) -> str:
    """A value of the input as a message quotes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def read_header(line: bytes) -> str:
    """The venue that a capture's first line names. Raises BadLine."""
    try:
        header = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadLine(f"the first line is no capture header: {error}") from error
    if not isinstance(header, dict) or header.get("t") != "header":
        raise BadLine('the first line is no capture header: {"t":"header","v":1,"venue":...} is due')
    if header.get("v") != VERSION or isinstance(header["v"], (bool, float)):
        raise BadLine(f"capture format version {shown(header.get('v'))}; this gambit reads version {VERSION}")
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
        raise BadLine(f"unknown record type {shown(kind)}")
    if not isinstance(ts, int) or isinstance(ts, bool) or not 0 <= ts < 1 << 62:
        raise BadLine(f"ts is no time in ns: {shown(ts)}")
    if not isinstance(conn, str) and (conn is not None or kind in NEEDS_CONN):
        raise BadLine(f"conn is no name: {shown(conn)}")
    if venue is not None and not isinstance(venue, str):
        raise BadLine(f"venue is no name: {shown(venue)}")
    address = row.get("addr" if kind == "connect" else "url")
    if kind == "http" and not isinstance(address, str):
        raise BadLine(f"http without url: {shown(address)}")
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

"""The bytes of a journal: segment headers and hash-chained records. Pure.

Integers are little-endian. A segment is a header and the records behind it; a record is

    length u32 | guard u32 | form u8 | kind length u8 | seq u64 | ts_ns i64 | kind | body | hash (32 bytes)

`length` counts what follows the guard, the guard is its complement, so that a wrong length is told from a torn end.
The hash is BLAKE2b-256 of the 32 bytes before the record and of the record up to the hash. Those 32 bytes are the hash
of the record before: each hash is written once and read twice, and a header ends with the hash its first record needs.
"""

import struct
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from gambit.journal.problem import JournalDamaged, JournalFromFuture

FORM: Final = 1
HASH_BYTES: Final = 32
KIND_BYTES_MAX: Final = 64
BODY_BYTES_MAX: Final = 16 << 20

_LENGTHS: Final = struct.Struct("<II")
_RECORD: Final = struct.Struct("<IIBBQq")
_FIXED: Final = _RECORD.size - _LENGTHS.size
_LENGTH_MIN: Final = _FIXED + HASH_BYTES
_LENGTH_MAX: Final = _LENGTH_MIN + KIND_BYTES_MAX + BODY_BYTES_MAX
_ALL_ONES: Final = 0xFFFFFFFF

_MAGIC: Final = b"GAMBIT-J"
_HEADER: Final = struct.Struct("<8sHHIQqQ16s32s")
_CHECK_BYTES: Final = 16
HEADER_BYTES: Final = _HEADER.size + _CHECK_BYTES + HASH_BYTES


class Record(msgspec.Struct, frozen=True):
    """One thing that happened. `seq` counts from 1 without a hole; `ts_ns` is ns since the epoch; `body` is one JSON
    object."""

    seq: int
    ts_ns: int
    kind: str
    body: bytes


class Header(NamedTuple):
    """What a segment says of itself and of the one before it."""

    journal_id: bytes  # 16 random bytes of this journal's birth
    number: int  # counts segments from 0
    first_seq: int  # of its first record
    created_ns: int  # the time of its first record
    checkpoint_seq: int  # the latest checkpoint before it; 0: none
    digest: bytes  # BLAKE2b-256 of the whole segment before; zeros in the first
    before: bytes  # hash of the record before its first


class Torn(NamedTuple):
    """An end that was never wholly written."""

    offset: int  # where the last whole record ends
    dropped: int  # bytes behind it


class Batch(NamedTuple):
    """Records read from a stretch of bytes."""

    records: list[Record]
    hashes: list[bytes]  # of each record
    stop: int  # offset behind the last whole record


def genesis(journal_id: bytes) -> bytes:
    """The hash that the very first record of a journal builds on."""
    return blake2b(_MAGIC + journal_id, digest_size=HASH_BYTES).digest()


def encode_header(header: Header) -> bytes:
    """The bytes of a segment's header."""
    fields = _HEADER.pack(
        _MAGIC,
        FORM,
        HEADER_BYTES,
        header.number,
        header.first_seq,
        header.created_ns,
        header.checkpoint_seq,
        header.journal_id,
        header.digest,
    )
    check = blake2b(fields + header.before, digest_size=_CHECK_BYTES).digest()
    return fields + check + header.before


def decode_header(data: bytes, file: Path) -> Header:
    """The header at the start of `data`. Raises JournalDamaged, JournalFromFuture."""
    if len(data) < HEADER_BYTES:
        raise JournalDamaged(file, len(data), 0, f"the file ends inside its header of {HEADER_BYTES} bytes")
    magic, form, size, number, first_seq, created_ns, checkpoint_seq, journal_id, digest = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise JournalDamaged(file, 0, 0, "this is no journal segment")
    check, before = data[_HEADER.size : _HEADER.size + _CHECK_BYTES], data[HEADER_BYTES - HASH_BYTES : HEADER_BYTES]
    is_whole = blake2b(data[: _HEADER.size] + before, digest_size=_CHECK_BYTES).digest() == check
    if form > FORM:
        raise JournalFromFuture(f"{file}: format {form} is newer than this gambit, which reads up to {FORM}")
    if not is_whole or size != HEADER_BYTES:
        raise JournalDamaged(file, 0, first_seq, "the header does not match its check")
    return Header(journal_id, number, first_seq, created_ns, checkpoint_seq, digest, before)


def encode_record(record: Record, before: bytes) -> bytes:
    """The bytes of a record that follows one with the hash `before`; they end with its own hash."""
    kind = record.kind.encode()
    length = _LENGTH_MIN + len(kind) + len(record.body)
    head = _RECORD.pack(length, length ^ _ALL_ONES, FORM, len(kind), record.seq, record.ts_ns)
    rest = head + kind + record.body
    return rest + blake2b(before + rest, digest_size=HASH_BYTES).digest()


def check_size(kind: str, body: bytes) -> None:
    """Raise ValueError for what does not fit a record."""
    if not 0 < len(kind.encode()) <= KIND_BYTES_MAX:
        raise ValueError(f"a record's kind has 1 to {KIND_BYTES_MAX} bytes, not {kind!r}")
    if len(body) > BODY_BYTES_MAX:
        raise ValueError(f"a record of kind {kind} has at most {BODY_BYTES_MAX} bytes, not {len(body)}")


def decode_records(data: bytes, at: int, seq: int, file: Path, base: int, kinds: dict[bytes, str]) -> Batch:
    """The whole records of `data` from offset `at` (32 bytes of hash before it), the first of them numbered `seq`.

    `base` is the offset of `data` in `file`, for messages; `kinds` remembers spellings, so that equal kinds are one
    object. Raises JournalDamaged at the first record that is not as it was written, JournalFromFuture.
    """
    records: list[Record] = []
    hashes: list[bytes] = []
    end, unpack, lengths = len(data), _RECORD.unpack_from, _LENGTHS.unpack_from
    while at + 8 <= end:
        length, guard = lengths(data, at)
        if length ^ guard != _ALL_ONES or not _LENGTH_MIN <= length <= _LENGTH_MAX:
            raise JournalDamaged(file, base + at, seq, "its length does not match its guard")
        stop = at + 8 + length
        if stop > end:
            break
        hash_at = stop - HASH_BYTES
        own = blake2b(data[at - HASH_BYTES : hash_at], digest_size=HASH_BYTES).digest()
        if own != data[hash_at:stop]:
            raise JournalDamaged(file, base + at, seq, "its hash does not match its bytes")
        _, _, form, kind_bytes, own_seq, ts_ns = unpack(data, at)
        if form > FORM:
            raise JournalFromFuture(f"{file}: byte {base + at}, record {seq}: form {form} is newer than this gambit")
        if own_seq != seq:
            raise JournalDamaged(file, base + at, seq, f"it calls itself {own_seq}")
        body_at = at + _RECORD.size + kind_bytes
        spelled = data[at + _RECORD.size : body_at]
        kind = kinds.get(spelled)
        if kind is None:
            kind = kinds[spelled] = spelled.decode()
        records.append(Record(seq, ts_ns, kind, data[body_at:hash_at]))
        hashes.append(own)
        at, seq = stop, seq + 1
    return Batch(records, hashes, at)


def is_unwritten(data: bytes, at: int) -> bool:
    """Whether the record at `at` is one that a power cut left without its end: from its hash, or from its very
    beginning, to the end of the file there are only zeros."""
    rest = data[at:]
    if not rest.strip(b"\0"):
        return True
    if len(rest) < 8:
        return False
    length, guard = _LENGTHS.unpack_from(rest)
    if length ^ guard != _ALL_ONES or not _LENGTH_MIN <= length <= _LENGTH_MAX or length + 8 > len(rest):
        return False
    return not rest[8 + length - HASH_BYTES :].strip(b"\0")

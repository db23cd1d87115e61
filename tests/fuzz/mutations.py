"""Inputs out of other inputs: bytes changed, moved and repeated, words put in, two inputs joined."""

from collections.abc import Callable, Sequence
from random import Random

from gambit.venues import VENUES
from tests.core.frames import TELLING, scratched

LENGTH_MAX = 1 << 16
NUMBERS = (
    b"0", b"-0", b"0.0", b"1e-18", b"1e-19", b"1e17", b"1e18", b"999999999999999999", b"1000000000000000000",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775807", b"18446744073709551616",
    b"12345678.12345678", b"123456789.123456789", b"0." + b"0" * 255, b"1." + b"0" * 300, b"1e99999999999999999999",
    b"4611686018427387903", b"4611686018427387904", b"NaN", b"1e", b".5", b"00", b"0e5", b"1.5E+3",
)  # fmt: skip
WORDS = (
    b"true", b"false", b"null", b"[]", b"{}", b'""', b'"bid"', b'"offer"', b"[[", b"]]",
    b"\\u0041", b"\\ud800", b"\\\"",
    b'"snapshot"', b'"update"', b'"depthUpdate"', b'"books"', b'"l2_data"', b'"book"', b'"orderbook.50.BTCUSDT"',
    b"\xc3\xa9", b"\n", b"\r\n", b"\0", b'["1","2"]', b'["1","0"]', b'{"price":1,"qty":2}',
)  # fmt: skip
KEYS = tuple(
    sorted({b'"%s":' % key.name.encode() for venue in VENUES.values() for node in venue.wire.nodes for key in node})
)
RECORD_KEYS = (b'"t":"recv",', b'"ts":', b'"conn":"', b'"venue":"', b'"data":"', b'"b64":"')
TOKENS = (*NUMBERS, *WORDS, *KEYS, *RECORD_KEYS)


def _with_token(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.choice((0, 0, 1, 3, 8)))
    return data[:at] + rng.choice(TOKENS) + data[end:]


def _with_number(data: bytes, rng: Random) -> bytes:
    """One run of digits replaced."""
    starts = [at for at in range(len(data)) if data[at : at + 1].isdigit() and not data[at - 1 : at].isdigit()]
    if not starts:
        return _with_token(data, rng)
    at = end = rng.choice(starts)
    while end < len(data) and data[end : end + 1] in b"0123456789.":
        end += 1
    return data[:at] + rng.choice(NUMBERS) + data[end:]


def _with_lines_moved(data: bytes, rng: Random) -> bytes:
    lines = data.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        lines.insert(to, lines[at])
    elif kind == 1:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 2:
        del lines[at]
    else:
        lines[at] = scratched(lines[at], rng) if lines[at] else b"{}"
    return b"\n".join(lines)


def _repeated(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    piece = data[at : at + rng.choice((1, 2, 10, 60))]
    return data[:at] + piece * rng.choice((2, 8, 40, 300)) + data[at:]


def _with_byte(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.choice(TELLING)]) + data[at + 1 :]


MUTATIONS: Sequence[Callable[[bytes, Random], bytes]] = (
    scratched, scratched, _with_byte, _with_token, _with_number, _with_number, _with_lines_moved, _with_lines_moved,
    _repeated,
)  # fmt: skip


def mutated(data: bytes, other: bytes, rng: Random) -> bytes:
    """The input after one or several mutations; now and then the beginning of it and the end of another."""
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(MUTATIONS)(data, rng)
    return data[:LENGTH_MAX]

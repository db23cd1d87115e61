"""Decimal text <-> scaled integers for Python callers; the only such conversion outside the scanner."""
from libc.stdint cimport int64_t

from gambit._core.num cimport NUM_OK, NUM_SYNTAX, PAD, Dec, dec_any, dec_fast, now_ns, put_dec


def parse(text):
    """(mantissa, decimals, decimals as written) of a decimal text, exactly.

    The grammar is replay-rules R20, the range R21. Raises ValueError for anything else, saying which.
    """
    cdef bytes raw = text.encode() if isinstance(text, str) else text
    cdef const char* p = raw
    cdef Dec d
    cdef int rc = dec_any(p, p + len(raw), &d)
    if rc == NUM_OK:
        return d.m, d.dec, d.wire
    shown = raw.decode(errors="replace")
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    if rc == NUM_SYNTAX:
        raise ValueError(f"{shown!r} is not a number")
    raise ValueError(f"{shown!r} does not fit: at most 18 digits, 18 decimals, below 1e18")


def parse_fast(bytes text):
    """What the scanner's fast reader makes of a text: (mantissa, decimals, decimals as written), or None when it
    leaves the text to the careful reader."""
    cdef bytes padded = text + bytes(PAD)
    cdef const char* p = padded
    cdef Dec d
    cdef const char* end = dec_fast(p, &d)
    if end == NULL or end - p != len(text):
        return None
    return d.m, d.dec, d.wire


def to_text(int64_t mantissa, unsigned int decimals):
    """Plain decimal text of mantissa * 10^-decimals, without trailing zeros. Raises ValueError when negative or
    with more than 18 decimals."""
    cdef char text[64]
    if mantissa < 0 or decimals > 18:
        raise ValueError(f"{mantissa} with {decimals} decimals")
    return text[:put_dec(text, mantissa, decimals) - text].decode()


def bench_parse(texts, int times):
    """ns for one fast parse of the given texts (bytes, each at most 24 long), in a C loop. For benchmarks."""
    cdef bytes padded = b"".join(text.ljust(32, b"\0") for text in texts) + bytes(PAD)
    cdef const char* p = padded
    cdef Dec d = Dec(0, 0, 0)
    cdef int i, _k, n = len(texts), failed = 0
    cdef int64_t start = now_ns(), total = 0
    for _k in range(times):
        for i in range(n):
            if dec_fast(p + 32 * i, &d) == NULL:
                failed += 1
            total += d.m
    if failed or total < 0:
        raise ValueError("a text is not for the fast reader")
    return (now_ns() - start) / (<double>times * n)

"""JSON values over bytes, strictly and without Python objects.

What a careful reader would refuse is refused here, and what is merely unusual (an escape, a byte above 127, a container
too deep) is answered with "not sure". The bytes must end with zeros (num.h): a zero ends every token.
"""
from libc.stdint cimport int64_t

from gambit._core.num cimport NUM_OK, Dec, dec_any, int_fast, likely, string_end


cdef const char* skip_number(const char* p) noexcept nogil:
    """JSON's own number grammar (no leading zeros, no bare point)."""
    if p[0] == b'-':
        p += 1
    if p[0] == b'0':
        p += 1
    elif is_digit(p[0]):
        while is_digit(p[0]):
            p += 1
    else:
        return NULL
    if p[0] == b'.':
        p += 1
        if not is_digit(p[0]):
            return NULL
        while is_digit(p[0]):
            p += 1
    if p[0] == b'e' or p[0] == b'E':
        p += 1
        if p[0] == b'+' or p[0] == b'-':
            p += 1
        if not is_digit(p[0]):
            return NULL
        while is_digit(p[0]):
            p += 1
    return p


cdef const char* skip_value(const char* p, int depth) noexcept nogil:
    """Any JSON value, checked; returns the byte behind it, NULL when not sure."""
    if p[0] == b'"':
        return skip_string(p + 1)
    if p[0] == b'-' or is_digit(p[0]):
        return skip_number(p)
    if p[0] == b'{' or p[0] == b'[':
        return skip_container(p, depth)
    return skip_word(p)


cdef const char* skip_container(const char* p, int depth) noexcept nogil:
    cdef bint is_object = p[0] == b'{'
    cdef char close = b'}' if is_object else b']'
    if depth >= MAX_DEPTH:
        return NULL
    p = ws(p + 1)
    if p[0] == close:
        return p + 1
    while True:
        if is_object:
            if p[0] != b'"':
                return NULL
            p = skip_string(p + 1)
            if p == NULL:
                return NULL
            p = ws(p)
            if p[0] != b':':
                return NULL
            p = ws(p + 1)
        p = skip_value(p, depth + 1)
        if p == NULL:
            return NULL
        p = ws(p)
        if p[0] == close:
            return p + 1
        if p[0] != b',':
            return NULL
        p = ws(p + 1)


cdef const char* read_int(const char* p, int64_t* out) noexcept nogil:
    """A JSON integer of at most 18 digits."""
    cdef const char* e = int_fast(p, out)
    cdef bint negative = p[0] == b'-'
    cdef int64_t v = 0
    cdef int n = 0
    if likely(e != NULL):
        return e
    if negative:
        p += 1
    if p[0] == b'0' and is_digit(p[1]):
        return NULL
    while is_digit(p[n]):
        if n == 18:
            return NULL
        v = v * 10 + (p[n] - 48)
        n += 1
    if n == 0 or p[n] == b'.' or p[n] == b'e' or p[n] == b'E':
        return NULL
    out[0] = -v if negative else v
    return p + n


cdef const char* read_number_slow(const char* p, Dec* out) noexcept nogil:
    """A number in or out of quotes that the fast reader did not take (R20, R21)."""
    cdef const char* e
    cdef bint quoted = p[0] == b'"'
    if quoted:
        p += 1
        e = string_end(p)
    else:
        e = skip_number(p)
    if e == NULL or dec_any(p, e, out) != NUM_OK or out.m < 0:
        return NULL
    return e + 1 if quoted else e

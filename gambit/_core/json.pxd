# JSON's grammar over bytes: every function takes the place of a value and gives the byte behind it, NULL when not sure.
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from gambit._core.num cimport Dec, dec_fast, likely, string_end

cdef struct Text:
    const char* p   # borrowed from the frame: good until the next scan
    int n

cdef enum:
    MAX_DEPTH = 32

cdef const char* skip_number(const char* p) noexcept nogil
cdef const char* skip_value(const char* p, int depth) noexcept nogil
cdef const char* read_int(const char* p, int64_t* out) noexcept nogil
cdef const char* read_number_slow(const char* p, Dec* out) noexcept nogil

cdef inline const char* ws(const char* p) noexcept nogil:
    while <unsigned char>p[0] <= 32 and (p[0] == 32 or p[0] == 10 or p[0] == 13 or p[0] == 9):
        p += 1
    return p

cdef inline bint is_digit(char c) noexcept nogil:
    return <unsigned char>(c - 48) <= 9

cdef inline const char* skip_word(const char* p) noexcept nogil:
    cdef uint32_t w
    memcpy(&w, p, 4)
    if w == 0x65757274 or w == 0x6c6c756e:          # "true", "null"
        return p + 4
    if w == 0x736c6166 and p[4] == b'e':            # "fals" "e"
        return p + 5
    return NULL

cdef inline const char* skip_string(const char* p) noexcept nogil:
    p = string_end(p)
    return p + 1 if p != NULL else NULL

cdef inline const char* read_text(const char* p, Text* out) noexcept nogil:
    """A string's inside, or a number's text."""
    cdef const char* e
    if p[0] == b'"':
        e = string_end(p + 1)
        if e == NULL:
            return NULL
        out.p = p + 1
        out.n = <int>(e - p - 1)
        return e + 1
    e = skip_number(p)
    if e == NULL:
        return NULL
    out.p = p
    out.n = <int>(e - p)
    return e

cdef inline const char* read_number(const char* p, Dec* out) noexcept nogil:
    cdef const char* e
    if likely(p[0] == b'"'):
        e = dec_fast(p + 1, out)
        if likely(e != NULL and e[0] == b'"'):
            return e + 1
    else:
        e = dec_fast(p, out)
        # outside quotes JSON has no leading zeros, and a letter behind the digits is no number
        if likely(e != NULL and (e[0] == b',' or e[0] == b'}' or e[0] == b']')
                  and not (p[0] == b'0' and is_digit(p[1]))):
            return e
    return read_number_slow(p, out)

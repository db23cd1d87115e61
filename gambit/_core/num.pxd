# C arithmetic of num.h as Cython sees it.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from "num.h" nogil:
    # 128-bit integers: only passed to and from the functions below, or used with + - * // and compares
    # between values of the same type, which C does natively.
    ctypedef long long i128 "gb_i128"
    ctypedef unsigned long long u128 "gb_u128"
    ctypedef struct Dec "gb_dec":
        int64_t m
        uint32_t dec
        uint32_t wire
    ctypedef struct u256 "gb_u256":
        u128 hi
        u128 lo
    enum:
        PAD "GB_PAD"
        NUM_OK "GB_NUM_OK"
        NUM_SYNTAX "GB_NUM_SYNTAX"
        NUM_RANGE "GB_NUM_RANGE"
    bint likely "GB_LIKELY"(bint x) noexcept
    bint unlikely "GB_UNLIKELY"(bint x) noexcept
    const int64_t* P10 "gb_p10"
    const double* P10D "gb_p10d"
    uint64_t load64 "gb_load64"(const char* p) noexcept
    const char* dec_fast "gb_dec_fast"(const char* p, Dec* out) noexcept
    const char* int_fast "gb_int_fast"(const char* p, int64_t* out) noexcept
    int dec_any "gb_dec_any"(const char* p, const char* end, Dec* out) noexcept
    i128 units "gb_units"(int64_t m, unsigned int dec) noexcept
    double dec_double "gb_dec_double"(int64_t m, unsigned int dec) noexcept
    double units_double "gb_units_double"(i128 u) noexcept
    bint mul_overflow "gb_mul_overflow"(int64_t a, int64_t b, int64_t* r) noexcept
    int ctz "gb_ctz"(uint64_t x) noexcept
    int clz "gb_clz"(uint64_t x) noexcept
    uint64_t ror "gb_ror"(uint64_t x, unsigned int k) noexcept
    int64_t div_p10 "gb_div_p10"(i128 u, unsigned int k) noexcept
    u256 mul256 "gb_mul256"(u128 a, u128 b) noexcept
    u256 add256 "gb_add256"(u256 a, u256 b) noexcept
    u256 sub256 "gb_sub256"(u256 a, u256 b) noexcept
    int cmp256 "gb_cmp256"(u256 a, u256 b) noexcept
    double double256 "gb_double256"(u256 a) noexcept
    i128 div256 "gb_div256"(u256 rest, u128 price) noexcept
    char* put_u64 "gb_put_u64"(char* o, uint64_t v) noexcept
    char* put_i64 "gb_put_i64"(char* o, int64_t v) noexcept
    char* put_dec "gb_put_dec"(char* o, int64_t m, unsigned int dec) noexcept
    char* put_units "gb_put_units"(char* o, i128 u) noexcept
    char* put_digits "gb_put_digits"(char* o, int64_t m, unsigned int dec, unsigned int want) noexcept
    char* put_wire "gb_put_wire"(char* o, int64_t m, unsigned int dec, unsigned int wire) noexcept
    const char* string_end "gb_string_end"(const char* p) noexcept
    bint same "gb_same"(const char* p, const char* q, int n) noexcept
    void prefetch_frame "gb_prefetch_frame"(const char* p, size_t n) noexcept
    void prefetch "gb_prefetch"(const void* p) noexcept
    const char* expect "gb_expect"(const char* at, const char* end, int* last) noexcept
    unsigned int nondigits "gb_nondigits"(const char* p) noexcept
    int64_t rfc3339 "gb_rfc3339"(const char* p, int n) noexcept
    int64_t digits "gb_digits"(const char* p, int n) noexcept
    uint32_t hash_text "gb_hash"(const char* p, int n) noexcept
    uint32_t crc32 "gb_crc32"(const char* p, size_t n) noexcept
    int64_t now_ns "gb_now_ns"() noexcept
    bint readable_behind "gb_readable_behind"(const char* p, size_t n) noexcept

    # Whether some place needs a closer look (spread.pyx).
    bint sieve "gb_sieve"(const double* bid, const double* ask, const double* mid, int n, double sell_at, double buy_at,
                          double low, double high) noexcept

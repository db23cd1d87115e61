/* Arithmetic the kernels share: decimal text, 128-bit fixed point, bit scans.
 *
 * A value on the wire is kept as (m, dec): m * 10^-dec with the trailing zeros of the fraction
 * stripped, m < 10^18 and dec <= 18 (replay-rules R21), plus the number of decimals it was written
 * with, so that its text can be had again.  "Units" are 1e-18 in a 128-bit integer: below 10^36, which fits.
 * Readers need 32 readable bytes behind the text (zero bytes: they end every token).
 */
#ifndef GAMBIT_NUM_H
#define GAMBIT_NUM_H

#include <math.h>
#include <stdint.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

typedef __int128 gb_i128;
typedef unsigned __int128 gb_u128;

#define GB_PAD 64
#define GB_LIKELY(x) __builtin_expect(!!(x), 1)
#define GB_UNLIKELY(x) __builtin_expect(!!(x), 0)

static const int64_t gb_p10[19] = {
    1LL, 10LL, 100LL, 1000LL, 10000LL, 100000LL, 1000000LL, 10000000LL, 100000000LL, 1000000000LL,
    10000000000LL, 100000000000LL, 1000000000000LL, 10000000000000LL, 100000000000000LL,
    1000000000000000LL, 10000000000000000LL, 100000000000000000LL, 1000000000000000000LL};
static const double gb_p10d[19] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                   1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

typedef struct {
    int64_t m;
    uint32_t dec;  /* decimals of m */
    uint32_t wire; /* decimals of the text */
} gb_dec;

static inline uint64_t gb_load64(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* Eight ASCII digits, already masked to their low nibbles, first digit in the lowest byte. */
static inline uint64_t gb_swar8(uint64_t v) {
    v = (v * 2561) >> 8;
    v = ((v & 0x00FF00FF00FF00FFULL) * 6553601) >> 16;
    return ((v & 0x0000FFFF0000FFFFULL) * 42949672960001ULL) >> 32;
}

#if defined(__SSE2__)
static inline unsigned gb_nondigits(const char *p) {
    __m128i x = _mm_loadu_si128((const __m128i *)p);
    x = _mm_add_epi8(x, _mm_set1_epi8((char)(-'0' - 128)));
    return (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(x, _mm_set1_epi8((char)(-128 + 9))));
}
#else
static inline unsigned gb_nondigits(const char *p) {
    unsigned m = 0;
    for (int k = 0; k < 16; k++) m |= (unsigned)((unsigned char)(p[k] - '0') > 9) << k;
    return m;
}
#endif

/* The common shape: 1-8 digits, optionally a point and 1-8 digits, 15 bytes in all. Returns the byte behind it, or
 * NULL when the text is anything else (the careful reader below decides then). */
static inline const char *gb_dec_fast(const char *p, gb_dec *out) {
    unsigned nd = gb_nondigits(p) | 0x10000u;
    unsigned i = (unsigned)__builtin_ctz(nd);
    if (GB_UNLIKELY(i - 1u > 7u)) return NULL;
    uint64_t ip = gb_swar8((gb_load64(p) & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * i));
    if (p[i] != '.') {
        out->m = (int64_t)ip;
        out->dec = 0;
        out->wire = 0;
        return (p[i] == 'e' || p[i] == 'E') ? NULL : p + i;
    }
    nd &= nd - 1;
    unsigned f = nd ? (unsigned)__builtin_ctz(nd) - i - 1u : 99u;
    if (GB_UNLIKELY(f - 1u > 7u || nd == 0x10000u)) return NULL;
    uint64_t w = (gb_load64(p + i + 1) & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * f);
    const char *end = p + i + 1 + f;
    if (*end == 'e' || *end == 'E') return NULL;
    out->wire = f;
    if (w == 0) {
        out->m = (int64_t)ip;
        out->dec = 0;
        return end;
    }
    unsigned tz = (unsigned)__builtin_clzll(w) >> 3; /* trailing zero digits are the top bytes */
    w <<= 8 * tz;
    f -= tz;
    out->m = (int64_t)(ip * (uint64_t)gb_p10[f] + gb_swar8(w));
    out->dec = f;
    return end;
}

enum { GB_NUM_OK = 0, GB_NUM_SYNTAX = 1, GB_NUM_RANGE = 2 };

/* Any text by R20 and R21 in [p, end). The sign is kept in m; "-0" is 0. */
static int gb_dec_any(const char *p, const char *end, gb_dec *out) {
    int neg = 0, nd = 0, pz = 0, frac = 0, digits = 0, range = 0;
    int64_t m = 0, e = 0;
    if (p < end && *p == '-') { neg = 1; p++; }
    for (int point = 0; p < end; p++) {
        if (*p == '.') {
            if (point || !digits) return GB_NUM_SYNTAX;
            point = 1;
            digits = 0;
            continue;
        }
        unsigned d = (unsigned char)*p - '0';
        if (d > 9) break;
        if (digits < 1 << 20) digits++;
        if (point && frac < 1 << 20) frac++;
        if (d == 0) { if (m && pz < 1 << 20) pz++; continue; }
        if (range || nd + pz + 1 > 18) { range = 1; continue; }
        m = m * gb_p10[pz + 1] + d; /* pz zeros, then d */
        nd += pz + 1;
        pz = 0;
    }
    if (!digits) return GB_NUM_SYNTAX;
    if (p < end && (*p == 'e' || *p == 'E')) {
        int eneg = 0, ed = 0;
        p++;
        if (p < end && (*p == '+' || *p == '-')) eneg = *p++ == '-';
        for (; p < end && (unsigned char)(*p - '0') <= 9; p++, ed++)
            if (e < 1 << 24) e = e * 10 + (*p - '0');
        if (!ed) return GB_NUM_SYNTAX;
        if (eneg) e = -e;
    }
    if (p != end) return GB_NUM_SYNTAX;
    if (range) return GB_NUM_RANGE;
    int64_t wire = frac - e;
    int64_t x = e - frac + pz; /* value = m * 10^x */
    out->wire = (uint32_t)(wire < 0 ? 0 : wire > 255 ? 255 : wire);
    out->dec = 0;
    if (m == 0) { out->m = 0; return GB_NUM_OK; }
    if (x >= 0) {
        if (nd + x > 18) return GB_NUM_RANGE;
        m *= gb_p10[x];
    } else {
        if (-x > 18) return GB_NUM_RANGE;
        out->dec = (uint32_t)-x;
    }
    out->m = neg ? -m : m;
    return GB_NUM_OK;
}

static inline gb_i128 gb_units(int64_t m, unsigned dec) { return (gb_i128)m * gb_p10[18 - dec]; }
static inline double gb_dec_double(int64_t m, unsigned dec) { return (double)m / gb_p10d[dec]; }

/* Units to double; exact where the value has at most about 15 significant digits. */
static inline double gb_units_double(gb_i128 u) { return (double)((long double)u / 1e18L); }

static inline int gb_mul_overflow(int64_t a, int64_t b, int64_t *r) { return __builtin_mul_overflow(a, b, r); }
static inline int gb_ctz(uint64_t x) { return __builtin_ctzll(x); }
static inline int gb_clz(uint64_t x) { return __builtin_clzll(x); }
static inline uint64_t gb_ror(uint64_t x, unsigned k) { k &= 63; return (x >> k) | (x << ((64 - k) & 63)); }
static inline int64_t gb_units_lo(gb_i128 u) { return (int64_t)u; }
static inline int64_t gb_div_p10(gb_i128 u, unsigned k) { return (int64_t)(u / gb_p10[k]); }

/* ---- 256-bit products, for exact comparisons of notionals (units x units = 1e-36) ---- */
typedef struct { gb_u128 hi, lo; } gb_u256;

static inline gb_u256 gb_mul256(gb_u128 a, gb_u128 b) {
    uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64), b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    gb_u128 p00 = (gb_u128)a0 * b0, p01 = (gb_u128)a0 * b1, p10 = (gb_u128)a1 * b0, p11 = (gb_u128)a1 * b1;
    gb_u128 mid = (p00 >> 64) + (uint64_t)p01 + (uint64_t)p10;
    gb_u256 r;
    r.lo = (mid << 64) | (uint64_t)p00;
    r.hi = p11 + (p01 >> 64) + (p10 >> 64) + (mid >> 64);
    return r;
}
static inline gb_u256 gb_add256(gb_u256 a, gb_u256 b) {
    gb_u256 r;
    r.lo = a.lo + b.lo;
    r.hi = a.hi + b.hi + (r.lo < a.lo);
    return r;
}
static inline gb_u256 gb_sub256(gb_u256 a, gb_u256 b) {
    gb_u256 r;
    r.lo = a.lo - b.lo;
    r.hi = a.hi - b.hi - (a.lo < b.lo);
    return r;
}
static inline int gb_cmp256(gb_u256 a, gb_u256 b) {
    if (a.hi != b.hi) return a.hi < b.hi ? -1 : 1;
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}
static inline double gb_double256(gb_u256 a) { /* in units of 1 (a is 1e-36) */
    return (double)(((long double)a.hi * 340282366920938463463374607431768211456.0L + (long double)a.lo) / 1e36L);
}

/* floor(rest / price) for a 1e-36 rest and a price in units: the largest q with q * price <= rest.
 * Bit by bit from a floating estimate; q is in units and stays below 2^126. */
static gb_i128 gb_div256(gb_u256 rest, gb_u128 price) {
    if (rest.hi == 0) return (gb_i128)(rest.lo / price);
    gb_u128 q = 0;
    for (int k = 125; k >= 0; k--) {
        gb_u128 t = q | ((gb_u128)1 << k);
        if (gb_cmp256(gb_mul256(t, price), rest) <= 0) q = t;
    }
    return (gb_i128)q;
}

/* ---- text out ---- */
/* Eight digits of v < 10^8 as text in a word, the first digit in the lowest byte. */
static inline uint64_t gb_text8(uint32_t v) {
    uint64_t hi = v / 10000, lo = v % 10000;
    uint64_t w = hi | lo << 32;                                   /* two of four digits */
    uint64_t h = ((w * 10486) >> 20) & 0x0000007F0000007FULL;     /* hundreds */
    w = h | (w - h * 100) << 16;                                  /* four of two digits */
    h = ((w * 103) >> 10) & 0x000F000F000F000FULL;                /* tens */
    return (h | (w - h * 10) << 8) | 0x3030303030303030ULL;
}
static char *gb_put_u64(char *o, uint64_t v) {
    if (v < 100000000u) {
        uint64_t t = gb_text8((uint32_t)v);
        unsigned z = (unsigned)__builtin_ctzll((t ^ 0x3030303030303030ULL) | 1ULL << 63) >> 3;
        t >>= 8 * z;
        memcpy(o, &t, 8);
        return o + 8 - z;
    }
    o = gb_put_u64(o, v / 100000000u);
    uint64_t t = gb_text8((uint32_t)(v % 100000000u));
    memcpy(o, &t, 8);
    return o + 8;
}
static inline char *gb_put_i64(char *o, int64_t v) {
    if (v < 0) { *o++ = '-'; return gb_put_u64(o, 0 - (uint64_t)v); }
    return gb_put_u64(o, (uint64_t)v);
}
/* m * 10^-dec as plain decimal text with the trailing zeros of the fraction cut (m >= 0); <= 40 bytes. */
static char *gb_put_dec(char *o, int64_t m, unsigned dec) {
    while (dec && m % 10 == 0) { m /= 10; dec--; }
    o = gb_put_u64(o, (uint64_t)(m / gb_p10[dec]));
    if (dec) {
        uint64_t f = (uint64_t)(m % gb_p10[dec]);
        *o++ = '.';
        for (int k = (int)dec - 1; k >= 0; k--) { o[k] = (char)('0' + f % 10); f /= 10; }
        o += dec;
    }
    return o;
}
/* Units (>= 0) as plain decimal text; <= 40 bytes. */
static char *gb_put_units(char *o, gb_i128 u) {
    gb_i128 whole = u / gb_p10[18];
    if (whole >= gb_p10[18]) { /* more than 64 bits may hold */
        o = gb_put_u64(o, (uint64_t)(whole / gb_p10[18]));
        whole %= gb_p10[18];
        for (int k = 17; k >= 0; k--) { o[k] = (char)('0' + (int)(whole % 10)); whole /= 10; }
        o += 18;
    } else {
        o = gb_put_u64(o, (uint64_t)whole);
    }
    int64_t f = (int64_t)(u % gb_p10[18]);
    if (f) {
        unsigned dec = 18;
        while (f % 10 == 0) { f /= 10; dec--; }
        *o++ = '.';
        for (int k = (int)dec - 1; k >= 0; k--) { o[k] = (char)('0' + f % 10); f /= 10; }
        o += dec;
    }
    return o;
}
/* Digits of a value with exactly `want` decimals (more where it has more), no point, no leading zeros:
 * the form of Kraken's checksum. */
static char *gb_put_digits(char *o, int64_t m, unsigned dec, unsigned want) {
    if (m == 0) return o;
    o = gb_put_u64(o, (uint64_t)m);
    for (; dec < want; dec++) *o++ = '0';
    return o;
}
/* The text as it came: `wire` decimals, zero padded (OKX's archive checksum). */
static char *gb_put_wire(char *o, int64_t m, unsigned dec, unsigned wire) {
    o = gb_put_u64(o, (uint64_t)(m / gb_p10[dec]));
    if (wire) {
        uint64_t f = (uint64_t)(m % gb_p10[dec]);
        *o++ = '.';
        for (int k = (int)dec - 1; k >= 0; k--) { o[k] = (char)('0' + f % 10); f /= 10; }
        o += dec;
        for (unsigned k = dec; k < wire; k++) *o++ = '0';
    }
    return o;
}

/* Whether some place has bid >= sell_at, ask <= buy_at, or a mid outside [low, high] (NaN is inside). Arrays are read
 * to the next even place. */
static inline int gb_sieve(const double *bid, const double *ask, const double *mid, int n, double sell_at, double buy_at,
                           double low, double high) {
#if defined(__SSE2__)
    const __m128d s = _mm_set1_pd(sell_at), b = _mm_set1_pd(buy_at), l = _mm_set1_pd(low), h = _mm_set1_pd(high);
    __m128d hits = _mm_setzero_pd();
    for (int k = 0; k < n; k += 2) {
        __m128d m = _mm_loadu_pd(mid + k);
        __m128d touch = _mm_or_pd(_mm_cmpge_pd(_mm_loadu_pd(bid + k), s), _mm_cmple_pd(_mm_loadu_pd(ask + k), b));
        hits = _mm_or_pd(hits, _mm_or_pd(touch, _mm_or_pd(_mm_cmplt_pd(m, l), _mm_cmpgt_pd(m, h))));
    }
    return _mm_movemask_pd(hits) != 0;
#else
    int hits = 0;
    for (int k = 0; k < n; k++) hits |= (bid[k] >= sell_at) | (ask[k] <= buy_at) | (mid[k] < low) | (mid[k] > high);
    return hits;
#endif
}

/* ---- strings ---- */
/* p is behind an opening quote: the closing quote, or NULL at an escape, a control or a non-ASCII byte. */
static inline const char *gb_string_end(const char *p) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (;; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)p);
        /* signed compare: bytes >= 0x80 are below ' ' too */
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(x, slash), _mm_cmplt_epi8(x, space));
        unsigned m = (unsigned)_mm_movemask_epi8(_mm_or_si128(bad, _mm_cmpeq_epi8(x, quote)));
        if (m) {
            p += __builtin_ctz(m);
            return *p == '"' ? p : NULL;
        }
    }
#else
    for (;; p++) {
        signed char c = (signed char)*p;
        if (c == '"') return p;
        if (c < ' ' || c == '\\') return NULL;
    }
#endif
}

/* Whether the n bytes at p are those at q, which has 16 readable bytes behind them. Behind a first difference at most 15
 * bytes of p are read. */
static inline int gb_same(const char *p, const char *q, int n) {
#if defined(__SSE2__)
    for (; n > 16; n -= 16, p += 16, q += 16) {
        __m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)q));
        if (GB_UNLIKELY(_mm_movemask_epi8(x) != 0xFFFF)) return 0;
    }
    __m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)p), _mm_loadu_si128((const __m128i *)q));
    return (~(unsigned)_mm_movemask_epi8(x) & ((1u << n) - 1u)) == 0;
#else
    for (; n && *p == *q; n--, p++, q++) {}
    return n == 0;
#endif
}

/* `end`, by way of the length that the value at `at` had last time where it has it again: what comes behind is then read
 * without waiting for where this value ends, since the processor goes on with the guess while it is checked. */
static inline const char *gb_expect(const char *at, const char *end, int *last) {
    const char *guess = at + *last, *same = guess;
    __asm__("" : "+r"(same)); /* keeps the compiler from using `end`, which is equal but late */
    if (GB_LIKELY(guess == end)) return same;
    *last = (int)(end - at);
    return end;
}

/* Have the cache line at p near when it is needed; any address will do. */
static inline void gb_prefetch(const void *p) { __builtin_prefetch(p, 1); }

/* The same for the first lines of a frame of n bytes, all at once: they are read one behind the other. */
static inline void gb_prefetch_frame(const char *p, size_t n) {
    for (size_t k = 64; k < n && k < 512; k += 64) __builtin_prefetch(p + k, 0);
}

/* RFC 3339 in UTC ("2026-08-01T02:53:53.646219Z", 0-9 digits of fraction) to ns since 1970; -1 when it is not that. */
static int64_t gb_rfc3339(const char *p, int n) {
    static const int before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (n < 20 || p[n - 1] != 'Z') return -1;
    for (int k = 0; k < 19; k++)
        if (shape[k] == 'd' ? (unsigned char)(p[k] - '0') > 9 : p[k] != shape[k]) return -1;
#define GB_2(k) ((p[k] - '0') * 10 + (p[(k) + 1] - '0'))
    int y = GB_2(0) * 100 + GB_2(2), mo = GB_2(5), d = GB_2(8), h = GB_2(11), mi = GB_2(14), s = GB_2(17);
#undef GB_2
    int leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 1970 || y > 2261 || mo < 1 || mo > 12 || d < 1 || h > 23 || mi > 59 || s > 59) return -1;
    int month_days = mo == 12 ? 31 : before[mo] - before[mo - 1] + (mo == 2 && leap);
    if (d > month_days) return -1;
    int64_t ns = 0;
    if (n > 20) {
        int f = n - 21;
        if (p[19] != '.' || f < 1 || f > 9) return -1;
        for (int k = 0; k < 9; k++) {
            if (k < f && (unsigned char)(p[20 + k] - '0') > 9) return -1;
            ns = ns * 10 + (k < f ? p[20 + k] - '0' : 0);
        }
    }
    int64_t yy = y - 1;
    int64_t days = yy * 365 + yy / 4 - yy / 100 + yy / 400 - 719162 + before[mo - 1] + (leap && mo > 2) + d - 1;
    return (((days * 24 + h) * 60 + mi) * 60 + s) * 1000000000LL + ns;
}

/* All digits, at most 16 of them (a time in ms or us): its value, else -1. */
static inline int64_t gb_digits(const char *p, int n) {
    if (n < 1 || n > 16) return -1;
    if (gb_nondigits(p) & ((1u << n) - 1)) return -1;
    if (n <= 8) return (int64_t)gb_swar8((gb_load64(p) & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * n));
    return (int64_t)(gb_swar8((gb_load64(p) & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * (n - 8))) * 100000000ULL +
                     gb_swar8(gb_load64(p + n - 8) & 0x0F0F0F0F0F0F0F0FULL));
}

/* Hash of n bytes with 8 readable behind them. */
static inline uint32_t gb_hash(const char *p, int n) {
    uint64_t h = 0x9E3779B97F4A7C15ULL ^ (uint64_t)n;
    for (; n > 8; n -= 8, p += 8) h = (h ^ gb_load64(p)) * 0xD6E8FEB86659FD93ULL;
    uint64_t last = n ? gb_load64(p) << (64 - 8 * n) : 0;
    h = (h ^ last) * 0xD6E8FEB86659FD93ULL;
    return (uint32_t)(h >> 32);
}

/* A JSON integer of 1-16 digits, perhaps negative; the byte behind it, or NULL when it is anything else. */
static inline const char *gb_int_fast(const char *p, int64_t *out) {
    int neg = *p == '-';
    p += neg;
    unsigned nd = gb_nondigits(p);
    unsigned n = nd ? (unsigned)__builtin_ctz(nd) : 16u;
    if (GB_UNLIKELY(n == 0 || (n > 1 && *p == '0'))) return NULL;
    uint64_t v;
    if (n <= 8) {
        v = gb_swar8((gb_load64(p) & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * n));
    } else { /* the last eight digits, and before them the other 1-8 */
        v = gb_swar8((gb_load64(p) & 0x0F0F0F0F0F0F0F0FULL) << (64 - 8 * (n - 8))) * 100000000ULL +
            gb_swar8(gb_load64(p + n - 8) & 0x0F0F0F0F0F0F0F0FULL);
    }
    p += n;
    if ((unsigned char)(*p - '0') <= 9 || *p == '.' || *p == 'e' || *p == 'E') return NULL;
    *out = neg ? -(int64_t)v : (int64_t)v;
    return p;
}

static const uint32_t *gb_crc_table(void) {
    static uint32_t t[256];
    static int ready = 0;
    if (!ready) {
        for (uint32_t k = 0; k < 256; k++) {
            uint32_t c = k;
            for (int b = 0; b < 8; b++) c = (c >> 1) ^ (0xEDB88320u & (0u - (c & 1)));
            t[k] = c;
        }
        ready = 1;
    }
    return t;
}
static inline uint32_t gb_crc32(const char *p, size_t n) {
    const uint32_t *t = gb_crc_table();
    uint32_t c = ~0u;
    for (size_t k = 0; k < n; k++) c = t[(c ^ (unsigned char)p[k]) & 255] ^ (c >> 8);
    return ~c;
}

/* Whether a text that ends with a zero byte may be scanned where it lies: the scanner loads up to 32 bytes behind the
 * end without believing them, which cannot fault inside the page of the last byte. The checked builds always copy. */
static inline int gb_readable_behind(const char *p, size_t n) {
#if defined(GAMBIT_CHECKED)
    (void)p;
    (void)n;
    return 0;
#else
    return (((uintptr_t)p + n) & 4095) <= 4096 - 40;
#endif
}

static inline int64_t gb_now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

#endif

"""Signals, episode ends and ticks as Python and JSON read them; books as decimal text."""
from libc.string cimport memcpy, strlen

from gambit._core.book cimport Place, Quote, quote_mantissa, walk_next, walk_start
from gambit._core.num cimport put_dec, put_i64, put_units
from gambit._core.side cimport Book
from gambit._core.window cimport spread_bps

REASONS = ("not_qualified", "stale", "unsynced", "different_coin")


cdef void tick_touch(Tick* t, const Book* b) noexcept nogil:
    """Fill in the best price and quantity of both sides."""
    cdef Place w
    cdef Quote q
    cdef int side
    for side in range(2):
        t.price[side] = -1
        walk_start(&w, b, side)
        if walk_next(&w, &q):
            quote_mantissa(&q)
            t.price[side] = q.pm
            t.price_dec[side] = q.pdec
            t.qty[side] = q.qm
            t.qty_dec[side] = q.qdec


cdef inline char* put_text(char* o, const char* text) noexcept nogil:
    cdef size_t n = strlen(text)
    memcpy(o, text, n)
    return o + n


cdef char* put_side(char* o, const Tick* t, int side, const char* price_key, const char* qty_key) noexcept nogil:
    o = put_text(o, price_key)
    if t.price[side] < 0:
        o = put_text(o, b"null")
        return put_text(put_text(o, qty_key), b"null")
    o = put_text(o, b'"')
    o = put_dec(o, t.price[side], t.price_dec[side])
    o = put_text(o, b'"')
    o = put_text(o, qty_key)
    o = put_text(o, b'"')
    o = put_dec(o, t.qty[side], t.qty_dec[side])
    return put_text(o, b'"')


cdef list side_texts(const Book* b, int side, int most):
    cdef Place w
    cdef Quote q
    cdef char text[96]
    cdef char* mid
    cdef char* end
    out = []
    walk_start(&w, b, side)
    while len(out) != most and walk_next(&w, &q):
        mid = put_units(text, q.price)
        end = put_dec(mid, q.qm, q.qdec)
        out.append([text[:mid - text].decode(), text[mid - text:end - text].decode()])
    return out


cdef dict closed_event(const Event* e):
    return {
        "raised": False, "batch": e.batch, "recv_ns": e.recv_ns, "buy": e.buy, "sell": e.sell, "name": e.name,
        "start_ns": e.start_ns, "evaluations": e.evaluations, "max_net_bps": e.max_net_bps,
        "max_profit_quote": e.max_profit, "reason": REASONS[e.reason],
    }


cdef dict raised_event(const Event* e):
    cdef char text[64]
    return {
        "raised": True, "batch": e.batch, "recv_ns": e.recv_ns, "buy": e.buy, "sell": e.sell, "name": e.name,
        "start_ns": e.start_ns, "spread_bps": e.spread_bps, "net_bps": e.size.net_bps,
        "profit_quote": e.size.profit, "qty": text[:put_units(text, e.size.qty) - text].decode(),
        "buy_vwap": e.size.buy_vwap, "sell_vwap": e.size.sell_vwap, "liquidity": e.liquidity, "sigma": e.sigma,
        "persistence": e.persistence, "window_mean_bps": e.mean_bps, "window_max_bps": e.max_bps,
        "impact_bps": e.spread_bps - spread_bps(e.size.sell_vwap, e.size.buy_vwap), "score": e.score,
        "seq_buy": e.seq_buy if e.has_seq_buy else None, "seq_sell": e.seq_sell if e.has_seq_sell else None,
        "book_age_buy_ns": e.age_buy, "book_age_sell_ns": e.age_sell,
    }


cdef bytes tick_line(const Tick* t, bytes names):
    """One line of `--emit ticks` (contract.md); names is `"venue":...,"symbol":...`."""
    cdef char text[640]
    cdef char* o = put_i64(put_text(text, b'{"recv_ns":'), t.recv_ns)
    cdef Py_ssize_t n = len(names)
    if n > 300:
        raise ValueError("venue and symbol are too long")
    o = put_text(o, b",")
    memcpy(o, <const char*>names, n)
    o = put_side(o + n, t, 0, b',"bid":', b',"bid_qty":')
    o = put_side(o, t, 1, b',"ask":', b',"ask_qty":')
    o = put_text(o, b',"exchange_ts_ns":')
    o = put_i64(o, t.exchange_ts) if t.exchange_ts >= 0 else put_text(o, b"null")
    o = put_text(o, b',"seq":')
    o = put_i64(o, t.seq) if t.has_seq else put_text(o, b"null")
    o = put_text(o, b"}\n")
    return text[:o - text]

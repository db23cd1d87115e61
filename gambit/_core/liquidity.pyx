"""Executable size of a directed pair and depth of a side, by formulas.md "Pair evaluation" and R11, R14, R24b, D16.

Quantities, the cut at max_notional and the rounding to lots are exact (128-bit units, 256-bit notionals); quote
amounts become doubles only when they are reported. Thresholds compare doubles with a slack far below the 1e-11 that
R24b grants, so that a value equal to its threshold falls as in exact arithmetic.
"""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from gambit._core.book cimport (
    Book, Place, Quote, book_close, book_open, book_replace, quote_price, walk_next, walk_start,
)
from gambit._core.num cimport (
    P10, add256, cmp256, dec_double, div256, double256, i128, mul256, now_ns, put_units, sub256, u128, u256, units,
    units_double,
)
from gambit._core.scan cimport Level

cdef extern from *:
    """
    /* sell * (1 - fee) - buy * (1 + fee) where the two nearly cancel: in extended precision. */
    static double gb_profit(gb_u256 buy, double buy_fee, gb_u256 sell, double sell_fee) {
        const long double two128 = 340282366920938463463374607431768211456.0L;
        long double b = ((long double)buy.hi * two128 + (long double)buy.lo) / 1e36L;
        long double s = ((long double)sell.hi * two128 + (long double)sell.lo) / 1e36L;
        return (double)(s * (1.0L - (long double)sell_fee) - b * (1.0L + (long double)buy_fee));
    }
    """
    double profit_of "gb_profit"(u256 buy, double buy_fee, u256 sell, double sell_fee) noexcept nogil

cdef enum:
    ASK = 1
    BID = 0

cdef double SLACK = 1e-13
cdef i128 MOST = (<i128>1 << 126) - 1       # div256's largest, 8.5e19 base units: a walk that finds more finds nothing


cdef double book_depth(const Book* b, int side, double slippage, i128 contract) noexcept nogil:
    """Quote value of the levels within `slippage` of a side's best price, the edge included."""
    cdef Place w
    cdef Quote q
    cdef double total = 0, price, edge
    walk_start(&w, b, side)
    if not walk_next(&w, &q):
        return 0
    price = quote_price(&q)
    edge = price * (1 + slippage) * (1 + SLACK) if side == ASK else price * (1 - slippage) * (1 - SLACK)
    while True:
        if contract:
            total += dec_double(q.qm, q.qdec)
        else:
            total += price * dec_double(q.qm, q.qdec)
        if not walk_next(&w, &q):
            break
        price = quote_price(&q)
        if price > edge if side == ASK else price < edge:
            break
    return total * units_double(contract) if contract else total


cdef inline i128 base_units(const Quote* q, i128 contract) noexcept nogil:
    """A level's base quantity in units; contracts are worth contract / price each (D4, truncated to a unit)."""
    if contract == 0:
        return units(q.qm, q.qdec)
    return div256(mul256(<u128>units(q.qm, q.qdec), <u128>contract), <u128>q.price)


cdef i128 walk_total(const Leg* buy, const Leg* sell, const Limits* limits) noexcept nogil:
    """Base units that asks of `buy` and bids of `sell` give while each step pays and the limits hold."""
    cdef Place asks, bids
    cdef Quote a, d
    cdef i128 left_a = 0, left_d = 0, take, total = 0
    cdef double pa = 0, pd = 0, worst_a = 0, worst_d = 0
    cdef double keep = 1 - sell.fee, cost = 1 + buy.fee
    cdef u256 spent, step, most
    cdef bint first = True
    most = mul256(<u128>limits.notional, <u128>units(1, 0))
    spent = mul256(<u128>0, <u128>0)
    walk_start(&asks, buy.book, ASK)
    walk_start(&bids, sell.book, BID)
    while True:
        if left_a == 0:
            if not walk_next(&asks, &a):
                return total
            pa = quote_price(&a)
            left_a = base_units(&a, buy.contract)
        if left_d == 0:
            if not walk_next(&bids, &d):
                return total
            pd = quote_price(&d)
            left_d = base_units(&d, sell.contract)
        if first:
            worst_a = pa * (1 + limits.slippage) * (1 + SLACK)
            worst_d = pd * (1 - limits.slippage) * (1 - SLACK)
            first = False
        if pd * keep - pa * cost <= pa * SLACK or pa > worst_a or pd < worst_d:
            return total
        take = left_a if left_a < left_d else left_d
        step = mul256(<u128>take, <u128>a.price)
        if cmp256(add256(spent, step), most) > 0:
            return total + div256(sub256(most, spent), <u128>a.price)
        spent = add256(spent, step)
        total += take
        if total >= MOST:
            return 0
        left_a -= take
        left_d -= take


cdef u256 quote_for(const Leg* leg, int side, i128 qty, double* vwap) noexcept nogil:
    """Exact quote amount (1e-36) of taking `qty` from a side's touch on; the VWAP beside it."""
    cdef Place w
    cdef Quote q
    cdef i128 left = qty, take
    cdef u256 total = mul256(<u128>0, <u128>0)
    cdef int levels = 0
    walk_start(&w, leg.book, side)
    while left > 0 and walk_next(&w, &q):
        take = base_units(&q, leg.contract)
        if take > left:
            take = left
        total = add256(total, mul256(<u128>take, <u128>q.price))
        left -= take
        levels += 1
        vwap[0] = quote_price(&q)
    if levels > 1:                              # from one level alone the VWAP is its price, to the last digit
        vwap[0] = double256(total) / units_double(qty)
    return total


cdef bint walk_size(const Leg* buy, const Leg* sell, const Limits* limits, Size* out) noexcept nogil:
    """The size that can be executed, in whole lots, and what it earns. False when it rounds down to nothing or
    stays under the larger known minimum."""
    cdef i128 lot = buy.lot if buy.lot > sell.lot else sell.lot
    cdef i128 least = buy.least if buy.least > sell.least else sell.least
    cdef u256 paid, got
    out.qty = walk_total(buy, sell, limits)
    if lot == 0:
        lot = P10[10]                           # 1e-8
    out.qty -= out.qty % lot
    if out.qty == 0 or out.qty < least:
        return False
    paid = quote_for(buy, ASK, out.qty, &out.buy_vwap)
    got = quote_for(sell, BID, out.qty, &out.sell_vwap)
    out.buy_quote = double256(paid)
    out.sell_quote = double256(got)
    out.profit = profit_of(paid, buy.fee, got, sell.fee)
    out.net_bps = out.profit / out.buy_quote * 1e4
    return True


# ---- Python face ----

cdef i128 exact(text) except? -1:
    """Units of a decimal text. Raises ValueError."""
    from gambit._core.fixed import parse
    m, dec, _ = parse(text)
    return units(m, dec)


cdef int fill(Book* b, int side, levels) except -1:
    """Make (price, quantity) texts the only side of an empty book. Raises ValueError."""
    from gambit._core.fixed import parse
    cdef int n = len(levels), k
    cdef Level* rows = <Level*>malloc((n + 1) * sizeof(Level))
    if rows == NULL:
        raise MemoryError
    try:
        for k in range(n):
            rows[k].side = side
            rows[k].pm, rows[k].pdec, rows[k].pwire = parse(levels[k][0])
            rows[k].qm, rows[k].qdec, rows[k].qwire = parse(levels[k][1])
            if rows[k].pm <= 0 or rows[k].qm < 0:
                raise ValueError(f"level {levels[k]}")
        book_replace(b, rows, n)
    finally:
        free(rows)
    return 0


cdef class PyWalk:
    """The asks of one book and the bids of another, to be bought and sold together, for tests and benchmarks.

    Levels are (price text, quantity text), fees and slippage fractions, notional a decimal text in quote units;
    contract, lot and least are pairs of decimal texts (buy, sell), "0" where unknown. Raises ValueError.
    """

    cdef Book books[2]
    cdef Leg legs[2]
    cdef Limits limits

    def __cinit__(self, asks, bids, *, fees=(0.0, 0.0), double slippage=0.002, notional="10000",
                  contract=("0", "0"), lot=("0", "0"), least=("0", "0")):
        cdef int k
        for k in range(2):
            if book_open(&self.books[k]):
                raise MemoryError
            self.legs[k].book = &self.books[k]
            self.legs[k].fee = fees[k]
            self.legs[k].contract = exact(contract[k])
            self.legs[k].lot = exact(lot[k])
            self.legs[k].least = exact(least[k])
        self.limits.slippage = slippage
        self.limits.notional = exact(notional)
        fill(&self.books[0], ASK, asks)
        fill(&self.books[1], BID, bids)

    def __dealloc__(self):
        book_close(&self.books[0])
        book_close(&self.books[1])

    def size(self):
        """What can be executed: quantity as text, buy_quote, sell_quote, buy_vwap, sell_vwap, profit_quote, net_bps;
        None for nothing."""
        cdef Size found
        cdef char text[64]
        if not walk_size(&self.legs[0], &self.legs[1], &self.limits, &found):
            return None
        return (text[:put_units(text, found.qty) - text].decode(), found.buy_quote, found.sell_quote, found.buy_vwap,
                found.sell_vwap, found.profit, found.net_bps)

    def depth(self):
        """Quote value within the slippage of the touch: of the asks, of the bids."""
        return (book_depth(&self.books[0], ASK, self.limits.slippage, self.legs[0].contract),
                book_depth(&self.books[1], BID, self.limits.slippage, self.legs[1].contract))

    def bench(self, int times):
        """ns for one walk_size, and for one book_depth of each side, in C loops. For benchmarks."""
        cdef Size found
        cdef double total = 0
        cdef int _k
        cdef int64_t start = now_ns(), middle
        for _k in range(times):
            total += walk_size(&self.legs[0], &self.legs[1], &self.limits, &found)
        middle = now_ns()
        for _k in range(times):
            total += book_depth(&self.books[0], ASK, self.limits.slippage, self.legs[0].contract)
            total += book_depth(&self.books[1], BID, self.limits.slippage, self.legs[1].contract)
        if total < 0:
            raise ValueError(total)             # never: it keeps the compiler from leaving the loops out
        return (middle - start) / <double>times, (now_ns() - middle) / <double>times

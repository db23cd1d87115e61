# A market is one symbol on one venue: its book, whether the book may be believed, and what the engine keeps of it.
from libc.stdint cimport int64_t, uint8_t, uint32_t

from gambit._core.book cimport Book, book_set_touch
from gambit._core.liquidity cimport Leg
from gambit._core.num cimport dec_double
from gambit._core.scan cimport Level, Part, Scan
from gambit._core.window cimport Grid, History

# How a venue proves that nothing was lost. The numbers are those of gambit.venues.wire.Rule.
cdef enum:
    RULE_DIFF = 0           # ids U..u joined to a snapshot fetched beside (Binance)
    RULE_LINK = 1           # prevSeqId names the id before (OKX)
    RULE_STEP = 2           # ids grow by one (Bybit)
    RULE_CHECKSUM = 3       # CRC32 of the best ten after each message (Kraken)
    RULE_CONNECTION = 4     # one counter for the whole connection (Coinbase)

# Slots of a part. The numbers are those of gambit.venues.wire.
cdef enum:
    I_ID = 0                # u, seqId, sequence_num
    I_FIRST = 1             # U
    I_PREV = 2              # pu, prevSeqId
    I_CHECKSUM = 3

cdef enum:
    T_CHANNEL = 0
    T_TYPE = 1
    T_SYMBOL = 2
    T_TIME = 3
    T_BID = 4
    T_BID_QTY = 5
    T_ASK = 6
    T_ASK_QTY = 7
    T_EVENT = 8
    T_TIME_2 = 9
    T_STREAM = 10

cdef enum:
    TYPE_NONE = 0
    TYPE_SNAPSHOT = 1
    TYPE_UPDATE = 2

# What a part did to its market; a frame's parts are or-ed together.
cdef enum:
    DID_STALE = 1           # old: dropped, the book is not confirmed
    DID_SNAPSHOT = 2
    DID_UPDATE = 4
    DID_LOSE = 8            # the book was synced and is not any more
    DID_SEEN = 16

cdef struct Diff:           # a buffered depth diff
    int64_t first
    int64_t last
    int64_t prev
    bint has_prev
    int64_t ts
    Level* levels
    int n

cdef struct Counts:         # frames, by replay-rules R22
    int64_t snapshots
    int64_t applied
    int64_t dropped_stale
    int64_t gaps
    int64_t checksums_ok
    int64_t checksums_bad
    int64_t crossed
    int64_t quarantined
    int64_t overflows       # diffs that the buffer had no room for

cdef struct Market:
    Book book
    int index
    int venue
    int rule
    bint is_bbo
    bint synced
    int conn                # the connection that feeds it, -1 none
    int last_conn           # the last one that did, for the reports
    int64_t channel         # what of several depth channels feeds it
    int64_t id              # last id by the venue's rule
    bint has_id
    bint touch_known        # touch[] holds the best prices of a best-bid-ask frame
    double touch[2]
    bint is_fresh           # a snapshot without a diff behind it yet
    bint was_numbered       # the last good frame had a sequence number (OKX, D9)
    int depth               # levels a side to keep, 0 all
    int ack_conn[4]         # connections that promised a depth, the latest last; -1 none
    int ack_depth[4]
    bint is_named           # some frame was about it
    int price_decimals      # of the checksum's text, -1 as sent
    int qty_decimals
    int64_t last_update     # replay-rules R18
    bint is_up              # synced, as `changes` of pairs counted it
    int64_t exchange_ts     # ns, -1 unknown
    Counts count
    Diff* diffs
    int n_diffs
    int joined              # diffs that the last snapshot took in
    int64_t buffered        # largest id in the buffer
    int cap_diffs
    # the engine's
    double bid              # touch, 0 none
    double ask
    History history
    Grid grid
    Leg leg
    double depth_value[2]   # quote value within the slippage, bids and asks
    bint depth_known[2]
    int group
    int slot
    uint8_t did             # in the frame at hand

cdef inline void market_best(Market* m, const Level* bid, const Level* ask, bint has_id, int64_t id,
                             int64_t ts) noexcept nogil:
    """The best bid and ask of a good frame are the book; a quantity of 0 leaves the side empty."""
    book_set_touch(&m.book, bid, ask)
    m.touch_known = True
    m.touch[0] = dec_double(bid.pm, bid.pdec) if bid.qm else 0
    m.touch[1] = dec_double(ask.pm, ask.pdec) if ask.qm else 0
    m.synced = True
    m.has_id = has_id
    m.id = id if has_id else 0
    m.exchange_ts = ts

cdef int market_open(Market* m, int64_t keep_ns) noexcept nogil
cdef void market_close(Market* m) noexcept nogil
cdef void market_forget(Market* m) noexcept nogil
cdef void market_drop_diffs(Market* m) noexcept nogil
cdef void market_promise(Market* m, int conn, int depth) noexcept nogil
cdef bint market_claim(Market* m, int conn, int64_t channel, int allowed_depth) noexcept nogil
cdef bint part_complete(Scan* s, const Market* m, const Part* head, Part* part, int kind) noexcept nogil
cdef int market_part(Market* m, const Part* head, const Part* part, const Level* levels, int kind,
                     int64_t ts) noexcept nogil
cdef int market_snapshot(Market* m, int64_t last_id, const Level* levels, int n) noexcept nogil
cdef int market_bbo(Market* m, const Part* head, const Part* part, const Level* levels, int64_t ts) noexcept nogil

"""What a venue calls things: channels, message types and symbols, looked up without a Python object."""
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from gambit._core.json cimport Text
from gambit._core.market cimport RULE_LINK, T_BID, T_CHANNEL, T_EVENT, T_STREAM, T_SYMBOL, T_TYPE
from gambit._core.num cimport PAD, digits, hash_text
from gambit._core.scan cimport HAS_PARTS, Part, Scan


cdef venue_open(Venue* v, wire, Scan* scan, bint is_bbo):
    """Fill the tables of a zeroed venue from its wire description. Raises ValueError where it does not fit."""
    if len(wire.kinds) > 24 or len(wire.types) > 8:
        raise ValueError("a wire description names at most 24 kinds and 8 types")
    for text in (*(rule.text for rule in wire.kinds), *wire.types):
        if not 0 < len(text.encode()) <= 24:
            raise ValueError(f"{text!r} has {len(text.encode())} bytes, not 1 to 24")
    v.spellings = <Spelling*>calloc(64, sizeof(Spelling))
    if v.spellings == NULL:
        raise MemoryError
    v.mask = 63
    v.scan = scan
    v.rule = wire.rule
    v.is_bbo = is_bbo
    v.implicit_part = wire.implicit_part
    v.digits_channel = wire.digits_channel
    v.bare_kind = wire.bare_kind
    for k, rule in enumerate(wire.kinds):
        text = rule.text.encode()
        v.kinds[k].n = len(text)
        memcpy(v.kinds[k].text, <const char*>text, len(text))
        v.kinds[k].is_prefix = rule.is_prefix
        v.kinds[k].kind = rule.kind
        v.kinds[k].channel = rule.channel
        v.kinds[k].depth = rule.depth
    v.n_kinds = len(wire.kinds)
    for k, (name, code) in enumerate(wire.types.items()):
        text = name.encode()
        v.types[k].n = len(text)
        memcpy(v.types[k].text, <const char*>text, len(text))
        v.types[k].code = code
    v.n_types = len(wire.types)


cdef venue_spell(Venue* v, const char* text, int n, int market):
    """A spelling of 1 to 31 bytes means a market, or -2: skip its frames."""
    cdef Spelling* old = v.spellings
    cdef int k, size = v.mask + 1
    if v.used * 2 >= size:
        v.spellings = <Spelling*>calloc(size * 2, sizeof(Spelling))
        if v.spellings == NULL:
            v.spellings = old
            raise MemoryError
        v.mask = size * 2 - 1
        v.used = 0
        v.last_found = 0
        for k in range(size):
            if old[k].n:
                place(v, old[k].text, old[k].n, old[k].market)
        free(old)
    place(v, text, n, market)


cdef void place(Venue* v, const char* text, int n, int market) noexcept nogil:
    cdef char padded[40]                    # the hash reads a word at a time
    cdef int k
    memset(padded, 0, sizeof(padded))
    memcpy(padded, text, n)
    k = <int>(hash_text(padded, n) & <uint32_t>v.mask)
    while v.spellings[k].n and not (v.spellings[k].n == n and memcmp(v.spellings[k].text, text, n) == 0):
        k = (k + 1) & v.mask
    v.used += v.spellings[k].n == 0
    memcpy(v.spellings[k].text, text, n)
    v.spellings[k].n = n
    v.spellings[k].market = market


cdef int find_spelling(Venue* v, const char* p, int n) noexcept nogil:
    """The market of a venue's spelling; -1 nobody told, -2 told to skip it."""
    cdef int k = v.last_found
    if n < 1 or n > 31:
        return -2
    if v.spellings[k].n == n and memcmp(v.spellings[k].text, p, n) == 0:
        return v.spellings[k].market
    k = <int>(hash_text(p, n) & <uint32_t>v.mask)
    while v.spellings[k].n:
        if v.spellings[k].n == n and memcmp(v.spellings[k].text, p, n) == 0:
            v.last_found = k
            return v.spellings[k].market
        k = (k + 1) & v.mask
    return -1


cdef inline int find_kind(const Venue* v, const Text* t) noexcept nogil:
    """Index of the kind rule of a channel's text, -1 for an unknown one."""
    cdef int k
    cdef const KindRule* r
    for k in range(v.n_kinds):
        r = &v.kinds[k]
        if (t.n >= r.n if r.is_prefix else t.n == r.n) and memcmp(r.text, t.p, r.n) == 0:
            return k
    return -1


cdef int find_type(const Venue* v, const Part* part) noexcept nogil:
    cdef int k
    cdef const Text* t = &part.texts[T_TYPE]
    if not part.has_texts >> T_TYPE & 1:
        return 0
    for k in range(v.n_types):
        if v.types[k].n == t.n and memcmp(v.types[k].text, t.p, t.n) == 0:
            return v.types[k].code
    return 0


cdef bint is_partial(const Text* stream) noexcept nogil:
    """`symbol@depth20...`: the best levels again and again, which futures dress up as diffs."""
    cdef int k
    for k in range(stream.n - 6):
        if memcmp(stream.p + k, b"@depth", 6) == 0:
            return stream.p[k + 6] >= b'0' and stream.p[k + 6] <= b'9'
    return False


cdef int64_t read_topic(int at, Part* head) noexcept nogil:
    """N of `orderbook.N.SYMBOL`, its symbol put where a part's symbol is; -1 when it is not of that form."""
    cdef const Text* t = &head.texts[T_CHANNEL]
    cdef int n = 0
    while at + n < t.n and t.p[at + n] != b'.':
        n += 1
    if at + n + 1 >= t.n:
        return -1
    head.texts[T_SYMBOL].p = t.p + at + n + 1
    head.texts[T_SYMBOL].n = t.n - at - n - 1
    head.has_texts |= <uint32_t>1 << T_SYMBOL
    return digits(t.p + at, n)


cdef int kind_of(Venue* v, Part* head, int64_t* channel, int* depth) noexcept nogil:
    """What a frame carries, and of which of several depth channels; a channel with its data is data, whatever else is
    beside it (D24)."""
    cdef int k, kind = 0
    cdef bint is_event = head.has_texts >> T_EVENT & 1
    if not head.has_texts >> T_CHANNEL & 1:
        k = head.has_texts >> T_BID & 15    # two of best prices and quantities: it means to be a best bid and ask
        return v.bare_kind if k & (k - 1) and v.bare_kind else KIND_CONTROL if is_event else 0
    k = find_kind(v, &head.texts[T_CHANNEL])
    if k < 0 or (is_event and v.rule == RULE_LINK and not head.sides & HAS_PARTS):
        return KIND_CONTROL if is_event else 0      # OKX's acks name the channel that they are about
    kind = v.kinds[k].kind
    channel[0] = v.kinds[k].channel
    depth[0] = v.kinds[k].depth
    if kind & KIND_BOOK:
        if v.digits_channel:
            channel[0] = read_topic(v.kinds[k].n - (2 if channel[0] else 0), head)
            if channel[0] < 0:
                return 0
        if head.has_texts >> T_STREAM & 1 and is_partial(&head.texts[T_STREAM]):
            return KIND_OTHER
    return kind


cdef bytes set_texts(Part* part, texts):
    """Give a part its texts ({slot: bytes}); they live in what is returned, with PAD bytes behind each, as the readers
    of texts want it."""
    cdef bytes held = b"".join([text + bytes(PAD) for text in texts.values()])
    cdef const char* p = held
    part.has_texts = 0
    for slot, text in texts.items():
        part.texts[slot].p = p
        part.texts[slot].n = len(text)
        part.has_texts |= <uint32_t>1 << <int>slot
        p += len(text) + PAD
    return held

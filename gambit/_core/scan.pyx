"""Bytes of a frame -> parts and levels, driven by a venue's wire description; no Python object is made.

The scanner is strict JSON in a hurry: it accepts a frame only when it is certain that a careful JSON reader
would see the very same fields. Anything unusual (an escape, a byte above 127, a key that comes twice, white
space inside a level, a number that does not fit, a container too deep) makes it answer "not sure", and the
slow decoder of the venues package reads the frame instead. It never applies anything: a frame is checked whole
before a book sees it (replay-rules R19).
"""
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from gambit._core.json cimport (
    MAX_DEPTH, Text, is_digit, read_int, read_number, read_text, skip_string, skip_value, ws,
)
from gambit._core.num cimport PAD, Dec, likely, load64, unlikely

# What a key's value is. The numbers are those of gambit.venues.wire.Action.
cdef enum:
    A_SKIP = 0
    A_INT = 1           # JSON integer -> ints[arg]
    A_TEXT = 2          # string or number, as text -> texts[arg]
    A_OBJECT = 3        # object scanned with `node`, same part
    A_PARTS = 4         # array of objects scanned with `node`, each a part of its own
    A_ROWS = 5          # array of [price, qty] rows of side `arg`
    A_LEVELS = 6        # array of level objects scanned with `node`; side `arg`, 2 = each says it
    A_ROWS_OR_TEXT = 7  # Binance spells rows and a best price with the same key: rows of side arg & 1, text arg >> 1
    L_PRICE = 8
    L_QTY = 9
    L_SIDE = 10
    A_MAYBE_INT = 11
    A_WRAPPED = 12      # as A_OBJECT, and of the object around it only texts of slot `arg` count


cdef int scan_room_levels(Scan* s, int more) noexcept nogil:
    """Room for `more` further levels; 0 when there is."""
    cdef int want = s.cap_levels
    cdef Level* grown
    if s.n_levels + more <= want:
        return 0
    while want < s.n_levels + more:
        want = want * 2 if want else 1024
    if want > MAX_LEVELS:
        return -1
    grown = <Level*>realloc(s.levels, want * sizeof(Level))
    if grown == NULL:
        return -1
    s.levels = grown
    s.cap_levels = want
    return 0


cdef int scan_room_parts(Scan* s) noexcept nogil:
    cdef int want
    cdef Part* grown
    if s.n_parts < s.cap_parts:
        return 0
    want = s.cap_parts * 2 if s.cap_parts else 16
    if want > MAX_PARTS:
        return -1
    grown = <Part*>realloc(s.parts, want * sizeof(Part))
    if grown == NULL:
        return -1
    s.parts = grown
    s.cap_parts = want
    return 0


cdef int open_part(Scan* s) noexcept nogil:
    """Index of a new, empty part; -1 when there is no room."""
    cdef Part* part
    if scan_room_parts(s):
        return -1
    part = &s.parts[s.n_parts]
    part.has_ints = 0
    part.has_texts = 0
    part.sides = 0
    part.lo = s.n_levels
    part.hi = s.n_levels
    s.n_parts += 1
    return s.n_parts - 1


cdef inline bint key_is(const Key* key, const char* p) noexcept nogil:
    """p is behind the opening quote. Keys are compared eight bytes at a time, closing quote included."""
    if (load64(p) & key.mask[0]) != key.word[0]:
        return False
    if key.n <= 8:
        return True
    if (load64(p + 8) & key.mask[1]) != key.word[1]:
        return False
    return key.n <= 16 or (load64(p + 16) & key.mask[2]) == key.word[2]


cdef inline int find_key(Node* node, const char* p, int before) noexcept nogil:
    """Index of the key at p, tried first the one that last came behind key `before` (-1: at the start); node.n when
    the node does not name it."""
    cdef int k = node.after[before + 1]
    if likely(key_is(&node.keys[k], p)):
        return k
    for k in range(node.n):
        if key_is(&node.keys[k], p):
            node.after[before + 1] = <int8_t>k
            return k
    return node.n


cdef void mark(Scan* s, const char* p, const char* end, int what, int part, int slot) noexcept nogil:
    cdef Mark* m
    if end != NULL and s.n_marks < MARKS:
        m = &s.marks[s.n_marks]
        m.at = <int>(p - s.start)
        m.end = <int>(end - s.start)
        m.what = what
        m.part = part
        m.slot = slot
    s.n_marks += 1


cdef inline void note(Scan* s, const char* p, const char* end, int what, int part, int slot) noexcept nogil:
    """Where a value stands, for who wants to know (shape.pyx)."""
    if unlikely(s.marks != NULL):
        mark(s, p, end, what, part, slot)


cdef const char* scan_rows(Scan* s, const char* p, uint8_t side) noexcept nogil:
    """[[price, qty, ...], ...] with p behind the outer bracket."""
    cdef Level* level
    cdef Dec price, qty
    cdef const char* at
    p = ws(p)
    if p[0] == b']':
        return p + 1
    while True:
        if unlikely(p[0] != b'['):
            return NULL
        at = p + 1
        p = read_number(at, &price)
        if unlikely(p == NULL or p[0] != b',' or price.m == 0):
            return NULL
        note(s, at, p, M_PRICE, s.n_parts - 1, side)
        at = p + 1
        p = read_number(at, &qty)
        if unlikely(p == NULL):
            return NULL
        note(s, at, p, M_QTY, s.n_parts - 1, side)
        if p[0] != b']':
            if not s.row_extra:
                return NULL
            while p[0] == b',':
                at = p + 1
                p = skip_value(at, MAX_DEPTH)
                if p == NULL:
                    return NULL
                note(s, at, p, M_SKIP, 0, 0)
            if p[0] != b']':
                return NULL
        if unlikely(s.n_levels == s.cap_levels) and scan_room_levels(s, 1):
            return NULL
        level = &s.levels[s.n_levels]
        s.n_levels += 1
        level.pm = price.m
        level.pdec = <uint8_t>price.dec
        level.pwire = <uint8_t>price.wire
        level.qm = qty.m
        level.qdec = <uint8_t>qty.dec
        level.qwire = <uint8_t>qty.wire
        level.side = side
        p += 1
        if p[0] == b',':
            p += 1
            continue
        p = ws(p)
        return p + 1 if p[0] == b']' else NULL


cdef enum:
    GOT_PRICE = 1
    GOT_QTY = 2
    GOT_SIDE = 4
    GOT_ALL = 7


cdef inline const char* level_value(const char* p, const Key* key, Level* level, int* got) noexcept nogil:
    """The value of a named key of a level object; NULL when it cannot be one."""
    cdef Dec number
    cdef Text text
    if key.action == L_PRICE:
        p = read_number(p, &number)
        if p == NULL or number.m == 0:
            return NULL
        level.pm = number.m
        level.pdec = <uint8_t>number.dec
        level.pwire = <uint8_t>number.wire
        got[0] |= GOT_PRICE
        return p
    if key.action == L_QTY:
        p = read_number(p, &number)
        if p == NULL:
            return NULL
        level.qm = number.m
        level.qdec = <uint8_t>number.dec
        level.qwire = <uint8_t>number.wire
        got[0] |= GOT_QTY
        return p
    if key.action == L_SIDE:
        p = read_text(p, &text)
        if p == NULL:
            return NULL
        got[0] |= GOT_SIDE
        if text.n == 3 and memcmp(text.p, b"bid", 3) == 0:
            level.side = 0
            return p
        level.side = 1
        return p if text.n == 5 and memcmp(text.p, b"offer", 5) == 0 else NULL
    return skip_value(p, MAX_DEPTH)


cdef const char* scan_level(Scan* s, const char* p, Node* node, uint8_t side) noexcept nogil:
    """One level object with p behind its brace; a side of 2 means that the object must name it."""
    cdef Level* level = &s.levels[s.n_levels]
    cdef int k, before = -1
    cdef uint32_t seen = 0
    cdef int got = 0 if side == 2 else GOT_SIDE
    level.side = side
    while True:
        if unlikely(p[0] != b'"'):
            return NULL
        k = find_key(node, p + 1, before)
        if unlikely(k == node.n):
            p = skip_string(p + 1)
            if p == NULL or p[0] != b':':
                return NULL
            p = skip_value(p + 1, MAX_DEPTH)
        else:
            before = k
            p += 1 + node.keys[k].n
            if unlikely(seen >> k & 1) or unlikely(p[0] != b':'):
                return NULL
            seen |= <uint32_t>1 << k
            p = level_value(p + 1, &node.keys[k], level, &got)
        if unlikely(p == NULL):
            return NULL
        if p[0] == b',':
            p += 1
            continue
        if p[0] != b'}' or got != GOT_ALL:
            return NULL
        s.n_levels += 1
        return p + 1


cdef const char* scan_levels(Scan* s, const char* p, Node* node, uint8_t side) noexcept nogil:
    """[{level}, ...] with p behind the bracket."""
    p = ws(p)
    if p[0] == b']':
        return p + 1
    while True:
        if unlikely(p[0] != b'{'):
            return NULL
        if unlikely(s.n_levels == s.cap_levels) and scan_room_levels(s, 1):
            return NULL
        p = scan_level(s, p + 1, node, side)
        if unlikely(p == NULL):
            return NULL
        if p[0] == b',':
            p += 1
            continue
        p = ws(p)
        return p + 1 if p[0] == b']' else NULL


cdef const char* scan_parts(Scan* s, const char* p, int node, int depth) noexcept nogil:
    """[{part}, ...] with p behind the bracket."""
    cdef int part
    p = ws(p)
    if p[0] == b']':
        return p + 1
    while True:
        if p[0] != b'{':
            return NULL
        part = open_part(s)
        if part < 0:
            return NULL
        p = scan_object(s, p + 1, node, part, depth + 1)
        if p == NULL:
            return NULL
        s.parts[part].hi = s.n_levels
        p = ws(p)
        if p[0] == b']':
            return p + 1
        if p[0] != b',':
            return NULL
        p = ws(p + 1)


cdef inline bint taken(uint32_t* filled, int slot) noexcept nogil:
    """Mark a slot as filled; True when it was: two keys of the frame claim it, and the decoder knows which counts."""
    cdef uint32_t bit = <uint32_t>1 << slot
    if unlikely(filled[0] & bit):
        return True
    filled[0] |= bit
    return False


cdef const char* scan_wrapped(Scan* s, const char* p, const Key* key, int part, int depth) noexcept nogil:
    """The object that a frame is wrapped around; NULL when what is beside it might be taken for a part of it."""
    cdef uint32_t beside = <uint32_t>1 << key.arg
    if p[0] != b'{' or s.parts[part].has_ints or s.parts[part].has_texts & ~beside or s.parts[part].sides:
        return NULL
    p = scan_object(s, p + 1, key.node, part, depth + 1)
    s.is_wrapped = True
    s.wrapped_ints = s.parts[part].has_ints
    s.wrapped_texts = s.parts[part].has_texts | beside
    s.wrapped_sides = s.parts[part].sides
    return p


cdef const char* scan_value(Scan* s, const char* p, const Key* key, int part, int depth) noexcept nogil:
    """The value of a key that the wire description names."""
    cdef Text text
    cdef const char* after
    cdef int action = key.action
    if action == A_TEXT:
        if p[0] != b'"' and p[0] != b'-' and not is_digit(p[0]):
            return skip_value(p, depth)             # null, an object: the field is not there
        after = read_text(p, &text)
        s.parts[part].texts[key.arg] = text
        note(s, p, after, M_TEXT, part, key.arg)
        return NULL if taken(&s.parts[part].has_texts, key.arg) else after
    if action == A_INT:
        if taken(&s.parts[part].has_ints, key.arg):
            return NULL
        after = read_int(p, &s.parts[part].ints[key.arg])
        note(s, p, after, M_INT, part, key.arg)
        return after
    if action == A_SKIP:
        after = skip_value(p, depth)
        note(s, p, after, M_SKIP, part, 0)
        return after
    if action == A_MAYBE_INT:
        after = read_int(p, &s.parts[part].ints[key.arg])
        if after == NULL:
            return NULL if p[0] == b'-' or is_digit(p[0]) else skip_value(p, depth)
        note(s, p, after, M_INT, part, key.arg)
        return NULL if taken(&s.parts[part].has_ints, key.arg) else after
    if action == A_WRAPPED:
        return scan_wrapped(s, p, key, part, depth)
    if p[0] == b'{' and action == A_OBJECT:
        return scan_object(s, p + 1, key.node, part, depth + 1)
    if p[0] == b'[' and action != A_OBJECT:
        if action == A_PARTS:
            s.parts[part].sides |= HAS_PARTS
            return scan_parts(s, p + 1, key.node, depth)
        if taken(&s.parts[part].sides, key.arg & 1):
            return NULL
        if action == A_LEVELS:
            return scan_levels(s, p + 1, &s.nodes[key.node], <uint8_t>key.arg)
        return scan_rows(s, p + 1, <uint8_t>(key.arg & 1))
    if action == A_ROWS_OR_TEXT and (p[0] == b'"' or p[0] == b'-' or is_digit(p[0])):
        after = read_text(p, &text)
        s.parts[part].texts[key.arg >> 1] = text
        note(s, p, after, M_TEXT, part, key.arg >> 1)
        return NULL if taken(&s.parts[part].has_texts, key.arg >> 1) else after
    return skip_value(p, depth)                     # another kind of value: the field is not there


cdef const char* scan_object(Scan* s, const char* p, int index, int part, int depth) noexcept nogil:
    """An object's keys with p behind its brace; returns the byte behind the closing one."""
    cdef Node* node = &s.nodes[index]
    cdef const char* at
    cdef int k, before = -1
    cdef uint32_t seen = 0
    if depth >= MAX_DEPTH:
        return NULL
    p = ws(p)
    if p[0] == b'}':
        return p + 1
    while True:
        if unlikely(p[0] != b'"'):
            return NULL
        k = find_key(node, p + 1, before)
        if k == node.n:
            p = skip_string(p + 1)
            if p == NULL:
                return NULL
        else:
            if unlikely(seen >> k & 1):
                return NULL
            seen |= <uint32_t>1 << k
            before = k
            p += 1 + node.keys[k].n
        p = ws(p)
        if unlikely(p[0] != b':'):
            return NULL
        p = ws(p + 1)
        if k == node.n:
            at = p
            p = skip_value(at, depth)
            note(s, at, p, M_SKIP, part, 0)
        else:
            p = scan_value(s, p, &node.keys[k], part, depth)
        if unlikely(p == NULL):
            return NULL
        p = ws(p)
        if p[0] == b',':
            p = ws(p + 1)
            continue
        return p + 1 if p[0] == b'}' else NULL


cdef int scan_frame(Scan* s, const char* buf, Py_ssize_t n) noexcept nogil:
    """Scan one frame of n bytes (PAD zero bytes behind it). 0: parts and levels are filled, part 0 being
    the frame itself; -1: not sure, ask the slow decoder."""
    cdef const char* p
    s.n_parts = 0
    s.n_levels = 0
    s.n_marks = 0
    s.is_wrapped = False
    s.start = buf
    if open_part(s) < 0:
        return -1
    p = ws(buf)
    if p[0] != b'{':
        return -1
    p = scan_object(s, p + 1, 0, 0, 0)
    if p == NULL or ws(p) != buf + n:
        return -1
    s.parts[0].hi = s.n_levels
    if s.is_wrapped and not (s.parts[0].has_ints == s.wrapped_ints and s.parts[0].sides == s.wrapped_sides
                             and s.parts[0].has_texts | s.wrapped_texts == s.wrapped_texts):
        return -1
    return 0


cdef int slots_of(int action) noexcept:
    """How many values the argument of an action may have."""
    if action == A_INT or action == A_MAYBE_INT:
        return INTS
    if action == A_TEXT or action == A_WRAPPED:
        return TEXTS
    if action == A_ROWS_OR_TEXT:
        return 2 * TEXTS
    return 3                                    # a side, 2: each level says it


cdef class Scanner:
    """The compiled form of a venue's wire description (gambit.venues.wire.Wire).

    Raises ValueError when the description does not fit: a key longer than 23 bytes, too many keys in a node,
    a slot that does not exist.
    """

    def __cinit__(self, wire):
        cdef int i
        self.wire = wire
        self.pad = bytearray(PAD)
        self.c.nodes = <Node*>calloc(len(wire.nodes), sizeof(Node))
        if self.c.nodes == NULL:
            raise MemoryError
        if scan_room_levels(&self.c, 1) or scan_room_parts(&self.c):
            raise MemoryError
        self.c.row_extra = wire.row_extra
        for i, keys in enumerate(wire.nodes):
            self.compile_node(&self.c.nodes[i], keys)

    cdef compile_node(self, Node* node, keys):
        cdef Key* key
        cdef char text[24]
        if len(keys) > KEYS:
            raise ValueError(f"a node names {len(keys)} keys, more than {KEYS}")
        node.n = len(keys)
        for k in range(node.n):                 # at first, the order of the description
            node.after[k] = <int8_t>k
        node.after[node.n] = 0
        for k, spec in enumerate(keys):
            key = &node.keys[k]
            name = spec.name.encode() + b'"'
            if len(name) > 24:
                raise ValueError(f"key {spec.name} is longer than 23 bytes")
            memset(text, 0, 24)
            memcpy(text, <const char*>name, len(name))
            for w in range(3):
                key.word[w] = load64(&text[8 * w])
                used = max(0, min(8, len(name) - 8 * w))
                key.mask[w] = <uint64_t>0xFFFFFFFFFFFFFFFF >> (64 - 8 * used) if used else 0
            key.n = len(name)
            key.action = spec.action
            key.arg = spec.arg
            key.node = spec.node
            if not (0 <= key.node < len(self.wire.nodes) and 0 <= key.arg < slots_of(key.action)):
                raise ValueError(f"key {spec.name}: node {spec.node} or slot {spec.arg} does not exist")

    def __dealloc__(self):
        free(self.c.nodes)
        free(self.c.parts)
        free(self.c.levels)

    def scan(self, bytes frame):
        """The parts of a frame as dicts (ints, texts, sides, levels), or None when not sure. For tests."""
        cdef bytes padded = frame + bytes(PAD)
        if scan_frame(&self.c, <const char*>padded, len(frame)):
            return None
        return [self.part(i) for i in range(self.c.n_parts)]

    cdef part(self, int i):
        cdef Part* part = &self.c.parts[i]
        return {
            "ints": {k: part.ints[k] for k in range(INTS) if part.has_ints >> k & 1},
            "texts": {k: part.texts[k].p[:part.texts[k].n].decode() for k in range(TEXTS) if part.has_texts >> k & 1},
            "sides": part.sides,
            "levels": [
                (self.c.levels[k].side, self.c.levels[k].pm, self.c.levels[k].pdec, self.c.levels[k].pwire,
                 self.c.levels[k].qm, self.c.levels[k].qdec, self.c.levels[k].qwire)
                for k in range(part.lo, part.hi)
            ],
        }

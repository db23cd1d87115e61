"""Which pairs are quarantined as "same ticker, different coin" (formulas.md; replay-rules R26), for who tells of it."""
from gambit._core.pairs cimport Pairs
from gambit._core.spread cimport Group


def quarantined(Pairs pairs):
    """The markets (a, b), a before b, of every pair whose mids were once further apart than may be."""
    cdef Group* g
    cdef int k, a, b
    out = []
    for k in range(pairs.n_groups):
        g = &pairs.groups[k]
        for a in range(g.n):
            for b in range(a + 1, g.n):
                if g.episodes[a * g.cap + b].banned:
                    out.append((g.market[a], g.market[b]))
    return out

"""Choices that depend on the seed, the place and the how-many-eth time only: taking one fault away moves no other."""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TypeVar

T = TypeVar("T")
RARE, COMMON = 0.02, 0.25


class Tape:
    """All chance of one episode. A fault site fires with a rate that the seed draws (some seeds are calm in all but one
    respect); `muted` firings, named `site#n`, do not happen."""

    def __init__(self, seed: int, muted: Collection[str] = ()) -> None:
        self.seed = seed
        self.muted = frozenset(muted)
        self.fired: list[str] = []
        self.is_healed = False
        self._uses: Counter[str] = Counter()
        self._rates: dict[str, float] = {}

    def _hash(self, site: str, use: int) -> int:
        text = f"{self.seed}|{site}|{use}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

    def draw(self, site: str) -> int:
        """A 64-bit number; the next one of its site."""
        self._uses[site] += 1
        return self._hash(site, self._uses[site])

    def share(self, site: str) -> float:
        """A number from 0 to 1."""
        return self.draw(site) / 2**64

    def between(self, site: str, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return low + self.draw(site) % (high - low + 1)

    def pick(self, site: str, options: Sequence[T]) -> T:
        """One of some."""
        return options[self.draw(site) % len(options)]

    def fault(self, site: str) -> bool:
        """Whether a fault happens here and now."""
        rate = self._rates.get(site)
        if rate is None:
            swarm = self._hash("rate " + site, 0) % 4
            rate = self._rates[site] = (0.0, 0.0, RARE, COMMON)[swarm]
        self._uses[site] += 1
        name = f"{site}#{self._uses[site]}"
        if self.is_healed or self._hash(site, self._uses[site]) / 2**64 >= rate or name in self.muted:
            return False
        self.fired.append(name)
        return True

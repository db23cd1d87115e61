"""Episodes that are settled, packed: what nobody asks about any more takes as little room as it can, and is never lost.

Rules that hold here:
1. Nothing has a time to live. A late execution, a bust or a second reading of an old one is told from a new one by the
   16 bytes its name comes to; the episode it belongs to is taken out again, whole, and goes on as if it had stayed.
2. What is here is bytes: compressed pages of episodes, and slots of 32 bytes per order and execution. A million
   episodes are no million objects, and finding one is no search through them.
3. `chained` goes into the state's digest instead of the content, so that the digest costs what is alive.
"""

import struct
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

import msgspec
import zstandard

from gambit.engine.order import Order
from gambit.engine.trade import Trade

PAGE: Final = 32  # episodes compressed together
FOREIGN: Final = (1 << 64) - 1  # place of an execution that is of no order of ours
NAME_BYTES: Final = 16
_SLOT: Final = struct.Struct("<16s8sQ")  # name, content, place
_NOTHING: Final = bytes(8)
_LEVEL: Final = 3


class Episode(msgspec.Struct):
    """One settled episode with everything that is known of its executions (gambit.engine.order.Executions)."""

    trade: Trade
    orders: list[Order]
    seen: dict[str, list[str]]
    owners: dict[str, str]


class Packed(msgspec.Struct):
    """An archive as a snapshot keeps it."""

    pages: list[bytes]
    young: list[bytes]
    slots: dict[int, bytes]
    recalled: list[int]


class Archive:
    """All settled episodes. One belongs to one Standing, which alone changes it."""

    def __init__(self) -> None:
        self._pages: list[bytes] = []
        self._young: list[bytes] = []  # less than a page
        self._slots: dict[int, bytearray] = {}  # by the first 12 bits of the name
        self._recalled: set[int] = set()  # places that hold nothing any more
        self._open: tuple[int, list[msgspec.Raw]] = (-1, [])  # the page that was read last

    def __len__(self) -> int:
        return len(self._pages) * PAGE + len(self._young) - len(self._recalled)

    def add(self, episode: Episode) -> bytes:
        """Take an episode in; gives its canonical JSON."""
        place = len(self._pages) * PAGE + len(self._young)
        for order in episode.orders:
            self._insert(_order_name(order.intent.key), _NOTHING, place)
        for name, contents in episode.seen.items():
            for content in contents:
                self._insert(_execution_name(name), _content(content), place)
        body = _encoder.encode(episode)
        self._young.append(body)
        if len(self._young) == PAGE:
            self._pages.append(_compressed(self._young))
            self._young = []
        return body

    def add_foreign(self, name: str, contents: list[str]) -> None:
        """Take in what is known of an execution that is of no order of ours."""
        for content in contents:
            self._insert(_execution_name(name), _content(content), FOREIGN)

    def take(self, place: int) -> Episode:
        """Take an episode out again."""
        episode = self.episode(place)
        for order in episode.orders:
            self._remove(_order_name(order.intent.key))
        for name in episode.seen:
            self._remove(_execution_name(name))
        self._recalled.add(place)
        return episode

    def place_of(self, key: str) -> int | None:
        """Where the episode of an order is."""
        return next((place for _, place in self._found(_order_name(key))), None)

    def place_of_execution(self, name: str) -> int | None:
        """Where the episode of an execution is; FOREIGN for one that is of no order of ours."""
        return next((place for _, place in self._found(_execution_name(name))), None)

    def has_content(self, name: str, content: str) -> bool:
        """Whether an execution is known with just this content."""
        wanted = _content(content)
        return any(found == wanted for found, _ in self._found(_execution_name(name)))

    def episode(self, place: int) -> Episode:
        """A copy of what is at a place. Raises IndexError."""
        return _decoder.decode(self._body(place))

    def newest(self) -> Iterator[Episode]:
        """All episodes, the last that came in first."""
        for place in range(len(self._pages) * PAGE + len(self._young) - 1, -1, -1):
            if place not in self._recalled:
                yield self.episode(place)

    def mentioning(self, text: str, most: int) -> Iterator[Episode]:
        """Of the `most` that came in last those whose JSON has a text in it, the last first; no other is decoded."""
        wanted, end = text.encode(), len(self._pages) * PAGE + len(self._young)
        for place in range(end - 1, max(end - most, 0) - 1, -1):
            if place not in self._recalled and wanted in bytes(self._body(place)):
                yield self.episode(place)

    def packed(self) -> Packed:
        """A copy that no later change touches; costs a copy of the slots."""
        slots = {number: bytes(slots) for number, slots in self._slots.items()}
        return Packed(list(self._pages), list(self._young), slots, sorted(self._recalled))

    @staticmethod
    def unpacked(packed: Packed) -> "Archive":
        """The archive of a snapshot."""
        archive = Archive()
        archive._pages, archive._young = list(packed.pages), list(packed.young)
        archive._slots = {number: bytearray(slots) for number, slots in packed.slots.items()}
        archive._recalled = set(packed.recalled)
        return archive

    def _body(self, place: int) -> bytes | msgspec.Raw:
        page, at = divmod(place, PAGE)
        if page == len(self._pages):
            return self._young[at]
        if self._open[0] != page:
            self._open = page, _pages.decode(zstandard.ZstdDecompressor().decompress(self._pages[page]))
        return self._open[1][at]

    # ---- slots ----

    def _insert(self, name: bytes, content: bytes, place: int) -> None:
        self._slots.setdefault(_number(name), bytearray()).extend(_SLOT.pack(name, content, place))

    def _remove(self, name: bytes) -> None:
        slots = self._slots[_number(name)]
        for at in list(_at(slots, name))[::-1]:
            del slots[at : at + _SLOT.size]

    def _found(self, name: bytes) -> Iterator[tuple[bytes, int]]:
        """(content, place) of every slot with a name."""
        slots = self._slots.get(_number(name), b"")
        for at in _at(slots, name):
            _, content, place = _SLOT.unpack_from(slots, at)
            yield content, place


def chained(before: str, body: bytes) -> str:
    """The digest of an archive (hex) after another episode came in or went out."""
    return blake2b(bytes.fromhex(before) + body, digest_size=32).hexdigest()


def _at(slots: bytes | bytearray, name: bytes) -> Iterator[int]:
    at = slots.find(name)
    while at >= 0:
        if at % _SLOT.size == 0:
            yield at
        at = slots.find(name, at + 1)


def _number(name: bytes) -> int:
    return int.from_bytes(name[:2], "big") >> 4


def _order_name(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=NAME_BYTES, person=b"order").digest()


def _execution_name(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=NAME_BYTES, person=b"execution").digest()


def _content(content: str) -> bytes:
    return blake2b(content.encode(), digest_size=8).digest()


def _compressed(bodies: list[bytes]) -> bytes:
    # A copy: the compressor's bytes hold on to the buffer that incompressible input would have needed.
    return bytes(memoryview(zstandard.ZstdCompressor(level=_LEVEL).compress(b"[" + b",".join(bodies) + b"]")))


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Episode)
_pages = msgspec.json.Decoder(list[msgspec.Raw])

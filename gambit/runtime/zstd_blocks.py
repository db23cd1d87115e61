"""Where the blocks of zstd data begin (RFC 8878), so that it can be decompressed a few of them at a time.

A block holds at most 128 KiB, but four bytes can say so much: what is fed to a decompressor in one go must be counted
in blocks, not in bytes, or a small file fills the memory.
"""

from collections.abc import Callable, Iterator

BLOCKS_MAX = 8  # begun in one piece: 1 MiB of text
MAGIC = 0xFD2FB528
SKIPPABLE, SKIPPABLE_MASK = 0x184D2A50, 0xFFFFFFF0
RLE = 1
DICTIONARY_BYTES = (0, 1, 2, 4)
SIZE_BYTES = (0, 2, 4, 8)


class BlockCutter:
    """Cuts zstd data, given in any portions, into pieces in each of which at most BLOCKS_MAX blocks begin. The pieces
    put together are the data; data that is no zstd is not cut further, for a decompressor refuses it at its start."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._want = 4  # bytes of the header at hand
        self._read: Callable[[int], None] = self._magic
        self._skip = 0  # bytes until the next header
        self._has_checksum = False
        self._blocks = 0  # begun in the piece at hand

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The next portion of the data in pieces."""
        begin = at = 0
        self._blocks = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(self._want - len(self._header), len(data) - at)
                self._header += data[at : at + step]
                if len(self._header) == self._want:
                    self._read(int.from_bytes(self._header, "little"))
                    self._header.clear()
            at += step
            if self._blocks == BLOCKS_MAX:
                yield data[begin:at]
                begin, self._blocks = at, 0
        if begin < at:
            yield data[begin:at]

    def _next(self, what: Callable[[int], None], want: int, skip: int = 0) -> None:
        self._read, self._want, self._skip = what, want, skip

    def _magic(self, value: int) -> None:
        if value == MAGIC:
            self._next(self._descriptor, 1)
        elif value & SKIPPABLE_MASK == SKIPPABLE:
            self._next(self._skippable, 4)
        else:
            self._skip = 1 << 62

    def _skippable(self, size: int) -> None:
        self._next(self._magic, 4, size)

    def _descriptor(self, flags: int) -> None:
        is_single = flags >> 5 & 1
        self._has_checksum = bool(flags >> 2 & 1)
        size_bytes = SIZE_BYTES[flags >> 6] or is_single
        self._next(self._block, 3, (not is_single) + DICTIONARY_BYTES[flags & 3] + size_bytes)

    def _block(self, header: int) -> None:
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        self._blocks += 1
        held = 1 if kind == RLE else size
        if is_last:
            self._next(self._magic, 4, held + 4 * self._has_checksum)
        else:
            self._next(self._block, 3, held)

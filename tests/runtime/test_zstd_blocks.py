"""zstd data in pieces of few blocks: nothing is lost, and no piece decompresses to much."""

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gambit.runtime.capture import CaptureError, CountBytes, chunks
from gambit.runtime.zstd_blocks import BLOCKS_MAX, BlockCutter
from tests.core.profile import examples

BLOCK_BYTES = 1 << 17
SKIPPABLE = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"\x28\xb5\x2f\xfd\x00"
# Each block of one byte repeated: four bytes that stand for 128 KiB.
RLE_BLOCK = (BLOCK_BYTES << 3 | 1 << 1).to_bytes(3, "little") + b"x"
FRAME_HEAD = zstandard.MAGIC_NUMBER.to_bytes(4, "little") + b"\x00\x80"  # window of 64 MiB


def bomb(blocks: int) -> bytes:
    """A frame of so many blocks of 128 KiB; the last one is empty."""
    return FRAME_HEAD + RLE_BLOCK * blocks + b"\x01\x00\x00"


def portions(data: bytes, rng: Random) -> list[bytes]:
    cuts = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 3, 60))))})
    return [data[a:b] for a, b in pairwise(cuts)]


def cut(data: bytes, rng: Random) -> list[bytes]:
    cutter = BlockCutter()
    return [piece for portion in portions(data, rng) for piece in cutter.pieces(portion)]


def frames(rng: Random) -> bytes:
    """Some frames as different settings write them, some of which hold nothing."""
    made = []
    for _ in range(rng.randrange(1, 5)):
        text = rng.choice((b"", b"a", bytes(3 << 20), rng.randbytes(700_000), b"some text, " * 90_000))
        packer = zstandard.ZstdCompressor(
            level=rng.choice((1, 3, 9)),
            write_checksum=rng.random() < 0.5,
            write_content_size=rng.random() < 0.5,
        )
        if rng.random() < 0.5:
            made.append(packer.compress(text))
        else:
            streamed = packer.compressobj()
            made.append(streamed.compress(text) + streamed.flush())
        if rng.random() < 0.3:
            made.append(SKIPPABLE)
    return b"".join(made)


@examples(0.5)
@given(st.integers(0, 2**32))
def test_pieces_are_the_data_and_small(seed):
    """Whatever the portions, the pieces are the data, and each gives at most so many blocks of text."""
    rng = Random(seed)
    data = frames(rng)
    pieces = cut(data, rng)
    assert b"".join(pieces) == data
    inflater = zstandard.ZstdDecompressor().decompressobj()
    for piece in pieces:
        rest, size = piece, 0
        while rest:
            size += len(inflater.decompress(rest))
            rest = inflater.unused_data
            if inflater.eof:
                inflater = zstandard.ZstdDecompressor().decompressobj()
        assert size <= (BLOCKS_MAX + 1) * BLOCK_BYTES  # and one whose header came with the piece before


@examples(1)
@given(st.binary(max_size=400), st.integers(0, 2**32))
def test_any_bytes_are_kept(data, seed):
    """Also of what is no zstd nothing is lost."""
    for text in (data, frames(Random(seed))[:200] + data):
        assert b"".join(cut(text, Random(seed))) == text


@pytest.mark.parametrize("count", [1, 7, 8, 9, 50])
def test_where_blocks_end(count):
    """Blocks without text cost pieces by their number."""
    data = bomb(count)
    assert len(list(BlockCutter().pieces(data))) == (count + 1 + BLOCKS_MAX - 1) // BLOCKS_MAX


def unpacked(path: Path) -> tuple[list[int], bytes, str]:
    """Sizes of the chunks of a capture, its last text, and what is said about its damage."""
    sizes, last = [], b""
    try:
        for text in chunks(path, CountBytes()):
            sizes.append(len(text))
            last = text or last
    except CaptureError as error:
        return sizes, last, str(error)
    return sizes, last, ""


def test_small_file_that_unpacks_to_gigabytes(tmp_path: Path):
    """It is read a megabyte at a time: 64 KiB of file that stand for 2 GiB, and a second frame behind."""
    path = tmp_path / "bomb.zst"
    path.write_bytes(bomb(16_000) + zstandard.compress(b"the end"))
    assert path.stat().st_size < 1 << 16
    sizes, last, damage = unpacked(path)
    assert (sum(sizes), last, damage) == (16_000 * BLOCK_BYTES + len(b"the end"), b"the end", "")
    assert max(sizes) <= (BLOCKS_MAX + 1) * BLOCK_BYTES


def test_truncated_and_broken_bombs(tmp_path: Path):
    """What stands before the damage is given, in small pieces too."""
    data, path = bomb(2500), tmp_path / "broken.zst"
    broken = data[:9000] + Random(1).randbytes(4000)
    for text, least, said in ((data[:-40], 2480, "truncated"), (broken, 2000, "corrupt")):
        path.write_bytes(text)
        sizes, _, damage = unpacked(path)
        assert said in damage
        assert sum(sizes) >= least * BLOCK_BYTES
        assert max(sizes) <= (BLOCKS_MAX + 1) * BLOCK_BYTES


def test_window_larger_than_zstd_allows(tmp_path: Path):
    """A frame that asks for gigabytes of window is refused with a word, not served."""
    path = tmp_path / "window.zst"
    path.write_bytes(bomb(3).replace(FRAME_HEAD, FRAME_HEAD[:-1] + b"\xa8"))
    sizes, _, damage = unpacked(path)
    assert "memory" in damage
    assert sum(sizes) == 0

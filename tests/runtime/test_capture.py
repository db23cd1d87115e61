"""Reading captures: headers, records, and text out of plain and compressed files."""

import base64
import gzip
import json
import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gambit.runtime.capture import (
    SHOWN_MAX,
    BadLine,
    CaptureError,
    CountBytes,
    Record,
    chunks,
    read_header,
    read_record,
    shown,
)
from tests.core.profile import examples

SKIPPABLE = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"  # a zstd frame that holds no data
PACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".zst": zstandard.compress, ".gz": gzip.compress}


def collected(path: Path) -> tuple[bytes, str]:
    """The text of a capture up to its end or damage, and what is said about the damage."""
    parts = []
    reading = chunks(path, CountBytes())
    while True:
        try:
            parts.append(next(reading))
        except StopIteration:
            return b"".join(parts), ""
        except CaptureError as error:
            return b"".join(parts), str(error)


@examples(0.5)
@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=4), st.sampled_from(list(PACKERS)))
def test_any_text_comes_back(text: bytes, seams: list[int], suffix: str) -> None:
    """Plain, zstd or gzip, in one frame or several."""
    ends = sorted({0, len(text), *(seam for seam in seams if seam < len(text))})
    pieces = [text[start:end] for start, end in pairwise(ends)] or [b""]
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"x{suffix}"
        file.write_bytes(b"".join(map(PACKERS[suffix], pieces)))
        assert collected(file) == (text, "")


def test_frames_without_data_are_skipped(tmp_path: Path) -> None:
    """Some programs write them before, between and behind the others."""
    frame = zstandard.compress(b"one\n")
    file = tmp_path / "x.zst"
    file.write_bytes(SKIPPABLE + frame + SKIPPABLE + frame + SKIPPABLE)
    assert collected(file) == (b"one\none\n", "")


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_all_before_a_damaged_frame_is_read(suffix: str, tmp_path: Path) -> None:
    """Also when good and damaged frames are read from the file at once."""
    frames = [PACKERS[suffix](f"line {number}\n".encode()) for number in range(50)]
    for damaged in range(50):
        file = tmp_path / f"x{suffix}"
        file.write_bytes(b"".join([*frames[:damaged], b"\x00" * 20, *frames[damaged + 1 :]]))
        text, said = collected(file)
        assert text == b"".join(f"line {number}\n".encode() for number in range(damaged))
        assert said.startswith("corrupt ")


def test_all_before_a_damaged_block_is_read(tmp_path: Path) -> None:
    """Within one frame too: a block that cannot be decompressed takes nothing of those before it along."""
    squeeze = zstandard.ZstdCompressor().compressobj()
    blocks = []
    for number in range(50):
        block = squeeze.compress(f"line {number}, {number * 7919 % 1000}\n".encode() * 3)
        blocks.append(block + squeeze.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    lines = [f"line {number}, {number * 7919 % 1000}\n".encode() * 3 for number in range(50)]
    for damaged in range(1, 50):
        file = tmp_path / "x.zst"
        file.write_bytes(b"".join([*blocks[:damaged], b"\xff" * 40, *blocks[damaged:]]))
        text, said = collected(file)
        assert text == b"".join(lines[:damaged])
        assert said.startswith("corrupt zstd")


def test_what_cannot_be_wound_back(tmp_path: Path) -> None:
    """A pipe with damaged data ends with the same message."""
    pipe = tmp_path / "pipe.zst"
    os.mkfifo(pipe)
    content = zstandard.compress(b"one\n") + b"rubbish"
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    text, said = collected(pipe)
    writer.join()
    assert said.startswith("corrupt zstd")
    assert text == b"one\n"


@pytest.mark.parametrize("suffix", PACKERS)
def test_bytes_are_counted(suffix: str, tmp_path: Path) -> None:
    """Progress is told in bytes of the file, not of its text."""
    file = tmp_path / f"x{suffix}"
    file.write_bytes(PACKERS[suffix](b"abc\n" * 100_000))
    count = CountBytes()
    assert sum(map(len, chunks(file, count))) == 400_000
    assert count.bytes_read == file.stat().st_size


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """The system's reason is the message."""
    assert collected(tmp_path / "none.jsonl") == (b"", "No such file or directory")
    assert collected(tmp_path) == (b"", "Is a directory")


def test_headers() -> None:
    """A header names the venue; everything else about it is free."""
    assert read_header(b'{"t":"header","v":1,"venue":"okx"}') == "okx"
    assert read_header(b' {"venue":"multi","note":{"a":[1]},"v":1,"t":"header"}\r') == "multi"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "the first line is no capture header: "),
        (b"{", "the first line is no capture header: "),
        (b"[]", "the first line is no capture header: "),
        (b'{"t":"recv","v":1,"venue":"okx"}', "the first line is no capture header: "),
        (b'{"t":"header","venue":"okx"}', "capture format version None; this gambit reads version 1"),
        (b'{"t":"header","v":2,"venue":"okx"}', "capture format version 2; this gambit reads version 1"),
        (b'{"t":"header","v":"1","venue":"okx"}', "capture format version '1'; this gambit reads version 1"),
        (b'{"t":"header","v":true,"venue":"okx"}', "capture format version True; this gambit reads version 1"),
        (b'{"t":"header","v":1.0,"venue":"okx"}', "capture format version 1.0; this gambit reads version 1"),
        (b'{"t":"header","v":1}', "the header names no venue"),
        (b'{"t":"header","v":1,"venue":""}', "the header names no venue"),
        (b'{"t":"header","v":1,"venue":["okx"]}', "the header names no venue"),
    ],
)
def test_what_is_no_header(line: bytes, reason: str) -> None:
    """The message says what was due."""
    with pytest.raises(BadLine) as caught:
        read_header(line)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("fields", "record"),
    [
        (
            {"t": "recv", "ts": 5, "conn": "a", "data": '{"x":"\u20ac"}'},
            Record("recv", 5, "a", None, '{"x":"\u20ac"}'.encode(), None),
        ),
        (
            {"t": "recv", "ts": 5, "conn": "a", "venue": "okx", "b64": base64.b64encode(b"\xff\0").decode()},
            Record("recv", 5, "a", "okx", b"\xff\0", None),
        ),
        ({"t": "recv", "ts": 0, "conn": "", "data": ""}, Record("recv", 0, "", None, b"", None)),
        (
            {"t": "connect", "ts": 1, "conn": "a", "addr": "wss://x", "url": "y"},
            Record("connect", 1, "a", None, b"", "wss://x"),
        ),
        ({"t": "connect", "ts": 1, "conn": "a", "addr": 5}, Record("connect", 1, "a", None, b"", None)),
        ({"t": "close", "ts": 2**62 - 1, "conn": "a"}, Record("close", 2**62 - 1, "a", None, b"", None)),
        ({"t": "send", "ts": 1, "data": "{}"}, Record("send", 1, "", None, b"{}", None)),
        ({"t": "http", "ts": 1, "url": "https://x", "data": "{}"}, Record("http", 1, "", None, b"{}", "https://x")),
    ],
)
def test_records(fields: dict[str, object], record: Record) -> None:
    """Each type with what it carries; fields of other types are left alone."""
    assert read_record(json.dumps(fields).encode()) == record


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON: "),
        (b'"x"', "a record is an object"),
        (b'{"t":"header","ts":1}', "unknown record type 'header'"),
        (b'{"ts":1}', "unknown record type None"),
        (b'{"t":"send"}', "ts is no time in ns: None"),
        (b'{"t":"send","ts":-1}', "ts is no time in ns: -1"),
        (b'{"t":"send","ts":4611686018427387904}', "ts is no time in ns: 4611686018427387904"),
        (b'{"t":"send","ts":1e9}', "ts is no time in ns: 1000000000.0"),
        (b'{"t":"recv","ts":1,"data":"x"}', "conn is no name: None"),
        (b'{"t":"send","ts":1,"conn":[]}', "conn is no name: []"),
        (b'{"t":"send","ts":1,"venue":1}', "venue is no name: 1"),
        (b'{"t":"recv","ts":1,"conn":"a"}', "recv without data"),
        (b'{"t":"http","ts":1,"url":"x","data":5}', "http without data"),
        (b'{"t":"http","ts":1,"data":"{}"}', "http without url: None"),
        (b'{"t":"http","ts":1,"url":5,"data":"{}"}', "http without url: 5"),
        (b'{"t":"recv","ts":1,"conn":"a","b64":"a"}', "b64 is no base64: "),
    ],
)
def test_what_is_no_record(line: bytes, reason: str) -> None:
    """The message quotes what is wrong."""
    with pytest.raises(BadLine) as caught:
        read_record(line)
    assert str(caught.value).startswith(reason)


@given(st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())))
def test_quotes_in_messages_are_short(value: object) -> None:
    """Whatever a line holds, a message about it is one short line."""
    assert len(shown(value)) <= SHOWN_MAX
    assert "\n" not in shown(value)

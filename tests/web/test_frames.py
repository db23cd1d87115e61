"""Bytes of frames: what a server sends, and which of a client's are let through."""

import pytest
from aiohttp import WSMsgType
from hypothesis import given
from hypothesis import strategies as st

from gambit.web import frames
from gambit.web.frames import Guard, close_frame, text_frame
from tests.web.standing import masked

SECOND = 1_000_000_000


class Clock:
    now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_text_frame_says_its_length(size: int) -> None:
    """Short, 16-bit and 64-bit lengths, unmasked, in one frame (RFC 6455, 5.2)."""
    frame = text_frame(b"x" * size)
    assert frame[0] == 0x80 | WSMsgType.TEXT
    if size < 126:
        length, rest = frame[1], 2
    elif size < 1 << 16:
        assert frame[1] == 126
        length, rest = int.from_bytes(frame[2:4], "big"), 4
    else:
        assert frame[1] == 127
        length, rest = int.from_bytes(frame[2:10], "big"), 10
    assert length == size
    assert frame[rest:] == b"x" * size


def test_a_close_frame_has_code_and_reason() -> None:
    """And fits a control frame, however long the reason is."""
    frame = close_frame(1013, "x" * 500)
    assert frame[:4] == b"\x88\x7d" + (1013).to_bytes(2, "big")
    assert len(frame) == 127


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20), st.integers(1, 7))
def test_ordinary_frames_pass_however_they_are_cut(payloads: list[bytes], step: int) -> None:
    """Frames that keep the rules pass, in pieces of any size."""
    stream = b"".join(masked(0x81, payload) for payload in payloads)
    guard = Guard(Clock())
    assert {guard.feed(stream[k : k + step]) for k in range(0, len(stream), step)} == {None}


@given(st.integers(1, 9))
def test_an_unmasked_frame_is_found_wherever_it_is(step: int) -> None:
    """Behind other frames, and cut anywhere."""
    stream = masked(0x81, b"x" * 200) + masked(0x89, b"") + masked(0x81, b"y", mask=False)
    guard = Guard(Clock())
    found = [wrong for k in range(0, len(stream), step) if (wrong := guard.feed(stream[k : k + step]))]
    assert found[0][0] == frames.PROTOCOL_ERROR


def test_frames_earn_their_place_with_time() -> None:
    """A burst is let through, then so many a second, and no more."""
    clock = Clock()
    guard = Guard(clock)
    ping = masked(0x89, b"")
    assert guard.feed(ping * frames.FRAMES_AT_ONCE) is None
    clock.now_ns += SECOND
    assert guard.feed(ping * frames.FRAMES_A_SECOND) is None
    wrong = guard.feed(ping)
    assert wrong is not None
    assert wrong[0] == frames.POLICY_VIOLATION


def test_fragments_are_counted_per_message() -> None:
    """Many short fragmented messages are fine, one of too many fragments is not; pings between do not count."""
    clock = Clock()
    guard = Guard(clock)
    for _ in range(10):
        clock.now_ns += 10 * SECOND
        assert guard.feed(masked(0x01, b"a") + masked(0x00, b"b") * 20 + masked(0x89, b"") + masked(0x80, b"c")) is None
    clock.now_ns += 10 * SECOND
    wrong = guard.feed(masked(0x01, b"a") + masked(0x00, b"") * frames.FRAGMENTS_MAX)
    assert wrong is not None
    assert wrong[0] == frames.POLICY_VIOLATION

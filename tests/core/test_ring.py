"""Rings against lists: who may lose records, who never does, and how many were lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit._core.ring import PyRing
from tests.core.profile import examples

CAPACITY = 16  # the smallest there is
READERS = 8

STEPS = st.lists(
    st.tuples(st.just("push"), st.integers(1, 40))
    | st.tuples(st.just("read"), st.integers(0, READERS - 1), st.integers(1, 60))
    | st.tuples(st.just("reader"), st.booleans()),
    max_size=60,
)


@examples(5)
@given(STEPS)
def test_readers_get_what_is_theirs(steps):
    """A lossless reader gets every record in order; a lossy one gets them in order, and what it misses is counted."""
    ring = PyRing(CAPACITY)
    written = 0
    lossless: list[bool] = []
    due: list[int] = []  # the next record of each reader if it loses nothing more
    known: list[int] = []  # its losses so far
    for name, *arguments in steps:
        if name == "push":
            for _ in range(arguments[0]):
                ring.push(written)
                written += 1
        elif name == "reader" and len(due) < READERS:
            assert ring.reader(arguments[0]) == len(due)
            lossless.append(arguments[0])
            due.append(written)
            known.append(0)
        elif name == "read" and arguments[0] < len(due):
            reader = arguments[0]
            for _ in range(arguments[1]):
                value = ring.read(reader)
                lost = ring.overruns(reader) - known[reader]
                if value is None:
                    assert (lost, due[reader]) == (0, written)
                    break
                assert value == due[reader] + lost
                assert lost == 0 or written - value >= CAPACITY
                due[reader] = value + 1
                known[reader] += lost
    assert not any(ring.overruns(reader) for reader, never in enumerate(lossless) if never)


def drained(ring: PyRing, reader: int) -> list[int]:
    found = []
    while (value := ring.read(reader)) is not None:
        found.append(value)
    return found


def test_lossy_reader_keeps_the_newest():
    """Overrun, a lossy reader goes on with as many of the newest records as the ring holds."""
    ring = PyRing(CAPACITY)
    reader = ring.reader(False)
    for value in range(100):
        ring.push(value)
    assert drained(ring, reader) == list(range(100 - CAPACITY, 100))
    assert ring.overruns(reader) == 100 - CAPACITY
    assert ring.grown == 0


def test_ring_grows_for_a_lossless_reader():
    """A lossless reader that reads nothing makes the ring double, which is counted, and loses nothing."""
    ring = PyRing(CAPACITY)
    reader = ring.reader(True)
    for value in range(100):
        ring.push(value)
    assert ring.grown == 3
    assert drained(ring, reader) == list(range(100))
    assert ring.overruns(reader) == 0


def test_lossy_reader_beside_a_lossless_one():
    """Records that a lossy reader lost before the ring grew are lost; it never reads what was not written there."""
    ring = PyRing(CAPACITY)
    lossy = ring.reader(False)
    for value in range(40):
        ring.push(value)
    lossless = ring.reader(True)
    for value in range(40, 60):
        ring.push(value)
    assert ring.grown == 1
    assert drained(ring, lossless) == list(range(40, 60))
    read = drained(ring, lossy)
    assert read == list(range(60 - len(read), 60))
    assert len(read) + ring.overruns(lossy) == 60


def test_reader_begins_with_the_next_record():
    """What was written before a reader came is not for it."""
    ring = PyRing(CAPACITY)
    ring.push(1)
    reader = ring.reader(True)
    assert ring.read(reader) is None
    ring.push(2)
    assert drained(ring, reader) == [2]


def test_ninth_reader_is_refused():
    """A ring has eight readers at most."""
    ring = PyRing(CAPACITY)
    assert [ring.reader(False) for _ in range(READERS)] == list(range(READERS))
    with pytest.raises(ValueError, match="8"):
        ring.reader(False)
    for reader in (-1, READERS):
        with pytest.raises(IndexError):
            ring.read(reader)
        with pytest.raises(IndexError):
            ring.overruns(reader)

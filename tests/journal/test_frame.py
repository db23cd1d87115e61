"""Records and headers are what was encoded, or an error that says where."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gambit.journal.frame import (
    BODY_BYTES_MAX,
    HASH_BYTES,
    HEADER_BYTES,
    Header,
    Record,
    check_size,
    decode_header,
    decode_records,
    encode_header,
    encode_record,
    genesis,
)
from gambit.journal.problem import JournalDamaged, JournalFromFuture

FILE = Path("segment")
ID = b"0123456789abcdef"
kinds = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=16)
records = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), kinds, st.binary(max_size=300)), max_size=20)


def encoded(given_records: list[tuple[int, str, bytes]], first: int = 1) -> tuple[list[Record], bytes]:
    """Records numbered from `first`, and their bytes behind the hash of the record before."""
    data = genesis(ID)
    made = [Record(first + k, ts_ns, kind, body) for k, (ts_ns, kind, body) in enumerate(given_records)]
    for record in made:
        data += encode_record(record, data[-HASH_BYTES:])
    return made, data


def decoded(data: bytes, first: int = 1) -> list[Record]:
    return decode_records(data, HASH_BYTES, first, FILE, 0, {}).records


@given(records, st.integers(1, 2**60))
def test_what_was_encoded_is_decoded(given_records: list[tuple[int, str, bytes]], first: int) -> None:
    """Any record comes back as it went in, with its hash the end of its bytes."""
    made, data = encoded(given_records, first)
    batch = decode_records(data, HASH_BYTES, first, FILE, 0, {})
    assert batch.records == made
    assert batch.stop == len(data)
    assert b"".join(batch.hashes[-1:]) == (data[-HASH_BYTES:] if made else b"")


@given(records.filter(bool), st.data())
def test_any_cut_gives_the_whole_records_before_it(
    given_records: list[tuple[int, str, bytes]], data: st.DataObject
) -> None:
    """A prefix of the bytes is a prefix of the records, never an error."""
    made, whole = encoded(given_records)
    cut = data.draw(st.integers(HASH_BYTES, len(whole)))
    found = decoded(whole[:cut])
    assert found == made[: len(found)]
    assert len(encoded(given_records[: len(found)])[1]) <= cut
    assert len(found) == len(made) or len(encoded(given_records[: len(found) + 1])[1]) > cut


@given(records.filter(bool), st.data())
def test_any_flipped_bit_is_damage(given_records: list[tuple[int, str, bytes]], data: st.DataObject) -> None:
    """Wherever a bit flips, decoding names the record it lies in (or the first, for the hash before it)."""
    _, whole = encoded(given_records)
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole)
    broken[at] ^= 1 << data.draw(st.integers(0, 7))
    owner = next(k for k in range(1, len(given_records) + 1) if at < len(encoded(given_records[:k])[1]))
    with pytest.raises(JournalDamaged) as raised:
        decoded(bytes(broken))
    assert raised.value.seq == owner
    assert raised.value.offset == len(encoded(given_records[: owner - 1])[1])


def test_a_swapped_record_is_damage() -> None:
    """A record that was left out breaks the chain although each record is whole."""
    made, data = encoded([(0, "a", b"{}")] * 3)
    size = len(encode_record(made[0], bytes(HASH_BYTES)))
    with pytest.raises(JournalDamaged, match="record 2"):
        decoded(data[: HASH_BYTES + size] + data[HASH_BYTES + 2 * size :])


def test_a_wrong_number_is_damage() -> None:
    """A record of the right hash and the wrong number is named."""
    with pytest.raises(JournalDamaged, match=r"record 1: it calls itself 2"):
        decoded(encoded([(0, "a", b"{}")], first=2)[1], first=1)


def test_a_record_form_of_the_future_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form this gambit does not know is refused, not skipped."""
    with monkeypatch.context() as newer:
        newer.setattr("gambit.journal.frame.FORM", 2)
        _, data = encoded([(0, "a", b"{}")])
        head = encode_header(Header(ID, 0, 1, 0, 0, bytes(32), genesis(ID)))
    with pytest.raises(JournalFromFuture, match="form 2 is newer"):
        decoded(data)
    with pytest.raises(JournalFromFuture, match="format 2 is newer"):
        decode_header(head, FILE)


def test_headers_come_back() -> None:
    """A header is read as written, and any flipped byte of it is seen."""
    header = Header(ID, 3, 77, 123456789, 60, bytes(range(32)), bytes(range(32, 64)))
    data = encode_header(header)
    assert len(data) == HEADER_BYTES
    assert decode_header(data, FILE) == header
    for at in range(HEADER_BYTES):
        broken = bytearray(data)
        broken[at] ^= 0x20
        with pytest.raises((JournalDamaged, JournalFromFuture)):
            decode_header(bytes(broken), FILE)
        with pytest.raises(JournalDamaged, match="inside its header"):
            decode_header(data[:at], FILE)


@pytest.mark.parametrize(("kind", "body"), [("", b""), ("k" * 65, b""), ("k", bytes(BODY_BYTES_MAX + 1))])
def test_what_does_not_fit_is_refused(kind: str, body: bytes) -> None:
    """A record has limits, and the message names them."""
    with pytest.raises(ValueError, match="a record"):
        check_size(kind, body)

"""Named, seeded ways to break a stream of capture records, to be used alone or one after the other.

Rules: a fault takes records (contract.md, "Captures"), gives new ones and leaves the given ones as they were; where it
finds nothing to break it gives the same stream. A record {"t": "line", "raw": bytes} stands for a line of the file that
is no record at all; only encode_line() knows how to write it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random

import msgspec

from gambit.sim.frame_faults import EDITS, Edit
from gambit.sim.jsontree import parse
from gambit.sim.market import SECOND_NS
from gambit.sim.recording import Record

Fault = Callable[[Sequence[Record], Random], list[Record]]

BOOK_MARKS = ("depthUpdate", '"books', "orderbook.", '"book"', "l2_data")
TOP_MARKS = ("bookTicker", "bbo-tbt", '"ticker"', "@bookTicker")
TOP_SHARE = 0.2  # of faults hit a best-bid-ask frame where there are books too
TRIES = 12  # frames looked at before a fault gives up
CHUNK = 1500  # records that one round of faults works on
RUBBISH = (
    b"", b"{}", b"null", b"[1,2]", b"\xff\xfe{", b'{"t":"recv"}', b'{"t":"mystery","ts":1,"conn":"x"}',
    b'{"t":"recv","ts":"1","conn":"x","data":"{}"}', b'{"t":"recv","ts":1.5,"conn":"x","data":"{}"}',
)  # fmt: skip


def encode_line(record: Record) -> bytes:
    """One line of a capture, with its line end."""
    if record["t"] == "line":
        raw: bytes = record["raw"]
        return raw
    return msgspec.json.encode(record) + b"\n"


def apply(records: Sequence[Record], names: Iterable[str], seed: int) -> list[Record]:
    """The stream after one round of each named fault, in that order.

    Raises ValueError for a name that is not in FAULTS.
    """
    rng = Random(seed)
    broken = list(records)
    for name in names:
        fault = FAULTS.get(name)
        if fault is None:
            raise ValueError(f"no fault is called {name!r}; known are {', '.join(FAULTS)}")
        broken = fault(broken, rng)
    return broken


def apply_in_chunks(records: Iterable[Record], names: Sequence[str], seed: int) -> Iterator[Record]:
    """The same for a stream of any length: one round per CHUNK records, memory flat."""
    rng = Random(seed)
    chunk: list[Record] = []
    for record in records:
        chunk.append(record)
        if len(chunk) >= CHUNK:
            yield from apply(chunk, names, rng.randrange(1 << 32))
            chunk = []
    yield from apply(chunk, names, rng.randrange(1 << 32))


def is_book_frame(record: Record) -> bool:
    """Whether a record looks like a frame that changes a book."""
    data = record.get("data")
    return record["t"] == "recv" and isinstance(data, str) and any(mark in data for mark in BOOK_MARKS)


def is_top_frame(record: Record) -> bool:
    """Whether a record looks like a best-bid-ask frame."""
    data = record.get("data")
    return record["t"] == "recv" and isinstance(data, str) and any(mark in data for mark in TOP_MARKS)


def is_depth_answer(record: Record) -> bool:
    """Whether a record is a REST depth snapshot."""
    return record["t"] == "http" and "lastUpdateId" in record["data"]


def _where(records: Sequence[Record], test: Callable[[Record], bool]) -> list[int]:
    return [index for index, record in enumerate(records) if test(record)]


def _frames(records: Sequence[Record], rng: Random) -> list[int]:
    """Book frames, now and then best-bid-ask frames, which are all there is in a stream without books."""
    books, tops = _where(records, is_book_frame), _where(records, is_top_frame)
    return tops if tops and (not books or rng.random() < TOP_SHARE) else books


def _recv(records: Sequence[Record]) -> list[int]:
    return _where(records, lambda record: record["t"] == "recv")


def _edited(edit: Edit) -> Fault:
    """The fault that does `edit` to one frame."""

    def fault(records: Sequence[Record], rng: Random) -> list[Record]:
        broken = list(records)
        candidates = _frames(records, rng)
        for _ in range(min(TRIES, len(candidates))):
            at = rng.choice(candidates)
            try:
                tree = parse(broken[at]["data"])
            except ValueError:
                continue  # an earlier fault was here: not JSON any more
            text = edit(tree, rng)
            if text is not None:
                broken[at] = {**broken[at], "data": text}
                break
        return broken

    return fault


def _without(records: Sequence[Record], at: int) -> list[Record]:
    return [*records[:at], *records[at + 1 :]]


def _inserted(records: Sequence[Record], at: int, *new: Record) -> list[Record]:
    return [*records[:at], *new, *records[at:]]


# --- frames lost, repeated, out of order


def gap(records: Sequence[Record], rng: Random) -> list[Record]:
    """A book frame is lost."""
    found = _frames(records, rng)
    return _without(records, rng.choice(found)) if found else list(records)


def lost_any(records: Sequence[Record], rng: Random) -> list[Record]:
    """Some frame is lost, whatever it was."""
    found = _recv(records)
    return _without(records, rng.choice(found)) if found else list(records)


def duplicate(records: Sequence[Record], rng: Random) -> list[Record]:
    """A book frame comes again, at once or after a few others."""
    found = _frames(records, rng)
    if not found:
        return list(records)
    at = rng.choice(found)
    later = min(len(records) - 1, at + rng.choice([0, 0, 1, 5, 20]))
    return _inserted(records, later + 1, {**records[at], "ts": records[later]["ts"]})


def reorder(records: Sequence[Record], rng: Random) -> list[Record]:
    """Two frames of one connection change places, their times stay."""
    found = _frames(records, rng)
    broken = list(records)
    for _ in range(min(TRIES, len(found))):
        first = rng.choice(found)
        same = [at for at in found if at > first and records[at]["conn"] == records[first]["conn"]][:3]
        if same:
            second = rng.choice(same)
            broken[first] = {**records[second], "ts": records[first]["ts"]}
            broken[second] = {**records[first], "ts": records[second]["ts"]}
            break
    return broken


# --- connections


def close(records: Sequence[Record], rng: Random) -> list[Record]:
    """A connection's close record appears; its frames go on all the same."""
    return _connection_records(records, rng, ("close",))


def reconnect(records: Sequence[Record], rng: Random) -> list[Record]:
    """close and connect, and nobody subscribes again."""
    return _connection_records(records, rng, ("close", "connect"))


def second_connect(records: Sequence[Record], rng: Random) -> list[Record]:
    """connect of a connection that was never closed."""
    return _connection_records(records, rng, ("connect",))


def _connection_records(records: Sequence[Record], rng: Random, kinds: tuple[str, ...]) -> list[Record]:
    found = _recv(records)
    if not found:
        return list(records)
    at = rng.choice(found)
    model = records[at]
    opened = [record for record in records if record["t"] == "connect" and record["conn"] == model["conn"]]
    new = []
    for kind in kinds:
        record = {"t": kind, "ts": model["ts"], "conn": model["conn"]}
        if "venue" in model:
            record["venue"] = model["venue"]
        if kind == "connect":
            record["addr"] = opened[0]["addr"] if opened else ""
        new.append(record)
    return _inserted(records, at, *new)


def takeover(records: Sequence[Record], rng: Random) -> list[Record]:
    """One book frame, or all from there on, come by another connection that said nothing before."""
    found = _frames(records, rng)
    broken = list(records)
    if not found:
        return broken
    first = rng.choice(found)
    conn = records[first]["conn"]
    moved = [first] if rng.random() < 0.5 else [at for at in found if at >= first and records[at]["conn"] == conn]
    for at in moved:
        broken[at] = {**records[at], "conn": f"{conn}b"}
    return broken


# --- time


def ts_back(records: Sequence[Record], rng: Random) -> list[Record]:
    """A record's clock was a little behind."""
    broken = list(records)
    if broken:
        at = rng.randrange(len(broken))
        if "ts" in broken[at]:
            behind_ns = rng.choice([1, 1000, 5_000_000, 300_000_000, 3 * SECOND_NS])
            broken[at] = {**broken[at], "ts": max(0, broken[at]["ts"] - behind_ns)}
    return broken


def hole(records: Sequence[Record], rng: Random) -> list[Record]:
    """Nothing is received for 1.6 to 4 seconds: all later records come that much later."""
    if not records:
        return []
    at = rng.randrange(len(records))
    late_ns = int((1.6 + 2.4 * rng.random()) * SECOND_NS)
    return [
        {**record, "ts": record["ts"] + late_ns} if index >= at and "ts" in record else record
        for index, record in enumerate(records)
    ]


def silence(records: Sequence[Record], rng: Random) -> list[Record]:
    """One connection says nothing for 1.6 to 4 seconds; what it said then is lost."""
    found = _recv(records)
    if not found:
        return list(records)
    start = records[rng.choice(found)]
    until_ns = start["ts"] + int((1.6 + 2.4 * rng.random()) * SECOND_NS)
    return [
        record
        for record in records
        if record["t"] != "recv" or record["conn"] != start["conn"] or not start["ts"] <= record["ts"] < until_ns
    ]


def same_instant(records: Sequence[Record], rng: Random) -> list[Record]:
    """A few records in a row carry one time."""
    if not records:
        return []
    at = rng.randrange(len(records))
    ts_ns = records[at].get("ts")
    if ts_ns is None:
        return list(records)
    until = at + 2 + rng.randrange(6)
    return [
        {**record, "ts": ts_ns} if at <= index < until and "ts" in record else record
        for index, record in enumerate(records)
    ]


# --- REST depth snapshots


def late_snapshot(records: Sequence[Record], rng: Random) -> list[Record]:
    """A REST snapshot is received many records later."""
    found = _where(records, is_depth_answer)
    if not found:
        return list(records)
    at = rng.choice(found)
    later = min(len(records) - 1, at + rng.choice([2, 10, 40, 150]))
    moved = {**records[at], "ts": records[later].get("ts", records[at]["ts"])}
    return [*records[:at], *records[at + 1 : later + 1], moved, *records[later + 1 :]]


def early_snapshot(records: Sequence[Record], rng: Random) -> list[Record]:
    """A REST snapshot is received before anything else."""
    found = _where(records, is_depth_answer)
    start = next((at for at, record in enumerate(records) if record["t"] not in ("header", "line")), 0)
    if not found:
        return list(records)
    at = rng.choice(found)
    first = {**records[at], "ts": records[start]["ts"]}
    return _inserted(_without(records, at), start, first)


def old_snapshot(records: Sequence[Record], rng: Random) -> list[Record]:
    """A REST snapshot is older than the first diff heard."""
    found = _where(records, is_depth_answer)
    if not found:
        return list(records)
    at = rng.choice(found)

    def older(match: re.Match[str]) -> str:
        return f'"lastUpdateId":{int(match[1]) - rng.choice([1, 30, 100_000])}'

    broken = list(records)
    broken[at] = {**records[at], "data": re.sub(r'"lastUpdateId":(\d+)', older, records[at]["data"], count=1)}
    return broken


def repeated_snapshot(records: Sequence[Record], rng: Random) -> list[Record]:
    """A REST snapshot comes again, when its book is synced already."""
    found = _where(records, is_depth_answer)
    if not found:
        return list(records)
    at = rng.choice(found)
    later = min(len(records) - 1, at + rng.choice([0, 3, 30, 200]))
    return _inserted(records, later + 1, {**records[at], "ts": records[later].get("ts", records[at]["ts"])})


def nameless_snapshot(records: Sequence[Record], rng: Random) -> list[Record]:
    """A REST snapshot's URL was not kept."""
    found = _where(records, is_depth_answer)
    broken = list(records)
    if found:
        at = rng.choice(found)
        url = re.sub(r"symbol=[^&]*&?", "", broken[at]["url"])
        broken[at] = {**broken[at], "url": rng.choice([url, "depth?limit=1000 (the recorder kept no URL)"])}
    return broken


def poisoned_snapshot(records: Sequence[Record], rng: Random) -> list[Record]:
    """A REST snapshot, or some instrument list, with a value, a shape or a text that cannot be."""
    found = _where(records, is_depth_answer)
    broken = list(records)
    if found:
        at = rng.choice(found)
        edit = EDITS[
            rng.choice(["poison_value", "wrong_shape", "missing_field", "wrong_id_type", "garbage", "truncated"])
        ]
        try:
            text = edit(parse(broken[at]["data"]), rng)
        except ValueError:
            return broken  # an earlier fault was here
        if text is not None:
            broken[at] = {**broken[at], "data": text}
    return broken


# --- the file itself


def half_line(records: Sequence[Record], rng: Random) -> list[Record]:
    """The first half of a line, the rest never written."""
    whole = [at for at, record in enumerate(records) if record["t"] == "recv"]
    if not whole:
        return list(records)
    at = rng.choice(whole)
    line = encode_line(records[at])
    raw = line[: rng.randrange(1, len(line) - 1)] + b"\n"
    return [*records[:at], {"t": "line", "raw": raw}, *records[at + 1 :]]


def rubbish_line(records: Sequence[Record], rng: Random) -> list[Record]:
    """A line that was never a record."""
    at = rng.randrange(1, len(records)) if len(records) > 1 else len(records)
    noise = bytes(rng.choice([byte for byte in range(256) if byte != 10]) for _ in range(40))
    return _inserted(records, at, {"t": "line", "raw": rng.choice([noise, *RUBBISH]) + b"\n"})


def binary_frame(records: Sequence[Record], rng: Random) -> list[Record]:
    """A frame arrives as binary: the same bytes, or bytes that are no text."""
    found = _frames(records, rng)
    broken = list(records)
    if not found:
        return broken
    at = rng.choice(found)
    content = broken[at]["data"].encode() if rng.random() < 0.5 else bytes(rng.randrange(256) for _ in range(30))
    record = {key: value for key, value in broken[at].items() if key != "data"}
    broken[at] = {**record, "b64": base64.b64encode(content).decode()}
    return broken


STREAM_FAULTS: dict[str, Fault] = {
    "gap": gap,
    "lost_any": lost_any,
    "duplicate": duplicate,
    "reorder": reorder,
    "close": close,
    "reconnect": reconnect,
    "second_connect": second_connect,
    "takeover": takeover,
    "ts_back": ts_back,
    "hole": hole,
    "silence": silence,
    "same_instant": same_instant,
    "late_snapshot": late_snapshot,
    "early_snapshot": early_snapshot,
    "old_snapshot": old_snapshot,
    "repeated_snapshot": repeated_snapshot,
    "nameless_snapshot": nameless_snapshot,
    "poisoned_snapshot": poisoned_snapshot,
    "half_line": half_line,
    "rubbish_line": rubbish_line,
    "binary_frame": binary_frame,
}
FAULTS: dict[str, Fault] = {**STREAM_FAULTS, **{name: _edited(edit) for name, edit in EDITS.items()}}

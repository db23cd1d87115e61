"""Capture lines in a hurry against the same lines read one by one with care (contract.md "Captures", R2)."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gambit._core.hot import Hot
from gambit._core.pairs import Pairs
from gambit._core.record import END, LOOK, NEED_DATA, TAKE, Lines, Replayer
from gambit.engine.params import EngineParams
from gambit.runtime.capture import BadLine, Record, read_record
from gambit.venues import VENUES
from tests.core.profile import examples

LINE_MAX = 64 * 1024 * 1024
Seen = tuple[int, int, str, str | None, str, bytes]  # file, ts, type, venue, connection, text


def careful(text: bytes, file: int = 0) -> tuple[list[Seen], list[int]]:
    """The records of a file and the numbers of its bad lines, every line read by itself."""
    seen, bad = [], []
    *lines, rest = text.split(b"\n")
    for number, line in enumerate([*lines, rest] if rest else lines, 1):
        try:
            seen.append(told(file, checked(line)))
        except BadLine:
            bad.append(number)
    return seen, bad


def checked(line: bytes) -> Record:
    record = read_record(line)
    if record.venue is not None and record.venue not in VENUES:
        raise BadLine(record.venue)
    return record


def told(file: int, record: Record) -> Seen:
    return file, record.ts, record.type, record.venue, record.conn, record.text


class Hurried:
    """The files through Lines and Replayer; the frames' text never looks like JSON, so that all of them are told."""

    def __init__(self, files: Sequence[Iterable[bytes]]) -> None:
        self.seen: list[Seen] = []
        self.bad: list[list[int]] = [[] for _ in files]
        self.truncated = [False] * len(files)
        self.quick = 0  # frames that no Python looked at
        self.chunks = [iter(chunks) for chunks in files]
        self.lines = [Lines() for _ in files]
        self.records: list[Record | None] = [None] * len(files)
        self.conns: list[tuple[int, str | None, str]] = []
        self.hot = Hot(Pairs(EngineParams().core()))
        self.hot.on_rare = self.on_frame
        self.hot.add_venue(VENUES["okx"].wire, False)
        self.core = Replayer(self.hot, self.lines)

    def on_frame(self, answer: int, conn: int, data: bytes) -> int:
        file, venue, name = self.conns[conn]
        self.seen.append((file, self.lines[file].ts, "recv", venue, name, data))
        self.quick += 1
        return 0

    def run(self) -> "Hurried":
        while True:
            what, file = self.core.run()
            lines = self.lines[file]
            if what == NEED_DATA:
                chunk = next(self.chunks[file], None)
                if chunk is None:
                    self.truncated[file] = lines.close()
                else:
                    lines.feed(chunk)
            elif what == LOOK:
                self.look(file, lines)
            elif what == TAKE:
                self.take(file, lines)
            elif what == END:
                return self

    def look(self, file: int, lines: Lines) -> None:
        try:
            if lines.too_long:
                raise BadLine("too long")
            self.records[file] = checked(lines.text)
        except BadLine:
            self.bad[file].append(lines.number)
            lines.done()
            return
        lines.waits(self.records[file].ts)

    def take(self, file: int, lines: Lines) -> None:
        record = self.records[file]
        self.seen.append(told(file, record))
        key = file, record.venue, record.conn
        if record.type == "recv" and key not in self.conns:
            self.conns.append(key)
            lines.bind(f"{record.venue or ''}\0{record.conn}".encode(), self.hot.add_conn(0, False, 1))
        lines.done()


# ---- lines as they come, and as they should not ----

CONNS = ("okx.ws.1", "x", "", "a" * 89, "a" * 90, "a" * 94, "a" * 95, "a" * 300, 'q"t', "\u540d", "b\\s", "c/d")
TIMES = ("1", "0", "1750000000123456789", "4611686018427387903", "4611686018427387904", "9223372036854775808",
         "99999999999999999999", "1e3", "1.5", "-1", "01", '"1"', "true", "null")  # fmt: skip
TEXTS = ("", "plain", '{"a":"b"}', "tab\tand\nline\r", "\\", "\u00e9\u4ef7\U0001f680", "\x01\x1f", "/", "x" * 400,
         '"' * 40, "\\" * 33)  # fmt: skip
FIELDS = ("t", "ts", "conn", "venue", "data", "b64", "addr", "note")


class Writer:
    """Lines of a capture, most as recorders write them, from a seed."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.now = 10**18

    def line(self) -> bytes:
        rng = self.rng
        self.now += rng.choice((0, 1, 10**6, 10**9)) - rng.choice((0, 0, 0, 5))
        kind = rng.random()
        if kind < 0.04:
            return rng.choice((b"", b"{}", b"[]", b"null", b"{" * 30, b"\xff" * 30, b"\0" * 25, b'{"t":"recv","ts":1}'))
        line = self.usual() if kind < 0.6 else self.unusual()
        if rng.random() < 0.06:
            at = rng.randrange(len(line))
            line = line[:at] + bytes([rng.choice(b'"\\{}:, \x00\xffu0')]) + line[at + rng.randrange(2) :]
        return line.replace(b"\n", b" ")

    def fields(self) -> dict[str, object]:
        rng = self.rng
        fields: dict[str, object] = {"t": "recv", "ts": self.now, "conn": rng.choice(CONNS[:3])}
        if rng.random() < 0.3:
            fields["venue"] = rng.choice(("okx", "kraken"))
        return {**fields, "data": "||" + rng.choice(TEXTS)}  # two: one damaged byte does not make it JSON

    def usual(self) -> bytes:
        text = json.dumps(self.fields(), separators=(",", ":"), ensure_ascii=self.rng.random() < 0.5)
        return text.replace("/", r"\/" if self.rng.random() < 0.3 else "/").encode()

    def unusual(self) -> bytes:
        rng, fields = self.rng, self.fields()
        fields["t"] = rng.choice(
            ("recv", "recv", "recv", "send", "connect", "close", "http", "header", "RECV", 1, None)
        )
        fields["conn"] = rng.choice((*CONNS, *CONNS, None, 7))
        if rng.random() < 0.4:
            fields["venue"] = rng.choice(("okx", "kraken", "", "nobody", None, 7, "o\u006bx"))
        if rng.random() < 0.3:
            fields["b64"] = rng.choice((base64.b64encode(b"|raw\xff").decode(), "fA==", "fA", "%", None))
        for name in FIELDS:
            if rng.random() < 0.05:
                fields.pop(name, None)
        if rng.random() < 0.2:
            fields[rng.choice(FIELDS[1:])] = rng.choice(("|extra", 1, None, [1, {"a": 2}]))
        pairs = [(name, json.dumps(value, ensure_ascii=rng.random() < 0.5)) for name, value in fields.items()]
        if rng.random() < 0.3:
            pairs = [(name, rng.choice(TIMES) if name == "ts" else value) for name, value in pairs]
        if pairs and rng.random() < 0.2:
            pairs.append(rng.choice(pairs))
        if rng.random() < 0.5:
            rng.shuffle(pairs)
        space = rng.choice(("", "", " "))
        return ("{" + f"{space},".join(f'"{name}":{space}{value}' for name, value in pairs) + "}" + space).encode()

    def text(self, lines: int) -> bytes:
        ends = (b"\n", b"\n", b"\n", b"\n", b"\n", b"\r\n", b"\n\n")
        text = b"".join(self.line() + self.rng.choice(ends) for _ in range(lines))
        return text if self.rng.random() < 0.7 else text.rstrip(b"\n")


def pieces(text: bytes, rng: Random) -> Iterator[bytes]:
    """The text in chunks of any size, none among them."""
    at = 0
    size = rng.choice((1, 7, 100, 5000))
    while at < len(text):
        end = at + rng.randrange(size + 1)
        yield text[at:end]
        at = end


def same(hurried: Hurried, text: bytes) -> bool:
    """Whether a file was read as with care; says of which line it was not."""
    seen, bad = careful(text)
    lines = text.split(b"\n")
    for number in sorted(set(bad) ^ set(hurried.bad[0])):
        raise AssertionError(f"line {number} is {'bad' if number in bad else 'good'}: {lines[number - 1]!r}")
    assert hurried.seen == seen
    return True


@examples(3)
@given(st.integers(0, 2**32))
def test_lines_in_a_hurry_are_lines_with_care(seed):
    """Any file in any chunks gives the records, in their order, and the bad line numbers of careful reading."""
    rng = Random(seed)
    text = Writer(rng).text(rng.choice((1, 10, 60)))
    hurried = Hurried([pieces(text, rng)]).run()
    assert same(hurried, text)
    assert hurried.truncated == [not text.endswith(b"\n") and text != b""]


def test_most_lines_need_no_care():
    """Lines written as usual, ASCII without \\u, go without Python, all but the first of each connection."""
    writer = Writer(Random(1))
    text = b"".join(writer.usual() + b"\n" for _ in range(500))
    hurried = Hurried([[text]]).run()
    assert same(hurried, text)
    plain = sum(line.isascii() and b"\\u" not in line for line in text.splitlines())
    assert 300 < plain - len(hurried.conns) <= hurried.quick


@pytest.mark.parametrize("seed", range(3))
def test_file_cut_into_two_chunks_anywhere(seed):
    """Wherever the first chunk ends, the records are the same."""
    text = Writer(Random(seed)).text(8)
    for cut in range(len(text) + 1):
        hurried = Hurried([[text[:cut], text[cut:]]]).run()
        assert same(hurried, text)


def test_file_in_single_bytes():
    """A file that comes byte by byte gives the same records."""
    text = Writer(Random(5)).text(12)
    hurried = Hurried([[text[at : at + 1] for at in range(len(text))]]).run()
    assert same(hurried, text)


@examples(1)
@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=4))
@example([1, 1, 1])
def test_files_are_merged_by_time(seeds):
    """The next record is always that of the file whose next one is the earliest, of equals that of the first file."""
    texts = [Writer(Random(seed)).text(20) for seed in seeds]
    hurried = Hurried([pieces(text, Random(seed)) for seed, text in zip(seeds, texts, strict=True)]).run()
    waiting = [careful(text, file)[0] for file, text in enumerate(texts)]
    expected = []
    while any(waiting):
        first = min((records[0] for records in waiting if records), key=lambda record: (record[1], record[0]))
        expected.append(waiting[first[0]].pop(0))
    assert hurried.seen == expected
    assert hurried.bad == [careful(text)[1] for text in texts]


RECV = b'{"t":"recv","ts":%d,"conn":"x","data":"|%d"}\n'


@pytest.mark.parametrize("chunk", [1 << 20, LINE_MAX + (1 << 20)])
def test_line_longer_than_any_record_is_one_bad_line(chunk):
    """A line of more than 64 MiB is told once, as bad, and the lines behind it keep their numbers."""
    before, behind = RECV % (1, 1) + RECV % (2, 2), RECV % (3, 3) + RECV % (4, 4)
    text = before + b"x" * (LINE_MAX + (3 << 20)) + b"\n" + behind
    hurried = Hurried([(text[at : at + chunk] for at in range(0, len(text), chunk))]).run()
    assert hurried.bad == [[3]]
    assert [record[1] for record in hurried.seen] == [1, 2, 3, 4]
    assert hurried.truncated == [False]


def test_file_that_ends_inside_a_line_too_long():
    """A file whose last line is too long and has no end is truncated, with one bad line."""
    hurried = Hurried([[RECV % (1, 1), *[b"x" * (1 << 20)] * 66]]).run()
    assert hurried.bad == [[2]]
    assert hurried.truncated == [True]


def test_longest_record_is_read():
    """A frame of a megabyte, all of it escapes, is read in a hurry like any other."""
    text = RECV % (1, 1) + b'{"t":"recv","ts":2,"conn":"x","data":"|%s"}\n' % (b"\\\\" * (1 << 20))
    hurried = Hurried([[text]]).run()
    assert hurried.quick == 1
    assert hurried.seen[1][5] == b"|" + b"\\" * (1 << 20)


def test_many_connections_keep_their_names():
    """However many connections a file has, each frame comes from its own."""
    text = b"".join(
        b'{"t":"recv","ts":%d,"conn":"c%d","data":"|%d"}\n' % (round_ * 1000 + conn, conn, conn)
        for round_ in range(3)
        for conn in range(300)
    )
    hurried = Hurried([[text]]).run()
    assert hurried.quick == 600
    assert all(name == f"c{data[1:].decode()}" for _, _, _, _, name, data in hurried.seen)
    assert hurried.seen == careful(text)[0]

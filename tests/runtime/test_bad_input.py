"""Damaged and strange captures: a clear message with file and line, the documented exit code, no traceback, and
everything before the damage is in the output."""

import gzip
import json
import os
import resource
import subprocess
import zlib
from pathlib import Path
from random import Random

import orjson
import pytest
import zstandard

from gambit.runtime.replay import BAD_LINES_TOLD
from gambit.sim.capture import make_capture
from tests.core.profile import CORE
from tests.runtime.running import COMMAND, ENVIRONMENT, WAIT_SEC, Outcome, gambit, run

CUTS = CORE.max_examples  # places at which a file is cut or hit
MIDDLE = 100  # lines before the damage
MEGABYTE = 1_000_000
READER_GONE = 141
HEADER = b'{"t":"header","v":1,"venue":"multi"}\n'
FRAME = {"t": "recv", "ts": 1750000001000000000, "conn": "kraken.ws.1", "venue": "kraken", "data": '{"channel":"x"}'}


def written(path: Path, content: bytes) -> Path:
    """A file with that content."""
    path.write_bytes(content)
    return path


def places(size: int, seed: int) -> list[int]:
    """Offsets all over a file, its first and last bytes among them."""
    rng = Random(seed)
    ends = [*range(min(12, size)), *range(max(0, size - 12), size)]
    return sorted({*ends, *(rng.randrange(size) for _ in range(CUTS))})


def in_frames(lines: list[bytes], size: int) -> list[bytes]:
    """The lines as zstd frames of `size` lines each, every frame with its checksum."""
    squeeze = zstandard.ZstdCompressor(write_checksum=True).compress
    return [squeeze(b"".join(lines[at : at + size])) for at in range(0, len(lines), size)]


# ---- cut and hit files ----


def test_a_plain_file_cut_anywhere(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """Cut inside a line: exit 1, one message about that line, and the ticks of all whole lines before it."""
    raw = b"".join(lines)
    for at in places(len(raw), 1):
        outcome = run(written(tmp_path / "cut.jsonl", raw[:at]))
        kept = raw[:at].splitlines(keepends=True)
        if not kept or kept[-1].endswith(b"\n"):
            continue
        number = len(kept)
        assert outcome.code == 1
        assert outcome.said[0] == f"{tmp_path}/cut.jsonl:{number}: truncated: the last line has no end"
        if number > 1:
            assert len(outcome.said) == 1
            last_is_whole = raw[at : at + 1] == b"\n"
            before = written(tmp_path / "before.jsonl", b"".join(lines[: number - (not last_is_whole)]))
            assert outcome.out == run(before).out
        assert whole.out.startswith(outcome.out)


@pytest.mark.parametrize("kind", ["zst", "gz"])
def test_a_compressed_file_cut_anywhere(kind: str, lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """Exit 1, one message, and what the bytes before the cut decompress to is in the output."""
    raw = b"".join(lines)
    packed = zstandard.ZstdCompressor().compress(raw) if kind == "zst" else gzip.compress(raw, mtime=0)
    for at in places(len(packed), 2):
        file = written(tmp_path / f"cut.jsonl.{kind}", packed[:at])
        unpack = zstandard.ZstdDecompressor().decompressobj() if kind == "zst" else zlib.decompressobj(31)
        readable = unpack.decompress(packed[:at])
        outcome = run(file)
        assert outcome.code == 1
        assert outcome.said[0].startswith(f"{file}:{readable.count(10) + 1}: ")
        assert ("truncated" in outcome.said[0]) == (at > 0)
        assert len(outcome.said) == (1 if at == 0 or readable.count(10) or not readable else 2)
        assert outcome.out == run(written(tmp_path / "readable.jsonl", readable)).out
        assert whole.out.startswith(outcome.out)


@pytest.mark.parametrize("flush", [0, 1])
def test_a_zst_file_hit_anywhere(flush: int, lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """One byte wrong: exit 1 with file and line, and every line of the frames before the damaged one is in the output,
    also where many frames fit into what is read at once."""
    frames = in_frames(lines, 40 if flush else 5)
    rng = Random(3)
    for number in sorted(rng.sample(range(1, len(frames)), min(len(frames) - 1, CUTS))):
        frame = bytearray(frames[number])
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
        file = written(tmp_path / "hit.jsonl.zst", b"".join([*frames[:number], bytes(frame), *frames[number + 1 :]]))
        outcome = run(file)
        before = run(written(tmp_path / "before.jsonl.zst", b"".join(frames[:number])))
        assert before.code == 0
        assert outcome.out.startswith(before.out)
        assert outcome.code == 1
        assert all(text.startswith(f"{file}:") for text in outcome.said)
    assert whole.out.startswith(before.out)


def test_a_gz_file_hit_anywhere(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """One byte wrong in the last member: exit 1, and the members before it are in the output."""
    members = [gzip.compress(b"".join(lines[:MIDDLE]), mtime=0), gzip.compress(b"".join(lines[MIDDLE:]), mtime=0)]
    before = run(written(tmp_path / "before.jsonl.gz", members[0]))
    rng, hits = Random(4), 0
    for at in places(len(members[1]), 5):
        if 3 < at < 10:
            continue  # flags, time and system of a member's header: no harm
        member = bytearray(members[1])
        member[at] ^= 1 << rng.randrange(8)
        file = written(tmp_path / "hit.jsonl.gz", members[0] + bytes(member))
        outcome = run(file)
        assert outcome.out.startswith(before.out), at
        if outcome.code == 0:
            assert outcome.out == whole.out  # a bit that means nothing
        else:
            assert outcome.said[-1].startswith(f"{file}:")
            hits += 1
    assert hits > CUTS // 2


@pytest.mark.parametrize("kind", ["zst", "gz"])
def test_rubbish_behind_the_last_frame(kind: str, lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """Exit 1, and the whole capture is in the output."""
    raw = b"".join(lines)
    packed = zstandard.ZstdCompressor().compress(raw) if kind == "zst" else gzip.compress(raw, mtime=0)
    file = written(tmp_path / f"rubbish.jsonl.{kind}", packed + b"and then some")
    outcome = run(file)
    assert outcome.code == 1
    assert outcome.said[0].startswith(f"{file}:{len(lines) + 1}: corrupt")
    assert outcome.out == whole.out


@pytest.mark.parametrize("left", [-40, 20, 0])
def test_one_cut_file_of_several(lines: list[bytes], whole: Outcome, tmp_path: Path, left: int) -> None:
    """The others are read to their end, also beside one that was cut inside its header or has nothing; the exit code
    says that one was not."""
    records = [orjson.loads(line) for line in lines[1:]]
    half = {
        venue: b"".join([lines[0], *(line for line, r in zip(lines[1:], records, strict=True) if r["venue"] == venue)])
        for venue in ("kraken", "binance")
    }
    cut = written(tmp_path / "kraken.jsonl", half["kraken"][:left])
    files = [cut, written(tmp_path / "binance.jsonl", half["binance"])]
    outcome = run(files)
    assert outcome.code == 1
    (said,) = outcome.said
    assert said.startswith(f"{cut}:")
    assert [t for t in outcome.out.splitlines() if b"binance" in t] == [
        t for t in whole.out.splitlines() if b"binance" in t
    ]


# ---- what is no capture at all ----

NO_CAPTURES = {
    "empty": b"",
    "a newline": b"\n",
    "binary rubbish": Random(6).randbytes(5000),
    "zeros": bytes(5000),
    "no header": json.dumps(FRAME).encode() + b"\n",
    "half a header": HEADER[:20],
    "header of version 2": HEADER.replace(b'"v":1', b'"v":2'),
    "header of version true": HEADER.replace(b'"v":1', b'"v":true'),
    "header without a version": b'{"t":"header","venue":"multi"}\n',
    "header without a venue": b'{"t":"header","v":1}\n',
    "header with a venue that is a number": b'{"t":"header","v":1,"venue":5}\n',
    "header of an unknown venue": HEADER.replace(b"multi", b"atlantis"),
    "header that is an array": b'["header",1,"multi"]\n',
    "byte order mark": b"\xef\xbb\xbf" + HEADER,
    "a page": b"<html><body>502 Bad Gateway</body></html>\n",
    "10 MB without a line end": b"x" * 10 * MEGABYTE,
}


@pytest.mark.parametrize("kind", NO_CAPTURES)
def test_what_is_no_capture(kind: str, lines: list[bytes], tmp_path: Path) -> None:
    """Exit 1 and one message about line 1, whatever follows."""
    file = written(tmp_path / "bad.jsonl", NO_CAPTURES[kind])
    outcome = gambit(file, "--emit", "ticks")
    assert (outcome.code, outcome.out) == (1, b"")
    assert outcome.said[-1].startswith(f"{file}:1: ")
    assert len(outcome.said[-1]) < 300
    if NO_CAPTURES[kind].endswith(b"\n"):
        assert len(outcome.said) == 1
        again = run(written(file, NO_CAPTURES[kind] + b"".join(lines[1:])))
        assert (again.code, again.out, again.said) == (1, b"", outcome.said)


@pytest.mark.parametrize("content", [b"", zstandard.compress(b""), gzip.compress(b"")], ids=["no", "zst", "gz"])
@pytest.mark.parametrize("suffix", ["zst", "gz"])
def test_compressed_nothing(suffix: str, content: bytes, tmp_path: Path) -> None:
    """A compressed file without any text is an empty file."""
    if content[:2] == (b"\x1f\x8b" if suffix == "zst" else b"\x28\xb5"):
        pytest.skip("compressed by another program than its name says")
    file = written(tmp_path / f"empty.jsonl.{suffix}", content)
    assert run(file) == Outcome(1, b"", (f"{file}:1: the file is empty; a capture begins with a header",))


@pytest.mark.parametrize("suffix", ["zst", "gz"])
def test_what_is_not_compressed(suffix: str, lines: list[bytes], tmp_path: Path) -> None:
    """A plain file by a compressed one's name is corrupt."""
    file = written(tmp_path / f"plain.jsonl.{suffix}", b"".join(lines))
    outcome = gambit(file)
    assert (outcome.code, outcome.out) == (1, b"")
    assert outcome.said[0].startswith(f"{file}:1: corrupt")


# ---- bad lines ----

BAD_LINES = {
    "nothing": b"",
    "blanks": b"   \t ",
    "half a line": json.dumps(FRAME).encode()[:50],
    "rubbish": b"nonsense",
    "binary rubbish": bytes(b for b in range(256) if b != 10),
    "no object": b"[1,2]",
    "null": b"null",
    "NaN": b'{"t":"recv","ts":NaN,"conn":"c","venue":"kraken","data":"{}"}',
    "two records": json.dumps(FRAME).encode() * 2,
    "no type": json.dumps({**FRAME, "t": None}).encode(),
    "unknown type": json.dumps({**FRAME, "t": "mystery"}).encode(),
    "a second header": HEADER.strip(),
    "no time": json.dumps({**FRAME, "ts": None}).encode(),
    "time as text": json.dumps({**FRAME, "ts": "1"}).encode(),
    "time with a fraction": json.dumps({**FRAME, "ts": 1.5}).encode(),
    "time that is true": json.dumps({**FRAME, "ts": True}).encode(),
    "time before 1970": json.dumps({**FRAME, "ts": -5}).encode(),
    "time of 64 bits": json.dumps({**FRAME, "ts": 2**63}).encode(),
    "time beyond 64 bits": json.dumps({**FRAME, "ts": 10**23}).encode(),
    "no connection": json.dumps({**FRAME, "conn": None}).encode(),
    "connection that is a number": json.dumps({**FRAME, "conn": 7}).encode(),
    "venue that is a number": json.dumps({**FRAME, "venue": 7}).encode(),
    "unknown venue": json.dumps({**FRAME, "venue": "atlantis"}).encode(),
    "no venue": json.dumps({name: value for name, value in FRAME.items() if name != "venue"}).encode(),
    "no data": json.dumps({name: value for name, value in FRAME.items() if name != "data"}).encode(),
    "data that is an object": json.dumps({**FRAME, "data": {}}).encode(),
    "no base64": json.dumps({**FRAME, "data": None, "b64": "*"}).encode(),
    "half a surrogate": json.dumps(FRAME).encode().replace(b"channel", b"\\ud800"),
    "close without connection": json.dumps({"t": "close", "ts": 1, "venue": "kraken"}).encode(),
    "connect without connection": json.dumps({"t": "connect", "ts": 1, "venue": "kraken"}).encode(),
    "http without address": json.dumps({"t": "http", "ts": 1, "venue": "kraken", "data": "{}"}).encode(),
    "http without data": json.dumps({"t": "http", "ts": 1, "venue": "kraken", "url": "x"}).encode(),
    "10 MB of rubbish": b"z" * 10 * MEGABYTE,
    "10 MB of an unknown type": json.dumps({**FRAME, "t": "x" * 10 * MEGABYTE}).encode(),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line(kind: str, lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """It is named with file and line number and skipped, exit 0; strict stops there with everything before it told."""
    file = written(tmp_path / "bad.jsonl", b"".join([*lines[:MIDDLE], BAD_LINES[kind] + b"\n", *lines[MIDDLE:]]))
    outcome = run(file)
    assert (outcome.code, outcome.out) == (0, whole.out)
    (said,) = outcome.said
    assert said.startswith(f"{file}:{MIDDLE + 1}: ")
    assert len(said) < 300
    strict = run(file, strict=True)
    before = run(written(tmp_path / "before.jsonl", b"".join(lines[:MIDDLE])))
    assert strict == Outcome(1, before.out, (said,))


def test_a_line_longer_than_any_record(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """A frame may have tens of megabytes; a line of more than that is told and left out."""
    long = json.dumps({**FRAME, "data": "x" * 70 * MEGABYTE}).encode() + b"\n"
    file = written(tmp_path / "long.jsonl", b"".join([*lines[:MIDDLE], long, *lines[MIDDLE:]]))
    said = f"{file}:{MIDDLE + 1}: longer than any record may be"
    assert run(file) == Outcome(0, whole.out, (said,))


def test_bad_lines_of_a_process(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """Each is reported once with its number, exit 0, and stats count them; with --strict exit 1 at the first."""
    bad = [*BAD_LINES.values()][:20]
    rows = [row for k, line in enumerate(bad) for row in (line + b"\n", lines[k + 1])]
    file = written(tmp_path / "bad.jsonl", b"".join([lines[0], *rows, *lines[len(bad) + 1 :]]))
    outcome = gambit(file, "--emit", "ticks")
    assert (outcome.code, outcome.out) == (0, whole.out)
    assert [text.split(": ")[0] for text in outcome.said] == [f"{file}:{2 * k + 2}" for k in range(len(bad))]
    stats = orjson.loads(gambit(file, "--emit", "stats").out)
    assert (stats["bad_lines"], stats["records"]) == (len(bad), len(lines) - 1)
    strict = gambit(file, "--emit", "ticks", "--strict")
    assert (strict.code, strict.out, strict.said) == (1, b"", outcome.said[:1])


def test_only_the_first_bad_lines_are_told(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """Of many bad lines the first are told, each with its number, then how many more there were; all are counted."""
    more = 1234
    for number, more_said in ((BAD_LINES_TOLD, ()), (BAD_LINES_TOLD + more, ("1,234 more bad lines up to its end",))):
        file = written(tmp_path / "bad.jsonl", b"".join([*lines[:MIDDLE], *[b"bad\n"] * number, *lines[MIDDLE:]]))
        outcome = run(file)
        assert (outcome.code, outcome.out) == (0, whole.out)
        told = outcome.said[:BAD_LINES_TOLD]
        assert [text.split(": ")[0] for text in told] == [f"{file}:{MIDDLE + 1 + k}" for k in range(BAD_LINES_TOLD)]
        assert outcome.said[BAD_LINES_TOLD:] == tuple(f"{file}: {text}" for text in more_said)
        stats = orjson.loads(run(file, "stats").out)
        assert stats["bad_lines"] == number


# ---- strange lines ----


def inserted(lines: list[bytes], *records: object) -> bytes:
    """The capture with records in its middle."""
    new = [orjson.dumps(record) + b"\n" for record in records]
    return b"".join([*lines[:MIDDLE], *new, *lines[MIDDLE:]])


@pytest.mark.parametrize(
    "record",
    [
        FRAME,
        {**FRAME, "conn": "", "data": '{"channel":"heartbeat"}'},
        {**FRAME, "ts": 0},
        {**FRAME, "data": '{"channel":"heartbeat","pad":"' + "y" * 10 * MEGABYTE + '"}'},
        {**FRAME, "conn": "other", "data": "z" * 10 * MEGABYTE},
        {"t": "close", "ts": 1, "conn": "nobody", "venue": "kraken"},
        {"t": "connect", "ts": 1, "conn": "nobody", "venue": "okx"},
        {"t": "send", "ts": 1, "venue": "kraken"},
        {"t": "http", "ts": 1, "venue": "kraken", "url": "https://x/0/public/Time", "data": "{}"},
        {"t": "http", "ts": 1, "venue": "kraken", "url": "https://[not an address", "data": "not JSON"},
        {"t": "connect", "ts": 1, "conn": "nobody", "venue": "bybit", "addr": "wss://[not an address"},
        {"t": "connect", "ts": 1, "conn": "nobody", "venue": "binance", "addr": "wss://[?timeUnit=MICROSECOND"},
        {**FRAME, "note": "a field that nobody knows", "venue": "kraken"},
    ],
    ids=lambda record: " ".join(str(value)[:30] for value in record.values()),
)
def test_a_strange_line_changes_nothing(record: object, lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """Lawful records that no book is about, some of 10 MB: nothing is reported and every tick is as it was."""
    outcome = run(written(tmp_path / "strange.jsonl", inserted(lines, record)))
    assert (outcome.code, outcome.said) == (0, ())
    assert outcome.out == whole.out


def test_line_ends_of_another_system(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """CR LF is a line end like any other."""
    outcome = run(written(tmp_path / "dos.jsonl", b"".join(lines).replace(b"\n", b"\r\n")))
    assert outcome == Outcome(0, whole.out, ())


def test_blank_lines_are_bad_lines(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """They are reported and harm nothing."""
    file = written(tmp_path / "blank.jsonl", b"".join([lines[0], b"\n", *lines[1:], b"\n"]))
    outcome = run(file)
    assert (outcome.code, outcome.out) == (0, whole.out)
    assert [text.split(": ")[0] for text in outcome.said] == [f"{file}:2", f"{file}:{len(lines) + 2}"]


def test_a_clock_that_steps_back(lines: list[bytes], tmp_path: Path) -> None:
    """Told times never step back: the clock is the largest time so far (R3)."""
    rng = Random(7)
    records = [orjson.loads(line) for line in lines]
    for record in records[1:]:
        record["ts"] -= rng.choice([0, 0, 1, 10**9, 10**18])
    outcome = run(written(tmp_path / "back.jsonl", b"".join(orjson.dumps(record) + b"\n" for record in records)))
    times = [orjson.loads(tick)["recv_ns"] for tick in outcome.out.splitlines()]
    assert (outcome.code, outcome.said) == (0, ())
    assert times == sorted(times)
    assert len(times) > 100


def test_a_time_far_ahead(lines: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    """One record from the next century moves the clock for all that follow, and nothing else."""
    far = 2**62 - 1
    outcome = run(written(tmp_path / "far.jsonl", inserted(lines, {**FRAME, "ts": far})))
    ticks, plain = ([orjson.loads(tick) for tick in text.splitlines()] for text in (outcome.out, whole.out))
    assert (outcome.code, outcome.said) == (0, ())
    assert {tick["recv_ns"] for tick in ticks[len(ticks) // 2 :]} == {far}
    assert [{**tick, "recv_ns": 0} for tick in ticks] == [{**tick, "recv_ns": 0} for tick in plain]


def test_a_second_connect_is_a_close_and_a_connect(lines: list[bytes], tmp_path: Path) -> None:
    """The connection's books are lost until their next snapshot, as after an honest close (D10)."""
    again = {"t": "connect", "ts": 1, "conn": "kraken.ws.1", "venue": "kraken", "addr": "wss://ws.kraken.com/v2"}
    twice = run(written(tmp_path / "twice.jsonl", inserted(lines, again)))
    close = {"t": "close", "ts": 1, "conn": "kraken.ws.1", "venue": "kraken"}
    honest = run(written(tmp_path / "honest.jsonl", inserted(lines, close, again)))
    assert twice == honest
    before = run(written(tmp_path / "before.jsonl", b"".join(lines[:MIDDLE])))
    kraken = [tick for tick in twice.out.splitlines() if b'"kraken"' in tick]
    assert kraken == [tick for tick in before.out.splitlines() if b'"kraken"' in tick] != []


# ---- where it goes ----


def test_usage_errors(capture: Path, tmp_path: Path) -> None:
    """No file, a folder, a file that is not there, a folder as output: exit 2 before anything is read."""
    for words in ([], [tmp_path], [tmp_path / "none.jsonl"], [capture, "-o", tmp_path]):
        outcome = gambit(*words)
        assert (outcome.code, outcome.out) == (2, b"")
        assert outcome.said


def test_an_output_that_cannot_be_opened(capture: Path, tmp_path: Path) -> None:
    """Exit 1, and the message names it."""
    target = tmp_path / "none" / "out.jsonl"
    outcome = gambit(capture, "-o", target)
    assert (outcome.code, outcome.out) == (1, b"")
    assert outcome.said == (f"{target}: No such file or directory",)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk(capture: Path) -> None:
    """Exit 1 and one line, for a file as for stdout."""
    named = gambit(capture, "--emit", "ticks", "-o", "/dev/full")
    with open("/dev/full", "wb") as full:
        piped = gambit(capture, "--emit", "ticks", stdout=full.fileno())
    for outcome in (named, piped):
        assert outcome.code == 1
        (said,) = outcome.said
        assert "No space left on device" in said
    assert named.said == ("gambit: /dev/full: No space left on device",)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_disk_that_fills_in_the_last_line(unbuffered: str, capture: Path, tmp_path: Path) -> None:
    """Exit 1 although nothing is written any more behind it, also where Python's own buffers are switched off."""
    size = len(run(capture, "books").out)
    with (tmp_path / "out.jsonl").open("wb") as out:
        done = subprocess.run(
            [*COMMAND, str(capture), "--emit", "books"],
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=WAIT_SEC,
            env={**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size - 10, size - 10)),
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"File too large" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_after_a_line(unbuffered: str, tmp_path: Path) -> None:
    """A closed pipe ends the replay without a word, also where Python's own buffers are switched off."""
    long = tmp_path / "long.jsonl"
    make_capture(long, venues=["okx", "kraken"], symbols=["BTC-USDT"], seconds=60, seed=3, depth=8)
    words = [*COMMAND, str(long), "--emit", "ticks"]
    env = {**ENVIRONMENT, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(WAIT_SEC), said) == (READER_GONE, b"")
    assert orjson.loads(first)["venue"] in ("okx", "kraken")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(capture: Path, tmp_path: Path) -> None:
    """A usage error that names it."""
    file = written(tmp_path / "secret.jsonl", capture.read_bytes())
    file.chmod(0)
    outcome = gambit(file)
    assert outcome.code == 2
    assert any(str(file) in text for text in outcome.said)

"""Log lines: complete, masked, one line an event, and never a reason to wait."""

import asyncio
import json
import logging
import os
import time
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars

from gambit.runtime import logs as logs_module
from gambit.runtime.logs import Logs, Sink
from gambit.vault import MASK, Redactor

MOMENT = 1_750_000_000_123_456_789


class Paper(Sink):
    """A sink that keeps what is written."""

    def __init__(self) -> None:
        reader, self.writer = os.pipe()
        super().__init__(self.writer)
        self.reader = os.fdopen(reader, "rb")

    def lines(self) -> list[str]:
        """All of it; ends the writing."""
        self.close()
        os.close(self.writer)
        with self.reader:
            return self.reader.read().decode().split("\n")[:-1]


def logs(paper: Sink, style: Literal["text", "json"] = "json", level: str = "info") -> Logs:
    """A log with a clock that stands."""
    return Logs(paper, lambda: MOMENT, level=level, style=style)


def test_a_line_of_json() -> None:
    """Time, level, what happened, what is bound to the logger and to the work at hand."""
    paper = Paper()
    log = logs(paper).logger(part="feed")
    log.info("connected", venue="kraken", ns=1 << 60)
    with bound_contextvars(correlation_id="c-1"):
        log.warning("late")
    log.error("failed", detail={"a": [1, None, 2.5]}, kind=ValueError)
    first, second, third = map(json.loads, paper.lines())
    assert first == {
        "ts": "2025-06-15T15:06:40.123456Z", "level": "info", "part": "feed", "venue": "kraken", "ns": 1 << 60,
        "event": "connected",
    }  # fmt: skip
    assert (second["level"], second["correlation_id"]) == ("warning", "c-1")
    assert third["detail"] == {"a": [1, None, 2.5]}
    assert "correlation_id" not in third


def test_a_line_for_people() -> None:
    """Time of day, level, words, values; a traceback is indented below."""
    paper = Paper()
    log = logs(paper, "text").logger(venue="okx")
    log.info("connected", conn="ws-1", why="it was due", n=3)
    try:
        raise ValueError("no")
    except ValueError as error:
        log.error("failed", exc_info=error)
    lines = paper.lines()
    assert lines[0] == '15:06:40.123 info    connected  venue=okx  conn=ws-1  why="it was due"  n=3'
    assert lines[1] == "15:06:40.123 error   failed  venue=okx"
    assert lines[2] == "    Traceback (most recent call last):"
    assert lines[-1] == "    ValueError: no"


def test_colours_are_for_terminals() -> None:
    """Warnings and errors stand out where colours are wanted."""
    paper = Paper()
    log = Logs(paper, lambda: MOMENT, is_coloured=True).logger()
    log.info("fine")
    log.error("bad")
    assert paper.lines() == ["15:06:40.123 info    fine", "\x1b[31m15:06:40.123 error   bad\x1b[0m"]


def test_the_level_can_be_changed() -> None:
    """Loggers handed out before follow."""
    paper = Paper()
    kept = logs(paper, level="warning")
    log = kept.logger()
    log.info("not said")
    log.debug("not said")
    kept.level = "debug"
    log.debug("said")
    assert [json.loads(line)["event"] for line in paper.lines()] == ["said"]


@given(st.text())
def test_nothing_from_outside_begins_a_line(text: str) -> None:
    """Newlines, escapes, any letter, as event, key's value or nested: one event is one line, and JSON is JSON."""
    for style in ("text", "json"):
        paper = Paper()
        logs(paper, style).logger().info(text, value=text, nested=[text, {"k": text}])  # type: ignore[arg-type]
        [line] = paper.lines()
        assert "\x1b" not in line
        if style == "json":
            assert json.loads(line)["value"] == text.encode(errors="replace").decode()


def test_secrets_are_masked() -> None:
    """By the name of the key, at any depth, and by value wherever a known secret stands."""
    paper = Paper()
    kept = logs(paper)
    kept.redactor.learn("canary-7f3a9b")
    kept.redactor.learn("short")
    log = kept.logger()
    log.info(
        "signed with canary-7f3a9b", api_key="K", headers={"X-Signature": "s", "Authorization": ["b"], "Accept": "*"}
    )
    log.info(
        "x", body=b"..canary-7f3a9b..", deep=[[[{"Passphrase": "p", "url": "?k=canary-7f3a9b"}]]], refresh_token=""
    )
    try:
        raise RuntimeError("canary-7f3a9b refused")
    except RuntimeError as error:
        log.error("y", exc_info=error, cause=error)
    text = "\n".join(paper.lines())
    assert "canary" not in text
    first, second, third = map(json.loads, text.split("\n"))
    assert first["event"] == f"signed with {MASK}"
    assert (first["api_key"], first["headers"]) == (MASK, {"X-Signature": MASK, "Authorization": MASK, "Accept": "*"})
    assert second["deep"] == [[[{"Passphrase": MASK, "url": f"?k={MASK}"}]]]
    assert (second["body"], second["refresh_token"]) == (f"..{MASK}..", "")
    assert f"RuntimeError: {MASK} refused" in third["exception"]
    assert third["cause"] == f"{MASK} refused"


def test_endless_values_are_cut_off() -> None:
    """What refers to itself still ends."""
    endless: list[Any] = []
    endless.append(endless)
    assert "[...]" in str(Redactor().masked(endless))


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The standard root logger, put back afterwards."""
    found = logging.getLogger()
    before = found.handlers, found.level
    yield found
    found.handlers, level = before
    found.setLevel(level)
    logging.captureWarnings(False)


def test_what_libraries_log_comes_here(root: logging.Logger) -> None:
    """With their name; below the level it does not; a faulty format string is no catastrophe."""
    paper = Paper()
    logs(paper, level="debug").take_over(logging.INFO)
    library = logging.getLogger("aiohttp.server")
    library.info("%d requests", 3)
    library.debug("not said")
    library.warning("%d %d", 3)
    try:
        raise ValueError("no")
    except ValueError:
        library.exception("failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning("old", DeprecationWarning, "file.py", 3)
    told = [json.loads(line) for line in paper.lines()]
    assert [(one["level"], one["event"], one["source"]) for one in told[:3]] == [
        ("info", "3 requests", "aiohttp.server"),
        ("warning", "%d %d", "aiohttp.server"),
        ("error", "failed", "aiohttp.server"),
    ]
    assert "ValueError: no" in told[2]["exception"]
    assert "DeprecationWarning: old" in told[3]["event"]


def test_a_full_pipe_holds_nobody_up() -> None:
    """Lines beyond the queue are dropped and counted; when the reader is back it hears of the gap, in order."""
    reader, writer = os.pipe()
    sink = Sink(writer, bytes_max=100_000)
    log = Logs(sink, lambda: MOMENT, style="json").logger()
    for n in range(5_000):
        log.info("x", n=n, pad="p" * 200)
    assert sink.dropped > 3_000
    with os.fdopen(reader, "rb") as pipe:
        numbers: list[int] = []
        missing = 0
        while len(numbers) + missing < 5_000:
            said = json.loads(pipe.readline())
            if said["event"] == "log lines were dropped":
                missing += said["count"]
            else:
                numbers.append(said["n"])
        assert missing == sink.dropped
        assert numbers == sorted(set(numbers))
        log.info("y")
        assert json.loads(pipe.readline())["event"] == "y"
        sink.close()
        os.close(writer)


def test_a_reader_that_is_gone_ends_the_writing_only() -> None:
    """A closed pipe raises nothing; what comes later is counted as dropped."""
    reader, writer = os.pipe()
    os.close(reader)
    sink = Sink(writer)
    log = Logs(sink, lambda: MOMENT).logger()
    log.info("x")
    sink.close()
    log.info("y")
    assert sink.dropped == 1
    os.close(writer)


def test_a_descriptor_that_does_not_wait_is_waited_for() -> None:
    """Standard error of a terminal shared with another program may be switched so: no line is lost by it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    sink = Sink(writer, bytes_max=10_000_000)
    log = Logs(sink, lambda: MOMENT, style="json").logger()
    for n in range(2_000):  # more than a pipe holds
        log.info("x", n=n, pad="p" * 200)
    with os.fdopen(reader, "rb") as pipe:
        assert [json.loads(pipe.readline())["n"] for _ in range(2_000)] == list(range(2_000))
    sink.close()
    os.close(writer)


def test_a_full_disk_costs_the_lines_of_its_time_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted, told when there is room again, and the daemon goes on logging."""
    monkeypatch.setattr(logs_module, "RETRY_SEC", 0.001)
    full, other = os.open("/dev/full", os.O_WRONLY), os.dup(2)
    reader, writer = os.pipe()
    os.dup2(full, other)
    sink = Sink(other)
    log = Logs(sink, lambda: MOMENT, style="json").logger()
    log.info("lost")
    while not sink.dropped:
        time.sleep(0.001)  # for the writer's thread
    os.dup2(writer, other)
    log.info("kept")
    with os.fdopen(reader, "rb") as pipe:
        told = [json.loads(pipe.readline()) for _ in range(2)]
    assert {one["event"]: one.get("count") for one in told} == {"kept": None, "log lines were dropped": 1}
    sink.close()
    for descriptor in (full, other, writer):
        os.close(descriptor)


async def test_ids_stay_with_their_work() -> None:
    """Two coroutines that take turns do not mix up what belongs to whom."""
    paper = Paper()
    log = logs(paper).logger()

    async def work(name: str) -> None:
        with bound_contextvars(correlation_id=name):
            for _ in range(3):
                log.info(name)
                await asyncio.sleep(0)

    await asyncio.gather(work("a"), work("b"))
    told = [json.loads(line) for line in paper.lines()]
    assert len(told) == 6
    assert all(one["event"] == one["correlation_id"] for one in told)

"""Structured log lines to stderr, for people or for machines; writing never waits for whoever reads them.

Lines go through a bounded queue to a thread; when the reader is too slow lines are dropped, counted, and the gap is
told once it reads again. Secrets are masked by the name of their key and, when known, by their value, wherever they
stand.
"""

import errno
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson
import structlog

from gambit.vault.redaction import Redactor

QUEUE_BYTES_MAX: Final = 1 << 20
FLUSH_SEC: Final = 1.0
RETRY_SEC: Final = 1.0  # after a write that failed
GONE: Final = frozenset({errno.EPIPE, errno.EBADF, errno.EIO})  # nobody will read this any more; EIO: a terminal
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
COLOURS: Final = {"debug": "\x1b[2m", "warning": "\x1b[33m", "error": "\x1b[31m"}
PLAIN: Final = "\x1b[0m"

Event = MutableMapping[str, Any]


class Sink:
    """Writes lines to a descriptor from a thread of its own."""

    def __init__(self, fd: int, bytes_max: int = QUEUE_BYTES_MAX) -> None:
        self.dropped = 0
        self.gap_line: Callable[[int], bytes] = lambda count: b"%d log lines were dropped\n" % count
        self._fd = fd
        self._bytes_max = bytes_max
        self._bytes = 0
        self._told = 0
        self._lines: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Queue a line with its newline; it is dropped when the queue is full."""
        with self._changed:
            if self._is_closed or self._bytes + len(line) > self._bytes_max:
                self.dropped += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify()

    def close(self, flush_sec: float = FLUSH_SEC) -> None:
        """Write what is queued, for at most so long."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(flush_sec)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._is_closed or self.dropped != self._told)
                if self._is_closed and not self._lines:
                    return
                gap, self._told = self.dropped - self._told, self.dropped
                lines = list(self._lines)
                self._lines.clear()
            is_out = self._put(b"".join(lines) + (self.gap_line(gap) if gap else b""))
            with self._changed:
                self._bytes = sum(len(line) for line in self._lines)
                if not is_out:
                    self.dropped += len(lines)
                    self._told -= gap
                    self._changed.wait_for(lambda: self._is_closed, RETRY_SEC)

    def _put(self, batch: bytes) -> bool:
        """Write it whole; False where a full disk, say, does not take it. A reader that is gone ends the writing, not
        the daemon; one that is slow is waited for, also where the descriptor does not wait."""
        while batch:
            try:
                batch = batch[os.write(self._fd, batch) :]
            except BlockingIOError:
                select.select([], [self._fd], [])
            except OSError as error:
                if error.errno not in GONE:
                    return False
                with self._changed:
                    self._is_closed = True
                    self._lines.clear()
                return True
        return True


class Logger(structlog.BoundLoggerBase):
    """What the daemon's parts log with: an event in words, everything else as `key=value`."""

    _logger: "Logs"

    def debug(self, event: str, **values: Any) -> None:
        """For whoever looks for a fault."""
        self._log("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        """The daemon's life."""
        self._log("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        """Somebody may have to do something."""
        self._log("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        """Somebody has to do something; `exc_info=error` adds the traceback."""
        self._log("error", event, values)

    def _log(self, level: str, event: str, values: dict[str, Any]) -> None:
        if LEVELS[level] >= LEVELS[self._logger.level]:
            self._proxy_to_logger(level, event, **values)


class Logs:
    """The daemon's log: hands out loggers, and takes over what libraries log in the standard way.

    Ids that belong to a whole piece of work are bound with `structlog.contextvars.bound_contextvars` and stand in each
    of its lines. `level` may be changed at any time.
    """

    def __init__(
        self,
        sink: Sink,
        now_ns: Callable[[], int],
        *,
        level: str = "info",
        style: Literal["text", "json"] = "text",
        is_coloured: bool = False,
        redactor: Redactor | None = None,
    ) -> None:
        self.sink = sink
        self.level = level
        self.redactor = redactor if redactor is not None else Redactor()
        self._now_ns = now_ns
        self._is_coloured = is_coloured
        self._processors = (
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            self.redactor,
            self._json if style == "json" else self._text,
        )
        sink.gap_line = self._gap_line
        self.debug = self.info = self.warning = self.error = sink.write  # what structlog calls with the finished line

    def logger(self, **bound: Any) -> Logger:
        """A logger; `bound` stands in each of its lines."""
        return Logger(self, self._processors, bound)

    def take_over(self, level: int = logging.WARNING) -> None:
        """What libraries log at `level` or above, and Python's warnings, come here from now on."""
        logging.captureWarnings(True)
        root = logging.getLogger()
        root.handlers = [_Bridge(self.logger())]
        root.setLevel(level)

    def _gap_line(self, count: int) -> bytes:
        line: bytes = self._processors[-1](self, "warning", {"event": "log lines were dropped", "count": count})
        return line

    def _json(self, _logger: object, method: str, event: Event) -> bytes:
        """One JSON object."""
        line = {"ts": _rfc3339(self._now_ns()), "level": method, **event}
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"

    def _text(self, _logger: object, method: str, event: Event) -> bytes:
        """Time, level, what happened, `key=value`; no value can begin a line of its own."""
        moment = datetime.fromtimestamp(self._now_ns() / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
        trace = event.pop("exception", "")
        said = _one_line(str(event.pop("event", "")))
        rest = "".join(f"  {key}={_one_line(_worded(value))}" for key, value in event.items())
        line = f"{moment} {method:<7} {said}{rest}"
        if self._is_coloured and method in COLOURS:
            line = f"{COLOURS[method]}{line}{PLAIN}"
        lines = [line, *(f"    {part}" for part in trace.splitlines())]
        return ("\n".join(lines) + "\n").encode(errors="backslashreplace")


class _Bridge(logging.Handler):
    """Standard log records as events of ours."""

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises: a library's faulty format string is logged as it stands."""
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        tell = self._logger.error if record.levelno >= logging.ERROR else self._logger.warning
        if record.levelno < logging.WARNING:
            tell = self._logger.info if record.levelno >= logging.INFO else self._logger.debug
        if record.exc_info:
            tell(text, source=record.name, exc_info=record.exc_info)
        else:
            tell(text, source=record.name)


def _worded(value: object) -> str:
    """A value for people: text as it is unless blanks would blur it, everything else as JSON."""
    if isinstance(value, str):
        is_clear = value and " " not in value and '"' not in value
        return value if is_clear else orjson.dumps(value.encode(errors="replace").decode()).decode()
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _one_line(text: str) -> str:
    """Control characters written out, so that nothing that came from outside can fake a line."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _rfc3339(ns: int) -> str:
    seconds, fraction = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction // 1000:06d}Z"

"""`gambit record`: raw frames with their receive times and what was decided from them, in the order they came.

A session is a folder: session.json (versions, configuration and its hash), frames.jsonl.zst (a capture of contract.md)
and decisions.jsonl (each signal and episode end as the engine worded it). `replay --verify` runs the frames again and
compares. A thread formats, compresses and writes; the loop only hands over. When the disk cannot follow, frames are
dropped, counted, and every connection is closed and opened again in the capture, so that no replay believes a book
across the hole.
"""

import base64
import hashlib
import io
import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import orjson
import zstandard

from gambit import __version__
from gambit.config import Config
from gambit.jsons import kept_json

WAITING_BYTES_MAX: Final = 256 * 1024 * 1024
FLUSH_SECONDS: Final = 1.0  # what a crash may cost of a recording
FRAMES, DECISIONS, SESSION = "frames.jsonl.zst", "decisions.jsonl", "session.json"


class RecorderError(Exception):
    """A recording that cannot begin or be read."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording was made with."""

    version: str
    started_ns: int
    config_hash: str
    config: dict[str, Any]
    books: tuple[
        tuple[str, str], ...
    ] = ()  # (venue, symbol) in the market's order: what one instant ends is told by it
    dropped: int = 0
    is_whole: bool = False  # it was ended in good order and nothing was dropped


class Output(Protocol):
    """Where bytes go; a file, or a test's."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


def config_json(config: Config) -> dict[str, Any]:
    """The settings that decide what is found, as JSON; secrets are references and stay so."""
    shape: dict[str, Any] = json.loads(msgspec.json.encode(config))
    return shape


def config_hash(config: Config) -> str:
    """BLAKE2b-128 over the settings in a canonical form."""
    canonical = json.dumps(config_json(config), sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


class Recorder:
    """Writes a session into a new folder. Raises RecorderError when the folder is not empty, OSError."""

    def __init__(self, folder: Path, config: Config, started_ns: int, on_failure: Callable[[str], None]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RecorderError(f"{folder}: not empty; a recording wants a folder of its own")
        self.folder = folder
        self.dropped = 0
        self.failed: str | None = None
        self._on_failure = on_failure
        self._session = Session(
            version=__version__, started_ns=started_ns, config_hash=config_hash(config), config=config_json(config)
        )
        self._write_session()
        self.books: Callable[[], Sequence[tuple[str, str]]] = tuple  # of the market, in its order
        self._open: dict[tuple[str, str], str] = {}
        self._waiting: deque[tuple[bytes, bytes | None]] = deque()  # (head of a record, its text); (nothing, decision)
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_ending = False
        self._is_session_due = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    # ---- what the feeds tell (on the loop; nothing here waits) ----

    def opened(self, venue: str, conn: str, address: str, ts_ns: int) -> None:
        """A connection stands; which books are wanted is known by then."""
        if not self._session.books:
            self._session = msgspec.structs.replace(self._session, books=tuple(self.books()))
            self._is_session_due = True
        self._open[venue, conn] = address
        self._put(_line("connect", ts_ns, venue, conn) + b',"addr":' + orjson.dumps(address), None)

    def closed(self, venue: str, conn: str, ts_ns: int) -> None:
        """A connection is gone."""
        self._open.pop((venue, conn), None)
        self._put(_line("close", ts_ns, venue, conn), None)

    def sent(self, venue: str, conn: str, data: bytes, ts_ns: int) -> None:
        """A request left on a connection."""
        self._put(_line("send", ts_ns, venue, conn), data)

    def received(self, venue: str, conn: str, data: bytes, ts_ns: int) -> None:
        """A frame came."""
        self._put(_line("recv", ts_ns, venue, conn), data)

    def fetched(self, venue: str, url: str, data: bytes, ts_ns: int) -> None:
        """A REST answer came."""
        self._put(_line("http", ts_ns, venue, "rest") + b',"url":' + orjson.dumps(url), data)

    def decided(self, event: dict[str, Any]) -> None:
        """A signal or an episode's end."""
        if self.failed is not None:
            return
        with self._lock:
            self._waiting.append((b"", kept_json(event)))
        self._wake.set()

    def _put(self, head: bytes, data: bytes | None) -> None:
        if self.failed is not None:
            return
        with self._lock:
            if self._waiting_bytes > WAITING_BYTES_MAX:
                self.dropped += 1
                return
            if self.dropped != self._session.dropped and self._waiting_bytes == 0:
                self._mark_hole(head)
            self._waiting.append((head, data))
            self._waiting_bytes += len(head) + len(data or b"")
        if not self._wake.is_set():
            self._wake.set()

    def _mark_hole(self, head: bytes) -> None:
        """Behind dropped frames: every connection ends and begins again, at the time of the record that follows."""
        ts_ns = int(head[head.index(b'"ts":') + 5 : head.index(b',"venue"')])
        for (venue, conn), address in self._open.items():
            self._waiting.append((_line("close", ts_ns, venue, conn), None))
            self._waiting.append((_line("connect", ts_ns, venue, conn) + b',"addr":' + orjson.dumps(address), None))
        self._session = msgspec.structs.replace(self._session, dropped=self.dropped)

    # ---- the thread ----

    def _run(self) -> None:
        try:
            with (
                (self.folder / FRAMES).open("wb") as frames,
                zstandard.ZstdCompressor(level=3).stream_writer(frames, closefd=False) as packed,
                (self.folder / DECISIONS).open("wb") as decisions,
            ):
                packed.write(b'{"t":"header","v":1,"venue":"multi","source":"gambit","clock":"wall, monotonic"}\n')
                while True:
                    self._wake.wait(FLUSH_SECONDS)
                    self._wake.clear()
                    self._write_waiting(packed, decisions)
                    packed.flush(zstandard.FLUSH_BLOCK)
                    decisions.flush()
                    if self._is_ending and not self._waiting:
                        return
        except OSError as error:
            self._fail(f"{error.filename or self.folder}: {error.strerror or error}")
        except Exception as error:
            self._fail(f"{self.folder}: {error!r}")

    def _fail(self, why: str) -> None:
        """Nothing is taken in any more, nor kept of what waited."""
        with self._lock:
            self.failed = why
            self._waiting.clear()
        self._on_failure(why)

    def _write_waiting(self, packed: Output, decisions: Output) -> None:
        if self._is_session_due:
            self._is_session_due = False
            self._write_session()
        while self._waiting:
            with self._lock:
                batch = list(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
            lines = io.BytesIO()
            for head, data in batch:
                if head:
                    lines.write(head + _text(data) + b"}\n")
                else:
                    decisions.write((data or b"") + b"\n")
            packed.write(lines.getvalue())

    def close(self) -> None:
        """Write what waits and end the session; blocks until the files are closed."""
        self._is_ending = True
        self._wake.set()
        self._thread.join()
        is_whole = self.failed is None and self.dropped == 0
        self._session = msgspec.structs.replace(
            self._session, books=tuple(self.books()), dropped=self.dropped, is_whole=is_whole
        )
        self._write_session()

    def _write_session(self) -> None:
        path = self.folder / SESSION
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(self._session), indent=2) + b"\n")
        fresh.replace(path)


def _line(kind: str, ts_ns: int, venue: str, conn: str) -> bytes:
    """A record up to its text; names of venues and connections are our own and need no escapes."""
    return f'{{"t":"{kind}","ts":{ts_ns},"venue":"{venue}","conn":"{conn}"'.encode()


def _text(data: bytes | None) -> bytes:
    """The text of a record, as `b64` where it is no text."""
    if data is None:
        return b""
    try:
        return b',"data":' + orjson.dumps(data.decode())
    except UnicodeDecodeError:
        return b',"b64":' + orjson.dumps(base64.b64encode(data).decode())


def read_session(folder: Path) -> Session:
    """The session of a recording. Raises RecorderError."""
    path = folder / SESSION
    try:
        return msgspec.json.decode(path.read_bytes(), type=Session)
    except OSError as error:
        raise RecorderError(f"{path}: {error.strerror or error}; is {folder} a recording?") from error
    except msgspec.DecodeError as error:
        raise RecorderError(f"{path}: {error}") from error

"""The control socket's client, for the CLI and its terminal view: plain blocking calls and a stream of events."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from gambit.surface import rpc, socketfile

READ_BYTES = 1 << 16
TIMEOUT_SEC = 5.0


class ControlError(Exception):
    """A call that gave no result."""


class NotRunning(ControlError):
    """Nobody listens at the socket."""


class NoAnswer(ControlError):
    """Somebody listens but does not answer in time, or hangs up."""


class Denied(ControlError):
    """The daemon belongs to another user."""


class Failed(ControlError):
    """The daemon answered with an error."""

    def __init__(self, code: int, message: str, data: object) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class _Line(msgspec.Struct):
    """Any line the daemon sends: an answer or an event."""

    id: int | str | None = None
    result: Any = msgspec.UNSET
    error: dict[str, Any] | None = None
    method: str = ""
    params: rpc.Event | None = None


_lines = msgspec.json.Decoder(_Line)


def call(path: Path, method: str, params: object = None, timeout_sec: float = TIMEOUT_SEC) -> Any:
    """One call on a connection of its own; see Session.call."""
    with Session(path, timeout_sec) as session:
        return session.call(method, params)


class Session:
    """A connection to the daemon at `path`. Raises NotRunning, Denied or NoAnswer when there is none to be had."""

    def __init__(self, path: Path, timeout_sec: float = TIMEOUT_SEC) -> None:
        self.path = path
        self.timeout_sec = timeout_sec
        self._stream = _connected(path, timeout_sec)
        self._pending = bytearray()
        self._events: list[rpc.Event] = []
        self._calls = 0

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def call(self, method: str, params: object = None, timeout_sec: float | None = None) -> Any:
        """The result of a method; `params` is a mapping or a struct.

        Raises Failed with the daemon's error, NoAnswer when none comes within `timeout_sec` or the daemon hangs up,
        ControlError for text that is not UTF-8.
        """
        self._calls += 1
        try:
            request = rpc.request_line(method, {} if params is None else params, self._calls)
        except UnicodeEncodeError as error:
            raise ControlError(f"{method}: what it is given is not UTF-8 text") from error
        self._send(request)
        deadline = time.monotonic() + (self.timeout_sec if timeout_sec is None else timeout_sec)
        while True:
            line = self._next(deadline)
            if line.params is not None:
                self._events.append(line.params)
            elif line.error is not None:
                raise Failed(int(line.error["code"]), str(line.error["message"]), line.error.get("data"))
            elif line.id == self._calls:
                return line.result

    def events(self, *topics: str) -> Iterator[rpc.Event]:
        """Subscribe, then give each event as it comes; ends with NoAnswer when the daemon hangs up."""
        self.call("subscribe", {"topics": topics})
        while True:
            while self._events:
                yield self._events.pop(0)
            line = self._next(deadline=None)
            if line.params is not None:
                yield line.params

    def _send(self, line: bytes) -> None:
        self._stream.settimeout(self.timeout_sec)
        try:
            self._stream.sendall(line)
        except TimeoutError as error:
            raise NoAnswer(f"{self.path}: the daemon takes no request; is it stopped or very busy?") from error
        except OSError:
            return  # what the daemon said before it hung up is read next

    def _next(self, deadline: float | None) -> _Line:
        """The next line; raises NoAnswer at the deadline (monotonic seconds) or when the daemon hangs up."""
        while (end := self._pending.find(b"\n")) < 0:
            left = None if deadline is None else deadline - time.monotonic()
            try:
                if left is not None and left <= 0:
                    raise TimeoutError
                self._stream.settimeout(left)
                piece = self._stream.recv(READ_BYTES)
            except TimeoutError as error:
                raise NoAnswer(f"{self.path}: no answer in time; is the daemon stopped or very busy?") from error
            except OSError as error:
                raise NoAnswer(f"{self.path}: the daemon hung up: {error.strerror or error}") from error
            if not piece:
                raise NoAnswer(f"{self.path}: the daemon hung up")
            self._pending += piece
        line = bytes(self._pending[:end])
        del self._pending[: end + 1]
        try:
            return _lines.decode(line)
        except msgspec.DecodeError as error:
            raise NoAnswer(f"{self.path}: what answers is no gambit: {error}") from error


def _connected(path: Path, timeout_sec: float) -> socket.socket:
    try:
        return socketfile.connect(path, timeout_sec)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        raise NotRunning(f"no daemon runs at {path}; `gambit start -c FILE` starts one") from error
    except PermissionError as error:
        raise Denied(f"{path}: the daemon belongs to another user; become that user, or root") from error
    except OSError as error:
        raise NoAnswer(f"{path}: cannot connect: {error.strerror or error}") from error

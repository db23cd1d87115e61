"""Requests with an Idempotency-Key: done once, answered as often as they are asked, for 24 hours, over restarts too.

That a request begins is on disk before it is carried out, and its answer before it leaves. One that began and of which
no answer is known, because the daemon was killed in between, is never done again: whoever asks is told to look.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from gambit.access.refusal import Refusal
from gambit.threads import in_thread
from gambit.web.problem import Problem

FILE: Final = "replays.jsonl"
KEPT_NS: Final = 24 * 3600 * 1_000_000_000
KEPT_MAX: Final = 10_000
LINES_MAX: Final = 4 * KEPT_MAX  # of the file; then it is written anew without what is old
KEY: Final = re.compile(r"[!-~]{1,128}")


class Answered(msgspec.Struct, frozen=True):
    """As it left."""

    status: int
    body: bytes


class _Line(msgspec.Struct, frozen=True):
    """`answer` None: it began, or with `is_dropped` it came to nothing and may be tried again."""

    name: str
    digest: str
    at_ns: int
    answer: Answered | None = None
    is_dropped: bool = False


class Claim:
    """One request under its key: `answer` when it was given before."""

    def __init__(self, replays: "Replays", line: _Line, answer: Answered | None) -> None:
        self._replays = replays
        self._line = line
        self.answer = answer

    async def keep(self, status: int, body: bytes) -> None:
        """The answer that will be given from now on."""
        await self._replays.note(msgspec.structs.replace(self._line, answer=Answered(status, body)))


class Replays:
    """`folder` None keeps them in memory only."""

    def __init__(self, folder: Path | None, now_ns: Callable[[], int]) -> None:
        self._path = None if folder is None else folder / FILE
        self._now_ns = now_ns
        self._known: dict[str, _Line] = {}
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}  # and how many have or want it
        self._writing = asyncio.Lock()
        self._lines = 0

    def open(self) -> None:
        """Read what is kept and write it anew without what is old. A last line that a kill cut off is dropped: what it
        was to say had not been promised. Raises OSError."""
        if self._path is None or not self._path.exists():
            return
        for raw in self._path.read_bytes().splitlines():
            try:
                self._take(msgspec.json.decode(raw, type=_Line))
            except msgspec.DecodeError:
                continue
        self._forget()
        self._rewrite(self._path)

    def _rewrite(self, path: Path) -> None:
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        lines = list(self._known.values())
        _append(fresh, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        fresh.replace(path)
        self._lines = len(lines)

    @asynccontextmanager
    async def claim(self, scope: str, key: str, body: bytes) -> AsyncIterator[Claim]:
        """Have the key for a while: who asks with the same one waits. Raises Problem: 422 for a key that is none, 409
        for another body, or for a request whose outcome is not known."""
        if not KEY.fullmatch(key):
            raise Problem(422, "invalid", "Idempotency-Key: 1 to 128 printable ASCII characters are due")
        name = hashlib.sha256(f"{scope}\n{key}".encode()).hexdigest()
        digest = hashlib.sha256(body).hexdigest()
        lock, waiting = self._locks.get(name, (asyncio.Lock(), 0))
        self._locks[name] = (lock, waiting + 1)
        try:
            async with lock, self._claimed(name, digest) as claim:
                yield claim
        finally:
            _, waiting = self._locks[name]
            if waiting > 1:
                self._locks[name] = (lock, waiting - 1)
            else:
                del self._locks[name]

    @asynccontextmanager
    async def _claimed(self, name: str, digest: str) -> AsyncIterator[Claim]:
        self._forget()
        known = self._known.get(name)
        if known is not None:
            if known.digest != digest:
                raise Problem(409, "key_reused", "this Idempotency-Key came with another body before")
            if known.answer is None:
                raise Problem(409, "unknown_outcome", "this request began before and its outcome is not known: look")
            yield Claim(self, known, known.answer)
            return
        line = _Line(name, digest, self._now_ns())
        await self.note(line)
        try:
            yield Claim(self, line, None)
        except (Problem, Refusal):
            await self.note(msgspec.structs.replace(line, is_dropped=True))
            raise

    async def is_new(self, scope: str, key: str) -> bool:
        """Whether this comes for the first time; that it came is on disk when this returns. Raises OSError."""
        self._forget()
        name = hashlib.sha256(f"{scope}\n{key}".encode()).hexdigest()
        if name in self._known:
            return False
        self._known[name] = line = _Line(name, "", self._now_ns())  # at once: another may come while this is written
        await self.note(line)
        return True

    async def note(self, line: _Line) -> None:
        """Write it down; then it counts."""
        if self._path is not None:
            async with self._writing:
                await in_thread(_append, self._path, msgspec.json.encode(line) + b"\n")
                self._lines += 1
                self._take(line)
                if self._lines > LINES_MAX:
                    self._forget()
                    await in_thread(self._rewrite, self._path)
        self._take(line)

    def _take(self, line: _Line) -> None:
        self._known.pop(line.name, None)
        if not line.is_dropped:
            self._known[line.name] = line

    def _forget(self) -> None:
        now_ns = self._now_ns()
        while self._known:
            oldest = next(iter(self._known))
            if len(self._known) < KEPT_MAX and now_ns - self._known[oldest].at_ns < KEPT_NS:
                return
            del self._known[oldest]


def _append(path: Path, raw: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, raw)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

from collections.abc import Sequence

from gambit._core.hot import Hot

NEED_DATA: int
LOOK: int
TAKE: int
DRAIN: int
END: int
TIME: int

class Lines:
    number: int
    ts: int
    state: int
    def feed(self, chunk: bytes) -> None: ...
    def close(self) -> bool: ...
    def bind(self, names: bytes, conn: int) -> None: ...
    @property
    def text(self) -> bytes: ...
    @property
    def too_long(self) -> bool: ...
    def waits(self, ts: int) -> None: ...
    def done(self) -> None: ...

class Replayer:
    frames: int
    until_ns: int
    is_eager: bool
    def __init__(self, hot: Hot, readers: Sequence[Lines]) -> None: ...
    def run(self) -> tuple[int, int]: ...

"""The last good instrument list of each venue, on disk: a start without the venue's REST interface goes by it.

A file holds a line that says whence and when, and behind it the answer as it came. A list of another address (a test
network's) counts for nothing, and so does a file that cannot be read.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gambit.journal.disk import write_whole

FOLDER: Final = "instruments"


class Label(msgspec.Struct, frozen=True):
    """The first line: the address the list came from, and when it was fetched (ns since 1970)."""

    url: str
    fetched_ns: int


class Shelf:
    """Keeps lists in `folder`/instruments; `warn` hears what went wrong with that. Both calls block."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder = folder / FOLDER
        self._warn = warn

    def keep(self, venue: str, url: str, body: bytes, now_ns: int) -> None:
        """Put a list in the place of the one before."""
        path = self._path(venue)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, msgspec.json.encode(Label(url, now_ns)) + b"\n" + body)
        except OSError as error:
            self._warn(f"{path}: the instrument list is not kept: {error.strerror or error}")

    def last(self, venue: str, rest: str) -> tuple[Label, bytes] | None:
        """The list of a venue from an address that begins with `rest`, where there is one."""
        path = self._path(venue)
        try:
            head, _, body = path.read_bytes().partition(b"\n")
            label = msgspec.json.decode(head, type=Label)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            self._warn(f"{path}: the instrument list that was kept cannot be read: {error}")
            return None
        return (label, body) if label.url.startswith(rest) else None

    def _path(self, venue: str) -> Path:
        return self._folder / f"{venue}.json"

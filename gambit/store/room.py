"""Room on the disk that the database shares with the journal, whose first failed write is its last."""

import os
from pathlib import Path
from typing import Final

from gambit.store.problem import StoreFull

KEPT: Final = 64 << 20  # left for the journal, whatever is copied


def check_room(folder: Path, wanted: int) -> None:
    """So many bytes are about to be written into a folder. Raises StoreFull where less than KEPT would be left,
    OSError."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < wanted + KEPT:
        raise StoreFull(
            f"{folder}: {free / 1e6:.0f} MB are left there, a copy of the database takes {wanted / 1e6:.0f} MB, and "
            f"{KEPT / 1e6:.0f} MB stay free for the journal; make room"
        )

"""Where a disk was full: writing and syncing fail without a name, for they know only a descriptor."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """What finds no room inside, and does not say where, found none at `path`: OSErrors get it as their filename."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in NO_ROOM:
            error.filename = str(path)
        raise

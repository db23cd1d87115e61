"""What Linux tells of this process. The file stays open from the first look on: a process that has no descriptor left
is one that somebody wants to look at (F122)."""

import os
from functools import cache

BYTES_MAX = 4096  # of the one line, which has 52 numbers
RSS = 21  # pages in RAM, of what own_stat() gives


def own_stat() -> list[str]:
    """The fields of /proc/self/stat behind the process's name, which may hold anything (proc(5))."""
    return os.pread(_descriptor(), BYTES_MAX, 0).decode(errors="replace").rpartition(")")[2].split()


@cache
def _descriptor() -> int:
    return os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)

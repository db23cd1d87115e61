"""The process's own vital signs as Linux tells them: CPU, memory, descriptors, threads. Cold: read when scraped."""

import errno
import os
import resource
from pathlib import Path

from gambit.procfs import RSS, own_stat
from gambit.surface.metrics import NS_PER_SEC, Registry

DESCRIPTORS = Path("/proc/self/fd")
BOOT = Path("/proc/stat")
UTIME, STIME, THREADS, STARTED, VSIZE = 11, 12, 17, 19, 20  # of what own_stat() gives


class Vitals:
    """Copies the vital signs into a registry; hand it to Registry.collect."""

    def __init__(self, registry: Registry) -> None:
        self.cpu = registry["process_cpu_seconds_total"].of()
        self.rss = registry["process_resident_memory_bytes"].of()
        self.virtual = registry["process_virtual_memory_bytes"].of()
        self.open_fds = registry["process_open_fds"].of()
        self.max_fds = registry["process_max_fds"].of()
        self.threads = registry["process_threads"].of()
        self._tick_ns = NS_PER_SEC // os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        registry["process_start_time_seconds"].of().set(_boot_ns() + int(own_stat()[STARTED]) * self._tick_ns)

    def __call__(self) -> None:
        stat = own_stat()
        self.cpu.set((int(stat[UTIME]) + int(stat[STIME])) * self._tick_ns)
        self.rss.set(int(stat[RSS]) * self._page_bytes)
        self.virtual.set(int(stat[VSIZE]))
        self.threads.set(int(stat[THREADS]))
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.open_fds.set(_open_fds(most))
        self.max_fds.set(most)


def _open_fds(most: int) -> int:
    """How many descriptors are open, that of the count included; where there is none left for it, all are."""
    try:
        return len(os.listdir(DESCRIPTORS))
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        return most


def _boot_ns() -> int:
    lines = BOOT.read_text().splitlines()
    return next(int(line.split()[1]) * NS_PER_SEC for line in lines if line.startswith("btime"))

"""The process's own vital signs as Linux tells them: CPU, memory, descriptors, threads. Cold: read when scraped."""

import os
import resource
from pathlib import Path

from gambit.surface.metrics import NS_PER_SEC, Registry

STAT = Path("/proc/self/stat")
DESCRIPTORS = Path("/proc/self/fd")
BOOT = Path("/proc/stat")
UTIME, STIME, THREADS, STARTED, VSIZE, RSS = 11, 12, 17, 19, 20, 21  # fields of stat behind the name, from 0


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
        registry["process_start_time_seconds"].of().set(_boot_ns() + int(_stat()[STARTED]) * self._tick_ns)

    def __call__(self) -> None:
        stat = _stat()
        self.cpu.set((int(stat[UTIME]) + int(stat[STIME])) * self._tick_ns)
        self.rss.set(int(stat[RSS]) * self._page_bytes)
        self.virtual.set(int(stat[VSIZE]))
        self.threads.set(int(stat[THREADS]))
        self.open_fds.set(len(os.listdir(DESCRIPTORS)))
        self.max_fds.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _stat() -> list[str]:
    """The fields of /proc/self/stat behind the process's name, which may hold anything."""
    return STAT.read_text().rpartition(")")[2].split()


def _boot_ns() -> int:
    lines = BOOT.read_text().splitlines()
    return next(int(line.split()[1]) * NS_PER_SEC for line in lines if line.startswith("btime"))

"""How late the event loop runs what is due: the time in which the daemon hears nothing."""

import asyncio
from collections.abc import Awaitable, Callable

INTERVAL_SEC = 0.02


async def measure_lag(
    mono_ns: Callable[[], int],
    observe: Callable[[int], None],
    *,
    interval_sec: float = INTERVAL_SEC,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Sleep for `interval_sec` again and again, and tell by how many ns each sleep was longer; until cancelled."""
    interval_ns = int(interval_sec * 1e9)
    while True:
        due_ns = mono_ns() + interval_ns
        await sleep(interval_sec)
        observe(max(0, mono_ns() - due_ns))

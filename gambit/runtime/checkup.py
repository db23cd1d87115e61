"""Whether the venues of a configuration can be reached: their feeds brought up for a moment, and how that went."""

import asyncio
import random
from typing import Final

from gambit.config import Config
from gambit.runtime.clock import SystemClock
from gambit.runtime.feed import Feeds
from gambit.runtime.http import AiohttpClient
from gambit.runtime.status import FeedStatus
from gambit.runtime.transport import TRANSPORTS
from gambit.runtime.wiring import build_market, feed_settings

LOOK_SEC: Final = 0.05


async def check_venues(config: Config, seconds: float) -> tuple[list[FeedStatus], list[str]]:
    """How each enabled venue's feed is as soon as all are up and their clocks known, or after `seconds`; and what was
    said meanwhile. Raises FeedError, and whatever a defect of ours raises."""
    clock = SystemClock()
    said: list[str] = []
    settings = feed_settings(config)
    defects: list[BaseException] = []
    http = AiohttpClient()
    try:
        feeds = Feeds(
            build_market(config, is_live=True),
            settings,
            transport=TRANSPORTS[config.daemon.transport](clock.now_ns),
            http=http,
            clock=clock,
            random=random.SystemRandom().random,
            on_death=lambda name, error: defects.append(error or RuntimeError(f"{name} ended")),
            warn=said.append,
        )
        try:
            await feeds.start()
            for _ in range(int(seconds / LOOK_SEC)):
                statuses = feeds.statuses()
                if defects or all(_is_known(status) for status in statuses):
                    break
                await asyncio.sleep(LOOK_SEC)
            statuses = feeds.statuses()
        finally:
            await feeds.stop()
    finally:
        await http.close()
    if defects:
        raise defects[0]
    return statuses, said


def _is_known(status: FeedStatus) -> bool:
    return status.state == "up" and (status.clock_offset_ns is not None or status.is_slow_path)

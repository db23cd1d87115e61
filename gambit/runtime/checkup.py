"""Whether the venues of a configuration can be reached: their feeds brought up for a moment, and how that went; and
what the accounts' keys may do and cost."""

import asyncio
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from gambit.config import Config
from gambit.model import Instrument
from gambit.runtime.clock import SystemClock
from gambit.runtime.feed import Feeds
from gambit.runtime.http import AiohttpClient, Http, HttpError
from gambit.runtime.status import FeedStatus
from gambit.runtime.transport import TRANSPORTS
from gambit.runtime.wiring import build_market, feed_settings, private_roots
from gambit.venues import VENUES
from gambit.venues.accounts import LANGUAGES, order_language
from gambit.venues.key_rights import objection
from gambit.venues.orders import Answer, FeeRates, KeyRights, Keys, OrderLanguage, RestRequest, Stamp

LOOK_SEC: Final = 0.05
KEY_SEC: Final = 10.0
BPS: Final = 10_000


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


def unaskable(keys: Mapping[str, Keys]) -> dict[str, str]:
    """What has to be told of accounts at exchanges without an adapter here, for nobody can ask: by venue."""
    return {
        venue: f"{venue} is reached over ccxt, which does not tell what a key may do: see to it that it cannot "
        "withdraw; and no watchdog and no dead-man switch cancels orders there when gambit is gone"
        for venue in keys
        if venue not in LANGUAGES
    }


async def check_keys(config: Config, keys: Mapping[str, Keys]) -> dict[str, str]:
    """What speaks against trading with each account's keys, as its venue tells; empty where nothing does. Venues that
    cannot be asked are left out (unaskable). Raises FeedError."""
    keys = {venue: each for venue, each in keys.items() if venue in LANGUAGES}
    http = AiohttpClient()
    try:
        found = await asyncio.gather(*(_objection(config, venue, keys[venue], http) for venue in keys))
    finally:
        await http.close()
    return dict(zip(keys, found, strict=True))


async def check_fees(config: Config, keys: Mapping[str, Keys]) -> dict[str, Decimal]:
    """What each account pays as a taker, in bps of the notional, as its venue tells of the first symbol wanted there;
    accounts that nobody tells of are left out. Raises FeedError."""
    keys = {venue: each for venue, each in keys.items() if venue in LANGUAGES}
    http = AiohttpClient()
    try:
        found = await asyncio.gather(*(_taker_fee_bps(config, venue, keys[venue], http) for venue in keys))
    finally:
        await http.close()
    return {venue: fee_bps for venue, fee_bps in zip(keys, found, strict=True) if fee_bps is not None}


async def _taker_fee_bps(config: Config, venue: str, keys: Keys, http: Http) -> Decimal | None:
    settings = config.venues[venue]
    symbol = next(iter(settings.symbols or config.symbols), "")
    spelling = VENUES[venue].spelling(symbol) if symbol else None
    if spelling is None:
        return None
    base, quote = symbol.split("-")[:2]
    instrument = Instrument(symbol=symbol, spelling=spelling, base=base, quote=quote)
    language = order_language(venue, keys, [instrument], is_testnet=settings.testnet)
    try:
        read = await _answer(config, venue, language, language.fee_rates(instrument, _stamp()), http)
    except HttpError:
        return None  # the venue's state says so already
    return next((report.taker * BPS for report in read.reports if isinstance(report, FeeRates)), None)


def _stamp() -> Stamp:
    now_ns = SystemClock().now_ns()
    return Stamp(now_ns, now_ns // 1000)


async def _answer(config: Config, venue: str, language: OrderLanguage, request: RestRequest, http: Http) -> Answer:
    """What the venue says to a request of an account. Raises HttpError, FeedError."""
    root, _ = private_roots(config, venue)
    answer = await http.request(
        request.method,
        root.rstrip("/") + request.path,
        headers=dict(request.headers),
        body=request.body,
        timeout_sec=KEY_SEC,
    )
    return language.read(request.asked, answer.status, answer.headers, answer.body)


async def _objection(config: Config, venue: str, keys: Keys, http: Http) -> str:
    language = order_language(venue, keys, [], is_testnet=config.venues[venue].testnet)
    request = language.rights(_stamp())
    if request is None:
        return ""
    try:
        read = await _answer(config, venue, language, request, http)
    except HttpError as error:
        return f"{venue} does not say what its key may do: {error}"
    if read.fault is not None:
        return f"{venue} refuses to say what its key may do: {read.fault.code}: {read.fault.text}"
    rights = next((report for report in read.reports if isinstance(report, KeyRights)), None)
    if rights is None:
        return f"{venue} does not say what its key may do"
    return objection(venue, rights, wants_bound=config.execution.require_bound_keys)


def _is_known(status: FeedStatus) -> bool:
    return status.state == "up" and (status.clock_offset_ns is not None or status.is_slow_path)

"""`testnet = true` in live mode: nothing of such a venue goes to production, no request, no line, nothing of the
watchdog's."""

import base64
import random
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from gambit.bootstrap.credentials import Credentials
from gambit.bootstrap.desk import build_watchdog, live_ports
from gambit.config import Config
from gambit.config.settings import ExecutionSettings, VenueSettings
from gambit.runtime import checkup
from gambit.runtime.account_port import AccountPort
from gambit.runtime.clock import SystemClock
from gambit.runtime.feed import Feed, Feeds
from gambit.runtime.http import HttpAnswer
from gambit.runtime.shelf import Shelf
from gambit.runtime.status import FeedError
from gambit.runtime.sweeper import Hello, Sweep
from gambit.runtime.transport import LinkError
from gambit.runtime.wiring import build_market, feed_settings
from gambit.surface.control import Caller
from gambit.surface.methods import VenueName
from gambit.venues import VENUES
from gambit.venues.accounts import ADDRESSES, LANGUAGES
from gambit.venues.orders import Keys

WITH_TESTNET = ("binance", "okx", "bybit")
WITHOUT = ("kraken", "coinbase")
DEMO = "x-simulated-trading"
KEYS = Keys(key="k", secret=base64.b64encode(bytes(range(32))).decode(), passphrase="p")
TOKEN = b'{"error":[],"result":{"token":"t","expires":900}}'
NEW_KEYS = Keys(key="k2", secret=KEYS.secret, passphrase="p")
LOCAL = {"ws_url": "ws://t:1", "rest_url": "http://t:2", "ws_private_url": "ws://t:3"}
PRODUCTION = {
    urlsplit(url).hostname
    for venue, own in ADDRESSES.items()
    for url in (own.rest, own.ws, VENUES[venue].live.ws, VENUES[venue].live.rest)
}


class Wires:
    """A network that answers nothing of use but a token, and remembers what went where."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def request(
        self, _method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_sec: float
    ) -> HttpAnswer:
        del body, timeout_sec
        self.asked.append((url, dict(headers)))
        return HttpAnswer(200, {}, TOKEN if url.endswith("/GetWebSocketsToken") else b"{}")

    async def open(self, url: str, *_rest: object) -> None:
        """A line that never stands."""
        self.asked.append((url, {}))
        raise LinkError("nobody there")

    async def close(self) -> None:
        """Nothing is open."""

    def strays(self) -> list[str]:
        """What went to production. OKX's demo has production's address over HTTP; the header makes the difference."""
        return [
            url
            for url, headers in self.asked
            if urlsplit(url).hostname in PRODUCTION and not ("okx" in url and url[:4] == "http" and DEMO in headers)
        ]


def configured(venue: str, *, mode: Any = "live", **more: Any) -> Config:
    """One venue's test network."""
    return Config(
        symbols=("BTC-USDT",),
        venues={venue: VenueSettings(testnet=True, **more)},
        execution=ExecutionSettings(mode=mode, watchdog=False),
    )


class Desk:
    """Feeds and accounts of a configuration over Wires, not started."""

    def __init__(self, config: Config, shelf: Shelf | None = None) -> None:
        self.config, self.wires, self.tasks = config, Wires(), []
        market = build_market(config, is_live=True)
        wires: Any = self.wires
        self.feeds = Feeds(
            market,
            feed_settings(config),
            transport=wires,
            http=wires,
            clock=SystemClock(),
            random=random.Random(1).random,
            on_death=lambda _name, _error: None,
            shelf=shelf,
        )
        for name in config.venues:
            market.venue(name)
        self.dealing: Any = SimpleNamespace(
            on_facts=lambda _facts: None, reconcile=lambda _venue: None, why_not=None, on_defect=None,
            desk=SimpleNamespace(standing=SimpleNamespace(state=SimpleNamespace(epoch=1))),
        )  # fmt: skip
        self.log: Any = SimpleNamespace(error=None, warning=lambda *_words, **_more: None)
        self.ledger: Any = SimpleNamespace(
            fact=lambda _fact: None, redact=lambda raw: raw, dead_letter=lambda _letter: None
        )
        keys = dict.fromkeys(config.venues, KEYS)
        self.ports: Any = live_ports(
            config, SystemClock(), self.log, market, self.dealing, self.feeds, keys, self.ledger
        )
        [self.port] = self.ports.values()
        self.port._transport = wires

    async def speak(self) -> None:
        """Each way that leads to the venue, once."""
        assert isinstance(self.port, AccountPort)
        [feed] = self.feeds.feeds
        assert isinstance(feed, Feed)
        await feed.learn()
        with pytest.raises(LinkError):
            await self.wires.open(feed.settings.ws)
        language = self.port.account.language
        for make in (language.stream, language.entry):
            with pytest.raises(LinkError):
                await self.port._one(make, is_entry=make == language.entry)
        await self.private()
        hosts = {line._host for line in self.port._lines}  # what goes over them is signed by the same language
        assert hosts == {urlsplit(self.port.gateway.rest).hostname}
        watchdog = build_watchdog(self.config, SystemClock(), self.log, self.dealing, self.ports, self.feeds)
        [place] = watchdog._places()
        http: Any = self.wires
        await Sweep(place, Hello([place], "gb", 1, 1.0), http)._open_orders()

    async def private(self) -> None:
        """What the account asks."""
        now_ns = SystemClock().now_ns()
        for request in self.port.account.open_orders(now_ns).requests:
            await self.port.gateway.carry(
                request.method, request.path, headers=dict(request.headers), body=request.body, weight=1,
                lane=request.lane, on_leave=lambda: None,
            )  # fmt: skip


@pytest.mark.parametrize("venue", WITH_TESTNET)
async def test_nothing_goes_to_production(venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Feed, private lines, requests, the watchdog's, and the questions what a key may do and costs."""
    desk = Desk(configured(venue))
    await desk.speak()
    monkeypatch.setattr(checkup, "AiohttpClient", lambda: desk.wires)
    await checkup.check_keys(desk.config, {venue: KEYS})
    assert await checkup.check_fees(desk.config, {venue: KEYS}) == {}
    schemes = [urlsplit(url).scheme for url, _ in desk.wires.asked]
    assert schemes.count("wss") >= 2
    assert schemes.count("https") >= 4
    assert all(urlsplit(url).hostname for url, _ in desk.wires.asked)
    assert desk.wires.strays() == []


@pytest.mark.parametrize("venue", WITHOUT)
async def test_where_there_is_no_test_network_nothing_starts(venue: str) -> None:
    """It is said what to give; and what is given is where everything goes."""
    with pytest.raises(FeedError, match=f"venues.{venue}.testnet: {venue} has no test network"):
        feed_settings(configured(venue))
    only_feed = {name: LOCAL[name] for name in ("ws_url", "rest_url")}
    with pytest.raises(FeedError, match="no test network for orders; give ws_private_url, or leave testnet out"):
        feed_settings(configured(venue, **only_feed))
    assert feed_settings(configured(venue, mode="paper", **only_feed))
    with pytest.raises(FeedError, match="give ws_url and rest_url"):  # no empty address either
        feed_settings(configured(venue, mode="paper", ws_url=LOCAL["ws_url"]))
    with pytest.raises(FeedError, match="give rest_url and ws_private_url"):
        await checkup.check_keys(configured(venue), {venue: KEYS})
    desk = Desk(configured(venue, **LOCAL))
    await desk.speak()
    assert {urlsplit(url).hostname for url, _ in desk.wires.asked} == {"t"}


async def test_new_keys_speak_to_the_same_network() -> None:
    """An account at the demo whose keys are rotated stays there."""
    desk = Desk(configured("okx"))
    daemon: Any = SimpleNamespace(parts=SimpleNamespace(dealing=SimpleNamespace(ports=desk.ports), ledger=desk.ledger))
    credentials = Credentials(lambda: daemon, None, lambda: {"okx": NEW_KEYS})
    assert credentials.reload(VenueName(), Caller(0, 1)) == {"tried": ["okx"]}
    await desk.private()
    [(_, headers)] = desk.wires.asked
    assert headers["OK-ACCESS-KEY"] == "k2"
    assert headers[DEMO] == "1"


async def test_the_watchdog_is_told_the_venues_clocks() -> None:
    """Of all accounts, nothing where a clock was not measured yet."""
    desk = Desk(configured("binance"))
    watchdog = build_watchdog(desk.config, SystemClock(), desk.log, desk.dealing, desk.ports, desk.feeds)
    assert watchdog._offsets_ns() == {"binance": 0}
    now_ns = SystemClock().now_ns()
    desk.feeds.feeds[0].clock.add(now_ns, now_ns, now_ns - 1_500_000_000, 0)
    assert watchdog._offsets_ns() == {"binance": -1_500_000_000}


async def test_lists_of_the_two_networks_are_kept_apart(tmp_path: Path) -> None:
    """OKX's have one address, and other codes of the markets."""
    shelf = Shelf(tmp_path, pytest.fail)
    for config, number in ((configured("okx"), 1), (Config(symbols=("BTC-USDT",), venues={"okx": VenueSettings()}), 2)):
        [settings] = feed_settings(config)
        feeds: Any = SimpleNamespace(http=None, clock=SystemClock(), random=random.random, sleep=None)
        feed = Feed(settings, feeds)
        assert shelf.last(feed._shelved, settings.rest) is None
        shelf.keep(feed._shelved, settings.rest + "/x", b"{}", number)
        label, _ = shelf.last(feed._shelved, settings.rest) or pytest.fail("nothing is kept")
        assert label.fetched_ns == number


def test_every_venue_that_takes_orders_is_looked_at() -> None:
    """Here, and where production is told from the rest."""
    assert {*WITH_TESTNET, *WITHOUT} == set(LANGUAGES) == set(ADDRESSES)

"""How the watchdog asks: no faster than a venue's limits, not while a venue wants silence, by the venue's clock."""

import base64
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gambit.model import Instrument
from gambit.runtime import sweeper
from gambit.runtime.http import HttpAnswer
from gambit.runtime.sweeper import GIVE_UP_SEC, Beat, Hello, Listening, Open, Place, Sweep

EPOCH_SEC = 1_700_000_000
OURS = "gb0001000010abcdef"
Answers = Callable[[float], HttpAnswer]


class World:
    """A venue that answers by a function of the time, which moves by sleeping and by asking alone."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.now = 0.0
        self.asked: list[tuple[float, str]] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_sec: float
    ) -> HttpAnswer:
        assert headers, (method, body, timeout_sec)
        self.now += 0.05
        self.asked.append((self.now, url))
        return self.answers(self.now)


def place(venue: str, spelling: str) -> Place:
    """An account there."""
    market = Instrument(
        symbol="BTC-USDT", spelling=spelling, base="BTC", quote="USDT", tick=Decimal(1), lot=Decimal(1), code=1
    )
    return Place(venue, "http://x", "k", base64.b64encode(bytes(32)).decode(), "p", [market])


def swept(monkeypatch: pytest.MonkeyPatch, at: Place, answers: Answers, offset_ns: int = 0) -> tuple[Sweep, World]:
    """A sweep there, in that world's time."""
    world = World(answers)
    monkeypatch.setattr(sweeper, "asyncio", SimpleNamespace(sleep=world.sleep))
    clock = SimpleNamespace(monotonic=lambda: world.now, time_ns=lambda: int((EPOCH_SEC + world.now) * 1e9))
    monkeypatch.setattr(sweeper, "time", clock)
    return Sweep(at, Hello([at], "gb", 1, 1.0), world, offset_ns), world


class KrakenCounter:
    """A counter of 15 that falls by one in three seconds, most of it used by the daemon that is gone."""

    def __init__(self) -> None:
        self.used, self.at, self.refused = 10.0, 0.0, 0

    def __call__(self, now: float) -> HttpAnswer:
        self.used, self.at = max(0.0, self.used - 0.33 * (now - self.at)), now
        if self.used + 1 > 15:
            self.refused += 1
            return HttpAnswer(200, {}, b'{"error":["EAPI:Rate limit exceeded"]}')
        self.used += 1
        return HttpAnswer(200, {}, b'{"error":[],"result":{"open":{}}}')


async def test_a_sweep_stays_within_a_counter_that_falls_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so comes to its end, and leaves room for the next daemon."""
    counter = KrakenCounter()
    sweep, world = swept(monkeypatch, place("kraken", "BTC/USDT"), counter)
    report = await sweep.run([])
    assert (report.is_clean, report.reason, counter.refused) == (True, "", 0)
    assert world.now < 30


async def test_a_sweep_stays_within_the_weight_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an order cannot be cancelled, and so is found again and again."""
    row = {
        "symbol": "BTCUSDT", "orderId": 1, "clientOrderId": OURS, "price": "1", "origQty": "1", "executedQty": "0",
        "status": "NEW", "timeInForce": "GTC", "side": "BUY",
    }  # fmt: skip
    sweep, world = swept(
        monkeypatch, place("binance", "BTCUSDT"), lambda _now: HttpAnswer(200, {}, json.dumps([row]).encode())
    )
    report = await sweep.run([])
    assert (report.is_clean, report.cancelled) == (False, [OURS])
    costs = [(at, 80 if "openOrders" in url else 1) for at, url in world.asked]
    assert max(sum(cost for at, cost in costs if begin <= at < begin + 60) for begin, _ in costs) <= 6000
    assert len(costs) > 2 * GIVE_UP_SEC / 60  # it went on


BANNED = json.dumps({"code": -1003, "msg": f"Way too much; IP banned until {EPOCH_SEC + 120}000."}).encode()


@pytest.mark.parametrize(
    ("refusal", "until"),
    [
        (HttpAnswer(418, {}, BANNED), 120.0),
        (HttpAnswer(429, {"retry-after": "40"}, b'{"code":-1003,"msg":"Too many requests."}'), 40.0),
    ],
)
async def test_a_sweep_is_silent_for_as_long_as_the_venue_says(
    refusal: HttpAnswer, until: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request, a cancel neither, then it goes on (I16)."""
    sweep, world = swept(
        monkeypatch, place("binance", "BTCUSDT"), lambda now: refusal if now < until else HttpAnswer(200, {}, b"[]")
    )
    report = await sweep.run([Open("binance", "BTC-USDT", OURS)])
    assert report.is_clean
    assert [at for at, _ in world.asked if at < until] == [world.asked[0][0]]


@pytest.mark.parametrize("offset_ns", [0, -1_500_000_000])
async def test_a_request_has_the_venues_time(offset_ns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is a second and a half ahead is refused everything at Binance and Bybit."""
    sweep, world = swept(monkeypatch, place("binance", "BTCUSDT"), lambda _now: HttpAnswer(200, {}, b"[]"), offset_ns)
    await sweep.run([])
    [stamp] = parse_qs(urlsplit(world.asked[0][1]).query)["timestamp"]
    assert int(stamp) == EPOCH_SEC * 1000 + offset_ns // 1_000_000


def test_a_beat_brings_the_venues_clocks() -> None:
    """The last one that was heard counts; one without them leaves none."""
    listening = Listening()
    for offsets in ({"okx": 5}, {"okx": -7, "binance": 1}):
        assert not listening.take(msgspec.json.encode(Beat([], offsets)))
        assert listening.offsets_ns == offsets

"""The REST gateway: what becomes of each category of failure, with a clock, a network and a chance of our own."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from gambit.model import Category
from gambit.runtime.budget import Lane
from gambit.runtime.gateway import SEC, Accepted, CallFailed, Gateway, Refused, Unknown
from gambit.runtime.http import AiohttpClient, HttpAnswer, HttpError
from gambit.venues import VENUES
from gambit.venues.live import Call
from tests.runtime.exchange import Exchange

CALL = Call("/api/v3/exchangeInfo", 20)
Step = HttpAnswer | HttpError


def answer(status: int, body: bytes = b"{}", **headers: str) -> HttpAnswer:
    """An HTTP answer; `retry_after` becomes retry-after."""
    return HttpAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


class Net:
    """Answers requests by a script, the last line for ever; its time moves only by sleeping."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.now = 1_000 * SEC
        self.sent: list[tuple[int, str, str]] = []

    def now_ns(self) -> int:
        return self.now

    mono_ns = now_ns

    async def sleep(self, seconds: float) -> None:
        self.now += int(seconds * SEC)
        await asyncio.sleep(0)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_sec: float
    ) -> HttpAnswer:
        self.sent.append((self.now, method, url))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, HttpError):
            raise step
        return step

    def gateway(self, venue: str = "binance") -> Gateway:
        """A gateway on this network; back-off waits are their longest."""
        return Gateway(VENUES[venue], "http://x", self, self, random=lambda: 1.0, sleep=self.sleep)

    def times(self) -> list[float]:
        """When requests left, in seconds since the start."""
        return [(at - 1_000 * SEC) / SEC for at, _, _ in self.sent]


async def test_a_reading() -> None:
    """One request, the venue's address in front."""
    net = Net(answer(200, b'{"a":1}'))
    found = await net.gateway().get(CALL)
    assert (found.url, found.body, found.is_degraded) == ("http://x/api/v3/exchangeInfo", b'{"a":1}', False)


async def test_what_a_network_loses_is_asked_for_again() -> None:
    """Growing waits, at most five retries."""
    net = Net(HttpError("reset", sent=True), HttpError("refused", sent=False), answer(200))
    await net.gateway().get(CALL)
    assert net.times() == [0, 0.5, 1.5]
    dead = Net(HttpError("reset", sent=True))
    with pytest.raises(CallFailed, match="binance /api/v3/exchangeInfo: transient_network: reset"):
        await dead.gateway().get(CALL)
    assert len(dead.sent) == 6


@pytest.mark.parametrize(
    ("status", "code", "category"),
    [(401, -2015, "auth"), (400, -1121, "permanent_4xx"), (400, -2013, "data_inconsistency")],
)
async def test_what_will_not_get_better_is_not_asked_again(status: int, code: int, category: str) -> None:
    """One request, and the failure told."""
    net = Net(answer(status, b'{"code":%d,"msg":"no"}' % code))
    gateway = net.gateway()
    with pytest.raises(CallFailed) as failed:
        await gateway.get(CALL)
    assert (failed.value.failure.category, len(net.sent)) == (category, 1)
    assert gateway.failures[Category(category)] == 1


@pytest.mark.parametrize("status", [429, 418])
async def test_a_rate_limit_is_silence(status: int) -> None:
    """For as long as the venue says, for everybody, urgent or not; then one at a time for a while (F81)."""
    net = Net(answer(status, b'{"code":-1003,"msg":"slow"}', retry_after="7"), answer(200))
    gateway = net.gateway()
    await gateway.get(CALL)
    assert net.times() == [0, 7]
    assert gateway._slots() == 1
    net.now += 60 * SEC
    assert gateway._slots() == 4


async def test_a_ban_longer_than_patience_ends_the_call() -> None:
    """It is not waited out, and nothing is sent."""
    net = Net(answer(418, b'{"code":-1003,"msg":"banned"}', retry_after="600"))
    gateway = net.gateway()
    for _ in range(3):
        with pytest.raises(CallFailed, match="rate_limit"):
            await gateway.get(CALL)
    assert len(net.sent) == 1
    assert isinstance(await gateway.send("DELETE", "/x", headers={}, body=b"", lane=Lane.URGENT), Refused)
    assert len(net.sent) == 1


async def test_a_failing_venue_is_left_alone() -> None:
    """Five failures open the circuit; the next call is refused without a request, a probe closes it again."""
    net = Net(answer(503, b"down"))
    gateway = net.gateway()
    for _ in range(5):
        assert isinstance(await gateway.send("POST", "/x", headers={}, body=b"", lane=Lane.ORDINARY), Unknown)
    refused = await gateway.send("POST", "/x", headers={}, body=b"", lane=Lane.ORDINARY)
    assert isinstance(refused, Refused)
    assert refused.failure.text == "the circuit is open after repeated failures"
    assert len(net.sent) == 5
    net.script, net.now = [answer(200)], net.now + 5 * SEC
    assert isinstance(await gateway.send("POST", "/x", headers={}, body=b"", lane=Lane.ORDINARY), Accepted)


async def test_the_last_good_answer_stands_in() -> None:
    """Flagged, with its age; without one the failure is told."""
    net = Net(answer(200, b'{"good":1}'), answer(404, b'{"code":-1,"msg":"gone"}'))
    gateway = net.gateway()
    assert (await gateway.fetch(CALL)).is_degraded is False
    net.now += 60 * SEC
    found = await gateway.fetch(CALL)
    assert (found.body, found.is_degraded, found.age_ns) == (b'{"good":1}', True, 60 * SEC)
    assert gateway.is_degraded
    with pytest.raises(CallFailed):
        await gateway.fetch(Call("/other"))
    net.script = [answer(200, b"{}")]
    assert not (await gateway.fetch(CALL)).is_degraded
    assert not gateway.is_degraded


async def test_no_more_weight_leaves_than_the_venue_allows() -> None:
    """Snapshots of hundreds of books, spread over as many minutes as it takes (binance.md 7)."""
    net = Net(answer(200))
    gateway = net.gateway()
    await asyncio.gather(*(gateway.get(Call("/depth", 50), patience_sec=1000) for _ in range(300)))
    times = net.times()
    assert max(sum(t <= other < t + 60 for other in times) for t in times) * 50 <= 6000
    assert len(times) == 300


async def test_at_most_four_requests_are_under_way() -> None:
    """Urgent ones do not count."""
    gate = asyncio.Event()
    under_way = most = 0

    class Slow(Net):
        async def request(self, *args: Any, **more: Any) -> HttpAnswer:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await gate.wait()
            under_way -= 1
            return answer(200)

    gateway = Slow(answer(200)).gateway()
    calls = [asyncio.create_task(gateway.get(CALL)) for _ in range(10)]
    while under_way < 4:
        await asyncio.sleep(0)
    urgent = asyncio.create_task(gateway.send("DELETE", "/x", headers={}, body=b"", lane=Lane.URGENT))
    while under_way < 5:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(urgent, *calls)
    assert most == 5


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        (answer(200, b'{"orderId":1}'), Accepted),
        (answer(400, b'{"code":-2010,"msg":"Account has insufficient balance"}'), Refused),
        (answer(401, b'{"code":-1021,"msg":"outside of the recvWindow"}'), Refused),
        (answer(400, b'{"code":-1007,"msg":"Timeout waiting for response"}'), Unknown),
        (answer(503, b"<html>"), Unknown),
        (HttpError("reset by peer", sent=True), Unknown),
        (HttpError("nobody listens", sent=False), Refused),
    ],
)
async def test_an_order_is_sent_once_and_ends_three_valued(step: Step, outcome: type) -> None:
    """Whatever happens (R1): accepted, surely not there, or nobody knows."""
    net = Net(step)
    found = await net.gateway().send("POST", "/api/v3/order", headers={"k": "v"}, body=b"x", lane=Lane.ORDINARY)
    assert type(found) is outcome
    assert len(net.sent) == 1


# ---- over a real socket ----


@pytest.fixture
async def exchange() -> Any:
    """A scripted exchange."""
    found = await Exchange().start()
    yield found
    await found.stop()


async def fetched(exchange: Exchange, serve: Callable[[web.Request], web.StreamResponse | None]) -> HttpAnswer | str:
    """What a request to an exchange that serves like this gives."""
    exchange.on_call = serve  # type: ignore[assignment]
    http = AiohttpClient(body_max=1000)
    try:
        return await http.request("GET", f"{exchange.rest}/x", headers={}, body=b"", timeout_sec=5)
    except HttpError as error:
        return f"{error.sent}: {error}"
    finally:
        await http.close()


async def test_answers_come_whole(exchange: Exchange) -> None:
    """Status, headers in lower case, body; a redirect is an answer like any other (S51)."""
    found = await fetched(exchange, lambda _: web.Response(status=302, headers={"Location": "http://elsewhere"}))
    assert isinstance(found, HttpAnswer)
    assert (found.status, found.headers["location"], found.body) == (302, "http://elsewhere", b"")


async def test_an_answer_beyond_all_measure_is_none(exchange: Exchange) -> None:
    """It is not read to its end."""
    found = await fetched(exchange, lambda _: web.Response(body=bytes(1001)))
    assert found == "True: an answer of more than 1000 bytes"


async def test_nobody_there() -> None:
    """The request surely never left."""
    http = AiohttpClient()
    with pytest.raises(HttpError) as failed:
        await http.request("GET", "http://127.0.0.1:1/x", headers={}, body=b"", timeout_sec=1)
    assert not failed.value.sent
    await http.close()


async def test_what_is_refused_for_good_is_asked_for_otherwise() -> None:
    """A question for some markets fails whole where one of them is gone; the whole list tells which, and is good."""
    some, whole = Call("/api/v3/exchangeInfo?symbols=a", 20), Call("/api/v3/exchangeInfo", 20)
    gone = answer(400, b'{"code":-1121,"msg":"Invalid symbol."}')
    net = Net(answer(200, b'{"symbols":[1]}'), gone, answer(200, b'{"symbols":[]}'), gone, answer(500))
    gateway = net.gateway()
    assert (await gateway.fetch(some, otherwise=whole)).body == b'{"symbols":[1]}'
    found = await gateway.fetch(some, otherwise=whole)
    assert (found.url, found.body, found.is_degraded) == ("http://x/api/v3/exchangeInfo", b'{"symbols":[]}', False)
    assert not gateway.is_degraded
    found = await gateway.fetch(some, otherwise=whole)
    assert (found.body, found.is_degraded) == (b'{"symbols":[]}', True)
    assert [url for _, _, url in net.sent[:3]] == ["http://x" + call.path for call in (some, some, whole)]

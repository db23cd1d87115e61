"""The scrape endpoint: real HTTP, a real Prometheus, and scrapers that misbehave."""

import asyncio
import contextlib
import errno
import json
import socket
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gambit.surface import guests, scrape
from gambit.surface.catalogue import METRICS
from gambit.surface.control import CONNECTIONS_MAX
from gambit.surface.metrics import Registry
from gambit.surface.scrape import ScrapeServer
from tests.tools import free_port, program

PROMETHEUS = program("prometheus", "prometheus")


class Daemon:
    """A registry, and what the daemon says of itself."""

    def __init__(self) -> None:
        self.registry = Registry(METRICS)
        self.stalled: list[str] = []
        self.missing: list[str] = []
        self.renders = 0
        self.registry.collect(self.count)

    def count(self) -> None:
        self.renders += 1


@contextlib.asynccontextmanager
async def serving(daemon: Daemon, **options: Any) -> AsyncIterator[ScrapeServer]:
    """The endpoint on a free port of the loopback."""
    server = ScrapeServer(daemon.registry, health=lambda: daemon.stalled, ready=lambda: daemon.missing, **options)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.close()


async def fetch(server: ScrapeServer, path: str) -> tuple[int, str, Any]:
    """Status, content type and body."""
    url = f"http://{server.address[0]}:{server.address[1]}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, response.headers["Content-Type"], await response.text()


async def test_metrics_are_served() -> None:
    """The text with its content type; what changes is in a later text."""
    daemon = Daemon()
    async with serving(daemon) as server:
        status, kind, text = await fetch(server, "/metrics")
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert "gambit_journal_seq 0\n" in text
        daemon.registry["gambit_journal_seq"].of().set(7)
        while "gambit_journal_seq 7\n" not in (await fetch(server, "/metrics"))[2]:
            pass
        assert (await fetch(server, "/nothing"))[0] == 404


async def test_a_storm_of_scrapes_costs_few_renderings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is young enough is given out again."""
    monkeypatch.setattr(scrape, "FRESH_SEC", 1e9)
    daemon = Daemon()
    async with serving(daemon) as server:
        texts = {(await fetch(server, "/metrics"))[2] for _ in range(20)}
    assert (len(texts), daemon.renders) == (1, 1)


async def test_health_and_readiness_say_why_not() -> None:
    """200 when all is well, else 503 with every reason."""
    daemon = Daemon()
    async with serving(daemon) as server:
        assert await fetch(server, "/health") == (
            200, "application/json; charset=utf-8", '{"status": "ok", "reasons": []}\n',
        )  # fmt: skip
        daemon.missing = ["kraken: 3 of 5 books are not synced"]
        status, _, body = await fetch(server, "/ready")
        assert (status, json.loads(body)) == (503, {"status": "not_ready", "reasons": daemon.missing})
        daemon.stalled = ["store: no progress for 31 s"]
        assert (await fetch(server, "/health"))[0] == 503
        daemon.missing = []
        assert (await fetch(server, "/ready"))[0] == 200


async def test_a_connection_too_many_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent connections fill the places, the next is refused with 503; the sweep makes room again."""
    monkeypatch.setattr(scrape, "SWEEP_SEC", 0.01)
    async with serving(Daemon(), connections_max=2) as server:
        silent = [await asyncio.open_connection(*server.address) for _ in range(2)]
        reader, writer = await asyncio.open_connection(*server.address)
        assert (await reader.readline()).startswith(b"HTTP/1.1 503")
        monkeypatch.setattr(scrape, "IDLE_SEC", 0.1)
        for each in (writer, *(writer for _, writer in silent)):
            with contextlib.suppress(ConnectionError):
                await asyncio.wait_for(silent[0][0].read(), 60)
            each.close()
            with contextlib.suppress(ConnectionError):
                await each.wait_closed()
        while (await fetch(server, "/health"))[0] != 200:
            pass


async def test_a_stalled_scraper_is_cut_and_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks again and again and never reads; others are served, and after a while it is gone."""
    monkeypatch.setattr(scrape, "SWEEP_SEC", 0.01)
    monkeypatch.setattr(scrape, "IDLE_SEC", 0.2)
    async with serving(Daemon()) as server:
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.setblocking(False)
        await asyncio.get_running_loop().sock_connect(stalled, server.address)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                stalled.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
                assert (await fetch(server, "/health"))[0] == 200
        gone = False
        while not gone:
            assert (await fetch(server, "/metrics"))[0] == 200
            try:
                stalled.send(b"x")
            except BlockingIOError:
                await asyncio.sleep(0)
            except ConnectionError:
                gone = True
        stalled.close()


@pytest.mark.parametrize(("limit", "control", "scrapes"), [(64, 8, 8), (8, 2, 2), (1 << 20, 256, 32)])
def test_guests_leave_descriptors_for_feeds(
    limit: int, control: int, scrapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few there are, a flood of connections takes a share only."""
    monkeypatch.setattr("resource.getrlimit", lambda which: (limit, limit))
    assert (guests.places(CONNECTIONS_MAX), guests.places(scrape.CONNECTIONS_MAX)) == (control, scrapes)


async def test_a_taken_port_is_said_so() -> None:
    """Two endpoints cannot share an address."""
    async with serving(Daemon()) as server:
        other = ScrapeServer(Daemon().registry, health=list, ready=list)
        with pytest.raises(OSError, match=r"metrics\.port \d+: .*in use.*another gambit") as taken:
            await other.start(*server.address)
        assert taken.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match=r"metrics\.host no host, ") as unknown:
            await other.start("no host", 0)
        assert "another gambit" not in str(unknown.value)
        await other.close()


def test_its_address_is_a_url() -> None:
    """Also with IPv6, whose colons would be taken for a port's."""
    server = ScrapeServer(Daemon().registry, health=list, ready=list)
    assert server.url == ""
    server.address = ("127.0.0.1", 9464)
    assert server.url == "http://127.0.0.1:9464/metrics"
    server.address = ("::1", 9464)
    assert server.url == "http://[::1]:9464/metrics"


@pytest.mark.skipif(PROMETHEUS is None, reason="Prometheus is absent: apt-get install prometheus")
async def test_a_real_prometheus_scrapes(tmp_path: Path) -> None:
    """Debian's Prometheus finds the target up, and answers queries with the values that are here."""
    assert PROMETHEUS
    daemon = Daemon()
    daemon.registry["gambit_frames_total"].of("kraken").set(12345)
    daemon.registry["gambit_tick_to_signal_seconds"].histogram().observe(20_000)
    async with serving(daemon) as server:
        port = free_port()
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
            "scrape_configs: [{job_name: gambit, static_configs: "
            f"[{{targets: ['127.0.0.1:{server.address[1]}']}}]}}]\n"
        )
        process = await asyncio.create_subprocess_exec(
            PROMETHEUS,
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        )
        try:
            assert await asked(port, "up") == 1
            assert await asked(port, 'gambit_frames_total{venue="kraken"}') == 12345
            median = await asked(port, "histogram_quantile(0.5, gambit_tick_to_signal_seconds_bucket)")
            assert 16.384e-6 <= median <= 32.768e-6
        finally:
            process.terminate()
            await process.wait()


async def asked(port: int, query: str) -> float:
    """The value of an expression, as soon as Prometheus has one."""
    url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        found = (await response.json())["data"]["result"]
                        if found and float(found[0]["value"][1]) != 0:
                            return float(found[0]["value"][1])
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)

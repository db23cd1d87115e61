"""Group I, many at the doors: a flood of connections on few descriptors, a storm of scrapes, a thousand dashboards."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from asyncio.transports import Transport
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import aiohttp
import orjson

from gambit.drills.children import Child, Site, site
from gambit.drills.clocks import waited_ns
from gambit.drills.crashes import agrees, ended_well, traded
from gambit.drills.ground import until
from gambit.drills.neighbours import Mailbox, Person, listening, person_of
from gambit.drills.registry import DESK, MARKET, drill
from gambit.drills.scenario import Bench, Broken, Setting
from gambit.surface import client

FILES: Final = 64
FLOOD: Final = 300  # connections
FLOOD_SEC: Final = 5.0
SCRAPES_A_SECOND: Final = 200
SCRAPERS: Final = 8  # connections
WINDOW_SEC: Final = 4.0
SIGNALS_LEAST: Final = 100
PAIRS: Final = 3  # of a calm window and one under the storm
SLOWER_MOST: Final = 1.5
CROWD: Final = 1000
STALLED: Final = 100
SPARE_FILES: Final = 200
EVENTS: Final = 60
EVENTS_A_SECOND: Final = 10.0
DELAY_NS: Final = 250_000_000
CUT_SEC: Final = 10.0
KERNEL_MB: Final = 64
RSS_MB: Final = 128
CHANNELS: Final = ("alert.raised", "trading.state", "system.metrics", "market.normalized", "arb.signals")
PONG: Final = b"\x8a\x80\0\0\0\0"
PONG_SEC: Final = 2.0
MARK: Final = b"drill event "
DIGITS: Final = 19  # of a time in ns
FEW: Final = Setting(name="few venues", venues=("okx", "bybit"))  # of five, each takes some ten descriptors by itself
RARE: Final = Setting(
    name="signals",
    venues=DESK.venues,
    symbols=MARKET.symbols,
    settings=("engine.min_spread_bps = 20",),
    is_live=False,
    rate=50.0,
)


async def patiently(child: Child, method: str) -> Any:
    """A call on the control socket, again when it is hung up on: its few places may be taken. Raises Broken."""
    for _ in range(50):
        try:
            return await child.ask(method)
        except client.NoAnswer:
            await asyncio.sleep(0.1)
    raise Broken(f"I17: the control socket answers no {method}")


async def is_synced(child: Child) -> bool:
    """Whether every book of the daemon may be believed, by its own status."""
    status = await patiently(child, "status")
    return bool(status["books_synced"] == status["books"] > 0)


@drill("F122", None)
async def flood_on_few_descriptors(bench: Bench) -> None:
    """A daemon on two venues with 64 descriptors, and 300 connections each at its HTTP door and its metrics: feeds and
    venues keep theirs, orders go through meanwhile, and afterwards a person is let in."""
    async with site(FEW, bench.folder) as there, aiohttp.ClientSession() as session:
        child = await there.life(words=("files", str(FILES)))
        await traded(there)
        viewer = await person_of(child, session, "viewer")
        metrics = scrape_port(child)
        doors = [int(viewer.url.rpartition(":")[2]), metrics]
        connections = sum(exchange.ledger.connections for exchange in there.ground.exchanges.values())
        async with flood(doors) as taken:
            began = time.monotonic()
            while time.monotonic() - began < FLOOD_SEC:
                bench.need(await is_synced(child), "I17: books were lost to the flood")
                await traded(there)
            files = int(number_of(str(await patiently(child, "metrics")), "process_open_fds"))
        after = sum(exchange.ledger.connections for exchange in there.ground.exchanges.values())
        bench.need(after == connections, f"I17: {after - connections} connections to venues had to be made anew")
        bench.need(files <= FILES + 1, f"I18: {files} descriptors")  # one of them is that of the count
        await until_let_in(viewer)
        await agrees(bench, there)
        bench.count(descriptors=files, connections=taken)
        await ended_well(bench, child)


@asynccontextmanager
async def flood(ports: Sequence[int]) -> AsyncIterator[int]:
    """Connections that say nothing; gives how many there were."""
    writers: list[asyncio.StreamWriter] = []
    for port in ports:
        for _ in range(FLOOD):
            with contextlib.suppress(OSError):
                writers.append((await asyncio.open_connection("127.0.0.1", port))[1])
    try:
        yield len(writers)
    finally:
        for writer in writers:
            writer.transport.abort()


async def until_let_in(person: Person) -> None:
    """The door answers again. Raises Broken."""
    for _ in range(60):
        try:
            status, _ = await person.ask("GET", "/auth/me")
        except aiohttp.ClientError:
            status = 0
        if status == 200:
            return
        await asyncio.sleep(0.5)
    raise Broken("I17: nobody is let in after the flood")


def scrape_port(child: Child) -> int:
    """Where a child gives its metrics, by its own word when it was ready."""
    line = next(line for line in child.lines if str(line.get("event", "")).startswith("ready"))
    return int(str(line["metrics"]).rstrip("/").removesuffix("/metrics").rpartition(":")[2])


# ---- scrapes ----


@drill("F125", None, alone=True)
async def scrape_storm(bench: Bench) -> None:
    """200 scrapes a second: the time from a frame to its signal, p99, is at most half more than while the same storm
    goes to somebody else on this machine, in one of three pairs of windows: what comes of the scrapes comes each time,
    what else runs on the machine does not."""
    async with site(RARE, bench.folder) as there, listening(Mailbox().app()) as elsewhere:
        child = await there.life()
        port = scrape_port(child)
        calm: list[dict[float, int]] = []
        storm: list[dict[float, int]] = []
        scrapes = 0
        await signals_for(there, child, 1.0)
        for _ in range(PAIRS):
            scraping = asyncio.create_task(scraped(elsewhere, WINDOW_SEC))
            calm.append(await signals_for(there, child, WINDOW_SEC))
            await scraping
            scraping = asyncio.create_task(scraped(port, WINDOW_SEC))
            storm.append(await signals_for(there, child, WINDOW_SEC))
            scrapes += await scraping
        await ended_well(bench, child)
        pairs = [(p99_of(before), p99_of(under)) for before, under in zip(calm, storm, strict=True)]
        before, under = min(pairs, key=lambda pair: pair[1] / pair[0])
        bench.need(under <= SLOWER_MOST * before, f"p99: {under * 1e6:.0f} us under it, {before * 1e6:.0f} calm")
        least = SCRAPES_A_SECOND * WINDOW_SEC * PAIRS
        bench.need(scrapes >= least, f"only {scrapes} scrapes were answered")
        bench.count(
            scrapes=scrapes,
            signals=sum(max(one.values()) for one in storm),
            calm_us=f"{before * 1e6:.0f}",
            storm_us=f"{under * 1e6:.0f}",
        )


async def signals_for(there: Site, child: Child, seconds: float) -> dict[float, int]:
    """Venues leave each other all the time, so that signals come; how many took at most how many seconds each."""
    before = await buckets(child)
    world, began, turn = there.ground.server.world, time.monotonic(), 0
    while time.monotonic() - began < seconds:
        venue = DESK.venues[turn % len(DESK.venues)]
        world.shift(venue, RARE.symbols[turn % len(RARE.symbols)], 60.0, there.ground.now_ns(), 100)
        turn += 1
        await asyncio.sleep(0.02)
    after = await buckets(child)
    return {bound: after[bound] - before.get(bound, 0) for bound in after}


async def buckets(child: Child) -> dict[float, int]:
    """How many signals took at most how many seconds so far, by the daemon's metrics."""
    found: dict[float, int] = {}
    for line in str(await child.ask("metrics")).splitlines():
        if line.startswith("gambit_tick_to_signal_seconds_bucket"):
            found[float(line.split('"')[1].replace("+Inf", "inf"))] = int(float(line.split()[-1]))
    return found


def p99_of(counts: dict[float, int]) -> float:
    """Of counts that add up, between the bounds as if evenly spread. Raises Broken for too few."""
    bounds = sorted(counts)
    total = counts[bounds[-1]]
    if total < SIGNALS_LEAST:
        raise Broken(f"only {total} signals")
    wanted, low, below = 0.99 * total, 0.0, 0
    for bound in bounds:
        if counts[bound] >= wanted:
            return low + (bound - low) * (wanted - below) / (counts[bound] - below)
        low, below = bound, counts[bound]
    raise AssertionError("the last bound has all of them")


async def scraped(port: int, seconds: float) -> int:
    """Scrape at the rate for a time, or as fast as a busy machine lets it; how many were answered."""
    done = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SCRAPERS)) as session:

        async def scrape() -> None:
            nonlocal done
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                await answer.read()
                done += answer.status == 200

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(SCRAPES_A_SECOND * seconds)):
                await asyncio.sleep(max(0.0, began + number / SCRAPES_A_SECOND - time.monotonic()))
                group.create_task(scrape())
    return done


# ---- dashboards ----


class Dashboard(asyncio.Protocol):
    """One WebSocket client; one that does not read asks for everything and takes nothing."""

    def __init__(self, request: bytes, *, reads: bool) -> None:
        self.reads = reads
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.delays_ns: list[int] = []
        self.is_closed = False
        self._request = request
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Upgrade and subscribe at once."""
        self.transport = cast(Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Look for events; what is between them is of no interest."""
        data = self._pending + data
        if not self.joined.done():
            self._pending = data
            if b'"op":"subscribed"' not in data:
                return
            self.joined.set_result(None)
            if not self.reads:
                self.transport.pause_reading()
                return
            self._live()
        now_ns = time.time_ns()
        place = data.find(MARK)
        while 0 <= place <= len(data) - len(MARK) - DIGITS:
            start = place + len(MARK)
            self.delays_ns.append(now_ns - int(data[start : start + DIGITS]))
            place = data.find(MARK, start)
        self._pending = data[place:] if place >= 0 else data[-len(MARK) :]

    def _live(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(PONG)
            asyncio.get_running_loop().call_later(PONG_SEC, self._live)

    def connection_lost(self, _error: Exception | None) -> None:
        """Cut, or left."""
        self.is_closed = True
        if not self.joined.done():
            self.joined.set_exception(Broken(f"a dashboard was not let in: {self._pending[:200]!r}"))


async def joined(person: Person, reading: int, stalled: int) -> list[Dashboard]:
    """All of them, subscribed; a few at a time."""
    place = urlsplit(person.url)
    said = orjson.dumps({"op": "subscribe", "channels": CHANNELS, "rate": 20})
    head = (
        f"GET /ws/dashboard HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {person.token}\r\n\r\n"
    )
    request = head.encode() + b"\x81\xfe" + len(said).to_bytes(2, "big") + b"\0\0\0\0" + said
    host, port = place.hostname or "127.0.0.1", place.port or 0
    loop, crowd = asyncio.get_running_loop(), list[Dashboard]()
    wanted = [True] * reading + [False] * stalled
    for start in range(0, len(wanted), 25):
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda reads=reads: Dashboard(request, reads=reads), host, port)  # type: ignore[misc]
                for reads in wanted[start : start + 25]
            )
        )
        crowd += [dashboard for _, dashboard in made]
        await asyncio.gather(*(dashboard.joined for _, dashboard in made))
    return crowd


def kernel_bytes() -> int:
    """What all TCP sockets of this machine hold in the kernel."""
    text = Path("/proc/net/sockstat").read_text()
    line = next(line for line in text.splitlines() if line.startswith("TCP:"))
    return int(line.split()[line.split().index("mem") + 1]) * resource.getpagesize()


def rss_bytes(pid: int) -> int:
    """Memory of a process that is in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def room() -> int:
    """How many dashboards this process may have open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return CROWD if soft == resource.RLIM_INFINITY else min(CROWD, soft - SPARE_FILES)


@drill("F126", None, alone=True)
async def thousand_dashboards(bench: Bench) -> None:
    """A thousand at the WebSocket, a tenth of them takes nothing: the others get every event in time, those are cut and
    counted, memory is bounded, and trading goes on."""
    count = room()
    bench.need(count >= CROWD // 4, f"this machine allows {count} connections only")
    stalled = count * STALLED // CROWD
    async with site(DESK, bench.folder) as there, aiohttp.ClientSession() as session:
        child = await there.life()
        pid = child.process.pid
        trader = await person_of(child, session, "trader")
        rss, kernel = rss_bytes(pid), kernel_bytes()
        crowd = await joined(trader, count - stalled, stalled)
        began, waited = time.monotonic(), waited_ns(pid) + waited_ns(0)
        most_rss, most_kernel, cut_sec = await told(there, child, crowd, began)
        waited = waited_ns(pid) + waited_ns(0) - waited
        readers = [one for one in crowd if one.reads]
        await until(lambda: all(len(one.delays_ns) >= EVENTS for one in readers), 30.0, "I14: every event arrives")
        bench.need(not any(one.is_closed for one in readers), "I14: a dashboard that reads was cut")
        bench.need({len(one.delays_ns) for one in readers} == {EVENTS}, "I14: an event came twice")
        delays = sorted(delay for one in readers for delay in one.delays_ns)
        p99_ns = delays[int(len(delays) * 0.99)]
        bench.need(
            p99_ns <= DELAY_NS + waited, f"P07: p99 is {p99_ns / 1e6:.0f} ms, {waited / 1e6:.0f} without a processor"
        )
        bench.need(cut_sec <= CUT_SEC + waited / 1e9, f"P07: the last stalled one was cut after {cut_sec:.1f} s")
        bench.need(most_rss - rss <= RSS_MB << 20, f"I18: {(most_rss - rss) >> 20} MB more memory")
        bench.need(
            most_kernel - kernel <= KERNEL_MB << 20, f"I18: {(most_kernel - kernel) >> 20} MB more in the kernel"
        )
        for one in crowd:
            one.transport.abort()
        await traded(there)
        await agrees(bench, there)
        bench.count(dashboards=count, cut=stalled, events=EVENTS, p99_ms=f"{p99_ns / 1e6:.0f}", cut_s=f"{cut_sec:.1f}")
        await ended_well(bench, child)


async def told(there: Site, child: Child, crowd: Sequence[Dashboard], began: float) -> tuple[int, int, float]:
    """Events go out, and orders; most memory, most of the kernel's, and when the last stalled one was cut."""
    most_rss = most_kernel = 0
    stalled = sum(not one.reads for one in crowd)
    cut_sec = 0.0
    for number in range(EVENTS):
        there.shift(DESK.venues[number % len(DESK.venues)], for_ms=300)
        message = f"{MARK.decode()}{time.time_ns()}"
        await child.ask("alert.create", {"message": message, "severity": "low", "scope": f"n:{number}"})
        most_rss = max(most_rss, rss_bytes(child.process.pid))
        most_kernel = max(most_kernel, kernel_bytes())
        if not cut_sec and await cut_count(child) >= stalled:
            cut_sec = time.monotonic() - began
        await asyncio.sleep(1 / EVENTS_A_SECOND)
    for _ in range(100):
        if cut_sec:
            break
        await asyncio.sleep(0.2)
        cut_sec = time.monotonic() - began if await cut_count(child) >= stalled else 0.0
    else:
        raise Broken(f"P07: {await cut_count(child)} of {stalled} stalled dashboards were cut")
    return most_rss, most_kernel, cut_sec


async def cut_count(child: Child) -> int:
    """How many subscribers were cut, by the daemon's metrics."""
    return int(number_of(str(await child.ask("metrics")), "gambit_ws_cut_total"))


def number_of(metrics: str, name: str) -> float:
    """A metric without labels."""
    return float(next(line for line in metrics.splitlines() if line.startswith(f"{name} ")).split()[1])

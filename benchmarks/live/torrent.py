"""``python -m benchmarks.live.torrent``: a whole daemon under more frames a second than any day brings: what is lost.

Journal, database, samples, metrics, control socket and the desk on paper run as ever; status and metrics are read every
few seconds. The frames are a tape of the simulated market (OKX, Bybit, Kraken), rendered beforehand and sent over and
over by a process that does nothing else, each round beginning with whole books. Sequence numbers and checksums are
right throughout, and the seconds of all times are those of the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.live.__main__ import CONTEXT
from benchmarks.live.endurance import Sample, clean, table
from benchmarks.live.processes import daemon, exchanges, scraped, status_of, usage, write_config
from benchmarks.live.sender import Clear, framed, shake_hands
from benchmarks.report import machine
from gambit.sim.capture import Scene, scene_records
from gambit.sim.wire import WireOptions
from gambit.sim.world import Scenario

VENUES = ("okx", "bybit", "kraken")
SYMBOLS = ("BTC-USDT", "ETH-USDT")
BOOK_RATE = 500.0  # frames a second and book, by the tape's own time
SAMPLE_SEC = 5.0
DRAIN_SEC = 10.0
SLOT_NS = 1_000_000
# The second of every time: 1750000012.345 in ms, and RFC 3339.
SECOND = re.compile(rb"\b17500\d{5}(?=\d{3}\b)")
STAMP = re.compile(rb"2025-06-15T\d\d:\d\d:\d\d(?=[.Z])")
BOOK = re.compile(rb'"channel":"book.*"(?:type|action)":"snapshot"|^{"topic":"orderbook\..*"type":"snapshot"')
SECOND_HELD, STAMP_HELD = b"1750000000", b"2025-06-15T00:00:00"


@dataclass(frozen=True)
class Tape:
    """What each venue says when it is asked to begin, and then for ever: frames of all venues in slots of a ms."""

    opening: dict[str, bytes]
    slots: Sequence[dict[str, bytes]]
    opened: int  # frames of the opening
    frames: int  # of a round


@dataclass(frozen=True)
class Poured:
    """What the sender did."""

    frames: int
    seconds: float
    latest_ms: float  # how far behind its own schedule it was at worst


def main(words: list[str] | None = None) -> int:
    """Run it and print the table; exit code 1 when anything was lost, or less came than was to be offered."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.torrent", description=__doc__)
    parser.add_argument("--rate", type=int, default=30_000, help="frames a second, all venues together")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tape-seconds", type=float, default=20.0, help="length of the tape by its own time")
    asked = parser.parse_args(words)
    print(machine())
    tape = make_tape(asked.tape_seconds, asked.rate)
    print(f"{asked.rate:,} frames/s for {asked.seconds:g} s, a tape of {tape.frames:,} frames", flush=True)
    samples, poured = run(tape, asked.seconds)
    rows = [
        ("offered", f"{poured.frames:,} frames, {poured.frames / poured.seconds:,.0f}/s"),
        ("sender late at worst", f"{poured.latest_ms:.0f} ms"),
        ("dropped", f"{tape.opened + poured.frames - samples[-1].frames:,}"),
        *table(samples),
    ]
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        print(f"{label:{width}}  {text}")
    is_offered = poured.frames >= 0.999 * asked.rate * poured.seconds
    return 0 if is_offered and is_whole(tape, samples[-1], poured) else 1


def is_whole(tape: Tape, last: Sample, poured: Poured) -> bool:
    """Whether every frame came, and nothing was lost on the way to journal and database."""
    return last.frames == tape.opened + poured.frames and clean(last)


def make_tape(seconds: float, rate: int) -> Tape:
    """So many seconds of the simulated market, cut into what a ms brings at `rate` frames a second."""
    form = WireOptions(tops=False, trades=False)
    scene = Scene(venues=VENUES, symbols=SYMBOLS, seconds=seconds, seed=3, rate=BOOK_RATE, options=form, lists=False)
    heard = [(r["venue"], r["data"].encode()) for r in scene_records(scene) if r["t"] == "recv"]
    opening: dict[str, list[bytes]] = {venue: [] for venue in VENUES}
    books: dict[str, set[bytes]] = {venue: set() for venue in VENUES}
    again: list[tuple[str, bytes]] = []
    rest: list[tuple[str, bytes]] = []
    for venue, text in heard:
        frame = framed(STAMP.sub(STAMP_HELD, SECOND.sub(SECOND_HELD, text)))
        is_book = BOOK.search(text) is not None
        if len(books[venue]) < len(SYMBOLS):
            opening[venue].append(frame)
            if is_book:
                books[venue].add(frame)
                again.append((venue, frame))
        else:
            rest.append((venue, frame))
    whole = [*again, *rest]
    a_slot = max(1, rate * SLOT_NS // 1_000_000_000)
    slots = [_slot(whole[at : at + a_slot]) for at in range(0, len(whole) - len(whole) % a_slot, a_slot)]
    opened = sum(map(len, opening.values()))
    return Tape({venue: b"".join(frames) for venue, frames in opening.items()}, slots, opened, len(slots) * a_slot)


def _slot(frames: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    venues = dict.fromkeys(venue for venue, _ in frames)
    return {venue: b"".join(frame for its, frame in frames if its == venue) for venue in venues}


def run(tape: Tape, seconds: float, *, sample_sec: float = SAMPLE_SEC) -> tuple[list[Sample], Poured]:
    """Samples from the first frame until everything that was sent has come, and what was sent."""
    ours, theirs = CONTEXT.Pipe()
    sender = CONTEXT.Process(target=pour, args=(theirs, tape, seconds), daemon=True)
    sender.start()
    ports: dict[str, int] = ours.recv()
    samples: list[Sample] = []
    quiet = Scenario(symbols=SYMBOLS, rate=0.1, dislocations_per_s=0.0)
    with tempfile.TemporaryDirectory(prefix="gambit-torrent-") as name, exchanges(Path(name), quiet) as (sim, entries):
        here = [{**one, "ws": _here(one["ws"], ports[one["venue"]])} for one in entries if one["venue"] in VENUES]
        config = write_config(Path(name), here, quiet)
        with daemon(config) as process:
            ours.send("go")
            begun = time.monotonic()
            while not ours.poll(0 if not samples else sample_sec):
                samples.append(_look(config, process.pid, sim, begun))
            poured: Poured = ours.recv()
            drained = time.monotonic() + DRAIN_SEC
            samples.append(_look(config, process.pid, sim, begun))
            while not is_whole(tape, samples[-1], poured) and time.monotonic() < drained:
                time.sleep(0.1)
                samples[-1] = _look(config, process.pid, sim, begun)
            ours.send("enough")
    sender.join()
    return samples, poured


def _look(config: Path, pid: int, sim: int, begun: float) -> Sample:
    status = status_of(config)
    return Sample(time.monotonic() - begun, usage(pid), usage(sim), status, scraped(status["metrics_address"]))


def _here(address: str, port: int) -> str:
    """The sender's address, with the path that the venue's clients ask for."""
    return f"ws://127.0.0.1:{port}/{address.partition('://')[2].partition('/')[2]}"


def pour(tell: Connection, tape: Tape, seconds: float) -> None:
    """Serve one client a venue: tell the ports, open, then send for so long; tell what was sent."""
    listeners = {venue: socket.create_server(("127.0.0.1", 0)) for venue in VENUES}
    tell.send({venue: listener.getsockname()[1] for venue, listener in listeners.items()})
    with ThreadPoolExecutor(len(VENUES)) as threads:
        opened = threads.map(lambda venue: _opened(listeners[venue], tape.opening[venue]), VENUES)
        clients = dict(zip(VENUES, opened, strict=True))
    tell.recv()
    tell.send(_pour(clients, tape, seconds))
    tell.recv()
    for client in clients.values():
        client.close()


def _opened(listener: socket.socket, opening: bytes) -> socket.socket:
    """A client that has what it asked for; one that gave up meanwhile is not counted."""
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            shake_hands(Clear(client))
            if client.recv(65536):  # it asks for its books
                client.sendall(_at_present(opening))
                return client
        client.close()


def _pour(clients: dict[str, socket.socket], tape: Tape, seconds: float) -> Poured:
    begun = time.perf_counter_ns()
    end = begun + int(seconds * 1e9)
    a_slot = tape.frames // len(tape.slots)
    slots = worst = 0
    due = begun
    while due < end:
        now = time.perf_counter_ns()
        if now < due:
            time.sleep((due - now) / 1e9)
        worst = max(worst, time.perf_counter_ns() - due)
        for venue, frames in tape.slots[slots % len(tape.slots)].items():
            clients[venue].sendall(_at_present(frames))
        slots += 1
        due = begun + slots * SLOT_NS
    return Poured(slots * a_slot, (time.perf_counter_ns() - begun) / 1e9, worst / 1e6)


def _at_present(frames: bytes) -> bytes:
    """Frames of the tape with the clock's second."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)).encode()
    return frames.replace(SECOND_HELD, b"%010d" % int(now)).replace(STAMP_HELD, stamp)


if __name__ == "__main__":
    raise SystemExit(main())

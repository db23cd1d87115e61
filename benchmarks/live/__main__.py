"""``python -m benchmarks.live``: sender's socket to signal, paced and in bursts, plain and TLS."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.frames import Stream, make_stream
from benchmarks.live.contestants import NAMES, read
from benchmarks.live.sender import Schedule, send
from benchmarks.report import machine

CONTEXT = multiprocessing.get_context("spawn")


def main(words: list[str] | None = None) -> int:
    """Run every contestant over every schedule; print p50 and p99 in us, and p50 over the bare reader's."""
    asked = _options(words)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        pem = _certificate(Path(folder))
        for label, schedule in _schedules(asked.frames):
            for secure in asked.tls:
                stream = one_venue(schedule)
                print(f"\n{label}, {'TLS' if secure else 'plain'}: {schedule.count} OKX depth frames of 20 + 20 levels")
                _table(stream, schedule, pem if secure else "", asked)
    return 0


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, contestants in turn; the best counts")
    parser.add_argument("--only", action="append", choices=NAMES)
    parser.add_argument("--tls", type=lambda text: text == "yes", action="append", help="yes or no; default both")
    ahead = "sender and reader go ahead of all others, each on a core: ratios hold on a machine that others use"
    parser.add_argument("--ahead", action="store_true", help=ahead)
    asked = parser.parse_args(words)
    asked.cpus = _own_cores(parser) if asked.ahead else (None, None)
    asked.tls = asked.tls or [False, True]
    return asked


def _own_cores(parser: argparse.ArgumentParser) -> Sequence[int]:
    """A core for the sender and one for the reader; ends the program where that cannot be."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error("--ahead needs two cores")
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        parser.error("--ahead needs the right to real-time priority (CAP_SYS_NICE)")
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return cores


def _schedules(frames: int) -> list[tuple[str, Schedule]]:
    return [
        ("paced, a frame every ms", Schedule(1, 1000, 500, frames)),
        ("bursts of 50 every 50 ms, each in one write", Schedule(50, 50_000, 500, frames)),
        ("bursts of 50 every 50 ms, a write for each frame", Schedule(50, 50_000, 500, frames, apart=True)),
    ]


def one_venue(schedule: Schedule) -> Stream:
    """OKX frames of the first venue only; the second stands still and is what the first is compared with."""
    from dataclasses import replace

    whole = make_stream("depth", ["okx", "okx"], 2 * (schedule.warm + schedule.count) + 200, seed=1)
    own = [frame for frame, venue in zip(whole.frames, whole.venue_of, strict=True) if venue == 0]
    own = own[: schedule.warm + schedule.count]
    return replace(whole, frames=tuple(own), venue_of=(0,) * len(own), recv_ns=tuple(whole.recv_ns[: len(own)]))


def _table(stream: Stream, schedule: Schedule, pem: str, asked: argparse.Namespace) -> None:
    best: dict[str, tuple[float, float]] = {}
    for _ in range(asked.rounds):
        for name in asked.only or NAMES:
            took = _race(name, stream, schedule, pem, asked.cpus)
            if took is not None and (name not in best or took < best[name]):
                best[name] = took
    base = best.get("bare reader")
    print(f"{'':22} {'p50 us':>9} {'p99 us':>9} {'x bare':>7} {'x gambit':>9}")
    for name, (p50, p99) in best.items():
        x_bare = f"{p50 / base[0]:.2f}" if base else "-"
        x_ours = f"{p50 / best['gambit'][0]:.1f}" if "gambit" in best else "-"
        print(f"{name:22} {p50:9.1f} {p99:9.1f} {x_bare:>7} {x_ours:>9}")


def _race(
    name: str, stream: Stream, schedule: Schedule, pem: str, cpus: Sequence[int | None]
) -> tuple[float, float] | None:
    """(p50, p99) of one contestant in microseconds; None when its library is not there."""
    opening = [opening.body for opening in stream.openings[0]]
    ours, theirs = CONTEXT.Pipe()
    sender = CONTEXT.Process(target=send, args=(theirs, opening, stream.frames, schedule, pem, cpus[0]), daemon=True)
    sender.start()
    port = ours.recv()
    hear, tell = CONTEXT.Pipe()
    scheme = "wss" if pem else "ws"
    arguments = (name, tell, f"{scheme}://127.0.0.1:{port}/", stream, len(opening), cpus[1])
    reader = CONTEXT.Process(target=read, args=arguments, daemon=True)
    reader.start()
    tell.close()
    try:
        hear.recv()
        ours.send("go")
        sent = array("q", ours.recv_bytes())
        done = array("q", hear.recv_bytes())
        ours.send("enough")
    except EOFError:
        print(f"{name}: left out, its process ended with {reader.exitcode}")
        sender.kill()
        return None
    reader.join()
    sender.join()
    spans = sorted((d - s) / 1000 for s, d in zip(sent[schedule.warm :], done[schedule.warm :], strict=True))
    return spans[len(spans) // 2], spans[len(spans) * 99 // 100]


def _certificate(folder: Path) -> str:
    """A key and a certificate for localhost, made for this run."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "sender.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return str(path)


if __name__ == "__main__":
    raise SystemExit(main())

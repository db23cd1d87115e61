"""`gambit sim`: the simulated exchanges alone, for any client that speaks their languages."""

import asyncio
import gc
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gambit.cli.options import Failure, finite

if TYPE_CHECKING:
    from gambit.sim.world import Scenario, World

PORT_MAX = 65000
GARBAGE_MAX = 50_000  # objects made before a collection looks at the young ones


@click.command("sim")
@click.option("--venues", default="", metavar="NAME,...", help="Which exchanges; all five when not given.")
@click.option(
    "--port-base",
    type=click.IntRange(0, PORT_MAX),
    default=19000,
    show_default=True,
    help="Port of the first exchange, the others get the next ones; 0 takes free ports.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Another seed, another market."
)
@click.option(
    "--scenario",
    "scenario_path",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Symbols, rates, planned faults and price moves (JSON or TOML).",
)
@click.option("--symbols", default="", metavar="NAME,...", help="Which symbols, such as BTC-USDT; else the scenario's.")
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 1000.0),
    callback=finite,
    help="Changes of each book per second; else the scenario's, usually 10.",
)
@click.option(
    "--tls",
    "certificate_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Serve https and wss with a certificate made for this run, which is written to FILE for clients to trust.",
)
@click.option("--attached", is_flag=True, help="End when standard input does, as when the starting process is gone.")
def sim(
    venues: str,
    port_base: int,
    seed: int,
    scenario_path: Path | None,
    symbols: str,
    rate: float | None,
    certificate_path: Path | None,
    attached: bool,
) -> int:
    """Serve simulated exchanges on this machine until interrupted.

    Prints one JSON line per exchange: venue, rest, ws, ws_private, key, secret, passphrase. Each speaks its venue's own
    protocol, with play money on accounts demo and demo2; /_sim/ledger on the same port tells the truth about it.
    """
    import uvloop

    from gambit.runtime.clock import SystemClock
    from gambit.sim.world import DIALECTS, World

    names = [name.strip() for name in venues.split(",") if name.strip()] or list(DIALECTS)
    scenario = overridden(read_scenario(scenario_path), symbols, rate)
    clock = SystemClock()
    try:
        world = World(names, scenario, seed=seed, start_ns=clock.now_ns())
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    context = tls_context(certificate_path, clock.now_ns())
    gc.freeze()  # books and instruments live as long as the process
    gc.set_threshold(GARBAGE_MAX)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(world, clock.now_ns, port_base, context, attached=attached))
    return 0


def overridden(scenario: "Scenario", symbols: str, rate: float | None) -> "Scenario":
    """The scenario with what the command line says instead."""
    import msgspec

    changes: dict[str, object] = {} if rate is None else {"rate": rate}
    names = tuple(name.strip().upper() for name in symbols.split(",") if name.strip())
    if names:
        changes["symbols"] = names
    return msgspec.structs.replace(scenario, **changes)


def tls_context(path: Path | None, now_ns: int) -> ssl.SSLContext | None:
    """A server's side of TLS, its certificate written to `path`; None without one."""
    from gambit.sim.certificate import make_certificate
    from gambit.sim.server import server_context

    if path is None:
        return None
    certificate, private = make_certificate(now_ns)
    path.write_bytes(certificate)
    return server_context(certificate, private)


def read_scenario(path: Path | None) -> "Scenario":
    """A scenario file, or the usual market without one; raises Failure with what is wrong and where."""
    import msgspec

    from gambit.sim.world import Scenario

    if path is None:
        return Scenario()
    decode = msgspec.toml.decode if path.suffix == ".toml" else msgspec.json.decode
    try:
        return decode(path.read_bytes(), type=Scenario)
    except msgspec.DecodeError as error:
        raise Failure(f"{path}: {error}") from error


async def serve(
    world: "World", now_ns: Callable[[], int], port_base: int, context: ssl.SSLContext | None, *, attached: bool
) -> None:
    """Listen, say where, and go on until SIGINT, SIGTERM or, `attached`, the end of standard input."""
    from gambit.sim.server import Server

    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    if attached:

        def heard() -> None:
            if not os.read(sys.stdin.fileno(), 1024):
                loop.remove_reader(sys.stdin.fileno())
                stopped.set()

        loop.add_reader(sys.stdin.fileno(), heard)
    async with Server(world, now_ns, port_base=port_base, tls=context) as server:
        for entry in server.entries():
            click.echo(json.dumps(entry))
        waiting = asyncio.ensure_future(stopped.wait())
        serving = asyncio.ensure_future(server.wait())
        done, _pending = await asyncio.wait((waiting, serving), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        serving.cancel()
        for task in done:
            task.result()

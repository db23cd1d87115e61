"""A daemon as a process of its own: ``python -m gambit.drills.child FILE``, where FILE is its configuration.

It is `gambit run` with the keys of simulated exchanges, which come as JSON on its standard input, and it arms itself.
``FILE die POINT ARMED`` dies at a point, ``FILE power NOTES HELD`` notes its syncs (gambit.drills.points),
``FILE files N`` has that many descriptors.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

import click
import msgspec
import uvloop

from gambit.bootstrap import Options
from gambit.bootstrap.running import run_daemon
from gambit.config import Config, load_layers
from gambit.drills import points
from gambit.journal import JournalError
from gambit.runtime.daemon import Daemon
from gambit.runtime.process import ProcessError, end_with_parent
from gambit.venues.orders import Keys

REFUSED = 1


def main(path: Path, keys: dict[str, Keys]) -> int:
    """Run it to its end; a start that is refused says why on standard error and gives 1."""

    def load() -> Config:
        return load_layers(path, {}, ()).config

    def on_ready(daemon: Daemon) -> None:
        if keys:
            daemon.parts.dealing.arm("a drill")

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run_daemon(load(), os.environ, Options(keys=keys), on_ready=on_ready, load=load))
    except (ProcessError, JournalError) as error:
        click.echo(f"gambit: {error}", err=True)
        return REFUSED


def arrange(words: list[str]) -> None:
    """What a drill asks of this process besides."""
    match words:
        case ["die", name, armed_by]:
            points.die_at(name, Path(armed_by))
        case ["files", most]:
            resource.setrlimit(resource.RLIMIT_NOFILE, (int(most), int(most)))
        case ["power", notes, held_by]:
            points.note_syncs(Path(notes), Path(held_by))


if __name__ == "__main__":
    end_with_parent(signal.SIGKILL)
    arrange(sys.argv[2:])
    sys.exit(main(Path(sys.argv[1]), msgspec.json.decode(sys.stdin.buffer.readline(), type=dict[str, Keys])))

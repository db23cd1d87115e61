"""`gambit top`: a live view in the terminal, in a process of its own."""

import os
import sys
from pathlib import Path

import click

from gambit.cli.daemon import ask, place_of_running
from gambit.cli.options import Failure, with_config

LACKING = "gambit: `gambit top` needs the extra tui: pip install 'gambit[tui]'; `gambit status --watch` does without"
NO_SCREEN = "gambit: `gambit top` draws on a terminal; `gambit status --watch` writes lines"


@click.command("top")
@with_config
def top(config_path: Path | None, overrides: tuple[str, ...]) -> None:
    """Watch opportunities, feeds, books, orders and latency live; q leaves, ? shows the keys.

    It asks the daemon twice a second over the control socket; whatever it does, the daemon does not feel it.
    """
    place = place_of_running(config_path, overrides)
    ask(place, "status")  # no daemon, no screen
    try:
        from gambit.surface.top import Top
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("textual", "rich"):
            raise
        raise Failure(LACKING) from error
    from gambit.surface.watcher import Watcher

    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("TERM") == "dumb":  # it draws on stderr
        raise Failure(NO_SCREEN)
    Top(Watcher(place.socket)).run()

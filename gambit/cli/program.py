"""The `gambit` command: its subcommands, and how every way of ending becomes an exit code.

0 ok · 1 failed · 2 usage or configuration error · 3 daemon not running · 130 Ctrl-C · 141 the reader went away
"""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from gambit import __version__
from gambit.cli import desk, interrupts, trading
from gambit.cli.alerts import alerts
from gambit.cli.archive import backup, export, restore
from gambit.cli.backtest import backtest
from gambit.cli.config import config_commands
from gambit.cli.credentials import credentials
from gambit.cli.dead_letters import dead_letters
from gambit.cli.demo import demo
from gambit.cli.detached import restart, start, stop
from gambit.cli.doctor import doctor
from gambit.cli.drill import drill_commands
from gambit.cli.explain import explain
from gambit.cli.ledger import rebuild, verify
from gambit.cli.opportunities import opportunities
from gambit.cli.query import query
from gambit.cli.replay import replay
from gambit.cli.run import record
from gambit.cli.run import run as run_command
from gambit.cli.schema import schema_commands
from gambit.cli.scorecard import scorecard
from gambit.cli.sim import sim
from gambit.cli.status import status
from gambit.cli.streams import READER_GONE, silence_stdout
from gambit.cli.top import top
from gambit.cli.users import users
from gambit.cli.venues import venue_commands

FAILED = 1


class Program(click.Group):
    """The group of all commands; a reader that closes the pipe ends it quietly."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except OSError as error:
            if error.errno != errno.EPIPE:
                raise
            silence_stdout()
            ctx.exit(READER_GONE)
        return result


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="gambit", message="%(prog)s %(version)s")
def gambit() -> None:
    """Cross-exchange crypto arbitrage: books, opportunities and replay at the speed of the feed."""


LIVE = (demo, run_command, record, sim)
RUNNING = (
    start,
    stop,
    restart,
    status,
    top,
    opportunities,
    alerts,
    *trading.COMMANDS,
    users,
    *desk.COMMANDS,
)  # what speaks to a running daemon
KEPT = (query, explain, scorecard, export, verify, rebuild, backup, restore, dead_letters)  # on what the daemon kept
STILL = (replay, backtest, config_commands, credentials, schema_commands, venue_commands, doctor, drill_commands)

for command in (*LIVE, *RUNNING, *desk.COMMANDS, *KEPT, *STILL):
    gambit.add_command(command)


def run(words: Sequence[str] | None = None) -> int:
    """Run the command line (default: this process's arguments) and give its exit code; nothing escapes it."""
    try:
        result = gambit.main(args=words, prog_name="gambit", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("gambit: interrupted", err=True)
        return interrupts.EXIT_CODE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"gambit: {where}{error.strerror or error}", err=True)
        return FAILED
    except Exception as error:
        if os.environ.get("GAMBIT_TRACEBACK"):
            raise
        click.echo(f"gambit: a defect in gambit: {type(error).__name__}: {error}", err=True)
        click.echo("gambit: please report it with the output of GAMBIT_TRACEBACK=1 and the same command", err=True)
        return FAILED
    return result if isinstance(result, int) else 0

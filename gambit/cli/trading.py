"""`gambit halt`, `reduce` and `resume`: the trading state."""

import json
from pathlib import Path

import click

from gambit.cli.daemon import ask, place_of_running
from gambit.cli.options import readable, with_config, with_json
from gambit.cli.paint import Paint

WORDS = {
    "halt": "Stop trading now: nothing new leaves, open orders are cancelled. Holds over restarts until resumed.",
    "reduce": "Allow only what lowers exposure.",
    "resume": "Trade again.",
}


def _command(name: str) -> click.Command:
    @click.command(name, help=WORDS[name])
    @click.option("--reason", default="", callback=readable, metavar="TEXT", help="Why; goes into the audit record.")
    @with_config
    @with_json
    def change(reason: str, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
        answer = ask(place_of_running(config_path, overrides), name, reason=reason)
        if as_json:
            click.echo(json.dumps(answer))
            return
        paint = Paint.for_stdout()
        state = paint.good(answer["state"]) if answer["state"] == "ACTIVE" else paint.bad(answer["state"])
        click.echo(
            f"trading state {answer['was']} > {state}" if answer["was"] != answer["state"] else f"already {state}"
        )

    return change


COMMANDS = tuple(_command(name) for name in WORDS)

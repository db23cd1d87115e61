"""`gambit venues`: what is supported."""

import json
from typing import Any

import click

from gambit.cli.options import with_json
from gambit.cli.paint import Paint, table

SPOT, LINEAR, INVERSE = "BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP"
PROOFS = {
    "DIFF": "ids of diffs joined to a snapshot",
    "LINK": "each message names the one before",
    "STEP": "ids that grow by one",
    "CHECKSUM": "checksum of the best levels",
    "CONNECTION": "one counter for the connection",
}


@click.group("venues")
def venue_commands() -> None:
    """The exchanges gambit speaks to."""


@venue_commands.command("list")
@with_json
def list_venues(as_json: bool) -> None:
    """List the exchanges: what they trade, how they spell it, what proves a book complete, their names in captures."""
    found = _venues()
    if as_json:
        click.echo(json.dumps(found))
        return
    head, *rows = table([
        ["venue", "market", "spelling", "a book is complete by", "in captures also"],
        *(
            [
                venue["name"],
                venue["market"],
                f"{venue['symbol']} = {venue['spelling']}",
                PROOFS[venue["proof"]],
                ", ".join(venue["capture_names"]),
            ]
            for venue in found
        ),
    ], left=5)  # fmt: skip
    click.echo("\n".join([Paint.for_stdout().strong(head), *rows]))


def _venues() -> list[dict[str, Any]]:
    from gambit.venues import CAPTURE_NAMES, VENUES

    found = []
    for name, venue in VENUES.items():
        is_inverse = venue.default_contract_size(INVERSE) is not None
        symbol = SPOT if venue.spelling(SPOT) is not None else INVERSE if is_inverse else LINEAR
        found.append({
            "name": name,
            "market": "spot" if symbol == SPOT else "derivatives",
            "symbol": symbol,
            "spelling": venue.spelling(symbol),
            "proof": venue.wire.rule.name,
            "capture_names": [alias for alias, known in CAPTURE_NAMES.items() if known == name],
        })  # fmt: skip
    return found

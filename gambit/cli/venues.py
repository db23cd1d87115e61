"""`gambit venues`: what is supported."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gambit.cli.options import finite, load_config, with_config, with_json
from gambit.cli.paint import Paint, table

if TYPE_CHECKING:
    from decimal import Decimal

    from gambit.config import Config
    from gambit.venues.orders import Keys

SPOT, LINEAR, INVERSE = "BTC-USDT", "BTC-USDT-PERP", "BTC-USD-PERP"
PROOFS = {
    "DIFF": "ids of diffs joined to a snapshot",
    "LINK": "each message names the one before",
    "STEP": "ids that grow by one",
    "CHECKSUM": "checksum of the best levels",
    "CONNECTION": "one counter for the connection",
    "LIBRARY": "whatever the library checks",
}
ORDERS = ("binance", "okx", "bybit", "kraken", "coinbase")  # with an order language


@click.group("venues")
def venue_commands() -> None:
    """The exchanges gambit speaks to."""


@venue_commands.command("list")
@click.option("--others", is_flag=True, help="Also what ccxt reaches; reading that takes some seconds.")
@with_json
def list_venues(others: bool, as_json: bool) -> None:
    """List the exchanges: what they trade, how they spell it, what proves a book complete, what else they offer.

    Any exchange of ccxt's can be reached too, the slow way: `[venues.NAME] adapter = "ccxt"`, or "ccxt:ITS-NAME".
    """
    found = [*_venues(), *(_others() if others else [])]
    if as_json:
        click.echo(json.dumps(found))
        return
    head, *rows = table([
        ["venue", "path", "market", "spelling", "a book is complete by", "offers", "in captures also"],
        *(
            [
                venue["name"],
                venue["path"],
                venue["market"],
                f"{venue['symbol']} = {venue['spelling']}",
                PROOFS[venue["proof"]],
                ", ".join(venue["offers"]),
                ", ".join(venue["capture_names"]),
            ]
            for venue in found
        ),
    ], left=7)  # fmt: skip
    click.echo("\n".join([Paint.for_stdout().strong(head), *rows]))


@venue_commands.command("check")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0.1, 300),
    callback=finite,
    default=10.0,
    show_default=True,
    help="Longest time to wait until all books are synced, in seconds.",
)
@with_config
@with_json
def check_venues(seconds: float, config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> int:
    """Connect to the venues of a configuration and say how that went: books, clock, REST, what is not listed, fees, and
    where there are accounts' keys what these may do and what the venue says that the account pays as a taker.

    Ends with 1 when a venue did not come up, or is not to be traded at with its key.
    """
    import asyncio
    from dataclasses import asdict

    from gambit.cli.run import need_venues
    from gambit.runtime.checkup import check_fees, check_keys, unaskable
    from gambit.runtime.checkup import check_venues as check
    from gambit.runtime.status import FeedError

    loaded = load_config(config_path, overrides)
    need_venues(loaded.config)
    keys = account_keys(loaded.config)
    try:
        statuses, said = asyncio.run(check(loaded.config, seconds))
        objections, untold = asyncio.run(check_keys(loaded.config, keys)), unaskable(keys)
        charged = asyncio.run(check_fees(loaded.config, keys))
    except FeedError as error:
        raise click.ClickException(str(error)) from error
    told_of = {**objections, **untold}
    if as_json:
        told = [
            asdict(status)
            | fees_of(loaded.config, status.venue, charged.get(status.venue))
            | ({"key": told_of[status.venue] or "ok"} if status.venue in told_of else {})
            for status in statuses
        ]
        click.echo(json.dumps(told))
    else:
        head, *rows = table([
            ["venue", "state", "books", "not listed", "closed", "its clock", "taker fee", "reason"],
            *(
                [
                    status.venue,
                    status.state,
                    f"{status.books_synced}/{status.books}",
                    ", ".join(status.missing),
                    ", ".join(status.closed),
                    "" if status.clock_offset_ns is None else f"{status.clock_offset_ns / 1e6:+.0f} ms",
                    fee_words(fees_of(loaded.config, status.venue, charged.get(status.venue))),
                    status.reason,
                ]
                for status in statuses
            ),
        ], left=8)  # fmt: skip
        click.echo("\n".join([Paint.for_stdout().strong(head), *rows]))
        for venue, text in objections.items():
            click.echo(text or f"the key of {venue} may trade and nothing that it should not")
        for text in untold.values():
            click.echo(text)
        click.echo("\n".join(said), err=True, nl=bool(said))
    return 0 if all(status.state == "up" for status in statuses) and not any(objections.values()) else 1


def fees_of(config: "Config", venue: str, charged_bps: "Decimal | None") -> dict[str, str | None]:
    """A venue's fees in bps of the notional, as decimal text: those in force, and the taker's that its account is told;
    None where nobody says."""
    maker = config.venues[venue].maker_fee_bps
    found = {
        "taker_fee_bps": config.taker_fee_bps(venue),
        "maker_fee_bps": maker,
        "account_taker_fee_bps": charged_bps,
    }
    return {name: None if bps is None else f"{bps.normalize():f}" for name, bps in found.items()}


def fee_words(fees: dict[str, str | None]) -> str:
    """`10 bps`, and what the account pays where that is known."""
    told = fees["account_taker_fee_bps"]
    return f"{fees['taker_fee_bps']} bps" + ("" if told is None else f", account {told}")


def account_keys(config: "Config") -> "dict[str, Keys]":
    """The keys of the accounts that the configuration or the vault has any for. Raises Refused."""
    import os
    import time

    from gambit.bootstrap.credentials import CredentialError, keys_of
    from gambit.cli.credentials import Refused, passphrase_prompt
    from gambit.runtime.process import state_dir
    from gambit.vault import Vault, VaultError

    state = state_dir(config.daemon.state_dir, os.environ)
    try:
        vault = Vault.open(state, os.environ, time.time_ns, ask=passphrase_prompt())
        return keys_of(config, vault, os.environ)
    except (VaultError, CredentialError) as error:
        raise Refused(f"gambit: {error}") from error


def _venues() -> list[dict[str, Any]]:
    from gambit.venues import CAPTURE_NAMES, VENUES

    found = []
    for name, venue in VENUES.items():
        is_inverse = venue.default_contract_size(INVERSE) is not None
        symbol = SPOT if venue.spelling(SPOT) is not None else INVERSE if is_inverse else LINEAR
        found.append({
            "name": name,
            "path": "native",
            "market": "spot" if symbol == SPOT else "derivatives",
            "symbol": symbol,
            "spelling": venue.spelling(symbol),
            "proof": venue.wire.rule.name,
            "offers": [word for word, there in (
                ("depth", True), ("bbo", True), ("testnet", venue.live.test_ws), ("orders", name in ORDERS)
            ) if there],
            "capture_names": [alias for alias, known in CAPTURE_NAMES.items() if known == name],
        })  # fmt: skip
    return found


def _others() -> list[dict[str, Any]]:
    """Exchanges that have no language here and that ccxt streams or polls. Raises click.ClickException without ccxt."""
    from gambit.runtime.generic import exchanges
    from gambit.runtime.status import FeedError
    from gambit.venues import VENUES

    try:
        found = exchanges()
    except FeedError as error:
        raise click.ClickException(str(error)) from error
    return [
        {
            "name": name,
            "path": "ccxt (slow)",
            "market": "spot",
            "symbol": SPOT,
            "spelling": SPOT.replace("-", "/"),
            "proof": "LIBRARY",
            "offers": offers,
            "capture_names": [],
        }
        for name, offers in found.items()
        if name not in VENUES
    ]

"""What no single key can tell: spellings of symbols and addresses, and keys that have to agree with each other."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from gambit.config.lines import Path
from gambit.config.settings import Config, Group

SYMBOL = re.compile(r"[^\s:,|-]+-[^\s:,|-]+(-[^\s:,|-]+)?")
VENUE = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")

Finding = tuple[Path, str]


def is_symbol(text: str) -> bool:
    """Whether a text is `BASE-QUOTE` or `BASE-QUOTE-SUFFIX` in upper case."""
    return SYMBOL.fullmatch(text) is not None and text == text.upper()


def inconsistencies(config: Config) -> Iterator[Finding]:
    """Every breach, as the path of the key and what is wrong with its value."""
    yield from _weights(config)
    yield from _symbols(("symbols",), config.symbols)
    yield from _groups(config.engine.groups)
    yield from _venues(config)
    yield from _aliases(config)


def _weights(config: Config) -> Iterator[Finding]:
    weights = config.engine.ranking_weights
    total = weights.spread + weights.liquidity + weights.volatility
    if total != 1:
        yield ("engine", "ranking_weights"), f"add up to {total}, not to 1"


def _symbols(path: Path, symbols: tuple[str, ...]) -> Iterator[Finding]:
    for i, symbol in enumerate(symbols):
        if not is_symbol(symbol):
            yield (*path, i), f'= "{symbol}" is not a symbol: BASE-QUOTE[-SUFFIX], upper case'


def _groups(groups: tuple[Group, ...]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    names: set[str] = set()
    for i, group in enumerate(groups):
        path: Path = ("engine", "groups", i)
        if not group.name or "|" in group.name:
            yield (*path, "name"), f'= "{group.name}" is not a name: some text without |'
        if group.name in names:
            yield (*path, "name"), f'= "{group.name}" names a second group'
        names.add(group.name)
        if len(group.members) < 2:
            yield (*path, "members"), "are fewer than two books"
        for j, member in enumerate(group.members):
            yield from _member((*path, "members", j), member, group.name, owners)


def _member(path: Path, member: str, group: str, owners: dict[str, str]) -> Iterator[Finding]:
    venue, _, symbol = member.partition(":")
    if not VENUE.fullmatch(venue) or not is_symbol(symbol):
        yield path, f'= "{member}" is not a book: venue:BASE-QUOTE[-SUFFIX]'
    elif member in owners:
        yield path, f'= "{member}" is in group "{owners[member]}" already; a book is in at most one group'
    owners.setdefault(member, group)


def _venues(config: Config) -> Iterator[Finding]:
    for name, venue in config.venues.items():
        path: Path = ("venues", name)
        if not VENUE.fullmatch(name):
            yield path, "is not a venue's name: lower case letters, digits and hyphens"
        yield from _symbols((*path, "symbols"), venue.symbols)
        yield from _address((*path, "ws_url"), venue.ws_url, ("ws", "wss"))
        yield from _address((*path, "rest_url"), venue.rest_url, ("http", "https"))


def _address(path: Path, url: str, schemes: tuple[str, ...]) -> Iterator[Finding]:
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_whole = False
    if not is_whole:
        yield path, f"is not an address that starts with {schemes[0]}:// or {schemes[1]}://"
    elif parts.username is not None or parts.password is not None:
        yield path, "holds credentials; secrets stay out of the file (env:NAME, file:PATH or the encrypted store)"


def _aliases(config: Config) -> Iterator[Finding]:
    meanings: dict[tuple[str, str], str] = {}
    for i, alias in enumerate(config.assets.aliases):
        path: Path = ("assets", "aliases", i)
        if not alias.ticker or not alias.asset or "-" in alias.asset or alias.asset != alias.asset.upper():
            yield path, "wants a ticker and an asset, upper case without hyphen"
        if alias.venue and not VENUE.fullmatch(alias.venue):
            yield (*path, "venue"), f'= "{alias.venue}" is not a venue\'s name'
        known = meanings.setdefault((alias.venue, alias.ticker), alias.asset)
        if known != alias.asset:
            yield (*path, "asset"), f'= "{alias.asset}": {alias.ticker} means {known} already'

"""Which symbol a venue's spelling means, and what is known of the instrument (replay-rules R7, D3).

A symbol is known by a recorded instrument list, by being asked for (`symbols`), as a member of a declared group, or,
where none of these say anything, because the venue's spelling has a seam.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from gambit.model import Instrument


class Speller(Protocol):
    """The part of a venue that names things."""

    name: str

    def spelling(self, symbol: str) -> str | None: ...

    def symbol(self, spelling: str) -> str | None: ...


class Catalog:
    """The instruments of one venue. `wanted` filters and names symbols; None: everything. `grouped` only names."""

    def __init__(
        self,
        venue: Speller,
        wanted: Sequence[str] | None,
        grouped: Iterable[str],
        aliases: Mapping[str, str],
    ) -> None:
        self.venue = venue
        self.wanted = frozenset(wanted) if wanted is not None else None
        self.aliases = aliases
        self.has_list = False
        self.instruments: dict[str, Instrument] = {}
        named = wanted if wanted is not None else grouped
        self.named = {spelling: symbol for symbol in named if (spelling := self.spell(symbol)) is not None}

    def spell(self, symbol: str) -> str | None:
        """The venue's spelling of a symbol, through the aliases backwards."""
        listed = next((i.spelling for i in self.instruments.values() if self.renamed(i.symbol) == symbol), None)
        if listed is not None:
            return listed
        tickers = {asset: ticker for ticker, asset in self.aliases.items()}
        return self.venue.spelling("-".join(tickers.get(part, part) for part in symbol.split("-")))

    def renamed(self, symbol: str) -> str:
        """A symbol with the venue's tickers replaced by the assets they mean."""
        base, _, rest = symbol.partition("-")
        quote, dash, suffix = rest.partition("-")
        return f"{self.aliases.get(base, base)}-{self.aliases.get(quote, quote)}{dash}{suffix}"

    def add(self, instruments: Iterable[Instrument], *, is_list: bool) -> list[str]:
        """Learn instruments; with is_list, what is not in the list is unknown from now on. Returns their spellings."""
        added = {instrument.spelling: instrument for instrument in instruments}
        self.instruments.update(added)
        self.has_list = self.has_list or is_list
        return list(added)

    def symbol(self, spelling: str) -> str | None:
        """The symbol of a spelling; None when it is unknown or not wanted."""
        instrument = self.instruments.get(spelling)
        if instrument is not None:
            found: str | None = self.renamed(instrument.symbol)
        elif spelling in self.named:
            found = self.named[spelling]
        elif self.has_list or self.wanted is not None:
            found = None
        else:
            taken = self.venue.symbol(spelling)
            found = self.renamed(taken) if taken is not None else None
        if found is None or (self.wanted is not None and found not in self.wanted):
            return None
        return found

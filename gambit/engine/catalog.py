"""Which symbol a venue's spelling means, and what is known of the instrument (replay-rules R7, D3).

A symbol is known by a recorded instrument list, by being asked for (`symbols`), as a member of a declared group, or,
where none of these say anything, because the venue's spelling has a seam.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from gambit.model import Instrument

SPELLING_BYTES_MAX: Final = 31  # what the kernels remember of a frame
SYMBOL_BYTES_MAX: Final = 80


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
        self.instruments: dict[str, Instrument] = {}  # by spelling
        self.by_symbol: dict[str, Instrument] = {}
        self._resting: dict[str, int] = {}  # symbols whose market is taken for closed, and until when at least
        named = wanted if wanted is not None else grouped
        self.named = {spelling: symbol for symbol in named for spelling in self.spellings(symbol)}

    def spellings(self, symbol: str) -> list[str]:
        """How the venue may write a symbol: with its own tickers for the two assets, and by the assets' names."""
        base, quote, *rest = symbol.split("-")
        pairs = [(b, q) for b in self._tickers(base) for q in self._tickers(quote)]
        written = [self.venue.spelling("-".join([b, q, *rest])) for b, q in pairs]
        return [spelling for spelling in written if spelling is not None]

    def _tickers(self, asset: str) -> list[str]:
        """The venue's tickers for an asset; its own name is one unless it means another asset there."""
        tickers = [ticker for ticker, meant in self.aliases.items() if meant == asset]
        return [*tickers, asset] if self.aliases.get(asset, asset) == asset else tickers

    def renamed(self, symbol: str) -> str:
        """A symbol with the venue's tickers replaced by the assets they mean."""
        base, _, rest = symbol.partition("-")
        quote, dash, suffix = rest.partition("-")
        return f"{self.aliases.get(base, base)}-{self.aliases.get(quote, quote)}{dash}{suffix}"

    def add(self, instruments: Iterable[Instrument], *, is_list: bool) -> list[str]:
        """Learn instruments; with is_list, what is not in the list is unknown from now on. Returns their symbols."""
        added = []
        for instrument in instruments:
            symbol = self.renamed(instrument.symbol)
            if not (is_name(symbol) and is_name(instrument.spelling, SPELLING_BYTES_MAX)):
                continue
            self._keep(symbol, instrument)
            added.append(symbol)
        self.has_list = self.has_list or is_list
        return added

    def _keep(self, symbol: str, instrument: Instrument) -> None:
        if symbol in self._resting:
            instrument = msgspec.structs.replace(instrument, is_open=False)
        self.by_symbol[symbol] = instrument
        self.instruments[instrument.spelling] = instrument

    def close(self, symbol: str, until_ns: int) -> None:
        """The venue refused an order for its market's state: it is closed, whatever a list says until then."""
        self._resting.setdefault(symbol, until_ns)  # more refusals at once are the same news
        known = self.by_symbol.get(symbol)
        if known is not None:
            self._keep(symbol, known)

    def end_rests(self, now_ns: int) -> None:
        """From now on lists are believed again of those whose time is over; they are closed until the next one."""
        self._resting = {symbol: until_ns for symbol, until_ns in self._resting.items() if until_ns > now_ns}

    def symbol(self, spelling: str) -> str | None:
        """The symbol of a spelling; None when it is unknown, not wanted or no name."""
        found = self._meant(spelling) if is_name(spelling, SPELLING_BYTES_MAX) else None
        if found is None or not is_name(found) or (self.wanted is not None and found not in self.wanted):
            return None
        return found

    def _meant(self, spelling: str) -> str | None:
        instrument = self.instruments.get(spelling)
        if instrument is not None:
            return self.renamed(instrument.symbol)
        if spelling in self.named:
            return self.named[spelling]
        taken = self.venue.symbol(spelling)
        if taken is None:
            return None
        found = self.renamed(taken)
        if not self.has_list and self.wanted is None:
            return found
        return found if found in self.by_symbol or found in self.named.values() else None


def is_name(text: str, bytes_max: int = SYMBOL_BYTES_MAX) -> bool:
    """Whether a text can be a symbol, or a venue's spelling of one: short, printable (in any script), and fit to stand
    in JSON as it is."""
    is_fit = text.isprintable() and '"' not in text and "\\" not in text
    return is_fit and 0 < len(text.encode()) <= bytes_max

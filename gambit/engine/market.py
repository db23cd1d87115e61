"""The markets of all venues: frames in, books, ticks and opportunities out.

A thin face over the hot path (gambit._core.hot): it names things, decodes what the scanner is not sure about, and keeps
what is rare - acks, instrument lists, snapshots from beside the stream, dead letters - out of the compiled code.
Replay and daemon use this one class, so that they agree by construction.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gambit._core.hot import Hot
from gambit._core.pairs import Pairs
from gambit.engine.catalog import Catalog
from gambit.engine.opportunity import Listing, Namer
from gambit.engine.params import EngineParams, units
from gambit.model import DeadLetter, DepthSnapshot, ListedInstruments, SubscribedDepth, VenueNotice

DONE, ASK_DECODER, ASK_CONTROL, ASK_SYMBOL = range(4)
NOTICES_KEPT = 1000
REASONS_KEPT = 200  # counted apart; they may quote what came
DEAD_LETTERS_KEPT = 1000
DEAD_LETTER_BYTES_KEPT = 64 * 1024 * 1024
BY_SYMBOL = 0  # index of the relation "same symbol"
SKIP = -2
FEEDS_BOOK, FEEDS_BBO = 1, 2
TAKER_FEE = "gambit:taker_fee_bps"  # stands for an address where an account's fee was told: recorded like any answer
FEE_BPS_MAX = 1000
CONNECTION_RULE, SEQUENCE = 4, 0


@dataclass(slots=True)
class VenueState:
    """A venue as this process knows it."""

    index: int
    name: str
    language: Any  # a gambit.venues.wire.Venue; engine and venues do not import each other
    catalog: Catalog
    taker_fee: float  # fraction
    is_bbo: bool
    skipped: set[str]


@dataclass(slots=True)
class Connection:
    """A stream of a venue."""

    index: int
    venue: VenueState
    name: str
    address: str | None


class Market:
    """Books of many venues and what can be earned between them.

    `languages` maps gambit's venue names to gambit.venues.wire.Venue; `decode` is gambit.venues.decode.decode. Frames
    are given as bytes with the connection they came from and their receive time in ns; nothing here reads a clock.
    """

    def __init__(
        self,
        params: EngineParams,
        languages: Mapping[str, Any],
        decode: Callable[[Any, bytes], Any],
        *,
        on_dead_letter: Callable[[DeadLetter], None] | None = None,
    ) -> None:
        self.params = params
        self.languages = languages
        self.decode = decode
        self.pairs = Pairs(params.core())
        self.hot = Hot(self.pairs)
        self.hot.on_rare = self._on_rare
        self.on_frame = self.hot.frame  # (connection index, frame, recv_ns): straight into compiled code
        self.venues: dict[str, VenueState] = {}
        self.connections: list[Connection] = []
        self.listings: list[Listing] = []
        self.group_names = [group.name for group in params.groups]
        self.group_of = {member: k for k, group in enumerate(params.groups) for member in group.members}
        self.namer = Namer(self.listings, self.group_names, params.ttl_number)
        self.dead_letters: deque[DeadLetter] = deque()  # the latest, within the limits above
        self._dead_letter_bytes = 0
        self.dead_letter_counts: Counter[tuple[str, str]] = Counter()
        self.notices: deque[tuple[str, VenueNotice]] = deque(maxlen=NOTICES_KEPT)
        self.on_dead_letter = on_dead_letter
        self.on_control: Callable[[int, Any], None] | None = None  # (connection index, what the venue said on it)
        self._market_of: dict[tuple[str, str], int] = {}  # by venue and spelling
        self._index_of: dict[Listing, int] = {}
        self._of_symbol: dict[str, list[int]] = {}
        self._prefixes: list[bytes] = []
        self._arenas: dict[str, int] = {}
        self._linked = _linked_symbols(group.members for group in params.groups)

    # ---- registration ----

    def venue(self, name: str) -> VenueState:
        """The venue of this name, set up at first use. Raises KeyError for an unknown one."""
        state = self.venues.get(name)
        if state is None:
            language = self.languages[name]
            settings = self.params.venue(name)
            grouped = [m.partition(":")[2] for m in self.group_of if m.partition(":")[0] == name]
            aliases = {a.ticker: a.asset for a in self.params.aliases if a.venue in (name, "")}
            state = VenueState(
                index=self.hot.add_venue(language.wire, settings.is_bbo),
                name=name,
                language=language,
                catalog=Catalog(language, self.params.wanted(name), grouped, aliases),
                taker_fee=float(settings.taker_fee_bps / 10_000),
                is_bbo=settings.is_bbo,
                skipped=set(),
            )
            self.venues[name] = state
        return state

    def expect(self, books: Iterable[tuple[str, str]]) -> None:
        """Books (venue, symbol) to have before any frame mentions them; what one instant does to several is told in
        their order. Raises KeyError for an unknown venue."""
        for venue, symbol in books:
            state = self.venue(venue)
            if Listing(venue, symbol) not in self._index_of:
                self._add_market(state, symbol)

    def connect(self, venue: str, name: str, *, address: str | None = None) -> int:
        """A new connection; returns its index. Raises KeyError for an unknown venue."""
        state = self.venue(venue)
        language = state.language
        index = self.hot.add_conn(state.index, not language.accepts(address), language.time_unit_ns(address))
        self.connections.append(Connection(index, state, name, address))
        return index

    def disconnect(self, conn: int, recv_ns: int) -> None:
        """The connection is gone: its books are unsynced (R8)."""
        self.hot.tick_clock(recv_ns)
        self.hot.close_conn(conn)

    def on_time(self, recv_ns: int) -> None:
        """Nothing arrived, but it is this late: stale episodes end."""
        self.hot.tick_clock(recv_ns)

    # ---- beside the streams ----

    def on_http(self, venue: str, url: str, data: bytes, recv_ns: int) -> None:
        """A REST answer: an instrument list, a depth snapshot, a fee, or something else, which is ignored."""
        self.hot.tick_clock(recv_ns)
        state = self.venue(venue)
        if url == TAKER_FEE:
            self._charge(state, data)
            return
        try:
            instruments = state.language.instruments(url, data)
        except ValueError as error:
            self._bury(f"instrument list: {error}", state, "http", data)
            return
        if instruments is not None:
            self._learn(state, instruments, is_list=True)
            return
        if state.is_bbo:
            return
        try:
            snapshot = state.language.depth_snapshot(url, data)
        except ValueError as error:
            self._bad_snapshot(state, error, data)
            return
        if snapshot is not None:
            self._join(state, snapshot)

    def _charge(self, state: VenueState, data: bytes) -> None:
        """What a taker pays from now on, in bps (formulas.md, "fees")."""
        try:
            fee = float(Decimal(data.decode()) / 10_000)
            if not abs(fee) * 10_000 <= FEE_BPS_MAX:
                raise ValueError(f"not within {FEE_BPS_MAX} bps")
        except (ValueError, ArithmeticError) as error:
            self._bury(f"taker fee: {error}", state, "http", data)
            return
        state.taker_fee = fee
        for market, listing in enumerate(self.listings):
            if listing.venue == state.name:
                self._set_rules(state, market)

    def _bad_snapshot(self, state: VenueState, error: ValueError, data: bytes) -> None:
        market = self._snapshot_market(state, getattr(error, "spelling", None))
        if market is not None:
            self.hot.quarantine(market, -1, 0, 0)
        self.hot.count(state.index, "quarantined")
        self._bury(str(error), state, "http", data)

    def _join(self, state: VenueState, snapshot: DepthSnapshot) -> None:
        market = self._snapshot_market(state, snapshot.spelling)
        if market is None:
            self.hot.count(state.index, "skipped")
            return
        self.hot.snapshot(market, snapshot.last_id, snapshot.levels)

    def _snapshot_market(self, state: VenueState, spelling: str | None) -> int | None:
        """R4: the market that the address names, else the only one with diffs, else the only one asked for."""
        if spelling is not None:
            return self._resolve(state, spelling)
        fed = {m for (venue, _), m in self._market_of.items() if venue == state.name and self.pairs.was_fed(m)}
        if len(fed) == 1:
            return fed.pop()
        named = state.catalog.named
        return self._resolve(state, next(iter(named))) if len(set(named.values())) == 1 else None

    def _learn(self, state: VenueState, instruments: Iterable[Any], *, is_list: bool) -> None:
        """New rules for markets, and spellings that are known, or unknown, from now on."""
        for symbol in state.catalog.add(instruments, is_list=is_list):
            market = self._index_of.get(Listing(state.name, symbol))
            if market is not None:
                self._set_rules(state, market)
        for spelling in [s for s in state.skipped if state.catalog.symbol(s) is not None]:
            state.skipped.discard(spelling)
            self._resolve(state, spelling)
        known = [spelling for venue, spelling in self._market_of if venue == state.name]
        for spelling in [s for s in known if state.catalog.symbol(s) is None]:
            del self._market_of[state.name, spelling]
            self._resolve(state, spelling)

    # ---- spellings ----

    def _resolve(self, state: VenueState, spelling: str) -> int | None:
        """The market of a spelling, made at first mention; None when the symbol is unknown or not wanted."""
        known = self._market_of.get((state.name, spelling))
        if known is not None:
            return known
        symbol = state.catalog.symbol(spelling)
        raw = spelling.encode(errors="surrogatepass")
        if symbol is None:
            state.skipped.add(spelling)
            if 0 < len(raw) < 32:
                self.hot.spell(state.index, raw, SKIP)
            return None
        market = self._index_of.get(Listing(state.name, symbol))
        if market is None:
            market = self._add_market(state, symbol)
        self._market_of[state.name, spelling] = market
        self.hot.spell(state.index, raw, market)
        return market

    def _add_market(self, state: VenueState, symbol: str) -> int:
        """A venue has one book of a symbol, however it is spelled."""
        root = self._linked.get(symbol, symbol)
        if root not in self._arenas:
            self._arenas[root] = self.pairs.add_group()
        wire = state.language.wire
        market = self.pairs.add_market(
            state.index, int(wire.rule), state.is_bbo, self._arenas[root], state.taker_fee, 0, 0, 0
        )
        self.listings.append(Listing(state.name, symbol))
        self._index_of[self.listings[market]] = market
        self._of_symbol[symbol] = sorted([*self._of_symbol.get(symbol, ()), market], key=self.listings.__getitem__)
        self._prefixes.append(f'"venue":"{state.name}","symbol":"{symbol}"'.encode())
        self._set_rules(state, market)
        self._relate(market)
        return market

    def _set_rules(self, state: VenueState, market: int) -> None:
        symbol = self.listings[market].symbol
        instrument = state.catalog.by_symbol.get(symbol)
        contract = instrument.contract_size if instrument else None
        if contract is None:
            contract = state.language.default_contract_size(symbol)
        lot = instrument.lot if instrument else None
        least = instrument.min_qty if instrument else None
        self.pairs.set_rules(market, state.taker_fee, units(contract), units(lot), units(least))
        price_decimals = instrument.price_decimals if instrument else None
        qty_decimals = instrument.qty_decimals if instrument else None
        self.pairs.set_precision(
            market, -1 if price_decimals is None else price_decimals, -1 if qty_decimals is None else qty_decimals
        )

    def _relate(self, market: int) -> None:
        """R25: books of one declared group under its name, others by symbol, never two of one venue."""
        venue, symbol = self.listings[market]
        group = self.group_of.get(f"{venue}:{symbol}")
        for other, (its_venue, its_symbol) in enumerate(self.listings[:market]):
            if its_venue == venue:
                continue
            if group is not None and self.group_of.get(f"{its_venue}:{its_symbol}") == group:
                self.pairs.relate(market, other, group + 1)
            elif its_symbol == symbol:
                self.pairs.relate(market, other, BY_SYMBOL)

    def spelling(self, venue: str, symbol: str) -> str | None:
        """How a venue spells a symbol; None where its list has no such instrument, or it trades no such thing."""
        catalog = self.venue(venue).catalog
        instrument = catalog.by_symbol.get(symbol)
        if instrument is not None:
            return str(instrument.spelling)
        return None if catalog.has_list else next(iter(catalog.spellings(symbol)), None)

    def delivered_as(self, venue: str, symbol: str) -> str:
        """The spelling under which the books of a symbol come, where they come under another's only; else empty."""
        instrument = self.venue(venue).catalog.by_symbol.get(symbol)
        return "" if instrument is None else str(instrument.delivered_as)

    def find(self, venue: str, symbol: str) -> int | None:
        """The market of a symbol; None when nothing was ever heard of it."""
        return self._index_of.get(Listing(venue, symbol))

    def markets_of(self, symbol: str) -> Sequence[int]:
        """The markets of a symbol on all venues, by venue name."""
        return self._of_symbol.get(symbol, ())

    def index(self, venue: str, spelling: str) -> int:
        """The market of a spelling, made if need be. Raises KeyError for one that is unknown or not wanted."""
        market = self._resolve(self.venue(venue), spelling)
        if market is None:
            raise KeyError(f"{venue}: {spelling}")
        return market

    # ---- what the hot path hands back ----

    def _on_rare(self, answer: int, conn: int, data: bytes) -> int:
        """A frame that the hot path does not decide alone; the clock has moved already."""
        connection = self.connections[conn]
        while answer == ASK_SYMBOL:
            self._resolve(connection.venue, self.hot.missing_symbol.decode())
            answer = self.hot.again(conn, data)
        if answer == ASK_DECODER:
            self._decode_slowly(connection, data)
        elif answer == ASK_CONTROL:
            self._control(connection, self.decode(connection.venue.language.wire, data).message)
        return DONE

    def _decode_slowly(self, connection: Connection, data: bytes) -> None:
        state = connection.venue
        wire = state.language.wire
        try:
            decoded = self.decode(wire, data)
        except ValueError as error:
            if data in wire.plain_texts:
                self.hot.count(state.index, "frames")
                return
            self.hot.count(state.index, "frames")
            self.hot.count(state.index, "quarantined")
            self.hot.distrust(connection.index)
            self._bury(str(error), state, connection.name, data)
            return
        kind, channel, depth, topic = self._kind(connection, decoded)
        if topic is not None:
            decoded.name_head(topic)
        if kind & (FEEDS_BBO if state.is_bbo else FEEDS_BOOK):
            self._apply_decoded(connection, decoded, data, channel, depth)
        elif self.hot.decoded(connection.index, [part.raw() for part in decoded.parts]) == ASK_CONTROL:
            self._control(connection, decoded.message)

    def _kind(self, connection: Connection, decoded: Any) -> tuple[int, int, int, bytes | None]:
        """(kind, channel, depth, the topic's spelling where the channel names it)."""
        kind: tuple[int, int, int, bytes | None] = self.hot.classify(connection.index, decoded.parts[0].raw())
        return kind

    def _apply_decoded(self, connection: Connection, decoded: Any, data: bytes, channel: int, depth: int) -> None:
        """A book frame through the slow decoder: believed whole or quarantined (R19)."""
        state = connection.venue
        implicit = state.language.wire.implicit_part
        markets = {s: self._resolve(state, s) for s in decoded.spellings(implicit)}
        reasons = [what for part, what in decoded.problems if self._matters(part, decoded, markets, implicit)]
        if not reasons:
            answer = self.hot.decoded(connection.index, [part.raw() for part in decoded.parts])
            if answer != ASK_DECODER:
                return
            reasons = ["the frame lacks what its rule needs: its ids, its type, or both sides of the book as levels"]
        self.hot.count(state.index, "frames")
        known = [market for market in markets.values() if market is not None]
        if markets and not known:
            self.hot.count(state.index, "skipped")
            return
        number = decoded.parts[0].ints.get(SEQUENCE)
        is_counted = state.language.wire.rule == CONNECTION_RULE and number is not None
        if is_counted and self.hot.sequence(connection.index, number):
            for market in known:
                self.hot.drop(market)
            return
        for market in known:
            self.hot.quarantine(market, connection.index, channel, depth)
        self.hot.count(state.index, "quarantined")
        self._bury(reasons[0], state, connection.name, data)

    def _matters(self, part: int, decoded: Any, markets: Mapping[str, int | None], implicit: bool) -> bool:
        """Problems of a part count unless the part is about a symbol nobody asked for."""
        if part == 0 or implicit:
            return True
        named = decoded.spelling(part)
        return named is None or markets.get(named) is not None

    def _control(self, connection: Connection, message: object) -> None:
        if not isinstance(message, dict):
            return
        state = connection.venue
        for fact in state.language.control(message):
            if self.on_control is not None:
                self.on_control(connection.index, fact)
            match fact:
                case SubscribedDepth(spelling, depth):
                    market = self._resolve(state, spelling)
                    if market is not None:
                        self.hot.promise_depth(market, connection.index, depth)
                case ListedInstruments(instruments):
                    self._learn(state, instruments, is_list=False)
                case VenueNotice():
                    self.notices.append((state.name, fact))

    def _bury(self, reason: str, state: VenueState, conn: str, data: bytes) -> None:
        """Keep what could not be used, with the reason and the raw bytes."""
        letter = DeadLetter(reason, state.name, conn, self.pairs.now, data)
        self.dead_letters.append(letter)
        self._dead_letter_bytes += len(data)
        while len(self.dead_letters) > DEAD_LETTERS_KEPT or self._dead_letter_bytes > DEAD_LETTER_BYTES_KEPT:
            self._dead_letter_bytes -= len(self.dead_letters.popleft().raw)
        kind = state.name, reason.partition(":")[0][:60]
        if len(self.dead_letter_counts) >= REASONS_KEPT and kind not in self.dead_letter_counts:
            kind = state.name, "other reasons"
        self.dead_letter_counts[kind] += 1
        if self.on_dead_letter is not None:
            self.on_dead_letter(letter)

    # ---- readings ----

    def opportunities(self) -> list[dict[str, object]]:
        """The signals and episode ends since the last call."""
        return self.namer.named(self.pairs.drain())

    def ticks(self) -> bytes:
        """The ticks since the last call as JSON lines (after pairs.tell_ticks)."""
        return bytes(self.pairs.drain_ticks(self._prefixes))

    def books(self, *, levels: bool = True) -> Iterator[dict[str, object]]:
        """Every book of which a depth frame came, by venue and symbol."""
        for market in sorted(range(len(self.listings)), key=lambda m: self.listings[m]):
            book = self.book(market, levels=levels)
            if book is not None:
                yield book

    def book(self, market: int, *, levels: bool = True, most: int = -1) -> dict[str, Any] | None:
        """State, counts and, with levels, both sides of one book (at most `most` levels each; -1: all), best first;
        None before any frame was about it."""
        venue, symbol = self.listings[market]
        state: dict[str, Any] | None = self.pairs.book(market, levels, most)
        if state is None:
            return None
        conn = state.pop("conn")
        return {
            "venue": venue,
            "symbol": symbol,
            "conn": self.connections[conn].name if conn >= 0 else None,
            **state,
        }


def _linked_symbols(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """For every symbol of a declared group, the one that stands for all symbols it may meet."""
    root: dict[str, str] = {}

    def find(symbol: str) -> str:
        while root.setdefault(symbol, symbol) != symbol:
            symbol = root[symbol]
        return symbol

    for members in groups:
        symbols = [member.partition(":")[2] for member in members]
        for symbol in symbols[1:]:
            root[find(symbol)] = find(symbols[0])
    return {symbol: find(symbol) for symbol in list(root)}

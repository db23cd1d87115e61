"""One account at one venue, without its sockets: commands become requests, answers and frames become facts.

What a venue's language cannot know alone is kept here: which request waits for which answer, which of the venue's ids
is which order of ours, what symbol a spelling means, which pages are still to come. Whoever owns the sockets

1. calls `carry_out` for a command and sends what it gives, each request once; then `sent`, or `unsent` when it
   certainly did not leave;
2. hands every HTTP answer to `read` and every frame to `hear`; calls `lost` for a request without an answer (timeout,
   cut connection) and `line_down` when the line ended over which orders were entered;
3. after each call writes down and delivers the facts, sends the requests and frames, and looks at what was told:
   StreamLost and Garbled want a reconciliation (`open_orders`, fills, balances), a SessionToken opens lines.

Where a venue tells no executions on its line (`is_cumulative`), each larger quantity makes them be read at once, one
time; when they are not there yet, the desk's own questions bring them. A call that failed without being about an order
is answered by nothing; the desk asks again. Requests have nonces that grow with the clock, over restarts too, as long
as no two processes share a key.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import msgspec

from gambit.commands import CancelOrder, Command, PlaceOrder, QueryBalances, QueryFills, QueryOrder, key_parts
from gambit.events.orders import (
    MAIN_ACCOUNT,
    Acked,
    BalanceRead,
    CancelCause,
    Cancelled,
    CancelRejected,
    Doubt,
    Expired,
    Filled,
    FillsRead,
    ForeignOrderSeen,
    FoundAs,
    OrderFact,
    OrderFound,
    OrderMissing,
    OutcomeUnknown,
    Rejected,
    Sent,
    Unsent,
    synthetic_exec_id,
)
from gambit.model import Instrument, Side, TimeInForce
from gambit.venues.jobs import Job, Known, renamed
from gambit.venues.orders import (
    UNREADABLE,
    Absent,
    Accepted,
    Asked,
    BalanceSet,
    CancelRefused,
    Cause,
    Fault,
    Frame,
    Garbled,
    Line,
    NoSuchWay,
    OrderLanguage,
    OrderState,
    Placing,
    Ref,
    Refused,
    Report,
    RestRequest,
    SessionToken,
    Stamp,
    Status,
    StreamLost,
    Traded,
    Unclear,
)

NS_A_US: Final = 1_000
ZERO: Final = Decimal(0)
SIDES: Final[tuple[Side, Side]] = ("buy", "sell")
KNOWN_MAX: Final = 10_000  # orders whose ids are remembered
PAGES_MAX: Final = 1000  # of one question; a venue that always has one more is not followed
EARLIER_NS: Final = 60_000_000_000  # how long before its sending an order's executions are looked for
FOUND_AS: Final[Mapping[Status, FoundAs]] = {
    "accepted": "open",
    "open": "open",
    "partial": "open",
    "filled": "filled",
    "cancelled": "canceled",
    "expired": "expired",
    "refused": "rejected",
}
CAUSES: Final[Mapping[Cause, CancelCause]] = {"asked": "asked", "ioc": "ioc", "self_trade": "self_trade"}


class Turn(msgspec.Struct):
    """What comes of one call: facts to write down, requests and frames to send, and reports that are no facts."""

    facts: list[OrderFact] = msgspec.field(default_factory=list)
    requests: list[RestRequest | Frame] = msgspec.field(default_factory=list)
    frames: list[bytes] = msgspec.field(default_factory=list)
    told: list[Report] = msgspec.field(default_factory=list)
    fault: Fault | None = None  # why a request over HTTP did not give what was asked
    is_more: bool = False  # pages of the same answer follow
    refusals: list[Fault] = msgspec.field(default_factory=list)  # of creates and cancels
    closed: list[str] = msgspec.field(default_factory=list)  # symbols whose market's state had a create refused
    unreadable: str = ""  # what was wrong with a frame or answer that could not be read, or not wholly

    @property
    def has_missed(self) -> bool:
        """Something was said that nobody knows: the account has to be asked."""
        return any(isinstance(report, StreamLost | Garbled) for report in self.told)


class Account:
    """See above. `prefix` is that of our client order ids; everything else on the account is foreign. `offset_ns` gives
    the venue's clock minus ours as far as it was measured: what is sent is stamped with the venue's time (F87).
    `assets` are its tickers that mean an asset of another name here."""

    def __init__(
        self,
        language: OrderLanguage,
        instruments: Iterable[Instrument],
        *,
        prefix: str,
        account: str = MAIN_ACCOUNT,
        offset_ns: Callable[[], int] = lambda: 0,
        assets: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.language = language
        self.account = account
        self.pending: dict[int, Asked] = {}
        self._jobs: dict[int, Job] = {}
        self._prefix = prefix
        self._by_symbol = {each.symbol: each for each in instruments}
        self._by_spelling = {each.spelling: each for each in self._by_symbol.values()}
        self._placings: dict[tuple[str, Side, TimeInForce], Placing] = {}
        self._known: dict[str, Known] = {}
        self._keys: dict[str, str] = {}  # the venue's id -> ours
        self._open: dict[str, ForeignOrderSeen] = {}  # told as open, by the venue's id
        self._unlisted: set[str] = set()  # those of them that were told before the list was asked for, not seen since
        self._nonce = 0
        self.offset_ns, self._assets = offset_ns, assets

    @property
    def instruments(self) -> list[Instrument]:
        """The markets it trades."""
        return list(self._by_symbol.values())

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """The venue's list is new: other steps, other markets."""
        self._by_symbol = {each.symbol: each for each in instruments}
        self.language.learn(self._by_symbol.values())
        self._by_spelling |= {each.spelling: each for each in self._by_symbol.values()}  # answers may name the old ones
        self._placings.clear()

    def prepare(self, symbols: Iterable[str], now_ns: int) -> None:
        """Does what of the next creates can be done before they are known; to be called when nothing is urgent."""
        for symbol in symbols:
            if symbol in self._by_symbol:
                for side in SIDES:
                    self._placing(symbol, side, "ioc")
        self.language.prepare(self._stamp(now_ns))

    def speak(self, language: OrderLanguage) -> None:
        """The account's keys are new: what is asked from now on is signed with them."""
        self.language = language
        self._placings.clear()

    # ---- what is wanted ----

    def carry_out(self, command: Command, now_ns: int, *, over_line: bool = False) -> Turn:
        """The request of a command; over the line where the venue takes it there. A create that cannot be worded is
        Unsent, a cancel is refused. Raises ValueError for another venue's command and for queries that cannot be."""
        turn, at = Turn(), self._stamp(now_ns)
        try:
            request = self._request(command, at, over_line=over_line)
        except ValueError as error:
            if isinstance(command, PlaceOrder):
                turn.facts.append(Unsent(key=command.intent.key, venue=self.language.name, reason=str(error)))
            elif isinstance(command, CancelOrder):
                turn.facts.append(self._not_cancelled(command.key, "unsent", str(error)))
            else:
                raise
            return turn
        searches = isinstance(command, CancelOrder) and request.asked.what == "query"
        self._wait(request, Job(command, isinstance(request, Frame), cancels=searches, asked_ns=now_ns), turn)
        return turn

    def ask_together(self, questions: Sequence[QueryOrder], now_ns: int) -> Turn:
        """Asks about several orders at once where the venue takes that, else about each."""
        refs = [self._ref(one.key, one.venue_order_id) for one in questions]
        is_possible = len(refs) > 1 and all(ref.venue_id for ref in refs)
        request = self.language.query_together(refs, self._stamp(now_ns)) if is_possible else None
        turn = Turn()
        if request is None:
            for one in questions:
                turn.requests += self.carry_out(one, now_ns).requests
            return turn
        job = Job(questions[0], asked_ns=now_ns, together={one.key: one for one in questions})
        self._wait(request, job, turn)
        return turn

    def open_orders(self, now_ns: int) -> Turn:
        """Asks for all open orders; each comes as ForeignOrderSeen, and the desk knows its own among them. So does the
        end of each that was told before and is not listed any more."""
        turn, self._unlisted = Turn(), set(self._open)
        self._wait(self.language.open_orders(None, self._stamp(now_ns)), Job(None, asked_ns=now_ns), turn)
        return turn

    def dead_man(self, seconds: int, now_ns: int) -> Turn:
        """Renews the venue's switch that cancels all orders, or turns it off (0); nothing where it has none."""
        turn, request = Turn(), self.language.cancel_all_after(seconds, self._stamp(now_ns))
        if request is not None:
            self._wait(request, Job(None, asked_ns=now_ns), turn)
        return turn

    def ask_rights(self, now_ns: int) -> Turn:
        """Asks what the keys may do; nothing where the venue does not tell."""
        turn, request = Turn(), self.language.rights(self._stamp(now_ns))
        if request is not None:
            self._wait(request, Job(None, asked_ns=now_ns), turn)
        return turn

    def ask_fees(self, symbol: str, now_ns: int) -> Turn:
        """Asks what the account pays on a market."""
        turn, request = Turn(), self.language.fee_rates(self._instrument(symbol), self._stamp(now_ns))
        self._wait(request, Job(None, asked_ns=now_ns), turn)
        return turn

    def ask_token(self, now_ns: int) -> Turn:
        """Asks for a session token, where the venue's lines need one; nothing elsewhere. The old one is not used again:
        it may be good no more, and a line that is refused for it looks like keys that are."""
        self.language.use_token("")
        turn, request = Turn(), self.language.token(self._stamp(now_ns))
        if request is not None:
            self._wait(request, Job(None, asked_ns=now_ns), turn)
        return turn

    def opening(self, line: Line, now_ns: int) -> list[bytes]:
        """What a new line says first. Raises NoSuchWay."""
        return list(line.opening(self._stamp(now_ns)))

    def probe(self, line: Line, now_ns: int) -> bytes:
        """What finds out whether a line lost its logon in silence; empty where nothing does."""
        return line.probe(self._stamp(now_ns))

    def renewed(self, request: RestRequest, now_ns: int) -> RestRequest:
        """The same request with a nonce of this instant; its answer is still known by the first one. Only where nonces
        have to arrive in their order."""
        return self.language.renewed(request, self._stamp(now_ns).nonce)

    # ---- what became of requests ----

    def sent(self, asked: Asked) -> Turn:
        """The bytes were handed to the socket."""
        turn = Turn()
        if asked.what == "place":
            turn.facts.append(Sent(key=asked.client_id, venue=self.language.name))
        return turn

    def unsent(self, asked: Asked, reason: str) -> Turn:
        """The bytes certainly did not leave."""
        turn, job = Turn(), self._done(asked.nonce)
        if asked.what == "place":
            turn.facts.append(Unsent(key=asked.client_id, venue=self.language.name, reason=reason))
        elif asked.what == "cancel" or (job is not None and job.cancels):
            turn.facts.append(self._not_cancelled(asked.client_id, "unsent", reason))
        return turn

    def lost(self, asked: Asked, reason: str) -> Turn:
        """No answer came: an order is in doubt, a query is asked again by whoever wants to know."""
        turn, job = Turn(), self._done(asked.nonce)
        if job is None:
            return turn  # it was answered after all
        if job.cancels:  # only the search for what to cancel was lost
            turn.facts.append(self._not_cancelled(asked.client_id, "lost", reason))
        elif asked.what in ("place", "cancel"):
            during: Doubt = "create" if asked.what == "place" else "cancel"
            turn.facts.append(self._doubt(asked.client_id, during, reason))
        return turn

    def line_down(self, reason: str) -> Turn:
        """The line ended over which orders were entered: those not answered are in doubt."""
        turn = Turn()
        for nonce in [nonce for nonce, job in self._jobs.items() if job.is_over_line]:
            turn.facts += self.lost(self.pending[nonce], reason).facts
        return turn

    # ---- what the venue says ----

    def read(self, asked: Asked, status: int, headers: Mapping[str, str], body: bytes, now_ns: int) -> Turn:
        """An HTTP answer. One that comes after `lost` still counts: the venue's word ends a doubt."""
        turn, job = Turn(), self._done(asked.nonce) or Job(None)
        answer = self.language.read(asked, status, headers, body)
        turn.fault = answer.fault
        if answer.fault is not None and answer.fault.code == UNREADABLE:
            turn.unreadable = answer.fault.text
        reports = self._paged(asked, job, answer.reports, turn)
        if answer.fault is None and answer.page:
            job.pages += 1
            if job.pages >= PAGES_MAX:
                turn.told.append(StreamLost(f"{asked.what} has more than {PAGES_MAX} pages"))
                return turn
            turn.is_more = True
            self._wait(self._next(asked, answer.page, now_ns), job, turn)
        elif answer.fault is None and isinstance(job.command, QueryFills | QueryBalances):
            turn.facts.append(self._whole(job.command, job))
        elif answer.fault is None and asked.what == "open_orders":
            gone = [self._open.pop(venue_id) for venue_id in sorted(self._unlisted) if venue_id in self._open]
            turn.facts += [msgspec.structs.replace(one, is_open=False) for one in gone]
            self._unlisted.clear()
        elif answer.fault is not None and job.cancels:
            turn.facts.append(self._not_cancelled(asked.client_id, answer.fault.code, _words(answer.fault)))
        self._tell(reports, asked, job, turn, now_ns)
        return turn

    def hear(self, line: Line, data: bytes, now_ns: int) -> Turn:
        """A frame of a line."""
        turn = Turn()
        heard = line.hear(data, self.pending)
        asked = self.pending.get(heard.answered[0]) if heard.answered else None
        job = self._done(asked.nonce) if asked is not None else None
        turn.frames += heard.send
        self._tell(heard.reports, asked, job or Job(None), turn, now_ns)
        return turn

    # ---- requests ----

    def _stamp(self, now_ns: int) -> Stamp:
        self._nonce = max(self._nonce + 1, now_ns // NS_A_US)
        return Stamp(now_ns + self.offset_ns(), self._nonce)

    def _wait(self, request: RestRequest | Frame, job: Job, turn: Turn) -> None:
        self.pending[request.asked.nonce] = request.asked
        self._jobs[request.asked.nonce] = job
        turn.requests.append(request)

    def _done(self, nonce: int) -> Job | None:
        self.pending.pop(nonce, None)
        return self._jobs.pop(nonce, None)

    def _request(self, command: Command, at: Stamp, *, over_line: bool) -> RestRequest | Frame:
        language = self.language
        match command:
            case PlaceOrder(intent=intent):
                self._remember(intent.key).sent_ns = at.now_ns
                placing = self._placing(intent.symbol, intent.side, intent.tif)
                if over_line:
                    try:
                        return placing.frame(intent.key, intent.qty, intent.price, at)
                    except NoSuchWay:
                        return placing.rest(intent.key, intent.qty, intent.price, at)
                return placing.rest(intent.key, intent.qty, intent.price, at)
            case CancelOrder():
                return self._cancel(command, at, over_line=over_line)
            case QueryOrder():
                ref = self._ref(command.key, command.venue_order_id)
                return language.query(self._instrument(command.symbol), ref, self._sent_ns(command.key, at), at)
            case QueryFills():
                return language.fills(self._instrument(command.symbol), command.since_ns, at)
            case QueryBalances():
                return language.balances(at)
            case _:
                raise ValueError(f"{language.name}: no request for {type(command).__name__}")

    def _cancel(self, command: CancelOrder, at: Stamp, *, over_line: bool) -> RestRequest | Frame:
        """Over the line, over HTTP, or, where the venue's id is needed and not known, the search for it first."""
        instrument, ref = self._instrument(command.symbol), self._ref(command.key, command.venue_order_id)
        if over_line:
            try:
                return self.language.cancel_frame(instrument, ref, at)
            except NoSuchWay:
                return self._cancel(command, at, over_line=False)
        try:
            return self.language.cancel(instrument, ref, at)
        except NoSuchWay:
            return self.language.query(instrument, ref, self._sent_ns(command.key, at), at)

    def _placing(self, symbol: str, side: Side, tif: TimeInForce) -> Placing:
        found = self._placings.get((symbol, side, tif))
        if found is None:
            found = self.language.placing(self._instrument(symbol), side, tif)
            self._placings[symbol, side, tif] = found
        return found

    def _next(self, asked: Asked, page: str, now_ns: int) -> RestRequest:
        """The request of the next page."""
        language, at = self.language, self._stamp(now_ns)
        if asked.what == "open_orders":
            return language.open_orders(None, at, page)
        if asked.what == "balances":
            return language.balances(at, page)
        instrument = self._by_spelling[asked.spelling]
        if asked.what == "fills":
            return language.fills(instrument, asked.since_ns, at, page)
        return language.query(instrument, Ref(asked.client_id, asked.venue_id), asked.since_ns, at, page)

    def _instrument(self, symbol: str) -> Instrument:
        found = self._by_symbol.get(symbol)
        if found is None:
            raise ValueError(f"{self.language.name} does not list {symbol}")
        return found

    def _ref(self, key: str, venue_id: str) -> Ref:
        known = self._known.get(key)
        return Ref(key, venue_id or (known.venue_id if known else ""))

    def _sent_ns(self, key: str, at: Stamp) -> int:
        """When an order was sent; for one of a former life a day ago."""
        known = self._known.get(key)
        return known.sent_ns if known and known.sent_ns else at.now_ns - 86_400 * 1_000_000_000

    # ---- facts ----

    def _paged(self, asked: Asked, job: Job, reports: Iterable[Report], turn: Turn) -> list[Report]:
        """Puts aside what only counts once all pages are there; gives the rest."""
        rest: list[Report] = []
        for report in reports:
            if isinstance(report, Traded) and isinstance(job.command, QueryFills):
                job.fills.append(self._filled(report))
            elif isinstance(report, BalanceSet) and asked.what == "balances":
                job.balances.append(report)
            elif isinstance(report, OrderState) and asked.what == "open_orders":
                self._see_foreign(report, turn)
            else:
                rest.append(report)
        return rest

    def _whole(self, command: QueryFills | QueryBalances, job: Job) -> OrderFact:
        name = self.language.name
        if isinstance(command, QueryFills):
            return FillsRead(
                venue=name, symbol=command.symbol, query_id=command.query_id, asked_ns=job.asked_ns,
                since_ns=command.since_ns, fills=tuple(job.fills), account=self.account,
            )  # fmt: skip
        free = renamed({name: qty for page in job.balances for name, qty in page.free.items()}, self._assets)
        held = {name: qty for page in job.balances for name, qty in (page.locked or {}).items()}
        locked = renamed(held, self._assets)
        return BalanceRead(
            venue=name, query_id=command.query_id, asked_ns=job.asked_ns, free=free, locked=locked, account=self.account
        )

    def _tell(self, reports: Iterable[Report], asked: Asked | None, job: Job, turn: Turn, now_ns: int) -> None:
        for report in reports:
            match report:
                case Accepted():
                    turn.facts += self._acked(report.client_id, report.venue_id)
                case Refused():
                    turn.refusals.append(report.fault)
                    turn.facts.append(self._rejected(report.client_id, report.fault))
                    if report.fault.means == "market_state" and asked is not None and asked.what == "place":
                        turn.closed.append(self._symbol(asked.spelling))
                case Unclear():
                    if report.fault.code == UNREADABLE:
                        turn.unreadable = report.fault.text
                    turn.facts.append(self._doubt(report.client_id, report.during, _words(report.fault)))
                case CancelRefused():
                    turn.refusals.append(report.fault)
                    turn.facts.append(self._not_cancelled(report.client_id, report.fault.code, _words(report.fault)))
                case Traded():
                    turn.facts.append(self._filled(report))
                case Absent():
                    turn.facts += self._missing(report, job)
                case OrderState():
                    self._state(report, asked, job, turn, now_ns)
                case SessionToken():
                    self.language.use_token(report.text)
                    turn.told.append(report)
                case Garbled():
                    turn.unreadable = report.reason
                    turn.told.append(report)
                case _:
                    turn.told.append(report)

    def _state(self, state: OrderState, asked: Asked | None, job: Job, turn: Turn, now_ns: int) -> None:
        key = state.client_id or self._keys.get(state.venue_id, "")
        if key_parts(key, self._prefix) is None:
            self._see_foreign(state, turn)
            return
        known, question = self._remember(key, state.venue_id), job.question(key)
        if job.cancels and isinstance(job.command, CancelOrder):
            command = msgspec.structs.replace(job.command, venue_order_id=state.venue_id)
            cancelling = self.carry_out(command, now_ns)
            turn.requests += cancelling.requests
            turn.facts += cancelling.facts
        elif isinstance(question, QueryOrder) and state.status in FOUND_AS and state.cum_qty is not None:
            turn.facts.append(
                OrderFound(
                    key=key, venue=self.language.name, query_id=question.query_id, asked_ns=job.asked_ns,
                    venue_order_id=state.venue_id, found_as=FOUND_AS[state.status], cum_qty=state.cum_qty,
                )
            )  # fmt: skip
        elif asked is None or asked.what in ("place", "cancel"):
            turn.facts += self._ended(key, state)
        if state.is_cumulative and state.cum_qty and str(state.cum_qty) != known.cum_qty_read:
            known.cum_qty_read = str(state.cum_qty)
            since_ns = (known.sent_ns or now_ns) - EARLIER_NS
            instrument = self._by_spelling.get(state.spelling)
            if instrument is not None:
                self._wait(self.language.fills(instrument, since_ns, self._stamp(now_ns)), Job(None), turn)

    def _ended(self, key: str, state: OrderState) -> list[OrderFact]:
        """What a state says by itself: an end with its quantity, or that the venue has the order."""
        name, status, cum_qty = self.language.name, state.status, state.cum_qty
        if status == "refused":
            return [Rejected(key=key, venue=name, code=state.cause or "refused", text=state.text)]
        if status == "unknown" or (status in ("cancelled", "expired") and cum_qty is None):
            return [self._doubt(key, "stream", f"{status} without a quantity")]
        acked = self._acked(key, state.venue_id)
        if status == "cancelled" and cum_qty is not None:
            cause = CAUSES.get(state.cause, "venue")
            return [*acked, Cancelled(key=key, venue=name, cum_qty=cum_qty, cause=cause)]
        if status == "expired" and cum_qty is not None:
            return [*acked, Expired(key=key, venue=name, cum_qty=cum_qty)]
        return acked

    def _acked(self, key: str, venue_id: str) -> list[OrderFact]:
        """The first time only."""
        known = self._remember(key, venue_id)
        if known.is_acked:
            return []
        known.is_acked = True
        return [Acked(key=key, venue=self.language.name, venue_order_id=venue_id)]

    def _filled(self, traded: Traded) -> Filled:
        """An execution; one that has no id even over HTTP is named by what it is."""
        key = traded.client_id or self._keys.get(traded.venue_id, "")
        exec_id = traded.exec_id or synthetic_exec_id(
            key or traded.venue_id, traded.exec_ns, traded.qty, traded.price, traded.qty
        )
        return Filled(
            key=key, venue=self.language.name, symbol=self._symbol(traded.spelling), side=traded.side, exec_id=exec_id,
            qty=traded.qty, price=traded.price, fee=traded.fee,
            fee_asset=self._assets.get(traded.fee_asset, traded.fee_asset),
            venue_order_id=traded.venue_id, exec_ns=traded.exec_ns, account=self.account,
        )  # fmt: skip

    def _missing(self, absent: Absent, job: Job) -> list[OrderFact]:
        name, command = self.language.name, job.question(absent.client_id)
        if isinstance(command, CancelOrder):
            return [self._not_cancelled(command.key, "missing", "the venue knows no such order")]
        if not isinstance(command, QueryOrder):
            return []
        return [
            OrderMissing(
                key=command.key, venue=name, query_id=command.query_id, asked_ns=job.asked_ns,
                searched_history=absent.searched_history,
            )
        ]  # fmt: skip

    def _see_foreign(self, state: OrderState, turn: Turn) -> None:
        """An order that is not ours, or not known to be; one whose market or side was never told is a loss."""
        if not state.spelling or state.side is None:
            turn.told.append(StreamLost(f"news of {state.venue_id}, an order that was never told"))
            return
        seen = ForeignOrderSeen(
            venue=self.language.name, symbol=self._symbol(state.spelling), side=state.side,
            qty=state.qty or state.cum_qty or ZERO, price=state.price or ZERO, venue_order_id=state.venue_id,
            client_id=state.client_id, is_open=FOUND_AS.get(state.status) == "open", account=self.account,
        )  # fmt: skip
        turn.facts.append(seen)
        self._unlisted.discard(state.venue_id)
        if seen.is_open:
            self._open[state.venue_id] = seen
        else:
            self._open.pop(state.venue_id, None)

    def _rejected(self, key: str, fault: Fault) -> Rejected:
        return Rejected(
            key=key, venue=self.language.name, code=fault.code, category=fault.category.value, text=fault.text
        )

    def _not_cancelled(self, key: str, code: str, text: str) -> CancelRejected:
        return CancelRejected(key=key, venue=self.language.name, code=code, text=text)

    def _doubt(self, key: str, during: Doubt, reason: str) -> OutcomeUnknown:
        return OutcomeUnknown(key=key, venue=self.language.name, during=during, reason=reason)

    def _symbol(self, spelling: str) -> str:
        """A market's symbol; the spelling of one that is not among ours."""
        found = self._by_spelling.get(spelling)
        return found.symbol if found else spelling

    def _remember(self, key: str, venue_id: str = "") -> Known:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Known()
            if len(self._known) > KNOWN_MAX:
                oldest = next(iter(self._known))
                self._keys.pop(self._known.pop(oldest).venue_id, None)
        if venue_id and not known.venue_id:
            known.venue_id = venue_id
            self._keys[venue_id] = key
        return known


def _words(fault: Fault) -> str:
    return f"{fault.category} {fault.code}: {fault.text}"

"""The way to one account at a real venue: requests over HTTP, orders over a line where the venue takes them there, what
became of them over the private stream. The same Port as a paper venue; who uses it cannot tell.

The account (gambit.venues.account) knows what to say and what answers mean; this is the part with the sockets. After
every connect of the stream, and whenever something may have been missed, the venue is asked for its open orders, and
the desk compares executions and balances.

Orders are taken once the stream stands and what gambit.runtime.admission wants to know is known.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine, Iterable, Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any, Final, Protocol

from gambit.commands import Command, PlaceOrder, QueryBalances, QueryFills, QueryOrder
from gambit.events import Fact
from gambit.events.operation import AccountHeld
from gambit.events.orders import OrderFound
from gambit.model import Category, DeadLetter, Failure, Instrument
from gambit.runtime.admission import Admission, worded
from gambit.runtime.allowance import Allowance
from gambit.runtime.backoff import SEC, Backoff
from gambit.runtime.clock import Clock
from gambit.runtime.courier import Courier
from gambit.runtime.dead_man import DeadMan
from gambit.runtime.ear import Ear
from gambit.runtime.fee_tier import FeeTier
from gambit.runtime.gateway import Gateway
from gambit.runtime.http import HttpAnswer
from gambit.runtime.http_line import HttpLine
from gambit.runtime.moment import Moment
from gambit.runtime.private_letters import PrivateLetters
from gambit.runtime.questions import Question, Questions
from gambit.runtime.transport import Link, LinkError, Transport
from gambit.venues.account import Account, Turn
from gambit.venues.orders import (
    Fault,
    Frame,
    Keys,
    Lane,
    Line,
    NoSuchWay,
    OrderLanguage,
    RestRequest,
    Stamp,
    StreamFault,
    StreamReady,
    Used,
)

PING_SEC: Final = 4.0
DEAD_SEC: Final = 8.0  # without a word, nor an answer to a ping
PROBE_EVERY: Final = 3  # pings
PREPARED_NS: Final = 30 * SEC  # how old what was prepared for the next create may be
LISTED_NS: Final = 30 * SEC  # how often the open orders are asked for: one list may be lost on its way
CLOSE_SEC: Final = 2.0
QUESTION_SEC: Final = 0.5  # between two looks whether there is room for a question: an urgent one may have come
AGAIN_NS: Final = 5 * SEC  # until what has to be known before trading is asked once more

Gate = Callable[[], str | None]
Start = Callable[[str, Coroutine[Any, Any, object]], object]


class Guard(Protocol):
    """Who cancels our orders when this process is gone."""

    @property
    def is_up(self) -> bool:
        """Whether it would."""
        ...

    def opened(self, venue: str, symbol: str, key: str) -> None:
        """An order is about to leave."""
        ...

    def keys_changed(self) -> None:
        """It needs the new ones."""
        ...


class AccountPort:
    """One account. `deliver` takes facts for the desk, `reconcile` asks the desk to compare with this venue, `start`
    runs a task that may end, `why_not` says why a create may not leave at this instant (None: it may), `on_defect`
    hears what went wrong on our side, `on_held` that no order goes there any more. `redact` takes known secrets out of
    what the venue says before anybody reads it, `doubt_rules` wants the instrument list read again, `on_closed` hears
    of a symbol whose market refuses orders, `on_fee` what the account pays as a taker (bps) whenever that is another,
    `bury` takes what could not be read. Without a `guard` that is up no create leaves, unless the venue's own switch
    (`dead_man_sec`, 0: none) stands. Give it to the supervisor with run()."""

    deadline_ns: int | None = None

    def __init__(
        self,
        account: Account,
        gateway: Gateway,
        transport: Transport,
        clock: Clock,
        ws_root: str,
        *,
        deliver: Callable[[Iterable[Fact]], None],
        reconcile: Callable[[], None],
        start: Start,
        why_not: Callable[[PlaceOrder], str | None],
        on_defect: Callable[[str, BaseException], None],
        random: Callable[[], float],
        warn: Callable[[str], None],
        keys: Keys | None = None,
        on_held: Callable[[AccountHeld], None] = lambda _fact: None,
        redact: Callable[[bytes], bytes] = lambda data: data,
        wants_bound_keys: bool = True,
        tls: ssl.SSLContext | None = None,
        lines: Sequence[HttpLine] = (),
        symbols: Sequence[str] = (),
        guard: Guard | None = None,
        dead_man_sec: int = 0,
        doubt_rules: Callable[[], None] = lambda: None,
        on_closed: Callable[[str], None] = lambda _symbol: None,
        on_fee: Callable[[Decimal], None] = lambda _taker_bps: None,
        bury: Callable[[DeadLetter], None] = lambda _letter: None,
    ) -> None:
        self.account, self.gateway, self._on_held = account, gateway, on_held
        self.name, self.window_ns = account.language.name, account.language.window_ns
        self.keys = keys  # those in use, to see that others are new
        self._transport, self._clock, self._ws_root = transport, clock, ws_root.rstrip("/")
        self._deliver, self._reconcile, self._start, self._why_not = deliver, reconcile, start, why_not
        self._on_defect, self._warn, self._redact, self._random = on_defect, warn, redact, random
        self.admission = Admission(self.name, on_held=self._held, warn=warn, wants_bound=wants_bound_keys)
        self._why_down = "the private stream is not connected yet"
        self._tls, self._lines, self._symbols, self._guard, self._doubt_rules = tls, lines, symbols, guard, doubt_rules
        self._letters = PrivateLetters(self.name, bury)
        self._questions, self._is_asking = Questions(), False
        self.dead_man = DeadMan(self.name, dead_man_sec, warn)
        self.fees = FeeTier(self.name, warn)
        self.taker_fee_bps: Decimal | None = None  # not told yet
        self._on_fee, self._on_closed = on_fee, on_closed
        self._prepared_ns: int | None = None  # None: something of the last preparation is used up
        self._released = asyncio.Event()
        self._has_entry = account.language.entry() is not None
        self._stream: Ear | None = None
        self._entry: Ear | None = None
        self._is_ending = False
        self._tasks = self._listed_ns = self._asked_ns = 0
        self._is_silent = self._is_behind = False  # a create left, no word of it since; something was missed
        self.allowance = Allowance(account.language.limits)
        self._courier = Courier(account, gateway, self.allowance, clock, lines)

    # ---- the port ----

    @property
    def is_up(self) -> bool:
        """The stream stands, and what has to be known before trading is known."""
        return self._is_streaming and not self.admission.reason and self._is_guarded

    @property
    def reason(self) -> str:
        """Why it is not up."""
        if not self._is_streaming and not self.admission.held:
            return self._why_down
        return self.admission.reason or ("" if self._is_guarded else "the watchdog is not up")

    @property
    def _is_guarded(self) -> bool:
        return self._guard is None or self._guard.is_up or self.dead_man.stands(self._clock.mono_ns())

    def send(self, command: Command, now_ns: int) -> Sequence[Fact]:
        """See Port. Orders go over the line when it stands."""
        if self.admission.is_refused:
            return self.admission.unsent(command)
        if isinstance(command, QueryOrder | QueryFills | QueryBalances) and self.allowance.is_scarce:
            self._ask_in_turn(command)
            return ()
        link = self._order_link()
        if isinstance(command, PlaceOrder):
            self._prepared_ns = None
            if self._guard is not None:
                self._guard.opened(self.name, command.intent.symbol, command.intent.key)
        gate = partial(self._why_not, command) if isinstance(command, PlaceOrder) else None
        return self._act(self.account.carry_out(command, now_ns, over_line=link is not None), gate)

    def on_time(self, conditions: Moment, now_ns: int) -> Sequence[Fact]:
        """What was said arrives by itself. What was missed is asked for, at most once a turn, however much was; and the
        open orders now and then. The next create is prepared, for it is not here yet."""
        del conditions
        if self.admission.is_refused:
            return ()
        if self._prepared_ns is None or self._clock.mono_ns() - self._prepared_ns >= PREPARED_NS:
            self._prepared_ns = self._clock.mono_ns()
            self.account.prepare(self._symbols, now_ns)
        facts = self._renew_switch(now_ns)
        if self._is_behind:
            self._compare()
        elif self.admission.unknown and self._is_streaming and self._clock.mono_ns() - self._asked_ns >= AGAIN_NS:
            facts += self._ask_unknown()
        elif self.is_up and self._clock.mono_ns() - self._listed_ns >= LISTED_NS:
            facts += self._list_open()
        elif self.is_up and self._symbols and self.fees.is_asked(self._clock.mono_ns()):
            facts += self._act(self.account.ask_fees(self._symbols[0], now_ns))
        return facts

    def _renew_switch(self, now_ns: int) -> list[Fact]:
        mono_ns = self._clock.mono_ns()
        if not self._is_streaming or not self.dead_man.is_due(mono_ns):
            return []
        self.dead_man.asked(mono_ns)
        return self._act(self.account.dead_man(self.dead_man.seconds, now_ns))

    async def close(self) -> None:
        """A clean end with nothing open: the venue's switch is turned off, for it would strike the next life."""
        if self.dead_man.stands(self._clock.mono_ns()):
            for request in self.account.dead_man(0, self._clock.now_ns()).requests:
                if isinstance(request, RestRequest):
                    with contextlib.suppress(TimeoutError):  # it fires then, on nothing
                        async with asyncio.timeout(CLOSE_SEC):
                            await self._exchange(request)

    # ---- questions where they are scarce ----

    def _ask_in_turn(self, question: Question) -> None:
        self._questions.put(question, self._clock.mono_ns())
        if not self._is_asking:
            self._is_asking = True
            self._tasks += 1
            self._start(f"{self.name} questions {self._tasks}", self._ask_all())

    async def _ask_all(self) -> None:
        """Until none waits. A question is worded when there is room for it: its nonce is of that instant."""
        try:
            while self._questions and not self.admission.is_refused:
                units, is_urgent = self._questions.units, self._questions.is_urgent
                wait_ns = self.allowance.reading_wait_ns(units, self._clock.mono_ns(), is_urgent=is_urgent)
                if wait_ns:
                    await asyncio.sleep(min(wait_ns / SEC, QUESTION_SEC))
                    continue
                questions, now_ns = self._questions.take(self._clock.mono_ns()), self._clock.now_ns()
                orders = [one for one in questions if isinstance(one, QueryOrder)]
                account = self.account
                turn = account.ask_together(orders, now_ns) if orders else account.carry_out(questions[0], now_ns)
                for request in turn.requests:
                    if isinstance(request, RestRequest):
                        self.allowance.take(request, self._clock.mono_ns())
                        self._begin(request, self._carry(request))
        finally:
            self._is_asking = False

    # ---- requests ----

    def _act(self, turn: Turn, gate: Gate | None = None) -> list[Fact]:
        """Send what a turn wants sent, unless `gate` says why not when it is about to leave; the turn's facts, with
        those that are known at once."""
        facts: list[Fact] = list(turn.facts)
        self.fees.saw(facts)
        for request in turn.requests:
            if isinstance(request, Frame):
                facts += self._send_frame(request)
            elif (line := self._courier.line_now(request)) is not None:
                facts += self._send_over(line, request, gate)
            else:
                self._begin(request, self._exchange(request, gate))
        for frame in turn.frames:
            if self._stream is not None and self._stream.link is not None:
                self._stream.link.send(frame)
        self._is_behind |= turn.has_missed
        if any(fault.means == "filters" for fault in turn.refusals):
            self._doubt_rules()
        for symbol in turn.closed:
            self._on_closed(symbol)  # before anybody decides about the refusal
        return facts

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """The venue's list is new: the next order is worded by it."""
        self.account.learn(instruments)
        self._prepared_ns = None

    def _learn_limits(self, told: Iterable[Used]) -> None:
        """The venue's own count goes before ours."""
        now_ns = self._clock.mono_ns()
        for used in told:
            if used.lane is None:
                if used.limit:
                    self.gateway.budget.allow(used.limit)
                self.gateway.budget.learn(used.units, now_ns)
            else:
                self.allowance.learn(used, now_ns)

    def _send_frame(self, frame: Frame) -> Sequence[Fact]:
        """Within this call, where the limits allow it; else a create does not leave, and a cancel waits its turn."""
        if self._order_link() is not None and self._courier.wait_ns(frame):
            if frame.lane is Lane.CREATE:
                return self.account.unsent(frame.asked, "the rate budget is used up").facts
            self._begin(frame, self._send_later(frame))
            return ()
        self.allowance.take(frame, self._clock.mono_ns())
        return self._frame_leaves(frame)

    def _frame_leaves(self, frame: Frame) -> Sequence[Fact]:
        link = self._order_link()
        if link is None:
            return self.account.unsent(frame.asked, "the line is down").facts
        weight = self.allowance.weight(frame)
        if weight:
            self.gateway.budget.take(weight, self._clock.mono_ns())
        link.send(frame.data)
        return self.account.sent(frame.asked).facts

    async def _send_later(self, frame: Frame) -> None:
        is_in_time = await self._courier.within_limits(frame)
        late = self.account.unsent(frame.asked, "the rate budget is used up").facts if not is_in_time else None
        self._deliver(self._frame_leaves(frame) if late is None else late)

    def _begin(self, request: RestRequest | Frame, work: Coroutine[Any, Any, object]) -> None:
        self._tasks += 1
        self._start(f"{self.name} {request.asked.what} {self._tasks}", work)

    def _send_over(self, line: HttpLine, request: RestRequest, gate: Gate | None) -> Sequence[Fact]:
        """Within this call, without a turn of the loop in between."""
        why_not = gate() if gate is not None else None
        if why_not is not None:
            return self.account.unsent(request.asked, why_not).facts
        self._is_silent |= gate is not None
        self._begin(request, self._courier.send_over(line, request, partial(self._read, request)))
        return self.account.sent(request.asked).facts

    def _order_link(self) -> Link | None:
        """The line for orders, once it is logged on; a venue that has one of their own takes none on the stream."""
        ear = self._entry if self._has_entry else self._stream
        return ear.link if ear is not None and ear.is_ready else None

    async def _exchange(self, request: RestRequest, gate: Gate | None = None) -> None:
        """One request and its answer, within the account's limits."""
        if await self._courier.within_limits(request):
            await self._carry(request, gate)
        else:
            self._deliver(self._act(self.account.unsent(request.asked, "the rate budget is used up")))

    async def _carry(self, request: RestRequest, gate: Gate | None = None) -> None:
        """One request that has its room, and its answer."""

        def on_leave() -> str | None:
            why_not = gate() if gate is not None else None
            if why_not is None:
                self._is_silent |= gate is not None
                self._deliver(self.account.sent(request.asked).facts)
            return why_not

        await self._courier.carry(request, on_leave, partial(self._read, request))

    def _read(self, request: RestRequest, answer: HttpAnswer | Failure, left: bool) -> None:
        """What became of a request, which `left` or surely did not."""
        now_ns = self._clock.now_ns()
        if isinstance(answer, Failure):
            settle = self.account.lost if left else self.account.unsent
            turn = settle(request.asked, f"{answer.category}: {answer.text}")
        else:
            body = self._redact(answer.body)
            turn = self.account.read(request.asked, answer.status, answer.headers, body, now_ns)
            self._letters.take(turn.unreadable, f"http {request.asked.what}", body, now_ns)
            self._learn_limits(self.account.language.used(answer.headers, request.lane))
            if turn.fault is not None and (turn.fault.until_ns or turn.fault.of_address):
                self._heed_limit(turn.fault, request.lane)
            if turn.fault is not None and turn.fault.means == "missing" and request.asked.others:
                self._questions.part(self._clock.mono_ns())
        self._deliver(self._act(turn))
        if not isinstance(answer, Failure):
            self.admission.learn(request.asked, turn)
            if request.asked.what == "cancel_all_after":
                self.dead_man.learn(turn)
            elif request.asked.what == "fees":
                self._learn_fee(turn)
        if self._is_silent and self._stream is not None and any(isinstance(fact, OrderFound) for fact in turn.facts):
            self._stream.end("it did not tell of an order that the venue has")  # a logon can end in silence (F80)

    def _learn_fee(self, turn: Turn) -> None:
        was, self.taker_fee_bps = self.taker_fee_bps, self.fees.learn(turn, self._clock.mono_ns())
        if self.taker_fee_bps is not None and self.taker_fee_bps != was:
            self._on_fee(self.taker_fee_bps)

    # ---- lines ----

    async def run(self) -> None:
        """For ever: keep the stream, and the entry line where there is one, connected."""
        async with asyncio.TaskGroup() as lines:
            lines.create_task(self._keep(lambda: self.account.language.stream(), is_entry=False))
            if self._has_entry:
                lines.create_task(self._keep(lambda: self.account.language.entry(), is_entry=True))
            for line in self._lines:
                lines.create_task(line.run())

    async def _keep(self, make: Callable[[], Line | None], *, is_entry: bool) -> None:
        backoff = Backoff(self._random)
        while True:
            await self._until_released()
            began_ns = self._clock.mono_ns()
            try:
                await self._one(make, is_entry=is_entry)
            except (LinkError, NoSuchWay) as error:  # no token to be had is the venue's affair, or the key's
                self._down(is_entry, str(error))
            wait_ns = max(backoff.failed(self._clock.mono_ns() - began_ns), self._silence_ns)
            await asyncio.sleep(wait_ns / SEC)

    async def _one(self, make: Callable[[], Line | None], *, is_entry: bool) -> None:
        """One connection from its logon to its end. Raises LinkError, and NoSuchWay where a token is missing."""
        await self._fetch_token()
        line = make()
        if line is None:
            raise LinkError("the venue has no such line")
        ear = Ear(self, line, is_entry=is_entry)
        await self._transport.open(self._ws_root + line.path, ear, self._tls)
        if is_entry:
            self._entry = ear
        else:
            self._stream = ear
        try:
            for data in self.account.opening(line, self._clock.now_ns()):
                ear.say(data)
            await self._ping_until_ended(ear)
        except asyncio.CancelledError:
            self._is_ending = True
            raise
        finally:
            self._down(is_entry, ear.reason)
            if ear.link is not None:
                ear.link.close()

    async def _ping_until_ended(self, ear: Ear) -> None:
        """Until the line's end, which comes also where nothing answers any more (F78): twice, since the first look
        after this process stood still has heard nothing yet of what waits in the socket."""
        heard_ns, silent_looks = self._clock.mono_ns(), 0
        for look in count():
            try:
                async with asyncio.timeout(PING_SEC):
                    await asyncio.shield(ear.ended)
                return
            except TimeoutError:
                mono_ns = self._clock.mono_ns()
            if not ear.is_quiet:
                heard_ns, silent_looks = mono_ns, 0
            elif (silent_looks := silent_looks + 1) > 1 and mono_ns - heard_ns >= DEAD_SEC * SEC:
                ear.end(f"nothing was heard for {DEAD_SEC:g} s")
                return
            ear.is_quiet = True
            self._ping(ear)
            is_heard = ear.is_ready and not ear.is_entry and not self._silence_ns
            if look % PROBE_EVERY == 0 and is_heard:  # a logon can end in silence (F80)
                ear.say(self.account.probe(ear.line, self._clock.now_ns()))

    def _ping(self, ear: Ear) -> None:
        now_ns = self._clock.now_ns()
        text = ear.line.ping(Stamp(now_ns, now_ns // 1000))
        if text:
            ear.say(text)
        elif ear.link is not None:
            ear.link.ping()

    async def _fetch_token(self) -> None:
        turn = self.account.ask_token(self._clock.now_ns())
        for request in turn.requests:
            if isinstance(request, RestRequest):
                await self._exchange(request)

    def _down(self, is_entry: bool, reason: str) -> None:
        if not self._is_ending and not self.admission.is_refused:
            self._warn(f"{self.name}: the {'entry line' if is_entry else 'private stream'} is down: {reason}")
        if is_entry:
            self._entry = None
        else:
            self._stream, self._why_down = None, reason
        if is_entry == self._has_entry:  # orders went over this one
            self._deliver(self._act(self.account.line_down(reason)))

    def heard(self, ear: Ear, data: bytes, recv_ns: int) -> None:
        """A frame of a line. What goes wrong with it is a defect of ours: the line is closed for it, and opened
        again, for what the frame said is lost."""
        try:
            raw = self._redact(data)
            turn = self.account.hear(ear.line, raw, recv_ns)
            self._letters.take(turn.unreadable, "entry" if ear.is_entry else "stream", raw, recv_ns)
            self._learn_limits(report for report in turn.told if isinstance(report, Used))
            for fault in turn.refusals:
                self._heed_limit(fault, Lane.CREATE)
            self._is_silent &= not turn.facts
            self._deliver(self._act(turn))
            for report in turn.told:
                if isinstance(report, StreamReady) and (report.channel or ear.is_entry):
                    self._ready(ear)
                elif isinstance(report, StreamFault):
                    self._refused(ear, report.fault)
            if self.admission.heed(turn.facts):
                ear.end("an order was refused for want of a logon")
        except Exception as error:
            self._on_defect(f"{self.name}: a frame of the account", error)
            raise

    def _heed_limit(self, fault: Fault, lane: Lane) -> None:
        """After a refusal for want of budget nothing of this lane leaves until the venue says, and nothing at all where
        the limit is the address's (I16)."""
        if fault.category is not Category.RATE_LIMIT:
            return
        mono_ns, wait_ns = self._clock.mono_ns(), fault.wait_ns(self._clock.now_ns() + self.account.offset_ns())
        self.allowance.refused(lane, wait_ns, mono_ns)
        if fault.of_address:
            self.gateway.budget.block(mono_ns + wait_ns)

    @property
    def _silence_ns(self) -> int:
        """How long nothing may be said on lines either."""
        left_ns = self.gateway.budget.blocked_until_ns - self._clock.mono_ns()
        return max(0, left_ns) if self.allowance.weighs_frames else 0

    def _ready(self, ear: Ear) -> None:
        """Logged on and subscribed: what happened before is asked for now, what happens from now on is told."""
        if ear.is_ready:
            return
        ear.is_ready = True
        if not ear.is_entry:
            self._is_silent = False
            self.admission.unknown.add("open_orders")
            self._compare()
            self._deliver(self._ask_rights())

    def _refused(self, ear: Ear, fault: Fault) -> None:
        """A line that is not let in, or not any more, is of no use: another is opened after a while. Keys that are
        refused at a logon are not shown again. News of the venue are no word about the line."""
        is_over = fault.category is Category.AUTH or fault.means == "session"
        if is_over or not (ear.is_ready or fault.means == "news"):
            ear.end(worded(fault))
        else:
            self._warn(f"{self.name}: {worded(fault)}")
        if fault.of_address:
            self._heed_limit(fault, Lane.CREATE)
        if not ear.is_ready:
            self.admission.deny(fault)

    # ---- what has to be known, and keys that are refused ----

    @property
    def _is_streaming(self) -> bool:
        return self._stream is not None and self._stream.is_ready

    def _ask_unknown(self) -> list[Fact]:
        """Once more, unless the question is still on its way: a budget that is used up wants no second one."""
        under_way = {asked.what for asked in self.account.pending.values()}
        self._asked_ns = self._clock.mono_ns()
        wants_list = "open_orders" in self.admission.unknown - under_way
        return [*(self._list_open() if wants_list else []), *([] if "rights" in under_way else self._ask_rights())]

    def _ask_rights(self) -> list[Fact]:
        """What the keys may do, unless that is known or the venue does not tell."""
        self._asked_ns = self._clock.mono_ns()
        if "rights" not in self.admission.unknown:
            return []
        turn = self.account.ask_rights(self._clock.now_ns())
        if not turn.requests:
            self.admission.unknown.discard("rights")
        return self._act(turn)

    def _held(self, fact: AccountHeld) -> None:
        """Keys that are refused are not shown again."""
        self._on_held(fact)
        if fact.cause == "auth":
            self._released.clear()
            self._end_lines(fact.reason)

    def _end_lines(self, reason: str) -> None:
        for ear in (self._stream, self._entry):
            if ear is not None:
                ear.end(reason)

    def release(self, language: OrderLanguage | None = None, keys: Keys | None = None) -> None:
        """Try again, with other keys where a language of them is given."""
        self.keys = keys or self.keys
        self.admission.release()
        if language is not None:
            self.account.speak(language)
            self._prepared_ns = None
            self._end_lines("the keys are new")
            if self._guard is not None:
                self._guard.keys_changed()
        elif self._is_streaming:
            self._deliver(self._ask_unknown())
        self._released.set()

    async def _until_released(self) -> None:
        while self.admission.is_refused:
            await self._released.wait()

    def _list_open(self) -> list[Fact]:
        self._listed_ns = self._clock.mono_ns()
        return self._act(self.account.open_orders(self._clock.now_ns()))

    def _compare(self) -> None:
        """Open orders, executions and balances, side by side with ours."""
        self._is_behind = False
        self._deliver(self._list_open())
        self._reconcile()

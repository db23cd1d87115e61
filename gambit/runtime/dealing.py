"""The shell around the desk: signals, facts and time go in; facts are journalled, then commands are carried out.

What holds here (gambit.engine.desk, rules 1 to 3): facts first, in their order; a create leaves only when the journal
has its intent, and only after the desk is asked once more at that instant; a create that does not leave comes back as
Unsent. Ports answer with facts, at once or later; whoever they are, paper or a real venue, this module cannot tell.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final, Literal, Protocol

from gambit.commands import CancelOrder, Command, Notify, PlaceOrder, QueryBalances, QueryFills, QueryOrder
from gambit.engine.admission import unplanned
from gambit.engine.answers import cancelling
from gambit.engine.desk import Decision, Desk
from gambit.engine.funnel import WARM_UP
from gambit.engine.plan import NoPlan, Opportunity, of_signal
from gambit.engine.standing import Standing
from gambit.engine.trade import Phase
from gambit.engine.trading_state import Trading
from gambit.events import Fact
from gambit.events.operation import DaemonStarted, TradingStateChanged
from gambit.events.orders import Armed, OpportunityEnded, OrderSettled, Sent, Unsent
from gambit.journal import JournalBehind, JournalFailed
from gambit.runtime import rebuilding
from gambit.runtime.clock import Clock
from gambit.runtime.moment import Moment
from gambit.runtime.rebuilding import DeskFrozen, Rebuilding, replayed
from gambit.runtime.snapshots import Found

RECONCILE_NS: Final = 30_000_000_000
SIGNALS_A_TURN: Final = 4  # considered in one turn of the loop
IDLE_SEC: Final = 1.0  # the desk is asked at least this often


class Port(Protocol):
    """The way to a venue's orders."""

    @property
    def is_up(self) -> bool:
        """Whether orders can be sent and their fills heard of."""
        ...

    @property
    def window_ns(self) -> int | None:
        """How long after a send the venue may still accept a create; None: for ever."""
        ...

    @property
    def taker_fee_bps(self) -> Decimal | None:
        """What a taker's execution costs the account; None: the venue has not told."""
        ...

    @property
    def deadline_ns(self) -> int | None:
        """When on_time wants to be called; None: not before something is sent."""
        ...

    def send(self, command: Command, now_ns: int) -> Sequence[Fact]:
        """Hand a command over; what is known at once comes back."""
        ...

    def on_time(self, conditions: Moment, now_ns: int) -> Sequence[Fact]:
        """What has arrived by now."""
        ...


class Journal(rebuilding.Journal, Protocol):
    """Where facts are written down before anything is done about them."""

    @property
    def written(self) -> int: ...
    async def until_written(self, seq: int) -> None: ...


class Dealing:
    """One desk at work. `write` appends a fact and gives its number, `write_now` the same for what something waits for;
    `notify` tells people; `on_state` hears of every
    change of the trading state that the desk makes; `on_defect` hears what went wrong on our side. `fresh` gives what
    the desk is made anew from when it broke: a snapshot, or nothing and the journal from its first record."""

    def __init__(
        self,
        desk: Desk,
        clock: Clock,
        journal: Journal,
        write: Callable[[Fact, int], int],
        write_now: Callable[[Fact, int], int],
        moment: Callable[[], Moment],
        *,
        durability: Literal["process", "power"],
        notify: Callable[[Notify], None],
        on_state: Callable[[TradingStateChanged], None],
        on_defect: Callable[[str, BaseException], None],
        fresh: Callable[[], Found] = lambda: Found(Standing(), 0),
    ) -> None:
        self.desk = desk
        self.clock = clock
        self.ports: dict[str, Port] = {}
        self.sent = 0
        self.on_order: Callable[[int], None] = lambda _ns: None  # ns from a frame to its orders handed over
        self.on_settled: Callable[[OrderSettled], None] = lambda _fact: None
        self._journal = journal
        self._write = write
        self._write_now = write_now
        self._moment = moment
        self._durability = durability
        self._notify = notify
        self._on_state = on_state
        self.on_defect = on_defect
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()  # the desk took something in
        self._sending: set[asyncio.Task[None]] = set()
        self._frames: dict[str, int] = {}  # orders not handed over yet: when the frame they are due to arrived
        self.replayed = 0  # records at the start
        self._is_open = False
        self._is_closed = False
        self._is_ending = False
        # signals that have not had their turn, and whether they were raised before the accounts were open
        self._raised: deque[tuple[Mapping[str, Any], bool]] = deque()
        self._considered = 0  # in this turn of the loop
        self._is_turn_due = False
        self._is_torn = False  # a fact was true and could not be written
        self._anew: asyncio.Task[None] | None = None
        self._rebuilding = Rebuilding(journal, fresh, lambda: self.clock.mono_ns())

    # ---- starting ----

    def replay(self, after: int = 0) -> int:
        """Bring the desk from record `after` to where the journal says it stood, and hold it against every checkpoint;
        gives how many records that took. Raises ReplayDiffers."""
        self.replayed = sum(replayed(self.desk.standing, self._journal, after))
        return self.replayed

    @property
    def is_whole(self) -> bool:
        """Whether the journal has every fact that the desk took for true."""
        return self.desk.is_whole and not self._is_torn and not self.frozen

    @property
    def frozen(self) -> str:
        """Why the desk cannot be asked just now; empty: it can."""
        return self._rebuilding.reason

    def begin(self, started: DaemonStarted) -> None:
        """This run's first fact; then whatever was under way before is taken up."""
        self._carry_out(self._ask(self.desk.begin, started))

    def open(self, ports: Mapping[str, Port]) -> None:
        """The venues can be reached: balances are asked for, and signals are considered from now on; those of before
        come to their end."""
        self.ports = dict(ports)
        self._is_open = True
        self.reconcile()
        self._wake.set()
        if self._raised:
            self._is_turn_due = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    # ---- what comes in ----

    def on_signal(self, event: Mapping[str, Any]) -> None:
        """A signal or an episode's end, as the engine words it. A burst is considered a few signals a turn of the
        loop, in its order and on the books of then, so that frames and answers are read in between."""
        if event["event"] != "raised" or self._is_closed:
            return
        self._raised.append((event, not self._is_open))
        if self._is_open:
            self._consider()

    def _consider(self) -> None:
        if not self._is_turn_due:
            self._is_turn_due = True
            asyncio.get_running_loop().call_soon(self._next_turn)
        if self.frozen:
            self._raised.clear()
        while self._raised and self._considered < SIGNALS_A_TURN:
            self._considered += 1
            event, is_early = self._raised.popleft()
            if is_early:
                self._pass_over(of_signal(event))
                continue
            decision = self._ask(self.desk.consider, of_signal(event))
            self._carry_out(decision, frame_ns=event["recv_ns"])

    def _pass_over(self, opportunity: Opportunity) -> None:
        """It was raised before an order could leave. Nothing is sent for it before the venues were asked (orders.md,
        "Start-up"), but it ends like every other one."""
        refused = unplanned(opportunity, NoPlan(WARM_UP, "raised before the accounts were open"))
        ended = OpportunityEnded(opp_id=opportunity.opp_id, symbol=opportunity.symbol, reason=WARM_UP)
        for fact in (refused, ended):
            self._carry_out(self._ask(self.desk.on_fact, fact))

    def _next_turn(self) -> None:
        self._is_turn_due, self._considered = False, 0
        if not self._is_open:
            self._raised.clear()
        if self._raised:
            try:
                self._consider()
            except Exception as error:
                self.on_defect("considering a signal", error)

    def on_facts(self, facts: Iterable[Fact]) -> None:
        """What a port tells. A frozen desk hears nothing; what it missed is asked for when it is made anew."""
        for fact in facts:
            if isinstance(fact, Sent | Unsent):
                self._time(fact)
            if self.frozen:
                continue
            self._carry_out(self._ask(self.desk.on_fact, fact))

    def set_trading(self, to: str, reason: str, by: str) -> None:
        """ACTIVE, REDUCING or HALTED, by whoever may. A frozen desk is halted when it is made anew, whatever is said
        until then. Raises DeskFrozen for a resumption."""
        if self.frozen and Trading(to) is not Trading.ACTIVE:
            return
        decision = self._ask(self.desk.set_trading, Trading(to), reason, by)
        self._carry_out(decision, is_told=True)

    def approve(self, plan: str, by: str) -> None:
        """Raises KeyError for a plan that does not wait."""
        self._carry_out(self._ask(self.desk.approve, plan, by))

    def reject(self, plan: str, by: str) -> None:
        """Raises KeyError for a plan that does not wait."""
        self._carry_out(self._ask(self.desk.reject, plan, by))

    def cancel(self, key: str, by: str) -> None:
        """Raises KeyError for an order that is not live."""
        self._carry_out(self._ask(self.desk.cancel, key, by))

    def arm(self, by: str, for_ns: int | None = None) -> None:
        """Live orders may leave, for as long as configured or for so long."""
        if for_ns is None:
            self._carry_out(self._ask(self.desk.arm, by))
        else:
            self._carry_out(self._ask(self.desk.on_fact, Armed(by=by, until_ns=self.clock.now_ns() + for_ns)))

    def disarm(self, by: str, reason: str) -> None:
        """Live orders may not leave any more."""
        self._carry_out(self._ask(self.desk.disarm, by, reason))

    def release(self, scope: str, by: str) -> None:
        """A halted symbol or venue may trade again."""
        self._carry_out(self._ask(self.desk.release, scope, by))

    def marks(self) -> Mapping[str, Decimal]:
        """Price of each asset in the currency of account, as of now."""
        return self._moment().marks()

    def reconcile(self, only: str = "", *, is_routine: bool = False) -> None:
        """Ask every venue for its executions and balances; the desk compares them with its own."""
        if self.frozen:
            return
        for venue in [only] if only else self.ports:
            self._carry_out(self._ask(partial(self.desk.reconcile, is_routine=is_routine), venue))

    # ---- time ----

    async def run(self) -> None:
        """For ever: tell the desk and the ports the time when they want to know it."""
        try:
            await self._run()
        finally:
            if self._anew is not None:
                self._anew.cancel()

    async def _run(self) -> None:
        due_ns = self.clock.mono_ns() + RECONCILE_NS
        while True:
            self._wake.clear()
            if self.frozen and self._anew is None:
                self._anew = asyncio.get_running_loop().create_task(self._make_anew())
            is_due = self.clock.mono_ns() >= due_ns
            if is_due:
                due_ns = self.clock.mono_ns() + RECONCILE_NS
            try:
                wait_sec = self._turn(is_due=is_due)
            except Exception as error:  # nobody trades any more; what is open is still asked about, and later again
                self.on_defect("the desk's time", error)
                await asyncio.sleep(IDLE_SEC)
                continue
            try:
                async with asyncio.timeout(wait_sec):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _turn(self, *, is_due: bool) -> float:
        """One turn of run(); how long to wait for the next, in seconds."""
        for port in self.ports.values():
            self.on_facts(port.on_time(self._moment(), self.clock.now_ns()))
        if self.frozen:
            return IDLE_SEC
        self._carry_out(self._ask(self.desk.on_time))
        if is_due:
            self.reconcile(is_routine=True)
        return self._wait_sec()

    def _wait_sec(self) -> float:
        now_ns = self.clock.now_ns()
        dues = [self.desk.deadline_ns(self._moment(), now_ns), *(port.deadline_ns for port in self.ports.values())]
        soonest = min((due for due in dues if due is not None), default=now_ns + int(IDLE_SEC * 1e9))
        return min(max((soonest - now_ns) / 1e9, 0.0), IDLE_SEC)

    @property
    def is_under_way(self) -> bool:
        """Whether an order is live or a plan works, as far as the desk can tell."""
        standing = self.desk.standing
        return self.is_whole and (
            bool(standing.live) or any(trade.phase is Phase.WORKING for trade in standing.open.values())
        )

    async def drain(self) -> None:
        """No signal is considered any more; return once nothing is under way. A daemon that never sent has nothing to
        wait for: its venues cannot be asked."""
        was_open, self._is_open, self._is_closed = self._is_open, False, True
        while was_open and self.is_under_way:
            self._moved.clear()
            await self._moved.wait()

    async def close(self) -> None:
        """No signal is considered any more; what is being sent is let go, and no create follows it: whatever is left of
        a plan is found in the journal by the next life."""
        self._is_open, self._is_closed = False, True
        if self._sending:
            await asyncio.wait(self._sending)
        self._is_ending = True

    async def let_go(self) -> None:
        """Nobody tells anything any more: wait until nothing is on its way to a port or to the journal."""
        while self._sending:
            await asyncio.wait(self._sending)

    # ---- a desk that broke ----

    def _freeze(self, what: str, error: BaseException) -> None:
        """The state is not what the journal says: nobody trades on it, and run() makes it anew (F31)."""
        if not self.frozen:
            self._rebuilding.freeze(f"{what}: {error!r}; the desk is made anew from the journal")
            self._wake.set()
            self._moved.set()
            self.on_defect(what, error)

    async def _make_anew(self) -> None:
        """Replay the journal and go on from there, halted. Where that fails what is live is cancelled all the same."""
        try:
            reason = self.frozen
            standing = await self._rebuilding.standing(self._journal.head)
            self._rebuilding.thaw()
            self._is_torn = False
            self._go_on_from(standing, reason)
        except Exception as error:
            self._freeze("making the desk anew", error)
            self.on_defect("making the desk anew", error)
            self._cancel_anyway([cancelling(order) for order in self.desk.standing.live.values()])
        finally:
            self._anew = None
            self._wake.set()

    def _go_on_from(self, standing: Standing, reason: str) -> None:
        decision = self._ask(self.desk.go_on_from, standing, reason)
        self._carry_out(decision)
        if not any(isinstance(fact, TradingStateChanged) for fact in decision.facts):  # the switch may say otherwise
            self._on_state(TradingStateChanged(state="HALTED", was="HALTED", reason=reason, by="desk"))
        self.reconcile()

    # ---- carrying out ----

    def _ask(self, call: Callable[..., Decision], *about: object) -> Decision:
        """A call of the desk. One that breaks off raises, after what it took for true by then was written down: the
        desk goes on from there, and so has the next life to; creates of it are not sent (I24). One that breaks off
        within a fact has changed nothing but memory, which is made anew. Raises DeskFrozen until it is."""
        if self.frozen:
            raise DeskFrozen(self.frozen)
        try:
            return call(*about, self._moment(), self.clock.now_ns())
        except Exception as error:
            if not self.desk.standing.is_sound:
                self._freeze("the desk broke off within a fact", error)
                raise
            broken = self.desk.broken_off()
            creates = [command for command in broken.commands if isinstance(command, PlaceOrder)]
            broken.commands = [command for command in broken.commands if command not in creates]
            self._carry_out(broken)
            for command in creates:
                self.on_facts(_unsent(command, "the desk broke off while it decided this"))
            raise

    def _carry_out(self, decision: Decision, *, is_told: bool = False, frame_ns: int = 0) -> None:
        self._moved.set()
        commands = [command for command in decision.commands if not isinstance(command, Notify)]
        if frame_ns:
            self._frames |= {each.intent.key: frame_ns for each in commands if isinstance(each, PlaceOrder)}
        try:
            seq = self._write_down(decision, is_awaited=bool(commands))
        except BaseException:
            self._cancel_anyway(commands)
            raise
        changes = [fact for fact in decision.facts if isinstance(fact, TradingStateChanged)]
        for fact in decision.facts:
            if isinstance(fact, OrderSettled):
                self.on_settled(fact)
        for change in changes[is_told:]:
            try:
                self._on_state(change)
            except OSError as error:  # it holds, and what it asks for is carried out
                self.on_defect("keeping the trading state", error)
        for command in decision.commands:
            if isinstance(command, Notify):
                self._notify(command)
        if not commands:
            return
        if self._durability == "process" and self._journal.written >= seq:
            self._hand_all_over(commands)
            return
        task = asyncio.get_running_loop().create_task(self._send(commands, seq))
        self._sending.add(task)
        task.add_done_callback(self._sent)

    def _write_down(self, decision: Decision, *, is_awaited: bool) -> int:
        """The number of the last fact. Each has the time of the call, for a replay has no other; what commands wait for
        is written here and now where that can be."""
        seq = 0
        for k, fact in enumerate(decision.facts, 1):
            is_last = k == len(decision.facts)
            write = self._write_now if is_last and is_awaited else self._write
            try:
                seq = write(fact, decision.at_ns)
            except BaseException as error:
                self._is_torn = True
                is_final = isinstance(error, JournalFailed) and not isinstance(error, JournalBehind)
                if not is_final:  # with a journal that takes nothing any more there is nothing to replay
                    self._freeze("a fact could not be written", error)
                raise
        return seq

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.on_defect("sending orders", error)

    async def _send(self, commands: Sequence[Command], seq: int) -> None:
        """The legs of a plan leave one behind the other, without waiting for each other's answers."""
        if seq:
            written = self._journal.until_synced if self._durability == "power" else self._journal.until_written
            try:
                await written(seq)
            except Exception as error:
                self._cancel_anyway(commands)
                for command in commands:
                    self.on_facts(_unsent(command, f"the journal did not take the intent: {error}"))
                raise
        self._hand_all_over(commands)

    def _hand_all_over(self, commands: Sequence[Command]) -> None:
        """All of them, and only then what is known of each: a plan's last leg does not wait for news of its first."""
        known: list[tuple[Command, Sequence[Fact]]] = []
        for command in commands:
            try:
                known.append((command, self._hand_over(command)))
            except Exception as error:  # the others are not to blame; an order without an answer is asked about
                self.on_defect(f"sending a {type(command).__name__}", error)
        for command, facts in known:
            try:
                self.on_facts(facts)
            except Exception as error:
                self.on_defect(f"what became of a {type(command).__name__}", error)
        self._wake.set()

    def _cancel_anyway(self, commands: Sequence[Command]) -> None:
        """What takes risk away leaves although the journal does not take it (I24); creates and questions do not. What
        is known at once has nowhere to be written down: whoever is raised the journal's failure tells of it."""
        for command in commands:
            if isinstance(command, CancelOrder):
                try:
                    self._hand_over(command)
                except Exception as error:  # the others are not to blame
                    self.on_defect("sending a cancel without a journal", error)

    def _time(self, fact: Sent | Unsent) -> None:
        """The bytes of an order were handed over, or never will be."""
        frame_ns = self._frames.pop(fact.key, 0)
        if frame_ns and isinstance(fact, Sent):
            self.on_order(self.clock.now_ns() - frame_ns)

    def why_not(self, command: PlaceOrder) -> str | None:
        """Why a create may not leave at this instant; None when it may. A port asks again for one that had to wait."""
        if self._is_ending:
            return "gambit is stopping"
        if self.frozen:
            return self.frozen
        return self.desk.may_send(command.intent, self.clock.now_ns())

    def _hand_over(self, command: Command) -> Sequence[Fact]:
        """Give a command to its port; what is known at once."""
        if isinstance(command, PlaceOrder):
            if self._is_ending:
                return ()
            why_not = self.why_not(command)
            if why_not is not None:
                return _unsent(command, why_not)
        port = self.ports.get(_venue_of(command))
        if port is None:
            return _unsent(command, "the venue cannot be reached for orders")
        if isinstance(command, PlaceOrder):
            self.sent += 1
        facts = port.send(command, self.clock.now_ns())
        for fact in facts:
            if isinstance(fact, Sent):
                self._time(fact)  # at this instant, not when it is its turn
        return facts


def _unsent(command: Command, reason: str) -> Sequence[Fact]:
    if not isinstance(command, PlaceOrder):
        return ()
    return (Unsent(key=command.intent.key, venue=command.intent.venue, reason=reason),)


def _venue_of(command: Command) -> str:
    match command:
        case PlaceOrder(intent):
            return intent.venue
        case CancelOrder() | QueryOrder() | QueryFills() | QueryBalances():
            return command.venue
    raise TypeError(f"{type(command).__name__} goes to no venue")

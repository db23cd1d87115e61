"""The bot at work: it polls, asks the table, answers, and tells those who wished it. Telegram's slowness is its own:
what is said leaves by tasks that nothing waits for.

What was taken in is on disk before anything is done about it, so that a kill between the two does nothing, and never
something twice. A stop goes before its disk: the button's question is in memory only, and whoever is killed in between
has none to answer.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from gambit.surface.control import Caller, Handler
from gambit.surface.methods import PARAMS, Opportunities
from gambit.surface.rpc import RpcError
from gambit.telegram import words
from gambit.telegram.core import Core
from gambit.telegram.keeping import Kept
from gambit.telegram.rim import Api, ApiError
from gambit.telegram.update import Action, Nod, Note, Run, Say
from gambit.threads import in_thread

POLL_SEC: Final = 25
WAIT_FIRST_SEC: Final = 1.0
WAIT_MOST_SEC: Final = 30.0
QUEUE_MAX: Final = 200
TRIES: Final = 3


class Bot:
    """`handlers` is the one table; `save` keeps what has to be kept, durably, and may take a disk's time (it raises
    OSError); `audit` writes a note down."""

    name = "telegram"

    def __init__(
        self, core: Core, api: Api, handlers: Mapping[str, Handler], *, now_ns: Callable[[], int],
        save: Callable[[Kept], None], audit: Callable[[Note], object], warn: Callable[..., object],
        poll_sec: int = POLL_SEC,
    ) -> None:  # fmt: skip
        self.core = core
        self._api = api
        self._handlers = handlers
        self._now_ns = now_ns
        self._save = save
        self._audit = audit
        self._warn = warn
        self._poll_sec = poll_sec
        self._replies, self._news = Outgoing(), Outgoing()

    @property
    def waiting(self) -> int:
        """How many messages wait to be said."""
        return len(self._replies) + len(self._news)

    def begin(self) -> None:
        """Nothing: what was kept is in the core already."""

    def end(self) -> None:
        """Nothing: what was taken in is kept."""

    async def run(self) -> None:
        """For ever: poll, and beside it answer and tell."""
        queues = {"answers": self._replies, "news": self._news}
        pushing = [asyncio.create_task(self._push(each), name=f"telegram {name}") for name, each in queues.items()]
        try:
            await self._poll()
        finally:
            for task in pushing:
                task.cancel()
            await asyncio.gather(*pushing, return_exceptions=True)
            await self._api.close()

    async def _poll(self) -> None:
        wait = WAIT_FIRST_SEC
        while True:
            try:
                found = await self._api.updates(self.core.kept.update_id + 1, self._poll_sec)
            except ApiError as error:
                self._warn("Telegram cannot be asked", error=str(error))
                await asyncio.sleep(max(wait, error.wait_sec))
                wait = min(WAIT_MOST_SEC, wait * 2)
                continue
            wait = WAIT_FIRST_SEC
            for update in found:
                actions = self.core.on_update(update, self._now_ns())
                if any(isinstance(one, Run) and one.is_stop for one in actions):
                    await self._carry_out(actions)
                    await self._kept()
                elif await self._kept():
                    await self._carry_out(actions)

    async def _kept(self) -> bool:
        """Whether what was taken in is on disk; what is not has no effect, unless it was a stop."""
        try:
            await in_thread(self._save, self.core.kept)
        except OSError as error:
            self._warn("the bot's state is not on disk; nothing but a stop has an effect", error=str(error))
            return False
        return True

    async def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Note():
                    self._audit(action)
                case Nod() | Say():
                    self._replies.put([action])
                case Run():
                    self._replies.put(await self._asked(action))

    async def _asked(self, run: Run) -> list[Say]:
        """Ask the table; what it refuses is told in its words."""
        who = self.core.principal(run.user_id)
        if who is None:
            return []
        caller = Caller.by_network(who)
        try:
            if run.command == "confirm_order":
                plans = await self._call("plans", {"open_only": True, "limit": 1000}, caller)
                wrong = self.core.too_large(run, plans)
                if wrong:
                    return _says(self.core.refused(run, wrong))
            results = [await self._call(method, params, caller) for method, params in run.methods]
        except RpcError as error:
            return _says(self.core.refused(run, error.message))
        except Exception as error:  # a defect of ours is told as one, and the bot goes on
            self._warn("a command failed", command=run.command, error=repr(error))
            return _says(self.core.refused(run, "a defect in gambit; the log has the details"))
        said = _says(self.core.answered(run, results, self._now_ns()))
        if run.is_deed:
            await self._kept()
        return said

    async def _call(self, method: str, params: Mapping[str, Any], caller: Caller) -> Any:
        answer = self._handlers[method](msgspec.convert(dict(params), PARAMS[method]), caller)
        return msgspec.to_builtins(await answer if inspect.isawaitable(answer) else answer)

    async def _tried(self, what: Say | Nod) -> None:
        """Some tries; a message that does not arrive is told of and lost."""
        for attempt in range(1, TRIES + 1):
            try:
                await (self._api.nod(what) if isinstance(what, Nod) else self._api.say(what))
            except ApiError as error:
                if attempt == TRIES:
                    self._warn("a message did not reach Telegram", error=str(error))
                    return
                await asyncio.sleep(max(0.2 * attempt, error.wait_sec))
            else:
                return

    # ---- being told ----

    def on_alert(self, event: Mapping[str, Any]) -> None:
        """An alert's event, for those who wished to hear of it."""
        self._news.put(self.core.on_alert(event))

    def on_signal(self, event: Mapping[str, Any]) -> None:
        """A signal: the best that lasts goes to those who wished it, in two parts."""
        if event["event"] != "raised":
            return
        for chat_id in self.core.wants_signals(self._now_ns()):
            rows: Any = self._handlers["opportunities"](Opportunities(open_only=True, limit=1), Caller(-1, -1))
            if rows:
                self._news.put([Say(chat_id=chat_id, html=words.cut(words.signal(rows[0], self._now_ns())))])

    async def _push(self, queue: "Outgoing") -> None:
        while True:
            await self._tried(await queue.next())


class Outgoing:
    """What is to be said; of more than QUEUE_MAX the oldest is dropped."""

    def __init__(self) -> None:
        self._waiting: deque[Say | Nod] = deque(maxlen=QUEUE_MAX)
        self._came = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, messages: Sequence[Say | Nod]) -> None:
        """Say these, too."""
        self._waiting.extend(messages)
        if messages:
            self._came.set()

    async def next(self) -> Say | Nod:
        """The next one, once there is one."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        return self._waiting.popleft()


def _says(actions: list[Action]) -> list[Say]:
    return [action for action in actions if isinstance(action, Say)]

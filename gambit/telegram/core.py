"""The bot without IO: updates in, actions out; time and chance are arguments.

What holds here (S41, S42): only who is on both lists, in a private chat, with a message of their own, younger than
MESSAGE_SEC, has any effect; nobody is on an empty list. An update counts once, by its id, over restarts too. What
changes something needs a second tap within CONFIRM_NS on a button that belongs to (user, chat, command, nonce) and
works once; the same words within REPEAT_NS do nothing a second time. Who may do what is the one table's word.
"""

import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from gambit.access.permissions import Door, Principal, Role, denial
from gambit.events.alerts import SEVERITIES
from gambit.telegram import words
from gambit.telegram.commands import COMMANDS, BadArguments, Command, amount, wishes
from gambit.telegram.keeping import Done, Kept, Link, Wish, wish_of
from gambit.telegram.update import Action, Nod, Note, Run, Say, Update

SECOND_NS: Final = 1_000_000_000
MESSAGE_SEC: Final = 60
CONFIRM_NS: Final = 60 * SECOND_NS
REPEAT_NS: Final = 3600 * SECOND_NS
CODE_NS: Final = 600 * SECOND_NS
CODE_TRIES: Final = 5  # wrong codes of one account before none of its codes count for CODE_NS
SIGNAL_NS: Final = 10 * SECOND_NS  # signals are told to one person no more often
WEEK_NS: Final = 6 * 24 * 3600 * SECOND_NS  # after a week of silence Telegram begins its ids anew
NOTES_A_MINUTE: Final = 30  # of strangers: their noise must not fill the journal
PENDING_MAX: Final = 100
TEXT_MAX: Final = 1000


class Person(NamedTuple):
    """A user of gambit."""

    user_id: str
    name: str
    role: Role
    is_active: bool


class People(Protocol):
    """Who there is."""

    def __call__(self, user_id: str) -> Person | None: ...


class _Pending(NamedTuple):
    """A deed that waits for its second tap."""

    user_id: int
    chat_id: int
    command: Command
    args: str
    methods: tuple[tuple[str, dict[str, Any]], ...]
    until_ns: int


class Core:
    """`users` and `chats` are the lists, by Telegram's ids; `chance(n)` gives n unguessable bytes."""

    def __init__(
        self, users: Sequence[int], chats: Sequence[int], people: People, kept: Kept, chance: Callable[[int], bytes]
    ) -> None:
        self.kept = kept
        self._users = frozenset(users)
        self._chats = frozenset(chats)
        self._people = people
        self._chance = chance
        self._pending: dict[str, _Pending] = {}
        self._codes: dict[str, tuple[str, int]] = {}  # hash of a code -> user, until when
        self._wrong: dict[int, deque[int]] = {}
        self._times: dict[tuple[int, str], deque[int]] = {}
        self._notes: deque[int] = deque()
        self._signalled: dict[int, int] = {}

    # ---- what comes in ----

    def on_update(self, update: Update, now_ns: int) -> list[Action]:
        """One update, once."""
        if update.update_id <= self.kept.update_id and now_ns - self.kept.seen_ns < WEEK_NS:
            return []
        self.kept.update_id, self.kept.seen_ns = update.update_id, now_ns
        stranger = self._why_not(update, now_ns)
        if stranger:
            return self._noted(update, stranger, now_ns)
        if update.kind == "button":
            return self._pressed(update, now_ns)
        return self._said(update, now_ns)

    def _why_not(self, update: Update, now_ns: int) -> str:
        """Why an update has no effect; empty where it may have one."""
        if update.user_id not in self._users or update.chat_id not in self._chats:
            return "not on the lists"
        if update.kind not in ("message", "button"):
            return f"{update.kind} updates have no effect"
        if update.chat_type != "private" or update.is_bot:
            return "only a private chat with a person counts"
        if update.is_forward:
            return "forwarded messages have no effect"
        if update.kind == "message" and now_ns // SECOND_NS - update.date_sec > MESSAGE_SEC:
            return "too old"
        return ""

    def _noted(self, update: Update, why: str, now_ns: int) -> list[Action]:
        """Strangers get no answer, only a record, and not too many of these."""
        while self._notes and now_ns - self._notes[0] > 60 * SECOND_NS:
            self._notes.popleft()
        if len(self._notes) >= NOTES_A_MINUTE:
            return []
        self._notes.append(now_ns)
        who = f"telegram {update.user_id} in {update.chat_id}"
        found: list[Action] = [Note(who=who, action=_first_word(update), outcome="refused", detail=why)]
        if why == "too old":
            found.append(Say(chat_id=update.chat_id, html="that came too late to be believed; say it again"))
        return found

    def _said(self, update: Update, now_ns: int) -> list[Action]:
        name, args = _parted(update.text)
        command = COMMANDS.get(name)
        if command is None:
            return [Say(chat_id=update.chat_id, html=f"no such command\n{words.manual()}")]
        if self._is_too_fast(update.user_id, command, now_ns):
            return [Say(chat_id=update.chat_id, html=f"/{name}: {command.per_minute} a minute are the most")]
        try:
            calls = command.calls(args)
            return self._begun(update, command, args, calls, now_ns)
        except BadArguments as error:
            return [Say(chat_id=update.chat_id, html=f"/{name}: {words.escaped(error)}")]

    def _is_too_fast(self, user_id: int, command: Command, now_ns: int) -> bool:
        times = self._times.setdefault((user_id, command.name), deque(maxlen=command.per_minute))
        if len(times) == command.per_minute and now_ns - times[0] < 60 * SECOND_NS:
            return True
        times.append(now_ns)
        return False

    def _begun(
        self, update: Update, command: Command, args: Sequence[str], calls: Any, now_ns: int
    ) -> list[Action]:  # fmt: skip
        if command.name == "start" and args:
            return self._linked(update, args[0], now_ns)
        person = self._person(update)
        if command.name in ("start", "help", "learn"):
            text = words.lesson(args) if command.name == "learn" else _greeting(person) + words.manual()
            return [Say(chat_id=update.chat_id, html=text)]
        if person is None:
            text = "this chat is not linked: `gambit user link-telegram NAME` gives a code, then /start CODE"
            return [
                Note(who=f"telegram {update.user_id}", action=f"/{command.name}", outcome="refused", detail="no link"),
                Say(chat_id=update.chat_id, html=words.escaped(text)),
            ]
        if command.name == "subscribe_alerts":
            return self._wished(update, person, args, now_ns)
        return self._asked(update, person, command, args, calls, now_ns)

    def _asked(
        self, update: Update, person: Person, command: Command, args: Sequence[str], calls: Any, now_ns: int
    ) -> list[Action]:  # fmt: skip
        refused = self._refusal(person, calls, now_ns)
        if refused:
            return [self._note(person, command.name, args, "refused", refused),
                    Say(chat_id=update.chat_id, html=words.escaped(refused))]  # fmt: skip
        text = " ".join(args)
        done = self._done(update.chat_id, command, text, now_ns)
        if done is not None:
            return [self._note(person, command.name, args, "repeated"),
                    Say(chat_id=update.chat_id, html=f"that was done already: {done.html}")]  # fmt: skip
        if not command.is_two_step:
            run = Run(chat_id=update.chat_id, user_id=update.user_id, command=command.name, args=text, methods=calls)
            return [self._note(person, command.name, args), run]
        nonce = self._chance(16).hex()
        for old in [name for name, one in self._pending.items() if now_ns >= one.until_ns]:
            del self._pending[old]
        if len(self._pending) >= PENDING_MAX:
            return [Say(chat_id=update.chat_id, html="too many questions are open; try again in a minute")]
        self._pending[nonce] = _Pending(update.user_id, update.chat_id, command, text, calls, now_ns + CONFIRM_NS)
        question = f"<b>/{command.name} {words.escaped(text)}</b>\nDo it? This asks for 60 seconds."
        return [
            self._note(person, command.name, args, "asked"),
            Say(chat_id=update.chat_id, html=question, buttons=(("Do it", f"y:{nonce}"), ("Leave it", f"n:{nonce}"))),
        ]

    def _pressed(self, update: Update, now_ns: int) -> list[Action]:
        answer, _, nonce = update.data.partition(":")
        pending = self._pending.get(nonce)
        if pending is None or (pending.user_id, pending.chat_id) != (update.user_id, update.chat_id):
            note = Note(
                who=f"telegram {update.user_id}", action="button", outcome="refused", detail="not theirs, or over"
            )
            return [note, Nod(callback_id=update.callback_id, text="this question is over")]
        del self._pending[nonce]
        person = self._person(update)
        if now_ns >= pending.until_ns or person is None:
            return [Nod(callback_id=update.callback_id, text="too late; ask again")]
        nod = Nod(callback_id=update.callback_id)
        args = pending.args.split()
        if answer != "y":
            return [nod, self._note(person, pending.command.name, args, "left"),
                    Say(chat_id=update.chat_id, html="left as it is")]  # fmt: skip
        refused = self._refusal(person, pending.methods, now_ns)
        if refused:  # the role may have changed since
            return [nod, self._note(person, pending.command.name, args, "refused", refused),
                    Say(chat_id=update.chat_id, html=words.escaped(refused))]  # fmt: skip
        done = self._done(update.chat_id, pending.command, pending.args, now_ns)
        if done is not None:
            return [nod, Say(chat_id=update.chat_id, html=f"that was done already: {done.html}")]
        return [
            nod,
            self._note(person, pending.command.name, args, "confirmed"),
            Run(
                chat_id=update.chat_id, user_id=update.user_id, command=pending.command.name, args=pending.args,
                methods=pending.methods, is_deed=True, is_stop=pending.command.is_stop,
            ),
        ]  # fmt: skip

    # ---- who ----

    def _person(self, update: Update) -> Person | None:
        """The user that a Telegram account is, in the chat it was linked in."""
        link = self.kept.links.get(str(update.user_id))
        if link is None or link.chat_id != update.chat_id:
            return None
        person = self._people(link.user_id)
        return person if person is not None and person.is_active else None

    def principal(self, user_id: int) -> Principal | None:
        """A linked Telegram account as the table wants it; it was never authenticated freshly."""
        link = self.kept.links.get(str(user_id))
        person = self._people(link.user_id) if link is not None else None
        if person is None or not person.is_active:
            return None
        return Principal(person.user_id, person.name, person.role, Door.TELEGRAM)

    def _refusal(self, person: Person, calls: Sequence[tuple[str, Mapping[str, Any]]], now_ns: int) -> str:
        who = Principal(person.user_id, person.name, person.role, Door.TELEGRAM)
        for method, _ in calls:
            refused = denial(who, method, now_ns)
            if refused is not None:
                return refused.text
        return ""

    def offer(self, user_id: str, now_ns: int) -> str:
        """A code that links whoever says it first, within ten minutes, to this user."""
        self._codes = {code: one for code, one in self._codes.items() if now_ns < one[1] and one[0] != user_id}
        code = self._chance(10).hex()
        self._codes[_hashed(code)] = (user_id, now_ns + CODE_NS)
        return code

    def _linked(self, update: Update, code: str, now_ns: int) -> list[Action]:
        wrong = self._wrong.setdefault(update.user_id, deque(maxlen=CODE_TRIES))
        is_locked = len(wrong) == CODE_TRIES and now_ns - wrong[0] < CODE_NS
        given = _hashed(code)
        known = next((one for one in self._codes if hmac.compare_digest(one, given)), None)
        if is_locked or known is None or now_ns >= self._codes[known][1]:
            wrong.append(now_ns)
            note = Note(who=f"telegram {update.user_id}", action="/start", outcome="refused", detail="wrong code")
            return [note, Say(chat_id=update.chat_id, html="this code does not count (any more)")]
        user_id, _ = self._codes.pop(known)
        person = self._people(user_id)
        if person is None or not person.is_active:
            return [Say(chat_id=update.chat_id, html="this code does not count (any more)")]
        self.kept.links[str(update.user_id)] = Link(user_id, update.chat_id, now_ns)
        note = Note(who=person.name, action="/start", detail=f"telegram {update.user_id} is linked")
        return [note, Say(chat_id=update.chat_id, html=_greeting(person) + words.manual())]

    # ---- what is done ----

    def _done(self, chat_id: int, command: Command, args: str, now_ns: int) -> Done | None:
        if not command.is_once:
            return None
        done = self.kept.done.get(_key(chat_id, command.name, args))
        return done if done is not None and now_ns - done.at_ns < REPEAT_NS else None

    def answered(self, run: Run, results: Sequence[Any], now_ns: int) -> list[Action]:
        """The table's answers; a deed is remembered for an hour."""
        text = words.answer(run.command, results, now_ns)
        if COMMANDS[run.command].is_once and run.is_deed:
            done = {name: one for name, one in self.kept.done.items() if now_ns - one.at_ns < REPEAT_NS}
            self.kept.done = {**done, _key(run.chat_id, run.command, run.args): Done(now_ns, text)}
        return [Say(chat_id=run.chat_id, html=text)]

    def refused(self, run: Run, text: str) -> list[Action]:
        """The table said no."""
        return [Say(chat_id=run.chat_id, html=f"/{run.command}: {words.escaped(text)}")]

    def too_large(self, run: Run, plans: Sequence[Mapping[str, Any]]) -> str:
        """Why a plan may not be let go with the amount that was confirmed; empty where it may."""
        plan_id, most = run.args.split()
        plan = next((one for one in plans if one["plan_id"] == plan_id), None)
        if plan is None:
            return f"no plan {plan_id} waits"
        if amount(str(plan["total_quote_amount"])) > amount(most):
            return f"the plan trades {plan['total_quote_amount']}, which is more than {most}"
        return ""

    # ---- being told ----

    def _wished(self, update: Update, person: Person, args: Sequence[str], _now_ns: int) -> list[Action]:
        severity, topics = wishes(args)
        self.kept.wishes[str(update.user_id)] = Wish(severity, topics)
        text = (
            "nothing" if severity == "off" else f"{severity} and worse" + (f": {', '.join(topics)}" if topics else "")
        )
        return [self._note(person, "subscribe_alerts", args),
                Say(chat_id=update.chat_id, html=f"you are told of {words.escaped(text)}")]  # fmt: skip

    def on_alert(self, event: Mapping[str, Any]) -> list[Say]:
        """Who wants to be told of an alert's event, and may."""
        if event.get("is_silenced"):
            return []
        told: list[Say] = []
        for user, link in self.kept.links.items():
            wish = wish_of(self.kept.wishes, int(user))
            rules = [topic for topic in wish.topics if topic != "signals"]
            is_bad_enough = wish.severity != "off" and (
                event["event"] == "resolved" or SEVERITIES.index(event["severity"]) >= SEVERITIES.index(wish.severity)
            )
            if is_bad_enough and (not rules or event["rule_id"] in rules) and self._may(int(user), link, "alerts"):
                told.append(Say(chat_id=link.chat_id, html=words.alert(event)))
        return told

    def wants_signals(self, now_ns: int) -> list[int]:
        """The chats that are due a signal now."""
        due: list[int] = []
        for user, link in self.kept.links.items():
            wish = wish_of(self.kept.wishes, int(user))
            is_due = now_ns - self._signalled.get(link.chat_id, 0) >= SIGNAL_NS
            is_wanted = wish.severity != "off" and "signals" in wish.topics
            if is_wanted and is_due and self._may(int(user), link, "opportunities"):
                self._signalled[link.chat_id] = now_ns
                due.append(link.chat_id)
        return due

    def _may(self, user: int, link: Link, method: str) -> bool:
        who = self.principal(user)
        is_listed = user in self._users and link.chat_id in self._chats
        return is_listed and who is not None and denial(who, method, 0) is None

    def _note(self, person: Person, command: str, args: Sequence[str], outcome: str = "ok", why: str = "") -> Note:
        detail = " ".join(args)[:200] + (f": {why}" if why else "")
        return Note(who=person.name, action=f"/{command}", outcome=outcome, detail=detail)


def _parted(text: str) -> tuple[str, list[str]]:
    """`/name@bot a b` is name, [a, b]; what is no command is nothing."""
    parts = text[:TEXT_MAX].split()
    if not parts or not parts[0].startswith("/"):
        return "", []
    return parts[0][1:].partition("@")[0].lower(), parts[1:]


def _first_word(update: Update) -> str:
    return (update.text or update.data or update.kind)[:40].split(" ")[0] or update.kind


def _greeting(person: Person | None) -> str:
    return "" if person is None else f"you are {words.escaped(person.name)}, {person.role.value}\n"


def _hashed(code: str) -> str:
    return hashlib.sha256(code.strip().lower().encode()).hexdigest()


def _key(chat_id: int, command: str, args: str) -> str:
    """product.md, "Idempotency": chat, command and a hash of the arguments."""
    return f"{chat_id}|{command}|{hashlib.sha256(args.encode()).hexdigest()}"

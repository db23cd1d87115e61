"""The book of access: the state, the one way to change it, and who is told.

A change is made on a copy, written durably in a thread, and only then is it the state and only then is anybody
answered: what a kill leaves behind was never promised otherwise. Changes come one after the other.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, cast

import msgspec

from gambit.access.permissions import Role
from gambit.access.records import DAY_NS, REFRESH_KEY, Session, SigningKey, State, Untold, User, name_of_signing_key
from gambit.access.tokens import ACCESS_SEC, IDLE_NS, KEY_BYTES_MIN, REFRESH_NS, SECOND_NS, check_key
from gambit.events import Fact, read, written
from gambit.events.access import SessionEnded, SigningKeysRotated, UserChanged
from gambit.threads import in_thread, to_its_end

ID_BYTES: Final = 16
OVERLAP_NS: Final = ACCESS_SEC * SECOND_NS
SIGNING_KEY_NS: Final = 173 * DAY_NS  # a week before its 180 days are over, so that nobody has to be reminded

T = TypeVar("T")


class Secrets(Protocol):
    """The encrypted store; get raises KeyError for what is not there, to forget that is nothing. All may take a disk's
    time."""

    def get(self, name: str) -> bytes: ...
    def put(self, name: str, value: bytes) -> object: ...
    def forget(self, name: str) -> object: ...


class Keeper(Protocol):
    """Where the state is kept; both may take a disk's time."""

    def load(self) -> State: ...
    def save(self, state: State) -> None: ...


class Book:
    """`chance(n)` gives n unguessable bytes; `tell` takes facts to the journal. Where there is no journal (None) they
    are kept with the state, and told when it is opened with one."""

    def __init__(
        self,
        keeper: Keeper,
        secrets: Secrets,
        *,
        now_ns: Callable[[], int],
        chance: Callable[[int], bytes],
        tell: Callable[[Fact], object] | None,
    ) -> None:
        self.keeper = keeper
        self.secrets = secrets
        self.now_ns = now_ns
        self.chance = chance
        self.tell = tell
        self.state = State()
        self.keys: dict[str, bytes] = {}  # by kid, those that are believed now or were when looked at last
        self.refresh_key = b""
        self.on_end: list[Callable[[str], None]] = []  # told the id of each session that ended
        self._lock = asyncio.Lock()
        self._rotating = asyncio.Lock()  # one rotation would forget the key that another has just made

    async def open(self) -> None:
        """Read what was kept and make the keys that are missing. Raises StateFileError, ValueError for a key too weak
        to start with, KeyError for one that the vault does not have any more."""
        self.state = await asyncio.to_thread(self.keeper.load)
        try:
            self.refresh_key = await asyncio.to_thread(self.secrets.get, REFRESH_KEY)
        except KeyError:
            self.refresh_key = self.chance(KEY_BYTES_MIN)
            await in_thread(self.secrets.put, REFRESH_KEY, self.refresh_key)
        check_key(self.refresh_key, REFRESH_KEY)
        for signing in self.state.signing:
            self.keys[signing.kid] = await asyncio.to_thread(self.secrets.get, name_of_signing_key(signing.kid))
            check_key(self.keys[signing.kid], signing.kid)
        if not self.state.signing:
            await self.rotate()
        if self.state.untold and self.tell is not None:
            await self.change(_all_told)

    async def change(self, work: Callable[[State], tuple[T, list[Fact]]]) -> T:
        """Carry out `work` on a copy of the state. Its facts are told, and its result given, once the change is on
        disk; what it raises changes nothing. Raises OSError, and then nothing changed either."""
        async with self._lock:
            draft = self.state.copy()
            result, facts = work(draft)
            if self.tell is None:
                draft.untold += [Untold(kind=kind, body=msgspec.Raw(body)) for kind, body in map(written, facts)]
            await to_its_end(self._keep(draft, facts))
            return result

    async def _keep(self, draft: State, facts: list[Fact]) -> None:
        """Not cut short by a caller that went away: file and memory stay the same."""
        await asyncio.to_thread(self.keeper.save, draft)
        self.state = draft
        for fact in facts:
            if self.tell is not None:
                self.tell(fact)
            if isinstance(fact, SessionEnded):
                for listener in self.on_end:
                    listener(fact.session_id)

    # ---- signing keys ----

    async def rotate(self) -> str:
        """A new signing key; the one before is believed for as long as its last token lives. Gives the new kid."""
        async with self._rotating:
            return await self._rotate()

    async def _rotate(self) -> str:
        kid, key = self.new_id(), self.chance(KEY_BYTES_MIN)
        await in_thread(self.secrets.put, name_of_signing_key(kid), key)
        self.keys[kid] = key
        now_ns = self.now_ns()

        def work(state: State) -> tuple[str, list[Fact]]:
            was = state.signing[-1].kid if state.signing else ""
            kept = [one for one in state.signing if not _is_past(one, now_ns)]
            retired = [
                one if one.retired_ns is not None else SigningKey(kid=one.kid, made_ns=one.made_ns, retired_ns=now_ns)
                for one in kept
            ]
            state.signing = [*retired, SigningKey(kid=kid, made_ns=now_ns)]
            return kid, [SigningKeysRotated(kid=kid, was=was)]

        await self.change(work)
        await self._forget_keys()
        return kid

    async def tend_keys(self) -> str | None:
        """Rotate when the signing key's time is over, and forget keys whose last token is. Gives the new kid, if any.
        Raises OSError."""
        async with self._rotating:
            return await self._tend_keys()

    async def _tend_keys(self) -> str | None:
        now_ns = self.now_ns()
        if now_ns - self.state.signing[-1].made_ns >= SIGNING_KEY_NS:
            return await self._rotate()
        if len(self.believed_keys()) < len(self.state.signing):

            def work(state: State) -> tuple[None, list[Fact]]:
                state.signing = [one for one in state.signing if not _is_past(one, now_ns)]
                return None, []

            await self.change(work)
            await self._forget_keys()
        return None

    async def _forget_keys(self) -> None:
        for each in set(self.keys) - {one.kid for one in self.state.signing}:
            del self.keys[each]
            await in_thread(self.secrets.forget, name_of_signing_key(each))

    def believed_keys(self) -> dict[str, bytes]:
        """The keys whose tokens may still live."""
        now_ns = self.now_ns()
        return {one.kid: self.keys[one.kid] for one in self.state.signing if not _is_past(one, now_ns)}

    # ---- what is asked often ----

    def new_id(self) -> str:
        """128 bits of chance, in hex."""
        return self.chance(ID_BYTES).hex()

    def user_named(self, email: str) -> User | None:
        """By the name they log in with."""
        wanted = email.casefold()
        return next((user for user in self.state.users.values() if user.email.casefold() == wanted), None)

    def live(self, session_id: str) -> tuple[Session, User] | None:
        """A session that still is one, and whose it is."""
        session = self.state.sessions.get(session_id)
        user = self.state.users.get(session.user_id) if session is not None else None
        if session is None or user is None or user.status != "active" or is_over(session, self.now_ns()):
            return None
        return session, user


def _is_past(key: SigningKey, now_ns: int) -> bool:
    """No token that it signed lives any more."""
    return key.retired_ns is not None and now_ns >= key.retired_ns + OVERLAP_NS


def _all_told(state: State) -> tuple[None, list[Fact]]:
    facts = [cast(Fact, read(one.kind, bytes(one.body))) for one in state.untold]
    state.untold = []
    return None, facts


def is_over(session: Session, now_ns: int) -> bool:
    """Past 30 days, or nothing heard of it for 24 hours."""
    return now_ns >= min(session.opened_ns + REFRESH_NS, session.used_ns + IDLE_NS)


def ended(state: State, session_ids: list[str], reason: str) -> list[Fact]:
    """Take sessions out of a draft; the facts that tell of it."""
    gone = [state.sessions.pop(one) for one in session_ids if one in state.sessions]
    return [SessionEnded(session_id=one.session_id, user_id=one.user_id, reason=reason) for one in gone]


def sessions_of(state: State, user_id: str) -> list[str]:
    """The ids of a user's sessions, oldest first."""
    found = [one for one in state.sessions.values() if one.user_id == user_id]
    return [one.session_id for one in sorted(found, key=lambda one: one.opened_ns)]


def as_fact(user: User) -> UserChanged:
    """A user without what is secret."""
    return UserChanged(
        user_id=user.user_id,
        email=user.email,
        role=user.role.value,
        status=user.status,
        created_ns=user.created_ns,
        second_factor=user.second_factor == "on",
    )


def admins(state: State) -> list[str]:
    """Who could still let others in."""
    return [one.user_id for one in state.users.values() if one.role is Role.ADMIN and one.status == "active"]

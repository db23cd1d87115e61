"""Logging in, staying in, getting out. Every way ends in a Principal or a Refusal that tells nothing about accounts."""

import asyncio
import hmac
from typing import Final, NamedTuple

import msgspec

from gambit.access import lockout, passwords, second_factor, signatures, tokens
from gambit.access.book import Book, ended, sessions_of
from gambit.access.permissions import SCOPES_OF, Door, Principal, Role
from gambit.access.records import Session, State, User, name_of_api_key, name_of_second_factor
from gambit.access.refusal import Refusal
from gambit.access.signatures import Nonces, Signed
from gambit.access.tokens import ACCESS_SEC, SECOND_NS, Claims
from gambit.events import Fact
from gambit.events.access import RefreshReused, SessionOpened

SESSIONS_MAX: Final = 20  # of one user; the oldest ends
HASHES_AT_ONCE: Final = 2  # each takes a core and 46 MiB for a while
LABEL_MAX: Final = 120
TICKET_NS: Final = 10 * 60 * SECOND_NS


class Issued(NamedTuple):
    """What a login or a refresh gives."""

    access_token: str
    refresh_token: str
    expires_sec: int
    session_id: str
    role: Role


class Credentials(NamedTuple):
    """What somebody shows; `address` and `label` say where from."""

    email: str
    password: str
    code: str = ""
    address: str = ""
    label: str = ""


class Logins:
    """Over a Book; password hashes are worked out in threads, few at a time."""

    def __init__(self, book: Book, cost: passwords.Cost = passwords.COST) -> None:
        self.book = book
        self.cost = cost
        self.nonces = Nonces(book.now_ns())
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._tickets: dict[str, tuple[str, int]] = {}  # by hash: whose, and until when
        self._refreshing: set[str] = set()  # sessions one of whose refreshes is under way
        # What a password is held against when there is no such account, so that this takes as long.
        self._nobody = passwords.hashed("nobody's password", book.chance(16), cost)

    # ---- in ----

    async def login(self, shown: Credentials) -> Issued:
        """A new session. Raises Refusal: locked, credentials, second_factor."""
        user = await self._checked(shown)
        return await self._opened(user, shown, has_second_factor=user.second_factor == "on")

    def ticket(self, user_id: str) -> str:
        """A text that logs this user in once within TICKET_NS. It was asked for at the control socket, by whoever may
        do everything here, so that it counts as a second factor."""
        now_ns = self.book.now_ns()
        self._tickets = {name: one for name, one in self._tickets.items() if now_ns < one[1]}
        text = self.book.chance(32).hex()
        self._tickets[tokens.hash_of(text)] = (user_id, now_ns + TICKET_NS)
        return text

    async def with_ticket(self, text: str, address: str, label: str) -> Issued:
        """A new session by a ticket, which is used up. Raises Refusal: credentials."""
        user_id, until_ns = self._tickets.pop(tokens.hash_of(text), ("", 0))
        user = self.book.state.users.get(user_id)
        if user is None or user.status != "active" or self.book.now_ns() >= until_ns:
            raise Refusal("credentials", "this link is over or was used: ask for another one")
        shown = Credentials(user.email, "", "", address, label)
        return await self._opened(user, shown, has_second_factor=True)

    async def _opened(self, user: User, shown: Credentials, *, has_second_factor: bool) -> Issued:
        book, now_ns = self.book, self.book.now_ns()
        session_id = book.new_id()
        token = tokens.refresh_token(session_id, 0, book.refresh_key, book.chance)
        session = Session(
            session_id=session_id,
            user_id=user.user_id,
            opened_ns=now_ns,
            used_ns=now_ns,
            authenticated_ns=now_ns,
            has_second_factor=has_second_factor,
            refresh_hash=tokens.hash_of(token),
            address=shown.address,
            label=shown.label[:LABEL_MAX],
        )

        def work(state: State) -> tuple[None, list[Fact]]:
            if state.users.get(user.user_id, user).status != "active" or user.user_id not in state.users:
                raise _wrong()
            lockout.forget(state.failures, shown.email.casefold(), shown.address)
            mine = sessions_of(state, user.user_id)
            facts = ended(state, mine[: max(0, len(mine) - SESSIONS_MAX + 1)], "too_many")
            state.sessions[session_id] = session
            expires_ns = now_ns + tokens.REFRESH_NS
            opened = SessionOpened(
                session_id=session_id,
                user_id=user.user_id,
                expires_ns=expires_ns,
                address=session.address,
                label=session.label,
            )
            return None, [*facts, opened]

        await book.change(work)
        return self._issued(session, user, token)

    async def reauthenticate(self, who: Principal, shown: Credentials) -> Issued:
        """The same session, fresh again (S19); gives an access token and no refresh token. A code that was used is a
        conflict here, for whoever asks is known."""
        found = self.book.live(who.session_id or "")
        if found is None:
            raise Refusal("token", "there is no session to make fresh")
        session, user = found
        user = await self._checked(shown._replace(email=user.email))
        now_ns = self.book.now_ns()

        def work(state: State) -> tuple[Session, list[Fact]]:
            if session.session_id not in state.sessions:
                raise Refusal("token", "the session is over")
            fresh = msgspec.structs.replace(
                state.sessions[session.session_id],
                authenticated_ns=now_ns,
                has_second_factor=user.second_factor == "on",
            )
            state.sessions[session.session_id] = fresh
            return fresh, []

        return self._issued(await self.book.change(work), user, "")

    async def refresh(self, token: str, address: str = "") -> Issued:
        """The session's next pair of tokens. One that was used before ends the session: one of two holders stole it.
        Raises Refusal: token, reused, conflict (another use of it is just being answered)."""
        book = self.book
        told = tokens.read_refresh(token, book.refresh_key)
        found = book.live(told.session_id)
        if found is None:
            raise Refusal("token", "the session is over: log in again")
        session, user = found
        if tokens.hash_of(token) != session.refresh_hash:
            await self._kill(session, address)
        if session.session_id in self._refreshing:
            raise Refusal("conflict", "this refresh token is just being used by another request: use what that one got")
        self._refreshing.add(session.session_id)
        try:
            fresh, following = await self._rotated(session)
        finally:
            self._refreshing.discard(session.session_id)
        return self._issued(fresh, user, following)

    async def _rotated(self, session: Session) -> tuple[Session, str]:
        book, now_ns = self.book, self.book.now_ns()
        generation = session.generation + 1
        following = tokens.refresh_token(session.session_id, generation, book.refresh_key, book.chance)

        def work(state: State) -> tuple[Session, list[Fact]]:
            if session.session_id not in state.sessions:
                raise Refusal("token", "the session is over: log in again")
            known = state.sessions[session.session_id]
            fresh = msgspec.structs.replace(
                known, used_ns=now_ns, generation=generation, refresh_hash=tokens.hash_of(following)
            )
            state.sessions[session.session_id] = fresh
            return fresh, []

        return await book.change(work), following

    async def _kill(self, session: Session, address: str) -> None:
        def work(state: State) -> tuple[None, list[Fact]]:
            gone = ended(state, [session.session_id], "reuse")
            reused = RefreshReused(session_id=session.session_id, user_id=session.user_id, address=address)
            return None, [*gone, *([reused] if gone else [])]

        await self.book.change(work)
        raise Refusal("reused", "this refresh token was used before: the session is over, log in again")

    # ---- out ----

    async def end(self, session_id: str, reason: str) -> None:
        """End a session at once; one that is over already is no error."""
        await self.book.change(lambda state: (None, ended(state, [session_id], reason)))

    async def sweep(self) -> None:
        """Take away sessions whose time is over."""
        over = [one for one in self.book.state.sessions if self.book.live(one) is None]
        if over:
            await self.book.change(lambda state: (None, ended(state, over, "expired")))

    # ---- who is it ----

    def bearer(self, token: str, door: Door) -> Principal:
        """Whose access token this is, as things are now and not as they were when it was made. Raises Refusal."""
        book = self.book
        claims = tokens.believed(token, book.believed_keys(), book.now_ns() // SECOND_NS)
        found = book.live(claims.sid)
        if found is None or found[1].user_id != claims.sub:
            raise Refusal("token", "the session is over: log in again")
        session, user = found
        return Principal(
            user_id=user.user_id,
            name=user.email,
            role=user.role,
            door=door,
            session_id=session.session_id,
            authenticated_at_ns=claims.auth_time * SECOND_NS,
            has_second_factor=claims.mfa,
            expires_at_ns=claims.exp * SECOND_NS,
        )

    async def machine(self, request: Signed, door: Door) -> Principal:
        """Whose API key signed this request. Raises Refusal."""
        key = self.book.state.api_keys.get(request.key_id)
        user = self.book.state.users.get(key.user_id) if key is not None else None
        if key is None or user is None or user.status != "active":
            raise Refusal("token", "the request's key or signature is not right")
        secret = await asyncio.to_thread(self.book.secrets.get, name_of_api_key(key.key_id))
        if not _are_equal(signatures.signature_of(secret, request), request.signature):
            raise Refusal("token", "the request's key or signature is not right")
        problem = self.nonces.problem(request, self.book.now_ns())
        if problem:
            raise Refusal("token", problem)
        return Principal(user.user_id, user.email, user.role, door, scopes=frozenset(key.scopes))

    # ---- details ----

    async def _checked(self, shown: Credentials) -> User:
        """The user whose password, and code where one is due, were shown."""
        book, account = self.book, shown.email.casefold()
        wait_sec = lockout.closed_sec(book.state.failures, account, shown.address, book.now_ns())
        if wait_sec:
            raise Refusal("locked", "too many wrong logins: wait", wait_sec)
        user = book.user_named(shown.email)
        phc = user.password_hash if user is not None else self._nobody
        is_right = await self.is_password(shown.password, phc)
        # Others may have failed while this was worked out: a burst gets no more tries than a row.
        wait_sec = lockout.closed_sec(book.state.failures, account, shown.address, book.now_ns())
        if wait_sec:
            raise Refusal("locked", "too many wrong logins: wait", wait_sec)
        if user is None or not is_right or user.status != "active":
            await self._failed(shown)
            raise _wrong()
        if user.second_factor == "on":
            await self._check_code(user, shown)
        return user

    async def is_password(self, password: str, phc: str) -> bool:
        """Whether it is that of the hash."""
        async with self._hashing:
            return await asyncio.to_thread(passwords.is_right, password, phc)

    async def hashed(self, password: str) -> str:
        """The hash of a new password."""
        async with self._hashing:
            return await asyncio.to_thread(passwords.hashed, password, self.book.chance(16), self.cost)

    async def _check_code(self, user: User, shown: Credentials) -> None:
        if not shown.code:
            raise Refusal("second_factor", "the code of the second factor is missing")
        secret = (await asyncio.to_thread(self.book.secrets.get, name_of_second_factor(user.user_id))).decode()
        step = second_factor.step_of(shown.code, secret, self.book.now_ns() // SECOND_NS)
        if step is None:
            await self._failed(shown)
            raise Refusal("second_factor", "the code of the second factor is wrong")

        def work(state: State) -> tuple[None, list[Fact]]:
            known = state.users[user.user_id]
            if step <= known.code_step:
                raise Refusal("code_used", "this code was used before: wait for the next one")
            state.users[user.user_id] = msgspec.structs.replace(known, code_step=step)
            return None, []

        await self.book.change(work)

    async def _failed(self, shown: Credentials) -> None:
        def work(state: State) -> tuple[None, list[Fact]]:
            lockout.count(state.failures, shown.email.casefold(), shown.address, self.book.now_ns())
            return None, []

        await self.book.change(work)

    def _issued(self, session: Session, user: User, refresh: str) -> Issued:
        book = self.book
        now_sec = book.now_ns() // SECOND_NS
        kid = book.state.signing[-1].kid
        claims = Claims(
            sub=user.user_id,
            sid=session.session_id,
            jti=book.new_id(),
            iat=now_sec,
            nbf=now_sec,
            exp=now_sec + ACCESS_SEC,
            auth_time=session.authenticated_ns // SECOND_NS,
            scope=" ".join(sorted(SCOPES_OF[user.role])),
            mfa=session.has_second_factor,
        )
        token = tokens.signed(claims, kid, book.keys[kid])
        return Issued(token, refresh, ACCESS_SEC, session.session_id, user.role)


def _are_equal(one: str, other: str) -> bool:
    """Compared in a time that does not tell how much is right."""
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))


def _wrong() -> Refusal:
    return Refusal("credentials", "the account or the password is not right")

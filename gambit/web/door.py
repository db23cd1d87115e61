"""The WebSocket `/ws/dashboard`: who comes in, what they say, when they have to go. What they are told is the hub's.

upgrade:  Origin of ours or none; no query; Authorization: Bearer T, or {"op":"auth","token":T} within AUTH_SEC
close:    1008 rules broken or no token in time, 1002/1007/1009 frames broken, 1013 not reading,
          4401 the token ran out or the session ended: log in or refresh, and come back
"""

import asyncio
import contextlib
import socket as sockets
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec
from aiohttp import WebSocketError, WSMsgType, web

from gambit.access.permissions import RULES, SCOPES_OF_CHANNEL, Principal
from gambit.surface import guests
from gambit.web import fanout, origins, talk
from gambit.web.fanout import Connection, Fanout, bound_buffers
from gambit.web.frames import MESSAGE_BYTES_MAX, PING_FRAME, Guard, text_frame
from gambit.web.hub import Filter, Hub, encoded
from gambit.web.pipeline import HEADERS
from gambit.web.problem import CHALLENGE, MEDIA, Problem, unauthenticated

AUTH_SEC: Final = 5.0
PING_SEC: Final = 4.0  # a peer that says nothing for so long is asked,
PONG_SEC: Final = 4.0  # and has so long to answer; who does not read does not answer
EXPIRING_SEC: Final = 60  # so long before the end a client is told to renew
CONNECTIONS_MAX: Final = 4000
STRANGERS_MAX: Final = 200  # of them whose token has not come yet
STRIKES_MAX: Final = 10  # messages that make no sense
UNREAD_BYTES_MAX: Final = 512 * 1024  # answers a client may leave unread
POLICY_VIOLATION: Final = 1008
GOING_AWAY: Final = 1001
LOG_IN_AGAIN: Final = 4401
SECOND_NS: Final = 1_000_000_000


class Refused(Exception):
    """A token that is not accepted; the text says why, for its owner."""


class Admission(Protocol):
    """Who knows whose tokens are good."""

    def admit(self, token: str) -> Principal:
        """Raises Refused."""

    def is_good(self, who: Principal) -> bool:
        """Whether somebody who was let in may still be: not expired, session not ended, role unchanged."""


class Member(Connection):
    """A connection and who is behind it."""

    def __init__(self, ws: "GuardedSocket", guard: Guard, request: web.BaseRequest, who: Principal | None) -> None:
        assert request.transport is not None  # noqa: S101 - the upgrade has just been answered on it
        super().__init__(request.transport)
        self.ws = ws
        self.guard = guard
        self.asked_looks = 0  # so many looks ago it was asked whether it still lives
        self.asked_ns = 0
        self.who = who
        self.strikes = 0
        self.is_warned = False
        self.ending: asyncio.Task[bool] | None = None

    def say(self, message: bytes) -> None:
        """Answer."""
        self.write(text_frame(message))

    def end(self, code: int, reason: str) -> None:
        """Close from outside the connection's own task."""
        if self.ending is None:
            self.ending = asyncio.create_task(self.ws.close(code=code, message=reason.encode()))


class Door:
    """Serves the WebSocket. `audit(who, action, detail)` hears what was refused; `settled` is awaited before a snapshot
    leaves, so that what it tells of is written down."""

    def __init__(
        self,
        hub: Hub,
        admission: Admission,
        *,
        now_ns: Callable[[], int],
        mono_ns: Callable[[], int],
        allowed_origins: frozenset[str],
        audit: Callable[[Principal, str, str], None],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self.hub = hub
        self.admission = admission
        self.fanout = Fanout(hub, mono_ns, self._look)
        self.members: set[Member] = set()
        self.on_round_trip: Callable[[int], None] = lambda _ns: None  # ns from a question to a peer to its answer
        self._now_ns = now_ns
        self._mono_ns = mono_ns
        self._allowed = allowed_origins
        self._audit = audit
        self._settled = settled
        self._connections_max = guests.places(CONNECTIONS_MAX)

    async def close(self) -> None:
        """Send everybody away; they will come back to the next daemon."""
        for member in self.members:
            member.end(GOING_AWAY, "the daemon ends")
        ending = [member.ending for member in self.members if member.ending is not None]
        if ending:
            await asyncio.wait(ending, timeout=2.0)
        for member in self.members:
            member.transport.abort()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """One connection, from the upgrade to the end."""
        try:
            who = self._at_the_gate(request)
        except Problem as problem:
            headers = {**HEADERS, **problem.headers, "Content-Type": MEDIA}
            return web.Response(body=problem.body(request.path, ""), status=problem.status, headers=headers)
        guard = Guard(self._mono_ns)
        ws = GuardedSocket(
            guard,
            autoping=False,
            compress=False,
            max_msg_size=MESSAGE_BYTES_MAX,
            timeout=2.0,
        )
        await ws.prepare(request)
        member = Member(ws, guard, request, who)
        sock: sockets.socket | None = member.transport.get_extra_info("socket")  # type: ignore[attr-defined]
        if sock is not None:
            bound_buffers(sock)
        self.members.add(member)
        try:
            await self._attend(member)
        finally:
            self.members.discard(member)
            self.fanout.leave(member)
            if member.ending is not None:
                await asyncio.wait([member.ending])
        return ws

    def _at_the_gate(self, request: web.BaseRequest) -> Principal | None:
        """Who an upgrade names; raises the refusal."""
        why = origins.refusal(request.headers, request.scheme, self._allowed)
        if why is not None:
            raise Problem(403, "origin", why)
        if request.query_string:
            raise Problem(400, "query", "this address takes no query; a token goes into Authorization or a message")
        if len(self.members) >= self._connections_max:
            raise Problem(503, "full", f"{self._connections_max} are connected already")
        is_stranger = "Authorization" not in request.headers
        if is_stranger and sum(member.who is None for member in self.members) >= STRANGERS_MAX:
            raise Problem(503, "full", f"{STRANGERS_MAX} connections have not said who they are yet")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise unauthenticated()
        try:
            return self.admission.admit(token.strip())
        except Refused as error:
            raise Problem(401, "token", str(error), headers=CHALLENGE) from error

    async def _attend(self, member: Member) -> None:
        """Until the peer leaves, or has to."""
        if member.who is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AUTH_SEC):
                    await self._first_word(member)
            if member.who is None:
                await member.ws.close(code=POLICY_VIOLATION, message=b"no valid token came in time")
                return
        else:
            self._welcome(member)
        self.fanout.join(member)
        while not member.ws.closed:
            message = await member.ws.receive()
            if message.type is WSMsgType.TEXT:
                await self._hear(member, message.data)
            elif message.type is WSMsgType.PING:
                await member.ws.pong(message.data)
            elif message.type is WSMsgType.BINARY:
                await member.ws.close(code=1003, message=b"text only")
            elif message.type is not WSMsgType.PONG:
                return
            elif member.asked_looks:
                self.on_round_trip(self._mono_ns() - member.asked_ns)

    async def _first_word(self, member: Member) -> None:
        message = await member.ws.receive()
        if message.type is not WSMsgType.TEXT:
            return
        try:
            said = talk.said(message.data)
        except msgspec.DecodeError:
            return
        if isinstance(said, talk.Auth):
            self._renew(member, said.token)

    async def _hear(self, member: Member, text: str) -> None:
        """One message of a member."""
        try:
            said = talk.said(text)
        except msgspec.DecodeError as error:
            await self._puzzled(member, text, str(error))
            return
        match said:
            case talk.Auth():
                if not self._renew(member, said.token):
                    await member.ws.close(code=LOG_IN_AGAIN, message=b"the new token is not accepted")
            case talk.Subscribe():
                await self._subscribe(member, said)
            case talk.Unsubscribe():
                self.hub.unsubscribe(member.reader, said.channels)
            case talk.Ping():
                member.say(encoded({"op": "pong", "t": said.t}))
        if member.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self.fanout.cut(member, "too many answers are unread")

    async def _puzzled(self, member: Member, text: str, why: str) -> None:
        """A message that is none of ours: a command, or nonsense."""
        op = talk.op_of(text)
        if op in RULES and op not in ("subscribe", "unsubscribe") and member.who is not None:
            self._audit(member.who, f"websocket command {op}", "refused: nothing can be commanded over the WebSocket")
            member.say(talk.error("command", f"{op} goes over REST; nothing can be commanded here"))
        else:
            member.say(talk.error("bad_message", why))
        member.strikes += 1
        if member.strikes > STRIKES_MAX:
            await member.ws.close(code=POLICY_VIOLATION, message=b"too many messages that make no sense")

    def _renew(self, member: Member, token: str) -> bool:
        """Take a token; a newer one has to be of the same user."""
        try:
            who = self.admission.admit(token)
        except Refused:
            return False
        if member.who is not None and member.who.user_id != who.user_id:
            return False
        member.who, member.is_warned = who, False
        self._welcome(member)
        return True

    def _welcome(self, member: Member) -> None:
        who = member.who
        assert who is not None  # noqa: S101 - called with somebody only
        channels = [name for name in self.hub.channels if self._missing(who, name) == ""]
        answer: dict[str, Any] = {"op": "welcome", "user": who.name, "role": who.role, "channels": channels}
        member.say(encoded({**answer, "expires_ns": who.expires_at_ns}))

    async def _subscribe(self, member: Member, said: talk.Subscribe) -> None:
        who = member.who
        assert who is not None  # noqa: S101 - heard from members only
        unknown = sorted({*said.channels, *said.since} - set(self.hub.channels))
        if unknown:
            member.say(talk.error("unknown_channel", f"no channel {', '.join(unknown)}", channels=self.hub.channels))
            return
        missing = {name: scope for name in said.channels if (scope := self._missing(who, name))}
        if missing:
            self._audit(who, "websocket subscribe", f"refused: {', '.join(sorted(missing))}")
            member.say(talk.error("forbidden", "scopes are missing", missing=missing))
            return
        member.reader.pace(said.rate)
        await self._settled()
        wanted = Filter(frozenset(said.symbols), frozenset(said.venues), frozenset(said.users))
        told, frames = self.hub.subscribe(member.reader, said.channels, wanted, said.since)
        member.say(talk.subscribed(told))
        member.write(b"".join(frames))

    def _missing(self, who: Principal, channel: str) -> str:
        """The scopes of a channel that somebody lacks, worded."""
        return " ".join(sorted(scope for scope in SCOPES_OF_CHANNEL[channel] if not who.has(scope)))

    def _look(self, connection: Connection) -> None:
        """Whether a member may stay."""
        if not isinstance(connection, Member) or connection.who is None:
            return
        self._look_alive(connection)
        who = connection.who
        if not self.admission.is_good(who):
            connection.end(LOG_IN_AGAIN, "the token ran out or the session ended")
        elif who.expires_at_ns is not None and not connection.is_warned:
            left_sec = (who.expires_at_ns - self._now_ns()) / SECOND_NS
            if left_sec < EXPIRING_SEC:
                connection.is_warned = True
                connection.say(encoded({"op": "expiring", "in_sec": round(left_sec)}))

    def _look_alive(self, member: Member) -> None:
        silent_sec = (self._mono_ns() - member.guard.heard_ns) / SECOND_NS
        if silent_sec < PING_SEC:
            member.asked_looks = 0
            return
        member.asked_looks += 1
        if member.asked_looks == 1:
            member.asked_ns = self._mono_ns()
            member.write(PING_FRAME)
        elif (member.asked_looks - 1) * fanout.LOOK_SEC > PONG_SEC:  # time in which we stood still is not theirs
            self.fanout.cut(member, f"nothing was heard for {silent_sec:.0f} s")


class GuardedSocket(web.WebSocketResponse):
    """aiohttp's WebSocket with a guard in front of its reader."""

    def __init__(self, guard: Guard, **options: Any) -> None:
        super().__init__(**options)
        self._guard = guard

    def _post_start(self, request: web.BaseRequest, protocol: str | None, writer: Any) -> None:
        """Once the upgrade is answered; frames that came with it are looked at too."""
        connection = request.protocol
        early = bytes(connection._message_tail)
        super()._post_start(request, protocol, writer)
        filtered = _Filtered(self._guard, connection._payload_parser, self._reader)
        if early:
            filtered.look(early)
        connection._payload_parser = filtered


class _Filtered:
    """Feeds aiohttp's reader what the guard has no objection to."""

    def __init__(self, guard: Guard, parser: Any, queue: Any) -> None:
        self._guard = guard
        self._parser = parser
        self._queue = queue
        self._is_over = False

    def look(self, data: bytes) -> bool:
        """Whether data may be read; the queue is told why not."""
        wrong = None if self._is_over else self._guard.feed(data)
        if wrong is not None:
            self._is_over = True
            self._queue.set_exception(WebSocketError(*wrong))
        return not self._is_over

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """As aiohttp's reader."""
        if not self.look(bytes(data)):
            return False, b""
        answer: tuple[bool, bytes] = self._parser.feed_data(data)
        return answer

    def feed_eof(self) -> None:
        """As aiohttp's reader."""
        self._parser.feed_eof()

"""The control socket's server: JSON-RPC 2.0 over a Unix socket, for the CLI and whoever runs as the daemon's user.

A reader that stalls, dies or talks nonsense costs a bounded amount of memory and nobody else's time.
"""

import asyncio
import contextlib
import inspect
import os
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gambit.access.permissions import Door, Principal
from gambit.surface import guests, rpc, socketfile
from gambit.surface.outbox import Outbox
from gambit.surface.rpc import Nothing, RpcError

READ_BYTES = 1 << 16
CONNECTIONS_MAX = 256
HALF_LINE_SEC = 30.0  # a request has this long to become whole
STALL_SEC = 10.0  # a reader that takes nothing for this long is cut
CLOSE_SEC = 2.0  # what is being answered when the server closes has this long
ANSWER_SEC = 0.02  # an answer waits this long for the records of what it tells of


class Caller(NamedTuple):
    """Who asks: by the control socket as the kernel says, by another door as that door has made sure (`principal`)."""

    uid: int
    pid: int
    principal: Principal | None = None

    @classmethod
    def by_network(cls, principal: Principal) -> "Caller":
        """Somebody who came in by a door of the network."""
        return cls(-1, -1, principal)

    @property
    def by(self) -> str:
        """Whom a decision is put down to."""
        return f"user {self.uid}" if self.principal is None else self.principal.name

    @property
    def who(self) -> str:
        """The same for the audit record."""
        return f"uid {self.uid} pid {self.pid}" if self.principal is None else self.principal.name

    @property
    def door(self) -> Door:
        """Where they came in."""
        return Door.LOCAL if self.principal is None else self.principal.door


Answer = object | Awaitable[object]
Handler = Callable[[Any, Caller], Answer]


class Method(NamedTuple):
    """What a name does: the handler, and the struct its parameters have to fit."""

    handler: Handler
    params: type[msgspec.Struct] = Nothing


class Subscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `subscribe` and `unsubscribe`."""

    topics: tuple[str, ...]


@dataclass(slots=True)
class Counts:
    """What the server saw, for the metrics."""

    accepted: int = 0
    refused: int = 0  # too many connections, or another user
    requests: int = 0
    errors: int = 0
    conflated: int = 0
    cut: int = 0  # readers that stalled or fell too far behind


async def _at_once() -> None:
    """Nothing is written down."""


class ControlServer:
    """Serves `methods` at `path`; `publish` reaches whoever has subscribed to a topic.

    `uids` may connect (default: this process's user, and root). A handler gets its parameters and the caller, and may
    be a coroutine function; it raises Refused to say no. Any other exception is a defect: told to the caller without
    detail and to `on_defect` with it.

    `settled` is awaited before anything leaves, so that what it tells of is written down by then. Events wait as long
    as it takes, answers ANSWER_SEC at most, for a kill is answered whatever the disk does.
    """

    def __init__(
        self,
        path: Path,
        methods: Mapping[str, Method],
        *,
        topics: frozenset[str] = frozenset(),
        uids: frozenset[int] | None = None,
        connections_max: int | None = None,
        on_defect: Callable[[str, Exception], None] | None = None,
        settled: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        self.path = path
        self.settled = settled
        self.topics = topics
        self.counts = Counts()
        self.on_defect = on_defect or _told_to_the_loop
        self.methods = {
            **methods,
            "methods": Method(self._describe),
            "subscribe": Method(self._not_here, Subscription),
            "unsubscribe": Method(self._not_here, Subscription),
        }
        self._uids = frozenset({os.geteuid(), 0}) if uids is None else uids
        self._connections_max = guests.places(CONNECTIONS_MAX) if connections_max is None else connections_max
        self._connections: dict[_Connection, asyncio.Task[None]] = {}
        self._seqs = dict.fromkeys(topics, 0)
        self.is_closing = False
        self._server: asyncio.Server | None = None
        self._file_id: socketfile.FileId | None = None

    @property
    def connections(self) -> int:
        """How many are connected."""
        return len(self._connections)

    @property
    def subscribers(self) -> int:
        """How many have subscribed to anything."""
        return sum(bool(connection.topics) for connection in self._connections)

    @property
    def conflated(self) -> int:
        """Messages that newer ones replaced, for those who are here and those who were."""
        return self.counts.conflated + sum(connection.outbox.conflated for connection in self._connections)

    async def start(self) -> None:
        """Listen. Raises SocketFileError when the place is taken or open to others."""
        listener = socketfile.listen(self.path)
        self._file_id = socketfile.file_id_of(self.path)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener)

    async def close(self) -> None:
        """Stop listening, give what is being answered a moment, cut the rest, remove the socket file."""
        if self._server is None:
            return
        if self._file_id is not None:
            socketfile.remove(self.path, self._file_id)
        self.is_closing = True
        self._server.close()
        idle = [task for connection, task in self._connections.items() if connection.is_waiting]
        for task in idle:
            task.cancel()
        if self._connections:
            _, late = await asyncio.wait(list(self._connections.values()), timeout=CLOSE_SEC)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._server = None

    def is_wanted(self, topic: str) -> bool:
        """Whether anybody has subscribed; what nobody wants need not be made."""
        return any(topic in connection.topics for connection in self._connections)

    def publish(self, topic: str, data: object, slot: Hashable | None = None) -> None:
        """Hand `data` to the topic's subscribers. With a slot only the latest of that slot is kept for a slow reader;
        without, a reader that falls more than its queue behind is cut."""
        self._seqs[topic] += 1
        readers = [connection for connection in self._connections if topic in connection.topics]
        if readers:
            line = rpc.event_line(rpc.Event(topic, self._seqs[topic], data))
            for connection in readers:
                connection.deliver(line, None if slot is None else (topic, slot))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from the first byte to the last; nothing it does escapes."""
        peer = socketfile.peer_of(writer.get_extra_info("socket"))
        refusal = self._refusal(peer)
        if refusal is not None:
            self.counts.refused += 1
            writer.write(rpc.error_line(None, rpc.Refused(refusal)))
            await _hang_up(writer)
            return
        self.counts.accepted += 1
        connection = _Connection(self, reader, writer, Caller(peer.uid, peer.pid))
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a stream's callback is a task of its own
        self._connections[connection] = task
        try:
            await connection.run()
        except asyncio.CancelledError:
            if not self.is_closing:
                raise
        finally:
            del self._connections[connection]
            self.counts.conflated += connection.outbox.conflated

    def _refusal(self, peer: socketfile.Peer) -> str | None:
        """Why this one may not come in."""
        if peer.uid not in self._uids:
            return f"user {peer.uid} may not command this daemon; it belongs to user {os.geteuid()}"
        if len(self._connections) >= self._connections_max:
            return f"{self._connections_max} are connected already; close one and try again"
        return None

    def _describe(self, _params: Nothing, _caller: Caller) -> dict[str, object]:
        """What can be called and followed."""
        names = sorted(self.methods)
        return {"methods": {n: rpc.wording(self.methods[n].params) for n in names}, "topics": sorted(self.topics)}

    def _not_here(self, _params: Subscription, _caller: Caller) -> None:
        """Subscriptions belong to a connection, which answers for itself."""
        raise AssertionError("subscriptions are answered by the connection")


class _Connection:
    """One peer: its requests in order, its subscriptions, what it has still to read."""

    def __init__(
        self, server: ControlServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caller: Caller
    ) -> None:
        self.server = server
        self.topics: frozenset[str] = frozenset()
        self.outbox = Outbox()
        self.is_waiting = False  # for the peer to say something; only then may it be cancelled
        self._reader = reader
        self._writer = writer
        self._caller = caller
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Answer until the peer leaves, stalls or breaks the rules."""
        pump = asyncio.create_task(self._pump())
        try:
            await self._read()
        except (ConnectionError, TimeoutError):
            self._writer.transport.abort()
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await _hang_up(self._writer)

    def deliver(self, line: bytes, slot: Hashable | None) -> None:
        """Queue an event."""
        if self.outbox.put(line, slot):
            self._wake.set()
        else:
            self._cut()

    async def _read(self) -> None:
        pending = bytearray()
        while True:
            self.is_waiting = True
            try:
                async with asyncio.timeout(HALF_LINE_SEC if pending else None):
                    piece = await self._reader.read(READ_BYTES)
            finally:
                self.is_waiting = False
            if not piece:
                return
            start = len(pending)
            pending += piece
            while (end := pending.find(b"\n", start)) >= 0:
                line = bytes(pending[:end])
                del pending[: end + 1]
                start = 0
                await self._answer(line)
                if self.server.is_closing:
                    return
            if len(pending) > rpc.LINE_BYTES_MAX:
                await self._write(rpc.error_line(None, _too_long()))
                return

    async def _answer(self, line: bytes) -> None:
        """Answer one line, in whatever state it is."""
        if not line.strip():
            return
        answer = await self._answer_to(line)
        if answer is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SEC):
                    await self.server.settled()
            await self._write(answer)
        await asyncio.sleep(0)  # a peer that sends thousands at once takes turns with everybody else

    async def _answer_to(self, line: bytes) -> bytes | None:
        counts = self.server.counts
        counts.requests += 1
        call_id: rpc.Id = None
        wants_answer = True
        try:
            if len(line) > rpc.LINE_BYTES_MAX:
                raise _too_long()
            request = rpc.read_request(line)
            wants_answer = request.id is not msgspec.UNSET
            call_id = None if isinstance(request.id, msgspec.UnsetType) else request.id
            answer = rpc.result_line(call_id, await self._call(request))
        except RpcError as error:
            counts.errors += 1
            answer = rpc.error_line(call_id, error)
        return answer if wants_answer else None

    async def _call(self, request: rpc.Request) -> object:
        method = self.server.methods.get(request.method)
        if method is None:
            known = ", ".join(sorted(self.server.methods))
            raise RpcError(rpc.METHOD_NOT_FOUND, f"no method {request.method!r}; there are {known}")
        params = rpc.read_params(request, method.params)
        if isinstance(params, Subscription):
            return self._subscribe(request.method, params)
        try:
            answer = method.handler(params, self._caller)
            answer = await answer if inspect.isawaitable(answer) else answer
            return msgspec.Raw(msgspec.json.encode(answer))
        except RpcError:
            raise
        except Exception as error:
            self.server.on_defect(request.method, error)
            text = f"{request.method}: a defect in gambit ({type(error).__name__}); the daemon's log has the details"
            raise RpcError(rpc.INTERNAL_ERROR, text) from error

    def _subscribe(self, name: str, params: Subscription) -> dict[str, object]:
        unknown = sorted(set(params.topics) - self.server.topics)
        if unknown:
            known = ", ".join(sorted(self.server.topics)) or "none"
            raise RpcError(rpc.INVALID_PARAMS, f"{name}: no topic {', '.join(unknown)}; there are {known}")
        changed = frozenset(params.topics)
        self.topics = self.topics | changed if name == "subscribe" else self.topics - changed
        return {"topics": sorted(self.topics)}

    async def _pump(self) -> None:
        """Write what the outbox holds, at the peer's pace."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            events = self.outbox.take()
            await self.server.settled()
            try:
                await self._write(events)
            except (ConnectionError, TimeoutError):
                self._writer.transport.abort()  # the reading side ends with it
                return

    async def _write(self, line: bytes) -> None:
        """Write a line; raises TimeoutError for a peer that takes nothing, ConnectionError for one that is gone."""
        if self._writer.is_closing():  # uvloop would call that a misuse
            raise ConnectionResetError("the peer is gone")
        self._writer.write(line)
        try:
            async with asyncio.timeout(STALL_SEC):
                await self._writer.drain()
        except TimeoutError:
            self.server.counts.cut += 1
            raise

    def _cut(self) -> None:
        """End the connection of a peer that is too far behind."""
        if not self._writer.transport.is_closing():
            self.server.counts.cut += 1
            self._writer.transport.abort()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close once the peer has taken what is written, or will not."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_SEC):
            await writer.wait_closed()
    except (ConnectionError, TimeoutError):
        writer.transport.abort()


def _told_to_the_loop(method: str, error: Exception) -> None:
    """The loop's own report of what nobody handled."""
    text = f"control method {method} failed"
    asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})


def _too_long() -> RpcError:
    return RpcError(rpc.INVALID_REQUEST, f"a request is one line of at most {rpc.LINE_BYTES_MAX} bytes")

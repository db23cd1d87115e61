"""The control socket: what is asked is answered, whoever misbehaves harms nobody but themselves."""

import asyncio
import contextlib
import json
import os
import socket
import stat
import struct
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop

from gambit.surface import client, control, rpc, socketfile
from gambit.surface.control import Caller, ControlServer, Method
from gambit.surface.outbox import Outbox

IN_ATTRIB, IN_MOVED_TO, IN_CREATE = 0x4, 0x80, 0x100  # of inotify


class Greeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of the method the tests call."""

    name: str
    times: int = 1


class Defects:
    """Remembers what the server reports."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Exception]] = []

    def __call__(self, method: str, error: Exception) -> None:
        self.seen.append((method, error))


async def slow(params: rpc.Nothing, caller: Caller) -> str:
    """A handler that waits."""
    await asyncio.sleep(0)
    return "done"


def refuse(params: rpc.Nothing, caller: Caller) -> None:
    """A handler that says no."""
    raise rpc.Refused("books are not synced; wait for ready")


def crash(params: rpc.Nothing, caller: Caller) -> None:
    """A handler with a defect."""
    raise ZeroDivisionError("secret detail")


METHODS = {
    "greet": Method(lambda params, caller: {"text": f"hello {params.name}" * params.times}, Greeting),
    "who": Method(lambda params, caller: {"uid": caller.uid, "pid": caller.pid}),
    "slow": Method(slow),
    "refuse": Method(refuse),
    "crash": Method(crash),
    "unwritable": Method(lambda params, caller: {"x": object()}),
    "large": Method(lambda params, caller: "x" * 3_000_000),
}


@contextlib.asynccontextmanager
async def serving(path: Path, **options: Any) -> AsyncIterator[ControlServer]:
    """A server at `path` while the block runs."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    topics = frozenset({"ticks", "orders"})
    server = ControlServer(path, METHODS, topics=topics, **{"on_defect": Defects(), **options})
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket goes."""
    return tmp_path / "state" / "gambit.sock"


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close, and wait for it; the other end may have gone first."""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def ask(path: Path, method: str, **params: Any) -> Any:
    """One call, off the loop as a client is."""
    return await asyncio.to_thread(client.call, path, method, params)


async def lines_of(path: Path, *sent: bytes, ends: bool = True) -> list[Any]:
    """What the server says to these bytes, until it hangs up or, after our end of file, has said all."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 23)
    with contextlib.suppress(ConnectionError):
        for piece in sent:
            writer.write(piece)
            await writer.drain()
        if ends:
            writer.write_eof()
    said = []
    with contextlib.suppress(ConnectionError):
        while line := await reader.readline():
            said.append(json.loads(line))
    await hang_up(writer)
    return said


def request(method: str, call_id: Any = 1, **params: Any) -> bytes:
    """A request line."""
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}).encode() + b"\n"


async def test_calls_are_answered(path: Path) -> None:
    """Plain and coroutine handlers, with parameters and without, large answers too."""
    async with serving(path) as server:
        assert await ask(path, "greet", name="you", times=2) == {"text": "hello youhello you"}
        assert await ask(path, "slow") == "done"
        assert await ask(path, "who") == {"uid": os.geteuid(), "pid": os.getpid()}
        assert len(await ask(path, "large")) == 3_000_000
        assert await ask(path, "methods") == {
            "methods": {
                **dict.fromkeys(METHODS, "no parameters"),
                "greet": "name (str), times (int)",
                "methods": "no parameters",
                "subscribe": "topics (tuple[str, ...])",
                "unsubscribe": "topics (tuple[str, ...])",
            },
            "topics": ["orders", "ticks"],
        }
        assert server.counts.errors == 0


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        (b"{", rpc.PARSE_ERROR, "one object a line"),
        (b"\x00\xff\xfe\n", rpc.PARSE_ERROR, "not JSON"),
        (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', rpc.PARSE_ERROR, "not JSON"),
        (b"[" * 100_000, rpc.INVALID_REQUEST, "Expected `object`, got `array`"),
        (b'{"jsonrpc":"2.0","method":"who","id":1,"x":' + b"[" * 100_000, rpc.PARSE_ERROR, "not JSON"),
        (b"[]", rpc.INVALID_REQUEST, "Expected `object`"),
        (b'{"jsonrpc":"1.0","id":1,"method":"who"}', rpc.INVALID_REQUEST, "$.jsonrpc"),
        (b'{"jsonrpc":"2.0","id":1}', rpc.INVALID_REQUEST, "missing required field `method`"),
        (b'{"jsonrpc":"2.0","id":[],"method":"who"}', rpc.INVALID_REQUEST, "$.id"),
        (b'{"jsonrpc":"2.0","id":1,"method":"whom"}', rpc.METHOD_NOT_FOUND, "no method 'whom'; there are crash, greet"),
        (b'{"jsonrpc":"2.0","id":1,"method":"greet"}', rpc.INVALID_PARAMS, "missing required field `name`"),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"greet","params":{"name":1}}',
            rpc.INVALID_PARAMS,
            "greet: Expected `str`, got `int` - at `$.name`; it takes name (str), times (int)",
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"greet","params":{"nam":"a"}}', rpc.INVALID_PARAMS, "unknown field `nam`"),
        (b'{"jsonrpc":"2.0","id":1,"method":"greet","params":["a"]}', rpc.INVALID_PARAMS, "Expected `object`"),
        (b'{"jsonrpc":"2.0","id":1,"method":"who","params":{"a":1}}', rpc.INVALID_PARAMS, "it takes no parameters"),
        (b'{"jsonrpc":"2.0","id":1,"method":"refuse"}', rpc.REFUSED, "books are not synced; wait for ready"),
        (b'{"jsonrpc":"2.0","id":1,"method":"crash"}', rpc.INTERNAL_ERROR, "a defect in gambit (ZeroDivisionError)"),
        (b'{"jsonrpc":"2.0","id":1,"method":"unwritable"}', rpc.INTERNAL_ERROR, "a defect in gambit (TypeError)"),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":["x"]}}',
            rpc.INVALID_PARAMS,
            "no topic x; there are orders, ticks",
        ),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_errors_name_what_was_wrong(path: Path, line: bytes, code: int, told: str) -> None:
    """The code is JSON-RPC's, the message says what and where, and the connection goes on."""
    async with serving(path) as server:
        said = await lines_of(path, line.rstrip(b"\n") + b"\n", request("slow", "next"))
        assert said[0]["error"]["code"] == code
        assert told in said[0]["error"]["message"]
        assert "secret detail" not in str(said)
        assert said[1] == {"jsonrpc": "2.0", "id": "next", "result": "done"}
        assert server.counts.errors == 1


async def test_an_empty_array_is_no_parameters(path: Path) -> None:
    """Libraries send it where nothing has to be said; what has to be said is missed by name as ever."""
    async with serving(path):
        said = await lines_of(
            path,
            b'{"jsonrpc":"2.0","id":1,"method":"who","params":[]}\n',
            b'{"jsonrpc":"2.0","id":2,"method":"greet","params":[ ]}\n',
        )
        assert said[0]["result"]["uid"] == os.getuid()
        assert "missing required field `name`" in said[1]["error"]["message"]


async def test_defects_are_reported_with_their_cause(path: Path) -> None:
    """The daemon's log gets what the caller does not; without a report of its own, the loop gets it."""
    defects = Defects()
    async with serving(path, on_defect=defects):
        await lines_of(path, request("crash"))
    assert [(method, str(error)) for method, error in defects.seen] == [("crash", "secret detail")]
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    async with serving(path, on_defect=None):
        await lines_of(path, request("crash"))
    assert told[0]["message"] == "control method crash failed"
    assert isinstance(told[0]["exception"], ZeroDivisionError)


async def test_notifications_and_blank_lines_get_no_answer(path: Path) -> None:
    """Without an id nobody waits; an id may be null."""
    async with serving(path) as server:
        silent = [b'{"jsonrpc":"2.0","method":"who"}\n', b"\n", b'{"jsonrpc":"2.0","method":"whom"}\n']
        said = await lines_of(path, *silent, b'{"jsonrpc":"2.0","id":null,"method":"slow"}\n')
        assert said == [{"jsonrpc": "2.0", "id": None, "result": "done"}]
        assert server.counts.requests == 3


async def test_a_request_may_come_in_any_pieces(path: Path) -> None:
    """Byte by byte, several at once: each is answered once, in order."""
    async with serving(path):
        whole = request("greet", 1, name="a") + request("greet", 2, name="b")
        single = [whole[i : i + 1] for i in range(len(whole))]
        assert await lines_of(path, *single) == await lines_of(path, whole)
        assert [answer["id"] for answer in await lines_of(path, *single)] == [1, 2]


async def test_a_line_of_a_megabyte(path: Path) -> None:
    """The limit is a megabyte; what is longer is refused with the reason, and the server goes on."""
    async with serving(path):
        frame = len(request("greet", 1, name=""))
        fits = request("greet", 1, name="x" * (rpc.LINE_BYTES_MAX - frame + 1))
        assert len(fits) == rpc.LINE_BYTES_MAX + 1
        assert len((await lines_of(path, fits))[0]["result"]["text"]) > 1_000_000
        [refusal] = await lines_of(path, fits[:-1] + b" \n")
        assert "at most 1048576 bytes" in refusal["error"]["message"]
        [refusal] = await lines_of(path, b"x" * (rpc.LINE_BYTES_MAX + 200_000), ends=False)
        assert "at most 1048576 bytes" in refusal["error"]["message"]
        assert await ask(path, "slow") == "done"


async def test_half_a_request_is_cut_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins a request and does not end it is let go; who says nothing may stay."""
    monkeypatch.setattr(control, "HALF_LINE_SEC", 0.01)
    async with serving(path) as server:
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert await lines_of(path, b'{"jsonrpc"', ends=False) == []
        assert server.connections == 1
        writer.write(request("slow"))
        assert json.loads(await reader.readline())["result"] == "done"
        await hang_up(writer)


async def test_two_hundred_clients_and_the_dead_among_them(path: Path) -> None:
    """All are served; those that vanish in mid-request or mid-answer leave nothing behind."""
    async with serving(path) as server:
        pairs = [await asyncio.open_unix_connection(str(path)) for _ in range(200)]
        for i, (_, writer) in enumerate(pairs):
            writer.write(
                request("large") if i % 4 == 1 else request("greet", i, name="a")[: 20 if i % 4 == 2 else None]
            )
        for i, (_, writer) in enumerate(pairs):
            if i % 4 in (1, 2):
                writer.transport.abort()
        for i, (reader, _) in enumerate(pairs):
            if i % 4 in (0, 3):
                assert json.loads(await reader.readline())["id"] == i
        assert await ask(path, "slow") == "done"
        for _, writer in pairs:
            await hang_up(writer)
        await until(lambda: server.connections == 0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it holds; the test's time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0)


async def test_too_many_are_told_so(path: Path) -> None:
    """Beyond the limit a connection is answered with the reason and closed; a place becomes free again."""
    async with serving(path, connections_max=2) as server:
        pairs = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        await until(lambda: server.connections == 2)
        with pytest.raises(client.Failed, match="2 are connected already"):
            await ask(path, "slow")
        assert server.counts.refused == 1
        await hang_up(pairs[0][1])
        await until(lambda: server.connections == 1)
        assert await ask(path, "slow") == "done"
        await hang_up(pairs[1][1])


async def test_other_users_are_refused(path: Path) -> None:
    """The kernel says who connects; who is not on the list hears so, and no handler runs."""
    async with serving(path, uids=frozenset({54321})) as server:
        with pytest.raises(client.Failed, match=f"user {os.geteuid()} may not command this daemon"):
            await ask(path, "who")
        assert (server.counts.refused, server.counts.requests) == (1, 0)


# --- the file -------------------------------------------------------------------------------------------------------


async def test_the_socket_is_private_from_the_first_instant(tmp_path: Path) -> None:
    """Whatever the umask: the folder is made 0700, and the kernel shows no moment at which the file was wider."""
    path = tmp_path / "state" / "gambit.sock"
    old = os.umask(0)
    try:
        (tmp_path / "state").mkdir(mode=0o700)
        with Watch(path.parent) as watch:
            async with serving(path):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                assert stat.S_ISSOCK(path.stat().st_mode)
                await until(lambda: bool(watch.seen))
        assert watch.seen == [("made", "gambit.sock", 0o600)]
        (tmp_path / "state").rmdir()
        listener = socketfile.listen(path)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        listener.close()
    finally:
        os.umask(old)
    assert path.exists()


class Watch:
    """Inotify on a folder: each file made or changed in it, with the mode seen when the kernel told of it."""

    def __init__(self, folder: Path) -> None:
        import ctypes

        self.folder = folder
        self.seen: list[tuple[str, str, int]] = []
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC)
        assert libc.inotify_add_watch(self.fd, os.fsencode(folder), IN_CREATE | IN_ATTRIB | IN_MOVED_TO) >= 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        (self.folder / "end").touch()
        self._thread.join()
        os.close(self.fd)
        (self.folder / "end").unlink()

    def _run(self) -> None:
        while True:
            events = os.read(self.fd, 4096)
            at = 0
            while at < len(events):
                _, mask, _, size = struct.unpack_from("iIII", events, at)
                name = events[at + 16 : at + 16 + size].rstrip(b"\0").decode()
                at += 16 + size
                if name == "end":
                    return
                if mask & (IN_CREATE | IN_MOVED_TO):
                    self.seen.append(("made", name, stat.S_IMODE((self.folder / name).stat().st_mode)))
                elif (self.folder / name).exists():  # removing it changes its link count, which is an attribute too
                    self.seen.append(("changed", name, stat.S_IMODE((self.folder / name).stat().st_mode)))


async def test_a_dead_daemons_socket_is_taken_over(path: Path) -> None:
    """A socket nobody listens on is no obstacle, whatever its name's length."""
    for place in (path, path.parent / ("deep" * 20) / ("deeper" * 10) / "gambit.sock"):
        place.parent.mkdir(parents=True, mode=0o700)
        dead = socketfile.listen(place)
        dead.close()
        assert place.exists()
        async with serving(place):
            assert await ask(place, "slow") == "done"
        assert not place.exists()


async def test_a_living_daemons_socket_is_not(path: Path) -> None:
    """Who listens keeps the place, and the second is told so."""
    async with serving(path):
        with pytest.raises(socketfile.SocketFileError, match="another daemon answers here"):
            async with serving(path):
                pass
        assert await ask(path, "slow") == "done"


async def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    """A file in the way is not removed; a folder open to others is not used; both are named."""
    path.parent.mkdir(mode=0o700)
    path.write_text("mine")
    with pytest.raises(socketfile.SocketFileError, match=r"gambit\.sock: is in the way and no socket"):
        async with serving(path):
            pass
    assert path.read_text() == "mine"
    path.parent.chmod(0o755)
    with pytest.raises(socketfile.SocketFileError, match=r"state: open to others \(mode 0755\); chmod 700"):
        async with serving(path.with_name("other.sock")):
            pass
    with pytest.raises(socketfile.SocketFileError, match="cannot be the control socket's folder"):
        socketfile.listen(path / "below" / "gambit.sock")


async def test_closing_removes_only_its_own_file(path: Path) -> None:
    """A successor's socket survives the end of its predecessor."""
    async with serving(path):
        path.unlink()
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(str(path))
    assert path.exists()
    successor.close()


async def test_closing_lets_what_is_being_answered_finish(path: Path) -> None:
    """A command that ends the daemon still gets its answer; idle connections are simply ended."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def stop(params: rpc.Nothing, caller: Caller) -> str:
        begun.set()
        await go_on.wait()
        return "stopping"

    path.parent.mkdir(mode=0o700)
    server = ControlServer(path, {"stop": Method(stop)})
    await server.start()
    idle, _writer = await asyncio.open_unix_connection(str(path))
    answer = asyncio.create_task(ask(path, "stop"))
    await begun.wait()
    closing = asyncio.create_task(server.close())
    assert await idle.read() == b""
    go_on.set()
    assert await answer == "stopping"
    await closing
    assert server.connections == 0
    await server.close()
    await hang_up(_writer)


# --- subscriptions --------------------------------------------------------------------------------------------------


async def test_events_reach_those_who_asked(path: Path) -> None:
    """Each topic counts its own messages; nobody hears what they did not ask for."""
    async with serving(path) as server:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(request("subscribe", topics=["orders"]))
        assert json.loads(await reader.readline())["result"] == {"topics": ["orders"]}
        assert server.subscribers == 1
        assert server.is_wanted("orders")
        assert not server.is_wanted("ticks")
        server.publish("ticks", {"n": 1})
        server.publish("orders", {"n": 2})
        server.publish("orders", {"n": 3})
        for seq in (1, 2):
            event = json.loads(await reader.readline())
            assert event["method"] == "event"
            assert event["params"] == {"topic": "orders", "seq": seq, "data": {"n": seq + 1}}
        writer.write(request("unsubscribe", topics=["orders"]))
        assert json.loads(await reader.readline())["result"] == {"topics": []}
        assert server.subscribers == 0
        await hang_up(writer)


async def test_nothing_leaves_before_it_is_written_down(path: Path) -> None:
    """Events wait for it; answers do too, but not for ever."""
    written = asyncio.Event()
    async with serving(path, settled=written.wait) as server:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request("subscribe", topics=["orders"]) + request("who", 2))
        assert [json.loads(await reader.readline())["id"] for _ in range(2)] == [1, 2]
        server.publish("orders", {"n": 1})
        writer.write(request("who", 3))
        assert json.loads(await reader.readline())["id"] == 3
        written.set()
        assert json.loads(await reader.readline())["params"]["data"] == {"n": 1}
        await hang_up(writer)


async def test_the_client_streams(path: Path) -> None:
    """Events that come while a call is under way are not lost; the end of the daemon ends the stream."""
    got: list[tuple[int, Any]] = []

    def follow() -> None:
        with client.Session(path) as session:
            events = session.events("orders")
            for _ in range(5):
                event = next(events)
                got.append((event.seq, event.data))
                if event.data == 0:
                    assert session.call("slow") == "done"
            with pytest.raises(client.NoAnswer, match="hung up"):
                next(events)

    async with serving(path) as server:
        following = asyncio.create_task(asyncio.to_thread(follow))
        await until(lambda: server.subscribers == 1)
        for n in range(5):
            server.publish("orders", n)
        await until(lambda: len(got) == 5)
    await following
    assert got == [(n + 1, n) for n in range(5)]


async def test_a_slow_reader_of_states_sees_the_latest(path: Path) -> None:
    """Old states give way and are counted; everybody else is served meanwhile."""
    async with serving(path) as server:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 12)
        writer.write(request("subscribe", topics=["ticks"]))
        await reader.readline()
        last = 400
        for n in range(last + 1):
            server.publish("ticks", {"n": n, "pad": "x" * 5000}, slot="BTC-USDT")
            await asyncio.sleep(0)
        assert await ask(path, "slow") == "done"
        seen = 0
        seqs = []
        while seen < last:
            event = json.loads(await read_line(reader))["params"]
            seen = event["data"]["n"]
            seqs.append(event["seq"])
        assert seqs == sorted(set(seqs))
        assert len(seqs) < last
        assert server.conflated == last + 1 - len(seqs)
        await hang_up(writer)
        await until(lambda: server.connections == 0)
        assert server.conflated == last + 1 - len(seqs)
        assert server.counts.cut == 0


async def read_line(reader: asyncio.StreamReader) -> bytes:
    """A line longer than the reader's limit."""
    line = b""
    while not line.endswith(b"\n"):
        try:
            line += await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            line += await reader.readexactly(error.consumed)
    return line


async def test_a_slow_reader_of_events_is_cut(path: Path) -> None:
    """No event is dropped silently: who cannot keep up loses the connection, counted."""
    async with serving(path) as server:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 12)
        writer.write(request("subscribe", topics=["orders"]))
        await reader.readline()
        while server.connections:
            server.publish("orders", {"pad": "x" * 5000})
            await asyncio.sleep(0)
        assert server.counts.cut == 1
        assert await ask(path, "slow") == "done"
        await hang_up(writer)


async def test_a_reader_that_takes_nothing_is_cut_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an answer nor an event waits for a stalled reader for long."""
    monkeypatch.setattr(control, "STALL_SEC", 0.01)
    async with serving(path) as server:
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 12)
        writer.write(request("large"))
        await until(lambda: server.counts.cut == 1 and server.connections == 0)
        await hang_up(writer)
        reader, writer = await asyncio.open_unix_connection(str(path), limit=1 << 12)
        writer.write(request("subscribe", topics=["ticks"]))
        await reader.readline()
        server.publish("ticks", "x" * 3_000_000)
        await until(lambda: server.counts.cut == 2 and server.connections == 0)
        await hang_up(writer)


def test_the_outbox_is_bounded() -> None:
    """By number and by bytes; the oldest state goes first, then the reader."""
    box = Outbox(messages_max=3, bytes_max=10)
    assert all(box.put(line, slot) for line, slot in ((b"a1", "a"), (b"e1", None), (b"b1", "b")))
    assert box.put(b"a2", "a")
    assert box.take() == b"e1b1a2"
    assert box.conflated == 1
    assert box.take() == b""
    assert all(box.put(line, slot) for line, slot in ((b"a", "a"), (b"b", "b"), (b"c", "c"), (b"d", "d")))
    assert (len(box), box.conflated) == (3, 2)
    assert all(box.put(b"1") for _ in range(3))
    assert not box.put(b"2")
    assert not box.put(b"s", "s")
    assert box.take() == b"111"
    assert box.put(b"x" * 100)
    assert not box.put(b"y")
    assert box.take() == b"x" * 100


# --- the client -----------------------------------------------------------------------------------------------------


def test_no_daemon_is_said_so(tmp_path: Path) -> None:
    """Neither a missing nor a dead socket nor a missing folder is mistaken for a daemon."""
    with pytest.raises(client.NotRunning, match=r"no daemon runs at .*gambit\.sock; `gambit start -c FILE` starts one"):
        client.call(tmp_path / "gambit.sock", "status")
    with pytest.raises(client.NotRunning):
        client.call(tmp_path / "nowhere" / "gambit.sock", "status")
    tmp_path.chmod(0o700)
    socketfile.listen(tmp_path / "gambit.sock").close()
    with pytest.raises(client.NotRunning):
        client.call(tmp_path / "gambit.sock", "status")


@pytest.mark.parametrize(
    ("says", "told"),
    [(None, "no answer in time"), (b"", "hung up"), (b"220 smtp ready\n", "no gambit"), (b'{"id":1', "hung up")],
)
def test_a_daemon_that_does_not_answer_is_said_so(tmp_path: Path, says: bytes | None, told: str) -> None:
    """Silence, an end, another protocol: each named."""
    tmp_path.chmod(0o700)
    path = tmp_path / "gambit.sock"
    with socketfile.listen(path) as listener:
        listener.setblocking(True)

        def answer() -> None:
            stream, _ = listener.accept()
            with stream:
                if says is not None:
                    stream.recv(100)
                    stream.sendall(says)
                else:
                    stream.recv(100)
                    stream.recv(100)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(client.NoAnswer, match=told):
            client.call(path, "status", timeout_sec=0.05 if says is None else 10)
        thread.join()


def test_a_connection_that_closes_while_it_is_answered_ends_quietly(path: Path) -> None:
    """What was cut under an answer is one peer that is gone: no defect, nothing for the loop to complain of."""
    uvloop.run(closed_while_answered(path))


async def closed_while_answered(path: Path) -> None:
    """The connection ends inside the handler, before its answer is written."""
    complaints: list[dict[str, Any]] = []
    defects = Defects()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))

    async def cut(params: rpc.Nothing, caller: Caller) -> str:
        for connection in list(server._connections):
            connection._writer.transport.abort()
        for _ in range(5):  # turns in which the socket is closed for good
            await asyncio.sleep(0)
        return "nobody hears this"

    async with serving(path, on_defect=defects) as server:
        server.methods["cut"] = Method(cut)
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(request("cut") + request("cut"))
        await until(lambda: server.connections == 0 and server.counts.accepted == 1)
        await hang_up(writer)
        assert await ask(path, "slow") == "done"
    assert (complaints, defects.seen) == ([], [])

"""Group H, who may say stop and go: a halt by every door and under a burst, and who may not let trading go on."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

import aiohttp

from gambit.access.permissions import Role
from gambit.drills.children import Child, Site, site
from gambit.drills.clocks import waited_ns
from gambit.drills.crashes import agrees, ended_well, traded
from gambit.drills.ground import orders_of, until
from gambit.drills.neighbours import (
    BOT_TOKEN,
    PASSWORD,
    BotApi,
    Person,
    bot_settings,
    buttons,
    listening,
    person_of,
)
from gambit.drills.registry import DESK, MARKET, drill
from gambit.drills.scenario import Bench, Broken, Setting
from gambit.drills.stage import Stage
from gambit.runtime.trading import HALT_FILE
from gambit.surface import client

AT_ONCE_NS: Final = 50_000_000
UNDER_A_BURST_NS: Final = 100_000_000
QUIET_SEC: Final = 0.4  # in which a create that should not have left would reach a venue
BURSTS: Final = 3
STEP_NS: Final = 6 * 60 * 10**9  # longer than an authentication is fresh
BURST: Final = Setting(
    name="burst", venues=DESK.venues, symbols=MARKET.symbols, settings=("risk.duplicate_window_ms = 0",), rate=50.0
)


class Halt(NamedTuple):
    """A halt as whoever commanded it saw it; `answered_ns` is 0 where the door does not answer."""

    asked_ns: int
    answered_ns: int = 0
    waited_ns: int = 0  # meanwhile, by the daemon for a processor


Door = Callable[[], Awaitable[Halt]]


async def halted(command: Door, child: Child) -> Halt:
    """Command it, wait until it holds and nothing could be under way any more, resume."""
    before_ns = waited_ns(child.process.pid)
    halt = await command()
    async with asyncio.timeout(10.0):
        while (await child.ask("status"))["trading_state"] != "HALTED":
            await asyncio.sleep(0.01)
    halt = halt._replace(waited_ns=waited_ns(child.process.pid) - before_ns)
    await asyncio.sleep(QUIET_SEC)
    (child.state_dir / HALT_FILE).unlink(missing_ok=True)
    await until_resumed(child)
    return halt


async def by_socket(child: Child) -> Halt:
    """Over the control socket; the time of the command is that of the thread that gives it, not of a busy loop."""

    def command() -> Halt:
        with client.Session(child.state_dir / "gambit.sock") as session:
            asked_ns = time.time_ns()
            session.call("halt", {"reason": "a drill"})
            return Halt(asked_ns, time.time_ns())

    return await asyncio.to_thread(command)


async def until_resumed(child: Child) -> None:
    """Trading goes on; the file's door is looked at every 20 ms, so that a resume may come too early."""
    async with asyncio.timeout(10.0):
        while (await child.ask("status"))["trading_state"] != "ACTIVE":
            try:
                await child.ask("resume", {"reason": "the drill goes on"})
            except client.Failed as error:
                if HALT_FILE not in str(error):
                    raise
            await asyncio.sleep(0.02)


def held_against(bench: Bench, there: Site, halts: Mapping[str, Halt], most_ns: int) -> None:
    """By the journal of the daemon: each halt was in force in time, and no create left while it was (I09); every order
    at a venue is one of those that left before."""
    records = there.ground.records
    changes = [(one, json.loads(one.body)) for one in records if one.kind == "state.changed"]
    sent = [one for one in records if one.kind == "order.sent"]
    for door, halt in halts.items():
        later = [(one, body["state"]) for one, body in changes if one.ts_ns >= halt.asked_ns]
        first = next((one for one, state in later if state == "HALTED"), None)
        last = next((one for one, state in later if state == "ACTIVE"), None)
        if first is None or last is None:
            raise Broken(f"I09: the halt by {door} is not in the journal")
        late_ns = first.ts_ns - halt.asked_ns
        bench.count(**{f"{door}_ms": f"{late_ns / 1e6:.1f}"})
        told = f"{late_ns / 1e6:.1f} ms, of which {halt.waited_ns / 1e6:.1f} ms without a processor"
        bench.need(late_ns <= most_ns + halt.waited_ns, f"I09: by {door} it took {told}")
        during = [one.seq for one in sent if first.seq < one.seq < last.seq]
        bench.need(not during, f"I09: creates left after the halt by {door}: records {during[:3]}")
        after = [one.seq for one in sent if one.seq < last.seq and one.ts_ns > halt.answered_ns > 0]
        bench.need(not after, f"I09: records {after[:3]} left after {door} was answered")
    keys = {json.loads(one.body)["key"] for one in sent}
    unknown = {o["client_id"] for e in there.ground.exchanges.values() for o in orders_of(e)} - keys
    bench.need(not unknown, f"I09: orders that were never sent: {sorted(unknown)[:3]}")
    bench.count(without_processor_ms=f"{max(halt.waited_ns for halt in halts.values()) / 1e6:.1f}")


async def linked(api: BotApi, child: Child, email: str) -> None:
    """The person at the bot is this user, and has asked for a halt; the second tap is still to come."""
    code = (await child.ask("user.link_telegram", {"user": email}))["code"]
    api.say(f"/start {code}")
    await api.until_said("you are")


@drill("F109", None, alone=True)
async def halt_by_each_door(bench: Bench) -> None:
    """REST, the Telegram bot, the control socket, a signal, a file: each within 50 ms of the daemon's time on a
    processor, written down with who it was. The WebSocket takes no commands: it says so, and tells of each halt."""
    api = BotApi()
    async with (
        site(DESK, bench.folder) as there,
        listening(api.app()) as port,
        aiohttp.ClientSession() as session,
    ):
        child = await there.life(*bot_settings(f"http://127.0.0.1:{port}"), env={"BOT": BOT_TOKEN})
        trader = await person_of(child, session, "trader")
        await linked(api, child, "trader@drill.example")
        api.say("/halt a drill")
        tap = buttons(await api.until_asked())[0]
        async with session.ws_connect(f"{trader.url.replace('http', 'ws', 1)}/ws/dashboard") as socket:
            await refused_by_socket(bench, socket, trader.token, child)
            await traded(there)
            halts = {name: await halted(door, child) for name, door in doors(child, trader, api, tap).items()}
            heard = await heard_of(socket, len(halts))
        await agrees(bench, there)
        held_against(bench, there, halts, AT_ONCE_NS)
        bench.need(heard >= len(halts), f"I09: the WebSocket told of {heard} of {len(halts)} halts")
        audits = [json.loads(one.body) for one in there.ground.records if one.kind == "audit"]
        named = {one["door"] for one in audits if "HALTED" in one["action"] or one["action"] == "halt"}
        bench.need({"rest", "telegram", "control socket"} <= named, f"I21: audited are {sorted(named)}")
        by = {json.loads(one.body)["by"] for one in there.ground.records if one.kind == "state.changed"}
        bench.need({"halt file", "signal SIGUSR1", "trader@drill.example"} <= by, f"I21: halted by {sorted(by)}")
        await ended_well(bench, child)


def doors(child: Child, trader: Person, api: BotApi, tap: str) -> dict[str, Door]:
    """Each by its name."""

    async def rest() -> Halt:
        asked_ns = time.time_ns()
        status, told = await trader.ask("POST", "/control/halt", {"reason": "a drill"})
        if status != 200:
            raise Broken(f"I09: REST answered {status}: {told}")
        return Halt(asked_ns, time.time_ns())

    async def telegram() -> Halt:
        asked_ns = time.time_ns()
        api.press(tap)
        return Halt(asked_ns)

    async def control() -> Halt:
        return await by_socket(child)

    async def by_signal() -> Halt:
        asked_ns = time.time_ns()
        child.signal(signal.SIGUSR1)
        return Halt(asked_ns)

    async def file() -> Halt:
        asked_ns = time.time_ns()
        (child.state_dir / HALT_FILE).touch()
        return Halt(asked_ns)

    return {"rest": rest, "telegram": telegram, "socket": control, "signal": by_signal, "file": file}


async def refused_by_socket(bench: Bench, socket: aiohttp.ClientWebSocketResponse, token: str, child: Child) -> None:
    """A command over the WebSocket is refused and does nothing; the trading state is told there from now on."""
    await socket.send_json({"op": "auth", "token": token})
    await socket.send_json({"op": "subscribe", "channels": ["trading.state"]})
    await socket.send_json({"op": "halt", "reason": "a drill"})
    async with asyncio.timeout(10.0):
        while (told := await socket.receive_json()).get("op") != "error":
            continue
    bench.need(told["code"] == "command", f"I09: the WebSocket answered {told}")
    state = (await child.ask("status"))["trading_state"]
    bench.need(state == "ACTIVE", f"I09: a command over the WebSocket led to {state}")


async def heard_of(socket: aiohttp.ClientWebSocketResponse, count: int) -> int:
    """How many halts the WebSocket tells of, at most `count`."""
    heard = 0
    try:
        async with asyncio.timeout(10.0):
            while heard < count:
                heard += '"HALTED"' in (await socket.receive_str())
    except TimeoutError:
        return heard
    return heard


@drill("F110", None, alone=True)
async def halt_under_a_burst(bench: Bench) -> None:
    """Five times the rate, every venue moving: the last create leaves at most 100 ms after the command, none after its
    acknowledgement."""
    async with site(BURST, bench.folder) as there:
        child = await there.life()
        halts: dict[str, Halt] = {}
        for number in range(BURSTS):
            before = there.orders()
            for place, venue in enumerate(DESK.venues):
                for symbol in BURST.symbols:
                    world, now_ns = there.ground.server.world, there.ground.now_ns()
                    world.shift(venue, symbol, 40.0 + 10 * place, now_ns, 3000)
            await until(lambda before=before: there.orders() > before, why="orders under the burst")  # type: ignore[misc]
            halts[f"burst_{number + 1}"] = await halted(partial(by_socket, child), child)
        await agrees(bench, there)
        held_against(bench, there, halts, UNDER_A_BURST_NS)
        signals = sum(one.kind == "signal.raised" for one in there.ground.records)
        bench.count(signals=signals)
        await ended_well(bench, child)


# ---- who may let it go on ----


@drill("F119")
async def resumed_by_others(stage: Stage) -> None:
    """A viewer and a trader: refused. A login link a second time, an authentication that is old, one without a second
    factor: refused. The same request twice: done once, answered alike. All of it is written down."""
    stage.expects_trouble = True  # the clock is set, so this ground is of no use any more
    ground = stage.ground
    switch = ground.daemon.parts.switch
    switch.change("HALTED", "a drill", "a drill")
    async with aiohttp.ClientSession() as session:
        for role in (Role.VIEWER, Role.TRADER):
            person = Person(session, ground.daemon.parts.web_address())
            await person.log_in(await _ticket(stage, role))
            await _refused(stage, person, 403, f"a {role.value}")
        admin = Person(session, ground.daemon.parts.web_address())
        ticket = await _ticket(stage, Role.ADMIN)
        await admin.log_in(ticket)
        status, told = await admin.ask("POST", "/auth/ticket", {"ticket": ticket})
        stage.need(status == 401, f"I23: the same link again was answered {status}: {told}")
        plain = Person(session, admin.url)
        _, tokens = await plain.ask("POST", "/auth/login", {"email": "admin@drill.example", "password": PASSWORD})
        plain.token = tokens["access_token"]
        await _refused(stage, plain, 403, "an admin without a second factor")
        await _once(stage, admin)
        ground.time.step(STEP_NS)
        await _refused(stage, admin, 403, "an admin who logged in long ago")
    outcomes = [json.loads(one.body) for one in await stage.records() if one.kind == "audit"]
    refused = [one for one in outcomes if "resume" in one["action"] and one["outcome"] not in ("ok", "done")]
    stage.need(len(refused) >= 4, f"I21: {len(refused)} refusals are written down of {outcomes}")
    stage.count(refused=len(refused))


async def _ticket(stage: Stage, role: Role) -> str:
    access = stage.ground.daemon.parts.access
    user = await access.people.add(f"{role.value}@drill.example", PASSWORD, role)
    return str(access.logins.ticket(user.user_id))


async def _refused(stage: Stage, person: Person, wanted: int, who: str) -> None:
    status, told = await person.ask("POST", "/control/resume", {"reason": "a drill"})
    stage.need(status == wanted, f"I10: {who} was answered {status}: {told}")
    state = stage.ground.daemon.parts.switch.state
    stage.need(state == "HALTED", f"I10: {who} led to {state}")


async def _once(stage: Stage, admin: Person) -> None:
    """The same key twice, and once more after another halt: one effect."""
    switch = stage.ground.daemon.parts.switch
    key = {"Idempotency-Key": "a-drill-resumes"}
    first, second = await asyncio.gather(
        admin.ask("POST", "/control/resume", {"reason": "a drill"}, **key),
        admin.ask("POST", "/control/resume", {"reason": "a drill"}, **key),
    )
    stage.need(first == second and first[0] == 200, f"I23: {first} and {second}")
    stage.need(switch.state == "ACTIVE", f"I10: an admin led to {switch.state}")
    switch.change("HALTED", "a drill goes on", "a drill")
    again = await admin.ask("POST", "/control/resume", {"reason": "a drill"}, **key)
    stage.need(again == first, f"I23: the third time it is {again}")
    stage.need(switch.state == "HALTED", "I23: the same request had another effect")
    changes = [json.loads(one.body)["state"] for one in await stage.records() if one.kind == "state.changed"]
    stage.need(changes.count("ACTIVE") == 1, f"I23: {changes}")

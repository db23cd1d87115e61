"""Groups H and I, whom a daemon tells: the channels of its alerts are down, its bot's API is slow, limits, breaks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from gambit.drills.ground import until
from gambit.drills.neighbours import BOT_TOKEN, PERSON, BotApi, Mailbox, Temper, bot_settings, listening
from gambit.drills.registry import drill
from gambit.drills.stage import Stage
from gambit.notify.outbox import ITEMS_MAX
from gambit.notify.post import Post
from gambit.surface import client
from gambit.telegram.bot import QUEUE_MAX, Bot

HALT_AFTER_SEC: Final = 2
ARRIVES_SEC: Final = 20.0
ASKS_SEC: Final = 75.0  # the longest wait after failures is a minute
ALERTS: Final = 40  # while the Bot API is not well
SECRET: Final = "0123456789abcdef"  # noqa: S105 - of a mailbox of this machine


def webhook(name: str, fallback: str = "") -> str:
    """A channel to the mailbox whose address is in the environment under its name."""
    other = f', fallback="{fallback}"' if fallback else ""
    return (
        f'{{name="{name}", kind="webhook", url="env:{name.upper()}", secret="env:SECRET", allow_private=true, '
        f"per_minute=600, timeout_sec=2{other}}}"
    )


async def asked(stage: Stage, method: str, **params: Any) -> Any:
    """A call on the daemon's control socket, as a person at a terminal makes it."""
    path = stage.ground.folder / "state" / "gambit.sock"
    return await asyncio.to_thread(client.call, path, method, params, 10.0)


@drill("F118")
async def channels_are_down(stage: Stage) -> None:
    """One mailbox is gone: the alert goes to the other, and trading goes on. Both are gone: trading halts after the
    time that the rule says, and the alert is told once a mailbox is back."""
    stage.expects_trouble = True
    ground = stage.ground
    second = Mailbox()
    async with listening(Mailbox().app()) as gone:  # a port that nobody listens at when this is left
        pass
    ground.env = {"FIRST": f"http://127.0.0.1:{gone}/first", "SECRET": SECRET}
    async with listening(second.app()) as port:
        ground.env["SECOND"] = f"http://127.0.0.1:{port}/second"
        channels = f"notify.channels = [{webhook('first', 'second')}, {webhook('second')}]"
        await ground.restart(channels, "notify.group_ms = 0")
        await asked(stage, "alert.create", message="one channel is down", severity="critical")
        await until(lambda: second.has("one channel is down"), ARRIVES_SEC, "the other channel tells")
        await stage.still_trades("okx")
        stage.need(ground.daemon.parts.switch.state == "ACTIVE", "I24: one channel of two is gone, and trading with it")
    rule = f'alerts.rules = [{{rule="delivery_failing", for_sec={HALT_AFTER_SEC}, actions=["halt"]}}]'
    await ground.restart(channels, "notify.group_ms = 0", rule)
    await asked(stage, "alert.create", message="every channel is down", severity="critical")
    switch = ground.daemon.parts.switch
    await until(lambda: switch.state == "HALTED", 40.0, "I24: a halt when nobody can be told")
    stage.need("delivery_failing" in switch.kept.reason, f"I24: halted for {switch.kept.reason}")
    before = sum(stage.place_requests(venue) for venue in ground.exchanges)
    await stage.episode("okx")
    after = sum(stage.place_requests(venue) for venue in ground.exchanges)
    stage.need(after == before, f"I24: {after - before} orders after the halt")
    async with listening(second.app(), port):
        await until(lambda: second.has("every channel is down"), 90.0, "I24: the alert is told in the end")
    await stage.settle()
    stage.count(messages=len(second.messages))


def boxes(stage: Stage) -> tuple[Bot, Post]:
    """The bot and the post of the daemon."""
    beside = stage.ground.daemon.parts.beside
    (bot,) = (one for one in beside if isinstance(one, Bot))
    (post,) = (one for one in beside if isinstance(one, Post))
    return bot, post


@drill("F124")
async def telegram_is_not_well(stage: Stage) -> None:
    """The Bot API answers after half a minute, asks to come later, breaks off, while alerts come: trading goes on each
    time, what waits is bounded, and what must arrive does in the end."""
    stage.expects_trouble = True  # alerts and other settings
    ground, api = stage.ground, BotApi()
    async with listening(api.app()) as port:
        url = f"http://127.0.0.1:{port}"
        ground.env = {"BOT": BOT_TOKEN}
        channel = (
            f'{{name="phone", kind="telegram", url="{url}", secret="env:BOT", chat_id="{PERSON}", '
            "allow_private=true, timeout_sec=2, per_minute=600}"
        )
        await ground.restart(*bot_settings(url), "telegram.timeout_sec = 2", f"notify.channels = [{channel}]")
        bot, post = boxes(stage)
        tempers: tuple[Temper, ...] = ("limits", "breaks", "slow")
        for temper in tempers:
            api.change(temper)
            before = api.asked
            for number in range(ALERTS):
                await asked(
                    stage, "alert.create", message=f"{temper} {number}", severity="critical", scope=f"n:{number}"
                )
            await stage.still_trades("okx")
            await until(lambda before=before: api.asked > before, ASKS_SEC, f"the API is asked while it {temper}")  # type: ignore[misc]
            waiting = bot.waiting, sum(len(lane.waiting) for lane in post.outbox._lanes.values())
            stage.need(waiting[0] <= 2 * QUEUE_MAX and waiting[1] <= ITEMS_MAX, f"I18: {waiting} messages wait")
            stage.count(alerts=ALERTS)
        api.change("well")
        await until(lambda: post.outbox.is_empty, 120.0, "I24: what waited is told")
        stage.need(any("alerts" in said["text"] for said in api.said), "I24: what waited was given up")
        await asked(stage, "alert.create", message="all is well", severity="critical", scope="well")
        await until(lambda: any("all is well" in said["text"] for said in api.said), 20.0, "I24: an alert arrives")
        await stage.still_trades("bybit")
        stage.is_flat()
        problems = ground.daemon.problems
        stage.need(not problems, f"I24: {problems}")
        await ground.stop()
    stage.count(calls_while_unwell=api.asked, messages=len(api.said))

"""The bot of a live daemon against a Bot API of this machine, through the library it is used with."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gambit.access.permissions import Role
from gambit.bootstrap import Options
from gambit.runtime.daemon import Daemon
from gambit.sim.world import Scenario
from gambit.surface import client
from gambit.telegram.bot import Bot
from gambit.telegram.rim import ApiError, Library
from gambit.telegram.update import Nod, Say
from tests.bot.api import TOKEN, BotApi, bot_api, buttons
from tests.e2e.live import config_for, exchanges, running, until
from tests.e2e.test_alerts import rows_of


def now_sec() -> int:
    return int(time.time())


@asynccontextmanager
async def bot_of_a_daemon(folder: Path) -> AsyncIterator[tuple[BotApi, Daemon, Any]]:
    """A daemon whose bot listens to account 1, which is Ann's, a trader."""
    async with bot_api(now_sec) as (api, url), exchanges(Scenario(symbols=("BTC-USDT",))) as server:
        config = config_for(
            server, folder / "state", "telegram.enabled = true", 'telegram.token = "env:BOT"', "telegram.users = [1]",
            "telegram.chats = [1]", f'telegram.base_url = "{url}"', "api.port = 0", symbols=("BTC-USDT",),
        )  # fmt: skip
        async with running(config, Options(env={"BOT": TOKEN})) as (daemon, log):
            await daemon.parts.access.people.add("ann@example.org", "correct horse battery", Role.TRADER)
            yield api, daemon, log


async def code_for(daemon: Daemon, user: str) -> str:
    """What `gambit user link-telegram` prints."""
    path = Path(str(daemon.parts.servers[0].path))  # type: ignore[attr-defined]
    answer = await asyncio.to_thread(client.call, path, "user.link_telegram", {"user": user}, 10.0)
    return str(answer["code"])


async def test_from_a_code_to_a_halt(tmp_path: Path) -> None:
    """Link, ask, halt with a second tap, be told of the alert; strangers do nothing; all of it is audited."""
    async with bot_of_a_daemon(tmp_path) as (api, daemon, log):
        api.say("/halt", user=666, chat=666)
        api.say("/status")
        assert "not linked" in (await api.until_said(1))["text"]
        api.say(f"/start {await code_for(daemon, 'ann@example.org')}")
        assert "you are ann@example.org, trader" in (await api.until_said(2))["text"]
        api.say("/status")
        assert "trading <b>ACTIVE</b>" in (await api.until_said(3))["text"]
        for count, (text, word) in enumerate(
            (("/pnl", "equity"), ("/trades", ""), ("/mood", "<b>"), ("/opportunities", ""), ("/admin_stats", "scope")),
            4,
        ):
            api.say(text)
            assert word in (await api.until_said(count))["text"]
        api.say("/subscribe_alerts critical")
        await api.until_said(9)
        api.say("/halt enough")
        do_it, _ = buttons(await api.until_said(10))
        assert daemon.parts.switch.state == "ACTIVE"
        api.press(do_it)
        await until(lambda: daemon.parts.switch.state == "HALTED")
        assert daemon.parts.switch.kept.by == "ann@example.org"
        await api.until_said(12)
        texts = [said["text"] for said in api.said[10:]]
        assert any("trading is <b>HALTED</b> (it was ACTIVE)" in text for text in texts)
        assert any("<b>critical</b> trading is halted by ann@example.org: enough" in text for text in texts)
        assert {said["chat_id"] for said in api.said} == {"1"}
        assert {said["parse_mode"] for said in api.said} == {"HTML"}
        assert len(api.nods) == 1
        await until(lambda: daemon.parts.keeping.store.lag == 0)
        await daemon.parts.keeping.journal.until_synced(daemon.parts.keeping.journal.head)
        copy = await daemon.parts.keeping.snapshot(0.0)
        done = rows_of(
            copy["path"], "SELECT user_id, action, outcome FROM audit_log WHERE door = 'telegram' ORDER BY seq"
        )
        assert done[0] == ("telegram 666 in 666", "/halt", "refused")
        assert ("ann@example.org", "/halt", "asked") in done
        assert ("ann@example.org", "/halt", "confirmed") in done
        assert ("ann@example.org", "/admin_stats", "refused") in done
        assert TOKEN not in str(log.lines)
    assert holding(tmp_path, TOKEN.encode()) == []


def holding(folder: Path, secret: bytes) -> list[str]:
    """The files below a folder that a secret stands in (S45)."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret in path.read_bytes()]


async def test_a_deed_is_done_once_over_a_restart(tmp_path: Path) -> None:
    """S42: the same updates are served to the next life of the bot; it goes on behind them."""
    async with bot_of_a_daemon(tmp_path) as (api, daemon, _):
        [bot] = [each for each in daemon.parts.beside if isinstance(each, Bot)]
        api.say(f"/start {await code_for(daemon, 'ann@example.org')}")
        await api.until_said(1)
        api.say("/status")
        await api.until_said(2)
        before = len(api.said)
        kept = bot.core.kept
        updates = [one["update_id"] for one in api.updates]
        assert kept.update_id == updates[-1]
        api.put({"update_id": updates[-1], "message": api.updates[-1]["message"]})
        api.say("/help")
        assert "/status" in (await api.until_said(before + 1))["text"]
        assert len(api.said) == before + 1
    assert (tmp_path / "state" / "telegram.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.filterwarnings("ignore:Deprecated since version v22.2")  # the library's own doing
async def test_the_library_says_what_went_wrong_without_the_token() -> None:
    """A 429 with its wait, a refusal, a server that is gone."""
    async with bot_api(now_sec) as (api, url):
        library = Library(TOKEN, url, 5.0)
        api.fails = [
            (429, {"ok": False, "error_code": 429, "description": "slow", "parameters": {"retry_after": 7}}),
            (403, {"ok": False, "error_code": 403, "description": f"bot {TOKEN} was blocked"}),
        ]
        waits = []
        for _ in range(2):
            with pytest.raises(ApiError) as caught:
                await library.say(Say(chat_id=1, html="x"))
            assert TOKEN not in str(caught.value)
            waits.append(caught.value.wait_sec)
        assert waits == [7.0, 0.0]
        await library.say(Say(chat_id=1, html="x", buttons=(("Do", "y:1"), ("Leave", "n:1"))))
        assert buttons(api.said[0]) == ["y:1", "n:1"]
        await library.nod(Nod(callback_id="c", text="over"))
        api.say("hello", forward_origin={"type": "user", "date": 1, "sender_user": {"id": 9, "is_bot": False,
                                                                                   "first_name": "y"}})  # fmt: skip
        api.put({"edited_message": api.updates[0]["message"] | {"edit_date": now_sec()}})
        api.put({"channel_post": api.updates[0]["message"] | {"chat": {"id": -5, "type": "channel", "title": "c"}}})
        api.press("y:1", user=3, chat=4)
        found = await library.updates(0, 0)
        assert [(one.kind, one.is_forward) for one in found[:3]] == [
            ("message", True),
            ("edited", True),
            ("channel", True),
        ]
        assert (found[3].kind, found[3].data, found[3].user_id, found[3].chat_id) == ("button", "y:1", 3, 4)
        await library.close()
    gone = Library(TOKEN, "http://127.0.0.1:1", 1.0)
    with pytest.raises(ApiError) as caught:
        await gone.updates(0, 0)
    assert TOKEN not in str(caught.value)
    await gone.close()
    with pytest.raises(ApiError):
        Library("", "http://127.0.0.1:1", 1.0)

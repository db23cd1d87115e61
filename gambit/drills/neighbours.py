"""Who is around a daemon: people at its HTTP door, a Bot API, a mailbox that takes messages; all on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import aiohttp
from aiohttp import web

from gambit.drills.children import Child
from gambit.drills.ground import until
from gambit.drills.scenario import Broken

BOT_TOKEN: Final = "42:A-DRILL"  # noqa: S105 - of a Bot API of this machine
PASSWORD: Final = "a drill of some length"  # noqa: S105 - of people who live as long as a drill
PERSON: Final = 1  # Telegram's number of the person at the bot, and of their chat
SLOW_SEC: Final = 30.0
RETRY_SEC: Final = 3

Temper = Literal["well", "slow", "limits", "breaks"]


class Person:
    """Somebody at the HTTP door with a token."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.token = ""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and body of the answer."""
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        async with self.session.request(method, self.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None) if answer.status != 204 else None

    async def log_in(self, ticket: str) -> None:
        """By a link from the terminal, which counts as a second factor. Raises Broken."""
        status, told = await self.ask("POST", "/auth/ticket", {"ticket": ticket})
        if status != 200:
            raise Broken(f"a fresh link was answered {status}: {told}")
        self.token = told["access_token"]


async def web_address(child: Child) -> str:
    """Where a child's HTTP door is, by its status."""
    return str((await child.ask("status"))["web_address"])


async def person_of(child: Child, session: aiohttp.ClientSession, role: str) -> Person:
    """A new user of a child's daemon, logged in."""
    email = f"{role}@drill.example"
    await child.ask("user.add", {"email": email, "password": PASSWORD, "role": role})
    found = Person(session, await web_address(child))
    await found.log_in((await child.ask("user.link", {"user": email}))["ticket"])
    return found


# ---- those whom it tells ----


@asynccontextmanager
async def listening(app: web.Application, port: int = 0) -> AsyncIterator[int]:
    """A server on a port of this machine; gives the port."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


class Mailbox:
    """Takes every message; `messages` are their bodies."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def app(self) -> web.Application:
        """What answers."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        self.messages.append((await request.read()).decode(errors="replace"))
        return web.json_response({"ok": True})

    def has(self, text: str) -> bool:
        """Whether a message says this."""
        return any(text in message for message in self.messages)


class BotApi:
    """Telegram's Bot API as far as the bot uses it. `temper`: well; slow, it answers after half a minute; limits, it
    asks to come back later; breaks, it closes the connection."""

    def __init__(self) -> None:
        self.temper: Temper = "well"
        self.said: list[dict[str, str]] = []
        self.asked = 0  # calls while it was not well
        self._updates: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        self._last_id = 1000

    def app(self) -> web.Application:
        """What answers."""
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", self._answer)
        return app

    def change(self, temper: Temper) -> None:
        """From now on it is like this; who waits for a slow answer has it now."""
        self.temper = temper
        self._changed.set()
        self._changed = asyncio.Event()
        self._news.set()

    def say(self, text: str) -> None:
        """The person writes to the bot."""
        self._put(
            {"message": {"message_id": self._last_id, "date": int(time.time()), "text": text, **_who(is_bot=False)}}
        )

    def press(self, data: str) -> None:
        """The person presses a button."""
        there = {"message_id": 1, "date": int(time.time()), "text": "?", **_who(is_bot=True)}
        pressed = {"id": "c1", "chat_instance": "i", "data": data, "message": there, "from": _who(is_bot=False)["from"]}
        self._put({"callback_query": pressed})

    def _put(self, update: dict[str, Any]) -> None:
        self._last_id += 1
        self._updates.append({"update_id": self._last_id, **update})
        self._news.set()

    async def until_said(self, text: str) -> dict[str, str]:
        """The first message of the bot with this text in it. Raises Broken."""
        await until(lambda: any(text in one["text"] for one in self.said), why=f"the bot says {text!r}")
        return next(one for one in self.said if text in one["text"])

    async def until_asked(self) -> dict[str, str]:
        """The first message of the bot with buttons. Raises Broken."""
        await until(lambda: any("reply_markup" in one for one in self.said), why="the bot asks for a second tap")
        return next(one for one in self.said if "reply_markup" in one)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        is_json = request.content_type == "application/json"
        said = await request.json() if is_json else await request.post()
        form = {name: str(value) for name, value in said.items()}
        if self.temper != "well":
            self.asked += 1
        if self.temper == "breaks" and request.transport is not None:
            request.transport.abort()
        if self.temper == "limits":
            told = {"ok": False, "error_code": 429, "description": "later", "parameters": {"retry_after": RETRY_SEC}}
            return web.json_response(told, status=429)
        if self.temper == "slow":
            await _until_or(self._changed, SLOW_SEC)
        return web.json_response({"ok": True, "result": await self._result(request.match_info["method"], form)})

    async def _result(self, method: str, form: dict[str, str]) -> Any:
        if method == "getUpdates":
            return await self._polled(int(form.get("offset", 0)), float(form.get("timeout", 0)))
        if method == "sendMessage":
            self.said.append(form)
            chat = {"id": int(form["chat_id"]), "type": "private"}
            return {"message_id": len(self.said), "date": 1, "chat": chat}
        return True

    async def _polled(self, offset: int, timeout_sec: float) -> list[dict[str, Any]]:
        found = [one for one in self._updates if one["update_id"] >= offset]
        if not found:
            self._news.clear()
            await _until_or(self._news, timeout_sec)
            found = [one for one in self._updates if one["update_id"] >= offset]
        return found


async def _until_or(event: asyncio.Event, most_sec: float) -> None:
    try:
        async with asyncio.timeout(most_sec):
            await event.wait()
    except TimeoutError:
        return


def _who(*, is_bot: bool) -> dict[str, Any]:
    sender = {"id": 42 if is_bot else PERSON, "is_bot": is_bot, "first_name": "x"}
    return {"chat": {"id": PERSON, "type": "private", "first_name": "x"}, "from": sender}


def buttons(said: dict[str, str]) -> list[str]:
    """What the buttons of a message say when they are pressed."""
    return [one["callback_data"] for row in json.loads(said["reply_markup"])["inline_keyboard"] for one in row]


def bot_settings(url: str) -> tuple[str, ...]:
    """The lines of a daemon whose bot is at this address; the token is in its environment as BOT."""
    return (
        "telegram.enabled = true",
        'telegram.token = "env:BOT"',
        f"telegram.users = [{PERSON}]",
        f"telegram.chats = [{PERSON}]",
        f'telegram.base_url = "{url}"',
    )

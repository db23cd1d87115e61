"""A Bot API on this machine, as far as the bot uses it: long polls, messages, pressed buttons."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

TOKEN = "42:TEST-T0KEN"


class BotApi:
    """Updates that wait for the bot, and what it said."""

    def __init__(self, now_sec: Callable[[], int]) -> None:
        self.now_sec = now_sec
        self.updates: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.nods: list[dict[str, Any]] = []
        self.offsets: list[int] = []
        self.fails: list[tuple[int, dict[str, Any]]] = []  # answers for the next sendMessage calls
        self.came = asyncio.Event()
        self.news = asyncio.Event()
        self.next_id = 1000

    def say(self, text: str, user: int = 1, chat: int = 1, **more: Any) -> dict[str, Any]:
        """Somebody writes to the bot."""
        self.next_id += 1
        message = {
            "message_id": self.next_id, "date": self.now_sec(), "text": text,
            "chat": {"id": chat, "type": "private", "first_name": "x"},
            "from": {"id": user, "is_bot": False, "first_name": "x"},
            **more,
        }  # fmt: skip
        return self.put({"message": message})

    def press(self, data: str, user: int = 1, chat: int = 1) -> dict[str, Any]:
        """Somebody presses a button."""
        self.next_id += 1
        who = {"id": user, "is_bot": False, "first_name": "x"}
        message = {
            "message_id": 1, "date": self.now_sec(), "chat": {"id": chat, "type": "private", "first_name": "x"},
            "from": {"id": 42, "is_bot": True, "first_name": "bot"}, "text": "?",
        }  # fmt: skip
        return self.put(
            {"callback_query": {"id": "c1", "from": who, "chat_instance": "i", "message": message, "data": data}}
        )

    def put(self, update: dict[str, Any]) -> dict[str, Any]:
        self.next_id += 1
        whole = {"update_id": self.next_id, **update}
        self.updates.append(whole)
        self.news.set()
        return whole

    async def until_said(self, count: int) -> dict[str, Any]:
        """Wait for the bot's messages; gives the last."""
        async with asyncio.timeout(60):
            while len(self.said) < count:
                self.came.clear()
                await self.came.wait()
        return self.said[-1]

    async def handle(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        assert request.match_info["token"] == TOKEN
        form = {name: str(value) for name, value in (await request.post()).items()}
        answer: Any = True
        if method == "getUpdates":
            answer = await self._polled(int(form.get("offset", 0)), float(form.get("timeout", 0)))
        elif method == "sendMessage":
            if self.fails:
                status, body = self.fails.pop(0)
                return web.json_response(body, status=status)
            self.said.append(form)
            self.came.set()
            answer = {"message_id": len(self.said), "date": 1, "chat": {"id": int(form["chat_id"]), "type": "private"}}
        elif method == "answerCallbackQuery":
            self.nods.append(form)
        return web.json_response({"ok": True, "result": answer})

    async def _polled(self, offset: int, timeout: float) -> list[dict[str, Any]]:
        self.offsets.append(offset)
        try:
            async with asyncio.timeout(timeout):
                while not (found := [one for one in self.updates if one["update_id"] >= offset]):
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            return []
        return found


@asynccontextmanager
async def bot_api(now_sec: Callable[[], int]) -> AsyncIterator[tuple[BotApi, str]]:
    """The server and its address."""
    api = BotApi(now_sec)
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield api, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def buttons(said: dict[str, Any]) -> list[str]:
    """What the buttons of a message say when they are pressed."""
    return [one["callback_data"] for row in json.loads(said["reply_markup"])["inline_keyboard"] for one in row]

"""Telegram's Bot API by python-telegram-bot (extra `telegram`); the only module that knows the library."""

from datetime import timedelta
from typing import Any, Final, Protocol

from gambit.telegram.update import Nod, Say, Update

POLL_SLACK_SEC: Final = 10.0
KINDS: Final = (
    "message", "edited_message", "channel_post", "edited_channel_post", "callback_query", "my_chat_member",
)  # fmt: skip


class ApiError(Exception):
    """A call that came to nothing; `wait_sec` is what Telegram asks for; the text holds no token."""

    def __init__(self, text: str, wait_sec: float = 0.0) -> None:
        super().__init__(text)
        self.wait_sec = wait_sec


class Api(Protocol):
    """What the bot needs of Telegram. Everything raises ApiError."""

    async def updates(self, offset: int, timeout_sec: int) -> list[Update]: ...
    async def say(self, message: Say) -> None: ...
    async def nod(self, nod: Nod) -> None: ...
    async def close(self) -> None: ...


class NoLibrary(Exception):
    """The extra is not installed."""


class Library:
    """See Api."""

    def __init__(self, token: str, base_url: str, timeout_sec: float) -> None:
        """Raises NoLibrary, ApiError for what is no token."""
        try:
            import telegram
            from telegram.request import HTTPXRequest
        except ImportError as error:
            raise NoLibrary("the bot needs the extra: pip install 'gambit[telegram]'") from error
        self._telegram = telegram
        self._requests = [
            HTTPXRequest(connection_pool_size=size, read_timeout=read, connect_timeout=timeout_sec,
                         write_timeout=timeout_sec, pool_timeout=timeout_sec)
            for size, read in ((4, timeout_sec), (1, timeout_sec + POLL_SLACK_SEC))
        ]  # fmt: skip
        try:
            self._bot = telegram.Bot(
                token, base_url=f"{base_url.rstrip('/')}/bot", request=self._requests[0],
                get_updates_request=self._requests[1],
            )  # fmt: skip
        except telegram.error.TelegramError as error:
            raise ApiError(type(error).__name__) from None

    async def updates(self, offset: int, timeout_sec: int) -> list[Update]:
        """Wait for what comes, at most so long."""
        try:
            found = await self._bot.get_updates(
                offset=offset, timeout=timeout_sec, read_timeout=timeout_sec + POLL_SLACK_SEC,
                allowed_updates=list(KINDS),
            )  # fmt: skip
        except self._telegram.error.TelegramError as error:
            raise _told(error) from None
        return [plain(one) for one in found]

    async def say(self, message: Say) -> None:
        """Send it."""
        telegram = self._telegram
        row = [telegram.InlineKeyboardButton(words, callback_data=data) for words, data in message.buttons]
        try:
            await self._bot.send_message(
                message.chat_id, message.html, parse_mode="HTML",
                reply_markup=telegram.InlineKeyboardMarkup([row]) if row else None,
                link_preview_options=telegram.LinkPreviewOptions(is_disabled=True),
            )  # fmt: skip
        except telegram.error.TelegramError as error:
            raise _told(error) from None

    async def nod(self, nod: Nod) -> None:
        """Answer a pressed button."""
        try:
            await self._bot.answer_callback_query(nod.callback_id, text=nod.text or None)
        except self._telegram.error.TelegramError as error:
            raise _told(error) from None

    async def close(self) -> None:
        """Let go of the connections."""
        for request in self._requests:
            await request.shutdown()


def _told(error: Any) -> ApiError:
    """What went wrong, without the address, which holds the token."""
    wait = getattr(error, "_retry_after", None)  # the public one warns that it will be a timedelta some day
    return ApiError(type(error).__name__, wait.total_seconds() if isinstance(wait, timedelta) else 0.0)


def plain(found: Any) -> Update:
    """The library's update as ours."""
    if found.callback_query is not None:
        query = found.callback_query
        chat = getattr(query.message, "chat", None)
        return Update(
            update_id=found.update_id, kind="button", user_id=query.from_user.id, is_bot=query.from_user.is_bot,
            chat_id=chat.id if chat is not None else 0, chat_type=str(chat.type) if chat is not None else "",
            data=query.data or "", callback_id=query.id,
        )  # fmt: skip
    message = found.effective_message
    if message is None:
        return Update(update_id=found.update_id, kind="other")
    sender = message.from_user
    is_edit = found.edited_message is not None or found.edited_channel_post is not None
    is_channel = found.channel_post is not None or found.edited_channel_post is not None
    return Update(
        update_id=found.update_id,
        kind="channel" if is_channel else "edited" if is_edit else "message",
        user_id=sender.id if sender is not None else 0,
        is_bot=(sender is not None and sender.is_bot) or message.sender_chat is not None or message.via_bot is not None,
        chat_id=message.chat.id,
        chat_type=str(message.chat.type),
        is_forward=message.forward_origin is not None or bool(message.is_automatic_forward),
        text=message.text or "",
        date_sec=int(message.date.timestamp()),
    )

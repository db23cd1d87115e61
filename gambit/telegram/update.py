"""What comes in from Telegram and what goes out, as plain structs: the core knows no library and no socket."""

from typing import Any, Literal

import msgspec

Kind = Literal["message", "edited", "channel", "button", "other"]


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """One update. `data` is what a button says, `callback_id` has to be answered."""

    update_id: int
    kind: Kind
    user_id: int = 0
    chat_id: int = 0
    chat_type: str = ""
    is_forward: bool = False
    is_bot: bool = False
    text: str = ""
    date_sec: int = 0
    data: str = ""
    callback_id: str = ""


class Say(msgspec.Struct, frozen=True, kw_only=True):
    """A message; `html` is markup of ours with everything else escaped, `buttons` are (words, data)."""

    chat_id: int
    html: str
    buttons: tuple[tuple[str, str], ...] = ()


class Nod(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that a pressed button waits for."""

    callback_id: str
    text: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the table of handlers; the answer comes back by Core.answered."""

    chat_id: int
    user_id: int  # Telegram's
    command: str
    args: str
    methods: tuple[tuple[str, dict[str, Any]], ...]
    is_deed: bool = False  # it changes something: what was taken in is on disk first
    is_stop: bool = False  # unless it stops something: that waits for nothing, and does no harm twice


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """For the audit log."""

    who: str
    action: str
    outcome: str = "ok"
    detail: str = ""


Action = Say | Nod | Run | Note

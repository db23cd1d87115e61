"""What the bot remembers over a restart: how far it has read, who is linked, what was done, who wants to be told."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "telegram.json"


class Link(msgspec.Struct, frozen=True):
    """A Telegram account that is a user here, in one private chat."""

    user_id: str
    chat_id: int
    at_ns: int


class Wish(msgspec.Struct, frozen=True):
    """Of what a linked user is told."""

    severity: str = "off"
    topics: tuple[str, ...] = ()  # rules and `signals`; empty: every rule, no signals


class Done(msgspec.Struct, frozen=True):
    """A deed that was done, and what was said of it."""

    at_ns: int
    html: str


class Kept(msgspec.Struct):
    """All of it, by Telegram's user id; `done` by chat, command and arguments."""

    update_id: int = 0
    seen_ns: int = 0  # when that was
    links: dict[str, Link] = {}
    wishes: dict[str, Wish] = {}
    done: dict[str, Done] = {}


def load(state_dir: Path) -> Kept:
    """Raises OSError, ValueError for a file that cannot be read: nobody is taken for somebody else by a guess."""
    try:
        return msgspec.json.decode((state_dir / FILE).read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()


def save(state_dir: Path, kept: Kept) -> None:
    """Durably: what was taken in is not taken in again. Raises OSError."""
    fresh = state_dir / (FILE + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(state_dir / FILE)


def wish_of(wishes: Mapping[str, Wish], user_id: int) -> Wish:
    """What somebody wants to be told; nothing unless they said so."""
    return wishes.get(str(user_id), Wish())

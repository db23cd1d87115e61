"""What a client of the WebSocket may say, and the words it is answered with; no sockets.

    {"op":"auth","token":T}         first message where the upgrade had no Authorization header; later: a newer token
    {"op":"subscribe","channels":[...],"symbols":[...],"venues":[...],"users":[...],"since":{CHANNEL:SEQ},"rate":5}
    {"op":"unsubscribe","channels":[...]}
    {"op":"ping","t":ANYTHING}      answered by {"op":"pong","t":ANYTHING}

Nothing can be commanded here: what changes something goes over REST.
"""

from typing import Annotated, Final

import msgspec

from gambit.web.hub import RATE, RATE_MAX, Told, encoded

NAMES_MAX: Final = 64  # channels, symbols, venues, users of one message
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=NAMES_MAX)]


class Op(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """By name, nothing else."""


class Auth(Op, frozen=True, tag="auth"):
    """An access token."""

    token: Annotated[str, msgspec.Meta(max_length=8192)]


class Subscribe(Op, frozen=True, tag="subscribe"):
    """What is wanted from now on of these channels."""

    channels: Names
    symbols: Names = ()
    venues: Names = ()
    users: Names = ()
    since: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}
    rate: Annotated[float, msgspec.Meta(ge=0.1, le=RATE_MAX)] = RATE


class Unsubscribe(Op, frozen=True, tag="unsubscribe"):
    """What is not wanted any more."""

    channels: Names


class Ping(Op, frozen=True, tag="ping"):
    """To measure the way and back."""

    t: Annotated[str, msgspec.Meta(max_length=64)] | float | int | None = None


class _Named(msgspec.Struct):
    op: str = ""


Said = Auth | Subscribe | Unsubscribe | Ping
_DECODER: Final[msgspec.json.Decoder[Said]] = msgspec.json.Decoder(Said)
_NAMED: Final = msgspec.json.Decoder(_Named)


def said(text: str | bytes) -> Said:
    """What a message says; raises msgspec.ValidationError or DecodeError with what is wrong."""
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deep") from error


def op_of(text: str | bytes) -> str:
    """The op of a message that says nothing known; empty where it has none."""
    try:
        return _NAMED.decode(text).op
    except (msgspec.DecodeError, RecursionError):
        return ""


def error(code: str, detail: str, **more: object) -> bytes:
    """No, and why: `code` is bad_message, unknown_channel, forbidden or command."""
    return encoded({"op": "error", "code": code, "detail": detail, **more})


def subscribed(told: dict[str, Told]) -> bytes:
    """Where each channel begins."""
    return encoded(
        {"op": "subscribed", "channels": {n: {"seq": t.seq, "resumed": t.is_resumed} for n, t in told.items()}}
    )

"""From the parts of a request to typed values; what does not fit is a Problem that names the field."""

import asyncio
import re
from typing import Any, Final

import msgspec
from aiohttp import web
from multidict import MultiMapping

from gambit.web.problem import FieldError, Problem
from gambit.web.route import JSON

BODY_BYTES_MAX: Final = 64 * 1024
BODY_SEC: Final = 10.0
TARGET_CHARS_MAX: Final = 4096
NO_MEDIA: Final = "application/octet-stream"  # what an absent Content-Type counts as
PATH: Final = re.compile(r"/(?:[A-Za-z0-9_~@:-][A-Za-z0-9._~@:-]*(?:/[A-Za-z0-9_~@:-][A-Za-z0-9._~@:-]*)*)?")
PLACE: Final = re.compile(r" - at `\$\.?([^`]*)`$")


def path_of(request: web.BaseRequest) -> str | None:
    """The path, exactly as it was sent; None for one that is spelled as no path of ours is: escapes, empty parts,
    dots at the front, another host."""
    path, _, _ = request.raw_path.partition("?")
    return path if PATH.fullmatch(path) and len(request.raw_path) <= TARGET_CHARS_MAX else None


async def body_of(request: web.BaseRequest) -> bytes:
    """The body's bytes. Raises Problem: 413 before more than the limit is read, 408 when it does not come, 400 when it
    is framed wrongly or its sender left (whom nobody can tell so any more; it is counted as theirs)."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "encoding", "Content-Encoding: bodies are taken as they are")
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise _too_large()
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_SEC):
            while chunk := await request.content.readany():
                found += chunk
                if len(found) > BODY_BYTES_MAX:
                    raise _too_large()
    except TimeoutError as error:
        raise Problem(408, "slow", "the body did not come", headers={"Connection": "close"}) from error
    except web.RequestPayloadError as error:
        raise Problem(
            400, "framing", "the body is not framed as HTTP has it", headers={"Connection": "close"}
        ) from error
    except OSError as error:
        raise Problem(400, "framing", "the connection ended before the body did") from error
    return bytes(found)


def typed_body(request: web.BaseRequest, raw: bytes, kind: type[msgspec.Struct]) -> Any:
    """A JSON body as its type. Who sends none says nothing of what could be said; with a form's media type it may be
    somebody else's page that sends it."""
    if not raw and request.content_type == NO_MEDIA:
        raw = b"{}"
    elif request.content_type != JSON:
        raise Problem(415, "media_type", f"Content-Type: {JSON} is due")
    try:
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError as error:
            msgspec.json.decode(raw)  # what is no JSON further on is that, whatever was unfit before
            raise _unfit(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "json", f"the body is not JSON: {str(error)[:200]}") from error


def typed_query(query: MultiMapping[str], kind: type[msgspec.Struct]) -> Any:
    """A query string as its type; a name that comes twice is an error."""
    for name in query:
        if len(query.getall(name)) > 1:
            raise _field(name, f"{name}: once is enough")
    return typed_words(dict(query), kind)


def typed_words(words: dict[str, str], kind: type[msgspec.Struct]) -> Any:
    """Words as a type: numbers and booleans are read from their text."""
    try:
        return msgspec.convert(words, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _unfit(error) from error


def _unfit(error: msgspec.ValidationError) -> Problem:
    """Names the field; the value is not repeated, for it may be a secret."""
    text = str(error)
    found = PLACE.search(text)
    missing = re.search(r"(?:missing required|contains unknown) field `([^`]*)`", text)
    parts = [found[1] if found else "", missing[1] if missing else ""]
    name = ".".join(part for part in parts if part)
    return _field(name[:100], PLACE.sub("", text)[:300])


def _field(name: str, text: str) -> Problem:
    return Problem(422, "invalid", f"{name}: {text}" if name else text, errors=(FieldError(name, text),))


def _too_large() -> Problem:
    text = f"a body has at most {BODY_BYTES_MAX} bytes"
    return Problem(413, "too_large", text, headers={"Connection": "close"})

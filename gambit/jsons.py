"""JSON that is kept for a while."""

from typing import Any, Final

import orjson

_KEYS: Final = orjson.OPT_NON_STR_KEYS


def kept_json(value: Any, *, is_loose: bool = False) -> bytes:
    """`value` as JSON, in no more memory than its text: what orjson gives keeps the 4 to 16 KB of the buffer into which
    it was written (3.13), tenfold what a signal needs. Loose: exact decimals and other strangers as text, and keys of
    any type. Raises orjson.JSONEncodeError (a TypeError)."""
    text = orjson.dumps(value, default=str, option=_KEYS) if is_loose else orjson.dumps(value)
    return bytes(memoryview(text))

"""Masks secrets in whatever is written: what stands under a telling key, and every value that is known.

There is one for the process. The vault, the configuration and whoever reads a secret from elsewhere tell it; logs,
journal, error texts and the last words of a crash pass through it.
"""

from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson

MASK: Final = "***"
SECRET_KEYS: Final = (
    "secret", "password", "passphrase", "api_key", "apikey", "token", "authorization", "signature", "cookie",
    "private_key",
)  # fmt: skip
CHARS_MIN: Final = 6  # a shorter value would mask half the words of a line
LINE_CHARS_MIN: Final = 16  # of a key in several lines each long line counts
DEPTH_MAX: Final = 6


class Redactor:
    """See above. A value is known as it is, and as JSON, URLs and forms write it."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._raws: list[bytes] = []

    def learn(self, secret: str) -> None:
        """From now on this value appears in nothing that passes."""
        lines = [line.strip() for line in secret.splitlines()]
        parts = [line for line in lines if len(line) >= LINE_CHARS_MIN and not line.startswith("-----")]
        fresh = {spelling for value in (secret.strip(), *parts) for spelling in _spellings(value)} - set(self._texts)
        if fresh:
            self._texts = sorted([*self._texts, *fresh], key=len, reverse=True)
            self._raws = [text.encode("utf-8", "surrogateescape") for text in self._texts]

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for key in event:
            event[key] = self.masked(event[key], key)
        return event

    def masked(self, value: Any, key: str = "", depth: int = 0) -> Any:
        """The value without secrets."""
        if any(word in key.lower() for word in SECRET_KEYS) and value not in (None, ""):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode("latin-1"))
        if isinstance(value, int | float | None):
            return value
        if depth >= DEPTH_MAX:
            return self.text(str(value))
        if isinstance(value, dict):
            return {str(k): self.masked(v, str(k), depth + 1) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.masked(each, key, depth + 1) for each in value]
        return self.text(str(value))

    def text(self, text: str) -> str:
        """A text without the known values, and fit to be written as UTF-8."""
        if not text.isascii():
            text = text.encode(errors="replace").decode()  # lone surrogates have no place in a line
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def raw(self, data: bytes) -> bytes:
        """The same for bytes that are written as they are; nothing is copied where nothing is found."""
        for secret in self._raws:
            if secret in data:
                data = data.replace(secret, MASK.encode())
        return data


def _spellings(value: str) -> set[str]:
    if len(value) < CHARS_MIN:
        return set()
    quoted = orjson.dumps(value.encode(errors="replace").decode()).decode()[1:-1]
    return {value, quoted, quote(value, safe=""), quote_plus(value)}

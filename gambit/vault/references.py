"""Where a setting says that a secret is: `secret:NAME` in the vault, `env:NAME`, or `file:PATH`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from gambit.vault.files import read_private
from gambit.vault.problem import VaultError

FILE_BYTES_MAX: Final = 64 * 1024


class Secrets(Protocol):
    """The vault, as far as references go."""

    def get(self, name: str) -> bytes:
        """Raises VaultError."""
        ...


def resolve(reference: str, secrets: Secrets, environ: Mapping[str, str]) -> str:
    """The secret that a reference means, without blanks around it. Raises VaultError; no message repeats a value."""
    kind, _, place = reference.partition(":")
    if kind == "secret":
        raw = secrets.get(place)
    elif kind == "env":
        if place not in environ:
            raise VaultError(f"the environment has no variable {place}")
        raw = environ[place].encode("utf-8", "surrogateescape")
    else:
        try:
            raw = read_private(Path(place).expanduser(), "the file of a secret", FILE_BYTES_MAX)
        except FileNotFoundError as error:
            raise VaultError(f"{place}: the file of a secret is not there") from error
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise VaultError(f"{reference}: not a text in UTF-8") from error
    if not text:
        raise VaultError(f"{reference}: empty")
    return text

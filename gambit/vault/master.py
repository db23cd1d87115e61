"""Where the master key comes from. In order: a systemd credential, the file that GAMBIT_MASTER_KEY_FILE names, a
passphrase (the file that GAMBIT_PASSPHRASE_FILE names, or asked for on a terminal), a key file in the state directory.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from gambit.vault.envelope import KEY_BYTES, Random
from gambit.vault.files import create_private, read_private
from gambit.vault.problem import VaultError

CREDENTIAL: Final = "gambit-master-key"
KEY_NAME: Final = "master.key"
KEY_FILE_BYTES_MAX: Final = 4096
PASSPHRASE_CHARS_MIN: Final = 12
SALT_BYTES: Final = 16
# RFC 9106's second recommendation: 64 MiB, three passes, four lanes.
ITERATIONS: Final = 3
LANES: Final = 4
MEMORY_KIB: Final = 64 * 1024
MEMORY_KIB_MAX: Final = 1 << 20  # a file that asks for more is damaged


class Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a passphrase becomes a key: Argon2id (RFC 9106) with these costs."""

    salt: bytes
    iterations: int = ITERATIONS
    lanes: int = LANES
    memory_kib: int = MEMORY_KIB


class Master(msgspec.Struct, frozen=True):
    """A master key, or the passphrase it is made of; `source` says where it was found."""

    source: str
    key: bytes = b""
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"Master(source={self.source!r})"

    def new_kdf(self, random: Random) -> Kdf | None:
        """A fresh salt for a passphrase; None for a key."""
        return Kdf(random(SALT_BYTES)) if self.passphrase else None

    def key_for(self, kdf: Kdf | None) -> bytes:
        """The 32 bytes that seal the data key. Raises VaultError where a key is at hand and a passphrase is wanted, or
        the other way round."""
        if kdf is None:
            if not self.key:
                raise VaultError(f"the vault wants a key, and {self.source} gives a passphrase")
            return self.key
        if not self.passphrase:
            raise VaultError(f"the vault wants a passphrase, and {self.source} gives a key; set GAMBIT_PASSPHRASE_FILE")
        if not (1 <= kdf.iterations <= 100 and 1 <= kdf.lanes <= 64 and kdf.memory_kib <= MEMORY_KIB_MAX):
            raise VaultError("the vault asks for costs of Argon2id that nobody set; it is damaged")
        derive = Argon2id(
            salt=kdf.salt, length=KEY_BYTES, iterations=kdf.iterations, lanes=kdf.lanes, memory_cost=kdf.memory_kib
        )
        return derive.derive(self.passphrase.encode())


def find_master(
    state_dir: Path,
    environ: Mapping[str, str],
    *,
    wants_passphrase: bool | None,
    ask: Callable[[], str] | None,
    tell: Callable[[str], None],
    random: Random,
) -> Master:
    """The first source there is; a key file is made only where there is no vault yet, and told of.

    `wants_passphrase` is what an existing vault was sealed with, None where there is none; `ask` prompts on a terminal,
    None without one. Raises VaultError.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if folder and Path(folder, CREDENTIAL).exists():
        return Master("the systemd credential", key=_credential(Path(folder, CREDENTIAL)))
    named = environ.get("GAMBIT_MASTER_KEY_FILE", "")
    if named:
        return Master(f"GAMBIT_MASTER_KEY_FILE ({named})", key=key_in(Path(named)))
    named = environ.get("GAMBIT_PASSPHRASE_FILE", "")
    if named:
        return Master(f"GAMBIT_PASSPHRASE_FILE ({named})", passphrase=passphrase_in(Path(named)))
    if wants_passphrase:
        if ask is None:
            raise VaultError("the vault wants its passphrase: set GAMBIT_PASSPHRASE_FILE, or start on a terminal")
        return Master("what was typed", passphrase=checked_passphrase(ask()))
    path = state_dir / KEY_NAME
    if wants_passphrase is None and not path.exists() and create_private(path, random(KEY_BYTES).hex().encode()):
        tell(f"made a master key, {path}: without it the vault cannot be opened; keep a copy apart from backups of it")
    return Master(str(path), key=key_in(path))


def key_in(path: Path) -> bytes:
    """The key in a file: 32 bytes, or these in hex or base64. Raises VaultError."""
    try:
        return _key(path, read_private(path, "the master key file", KEY_FILE_BYTES_MAX))
    except FileNotFoundError as error:
        raise VaultError(
            f"{path}: the master key file is not there; put it back, or name it by GAMBIT_MASTER_KEY_FILE"
        ) from error


def passphrase_in(path: Path) -> str:
    """The passphrase in a file, without the newline at its end. Raises VaultError."""
    try:
        raw = read_private(path, "the passphrase file", KEY_FILE_BYTES_MAX)
        return checked_passphrase(raw.decode().removesuffix("\n").removesuffix("\r"))
    except FileNotFoundError as error:
        raise VaultError(f"{path}: the passphrase file is not there") from error
    except UnicodeDecodeError as error:
        raise VaultError(f"{path}: the passphrase is not UTF-8 text") from error


def checked_passphrase(text: str) -> str:
    """The passphrase, long enough to be one. Raises VaultError."""
    if len(text) < PASSPHRASE_CHARS_MIN:
        raise VaultError(f"the passphrase has fewer than {PASSPHRASE_CHARS_MIN} characters")
    return text


def _credential(path: Path) -> bytes:
    """systemd keeps others out by the folder, and by access lists that show as a wider mode: the mode says nothing."""
    try:
        with path.open("rb") as file:
            return _key(path, file.read(KEY_FILE_BYTES_MAX))
    except OSError as error:
        raise VaultError(f"{path}: the systemd credential cannot be read: {error.strerror}") from error


def _key(path: Path, raw: bytes) -> bytes:
    if len(raw) == KEY_BYTES:
        return raw
    text = raw.strip()
    try:
        key = bytes.fromhex(text.decode("ascii")) if len(text) == 2 * KEY_BYTES else b64decode(text, validate=True)
    except (ValueError, binascii.Error, UnicodeDecodeError):
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultError(f"{path}: not a master key: 32 bytes, as they are, in hex or base64 (`openssl rand -hex 32`)")
    return key

"""The vault: named secrets with versions in one encrypted file of the state directory.

The file is a JSON object: how the master key is made, the data key sealed by it, and the sealed index. In the index
each version of each secret is sealed once more with its name and version, so that memory holds plain values only where
they were asked for. Every change takes a lock, reads the file anew, and replaces it whole; a file that cannot be opened
is never written. What was changed since the journal was last told stands in the index too.
"""

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from gambit.vault.envelope import KEY_BYTES, NotOpened, Random, seal, secret_context, unseal
from gambit.vault.files import read_private, replace_private
from gambit.vault.master import Kdf, Master, find_master
from gambit.vault.problem import NoSecret, VaultError, WrongMasterKey
from gambit.vault.rotation import Due, due

FILE_NAME: Final = "vault.json"
LOCK_NAME: Final = "vault.lock"
FORMAT: Final = "gambit-vault-1"
NAME: Final = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*(/[A-Za-z0-9]+([._-][A-Za-z0-9]+)*){0,3}")
VERSIONS_KEPT: Final = 3
VALUE_BYTES_MAX: Final = 1 << 20
CHANGES_MAX: Final = 1000


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    kdf: Kdf | None
    data_key: bytes
    index: bytes


class _Version(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    created_ns: int
    sealed: bytes


class _Secret(msgspec.Struct, forbid_unknown_fields=True):
    created_ns: int
    note: str = ""
    versions: list[_Version] = []


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was done to a secret, for the journal: without its value."""

    number: int
    what: str  # added, rotated, removed
    name: str
    version: int
    at_ns: int
    by: str


class _Index(msgspec.Struct, forbid_unknown_fields=True):
    secrets: dict[str, _Secret] = {}
    changes: list[Change] = []
    last_change: int = 0


class About(msgspec.Struct, frozen=True):
    """What may be told of a secret."""

    name: str
    version: int
    created_ns: int
    rotated_ns: int  # when the version in force was made
    note: str


class Vault:
    """See above. `find` looks for the master key once it is needed (whether a passphrase is wanted; None: there is no
    vault yet); `on_secret` hears every value that is read or written, so that logs can mask it. Any thread may use
    it."""

    def __init__(
        self,
        path: Path,
        find: Callable[[bool | None], Master],
        now_ns: Callable[[], int],
        *,
        on_secret: Callable[[str], None] = lambda _value: None,
        random: Random = os.urandom,
    ) -> None:
        self.path = path
        self._find = find
        self._master: Master | None = None
        self._now_ns = now_ns
        self._on_secret = on_secret
        self._random = random
        self._lock = threading.RLock()
        self._stamp: tuple[int, int, int] | None = None
        self._kdf: Kdf | None = None
        self._wrapped = b""
        self._data_key = b""
        self._index = _Index()

    @classmethod
    def open(
        cls,
        state_dir: Path,
        environ: Mapping[str, str],
        now_ns: Callable[[], int],
        *,
        ask: Callable[[], str] | None = None,
        tell: Callable[[str], None] = lambda _text: None,
        on_secret: Callable[[str], None] = lambda _value: None,
        random: Random = os.urandom,
    ) -> Self:
        """The vault of a state directory, empty at first; a key file that is made with the first secret is told of.

        Raises VaultError; WrongMasterKey when the key at hand does not open it.
        """

        def find(wants_passphrase: bool | None) -> Master:
            return find_master(state_dir, environ, wants_passphrase=wants_passphrase, ask=ask, tell=tell, random=random)

        vault = cls(state_dir / FILE_NAME, find, now_ns, on_secret=on_secret, random=random)
        vault.refresh()
        return vault

    @staticmethod
    def exists(state_dir: Path) -> bool:
        """Whether a state directory has a vault."""
        return (state_dir / FILE_NAME).exists()

    # ---- reading ----

    def refresh(self) -> bool:
        """Read the file if it was replaced since; says whether it was. Raises VaultError."""
        with self._lock:
            stamp = _stamp(self.path)
            if stamp == self._stamp:
                return False
            self._take(_read(self.path))
            self._stamp = stamp
            return True

    def names(self) -> list[str]:
        """All secrets, by name."""
        self.refresh()
        return sorted(self._index.secrets)

    def get(self, name: str, version: int | None = None) -> bytes:
        """A secret; the version in force unless another is named. Raises NoSecret, VaultError."""
        self.refresh()
        for each in list(self._secret(name).versions):
            if version is None or each.version == version:
                value = self._opened(name, each)
                self._on_secret(value.decode("latin-1"))
                return value
        raise NoSecret(f"{name} version {version}")

    def about(self, name: str) -> About:
        """What may be told of a secret. Raises NoSecret, VaultError."""
        self.refresh()
        secret = self._secret(name)
        latest = secret.versions[0]
        return About(name, latest.version, secret.created_ns, latest.created_ns, secret.note)

    def due(self, now_ns: int) -> list[Due]:
        """The secrets that want to be changed, by name."""
        found = (due(name, self.about(name).rotated_ns, now_ns) for name in self.names())
        return [each for each in found if each is not None]

    def learn_all(self) -> None:
        """Tell `on_secret` of every value there is, older versions too."""
        self.refresh()
        for name, secret in list(self._index.secrets.items()):
            for each in secret.versions:
                self._on_secret(self._opened(name, each).decode("latin-1"))

    # ---- writing ----

    def put(self, name: str, value: bytes, *, note: str = "", by: str = "gambit") -> int:
        """Keep a value under a name, as a new version when there is one already; gives the version. The last three
        stay readable. Raises VaultError; nothing is written then."""
        return self.put_all({name: value}, note=note, by=by)[name]

    def put_all(self, values: Mapping[str, bytes], *, note: str = "", by: str = "gambit") -> dict[str, int]:
        """Several at once: all of them or none."""
        for name, value in values.items():
            _check(name, value)
            self._on_secret(value.decode("latin-1"))
        now_ns, given = self._now_ns(), {}
        with self._changing():
            for name, value in values.items():
                secret = self._index.secrets.get(name)
                what = "added" if secret is None else "rotated"
                if secret is None:
                    secret = self._index.secrets[name] = _Secret(now_ns)
                version = secret.versions[0].version + 1 if secret.versions else 1
                sealed = seal(self._data_key, value, secret_context(name, version), self._random)
                secret.versions = [_Version(version, now_ns, sealed), *secret.versions[: VERSIONS_KEPT - 1]]
                secret.note = note or secret.note
                self._changed(what, name, version, now_ns, by)
                given[name] = version
        return given

    def remove(self, *names: str, by: str = "gambit") -> None:
        """Forget secrets with all their versions: all of them or none. Raises NoSecret, VaultError."""
        with self._changing():
            for name in names:
                version = self._secret(name).versions[0].version
                del self._index.secrets[name]
                self._changed("removed", name, version, self._now_ns(), by)

    def rewrap(self, master: Master) -> None:
        """Seal the data key by another master key; the old one opens the file no more. Raises VaultError."""
        with self._changing():
            self._master = master
            self._wrap()

    def changes(self) -> list[Change]:
        """What was done since the journal was last told, oldest first. Raises VaultError."""
        self.refresh()
        return list(self._index.changes)

    def told(self, number: int) -> None:
        """The journal has every change up to this one. Raises VaultError."""
        with self._changing():
            self._index.changes = [each for each in self._index.changes if each.number > number]

    # ---- the file ----

    def _changed(self, what: str, name: str, version: int, at_ns: int, by: str) -> None:
        self._index.last_change += 1
        change = Change(self._index.last_change, what, name, version, at_ns, by)
        self._index.changes = [*self._index.changes, change][-CHANGES_MAX:]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Under the lock: the file as it is now, then what is done to it, then the file with it."""
        lock = os.open(self.path.with_name(LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock.acquire()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.refresh()
            before = self._master, self._kdf, self._wrapped, self._data_key
            try:
                if not self._data_key:
                    self._data_key = self._random(KEY_BYTES)
                    self._wrap()
                yield
                replace_private(self.path, self._written())
            except BaseException:
                self._master, self._kdf, self._wrapped, self._data_key = before
                self._index, self._stamp = _Index(), None  # what is in memory is not what is kept: read anew
                raise
            self._stamp = _stamp(self.path)
        finally:
            os.close(lock)
            self._lock.release()

    def _wrap(self) -> None:
        if self._master is None:
            self._master = self._find(None)
        self._kdf = self._master.new_kdf(self._random)
        master_key = self._master.key_for(self._kdf)
        self._wrapped = seal(master_key, self._data_key, _wrap_context(self._kdf), self._random)

    def _written(self) -> bytes:
        context = _index_context(self._kdf, self._wrapped)
        index = seal(self._data_key, msgspec.json.encode(self._index), context, self._random)
        return msgspec.json.encode(_File(FORMAT, self._kdf, self._wrapped, index)) + b"\n"

    def _take(self, found: _File | None) -> None:
        if found is None:
            if self._data_key:
                raise VaultError(f"{self.path}: the vault is gone")
            return
        # Another process may have sealed our data key by another master key; it is still ours.
        index = _index(found, self._data_key) if self._data_key else None
        if index is None:
            if self._master is None:
                self._master = self._find(found.kdf is not None)
            master_key = self._master.key_for(found.kdf)
            try:
                data_key = unseal(master_key, found.data_key, _wrap_context(found.kdf))
            except NotOpened as error:
                source = self._master.source
                raise WrongMasterKey(
                    f"{self.path}: {source} does not open the vault, or the file is damaged; nothing was changed"
                ) from error
            index = _index(found, data_key)
            if index is None:
                raise _damaged(self.path)
            self._data_key = data_key
        self._kdf, self._wrapped, self._index = found.kdf, found.data_key, index

    def _secret(self, name: str) -> _Secret:
        secret = self._index.secrets.get(name)
        if secret is None:
            raise NoSecret(name)
        return secret

    def _opened(self, name: str, each: _Version) -> bytes:
        try:
            return unseal(self._data_key, each.sealed, secret_context(name, each.version))
        except NotOpened as error:
            raise VaultError(f"{self.path}: secret {name!r} version {each.version} is damaged") from error


def _check(name: str, value: bytes) -> None:
    if not NAME.fullmatch(name):
        raise VaultError(f"{name!r} is not a name of a secret, such as binance/api_key")
    if not value:
        raise VaultError(f"the value of {name!r} is empty")
    if len(value) > VALUE_BYTES_MAX:
        raise VaultError(f"the value of {name!r} has more than {VALUE_BYTES_MAX} bytes")


def _index(found: _File, data_key: bytes) -> _Index | None:
    """What the file holds; None when the key is not that of the file, or the file is damaged."""
    try:
        index = unseal(data_key, found.index, _index_context(found.kdf, found.data_key))
        return msgspec.json.decode(index, type=_Index)
    except (NotOpened, msgspec.DecodeError):
        return None


def _wrap_context(kdf: Kdf | None) -> bytes:
    return FORMAT.encode() + b"\0data key\0" + msgspec.json.encode(kdf)


def _index_context(kdf: Kdf | None, wrapped: bytes) -> bytes:
    """What stands before the index belongs to it: none of it can be changed alone."""
    return FORMAT.encode() + b"\0index\0" + msgspec.json.encode((kdf, wrapped))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Changes with every replacement of the file, and with its mode."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _read(path: Path) -> _File | None:
    """The file; None when there is none. Raises VaultError."""
    try:
        raw = read_private(path, "the vault")
    except FileNotFoundError:
        return None
    try:
        found = msgspec.json.decode(raw, type=_File)
    except msgspec.DecodeError as error:
        raise _damaged(path) from error
    if found.format != FORMAT:
        raise VaultError(f"{path}: a vault of format {found.format!r}; this version reads {FORMAT}")
    if raw != msgspec.json.encode(found) + b"\n":  # not as we write it, though it means the same
        raise _damaged(path)
    return found


def _damaged(path: Path) -> VaultError:
    return VaultError(f"{path}: the vault is damaged; nothing was changed. Put back a copy of it (`gambit backup`)")

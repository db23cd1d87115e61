"""Access as a daemon has it: the state file and the vault of its state directory."""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from gambit.access.access import Access
from gambit.access.statefile import StateFile
from gambit.events import Fact
from gambit.events.operation import Audited
from gambit.surface.control import Caller
from gambit.vault import NoSecret, Vault


class VaultSecrets:
    """The vault as access wants it: one thread at a time, KeyError for what is not there. The vault is opened when the
    first secret is wanted."""

    def __init__(self, open_vault: Callable[[], Vault]) -> None:
        self._open = open_vault
        self._vault: Vault | None = None
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes:
        """Raises KeyError, VaultError."""
        with self._lock:
            try:
                return self._opened().get(name)
            except NoSecret as error:
                raise KeyError(name) from error

    def put(self, name: str, value: bytes) -> None:
        """Raises VaultError."""
        with self._lock:
            self._opened().put(name, value)

    def forget(self, name: str) -> None:
        """Raises VaultError."""
        with self._lock, contextlib.suppress(NoSecret):
            self._opened().remove(name)

    def _opened(self) -> Vault:
        if self._vault is None:
            self._vault = self._open()
        return self._vault


def build_access(
    state_dir: Path,
    environ: Mapping[str, str],
    now_ns: Callable[[], int],
    tell: Callable[[Fact], object] | None,
    warn: Callable[[str], None],
    vault: Vault | None = None,
) -> Access:
    """Nothing is read before `access.book.open()`; a `vault` that is open already is used."""
    secrets = VaultSecrets(lambda: vault or Vault.open(state_dir, environ, now_ns, tell=warn))
    return Access.over(StateFile(state_dir), secrets, now_ns=now_ns, chance=os.urandom, tell=tell)


async def noted_for_later(access: Access, caller: Caller, action: str, detail: str) -> None:
    """The audit record of what was done while no daemon ran; the next one takes it to its journal."""
    fact = Audited(who=caller.who, door=caller.door.value, action=action.replace(".", " "), detail=detail)
    await access.book.change(lambda _state: (None, [fact]))

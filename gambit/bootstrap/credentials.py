"""From the configuration's references and the vault to the keys of each account, and what changed to the journal."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gambit.bootstrap.audit import audit
from gambit.config import Config
from gambit.config.settings import VenueSettings
from gambit.events.operation import AccountHeld, AccountReleased, CredentialAdded, CredentialRemoved, CredentialRotated
from gambit.runtime.account_port import AccountPort
from gambit.runtime.daemon import Daemon
from gambit.runtime.generic_port import GenericPort
from gambit.runtime.ledger import Ledger
from gambit.surface.control import Caller
from gambit.surface.methods import VenueName
from gambit.surface.rpc import Refused
from gambit.vault import Change, NoSecret, Vault, VaultError, resolve
from gambit.venues.accounts import LANGUAGES, order_language
from gambit.venues.orders import Keys

PARTS = ("api_key", "secret", "passphrase")


class CredentialError(Exception):
    """An account's keys are missing or cannot sign; the message says which, never what was given."""


def keys_of(config: Config, vault: Vault, environ: Mapping[str, str]) -> dict[str, Keys]:
    """The keys of every enabled venue that has any. Raises CredentialError for half a set, for a reference to nothing,
    and for keys that cannot sign."""
    found = {}
    for name, venue in config.venues.items():
        keys = _of_venue(name, venue, vault, environ) if venue.enabled else None
        if keys is not None:
            if not venue.adapter.startswith("ccxt"):
                check(name, keys)
            found[name] = keys
    return found


def live_keys(config: Config, vault: Vault, environ: Mapping[str, str]) -> dict[str, Keys]:
    """The same for live trading, which needs keys of one venue at least. Raises CredentialError."""
    found = keys_of(config, vault, environ)
    if not found:
        known = ", ".join(name for name, venue in config.venues.items() if venue.enabled)
        raise CredentialError(
            f'execution.mode = "live" needs keys, and there are none for {known}: `gambit credentials add VENUE`'
        )
    return found


def check(venue: str, keys: Keys) -> None:
    """Raises CredentialError for keys that cannot sign for a venue."""
    if venue in LANGUAGES:
        try:
            order_language(venue, keys, [])
        except ValueError as error:
            raise CredentialError(f"the keys of {venue} cannot sign: {error}") from error
    if venue == "okx" and not keys.passphrase:
        raise CredentialError("okx: its keys have a passphrase, and there is none: `gambit credentials add okx`")


def _of_venue(name: str, venue: VenueSettings, vault: Vault, environ: Mapping[str, str]) -> Keys | None:
    known = set(vault.names())
    parts: dict[str, str] = {}
    for part in PARTS:
        reference = getattr(venue, part)
        default = f"{name}/{part}"
        if not reference and default not in known:
            continue
        try:
            parts[part] = resolve(reference or f"secret:{default}", vault, environ)
        except NoSecret as error:
            raise CredentialError(
                f"venues.{name}.{part} = {reference}: the vault has no such secret; `gambit credentials add {name}`"
            ) from error
        except VaultError as error:
            raise CredentialError(f"venues.{name}.{part}: {error}") from error
    if not parts:
        return None
    missing = [part for part in PARTS[:2] if part not in parts]
    if missing:
        raise CredentialError(
            f"{name} has no {missing[0]} beside its {', '.join(parts)}: `gambit credentials add {name}`, or set "
            f"venues.{name}.{missing[0]}"
        )
    return Keys(key=parts["api_key"], secret=parts["secret"], passphrase=parts.get("passphrase", ""))


def tell_changes(vault: Vault, ledger: Ledger) -> list[Change]:
    """Write down what was done to the vault since the journal last heard of it, by whoever did it. A crash between the
    two tells it twice, never not at all. Raises VaultError."""
    changes = vault.changes()
    for change in changes:
        ledger.fact(_fact(change))
    if changes:
        vault.told(changes[-1].number)
    return changes


def _fact(change: Change) -> CredentialAdded | CredentialRotated | CredentialRemoved:
    about: dict[str, Any] = {
        "name": change.name, "version": change.version, "at_ns": change.at_ns, "by": change.by
    }  # fmt: skip
    if change.what == "added":
        return CredentialAdded(**about)
    return CredentialRotated(**about) if change.what == "rotated" else CredentialRemoved(**about)


def open_vault(
    state_dir: Path,
    environ: Mapping[str, str],
    now_ns: Callable[[], int],
    learn: Callable[[str], None],
    tell: Callable[[str], None],
    ask: Callable[[], str] | None,
) -> Vault:
    """The vault of a daemon, everything in it known to the log's redactor. Raises VaultError."""
    vault = Vault.open(state_dir, environ, now_ns, ask=ask, tell=tell, on_secret=learn)
    vault.learn_all()
    return vault


def accounts(daemon: Daemon) -> list[dict[str, Any]]:
    """How each account is that orders go to: up, or why not; held means until somebody does something."""
    return [
        {"venue": venue, "up": port.is_up, "reason": port.reason, "held": held.cause if (held := _held(port)) else ""}
        for venue, port in daemon.parts.dealing.ports.items()
        if isinstance(port, AccountPort | GenericPort)
    ]


def _held(port: AccountPort | GenericPort) -> AccountHeld | None:
    return port.admission.held


class Credentials:
    """The keys of a running daemon: what changed goes to the journal, and accounts are tried again."""

    def __init__(
        self, daemon: Callable[[], Daemon], vault: Vault | None, keys: Callable[[], Mapping[str, Keys]] | None
    ) -> None:
        self._daemon = daemon
        self._vault = vault
        self._keys = keys

    def reload(self, params: VenueName, caller: Caller) -> dict[str, Any]:
        """Read the keys again; accounts that are held, and those whose keys are others now, are tried with them."""
        daemon = self._daemon()
        audit(daemon, caller, "credentials reload", params.venue or "")
        try:
            if self._vault is not None:
                self._vault.learn_all()
                tell_changes(self._vault, daemon.parts.ledger)
            keys = self._keys() if self._keys is not None else {}
        except (VaultError, CredentialError) as error:
            raise Refused(str(error)) from error
        tried = []
        for venue, port in daemon.parts.dealing.ports.items():
            if not isinstance(port, AccountPort | GenericPort) or params.venue not in (None, venue):
                continue
            if self._try_again(daemon, port, keys.get(venue), f"user {caller.uid}"):
                tried.append(venue)
        return {"tried": tried}

    def _try_again(self, daemon: Daemon, port: AccountPort | GenericPort, keys: Keys | None, by: str) -> bool:
        is_new = keys is not None and keys != port.keys
        if not is_new and _held(port) is None:
            return False
        if isinstance(port, GenericPort):
            port.release(keys if is_new else None)
        elif is_new and keys is not None:
            is_testnet = port.gateway.is_testnet
            port.release(order_language(port.name, keys, port.account.instruments, is_testnet=is_testnet), keys)
        else:
            port.release()
        daemon.parts.ledger.fact(AccountReleased(venue=port.name, by=by))
        return True

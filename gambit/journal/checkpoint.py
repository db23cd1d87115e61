"""Signed checkpoints: a record that says which state the journal up to it leads to, signed with this journal's key.

The key (Ed25519) is made with the journal, readable by its owner only; the public key lies beside it, to be kept
elsewhere by whoever wants to prove later that nothing was rewritten. Where the key was lost another is made, and its
public key is one more line there: what the first one signed is still proved by its own.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gambit.journal.disk import write_whole
from gambit.journal.frame import Record
from gambit.journal.problem import JournalError

KIND: Final = "journal.checkpoint"
_RAW: Final = serialization.Encoding.Raw


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The state after record `seq`, whose hash is `hash` (hex); `signature` (hex) is over the other fields."""

    journal_id: str
    seq: int
    hash: str
    state_hash: str
    signature: str = ""
    schema_ver: str = "1"


class Signer:
    """Holds the private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def signed(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with its signature."""
        return msgspec.structs.replace(checkpoint, signature=self._key.sign(_message(checkpoint)).hex())

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        return self._key.public_key().public_bytes(_RAW, serialization.PublicFormat.Raw)


def load_signer(key_file: Path) -> Signer:
    """The signer of a journal; makes its key (0600) and public key (`.pub`) when there is none yet.

    Raises JournalError when others may read the key or it is no key, OSError.
    """
    if not key_file.exists():
        key_file.parent.mkdir(parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        write_whole(key_file, key.private_bytes_raw().hex().encode() + b"\n")
    mode = os.stat(key_file).st_mode & 0o777
    if mode & 0o077:
        raise JournalError(f"{key_file}: mode {mode:04o} lets others read the journal's key; chmod 600 {key_file}")
    try:
        signer = Signer(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key_file.read_text())))
    except ValueError as error:
        raise JournalError(f"{key_file}: no Ed25519 key of 64 hex digits: {error}") from error
    public_file = public_key_file(key_file)
    known = public_file.read_text().split() if public_file.exists() else []
    if signer.public_key.hex() not in known:
        write_whole(public_file, "".join(f"{key}\n" for key in (*known, signer.public_key.hex())).encode(), 0o644)
    return signer


def public_key_file(key_file: Path) -> Path:
    """Where the public key of a private one lies."""
    return key_file.with_suffix(".pub")


def load_public_keys(path: Path) -> list[Ed25519PublicKey]:
    """The public keys of a journal, the oldest first. Raises JournalError, OSError."""
    try:
        found = [Ed25519PublicKey.from_public_bytes(bytes.fromhex(line)) for line in path.read_text().split()]
    except ValueError as error:
        raise JournalError(f"{path}: no public key of 64 hex digits: {error}") from error
    if not found:
        raise JournalError(f"{path}: no public key of 64 hex digits: it is empty")
    return found


def read_checkpoint(record: Record) -> Checkpoint:
    """The checkpoint in a record of kind `journal.checkpoint`. Raises msgspec.ValidationError."""
    return msgspec.json.decode(record.body, type=Checkpoint)


def is_signed_by(checkpoint: Checkpoint, keys: Iterable[Ed25519PublicKey]) -> bool:
    """Whether the signature is one of these keys' over this checkpoint."""
    return any(_is_signed(checkpoint, key) for key in keys)


def _is_signed(checkpoint: Checkpoint, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(bytes.fromhex(checkpoint.signature), _message(checkpoint))
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(checkpoint: Checkpoint) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(checkpoint, signature=""))

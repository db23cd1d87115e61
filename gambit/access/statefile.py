"""The file access keeps its state in: replaced as a whole and synced before anybody is told, mode 0600."""

import os
from pathlib import Path
from typing import Final

import msgspec

from gambit.access.records import State

FILE: Final = "access.json"


class StateFileError(Exception):
    """The file cannot be used; nothing is guessed from half of it."""


class StateFile:
    """One file in the state directory."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE

    def load(self) -> State:
        """What was kept; an empty state where nothing was. Raises StateFileError."""
        try:
            mode = self.path.stat().st_mode
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise StateFileError(f"{self.path}: {error.strerror}") from error
        if mode & 0o077:
            raise StateFileError(f"{self.path}: others may read it; `chmod 600 {self.path}` and look who did")
        try:
            return msgspec.json.decode(raw, type=State)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateFileError(f"{self.path}: {error}; restore it from a backup") from error

    def save(self, state: State) -> None:
        """Durable when this returns. Raises OSError."""
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

"""The trading state: ACTIVE, REDUCING or HALTED (orders.md, "Trading state and kill switch"), durable.

It lives in a small file that is replaced and synced before the change counts, so that a kill survives a SIGKILL; the
journal gets the same change as a fact. A file that cannot be read means HALTED: nobody trades on a guess.

Beside it a file called HALT halts trading for as long as it is there; what it begins with is the reason.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, cast, get_args

import msgspec

from gambit.events.operation import TradingStateChanged
from gambit.runtime.blame import blamed_on

State = Literal["ACTIVE", "REDUCING", "HALTED"]
STATES: Final[tuple[State, ...]] = get_args(State)
FILE: Final = "trading_state.json"
HALT_FILE: Final = "HALT"  # whoever may write into the state directory may halt with it, with no daemon to talk to
REASON_BYTES_MAX: Final = 200


class HaltFileThere(OSError):
    """Trading cannot be resumed while the file that halted it lies there; the message names it."""


class Kept(msgspec.Struct, frozen=True):
    """What the file holds."""

    state: State
    reason: str
    by: str
    since_ns: int


class TradingSwitch:
    """The state and the only way to change it. `tell` takes the change as a fact."""

    def __init__(
        self, state_dir: Path, now_ns: Callable[[], int], tell: Callable[[TradingStateChanged], object]
    ) -> None:
        self._path = state_dir / FILE
        self.halt_file = state_dir / HALT_FILE
        self._now_ns = now_ns
        self._tell = tell
        self.kept = self._read()

    @property
    def state(self) -> State:
        """The state in force."""
        return self.kept.state

    def change(self, to: State, reason: str, by: str) -> TradingStateChanged:
        """Put a state in force; it is on disk when this returns. A halt holds before it is on disk, anything else only
        once it is. Raises OSError, and then everybody was told that it is HALTED, and HaltFileThere."""
        if to != "HALTED" and self.halt_file.exists():
            raise HaltFileThere(f"{self.halt_file} is there; remove it first")
        fact = TradingStateChanged(state=to, was=self.kept.state, reason=reason, by=by)
        kept = Kept(to, reason, by, self._now_ns())
        if to == "HALTED":
            self.kept = kept
            try:
                self._tell(fact)
            finally:
                self._write(kept)
            return fact
        self._halt_until_written(kept)
        self.kept = kept
        self._tell(fact)
        return fact

    def look_for_halt_file(self) -> None:
        """Halt when it is there. Raises OSError, and it is halted all the same."""
        if self.kept.state != "HALTED" and self.halt_file.exists():
            try:
                with open(self.halt_file if self.halt_file.is_file() else os.devnull, "rb") as file:
                    said = file.read(REASON_BYTES_MAX).decode(errors="replace").partition("\n")[0].strip()
            except OSError:
                said = ""
            self.change("HALTED", said or f"the file {self.halt_file} is there", "halt file")

    def adopt(self, fact: TradingStateChanged) -> None:
        """The desk changed the state by itself, and told so already. Raises OSError, and then everybody was told that
        it is HALTED."""
        kept = Kept(cast(State, fact.state), fact.reason, fact.by, self._now_ns())
        if kept.state == "HALTED":
            self.kept = kept
            self._write(kept)
            return
        self._halt_until_written(kept)
        self.kept = kept

    def settle(self, journalled: str, reason: str, by: str) -> None:
        """At a start: what the journal says counts where it allows less than the file, for a kill may have come between
        the two, and a release that was not on both was not acknowledged. Raises OSError."""
        if STATES.index(cast(State, journalled)) > STATES.index(self.kept.state):
            self.adopt(TradingStateChanged(state=cast(State, journalled), was=self.kept.state, reason=reason, by=by))

    def _halt_until_written(self, kept: Kept) -> None:
        was = self.kept.state
        reason = "the change to the trading state is not on disk"
        self.kept = Kept("HALTED", reason, kept.by, kept.since_ns)
        try:
            self._write(kept)
        except OSError:
            if was != "HALTED":
                self._tell(TradingStateChanged(state="HALTED", was=was, reason=reason, by="gambit"))
            raise

    def _read(self) -> Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept("ACTIVE", "", "", self._now_ns())
        except (OSError, msgspec.DecodeError) as error:
            return Kept("HALTED", f"{self._path} cannot be read: {error}", "gambit", self._now_ns())

    def _write(self, kept: Kept) -> None:
        fresh = self._path.with_suffix(".new")
        with blamed_on(self._path), fresh.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

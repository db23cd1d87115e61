"""Progress: which parts of the daemon have to move, and whether they do. What stands still is a reason to restart.

That the loop turns is not enough: books have to advance while a feed is up, the store has to commit while it has work.
"""

from collections.abc import Callable, Mapping

NS_PER_SEC = 1_000_000_000


class Progress:
    """Parts by name with the seconds each may stand still. A part that has nothing to do is paused and not judged."""

    def __init__(self, limits_sec: Mapping[str, float], mono_ns: Callable[[], int]) -> None:
        self._limits_ns = {part: int(seconds * NS_PER_SEC) for part, seconds in limits_sec.items()}
        self._mono_ns = mono_ns
        self._last_ns = dict.fromkeys(limits_sec, mono_ns())
        self._seen: dict[str, object] = {}
        self._paused: set[str] = set()

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts there are."""
        return tuple(self._limits_ns)

    def beat(self, part: str) -> None:
        """This part has just done something."""
        self._last_ns[part] = self._mono_ns()

    def saw(self, part: str, mark: object) -> None:
        """A number that moves when the part does: it has done something if the number is another than before."""
        if self._seen.get(part) != mark:
            self._seen[part] = mark
            self.beat(part)

    def expect(self, part: str, is_due: bool) -> None:
        """Whether the part has anything to do; its time begins when it gets something."""
        if is_due and part in self._paused:
            self._paused.discard(part)
            self.beat(part)
        elif not is_due:
            self._paused.add(part)

    def stalled(self) -> dict[str, float]:
        """The parts that stand still for too long, and for how many seconds."""
        now_ns = self._mono_ns()
        still = {part: now_ns - last_ns for part, last_ns in self._last_ns.items() if part not in self._paused}
        return {part: ns / NS_PER_SEC for part, ns in still.items() if ns > self._limits_ns[part]}

    def reasons(self) -> list[str]:
        """The same as sentences."""
        return [f"{part}: no progress for {seconds:.0f} s" for part, seconds in self.stalled().items()]

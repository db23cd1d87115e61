from collections.abc import Sequence

Levels = Sequence[tuple[str, str]]

class PyWalk:
    def __init__(
        self,
        asks: Levels,
        bids: Levels,
        *,
        fees: tuple[float, float] = ...,
        slippage: float = ...,
        notional: str = ...,
        contract: tuple[str, str] = ...,
        lot: tuple[str, str] = ...,
        least: tuple[str, str] = ...,
    ) -> None: ...
    def size(self) -> tuple[str, float, float, float, float, float, float] | None: ...
    def depth(self) -> tuple[float, float]: ...
    def bench(self, times: int) -> tuple[float, float]: ...

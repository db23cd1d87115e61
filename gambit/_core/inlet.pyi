from collections.abc import Callable
from typing import Any, final

import numpy as np
import picows
from numpy.typing import NDArray

from gambit._core.hot import Hot

@final
class Intake:
    def __init__(self, hot: Hot, conn: int) -> None: ...
    def __call__(self, data: bytes, recv_ns: int) -> int: ...
    def stamp_into(self, done: NDArray[np.int64]) -> None: ...
    @property
    def stamped(self) -> int: ...

@final
class Inlet(picows.WSListener):
    def __init__(self, link: Any, listener: Any, clock: Callable[[], int]) -> None: ...

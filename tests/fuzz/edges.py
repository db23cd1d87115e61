"""The edges of the kernels that inputs take (edges.c), where run.sh preloaded the counter; else nothing is ever new."""

import ctypes


class Edges:
    """Coverage of the process. Without the preloaded counter it is blind: is_guiding is False."""

    def __init__(self) -> None:
        process = ctypes.CDLL(None)
        self.is_guiding = hasattr(process, "edges_new")
        if self.is_guiding:
            self.start, self.new, self.known = process.edges_start, process.edges_new, process.edges_known
        else:
            self.start = self.new = self.known = lambda: 0

"""A Market driven by parsed records of a capture, one at a time, so that a test can look at it in between."""

from typing import Any

import orjson

from gambit.engine.market import Market
from gambit.runtime.capture import read_record
from gambit.venues import CAPTURE_NAMES

Line = dict[str, Any]


class Driver:
    """Gives records to a market as a feed would, and keeps which connection is which."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.connections: dict[tuple[str, str], int] = {}
        market.pairs.tell_ticks(True)

    def take(self, *records: Line) -> list[Line]:
        """The opportunities that these records cause."""
        for record in records:
            self._take(record)
        return self.market.opportunities()

    def ticks(self) -> list[Line]:
        """The ticks since the last call."""
        return [orjson.loads(line) for line in self.market.ticks().splitlines()]

    def books(self) -> list[Line]:
        """All books as `--emit books` has them."""
        told = {"buffer_overflows", "last_update_ns"}
        return [{name: value for name, value in book.items() if name not in told} for book in self.market.books()]

    def _take(self, record: Line) -> None:
        read = read_record(orjson.dumps(record))
        venue = CAPTURE_NAMES.get(read.venue or "", read.venue or "")
        key = venue, read.conn
        match read.type:
            case "recv":
                if key not in self.connections:
                    self.connections[key] = self.market.connect(venue, read.conn)
                self.market.on_frame(self.connections[key], read.text, read.ts)
            case "http":
                self.market.on_http(venue, read.address or "", read.text, read.ts)
            case "connect" | "close" if key in self.connections:
                self.market.disconnect(self.connections[key], read.ts)
            case _:
                self.market.on_time(read.ts)
        if read.type == "connect":
            self.connections[key] = self.market.connect(venue, read.conn, address=read.address)

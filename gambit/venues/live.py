"""What a venue's live connections want: addresses, limits, pings, lifetimes, budgets. Data only; who opens a
connection reads it. Sources: the venue's own documents, as the venue modules name them."""

from dataclasses import dataclass
from typing import Final

CONTROL_PING: Final = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """How a venue wants to be talked to.

    `books_a_connection` and `sends_per_sec` lie within the venue's limits, with room to spare: a connection that is
    lost takes no more books with it than this. A text of `ping` is sent as a message; CONTROL_PING is a WebSocket ping.
    """

    ws: str
    rest: str
    test_ws: str = ""  # empty: the venue has no test network
    test_rest: str = ""
    test_headers: tuple[tuple[str, str], ...] = ()  # of every request over HTTP to the test network
    books_a_connection: int
    sends_per_sec: float  # requests on one connection, pings included
    ping: bytes = CONTROL_PING
    ping_sec: float = 20.0  # a ping this often, whatever else is said
    life_sec: float | None = None  # the venue cuts a connection at this age
    connects: int  # connection attempts within connects_sec; where messages are limited by address, theirs too
    connects_sec: float
    weight: int  # of public REST requests within weight_sec
    weight_sec: float
    resubscribes: bool = True  # a lost book comes back by subscribing anew; else by a snapshot fetched beside


@dataclass(frozen=True, slots=True)
class Call:
    """A public REST request: path and query behind the venue's address, and what it costs of the budget."""

    path: str
    weight: int = 1

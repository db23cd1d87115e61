"""How many wrong logins are too many: counted by account and address, by account and by address, over time that passes
in a restart too. Pure.

The pair is the narrow gate, so that nobody locks others out from elsewhere with a handful of attempts; the account's
and the address's gates are wider and stand against many addresses and many accounts.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

SECOND_NS: Final = 1_000_000_000
NAMES_MAX: Final = 4096  # remembered at most; the oldest go first


class Gate(NamedTuple):
    """`most` failures within `window_ns` close it, until the oldest of them is over the window."""

    most: int
    window_ns: int


PAIR: Final = Gate(10, 60 * SECOND_NS)
ACCOUNT: Final = Gate(100, 15 * 60 * SECOND_NS)
ADDRESS: Final = Gate(50, 5 * 60 * SECOND_NS)


def gates(account: str, address: str) -> dict[str, Gate]:
    """The names under which a failure counts, and how many are too many."""
    return {f"both {account} {address}": PAIR, f"account {account}": ACCOUNT, f"address {address}": ADDRESS}


def closed_sec(failures: Mapping[str, list[int]], account: str, address: str, now_ns: int) -> int:
    """Seconds until a login may be tried again; 0: now."""
    waits = [
        times[-gate.most] + gate.window_ns - now_ns
        for name, gate in gates(account, address).items()
        if len(times := failures.get(name, [])) >= gate.most
    ]
    return max((-(-wait // SECOND_NS) for wait in waits if wait > 0), default=0)


def count(failures: dict[str, list[int]], account: str, address: str, now_ns: int) -> None:
    """One more wrong login; what is too old to matter goes."""
    for name, gate in gates(account, address).items():
        times = failures.pop(name, [])
        failures[name] = [*times, now_ns][-gate.most :]
    longest_ns = max(PAIR.window_ns, ACCOUNT.window_ns, ADDRESS.window_ns)
    for name in [name for name, times in failures.items() if now_ns - times[-1] > longest_ns]:
        del failures[name]
    for name in list(failures)[: max(0, len(failures) - NAMES_MAX)]:
        del failures[name]


def forget(failures: dict[str, list[int]], account: str, address: str) -> None:
    """A right login opens the pair's gate again; the wide ones stay as they are."""
    failures.pop(f"both {account} {address}", None)

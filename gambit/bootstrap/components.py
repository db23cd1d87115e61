"""What a daemon is made of, and how each part is: for the history of component states."""

from collections.abc import Callable, Iterator

from gambit.bootstrap.credentials import accounts
from gambit.runtime.components import Component, ComponentLog, Row
from gambit.runtime.daemon import Daemon

RECORDS = ("database", "head copy", "recording", "disk")  # as gambit.runtime.soundness calls them


def component_log(daemon: Callable[[], Daemon], on_rows: Callable[[str, list[Row]], None]) -> ComponentLog:
    """The log of a daemon's parts; `daemon` is asked at each look."""
    return ComponentLog(lambda: components(daemon()), on_rows)


def components(daemon: Daemon) -> Iterator[Component]:
    """The daemon itself, trading, each venue's feed and account, and what is written down; without known secrets."""
    for part in _parts(daemon):
        yield part._replace(detail=daemon.parts.ledger.redact(part.detail.encode(errors="replace")).decode())


def _parts(daemon: Daemon) -> Iterator[Component]:
    parts = daemon.parts
    yield Component("daemon", daemon.state, "; ".join(daemon.reasons))
    yield Component("trading", parts.switch.state, parts.switch.kept.reason)
    for feed in parts.feeds.statuses():
        yield Component(f"feed {feed.venue}", feed.state, feed.reason)
    for account in accounts(daemon):
        status = "up" if account["up"] else "held" if account["held"] else "down"
        yield Component(f"account {account['venue']}", status, account["reason"])
    failed = parts.keeping.journal.failed
    yield Component("journal", "down" if failed else "up", str(failed or ""))
    wrong = parts.soundness.reasons
    for name in RECORDS:
        if name != "recording" or parts.recorder is not None:
            yield Component(name, "degraded" if name in wrong else "up", wrong.get(name, ""))

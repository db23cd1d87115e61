"""The history of component states: a row for each change, once, and everything when a run begins."""

from gambit.runtime.components import LOOK_NS, TABLE, Component, ComponentLog, Row

NOW = 10**18


def test_a_row_for_each_change() -> None:
    """At most one look a second; a reason alone is no change; what is no more is gone, once."""
    parts = [Component("daemon", "starting"), Component("feed okx", "syncing", "no snapshot yet")]
    told: list[tuple[object, ...]] = []

    def on_rows(table: str, rows: list[Row]) -> None:
        told.extend((table, row["ts_ns"], row["agent"], row["status"], row["detail"]) for row in rows)

    log = ComponentLog(lambda: list(parts), on_rows)
    log.turn(NOW)
    assert told == [(TABLE, NOW, "daemon", "starting", ""), (TABLE, NOW, "feed okx", "syncing", "no snapshot yet")]
    told.clear()
    parts[:] = [Component("daemon", "running"), Component("feed okx", "syncing", "still none")]
    log.turn(NOW + LOOK_NS - 1)
    assert told == []
    log.turn(NOW + LOOK_NS)
    assert told == [(TABLE, NOW + LOOK_NS, "daemon", "running", "")]
    told.clear()
    parts.pop()
    log.turn(NOW + 2 * LOOK_NS)
    log.turn(NOW + 3 * LOOK_NS)
    assert told == [(TABLE, NOW + 2 * LOOK_NS, "feed okx", "gone", "")]


def test_the_last_look_is_the_last() -> None:
    """What ends with the daemon is no news."""
    parts = [Component("daemon", "running"), Component("feed okx", "up")]
    told: list[object] = []
    log = ComponentLog(lambda: list(parts), lambda _table, rows: told.extend(row["status"] for row in rows))
    log.turn(NOW)
    parts[0] = Component("daemon", "stopping")
    log.close(NOW + 1)
    parts.clear()
    log.turn(NOW + 10 * LOOK_NS)
    assert told == ["running", "up", "stopping"]

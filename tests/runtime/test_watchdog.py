"""What the daemon does about its watchdog's log."""

from pathlib import Path

from gambit.runtime.watchdog import LOG_BYTES_MAX, put_aside


def test_a_long_log_is_put_aside(tmp_path: Path) -> None:
    """A short one stays, a long one gets out of the way of the next, and only one is kept beside it."""
    log = tmp_path / "watchdog.log"
    put_aside(log)
    log.write_bytes(b"x" * (LOG_BYTES_MAX - 1))
    put_aside(log)
    assert log.exists()
    for text in (b"a", b"b"):
        log.write_bytes(text * LOG_BYTES_MAX)
        put_aside(log)
        assert not log.exists()
    assert (tmp_path / "watchdog.log.1").read_bytes()[:1] == b"b"
    assert [path.name for path in tmp_path.iterdir()] == ["watchdog.log.1"]

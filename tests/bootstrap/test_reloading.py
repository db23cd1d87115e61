"""A configuration read again: what can change does, the rest is named, a wrong one changes nothing."""

from pathlib import Path
from typing import Any

import pytest

from gambit.bootstrap.reloading import Reloading, differences
from gambit.config.loading import load
from gambit.drills.ground import Lines
from gambit.surface.views import Reloaded


class Logs:
    """A log with a level."""

    level = "info"


def reloading(path: Path) -> tuple[Reloading, Any, Lines]:
    """A daemon's reloading over a file."""
    logs, log = Logs(), Lines()
    read = lambda: load(path, {"HOME": "/nowhere"})  # noqa: E731
    return Reloading(read(), read, logs, log), logs, log  # type: ignore[arg-type]


def test_what_can_change_does_and_the_rest_is_named(tmp_path: Path) -> None:
    """The log level is in force at once; a threshold waits for a restart, and is told again until then."""
    path = tmp_path / "gambit.toml"
    path.write_text('[daemon]\nlog_level = "info"\n[engine]\nmin_spread_bps = 15\n')
    found, logs, _ = reloading(path)
    path.write_text('[daemon]\nlog_level = "debug"\n[engine]\nmin_spread_bps = 20\n[venues.okx]\n')
    waiting = ("engine.min_spread_bps", "venues.okx")
    assert found.reload() == Reloaded(changed=("daemon.log_level",), needs_restart=waiting)
    assert logs.level == "debug"
    assert found.reload() == Reloaded(needs_restart=waiting)


def test_what_a_part_can_change_is_put_in_force(tmp_path: Path) -> None:
    """Once, with the value of the file; what it was is forgotten."""
    path = tmp_path / "gambit.toml"
    path.write_text("")
    found, _, _ = reloading(path)
    put: list[bool] = []
    found.can_change("daemon.busy_poll", lambda fresh: put.append(fresh.daemon.busy_poll))
    path.write_text("[daemon]\nbusy_poll = true\ndisk_low_mb = 7\n")
    assert found.reload() == Reloaded(changed=("daemon.busy_poll",), needs_restart=("daemon.disk_low_mb",))
    assert found.reload() == Reloaded(needs_restart=("daemon.disk_low_mb",))
    assert put == [True]
    assert found.config.daemon.busy_poll


def test_a_wrong_configuration_changes_nothing(tmp_path: Path) -> None:
    """Every problem is told with its place; the old settings stay."""
    path = tmp_path / "gambit.toml"
    path.write_text("")
    found, logs, log = reloading(path)
    path.write_text('[daemon]\nlog_level = "loud"\nnonsense = 1\n')
    with pytest.raises(ValueError, match=r"gambit\.toml:2.*gambit\.toml:3"):
        found.reload()
    assert logs.level == "info"
    assert log.of("error") == ["the configuration was not reloaded"]


def test_equal_configurations_do_not_differ(tmp_path: Path) -> None:
    """No key is named for a file that was only touched."""
    path = tmp_path / "gambit.toml"
    path.write_text('symbols = ["BTC-USDT"]\n')
    one = load(path, {})
    assert differences(one, load(path, {})) == []

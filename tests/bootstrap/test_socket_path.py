"""Where the daemon lives and listens is where the commands ask."""

from pathlib import Path

import pytest

from gambit.bootstrap import socket_path
from gambit.cli.query import socket_of
from gambit.config import load_layers


@pytest.mark.parametrize("place", ["", "~/gambit.sock", "here.sock", "/run/gambit/gambit.sock"])
def test_daemon_and_commands_agree_about_the_socket(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the setting says: nothing, a home directory, a relative path, an absolute one."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = load_layers(None, {}, [f"daemon.state_dir={tmp_path}", f"daemon.control_socket={place}"]).config
    assert socket_path(config) == socket_of(config)
    assert socket_path(config).is_absolute()


def test_a_state_directory_is_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home directory and a relative path one from here, for everybody who reads the setting."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for given, meant in (("~/kept", "home/kept"), ("kept", "kept"), (str(tmp_path / "else"), "else")):
        config = load_layers(None, {}, [f"daemon.state_dir={given}"]).config
        assert config.daemon.state_dir == str(tmp_path / meant)
        assert socket_path(config) == socket_of(config) == tmp_path / meant / "gambit.sock"

"""A reference says where a secret is; a value in its place is refused without being repeated."""

from pathlib import Path

import pytest

from gambit.config import ConfigError, load_layers
from gambit.vault import NoSecret, VaultError, resolve

VALUE = "pLaInVaLuE0123456789"


class Secrets:
    """A vault of one secret."""

    def get(self, name: str) -> bytes:
        if name != "binance/secret":
            raise NoSecret(name)
        return VALUE.encode() + b"\n"


def test_each_kind_of_reference(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{VALUE}\n")
    path.chmod(0o600)
    for reference in ("secret:binance/secret", "env:THE_SECRET", f"file:{path}"):
        assert resolve(reference, Secrets(), {"THE_SECRET": VALUE}) == VALUE


def test_what_cannot_be_found_is_named(tmp_path: Path) -> None:
    wide, empty = tmp_path / "wide", tmp_path / "empty"
    for path, mode in ((wide, 0o644), (empty, 0o600)):
        path.write_text("" if path is empty else VALUE)
        path.chmod(mode)
    for reference, text in (
        ("secret:okx/secret", "no secret 'okx/secret'"),
        ("env:NOT_SET", "no variable NOT_SET"),
        (f"file:{tmp_path}/gone", "gone: the file of a secret is not there"),
        (f"file:{wide}", r"wide: .* open to others \(mode 0644\)"),
        (f"file:{empty}", "empty"),
        (f"file:{tmp_path}", "not a regular file"),
    ):
        with pytest.raises(VaultError, match=text) as caught:
            resolve(reference, Secrets(), {})
        assert VALUE not in str(caught.value)


@pytest.mark.parametrize("key", ["api_key", "secret", "passphrase"])
def test_a_plain_value_in_the_configuration_is_refused_and_not_repeated(tmp_path: Path, key: str) -> None:
    path = tmp_path / "gambit.toml"
    path.write_text(f'[venues.binance]\n{key} = "{VALUE}"\n')
    with pytest.raises(ConfigError) as caught:
        load_layers(path, {}, [])
    [problem] = caught.value.problems
    assert str(problem).startswith(f"{path}:2: venues.binance.{key} does not say where the secret is")
    assert VALUE not in str(problem)

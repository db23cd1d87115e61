"""The vault: what is kept comes back, what is wrong is told and changes nothing, nothing is readable on the disk."""

import errno
import os
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from gambit.vault import Master, NoSecret, Vault, VaultError, WrongMasterKey, find_master
from gambit.vault.files import create_private
from gambit.vault.rotation import NS_A_DAY

SECRET = b"kCanaryValueOfTheKey0123456789"


class Now:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000 * 10**9

    def __call__(self) -> int:
        return self.ns


def opened(folder: Path, environ: Mapping[str, str] | None = None, now: Now | None = None, **more: object) -> Vault:
    return Vault.open(folder, environ or {}, now or Now(), **more)  # type: ignore[arg-type]


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_what_is_put_comes_back_in_another_life_and_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    told: list[str] = []
    assert opened(tmp_path, tell=told.append).put("binance/api_key", SECRET) == 1
    vault = opened(tmp_path, tell=told.append)
    assert vault.get("binance/api_key") == SECRET
    assert vault.names() == ["binance/api_key"]
    assert len(told) == 1  # that a key file was made is told once
    assert str(tmp_path / "master.key") in told[0]
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert SECRET not in path.read_bytes()
        assert b"binance" not in path.read_bytes()


def test_versions_rotate_and_the_last_three_stay(tmp_path: Path) -> None:
    now = Now()
    vault = opened(tmp_path, now=now)
    for number in range(1, 6):
        now.ns += NS_A_DAY
        assert vault.put("okx/secret", b"value %d" % number) == number
    about = vault.about("okx/secret")
    assert (about.version, about.rotated_ns - about.created_ns) == (5, 4 * NS_A_DAY)
    assert [vault.get("okx/secret", version) for version in (3, 4, 5)] == [b"value 3", b"value 4", b"value 5"]
    with pytest.raises(NoSecret):
        vault.get("okx/secret", 2)


@pytest.mark.parametrize(
    ("name", "days", "late"),
    [("binance/api_key", 60, 90), ("telegram/bot_token", 90, 90), ("jwt/a1", 180, 180), ("webhook/in", 90, 90)],
)
def test_what_is_due(tmp_path: Path, name: str, days: int, late: int) -> None:
    now = Now()
    vault = opened(tmp_path, now=now)
    vault.put_all({name: b"some value", "users": b"needs no rotation"})
    assert vault.due(now.ns + days * NS_A_DAY - 1) == []
    [due] = vault.due(now.ns + days * NS_A_DAY)
    assert (due.name, due.age_days, due.is_overdue) == (name, days, days == late)
    assert vault.due(now.ns + late * NS_A_DAY)[0].is_overdue
    now.ns += days * NS_A_DAY
    vault.put(name, b"another value")
    assert vault.due(now.ns) == []


def test_a_vault_that_nobody_needs_makes_no_file(tmp_path: Path) -> None:
    assert opened(tmp_path).names() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wide", ["vault.json", "master.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, wide: str, mode: int) -> None:
    opened(tmp_path).put("users", SECRET)
    (tmp_path / wide).chmod(mode)
    with pytest.raises(VaultError, match=rf"{wide}: .* \(mode {mode:04o}\); chmod 600 it"):
        opened(tmp_path)


def test_a_wrong_key_opens_nothing_and_overwrites_nothing(tmp_path: Path) -> None:
    opened(tmp_path).put("users", SECRET)
    before = (tmp_path / "vault.json").read_bytes()
    other = private(tmp_path / "other.key", "ab" * 32)
    with pytest.raises(WrongMasterKey, match="GAMBIT_MASTER_KEY_FILE"):
        opened(tmp_path, {"GAMBIT_MASTER_KEY_FILE": str(other)})
    (tmp_path / "master.key").unlink()
    with pytest.raises(VaultError, match=r"master\.key: the master key file is not there"):
        opened(tmp_path)
    assert not (tmp_path / "master.key").exists()  # no new one that would not fit
    assert (tmp_path / "vault.json").read_bytes() == before


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.put("users", SECRET)
    path = tmp_path / "vault.json"
    whole = path.read_bytes()
    for place in range(len(whole) - 1):  # the last byte is the newline
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(VaultError):
            opened(tmp_path).get("users")
        with pytest.raises(VaultError):
            vault.put("users", b"never over a damaged file")
        assert path.read_bytes() == bytes(damaged)
    for length in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:length])
        with pytest.raises(VaultError, match=r"vault\.json: the vault is damaged"):
            opened(tmp_path)
    path.write_bytes(whole)
    assert vault.get("users") == SECRET


def test_a_value_moved_to_another_name_does_not_open(tmp_path: Path) -> None:
    vault = opened(tmp_path)
    vault.put_all({"a/key": b"the value of a", "b/key": b"the value of b"})
    secrets = vault._index.secrets
    secrets["a/key"].versions, secrets["b/key"].versions = secrets["b/key"].versions, secrets["a/key"].versions
    with pytest.raises(VaultError, match="'a/key' version 1 is damaged"):
        vault.get("a/key")


def test_the_order_of_the_sources(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    environ = {"GAMBIT_PASSPHRASE_FILE": str(private(tmp_path / "phrase", "a long enough passphrase\n"))}

    def source() -> Master:
        return find_master(
            tmp_path, environ, wants_passphrase=None, ask=None, tell=lambda _text: None, random=os.urandom
        )

    assert source().passphrase == "a long enough passphrase"
    environ["GAMBIT_MASTER_KEY_FILE"] = str(private(tmp_path / "key", "11" * 32 + "\n"))
    assert source().key == bytes.fromhex("11" * 32)
    environ["CREDENTIALS_DIRECTORY"] = str(credentials)  # that has none of ours
    assert source().key == bytes.fromhex("11" * 32)
    private(credentials / "gambit-master-key", "22" * 32, 0o440)  # an access list of systemd shows as a wider mode
    assert source().key == bytes.fromhex("22" * 32)
    assert not (tmp_path / "master.key").exists()


def test_a_passphrase_and_the_way_from_it_to_a_key_file(tmp_path: Path) -> None:
    environ = {"GAMBIT_PASSPHRASE_FILE": str(private(tmp_path / "phrase", "a long enough passphrase"))}
    opened(tmp_path, environ).put("users", SECRET)
    with pytest.raises(VaultError, match="set GAMBIT_PASSPHRASE_FILE, or start on a terminal"):
        opened(tmp_path)
    assert opened(tmp_path, ask=lambda: "a long enough passphrase").get("users") == SECRET
    with pytest.raises(WrongMasterKey):
        opened(tmp_path, ask=lambda: "another long passphrase")
    elsewhere = opened(tmp_path, environ)  # a daemon that goes on meanwhile
    key = Master("a new key", key=b"k" * 32)
    opened(tmp_path, environ).rewrap(key)
    with pytest.raises(VaultError, match="wants a key"):
        opened(tmp_path, environ)
    assert elsewhere.get("users") == SECRET
    elsewhere.put("okx/secret", b"put by the daemon")
    path = private(tmp_path / "new.key", (b"k" * 32).hex())
    assert opened(tmp_path, {"GAMBIT_MASTER_KEY_FILE": str(path)}).get("okx/secret") == b"put by the daemon"


@pytest.mark.parametrize("text", ["", "short", "zz" * 32, "ab" * 31, "ab" * 33])
def test_what_is_no_master_key(tmp_path: Path, text: str) -> None:
    path = private(tmp_path / "key", text)
    with pytest.raises(VaultError, match="not a master key"):
        opened(tmp_path, {"GAMBIT_MASTER_KEY_FILE": str(path)}).put("users", SECRET)
    assert not (tmp_path / "vault.json").exists()


@pytest.mark.parametrize("name", ["", "/", "Upper/key", "a//b", "../x", "a b", "a/b/c/d/e", "a/" + "\0"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(VaultError, match="not a name of a secret"):
        opened(tmp_path).put(name, SECRET)


def test_a_write_that_fails_leaves_the_old_file_and_the_old_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = opened(tmp_path)
    vault.put("users", SECRET)
    before = (tmp_path / "vault.json").read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", _full)
        for change in (
            lambda: vault.put("users", b"never kept"),
            lambda: vault.remove("users"),
            lambda: vault.rewrap(Master("another", key=b"x" * 32)),
        ):
            with pytest.raises(VaultError, match="No space left on device"):
                change()
    assert (tmp_path / "vault.json").read_bytes() == before
    assert vault.get("users") == SECRET
    assert vault.put("users", b"kept again") == 2
    assert opened(tmp_path).get("users") == b"kept again"


def _full(_fd: int) -> None:
    raise OSError(28, "No space left on device")


def test_writers_beside_each_other_lose_nothing(tmp_path: Path) -> None:
    opened(tmp_path).put("users", SECRET)
    vaults = [opened(tmp_path) for _ in range(4)]

    def write(number: int) -> None:
        for turn in range(10):
            vaults[number].put(f"part{number}/key{turn}", b"value %d" % turn)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = opened(tmp_path)
    assert len(found.names()) == 41
    assert [each.number for each in found.changes()] == list(range(1, 42))
    found.told(40)
    assert [each.number for each in vaults[0].changes()] == [41]


def test_what_was_done_is_told_without_values(tmp_path: Path) -> None:
    heard: list[str] = []
    vault = opened(tmp_path, on_secret=heard.append)
    vault.put("kraken/api_key", SECRET, by="uid 1000", note="read and trade")
    vault.put("kraken/api_key", b"the next value")
    vault.remove("kraken/api_key")
    assert [(each.what, each.version) for each in vault.changes()] == [("added", 1), ("rotated", 2), ("removed", 2)]
    assert SECRET.decode() not in repr(vault.changes())
    assert heard == [SECRET.decode(), "the next value"]
    with pytest.raises(NoSecret, match="no secret 'kraken/api_key'"):
        vault.remove("kraken/api_key")


def test_a_secret_that_found_no_room_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process's own temporary name would never be used again."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(VaultError, match=r"cannot be written: No space left"):
        create_private(tmp_path / "master.key", b"0" * 32)
    assert list(tmp_path.iterdir()) == []

"""`gambit user` without a daemon: the files are changed under the lock, and the next daemon's journal hears of it."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gambit.bootstrap.access import build_access
from gambit.cli import users
from gambit.cli.program import gambit
from gambit.events.access import UserChanged
from gambit.events.operation import Audited
from gambit.runtime.process import InstanceLock

PASSWORD = "correct horse battery staple"


def user(state: Path, *words: str, stdin: str | None = None) -> Result:
    """`gambit user ...` on a state directory."""
    return CliRunner().invoke(gambit, ["user", *words, "--set", f'daemon.state_dir="{state}"'], input=stdin)


def test_what_was_done_without_a_daemon_reaches_its_journal(tmp_path: Path):
    """Users, roles and who did it are told once, to the first journal that is there."""
    state = tmp_path / "state"
    made = user(state, "add", "ann@desk", "--role", "admin", "--password-stdin", stdin=PASSWORD + "\n")
    assert made.exit_code == 0, made.output
    assert user(state, "add", "bob@desk", "--password-stdin", stdin=PASSWORD + "\n").exit_code == 0
    assert user(state, "role", "bob@desk", "trader").exit_code == 0
    listed = json.loads(user(state, "list", "--json").stdout)
    assert [(row["email"], row["role"]) for row in listed] == [("ann@desk", "admin"), ("bob@desk", "trader")]
    assert {path.stat().st_mode & 0o077 for path in state.iterdir()} == {0}

    facts: list[Any] = []
    access = build_access(state, os.environ, time.time_ns, facts.append, lambda _text: None)
    asyncio.run(access.book.open())
    assert [fact.email for fact in facts if isinstance(fact, UserChanged)] == ["ann@desk", "bob@desk", "bob@desk"]
    assert [fact.action for fact in facts if isinstance(fact, Audited)] == ["user add", "user add", "user role"]
    facts.clear()
    again = build_access(state, os.environ, time.time_ns, facts.append, lambda _text: None)
    asyncio.run(again.book.open())
    assert facts == []


def test_an_invitation_without_a_daemon(tmp_path: Path):
    """Printed once with where to go; somebody known gets another code by name, and no other role on the way."""
    first = json.loads(user(tmp_path, "invite", "ann@desk", "--role", "admin", "--json").stdout)
    assert (first["role"], first["address"].startswith("http://127.0.0.1:"), len(first["code"])) == ("admin", True, 64)
    assert "invited" in user(tmp_path, "list").stdout
    again = user(tmp_path, "invite", "ann@desk")
    assert "/#invite=" in again.stdout
    assert first["code"] not in again.stdout
    refused = user(tmp_path, "invite", "ann@desk", "--role", "viewer")
    assert (refused.exit_code, "gambit user role" in refused.output) == (1, True)
    assert first["code"] not in (tmp_path / "access.json").read_text()


REFUSED = (
    (("add", "bob@desk", "--password-stdin"), "short\n", "12 to 1024 characters"),
    (("add", "nobody", "--password-stdin"), PASSWORD, "name@host"),
    (("add", "ANN@desk", "--password-stdin"), PASSWORD, "there is a user of this name"),
    (("role", "eve@desk", "admin"), None, "there is no such user"),
    (("disable", "ann@desk"), None, "the last active admin"),
    (("link", "ann@desk"), None, "no daemon runs"),
)


def test_refusals(tmp_path: Path):
    """Each says what is wrong, and nothing changed."""
    assert user(tmp_path, "add", "ann@desk", "--role", "admin", "--password-stdin", stdin=PASSWORD).exit_code == 0
    before = (tmp_path / "access.json").read_bytes()
    for words, stdin, told in REFUSED:
        refused = user(tmp_path, *words, stdin=stdin)
        assert refused.exit_code in (1, 3)
        assert told in refused.output
        assert (tmp_path / "access.json").read_bytes() == before


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While somebody holds the lock without listening, nothing is changed behind their back."""
    monkeypatch.setattr(users, "PATIENCE_SEC", 0.1)
    lock = InstanceLock(tmp_path)
    lock.acquire()
    try:
        refused = user(tmp_path, "add", "ann@desk", "--password-stdin", stdin=PASSWORD)
        assert refused.exit_code == 3
        assert not (tmp_path / "access.json").exists()
    finally:
        lock.release()

"""S07 with a real process: it renews its tokens as fast as it can and says each once it is written; it is killed.

python -m tests.web.killed [TIMES]      50 by itself, a few in the suite
python -m tests.web.killed renew DIR    the process
"""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gambit.access.access import Access
from gambit.access.logins import Credentials
from gambit.access.permissions import Role
from gambit.access.refusal import Refusal
from gambit.access.statefile import StateFile
from tests.web.rig import CHEAP, PASSWORD


class Folder:
    """Secrets in files of their own: a vault without encryption."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, name: str) -> bytes:
        """Raises KeyError."""
        try:
            return self._file(name).read_bytes()
        except FileNotFoundError as error:
            raise KeyError(name) from error

    def put(self, name: str, value: bytes) -> None:
        """Keep it."""
        self._file(name).write_bytes(value)

    def forget(self, name: str) -> None:
        """Keep it no longer."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.path / name.replace("/", "_")


async def opened(path: Path) -> Access:
    """Access on a folder's files."""
    access = Access.over(
        StateFile(path), Folder(path), now_ns=time.time_ns, chance=os.urandom, tell=lambda _fact: None, cost=CHEAP
    )
    await access.book.open()
    return access


async def renew(path: Path) -> None:
    """Log in and renew until killed; each token is said after its renewal returned."""
    access = await opened(path)
    if access.book.user_named("ann@desk") is None:
        await access.people.add("ann@desk", PASSWORD, Role.ADMIN)
    issued = await access.logins.login(Credentials("ann@desk", PASSWORD))
    while True:
        print(issued.refresh_token, flush=True)
        issued = await access.logins.refresh(issued.refresh_token)


async def killed(path: Path, chance: random.Random) -> str:
    """Kill one at a random moment and look: renewed (the last token said still works, once) or over. Never is there
    more than one living session, nor a state that cannot be read."""
    words = [sys.executable, "-m", "tests.web.killed", "renew", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip()]
        await asyncio.sleep(chance.random() * 0.1)
        process.kill()
        said += [line.strip() for line in process.stdout if line.endswith("\n")]
    access = await opened(path)
    assert len(access.book.state.sessions) == 1
    for old in said[:-1][-1:]:
        with contextlib.suppress(Refusal):
            if chance.random() < 0.5:
                await access.logins.refresh(old)
                raise AssertionError("a token that was renewed works again")
    try:
        successor = (await access.logins.refresh(said[-1])).refresh_token
    except Refusal:
        assert access.book.state.sessions == {}
        return "over"
    with contextlib.suppress(Refusal):
        await access.logins.refresh(said[-1])
        raise AssertionError("two living successors of one token")
    assert access.book.state.sessions == {}
    with contextlib.suppress(Refusal):
        await access.logins.refresh(successor)
        raise AssertionError("the first successor outlived the reuse")
    return "renewed"


async def campaign(path: Path, times: int, seed: int) -> list[str]:
    """So many kills, one after the other, on the same files."""
    chance = random.Random(seed)
    return [await killed(path, chance) for _ in range(times)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["renew"]:
        asyncio.run(renew(Path(sys.argv[2])))
    with tempfile.TemporaryDirectory() as folder:
        print(asyncio.run(campaign(Path(folder), int(sys.argv[1]) if sys.argv[1:] else 50, 1)))

"""Schemathesis over the OpenAPI document, against a door that listens.

python -m tests.web.schema_driven [EXAMPLES] [SEED]     by itself, as long as it takes (100 examples an operation)
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from gambit.access.permissions import Role
from gambit.web.limits import Limiter, Quota, Verdict
from tests.web.answers import answers
from tests.web.rig import rig

TOOL = Path(sys.executable).with_name("schemathesis")
PHASES = ("examples", "coverage", "fuzzing")


class Patient(Limiter):
    """Counts, and lets everybody pass."""

    def take(self, quota: Quota, name: str, now_ns: int) -> Verdict:
        """Within the quota, whatever was asked before."""
        return super().take(quota, name, now_ns)._replace(is_within=True)


class Outcome(NamedTuple):
    """How it ended, and what the tool said."""

    code: int
    text: str
    defects: list[BaseException]


async def run(examples: int, seed: int, phases: tuple[str, ...] = PHASES, patience_sec: float | None = None) -> Outcome:
    """All operations, as an admin; nothing that is asked ends the admin's own session."""

    async def stay(_session_id: str, _reason: str) -> None:
        """As if it had ended."""

    async with rig(limiter=Patient()) as door:
        door.answers |= answers()
        door.access.logins.end = stay  # type: ignore[method-assign]
        token = await door.token(Role.ADMIN)
        words: list[Any] = [
            TOOL, "run", f"{door.url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--no-color",
            "--max-examples", examples, "--seed", seed, "--phases", ",".join(phases),
            "--checks", "all", "--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "all",
            "--generation-database", "none",
        ]  # fmt: skip
        folder = tempfile.mkdtemp()  # the tool leaves its notes where it runs
        process = await asyncio.create_subprocess_exec(
            *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder
        )
        try:
            async with asyncio.timeout(patience_sec):
                said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            shutil.rmtree(folder)
        defects = list(door.defects)
        door.defects.clear()
        return Outcome(process.returncode or 0, said.decode(), defects)


def main(words: list[str]) -> int:
    """Print what it found."""
    examples, seed = (int(word) for word in [*words, *("100", "1")[len(words) :]][:2])
    outcome = asyncio.run(run(examples, seed))
    print(outcome.text)
    print(*outcome.defects, sep="\n")
    return outcome.code or len(outcome.defects)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

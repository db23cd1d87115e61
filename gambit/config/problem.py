"""What can be wrong with a configuration, said so that it can be put right: file, line, key, value, allowed range."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands (`FILE:LINE`, or the variable or option), which key, and what."""

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key} {self.text}" if self.key else f"{self.where}: {self.text}"


class ConfigError(Exception):
    """The configuration cannot be used; `problems` lists everything that is wrong with it, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

"""A no: what somebody asked for is not had. The code is for programs, the text for people, and neither tells whether an
account exists."""

from typing import Literal

Code = Literal[
    "credentials", "second_factor", "locked", "token", "reused", "conflict", "unknown", "taken", "weak", "code_used",
    "last_admin", "full",
]  # fmt: skip


class Refusal(Exception):
    """Raised by everything in gambit.access that says no; `retry_sec` when it would be worth asking again."""

    def __init__(self, code: Code, text: str, retry_sec: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry_sec = retry_sec

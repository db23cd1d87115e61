"""What an account's venue said that nobody could read, as dead letters: the reason and the bytes, without what would
let somebody in. The known secrets are masked before; here go what a venue may echo or hand out: tokens, signatures."""

import re
from collections.abc import Callable
from typing import Final

from gambit.model import DeadLetter

TOPIC: Final = "order.status"
MASK: Final = rb"\g<1>***"
_NAMES: Final = rb"(?:token|listen_?key|sign|signature|pass_?phrase|api_?key|secret|jwt|password)"
_FIELD: Final = re.compile(rb'(\\*"' + _NAMES + rb'\\*"\s*:\s*\\*")[^"\\]*', re.IGNORECASE)  # also JSON within a text
_PAIR: Final = re.compile(rb"(\b" + _NAMES + rb'=)[^&\s"\\]+', re.IGNORECASE)


def masked(raw: bytes) -> bytes:
    """The bytes with the values of telling names taken out, cut short or not."""
    return _PAIR.sub(MASK, _FIELD.sub(MASK, raw))


class PrivateLetters:
    """Those of one account; `bury` takes each."""

    def __init__(self, venue: str, bury: Callable[[DeadLetter], None]) -> None:
        self._venue = venue
        self._bury = bury

    def take(self, reason: str, place: str, raw: bytes, recv_ns: int) -> None:
        """A frame or answer, unless there was no `reason` to complain. The answer to a question for a token is not
        kept: who could not read it cannot tell what in it is the token."""
        if reason:
            is_token = place == "http token"
            words = reason.partition(":")[0] if is_token else masked(reason.encode(errors="replace")).decode()
            self._bury(DeadLetter(words, self._venue, place, recv_ns, b"" if is_token else masked(raw), TOPIC))

"""Facts, past tense: what happened, as the journal keeps it and the store, the screens and the alerts read it.

A fact is a frozen struct with a kind and a version (product.md, "Event contracts"). Fields are only ever added, with a
default; a field that goes is first marked deprecated. Times are ns since the epoch, money and quantities decimal text.
"""

from typing import Final

import msgspec

from gambit.events.access import (
    ApiKeyChanged,
    RefreshReused,
    SessionEnded,
    SessionOpened,
    SigningKeysRotated,
    UserChanged,
)
from gambit.events.alerts import ALERT_KINDS, AlertFact
from gambit.events.feed import BookLost, BookSynced, DeadLettered, DeadLettersPurged, FeedDown, FeedUp
from gambit.events.operation import (
    AccountHeld,
    AccountReleased,
    Audited,
    CredentialAdded,
    CredentialRemoved,
    CredentialRotated,
    DaemonStarted,
    DaemonStopped,
    TradingStateChanged,
)
from gambit.events.orders import ORDER_KINDS, OrderFact

Fact = (
    FeedUp
    | FeedDown
    | BookSynced
    | BookLost
    | DeadLettered
    | DeadLettersPurged
    | DaemonStarted
    | DaemonStopped
    | TradingStateChanged
    | Audited
    | UserChanged
    | SessionOpened
    | SessionEnded
    | RefreshReused
    | ApiKeyChanged
    | SigningKeysRotated
    | AlertFact
    | CredentialAdded
    | CredentialRotated
    | CredentialRemoved
    | AccountHeld
    | AccountReleased
    | OrderFact
)

# Signals are written as the engine words them (contract.md, --emit opportunities), so that a replay can be held against
# the journal byte for byte.
SIGNAL_RAISED: Final = "signal.raised"
SIGNAL_CLOSED: Final = "signal.closed"

KINDS: Final[dict[str, type]] = {
    "feed.up": FeedUp,
    "feed.down": FeedDown,
    "book.synced": BookSynced,
    "book.lost": BookLost,
    "dead_letter": DeadLettered,
    "dead_letters.purged": DeadLettersPurged,
    "daemon.started": DaemonStarted,
    "daemon.stopped": DaemonStopped,
    "state.changed": TradingStateChanged,
    "audit": Audited,
    "user.changed": UserChanged,
    "session.opened": SessionOpened,
    "session.ended": SessionEnded,
    "refresh.reused": RefreshReused,
    "api_key.changed": ApiKeyChanged,
    "signing_keys.rotated": SigningKeysRotated,
    **ALERT_KINDS,
    "credential.added": CredentialAdded,
    "credential.rotated": CredentialRotated,
    "credential.removed": CredentialRemoved,
    "account.held": AccountHeld,
    "account.released": AccountReleased,
    **ORDER_KINDS,
}
KNOWN_KINDS: Final = frozenset({*KINDS, SIGNAL_RAISED, SIGNAL_CLOSED})
_KIND_OF: Final = {struct: kind for kind, struct in KINDS.items()}
_encode = msgspec.json.Encoder().encode


def written(fact: Fact) -> tuple[str, bytes]:
    """(kind, JSON body) of a fact, as the journal takes them."""
    return _KIND_OF[type(fact)], _encode(fact)


def kind_of(fact: Fact) -> str:
    """What a fact is called in the journal."""
    return _KIND_OF[type(fact)]


def read(kind: str, body: bytes) -> object:
    """The fact of a journal record; a plain dict for a kind that has no struct here. Raises ValueError."""
    struct = KINDS.get(kind)
    return msgspec.json.decode(body) if struct is None else msgspec.json.decode(body, type=struct)

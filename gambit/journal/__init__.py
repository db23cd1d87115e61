"""The journal: every input and every intent, in order, hash-chained, before anything is done about it."""

from gambit.journal.chain import Proof, prove_sealed_before
from gambit.journal.checkpoint import Checkpoint
from gambit.journal.frame import Record
from gambit.journal.journal import Journal
from gambit.journal.opening import Places, WrittenJournal, open_journal, places, read_journal, verify
from gambit.journal.problem import (
    JournalBehind,
    JournalDamaged,
    JournalError,
    JournalFailed,
    JournalFromFuture,
    JournalInUse,
    JournalTruncated,
)
from gambit.journal.tail import Follower
from gambit.journal.writer import Policy

__all__ = [
    "Checkpoint",
    "Follower",
    "Journal",
    "JournalBehind",
    "JournalDamaged",
    "JournalError",
    "JournalFailed",
    "JournalFromFuture",
    "JournalInUse",
    "JournalTruncated",
    "Places",
    "Policy",
    "Proof",
    "Record",
    "WrittenJournal",
    "open_journal",
    "places",
    "prove_sealed_before",
    "read_journal",
    "verify",
]

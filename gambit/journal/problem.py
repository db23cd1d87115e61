"""What can be wrong with a journal, as a family of exceptions; every message names file, offset and record."""

from pathlib import Path


class JournalError(Exception):
    """A journal cannot be used."""


class JournalFailed(JournalError):
    """The disk refused; nothing can be appended until the daemon is started anew."""


class JournalBehind(JournalFailed):
    """More waits for the disk than may; what is refused now is taken again once it has caught up."""


class JournalInUse(JournalError):
    """Another process writes this journal."""


class JournalDamaged(JournalError):
    """Bytes that were once written are not as they were written. Nothing is skipped: the chain ends here."""

    advice = (
        "restore a backup; or move the journal, its head and the head's copy away, and choose another "
        "execution.key_prefix for the new one: the venues know the ids of this one's orders"
    )

    def __init__(self, file: Path, offset: int, seq: int, what: str) -> None:
        super().__init__(f"{file}: byte {offset}, record {seq}: {what}; {self.advice}")
        self.file = file
        self.offset = offset
        self.seq = seq


class JournalTruncated(JournalDamaged):
    """Records that were safe on the disk are gone from the end; `head` is the file that knows of them."""

    def __init__(self, file: Path, offset: int, seq: int, what: str, head: Path) -> None:
        self.advice = (
            f"put them back, or restore a backup; where they are lost for good, move {head} away, then `gambit backup` "
            "and `gambit restore` what is left, so that no id of a lost order comes again"
        )
        super().__init__(file, offset, seq, what)


class JournalFromFuture(JournalError):
    """Written by a newer gambit, in a form that this one does not know."""

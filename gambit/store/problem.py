"""What can be wrong with the store. None of it concerns trading: the store can always be made again."""

import duckdb


class StoreError(Exception):
    """The store cannot do what was asked."""


class StoreDamaged(StoreError):
    """The database file is not what was written, or not of this journal; it is put aside and made again."""


class StoreBusy(StoreError):
    """Another process has the database file open."""


class StoreFull(StoreError):
    """The disk took nothing more; to be tried again."""


def judged(error: duckdb.Error) -> StoreError:
    """What an error of DuckDB means for the file."""
    text = str(error).splitlines()[0]
    if "Could not set lock" in text or "onflicting lock" in text:
        return StoreBusy(text)
    if isinstance(error, duckdb.IOException | duckdb.OperationalError | duckdb.OutOfMemoryException):
        damaged = (
            "orrupt",
            "checksum",
            "not a valid DuckDB",
            "version number",
            "Could not read",
            "Failure while replaying",
        )
        return StoreDamaged(text) if any(sign in text for sign in damaged) else StoreFull(text)
    if isinstance(error, duckdb.ParserException | duckdb.BinderException):
        return StoreError(text)  # our own mistake; no new file would mend it
    return StoreDamaged(text)

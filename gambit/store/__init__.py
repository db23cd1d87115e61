"""The store: a DuckDB picture of the journal, and of samples; it can be thrown away and made again."""

from gambit.store.problem import StoreBusy, StoreDamaged, StoreError, StoreFull
from gambit.store.store import Folders, Snapshot, Store

__all__ = ["Folders", "Snapshot", "Store", "StoreBusy", "StoreDamaged", "StoreError", "StoreFull"]

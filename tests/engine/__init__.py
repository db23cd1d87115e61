"""The engine: gambit against the slow twin on generated streams, and its parts one by one."""

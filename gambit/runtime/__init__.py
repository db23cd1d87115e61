"""Everything that touches files, sockets, timers and tasks; it decides nothing."""

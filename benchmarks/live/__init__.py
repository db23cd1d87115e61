"""From the sender's socket to a signal: the same frames over loopback WebSockets into each contestant, in one run."""

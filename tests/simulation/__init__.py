"""The order path in a made-up world: seeded venues, faults and crashes, virtual time, invariants after every step."""

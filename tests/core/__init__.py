"""Property tests: every kernel agrees with its slow twin, for any input."""

"""Alert rules over the daemon's own numbers and facts: pure, time is an argument, what comes out are facts."""

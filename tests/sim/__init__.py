"""The simulated market, its wires, its faults and its captures."""

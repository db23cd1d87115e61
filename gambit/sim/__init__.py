"""Exchanges of our own: a seeded market, each venue's wire spoken exactly, and faults to break it with.

Written from the venue facts alone and never from gambit's own venue modules, so that the two can be held against
each other.
"""

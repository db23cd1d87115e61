"""Whether the score means what it says: win rates by score bin, their order, and the score as a probability."""

from gambit.scorecard.card import BINS, Bin, Calibration, Cell, Scorecard, Verdict, card

__all__ = ["BINS", "Bin", "Calibration", "Cell", "Scorecard", "Verdict", "card"]

"""Coverage-guided fuzzing of what reads bytes from outside, with gcc alone: see run.sh."""

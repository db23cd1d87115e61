"""The slow twin of replay: books and engine in plain Python, right by reading.

It follows formulas.md and replay-rules.md and nothing else; it never imports gambit, so that what the two agree on
was reached twice. `replay.run` is the door; rule numbers (R1 .. R32) in comments are those of replay-rules.md.
"""

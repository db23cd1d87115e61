"""gambit: a cross-exchange crypto arbitrage daemon with a compiled hot path.

Importing the package does nothing and imports nothing; `__version__` is the only place the version is written.
"""

__version__ = "0.1.0"

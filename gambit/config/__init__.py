"""Typed settings from a TOML file and what overrides it; every bound checked once, at start.

    defaults < file < conf.d/*.toml beside it < GAMBIT_SECTION__KEY < command line

settings.py has the types, layers.py reads the sources, checks.py and consistency.py judge them, reference.py
describes them.
"""

from gambit.config.loading import Loaded, load, load_layers
from gambit.config.problem import ConfigError, Problem
from gambit.config.settings import Alias, Config, EngineSettings, Group, VenueSettings

__all__ = [
    "Alias",
    "Config",
    "ConfigError",
    "EngineSettings",
    "Group",
    "Loaded",
    "Problem",
    "VenueSettings",
    "load",
    "load_layers",
]

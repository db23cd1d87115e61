"""Secrets at rest: one encrypted file, its master key from outside of it, versions, and when each is due for a change.

Nothing here knows what a secret is for, beyond its name: `binance/api_key`, `telegram/bot_token`, `jwt/<kid>`.
"""

from gambit.vault.master import Master, find_master
from gambit.vault.problem import NoSecret, VaultError, WrongMasterKey
from gambit.vault.redaction import MASK, Redactor
from gambit.vault.references import resolve
from gambit.vault.rotation import Due, rotation_days
from gambit.vault.vault import About, Change, Vault

__all__ = [
    "MASK",
    "About",
    "Change",
    "Due",
    "Master",
    "NoSecret",
    "Redactor",
    "Vault",
    "VaultError",
    "WrongMasterKey",
    "find_master",
    "resolve",
    "rotation_days",
]

"""What can be wrong with the vault, in sentences that say what to do. None of them repeats a secret."""


class VaultError(Exception):
    """The vault cannot be used as it is asked to be; nothing was written."""


class WrongMasterKey(VaultError):
    """The master key at hand does not open the vault."""


class NoSecret(VaultError):
    """The vault has no secret of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the vault has no secret {name!r}; `gambit credentials list` shows those it has")
        self.name = name

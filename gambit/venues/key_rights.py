"""What each exchange says its keys may do. Sources: Binance's wallet API (API key permission), OKX's account
configuration, Bybit's and Kraken's key information, Coinbase's key permissions. Whoever cannot read an answer is told
so (Malformed); a field that is missing means that the venue does not say.
"""

from gambit.venues.orders import KeyRights
from gambit.venues.reading import Malformed, Row, flag, ident, inner, only_row, text_of

ANY_ADDRESS = "*"


def binance_rights(result: Row) -> KeyRights:
    """Flags."""
    return KeyRights(
        trades=flag(result, "enableSpotAndMarginTrading"),
        withdraws=flag(result, "enableWithdrawals"),
        is_bound=flag(result, "ipRestrict"),
    )


def okx_rights(message: Row) -> KeyRights:
    """A list of words, and the addresses the key is bound to."""
    row = only_row(message, "data")
    words = text_of(row, "perm").replace(" ", "").split(",") if row.get("perm") else None
    return KeyRights(
        trades=None if words is None else "trade" in words,
        withdraws=None if words is None else "withdraw" in words,
        is_bound=bool(text_of(row, "ip")) if "ip" in row else None,
    )


def bybit_rights(result: Row) -> KeyRights:
    """Lists of words by area; `*` stands for any address."""
    allowed = inner(result, "permissions")
    addresses = _words(result, "ips")
    spot, is_read_only = _words(allowed, "Spot"), ident(result, "readOnly") == "1"
    wallet = _words(allowed, "Wallet")
    return KeyRights(
        trades=None if spot is None else bool(spot) and not is_read_only,
        withdraws=None if wallet is None else "Withdraw" in wallet,
        is_bound=None if addresses is None else bool(addresses) and ANY_ADDRESS not in addresses,
    )


def kraken_rights(result: Row) -> KeyRights:
    """A list of words, whose exact spelling the documents at hand do not give: whatever speaks of withdrawing counts,
    and one that is missing says nothing about trading."""
    words, addresses = _words(result, "permissions"), _words(result, "ip_allowlist")
    can_trade = any("trade" in word and ("modify" in word or "create" in word) for word in words or ())
    return KeyRights(
        trades=True if can_trade else None,
        withdraws=None if words is None else any("withdraw" in word.lower() for word in words),
        is_bound=None if addresses is None else bool(addresses),
    )


def coinbase_rights(message: Row) -> KeyRights:
    """Flags; a key that may transfer may send funds away. Addresses are not told."""
    return KeyRights(trades=flag(message, "can_trade"), withdraws=flag(message, "can_transfer"), is_bound=None)


def objection(venue: str, rights: KeyRights, *, wants_bound: bool) -> str:
    """Why orders are not sent with these keys; empty where nothing speaks against it."""
    if rights.withdraws:
        return f"the key of {venue} may withdraw funds; make one that may only read and trade, then rotate"
    if rights.trades is False:
        return f"the key of {venue} may not trade; allow it at the venue, or rotate"
    if wants_bound and rights.is_bound is False:
        return (
            f"the key of {venue} may be used from any address; bind it to this machine's at the venue, or set "
            "execution.require_bound_keys = false"
        )
    return ""


def _words(row: Row, name: str) -> list[str] | None:
    """A list of texts; None where it is absent or null."""
    found = row.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise Malformed(f"`{name}` is no list of texts: {found!r:.60}")
    return found

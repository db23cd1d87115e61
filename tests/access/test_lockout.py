"""How many wrong logins are too many: each gate by itself, what opens it, and what is remembered."""

from gambit.access import lockout
from gambit.access.lockout import ACCOUNT, ADDRESS, NAMES_MAX, PAIR, SECOND_NS

NOW_NS = 10**18


def failed(failures: dict[str, list[int]], times: int, account: str, address: str, at_ns: int = NOW_NS) -> None:
    """So many wrong logins at a moment."""
    for _ in range(times):
        lockout.count(failures, account, address, at_ns)


def test_the_pairs_gate_closes_and_opens_with_time():
    """Ten within a minute; it opens when the oldest of them is a minute old, and not before."""
    failures: dict[str, list[int]] = {}
    failed(failures, PAIR.most - 1, "ann", "a")
    assert lockout.closed_sec(failures, "ann", "a", NOW_NS) == 0
    failed(failures, 1, "ann", "a", NOW_NS + 30 * SECOND_NS)
    assert lockout.closed_sec(failures, "ann", "a", NOW_NS + 30 * SECOND_NS) == 30
    assert lockout.closed_sec(failures, "ann", "a", NOW_NS + PAIR.window_ns - 1) == 1
    assert lockout.closed_sec(failures, "ann", "a", NOW_NS + PAIR.window_ns) == 0
    assert lockout.closed_sec(failures, "ann", "b", NOW_NS) == lockout.closed_sec(failures, "bob", "a", NOW_NS) == 0


def test_many_addresses_close_the_account_and_many_accounts_the_address():
    """The wide gates stand where each pair stays below its own."""
    failures: dict[str, list[int]] = {}
    for at in range(ACCOUNT.most):
        failed(failures, 1, "ann", f"address {at}")
    assert lockout.closed_sec(failures, "ann", "elsewhere", NOW_NS) == ACCOUNT.window_ns // SECOND_NS
    failures = {}
    for at in range(ADDRESS.most):
        failed(failures, 1, f"user {at}", "a")
    assert lockout.closed_sec(failures, "nobody", "a", NOW_NS) == ADDRESS.window_ns // SECOND_NS
    assert lockout.closed_sec(failures, "nobody", "b", NOW_NS) == 0


def test_a_right_login_opens_its_pairs_gate_only():
    """The account's and the address's counts stay."""
    failures: dict[str, list[int]] = {}
    failed(failures, 5, "ann", "a")
    lockout.forget(failures, "ann", "a")
    assert sorted(failures) == ["account ann", "address a"]


def test_what_is_old_or_too_much_is_forgotten():
    """Nothing is kept past the longest window, nor more names than there is room for."""
    failures: dict[str, list[int]] = {}
    failed(failures, 3, "ann", "a")
    failed(failures, 1, "bob", "b", NOW_NS + ACCOUNT.window_ns + 1)
    assert {name.split()[-1] for name in failures} == {"bob", "b"}
    for at in range(NAMES_MAX // 3 + 50):
        failed(failures, 1, f"user {at}", f"address {at}", NOW_NS + ACCOUNT.window_ns + 2)
    assert len(failures) <= NAMES_MAX

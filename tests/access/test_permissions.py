"""The permission table: complete, ordered by role, and narrower by the network than by the control socket."""

import pytest

from gambit.access.permissions import (
    FRESH_NS,
    RULES,
    SCOPES_OF,
    Door,
    Principal,
    Role,
    Scope,
    allowed,
    denial,
)
from gambit.surface.methods import PARAMS

NOW_NS = 1_000 * 1_000_000_000


def somebody(role: Role, door: Door = Door.REST, **more: object) -> Principal:
    """A principal who logged in just now with a second factor."""
    given = {"authenticated_at_ns": NOW_NS, "has_second_factor": True, **more}
    return Principal("u1", "ann", role, door, **given)  # type: ignore[arg-type]


def test_every_method_has_a_scope():
    """A method that somebody adds without saying who may call it fails here."""
    assert set(PARAMS) - set(RULES) == set()


def test_roles_are_ordered():
    """Each role has all that the one before it has, and something more."""
    assert SCOPES_OF[Role.VIEWER] < SCOPES_OF[Role.TRADER] < SCOPES_OF[Role.ADMIN] == frozenset(Scope)


def test_a_viewer_changes_nothing():
    """No privileged method is a viewer's; users, keys and letting risk in are no trader's."""
    assert [name for name, rule in RULES.items() if rule.is_privileged and allowed(Role.VIEWER, name)] == []
    assert [name for name in RULES if name.startswith("user.") and allowed(Role.TRADER, name)] == []
    assert not allowed(Role.TRADER, "resume")
    assert not allowed(Role.TRADER, "arm")
    assert allowed(Role.TRADER, "halt")


def test_what_has_no_rule_is_forbidden():
    """To an admin by the control socket too."""
    assert not allowed(Role.ADMIN, "withdraw")
    assert denial(somebody(Role.ADMIN, Door.LOCAL), "withdraw", NOW_NS) is not None


@pytest.mark.parametrize(
    ("who", "method", "code"),
    [
        (somebody(Role.VIEWER), "halt", "scope"),
        (somebody(Role.ADMIN), "stop", "local_only"),
        (somebody(Role.ADMIN, authenticated_at_ns=NOW_NS - FRESH_NS - 1), "resume", "reauth"),
        (somebody(Role.ADMIN, has_second_factor=False), "arm", "second_factor"),
        (somebody(Role.ADMIN, scopes=frozenset({Scope.MARKET_READ})), "halt", "scope"),
    ],
)
def test_denials(who: Principal, method: str, code: str):
    """Each way of being refused is told apart."""
    denied = denial(who, method, NOW_NS)
    assert denied is not None
    assert denied.code == code
    assert method in denied.text


def test_the_control_socket_is_the_daemons_own_user():
    """By it nothing asks for freshness or a second factor."""
    local = Principal("uid 0", "root", Role.ADMIN, Door.LOCAL)
    assert [name for name in RULES if denial(local, name, NOW_NS) is not None] == []
    assert denial(somebody(Role.ADMIN), "resume", NOW_NS) is None

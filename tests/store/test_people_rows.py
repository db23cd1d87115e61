"""Users and sessions in the database: as they are now, without anything that opens a door."""

from tests.store.conftest import NOW_NS, Ledger, Start


def test_users_and_sessions_as_they_are_now(start: Start, ledger: Ledger) -> None:
    """The latest of a user counts, within a batch and over batches; a session has its end once."""
    for role in ("viewer", "trader"):
        ledger.append(
            "user.changed", user_id="u1", email="ann@desk", role=role, status="active", created_ns=NOW_NS,
            second_factor=False, schema_ver="1",
        )  # fmt: skip
    for name in ("s1", "s2"):
        ledger.append("session.opened", session_id=name, user_id="u1", expires_ns=NOW_NS + 5, address="a", label="l")
    ledger.append("session.ended", session_id="s1", user_id="u1", reason="logout")
    running = start()
    assert running.rows("SELECT user_id, email, role, status, password_hash FROM users") == [
        ("u1", "ann@desk", "trader", "active", None)
    ]
    assert running.store.close()
    ledger.append(
        "user.changed", user_id="u1", email="ann@desk", role="admin", status="suspended", created_ns=NOW_NS,
        second_factor=True, schema_ver="1",
    )  # fmt: skip
    ledger.append("session.ended", session_id="s1", user_id="u1", reason="revoked")
    ledger.append("session.ended", session_id="s2", user_id="u1", reason="expired")
    running = start()
    assert running.rows("SELECT role, status, second_factor, epoch_ns(created_at) FROM users") == [
        ("admin", "suspended", True, NOW_NS)
    ]
    assert running.rows("SELECT session_id, revoked, end_reason, address FROM sessions ORDER BY session_id") == [
        ("s1", True, "logout", "a"), ("s2", False, "expired", "a"),
    ]  # fmt: skip
    assert running.store.close()

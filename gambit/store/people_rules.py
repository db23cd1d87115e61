"""Rules of the projection about people: users as they are now, sessions with their beginning and end."""

from typing import Final

from gambit.store.rule import Rule, fields

PEOPLE_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        ("user.changed",),
        {**fields("VARCHAR", "user_id", "email", "role", "status"), "created_ns": "BIGINT", "second_factor": "BOOLEAN"},
        "INSERT OR REPLACE INTO users BY NAME SELECT * EXCLUDE (nth) FROM ("
        "SELECT fact.* EXCLUDE (created_ns), NULL AS password_hash, make_timestamp_ns(fact.created_ns) AS created_at, "
        "seq, row_number() OVER (PARTITION BY fact.user_id ORDER BY seq DESC) AS nth FROM {facts}) WHERE nth = 1",
    ),
    Rule(
        ("session.opened",),
        {**fields("VARCHAR", "session_id", "user_id", "address", "label"), "expires_ns": "BIGINT"},
        "INSERT INTO sessions BY NAME SELECT fact.* EXCLUDE (expires_ns), ts AS issued_at, "
        "make_timestamp_ns(fact.expires_ns) AS expires_at, false AS revoked, seq FROM {facts}",
    ),
    Rule(
        ("session.ended",),
        fields("VARCHAR", "session_id", "reason"),
        "UPDATE sessions SET ended_at = over.ts, end_reason = over.reason, revoked = over.reason <> 'expired' FROM "
        "(SELECT fact.session_id AS session_id, min(ts) AS ts, arg_min(fact.reason, seq) AS reason FROM {facts} "
        "GROUP BY ALL) AS over WHERE sessions.session_id = over.session_id AND sessions.ended_at IS NULL",
    ),
)

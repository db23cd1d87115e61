"""What becomes of a journal record in the store: SQL over a batch of records, so that DuckDB does it off the lock.

A batch is the view `batch(seq, ts_ns, kind, body)` of gambit/store/batch.py. Each rule takes the records of some kinds;
DuckDB parses their JSON into the named fields (a field that is missing or of another type is null: a projection never
fails on what it reads) and the statement turns `fact` into rows. Every record also becomes a row of `facts`, with its
body unless a rule has taken all of it. The same journal gives the same rows, whatever the batches.
"""

from collections.abc import Collection, Iterator
from typing import Final

from gambit.store.order_rules import ORDER_RULES
from gambit.store.people_rules import PEOPLE_RULES
from gambit.store.rule import MONEY, Rule, fields

SCHEMA_VERSION: Final = 4
SAMPLES_A_WEEK: Final = 100  # signals kept for people to look at


_SIGNAL: Final = {
    **fields("UUID", "opp_id", "raw_signal_id"),
    **fields(
        "VARCHAR",
        "symbol", "symbol_buy", "symbol_sell", "base_asset", "quote_asset", "venue_buy", "venue_sell", "data_quality",
        "schema_ver",
    ),
    **fields(
        "DOUBLE",
        "spread_bps", "score", "ttl_sec", "net_bps", "liquidity", "sigma", "persistence", "window_mean_bps",
        "window_max_bps", "impact_bps",
    ),
    **fields(MONEY, "profit_quote", "qty", "buy_vwap", "sell_vwap"),
    **fields("BIGINT", "seq_buy", "seq_sell", "book_age_buy_ns", "book_age_sell_ns", "recv_ns"),
    "degraded": "BOOLEAN",
}  # fmt: skip

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        ("signal.raised",),
        _SIGNAL,
        "INSERT INTO arbitrage_opportunity BY NAME "
        "SELECT fact.*, make_timestamp_ns(fact.recv_ns) AS created_at, seq FROM {facts}",
    ),
    Rule(
        ("signal.raised",),
        {"opp_id": "UUID", "recv_ns": "BIGINT"},
        "INSERT INTO signal_samples BY NAME SELECT strftime(made.ts, '%G-W%V') AS week, md5(made.opp_id::VARCHAR) "
        "AS pick, made.opp_id AS opp_id, made.ts AS ts, batch.body AS signal, made.seq AS seq FROM "
        "(SELECT seq, fact.opp_id AS opp_id, make_timestamp_ns(fact.recv_ns) AS ts FROM {facts}) AS made "
        "JOIN batch ON batch.seq = made.seq WHERE made.opp_id IS NOT NULL AND made.ts IS NOT NULL",
    ),
    Rule(
        ("signal.raised",),
        {},
        "DELETE FROM signal_samples WHERE seq IN (SELECT seq FROM signal_samples QUALIFY row_number() "
        f"OVER (PARTITION BY week ORDER BY pick, seq) > {SAMPLES_A_WEEK})",
    ),
    Rule(
        ("signal.closed",),
        {
            "raw_signal_id": "UUID",
            **fields("VARCHAR", "symbol", "venue_buy", "venue_sell", "reason"),
            **fields("BIGINT", "recv_ns", "duration_ns", "evaluations"),
            "max_net_bps": "DOUBLE",
            "max_profit_quote": MONEY,
        },
        "INSERT INTO arbitrage_episode BY NAME SELECT fact.* EXCLUDE (recv_ns), "
        "make_timestamp_ns(fact.recv_ns - fact.duration_ns) AS started_at, "
        "make_timestamp_ns(fact.recv_ns) AS closed_at, seq FROM {facts}",
    ),
    Rule(
        ("feed.up", "feed.down", "book.synced", "book.lost"),
        fields("VARCHAR", "venue", "conn", "symbol", "reason"),
        "INSERT INTO feed_event BY NAME SELECT ts, kind, fact.*, seq FROM {facts}",
    ),
    Rule(
        ("daemon.started", "daemon.stopped", "state.changed"),
        {
            **fields("VARCHAR", "version", "mode", "config_hash", "state", "was", "reason", "by"),
            **fields("BIGINT", "pid", "epoch"),
        },
        "INSERT INTO daemon_event BY NAME SELECT ts, kind, fact.*, seq FROM {facts}",
    ),
    Rule(
        ("dead_letter",),
        {**fields("VARCHAR", "topic", "venue", "conn", "reason", "raw"), **fields("BIGINT", "letter_id", "recv_ns")},
        "INSERT INTO dead_letters BY NAME SELECT fact.* EXCLUDE (raw, recv_ns), "
        "make_timestamp_ns(fact.recv_ns) AS recv_at, TRY(from_base64(fact.raw)) AS raw, "
        "ts AS created_at, seq FROM {facts}",
    ),
    Rule(
        ("dead_letters.purged",),
        {"letter_ids": "BIGINT[]", "by": "VARCHAR"},
        "UPDATE dead_letters SET purged_at = purged.ts, purged_by = purged.who FROM "
        "(SELECT letter, min(ts) AS ts, arg_min(who, seq) AS who FROM "
        '(SELECT unnest(fact.letter_ids) AS letter, fact."by" AS who, ts, seq FROM {facts}) GROUP BY letter) AS purged '
        "WHERE dead_letters.letter_id = purged.letter AND dead_letters.purged_at IS NULL",
    ),
    Rule(
        ("audit",),
        fields("VARCHAR", "who", "door", "action", "entity_type", "entity_ref", "outcome", "detail"),
        "INSERT INTO audit_log BY NAME SELECT seq AS audit_id, fact.* EXCLUDE (who, detail), "
        "fact.who AS user_id, fact.detail AS metadata, ts, seq FROM {facts}",
    ),
    *PEOPLE_RULES,
    Rule(
        ("credential.added", "credential.rotated", "credential.removed"),
        {**fields("VARCHAR", "name", "by"), **fields("BIGINT", "version", "at_ns")},
        "INSERT INTO api_credentials BY NAME SELECT fact.name || '#' || fact.version || '#' || "
        "split_part(kind, '.', 2) AS cred_id, "
        "CASE WHEN contains(fact.name, '/') THEN split_part(fact.name, '/', 1) END AS venue, fact.name, fact.version, "
        "split_part(kind, '.', 2) AS what, fact.\"by\" AS user_id, make_timestamp_ns(fact.at_ns) AS created_at, seq "
        "FROM {facts}",
    ),
    Rule(
        ("alert.raised",),
        fields("VARCHAR", "alert_id", "rule_id", "severity", "message", "scope", "user_id"),
        "INSERT INTO alerts BY NAME SELECT fact.*, ts AS created_at, seq FROM {facts}",
    ),
    Rule(
        ("alert.resolved",),
        {"alert_id": "VARCHAR"},
        "UPDATE alerts SET resolved_at = over.ts FROM "
        "(SELECT fact.alert_id AS alert_id, min(ts) AS ts FROM {facts} GROUP BY ALL) AS over "
        "WHERE alerts.alert_id = over.alert_id AND alerts.resolved_at IS NULL",
    ),
    *ORDER_RULES,
)

# Tables whose rows come from the journal; a rebuild gives them again. The others are samples.
JOURNALLED: Final = (
    "facts", "arbitrage_opportunity", "arbitrage_episode", "feed_event", "daemon_event", "dead_letters", "audit_log",
    "api_credentials", "users", "sessions", "alerts", "order_plan", "orders", "executions", "settlements",
    "pre_trade_checks_log",
)  # fmt: skip
SAMPLED: Final = (
    "market_snapshots", "order_book_snapshots", "candles", "ts_ingestion_lag", "ts_order_latency",
    "ts_arb_signal_throughput", "ts_errors", "ts_alerts", "agent_status_log",
)  # fmt: skip

# The column that says of which day a row is.
DAY_OF: Final = {
    **dict.fromkeys(SAMPLED, "ts"),
    **dict.fromkeys(("facts", "feed_event", "daemon_event", "audit_log", "pre_trade_checks_log"), "ts"),
    "api_credentials": "created_at",
    "sessions": "issued_at",
    **dict.fromkeys(
        ("arbitrage_opportunity", "dead_letters", "alerts", "order_plan", "orders"), "created_at"
    ),
    "arbitrage_episode": "closed_at",
    "executions": "exec_time",
    "settlements": "settled_at",
}  # fmt: skip

_TAKEN: Final = ", ".join(f"'{kind}'" for rule in RULES if not rule.keeps_body for kind in rule.kinds)
_STATEMENTS: Final = tuple((frozenset(rule.kinds), rule.statement()) for rule in RULES)
_FACTS: Final = "FROM batch WHERE seq > 0 ORDER BY seq"
_KEEP: Final = (
    "INSERT INTO facts SELECT seq, make_timestamp_ns(ts_ns), kind, "
    f"CASE WHEN kind IN ({_TAKEN}) THEN NULL ELSE body END {_FACTS}"
)

# For a batch in which a rule failed after all: the records are kept whole and nothing is lost.
KEEP_WHOLE: Final = f"INSERT INTO facts SELECT seq, make_timestamp_ns(ts_ns), kind, body {_FACTS}"


def statements(kinds: Collection[str]) -> Iterator[str]:
    """The SQL that a batch with records of these kinds needs, in order."""
    for taken, statement in _STATEMENTS:
        if not taken.isdisjoint(kinds):
            yield statement
    yield _KEEP

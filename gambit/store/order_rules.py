"""What becomes of the order path's facts (gambit.events.orders) in the store.

The desk has decided already: an execution is in the journal once, or again after it was taken back; a move of an order
is one of its table. So a rule only puts down what the facts say. What a row looks up in another table it looks up among
rows of earlier records (`seq`), so that it comes out the same whatever the batches were.
"""

from typing import Final

from gambit.store.rule import AMOUNTS, MONEY, Rule, fields

_GATES: Final = 'STRUCT(gate VARCHAR, ok BOOLEAN, "value" VARCHAR, "limit" VARCHAR)[]'
_FAILED: Final = "array_to_string([verdict.gate for verdict in fact.gates if not verdict.ok], ',')"

_PLANS: Final = (
    Rule(
        ("plan.made",),
        {
            **fields("UUID", "plan_id", "opp_id"),
            **fields("VARCHAR", "symbol", "strategy", "approval"),
            **fields(MONEY, "total_quote", "expected_profit"),
            "gates": _GATES,
        },
        "INSERT INTO order_plan BY NAME SELECT fact.plan_id, fact.opp_id, fact.symbol, fact.strategy, fact.approval, "
        "CASE fact.approval WHEN 'manual' THEN 'waiting' ELSE 'working' END AS status, "
        f"{_FAILED} AS risk_flags, fact.total_quote AS total_quote_amount, fact.expected_profit, "
        "ts AS created_at, ts AS updated_at, seq FROM {facts}",
        keeps_body=True,
    ),
    Rule(
        ("plan.refused",),
        {
            "opp_id": "UUID",
            **fields("VARCHAR", "symbol", "reason"),
            "expected_profit": MONEY,
            "gates": _GATES,
        },
        "INSERT INTO order_plan BY NAME SELECT fact.opp_id, fact.symbol, 'refused' AS status, fact.reason, "
        f"{_FAILED} AS risk_flags, fact.expected_profit, ts AS created_at, ts AS updated_at, seq FROM {{facts}}",
        keeps_body=True,
    ),
    Rule(
        ("plan.approved", "plan.stopped", "plan.unhedged", "plan.closed", "plan.reopened"),
        {
            "plan_id": "UUID",
            **fields("VARCHAR", "reason", "end"),
            "profit": "JSON",
            "value": MONEY,
            "compensations": "BIGINT",
        },
        "UPDATE order_plan SET updated_at = news.ts, status = news.status, "
        "reason = coalesce(order_plan.reason, news.reason), "
        "ended = CASE WHEN news.is_turned THEN news.ended ELSE order_plan.ended END, "
        "risk_flags = coalesce(news.flags, order_plan.risk_flags), "
        "profit = coalesce(news.profit, order_plan.profit), "
        "value = coalesce(news.value, order_plan.value), "
        "compensations = coalesce(news.compensations, order_plan.compensations) FROM "
        "(SELECT fact.plan_id AS plan_id, max(ts) AS ts, "
        "arg_max(CASE kind WHEN 'plan.closed' THEN 'closed' ELSE 'working' END, seq) AS status, "
        "arg_min(fact.reason, seq) FILTER (kind = 'plan.stopped') AS reason, "
        "bool_or(kind IN ('plan.closed', 'plan.reopened')) AS is_turned, "
        "nullif(arg_max(coalesce(fact.\"end\", ''), seq) FILTER (kind IN ('plan.closed', 'plan.reopened')), '') "
        "AS ended, "
        "arg_max(CASE kind WHEN 'plan.unhedged' THEN 'unhedged' ELSE '' END, seq) "
        "FILTER (kind IN ('plan.unhedged', 'plan.reopened')) AS flags, "
        "arg_max(fact.profit::VARCHAR, seq) FILTER (kind = 'plan.closed') AS profit, "
        "arg_max(fact.\"value\", seq) FILTER (kind = 'plan.closed') AS value, "
        "arg_max(fact.compensations, seq) FILTER (kind = 'plan.closed') AS compensations "
        "FROM {facts} GROUP BY ALL) AS news WHERE order_plan.plan_id = news.plan_id",
        keeps_body=True,
    ),
    Rule(
        ("plan.made", "plan.refused", "plan.approved", "plan.stopped"),
        {**fields("UUID", "plan_id", "opp_id"), "gates": _GATES},
        "INSERT INTO pre_trade_checks_log BY NAME SELECT ts, plan_id, opp_id, verdict.gate AS check_name, "
        'verdict.ok AS passed, verdict."value" AS "value", verdict."limit" AS "limit", seq FROM '
        "(SELECT seq, ts, fact.plan_id AS plan_id, fact.opp_id AS opp_id, unnest(fact.gates) AS verdict FROM {facts})",
        keeps_body=True,
    ),
)

_ORDERS: Final = (
    Rule(
        ("order.intended",),
        {
            **fields("UUID", "order_id", "plan_id"),
            **fields(
                "VARCHAR",
                "key",
                "user_id",
                "venue",
                "symbol",
                "side",
                "idempotency_key",
                "tif",
                "purpose",
                "retry_of",
                "compensates",
            ),
            **fields(MONEY, "qty", "price"),
            "leg": "BIGINT",
        },
        "INSERT INTO orders BY NAME SELECT fact.* EXCLUDE (key, retry_of, compensates), "
        "fact.key AS client_order_id, nullif(fact.retry_of, '') AS retry_of, "
        "nullif(fact.compensates, '') AS compensates, 'pending_submission' AS status, "
        f"0::{MONEY} AS qty_filled, ts AS created_at, ts AS updated_at, seq FROM {{facts}}",
        keeps_body=True,
    ),
    Rule(
        ("order.acked",),
        fields("VARCHAR", "key", "venue", "venue_order_id"),
        "UPDATE orders SET venue_order_id = news.venue_order_id FROM "
        "(SELECT fact.key AS key, fact.venue AS venue, arg_min(fact.venue_order_id, seq) AS venue_order_id "
        "FROM {facts} GROUP BY ALL) AS news "
        "WHERE orders.client_order_id = news.key AND orders.venue = news.venue AND orders.venue_order_id IS NULL",
        keeps_body=True,
    ),
    Rule(
        ("order.amended",),
        {**fields("VARCHAR", "key", "venue"), **fields(MONEY, "qty", "price")},
        "UPDATE orders SET qty = news.qty, price = news.price FROM "
        "(SELECT fact.key AS key, fact.venue AS venue, arg_max(fact.qty, seq) AS qty, arg_max(fact.price, seq) "
        "AS price FROM {facts} GROUP BY ALL) AS news "
        "WHERE orders.client_order_id = news.key AND orders.venue = news.venue",
        keeps_body=True,
    ),
    Rule(
        ("order.status",),
        {"order_id": "UUID", "status": "VARCHAR", **fields(MONEY, "qty_filled", "price")},
        "UPDATE orders SET status = news.last.status, qty_filled = news.last.qty_filled, "
        "average_price = news.last.price, updated_at = news.ts FROM "
        "(SELECT fact.order_id AS order_id, max(ts) AS ts, arg_max(fact, seq) AS last "
        "FROM {facts} GROUP BY ALL) AS news WHERE orders.order_id = news.order_id",
        keeps_body=True,
    ),
)

_EXECUTIONS: Final = (
    Rule(
        ("order.filled",),
        {
            **fields("VARCHAR", "key", "venue", "account", "symbol", "side", "exec_id", "fee_asset", "venue_order_id"),
            **fields(MONEY, "qty", "price", "fee"),
            "exec_ns": "BIGINT",
        },
        "INSERT INTO executions BY NAME SELECT "
        "md5(concat_ws('|', fact.venue, fact.account, fact.symbol, fact.exec_id, filled.seq))::UUID AS exec_id, "
        "orders.order_id, fact.venue AS exec_venue_id, fact.exec_id AS venue_exec_id, fact.symbol, fact.side, "
        "fact.qty AS qty_filled, fact.price, fact.fee, fact.fee_asset, coalesce(fact.account, 'main') AS account, "
        "CASE WHEN fact.exec_ns > 0 THEN make_timestamp_ns(fact.exec_ns) ELSE filled.ts END AS exec_time, "
        "filled.seq FROM {facts} AS filled LEFT JOIN orders ON orders.client_order_id = fact.key "
        "AND orders.venue = fact.venue AND orders.symbol = fact.symbol AND orders.side = fact.side "
        "AND orders.seq < filled.seq",
        keeps_body=True,
    ),
    Rule(
        ("execution.busted",),
        fields("VARCHAR", "venue", "account", "symbol", "exec_id"),
        "UPDATE executions SET busted_at = bust.ts FROM "
        "(SELECT executions.seq AS of, min(busted.ts) AS ts FROM {facts} AS busted JOIN executions "
        "ON executions.exec_venue_id = fact.venue AND executions.account = coalesce(fact.account, 'main') "
        "AND executions.symbol = fact.symbol AND executions.venue_exec_id = fact.exec_id "
        "AND executions.seq < busted.seq GROUP BY ALL) AS bust "
        "WHERE executions.seq = bust.of AND executions.busted_at IS NULL",
        keeps_body=True,
    ),
    Rule(
        ("order.settled",),
        {
            "order_id": "UUID",
            "settlement_id": "VARCHAR",
            **fields(MONEY, "base_net", "quote_net"),
            "fees": AMOUNTS,
        },
        "INSERT INTO settlements BY NAME SELECT fact.settlement_id, fact.order_id, fact.base_net, "
        "fact.quote_net AS amount_net, to_json(fact.fees)::VARCHAR AS fees, CASE cardinality(fact.fees) "
        f"WHEN 0 THEN 0::{MONEY} WHEN 1 THEN map_values(fact.fees)[1] END AS fee_total, "
        "CASE cardinality(fact.fees) WHEN 1 THEN map_keys(fact.fees)[1] END AS fee_asset, "
        "'confirmed' AS status, ts AS settled_at, seq FROM {facts}",
        keeps_body=True,
    ),
    Rule(
        ("order.status",),
        {"order_id": "UUID", "was": "VARCHAR"},
        "UPDATE settlements SET status = 'failed' FROM "
        "(SELECT fact.order_id AS order_id, max(seq) AS seq FROM {facts} WHERE fact.was = 'reconciled' GROUP BY ALL) "
        "AS undone WHERE settlements.order_id = undone.order_id AND settlements.seq < undone.seq",
        keeps_body=True,
    ),
)

ORDER_RULES: Final[tuple[Rule, ...]] = (*_PLANS, *_ORDERS, *_EXECUTIONS)

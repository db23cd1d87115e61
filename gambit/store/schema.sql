-- The tables of the store. Times are TIMESTAMP_NS in UTC, money is DECIMAL(38,18), rankings are DOUBLE; `seq` is the
-- journal record that a row comes from. What differs from the blueprint (product.md, "Tables"), and why:
--   * Rows that come from the journal have no key constraint: they are written once by their seq, and an index over
--     every row would have to stay in memory.
--   * user_id may be null where the daemon itself acts.
--   * market_snapshots has no snapshot_id: (symbol, venue, ts) names a sample.
--   * candles_5m is a view over the 1-minute candles.
--   * The rows of the order path have more columns; its records stay whole in facts all the same. A refused plan has no
--     plan_id, so its checks have the opp_id.
--   * settlement_id is the text that the desk gives it. A settlement is a row once it is confirmed, not before.
--   * signal_events, signal_outcomes are views: the events of a signal's life and its outcome, for the scorecard.
--   * api_credentials has no secret, not even encrypted: those are in the vault. A row is what was done to one (added,
--     rotated, removed).
--   * Further tables: signal_samples, facts (what no table of its own takes, and every record's number), arbitrage_episode,
--     feed_event, daemon_event, dead_letters, store_cursor.

CREATE TABLE store_cursor (
    journal_id VARCHAR NOT NULL, -- hex
    seq BIGINT NOT NULL, -- the last journal record that is in here
    hash VARCHAR NOT NULL, -- its hash, hex
    first_seq BIGINT NOT NULL, -- the first one
    schema_version INTEGER NOT NULL
);

CREATE TABLE facts (
    seq BIGINT NOT NULL,
    ts TIMESTAMP_NS NOT NULL,
    kind VARCHAR NOT NULL,
    body VARCHAR -- JSON; null where another table has all of it
);

CREATE TABLE arbitrage_opportunity (
    opp_id UUID, symbol VARCHAR, base_asset VARCHAR, quote_asset VARCHAR, venue_buy VARCHAR, venue_sell VARCHAR,
    spread_bps DOUBLE, score DOUBLE, ttl_sec DOUBLE, created_at TIMESTAMP_NS, raw_signal_id UUID,
    symbol_buy VARCHAR, symbol_sell VARCHAR, net_bps DOUBLE, profit_quote DECIMAL(38, 18), qty DECIMAL(38, 18),
    buy_vwap DECIMAL(38, 18), sell_vwap DECIMAL(38, 18), liquidity DOUBLE, sigma DOUBLE, persistence DOUBLE,
    window_mean_bps DOUBLE, window_max_bps DOUBLE, impact_bps DOUBLE, seq_buy BIGINT, seq_sell BIGINT,
    book_age_buy_ns BIGINT, book_age_sell_ns BIGINT, degraded BOOLEAN, data_quality VARCHAR, recv_ns BIGINT,
    schema_ver VARCHAR, seq BIGINT NOT NULL
);

CREATE TABLE arbitrage_episode (
    raw_signal_id UUID, symbol VARCHAR, venue_buy VARCHAR, venue_sell VARCHAR, started_at TIMESTAMP_NS,
    closed_at TIMESTAMP_NS, duration_ns BIGINT, max_net_bps DOUBLE, max_profit_quote DECIMAL(38, 18),
    evaluations BIGINT, reason VARCHAR, seq BIGINT NOT NULL
);

CREATE TABLE feed_event (
    ts TIMESTAMP_NS, kind VARCHAR, venue VARCHAR, conn VARCHAR, symbol VARCHAR, reason VARCHAR, seq BIGINT NOT NULL
);

CREATE TABLE daemon_event (
    ts TIMESTAMP_NS, kind VARCHAR, version VARCHAR, pid BIGINT, epoch BIGINT, mode VARCHAR, config_hash VARCHAR,
    state VARCHAR, was VARCHAR, reason VARCHAR, "by" VARCHAR, seq BIGINT NOT NULL
);

CREATE TABLE dead_letters (
    letter_id BIGINT, topic VARCHAR, venue VARCHAR, conn VARCHAR, reason VARCHAR, recv_at TIMESTAMP_NS, raw BLOB,
    created_at TIMESTAMP_NS, purged_at TIMESTAMP_NS, purged_by VARCHAR, seq BIGINT NOT NULL
);

CREATE TABLE audit_log (
    audit_id BIGINT, user_id VARCHAR, action VARCHAR, entity_type VARCHAR, entity_ref VARCHAR, metadata VARCHAR,
    ts TIMESTAMP_NS, door VARCHAR, outcome VARCHAR, seq BIGINT NOT NULL
);

CREATE TABLE alerts (
    alert_id VARCHAR, rule_id VARCHAR, severity VARCHAR, message VARCHAR, scope VARCHAR, user_id VARCHAR,
    created_at TIMESTAMP_NS, resolved_at TIMESTAMP_NS, seq BIGINT NOT NULL
);

-- An opportunity that became a plan, or was refused one (no plan_id then). status: waiting, working, closed, refused.
CREATE TABLE order_plan (
    plan_id UUID, opp_id UUID, symbol VARCHAR, strategy VARCHAR, approval VARCHAR, status VARCHAR,
    reason VARCHAR, -- why it was refused or stopped
    ended VARCHAR, -- nothing, flat, dust, position
    risk_flags VARCHAR, -- gates that said no; unhedged
    total_quote_amount DECIMAL(38, 18), expected_profit DECIMAL(38, 18),
    profit VARCHAR, -- JSON: what its orders changed, by asset
    value DECIMAL(38, 18), -- of that, in the currency of account
    compensations BIGINT, created_at TIMESTAMP_NS, updated_at TIMESTAMP_NS, seq BIGINT NOT NULL
);

CREATE TABLE orders (
    order_id UUID, plan_id UUID, user_id VARCHAR, venue VARCHAR, symbol VARCHAR, side VARCHAR, qty DECIMAL(38, 18),
    price DECIMAL(38, 18), status VARCHAR, qty_filled DECIMAL(38, 18), average_price DECIMAL(38, 18),
    idempotency_key VARCHAR, client_order_id VARCHAR, venue_order_id VARCHAR, tif VARCHAR, purpose VARCHAR, leg BIGINT,
    retry_of VARCHAR, compensates VARCHAR, created_at TIMESTAMP_NS, updated_at TIMESTAMP_NS, seq BIGINT NOT NULL
);

CREATE TABLE executions (
    exec_id UUID, order_id UUID, -- null: of no order of ours
    exec_venue_id VARCHAR, -- the venue
    venue_exec_id VARCHAR, -- its own id
    account VARCHAR, symbol VARCHAR, side VARCHAR, qty_filled DECIMAL(38, 18), price DECIMAL(38, 18),
    fee DECIMAL(38, 18), fee_asset VARCHAR, exec_time TIMESTAMP_NS,
    busted_at TIMESTAMP_NS, -- taken back by the venue
    seq BIGINT NOT NULL
);

CREATE TABLE settlements (
    settlement_id VARCHAR, order_id UUID,
    amount_net DECIMAL(38, 18), -- quote, signed, fees in it included
    base_net DECIMAL(38, 18), -- the same in base
    fee_total DECIMAL(38, 18), fee_asset VARCHAR, -- null where fees were taken in several assets
    fees VARCHAR, -- JSON, by asset
    status VARCHAR, -- confirmed; failed once a late fill or a bust undid it
    settled_at TIMESTAMP_NS, seq BIGINT NOT NULL
);

-- As they are now; the journal has no hash of a password, so that this has none either.
CREATE TABLE users (
    user_id VARCHAR PRIMARY KEY, email VARCHAR, password_hash VARCHAR, status VARCHAR, created_at TIMESTAMP_NS,
    role VARCHAR, second_factor BOOLEAN, seq BIGINT
);

CREATE TABLE api_credentials (
    cred_id VARCHAR, user_id VARCHAR, venue VARCHAR, name VARCHAR, version BIGINT, what VARCHAR, created_at TIMESTAMP_NS,
    seq BIGINT
);

-- revoked: it ended before its time, for end_reason. Tokens have ids of their own (jwt_id), which nobody keeps.
CREATE TABLE sessions (
    session_id VARCHAR, user_id VARCHAR, jwt_id VARCHAR, issued_at TIMESTAMP_NS, expires_at TIMESTAMP_NS,
    revoked BOOLEAN, ended_at TIMESTAMP_NS, end_reason VARCHAR, address VARCHAR, label VARCHAR, seq BIGINT
);

-- agent: a component of the daemon (daemon, trading, feed okx, account okx, database, ...), a row for each change of
-- its status; mood is null.
CREATE TABLE agent_status_log (ts TIMESTAMP_NS, agent VARCHAR, status VARCHAR, mood VARCHAR, detail VARCHAR);

CREATE TABLE pre_trade_checks_log (
    ts TIMESTAMP_NS, plan_id UUID, opp_id UUID, check_name VARCHAR, passed BOOLEAN, value VARCHAR, "limit" VARCHAR, seq BIGINT
);

-- A hundred signals of every ISO week, for people to look at: those with the smallest `pick`, a hash of their id. Made of
-- the journal but for good: a rebuild brings back only the weeks that the journal still has.
CREATE TABLE signal_samples (
    week VARCHAR NOT NULL, pick VARCHAR NOT NULL, opp_id UUID, ts TIMESTAMP_NS,
    signal VARCHAR, -- JSON, as it was published
    seq BIGINT NOT NULL
);

-- Every signal with its end: executed (what its plan earned) or counterfactual (what it would have). won: it earned
-- something; null where the books could not tell, or before its end.
CREATE VIEW signal_outcomes AS
WITH ends AS (
    SELECT seq, ts, from_json(body, '{"opp_id":"UUID","reason":"VARCHAR","counterfactual":"DECIMAL(38,18)"}') AS fact
    FROM facts WHERE kind = 'opportunity.ended'
), plans AS (
    SELECT opp_id, plan_id, created_at AS planned_at, updated_at, total_quote_amount,
           coalesce(value, -- journals of before it was stated have the money alone
               list_sum(map_values(from_json(profit, '"MAP(VARCHAR, DECIMAL(38,18))"')))::DECIMAL(38, 18)) AS profit
    FROM order_plan WHERE plan_id IS NOT NULL
)
SELECT
    o.opp_id AS signal_id, o.raw_signal_id AS correlation_id, o.symbol, o.venue_buy, o.venue_sell, o.score,
    o.created_at AS published_at, ends.ts AS ended_at, ends.fact.reason AS reason, p.plan_id, p.planned_at,
    p.total_quote_amount,
    CASE WHEN ends.fact.reason = 'traded' THEN 'executed'
         WHEN ends.fact.counterfactual IS NOT NULL THEN 'counterfactual' END AS basis,
    CASE WHEN ends.fact.reason = 'traded' THEN p.profit ELSE ends.fact.counterfactual END AS outcome_quote,
    outcome_quote > 0 AS won, o.seq
FROM arbitrage_opportunity AS o
LEFT JOIN ends ON ends.fact.opp_id = o.opp_id
LEFT JOIN plans AS p ON p.opp_id = o.opp_id;

-- The life of a signal as events: signal_published, then signal_triggered (it became a plan) or not, then signal_closed
-- (traded) or signal_invalidated (not traded, and why).
CREATE VIEW signal_events AS
SELECT 'signal_published' AS event, opp_id AS signal_id, raw_signal_id AS correlation_id, created_at AS ts, symbol,
    venue_buy, venue_sell, score, net_bps, buy_vwap, sell_vwap, qty, profit_quote AS expected_quote,
    created_at + to_microseconds((ttl_sec * 1000000)::BIGINT) AS expires_at, NULL::UUID AS plan_id,
    NULL::VARCHAR AS reason, NULL::DECIMAL(38, 18) AS outcome_quote, NULL::BOOLEAN AS won, schema_ver
FROM arbitrage_opportunity
UNION ALL BY NAME
SELECT 'signal_triggered' AS event, signal_id, correlation_id, planned_at AS ts, symbol, venue_buy, venue_sell, score,
    plan_id
FROM signal_outcomes WHERE plan_id IS NOT NULL
UNION ALL BY NAME
SELECT CASE reason WHEN 'traded' THEN 'signal_closed' ELSE 'signal_invalidated' END AS event, signal_id, correlation_id,
    ended_at AS ts, symbol, venue_buy, venue_sell, score, plan_id, reason, outcome_quote, won
FROM signal_outcomes WHERE ended_at IS NOT NULL;

-- Telemetry: samples that are not in the journal.

CREATE TABLE market_snapshots (
    symbol VARCHAR, venue VARCHAR, bid DOUBLE, ask DOUBLE, mid DOUBLE, ts TIMESTAMP_NS NOT NULL
);

CREATE TABLE order_book_snapshots (
    ts TIMESTAMP_NS NOT NULL, symbol VARCHAR, venue VARCHAR, side VARCHAR, level INTEGER, price DOUBLE, qty DOUBLE
);

CREATE TABLE candles (
    ts TIMESTAMP_NS NOT NULL, symbol VARCHAR, venue VARCHAR, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE,
    volume DOUBLE, -- null: public books tell no trades
    ticks BIGINT
);

CREATE VIEW candles_5m AS
SELECT
    time_bucket(INTERVAL 5 MINUTE, ts::TIMESTAMP)::TIMESTAMP_NS AS ts, symbol, venue, arg_min(open, candles.ts) AS open,
    max(high) AS high, min(low) AS low, arg_max(close, candles.ts) AS close, sum(volume) AS volume,
    sum(ticks)::BIGINT AS ticks
FROM candles
GROUP BY ALL;

CREATE TABLE ts_ingestion_lag (
    ts TIMESTAMP_NS NOT NULL, venue VARCHAR, frames BIGINT, p50_ns BIGINT, p99_ns BIGINT, max_ns BIGINT
);

CREATE TABLE ts_order_latency (
    ts TIMESTAMP_NS NOT NULL, venue VARCHAR, orders BIGINT, p50_ns BIGINT, p99_ns BIGINT, max_ns BIGINT
);

CREATE TABLE ts_arb_signal_throughput (ts TIMESTAMP_NS NOT NULL, symbol VARCHAR, signals BIGINT);

CREATE TABLE ts_errors (ts TIMESTAMP_NS NOT NULL, component VARCHAR, category VARCHAR, errors BIGINT);

CREATE TABLE ts_alerts (ts TIMESTAMP_NS NOT NULL, rule_id VARCHAR, severity VARCHAR, alerts BIGINT);

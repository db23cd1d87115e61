"""What can be configured: one struct per section, one field per key, each with its meaning, unit and limits.

Nothing else knows a default or a bound: the checks, the JSON Schema and docs/configuration.md are made from these
types. Numbers that enter exact arithmetic (bps, notionals, ratios) are Decimal, with the digits the user wrote.
"""

from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from gambit.config.alerting import AlertSettings, NotifySettings, TelegramSettings
from gambit.config.bounds import Rule, Section, above, within


class DaemonSettings(Section, frozen=True, kw_only=True):
    """The process itself."""

    state_dir: Annotated[
        str,
        Rule(
            "Folder of everything the daemon keeps. Empty: `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/gambit`, "
            "else `~/.local/state/gambit`."
        ),
    ] = ""
    control_socket: Annotated[str, Rule("Path of the control socket. Empty: `gambit.sock` in `state_dir`.")] = ""
    busy_poll: Annotated[bool, Rule("Poll the sockets without sleeping: lower latency for one core at full load.")] = (
        False
    )
    keep_warm: Annotated[
        bool,
        Rule(
            "While no frame comes rehearse one every millisecond: the next burst finds warm caches, for at most some "
            "5 % of a core. Means nothing with `busy_poll`."
        ),
    ] = True
    transport: Annotated[
        Literal["picows", "websockets"],
        Rule("Library behind the WebSockets: `picows` is several times faster, `websockets` offers compression."),
    ] = "picows"
    disk_low_mb: Annotated[
        int,
        within(
            "0",
            "1000000",
            "Room on the disk of `state_dir` below which the daemon says it is degraded; 0: never.",
            "MB",
        ),
    ] = 100
    cpu: Annotated[
        int | None, within("0", "1023", "Core the hot process is pinned to; absent: not pinned.", "core number")
    ] = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Rule("Least severity that is logged.")] = "info"
    log_format: Annotated[Literal["text", "json"], Rule("Log lines for people or for machines.")] = "text"


class RankingWeights(Section, frozen=True, kw_only=True):
    """Shares of the three parts of the score; together exactly 1."""

    spread: Annotated[Decimal, within("0", "1", "Weight of the net spread.", "share")] = Decimal("0.5")
    liquidity: Annotated[Decimal, within("0", "1", "Weight of the depth on both venues.", "share")] = Decimal("0.3")
    volatility: Annotated[Decimal, within("0", "1", "Weight of a quiet market.", "share")] = Decimal("0.2")


class Group(Section, frozen=True, kw_only=True):
    """Books that are compared with each other although their symbols differ."""

    name: Annotated[str, Rule("Name of the group; the symbol of its signals.")]
    members: Annotated[
        tuple[str, ...], Rule("Its books, two or more, as `venue:SYMBOL`; a book is in at most one group.")
    ]

    @property
    def books(self) -> tuple[tuple[str, str], ...]:
        """The members as (venue, symbol)."""
        pairs = (member.split(":", 1) for member in self.members)
        return tuple((venue, symbol) for venue, symbol in pairs)


class EngineSettings(Section, frozen=True, kw_only=True):
    """What qualifies as an opportunity, how it is sized and how it is ranked."""

    window_size_sec: Annotated[Decimal, within("1", "30", "Window of the spread and volatility statistics.", "s")] = (
        Decimal(5)
    )
    min_liquidity_depth: Annotated[
        Decimal,
        within("1000", "100000", "Least depth per venue within `max_slippage_bps` of its touch.", "quote units"),
    ] = Decimal(10000)
    max_slippage_bps: Annotated[Decimal, within("5", "100", "How far from the touch the size walk may go.", "bps")] = (
        Decimal(20)
    )
    opportunity_ttl_sec: Annotated[
        Decimal, within("5", "60", "Life of a recommendation; a lasting one is raised again after it.", "s")
    ] = Decimal(10)
    min_spread_bps: Annotated[Decimal, within("5", "50", "Least gross spread at the touch.", "bps")] = Decimal(15)
    fee_bps: Annotated[
        Decimal, within("5", "20", "Taker fee per leg where the venue states none.", "bps of the notional")
    ] = Decimal(10)
    ranking_weights: Annotated[RankingWeights, Rule("Weights of the score; their sum is 1.")] = RankingWeights()
    max_book_age_ms: Annotated[
        Decimal, within("1", "86400000", "A book not confirmed for longer than this takes no part.", "ms")
    ] = Decimal(1500)
    max_notional: Annotated[Decimal, above("0", "1000000000000", "Most that one opportunity buys.", "quote units")] = (
        Decimal(10000)
    )
    safety_margin_bps: Annotated[
        Decimal, within("0", "10000", "Least profit after fees, of what is bought.", "bps")
    ] = Decimal(0)
    min_persistence: Annotated[
        Decimal, within("0", "1", "Least share of the window with a spread of `min_spread_bps`.", "share")
    ] = Decimal(0)
    spread_ref_bps: Annotated[Decimal, above("0", "10000", "Net spread that earns the full spread score.", "bps")] = (
        Decimal(50)
    )
    liquidity_ref: Annotated[
        Decimal, above("0", "1000000000000", "Depth that earns the full liquidity score.", "quote units")
    ] = Decimal(100000)
    volatility_ref: Annotated[
        Decimal, above("0", "10000", "Volatility that halves the volatility score.", "bps per sqrt(s)")
    ] = Decimal(10)
    max_mid_ratio: Annotated[
        Decimal, above("1", "1000", "Mids further apart than this are different coins under one ticker.", "ratio")
    ] = Decimal("1.2")
    top_n: Annotated[int, within("1", "1000", "How many opportunities the ranking keeps.", "opportunities")] = 10
    groups: Annotated[tuple[Group, ...], Rule("Groups of books of different symbols, as `[[engine.groups]]`.")] = ()


class VenueSettings(Section, frozen=True, kw_only=True):
    """One venue, under the name it has inside gambit."""

    enabled: Annotated[bool, Rule("Whether the daemon connects to it.")] = True
    adapter: Annotated[
        str,
        Rule(
            "Adapter that speaks to it. Empty: the one with the venue's name. `ccxt` or `ccxt:NAME`: any other "
            "exchange, the slow way."
        ),
    ] = ""
    symbols: Annotated[tuple[str, ...], Rule("Symbols wanted of this venue. Empty: the general `symbols`.")] = ()
    taker_fee_bps: Annotated[
        Decimal | None,
        within("-100", "1000", "Taker fee; absent: `engine.fee_bps`.", "bps of the notional"),
    ] = None
    maker_fee_bps: Annotated[
        Decimal | None, within("-100", "1000", "Maker fee; negative is a rebate.", "bps of the notional")
    ] = None
    ws_url: Annotated[str, Rule("WebSocket address, `ws://` or `wss://`. Empty: the venue's own.")] = ""
    ws_private_url: Annotated[
        str, Rule("Address of the account's private stream, `ws://` or `wss://`. Empty: the venue's own.")
    ] = ""
    rest_url: Annotated[str, Rule("REST address, `http://` or `https://`. Empty: the venue's own.")] = ""
    source: Annotated[
        Literal["depth", "bbo"],
        Rule("`depth`: whole books. `bbo`: the best bid and ask only, the fastest channel there is."),
    ] = "depth"
    depth: Annotated[
        int | None,
        within("1", "10000", "Levels a side to subscribe to; absent: the adapter's choice.", "levels"),
    ] = None
    testnet: Annotated[bool, Rule("Use the venue's test network.")] = False
    api_key: Annotated[
        str,
        Rule(
            "Where the API key is: `secret:NAME` (the vault), `env:NAME` or `file:PATH`, never the key itself. Empty: "
            "`secret:VENUE/api_key`, where the vault has that."
        ),
    ] = ""
    secret: Annotated[str, Rule("Where its secret is, likewise. Empty: `secret:VENUE/secret`.")] = ""
    passphrase: Annotated[
        str, Rule("Where its passphrase is, likewise, for venues with one. Empty: `secret:VENUE/passphrase`.")
    ] = ""


class Alias(Section, frozen=True, kw_only=True):
    """A venue's ticker for an asset that is known here under another one."""

    ticker: Annotated[str, Rule("The ticker as the venue writes it.")]
    asset: Annotated[str, Rule("The asset it means.")]
    venue: Annotated[str, Rule("The venue it holds for. Empty: every venue.")] = ""


class AssetSettings(Section, frozen=True, kw_only=True):
    """What tickers mean."""

    aliases: Annotated[tuple[Alias, ...], Rule("Tickers that mean another asset, as `[[assets.aliases]]`.")] = ()


class RiskSettings(Section, frozen=True, kw_only=True):
    """Limits of the order path; amounts in the currency of account."""

    min_order_quote: Annotated[Decimal, within("0", "1000000000", "Least notional of an order.", "quote units")] = (
        Decimal(10)
    )
    max_order_notional: Annotated[
        Decimal, above("0", "1000000000000", "Most notional of one order.", "quote units")
    ] = Decimal(12000)
    max_symbol_notional: Annotated[
        Decimal,
        above("0", "1000000000000", "Most notional in flight in one symbol, orders in doubt included.", "quote units"),
    ] = Decimal(40000)
    max_venue_notional: Annotated[
        Decimal,
        above("0", "1000000000000", "Most notional in flight on one venue, orders in doubt included.", "quote units"),
    ] = Decimal(60000)
    max_in_flight_notional: Annotated[
        Decimal, above("0", "1000000000000", "Most notional in flight in all, orders in doubt included.", "quote units")
    ] = Decimal(100000)
    position_limit_pct: Annotated[
        Decimal, within("0", "100", "Largest position in one symbol at its worst case.", "% of equity")
    ] = Decimal(20)
    daily_loss_limit_pct: Annotated[
        Decimal, within("0", "100", "Loss of a UTC day that pulls the kill switch.", "% of equity")
    ] = Decimal(5)
    trades_per_day: Annotated[int, within("0", "10000", "Most plans per symbol in 24 hours; 0: off.", "plans")] = 50
    trades_per_hour: Annotated[int, within("0", "10000", "Most plans per symbol in an hour; 0: off.", "plans")] = 5
    plans_per_second: Annotated[int, within("1", "10000", "Most plans in a second, all symbols together.", "plans")] = (
        20
    )
    max_price_move_bps: Annotated[
        Decimal, within("0", "1000", "How much less than signalled a plan may earn when it is priced again.", "bps")
    ] = Decimal(10)
    max_touch_spread_bps: Annotated[
        Decimal, above("0", "10000", "A book whose own bid and ask are wider apart is not traded on.", "bps")
    ] = Decimal(50)
    fat_finger_bps: Annotated[
        Decimal, above("0", "10000", "Furthest a limit price may be from the median mid of all venues.", "bps")
    ] = Decimal(200)
    min_confidence: Annotated[Decimal, within("0", "1", "Least confidence of a directional signal.", "share")] = (
        Decimal("0.65")
    )
    max_feed_lag_ms: Annotated[
        Decimal, within("1", "86400000", "A book further behind its venue's clock is not traded on.", "ms")
    ] = Decimal(1500)
    duplicate_window_ms: Annotated[
        Decimal, within("0", "60000", "Time after a plan in which the same symbol gets no other.", "ms")
    ] = Decimal(500)
    blackouts: Annotated[
        tuple[str, ...],
        Rule("Times without new plans: `HH:MM-HH:MM` of every UTC day, or `FROM/TO` as ISO times in UTC."),
    ] = ()
    max_imbalance_quote: Annotated[
        Decimal,
        within(
            "0",
            "1000000000000",
            "An imbalance that could not be closed pulls the kill switch beyond this.",
            "quote units",
        ),
    ] = Decimal(5000)
    max_balance_difference: Annotated[
        Decimal,
        within(
            "0",
            "1000000000000",
            "A difference with a venue's balance pulls the kill switch beyond this.",
            "quote units",
        ),
    ] = Decimal(100)
    max_fee_drift_bps: Annotated[
        Decimal,
        within(
            "0", "1000", "A venue that charges that much more than its tier is not traded on.", "bps of the notional"
        ),
    ] = Decimal(5)
    fee_drift_fills: Annotated[
        int, within("1", "30", "So many of a venue's last executions tell whether its fees drift.", "executions")
    ] = 20


class ExecutionSettings(Section, frozen=True, kw_only=True):
    """How opportunities become orders."""

    mode: Annotated[Literal["paper", "live"], Rule("Play money, or orders to the venues (which needs arming too).")] = (
        "paper"
    )
    approval: Annotated[Literal["auto", "manual"], Rule("Whether a person confirms each plan.")] = "auto"
    strategy: Annotated[
        Literal["partial", "atomic"],
        Rule("`partial`: keep what filled on both sides. `atomic`: unwind anything less than whole."),
    ] = "partial"
    key_prefix: Annotated[
        str,
        Rule(
            "Two characters of a-z, 0-9 that begin every client order id; another one for every daemon on an account."
        ),
    ] = "gb"
    max_legs: Annotated[int, within("2", "10", "Most legs of a plan; 2: no splitting over more venues.", "legs")] = 4
    latency_cost_bps_per_ms: Annotated[
        Decimal,
        within("0", "10", "What a millisecond of a route's slowest venue costs it in the choice.", "bps per ms"),
    ] = Decimal("0.01")
    plan_ttl_ms: Annotated[Decimal, within("1", "60000", "Time from a plan to its last send.", "ms")] = Decimal(1000)
    approval_ttl_sec: Annotated[Decimal, within("1", "3600", "How long a plan waits for a person.", "s")] = Decimal(30)
    answer_timeout_ms: Annotated[
        Decimal, within("10", "60000", "An order without an answer for this long is in doubt.", "ms")
    ] = Decimal(1500)
    query_interval_ms: Annotated[
        Decimal,
        within(
            "10",
            "60000",
            "First distance of two questions about an order; it doubles up to `query_interval_max_ms`.",
            "ms",
        ),
    ] = Decimal(250)
    query_interval_max_ms: Annotated[
        Decimal, within("10", "600000", "Largest distance of two questions about an order.", "ms")
    ] = Decimal(5000)
    clock_margin_ms: Annotated[
        Decimal, within("0", "60000", 'Margin for clocks before "no such order" is proof.', "ms")
    ] = Decimal(1000)
    flat_deadline_ms: Annotated[
        Decimal, within("100", "600000", "Time in which an imbalance has to be closed.", "ms")
    ] = Decimal(8000)
    compensation_attempts: Annotated[int, within("1", "100", "Most orders that close one imbalance.", "orders")] = 5
    collar_bps: Annotated[
        Decimal, within("0", "10000", "How far from the plan's price the first of them may go.", "bps")
    ] = Decimal(30)
    collar_widen_bps: Annotated[Decimal, within("0", "10000", "How much further each next one may go.", "bps")] = (
        Decimal(30)
    )
    loss_budget_bps: Annotated[Decimal, within("0", "10000", "Furthest any of them may go.", "bps")] = Decimal(150)
    naked_budget_quote_sec: Annotated[
        Decimal,
        above("0", "1000000000000", "Unhedged notional times time that one plan may run up.", "quote units x s"),
    ] = Decimal(100000)
    watchdog: Annotated[
        bool, Rule("Live: a process of its own cancels our orders when the daemon is gone without a goodbye.")
    ] = True
    dead_man_sec: Annotated[
        int,
        within("0", "120", "Live: venues with a switch cancel all orders this long after our last word; 0: off.", "s"),
    ] = 60
    require_bound_keys: Annotated[
        bool, Rule("Live: refuse keys that a venue says may be used from any address (as keys that may withdraw are).")
    ] = True
    arm_hours: Annotated[Decimal, above("0", "168", "How long live trading stays armed.", "h")] = Decimal(8)
    paper_taker_fee_bps: Annotated[Decimal, within("0", "1000", "Paper: the fee.", "bps of the notional")] = Decimal(10)
    paper_slippage_bps: Annotated[
        Decimal, within("0", "1000", "Paper: how much worse than the book it fills.", "bps")
    ] = Decimal(5)
    paper_latency_ms: Annotated[Decimal, within("0", "60000", "Paper: median time to the venue.", "ms")] = Decimal(20)
    paper_recovery_ms: Annotated[
        Decimal, within("0", "600000", "Paper: how long depth that was taken is gone.", "ms")
    ] = Decimal(2000)
    paper_balances: Annotated[
        dict[str, Decimal],
        within(
            "0",
            "1000000000000",
            "Paper: what each venue holds at first, by asset. Empty: the worth of 100000 of every asset traded.",
            "units of the asset",
        ),
    ] = msgspec.field(default_factory=dict)


class JournalSettings(Section, frozen=True, kw_only=True):
    """The record of every input and intent."""

    durability: Annotated[
        Literal["process", "power"], Rule("What an intent survives before it leaves: a kill, or a power cut too.")
    ] = "process"
    fsync_interval_ms: Annotated[int, within("1", "1000", "Longest time between two fsyncs.", "ms")] = 5
    segment_mb: Annotated[int, within("1", "1024", "A segment file of this size is followed by the next.", "MiB")] = 64
    segment_hours: Annotated[int, within("1", "8760", "So is one of this age.", "h")] = 24
    retention_days: Annotated[
        int, within("1", "36500", "Days to keep segments that a checkpoint and the store are past.", "days")
    ] = 90
    head_copy: Annotated[
        str,
        Rule("A second place for the journal's last hash, on another disk: shows if its end is cut off. Empty: none."),
    ] = ""


class StoreSettings(Section, frozen=True, kw_only=True):
    """The database of what happened."""

    path: Annotated[str, Rule("The DuckDB file. Empty: `gambit.duckdb` in `daemon.state_dir`.")] = ""
    batch_ms: Annotated[int, within("1", "60000", "Longest time a record waits to be written.", "ms")] = 1000
    sample_ms: Annotated[
        int, within("100", "3600000", "How often each book's best prices are kept (table market_snapshots).", "ms")
    ] = 1000
    depth_sample_sec: Annotated[
        int,
        within("0", "86400", "How often each book's best levels are kept (table order_book_snapshots); 0: never.", "s"),
    ] = 60
    depth_sample_levels: Annotated[int, within("1", "400", "How many of them on each side.", "levels")] = 10
    retention: Annotated[dict[str, int], within("1", "36500", "Days to keep, by table.", "days")] = msgspec.field(
        default_factory=dict
    )


class ApiSettings(Section, frozen=True, kw_only=True):
    """The HTTP server: REST, dashboard, live updates."""

    enabled: Annotated[bool, Rule("Listen at all.")] = True
    host: Annotated[str, Rule("Address it listens on.")] = "127.0.0.1"
    port: Annotated[int, within("0", "65535", "Port it listens on; 0 takes a free one.", "TCP port")] = 8787
    tls: Annotated[bool, Rule("Serve HTTPS, with `api.tls_cert` and `api.tls_key`.")] = False
    tls_cert: Annotated[str, Rule("PEM file of the certificate and those between it and its root.")] = ""
    tls_key: Annotated[str, Rule("PEM file of its key.")] = ""
    allow_plain_public: Annotated[
        bool, Rule("Listen without TLS on an address that others reach; only behind something that has TLS.")
    ] = False
    cors_origins: Annotated[tuple[str, ...], Rule("Origins whose pages may call it.")] = ()
    webhook_secrets: Annotated[
        tuple[str, ...], Rule("References to the secrets of inbound webhooks, the newest first. Empty: none are taken.")
    ] = ()


class MetricsSettings(Section, frozen=True, kw_only=True):
    """The scrape endpoint."""

    host: Annotated[str, Rule("Address it listens on.")] = "127.0.0.1"
    port: Annotated[int, within("0", "65535", "Port it listens on; 0 takes a free one.", "TCP port")] = 9464


class BrokerSettings(Section, frozen=True, kw_only=True):
    """The message broker of a setup with several processes; off by default."""


class Config(Section, frozen=True, kw_only=True):
    """The whole configuration, every bound checked."""

    daemon: DaemonSettings = DaemonSettings()
    engine: EngineSettings = EngineSettings()
    symbols: Annotated[
        tuple[str, ...], Rule("Symbols wanted, `BASE-QUOTE[-SUFFIX]`, upper case. Empty: all that are seen.")
    ] = ()
    venues: dict[str, VenueSettings] = msgspec.field(default_factory=dict)
    assets: AssetSettings = AssetSettings()
    risk: RiskSettings = RiskSettings()
    execution: ExecutionSettings = ExecutionSettings()
    journal: JournalSettings = JournalSettings()
    store: StoreSettings = StoreSettings()
    api: ApiSettings = ApiSettings()
    metrics: MetricsSettings = MetricsSettings()
    telegram: TelegramSettings = TelegramSettings()
    notify: NotifySettings = NotifySettings()
    alerts: AlertSettings = AlertSettings()
    broker: BrokerSettings = BrokerSettings()

    def taker_fee_bps(self, venue: str) -> Decimal:
        """The taker fee of a venue in bps of the notional: its own, else `engine.fee_bps`."""
        known = self.venues.get(venue)
        if known is None or known.taker_fee_bps is None:
            return self.engine.fee_bps
        return known.taker_fee_bps

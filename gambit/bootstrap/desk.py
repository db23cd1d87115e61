"""Builds the order path: the desk as the journal left it, its shell, and the ports it sends through."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path

import msgspec

from gambit.commands import Notify
from gambit.config import Config
from gambit.engine.catalog import Catalog
from gambit.engine.conditions import VenueView
from gambit.engine.desk import Desk
from gambit.engine.market import Market
from gambit.engine.paper import Paper, opening_balances
from gambit.engine.standing import Standing
from gambit.events.operation import AccountHeld, TradingStateChanged
from gambit.journal import JournalError
from gambit.model import Instrument
from gambit.runtime.account_port import AccountPort
from gambit.runtime.answer_times import AnswerTimes
from gambit.runtime.clock import Clock
from gambit.runtime.daemon import Log
from gambit.runtime.dealing import Dealing, Port
from gambit.runtime.feed import Feeds
from gambit.runtime.generic import account_client
from gambit.runtime.generic_port import GenericPort
from gambit.runtime.http_line import HttpLine
from gambit.runtime.keeping import Keeping
from gambit.runtime.lag import Stalls
from gambit.runtime.ledger import Ledger
from gambit.runtime.moment import Moments, reach_of
from gambit.runtime.snapshots import Found
from gambit.runtime.sweeper import Open, Place
from gambit.runtime.transport import TRANSPORTS
from gambit.runtime.watchdog import Watchdog
from gambit.runtime.wiring import WORTH, execution, feed_settings, limits, paper_terms, private_roots
from gambit.venues.account import Account
from gambit.venues.accounts import LANGUAGES, order_language
from gambit.venues.orders import Keys

MS = 1_000_000
LINES = 2  # warm connections for creates and cancels over HTTP, a venue


def build_dealing(
    config: Config,
    clock: Clock,
    market: Market,
    keeping: Keeping,
    ledger: Ledger,
    feeds: Callable[[], Feeds],
    stalls: Stalls,
    on_state: Callable[[TradingStateChanged], None],
    on_defect: Callable[[str, BaseException], None],
    notify: Callable[[Notify], None],
) -> Dealing:
    """The desk in its shell, brought to where the journal says it stood. Raises ReplayDiffers, JournalError."""
    found = latest_standing(keeping)

    times = AnswerTimes(lambda venue: feeds().round_trip_ns(venue))
    ledger.listeners.append(times)

    def venues() -> dict[str, VenueView]:
        return venue_views(config, feeds(), dealing.ports, times, stalls.behind_ns())

    dealing = Dealing(
        Desk(execution(config), limits(config), found.standing),
        clock,
        keeping.journal,
        ledger.fact,
        ledger.fact_now,
        Moments(market, venues, clock.mono_ns, reach=reach_of(execution(config), limits(config))).now,
        durability=config.journal.durability,
        notify=notify,
        on_state=on_state,
        on_defect=on_defect,
        fresh=partial(latest_standing, keeping),
    )
    dealing.desk.inquiry.replayed_ns = found.ts_ns or None
    dealing.replay(found.seq)
    keeping.snapshot_seq = found.seq
    keeping.standing = lambda: dealing.desk.standing if dealing.is_whole else None
    return dealing


def latest_standing(keeping: Keeping) -> Found:
    """The state of the latest snapshot, or none yet. Blocks. Raises JournalError where the journal's beginning is gone
    and no snapshot can be used."""
    found = keeping.snapshots.latest()
    if found is None and keeping.journal.first_seq > 1:
        found = keeping.snapshots.latest_of_older_version()
        if found is None:
            raise JournalError(
                f"the journal begins at record {keeping.journal.first_seq}, and no snapshot of the desk can be used: "
                "what was before is not known; after an upgrade start the version that ran before, else restore a "
                "backup into an empty state directory"
            )
    return found or Found(Standing(), 0)


def venue_views(
    config: Config, feeds: Feeds, ports: Mapping[str, Port], times: AnswerTimes, stalled_ns: int
) -> dict[str, VenueView]:
    """How each venue is, as far as orders go; `stalled_ns` is how long the loop just stood still."""
    is_paper = config.execution.mode == "paper"
    views = {}
    for feed in feeds.statuses():
        port = ports.get(feed.venue)
        views[feed.venue] = VenueView(
            name=feed.venue,
            can_trade=feed.connections_up > 0 and not feed.circuit_open and port is not None and port.is_up,
            is_degraded=feed.is_degraded,
            taker_fee_bps=taker_fee_bps(config, feed.venue, port),
            latency_ns=int(config.execution.paper_latency_ms * MS) if is_paper else times.of(feed.venue),
            feed_lag_ns=feed.lag_p50_ns if feed.clock_offset_ns is not None else None,
            stalled_ns=stalled_ns,
            clock_shift_ns=feed.clock_shift_ns,
            window_ns=port.window_ns if port is not None else None,
        )
    return views


def taker_fee_bps(config: Config, venue: str, port: Port | None) -> Decimal:
    """What a plan reckons with: the account's tier as the venue tells it, before that what is configured."""
    told = port.taker_fee_bps if port is not None else None
    return config.taker_fee_bps(venue) if told is None else told


def live_ports(
    config: Config,
    clock: Clock,
    log: Log,
    market: Market,
    dealing: Dealing,
    feeds: Feeds,
    keys: Mapping[str, Keys],
    ledger: Ledger,
) -> dict[str, AccountPort | GenericPort]:
    """A port to every venue with known keys, by its feed's gateway or over ccxt. Raises ValueError for unfit keys."""

    def held(fact: AccountHeld) -> None:
        log.error("no orders go to an account", venue=fact.venue, cause=fact.cause, reason=fact.reason)
        ledger.fact(fact)

    ports: dict[str, AccountPort] = {}
    guard = build_watchdog(config, clock, log, dealing, ports, feeds) if config.execution.watchdog else None
    generic = generic_ports(config, clock, log, market, dealing, feeds, keys, held, ledger)
    for venue in market.venues:
        if venue not in keys or venue not in LANGUAGES or venue in generic:
            continue
        ports[venue] = AccountPort(
            account_of(config, market, feeds, venue, keys[venue]),
            feeds.gateway(venue),
            TRANSPORTS[config.daemon.transport](clock.now_ns),
            clock,
            private_roots(config, venue)[1],
            deliver=dealing.on_facts,
            reconcile=partial(dealing.reconcile, venue),
            why_not=dealing.why_not,
            on_defect=dealing.on_defect,
            start=lambda name, work: feeds.supervisor.start(name, work, may_end=True),
            random=feeds.random,
            warn=lambda text: log.warning(text),
            keys=keys[venue],
            on_held=held,
            redact=ledger.redact,
            wants_bound_keys=config.execution.require_bound_keys,
            tls=feeds.tls,
            lines=[HttpLine(feeds.gateway(venue).rest, clock.mono_ns, feeds.random, feeds.tls) for _ in range(LINES)],
            symbols=[listing.symbol for listing in market.listings if listing.venue == venue],
            guard=guard,
            dead_man_sec=config.execution.dead_man_sec,
            doubt_rules=partial(feeds.doubt_rules, venue),
            on_closed=partial(feeds.close_market, venue),
            on_fee=partial(feeds.learn_fee, venue),
            bury=ledger.dead_letter,
        )
    feeds.on_learned = partial(_learned, market, ports, generic)
    if guard is not None and ports:
        feeds.supervisor.start("watchdog", guard.run())
    return {**ports, **generic}


def account_of(config: Config, market: Market, feeds: Feeds, venue: str, keys: Keys) -> Account:
    """An account at a venue, or at its test network. Raises ValueError for keys that cannot sign."""
    catalog = market.venues[venue].catalog
    instruments = known_markets(catalog)
    return Account(
        order_language(venue, keys, instruments, is_testnet=feeds.gateway(venue).is_testnet),
        instruments,
        prefix=config.execution.key_prefix,
        offset_ns=partial(feeds.clock_offset_ns, venue),
        assets=catalog.aliases,
    )


def known_markets(catalog: Catalog) -> list[Instrument]:
    """A venue's markets by our symbols, which an alias makes others than the venue's tickers do."""
    return [msgspec.structs.replace(each, symbol=symbol) for symbol, each in catalog.by_symbol.items()]


def _learned(market: Market, ports: Mapping[str, AccountPort], generic: Mapping[str, GenericPort], venue: str) -> None:
    """An account words its orders by the venue's new list."""
    if venue in ports:
        ports[venue].learn(known_markets(market.venues[venue].catalog))
    elif venue in generic:
        generic[venue].learn(_spellings(market, venue))


def _spellings(market: Market, venue: str) -> dict[str, str]:
    return {symbol: each.spelling for symbol, each in market.venues[venue].catalog.by_symbol.items()}


def generic_ports(
    config: Config,
    clock: Clock,
    log: Log,
    market: Market,
    dealing: Dealing,
    feeds: Feeds,
    keys: Mapping[str, Keys],
    held: Callable[[AccountHeld], None],
    ledger: Ledger,
) -> dict[str, GenericPort]:
    """The accounts at exchanges without an adapter here."""
    ports = {}
    for settings in feed_settings(config):
        venue = settings.venue.name
        if not settings.adapter or venue not in keys or venue not in market.venues:
            continue
        log.warning("orders go over ccxt, the slow way, and no watchdog cancels them", venue=venue)
        ports[venue] = GenericPort(
            venue,
            account_client(settings, keys[venue]),
            _spellings(market, venue),
            clock,
            deliver=dealing.on_facts,
            reconcile=partial(dealing.reconcile, venue),
            start=lambda name, work: feeds.supervisor.start(name, work, may_end=True),
            why_not=dealing.why_not,
            warn=lambda text: log.warning(text),
            on_held=held,
            redact=lambda text: ledger.redact(text.encode(errors="replace")).decode(errors="replace"),
            keys=keys[venue],
            symbols=[listing.symbol for listing in market.listings if listing.venue == venue],
        )
    return ports


def build_watchdog(
    config: Config, clock: Clock, log: Log, dealing: Dealing, ports: Mapping[str, AccountPort], feeds: Feeds
) -> Watchdog:
    """Who cancels our orders at these accounts when the daemon is gone."""

    def places() -> list[Place]:
        return [
            Place(
                venue,
                port.gateway.rest,
                keys.key,
                keys.secret,
                keys.passphrase,
                port.account.instruments,
                port.gateway.is_testnet,
            )
            for venue, port in ports.items()
            if (keys := port.keys) is not None
        ]

    def live() -> list[Open]:
        return [
            Open(order.intent.venue, order.intent.symbol, key, order.venue_order_id)
            for key, order in dealing.desk.standing.live.items()
        ]

    return Watchdog(
        places,
        live,
        lambda: {venue: feeds.clock_offset_ns(venue) for venue in ports},
        clock,
        prefix=config.execution.key_prefix,
        epoch=dealing.desk.standing.state.epoch,
        log=Path(config.daemon.state_dir, "watchdog.log"),
        warn=lambda text: log.warning(text),
        random=feeds.random,
    )


def paper_ports(config: Config, market: Market, dealing: Dealing, marks: Mapping[str, Decimal]) -> dict[str, Port]:
    """A paper venue for every venue there are books of; it goes on where the desk's executions left it."""
    rules = config.execution
    terms = paper_terms(config)
    ports: dict[str, Paper] = {}
    for venue in market.venues:
        symbols = [listing.symbol for listing in market.listings if listing.venue == venue]
        assets = sorted({asset for symbol in symbols for asset in symbol.split("-")[:2]})
        opening = dict(rules.paper_balances) or opening_balances(assets, marks, WORTH)
        port = Paper(venue, terms, opening)
        port.restore(dealing.desk.standing)
        ports[venue] = port
    dealing.on_settled = lambda fact: ports[fact.venue].settled(fact.key)
    return dict(ports)

"""The order path's settings as it uses them; ranges were checked where they were read (gambit.config)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

MS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS
DAILY: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Blackout:
    """A time in which nothing new is planned: of every UTC day, or from one instant to another."""

    start_ns: int
    end_ns: int
    is_daily: bool

    def covers(self, now_ns: int) -> bool:
        """Whether it holds now; a daily one may run over midnight."""
        if not self.is_daily:
            return self.start_ns <= now_ns < self.end_ns
        at = now_ns % DAY_NS
        if self.start_ns <= self.end_ns:
            return self.start_ns <= at < self.end_ns
        return at >= self.start_ns or at < self.end_ns


def blackout(text: str) -> Blackout:
    """`HH:MM-HH:MM` of every UTC day, or `2026-03-01T12:00/2026-03-01T13:00`, UTC unless they say otherwise. Raises
    ValueError."""
    found = DAILY.fullmatch(text)
    if found is not None:
        hours_a, minutes_a, hours_b, minutes_b = map(int, found.groups())
        return Blackout((hours_a * 60 + minutes_a) * MINUTE_NS, (hours_b * 60 + minutes_b) * MINUTE_NS, True)
    start, slash, end = text.partition("/")
    if not slash:
        raise ValueError(f'"{text}" is no blackout: HH:MM-HH:MM (UTC), or two ISO times with / between them')
    instants = [_instant_ns(start), _instant_ns(end)]
    if instants[0] >= instants[1]:
        raise ValueError(f'the blackout "{text}" ends before it begins')
    return Blackout(instants[0], instants[1], False)


def _instant_ns(text: str) -> int:
    time = datetime.fromisoformat(text)
    return int((time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()) * SECOND_NS


def blackouts(texts: Sequence[str]) -> tuple[Blackout, ...]:
    """All of them. Raises ValueError."""
    return tuple(blackout(text) for text in texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """[risk]: quote amounts in the currency of account, ratios in bps, 0 = off where a count is meant."""

    min_order_quote: Decimal = Decimal(10)
    max_order_notional: Decimal = Decimal(12_000)  # limit prices lie beyond max_notional's
    max_symbol_notional: Decimal = Decimal(40_000)
    max_venue_notional: Decimal = Decimal(60_000)
    max_in_flight_notional: Decimal = Decimal(100_000)
    position_limit_bps: Decimal = Decimal(2_000)  # of equity
    daily_loss_limit_bps: Decimal = Decimal(500)  # of equity
    trades_per_day: int = 50
    trades_per_hour: int = 5
    plans_per_second: int = 20
    max_price_move_bps: Decimal = Decimal(10)
    max_touch_spread_bps: Decimal = Decimal(50)
    fat_finger_bps: Decimal = Decimal(200)
    min_confidence: Decimal = Decimal("0.65")
    min_liquidity: Decimal = Decimal(10_000)
    max_book_age_ns: int = 1_500 * MS
    max_feed_lag_ns: int = 1_500 * MS
    duplicate_window_ns: int = 500 * MS
    blackouts: tuple[Blackout, ...] = ()
    max_imbalance_quote: Decimal = Decimal(5_000)  # beyond it an open imbalance pulls the kill switch
    max_balance_difference: Decimal = Decimal(100)  # beyond it a difference with a venue pulls the kill switch
    max_fee_drift_bps: Decimal = Decimal(5)
    fee_drift_fills: int = 20  # the last executions that tell whether fees drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """[execution] and what the engine's parameters say about sizes."""

    mode: Literal["paper", "live"] = "paper"
    approval: Literal["auto", "manual"] = "auto"
    strategy: Literal["partial", "atomic"] = "partial"
    key_prefix: str = "gb"
    user_id: str = "desk"
    max_notional: Decimal = Decimal(10_000)
    max_slippage_bps: Decimal = Decimal(20)
    safety_margin_bps: Decimal = Decimal(0)
    max_mid_ratio: Decimal = Decimal("1.2")  # beyond it the same ticker is another coin
    max_legs: int = 4
    latency_cost_bps_per_ms: Decimal = Decimal("0.01")
    plan_ttl_ns: int = SECOND_NS  # from the plan to its last send
    approval_ttl_ns: int = 30 * SECOND_NS
    answer_timeout_ns: int = 1_500 * MS
    query_interval_ns: int = 250 * MS
    query_interval_max_ns: int = 5 * SECOND_NS
    clock_margin_ns: int = SECOND_NS
    flat_deadline_ns: int = 8 * SECOND_NS
    compensation_attempts: int = 5
    collar_bps: Decimal = Decimal(30)
    collar_widen_bps: Decimal = Decimal(30)  # with every attempt
    loss_budget_bps: Decimal = Decimal(150)  # of the imbalance; no collar goes beyond it
    naked_budget_quote_s: Decimal = Decimal(100_000)
    arm_ns: int = 8 * HOUR_NS

"""How much of a directed pair can be traded, and at what: asks and bids walked together, exactly (R11, R24b).

Prices and quantities are integers of 1e-18, quote amounts integers of 1e-36, fees and limits fractions of the
configured decimals. Nothing is rounded but the quantity, down to whole lots.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from .books import Book, Side
from .decimals import UNIT, ratio

QUOTE_UNIT = UNIT * UNIT
DEFAULT_STEP = UNIT // 10**8
Level = tuple[int, int, int]


@dataclass(frozen=True)
class Trade:
    """The walk of a rounded quantity: amounts in units of 1e-36 quote, `qty` in units of 1e-18 base."""

    qty: int
    buy_quote: int
    sell_quote: int
    profit: Fraction  # in units of 1e-36 quote

    @property
    def net(self) -> Fraction:
        """Profit over what was bought, as a share (not bps)."""
        return self.profit / self.buy_quote


class Terms:
    """What a walk of one directed pair is bounded by."""

    def __init__(self, buy_fee_bps: object, sell_fee_bps: object, slippage_bps: object, max_notional: object):
        self.pays = 1 + ratio(buy_fee_bps) / 10**4
        self.keeps = 1 - ratio(sell_fee_bps) / 10**4
        self.slip = ratio(slippage_bps) / 10**4
        self.max_quote = ratio(max_notional) * QUOTE_UNIT
        # d * keeps > a * pays, in integers
        self.bid_factor = self.keeps.numerator * self.pays.denominator
        self.ask_factor = self.pays.numerator * self.keeps.denominator


def highest_ask(best: int, slip: Fraction) -> int:
    """The dearest ask within the slippage limit, the limit itself included."""
    return best * (slip.denominator + slip.numerator) // slip.denominator


def lowest_bid(best: int, slip: Fraction) -> int:
    return -(-best * (slip.denominator - slip.numerator) // slip.denominator)


def quote_depth(book: Book, side: Side, slip: Fraction, enough: int | None = None) -> int:
    """Quote value in units of 1e-36 of what is priced within the slippage of the best; stops once it is `enough`."""
    best = side.best()
    if best is None:
        return 0
    edge = highest_ask(best.price, slip) if side is book.asks else lowest_bid(best.price, slip)
    total = 0
    for price, _, quote in book.levels(side):
        if (price > edge) if side is book.asks else (price < edge):
            break
        total += quote
        if enough is not None and total >= enough:
            break
    return total


def _steps(buy: Book, sell: Book, terms: Terms) -> Iterator[tuple[int, int, int]]:
    """(quantity, ask, bid) of each step that earns and is within the slippage, from the touch; no notional limit."""
    asks, bids = buy.levels(buy.asks), sell.levels(sell.bids)
    ask, bid = next(asks, None), next(bids, None)
    if ask is None or bid is None:
        return
    dearest, cheapest = highest_ask(ask[0], terms.slip), lowest_bid(bid[0], terms.slip)
    ask_left, bid_left = ask[1], bid[1]
    while bid[0] * terms.bid_factor > ask[0] * terms.ask_factor and ask[0] <= dearest and bid[0] >= cheapest:
        taken = min(ask_left, bid_left)
        yield taken, ask[0], bid[0]
        ask_left, bid_left = ask_left - taken, bid_left - taken
        if not ask_left:
            ask = next(asks, None)
            if ask is None:
                return
            ask_left = ask[1]
        if not bid_left:
            bid = next(bids, None)
            if bid is None:
                return
            bid_left = bid[1]


def executable(buy: Book, sell: Book, terms: Terms, step: int) -> Trade | None:
    """The walk of the largest quantity of whole lots (`step`, units of 1e-18); None where that is nothing."""
    steps, total, spent = [], Fraction(0), 0
    for taken, ask, bid in _steps(buy, sell, terms):
        steps.append((taken, ask, bid))
        if spent + taken * ask > terms.max_quote:
            total += (terms.max_quote - spent) / ask  # R11: this step is cut to what is left of the limit
            break
        total += taken
        spent += taken * ask
    qty = total // step * step
    if qty == 0:
        return None
    left, buy_quote, sell_quote = qty, 0, 0
    for taken, ask, bid in steps:
        taken = min(taken, left)
        buy_quote += taken * ask
        sell_quote += taken * bid
        left -= taken
        if not left:
            break
    return Trade(qty, buy_quote, sell_quote, sell_quote * terms.keeps - buy_quote * terms.pays)

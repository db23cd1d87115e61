"""The simulated market: seeded, never crossed, changing as books do, and now and then worth trading."""

from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gambit.sim.instruments import SPOT_VENUES, VENUES, list_instrument, reference_price, venue_symbol
from gambit.sim.market import SECOND_NS, Book, Change, Market, Pace, Shift, Side, Temper, Top, Trade, Window

START_NS = 1_700_000_000 * SECOND_NS
PACES = {venue: Pace(100_000_000, 0.1, 2 if venue == "binance" else 1) for venue in VENUES}


def market(venues=("okx", "kraken"), symbols=("BTC-USDT",), *, seed=1, depth=20, temper=None, shifts=()):
    named = [(venue, venue_symbol(venue, symbol)) for venue in venues for symbol in symbols]
    listed = [list_instrument(venue, symbol) for venue, symbol in named]
    return Market(listed, PACES, seed=seed, start_ns=START_NS, depth=depth, temper=temper or Temper(), shifts=shifts)


def events_for(seconds, **kwargs):
    made = market(**kwargs)
    return list(made.events(START_NS + int(seconds * SECOND_NS)))


def test_the_same_seed_gives_the_same_market():
    """Two markets of one seed have the same events; another seed has others."""
    assert events_for(3, seed=5) == events_for(3, seed=5)
    assert events_for(3, seed=5) != events_for(3, seed=6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 4, 10, 100]), st.sampled_from(["BTC-USDT", "PEPE-USDT", "LRC-USDT"]))
def test_books_stay_sound(seed, depth, symbol):
    """After every step a book has both sides, is not crossed, not deeper than asked, sorted, and holds whole lots."""
    made = market(
        symbols=(symbol,), seed=seed, depth=depth, shifts=[Shift("okx", symbol, SECOND_NS, 3000.0, SECOND_NS)]
    )
    while made.next_ns() < START_NS + 3 * SECOND_NS:
        made.tick()
        for book in made.books.values():
            assert book.bids.best()[0] < book.asks.best()[0]
            for side in (book.bids, book.asks):
                assert 1 <= len(side.keys) <= depth
                assert side.keys == sorted(side.lots)
                assert min(side.lots.values()) > 0
                assert all(key * side.sign > 0 for key in side.keys)


def test_changes_rebuild_the_book():
    """A copy of the first book, changed as the events say, is the book at every change."""
    made = market(seed=9)
    copies = {key: (dict(book.bids.levels()), dict(book.asks.levels())) for key, book in made.books.items()}
    last_ids = {key: book.update_id for key, book in made.books.items()}
    changes = 0
    while made.next_ns() < START_NS + 5 * SECOND_NS:
        for event in made.tick():
            if not isinstance(event, Change):
                continue
            changes += 1
            key = event.venue, event.symbol
            assert event.first_id == last_ids[key] + 1 <= event.last_id
            last_ids[key] = event.last_id
            for side, rows in zip(copies[key], (event.bids, event.asks), strict=True):
                side.update(rows)
                for price in [price for price, lots in side.items() if not lots]:
                    del side[price]
            book = made.books[key]
            assert copies[key] == (dict(book.bids.levels()), dict(book.asks.levels()))
    assert changes > 80


def test_tops_and_trades_are_those_of_the_book():
    """A Top says the touch it stands at; a Trade takes from the touch of before."""
    made = market(seed=2, temper=Temper(trade_share=0.5))
    tops = trades = 0
    while made.next_ns() < START_NS + 5 * SECOND_NS:
        touches = {key: (book.bids.best(), book.asks.best()) for key, book in made.books.items()}
        for event in made.tick():
            key = event.venue, event.symbol
            book = made.books[key]
            if isinstance(event, Top):
                tops += 1
                assert (event.bid, event.ask) == (book.bids.best(), book.asks.best()) != touches[key]
            elif isinstance(event, Trade):
                trades += 1
                there = touches[key][1 if event.taker_buys else 0]
                assert event.price_ticks == there[0]
                assert 0 < event.qty_lots <= there[1]
    assert tops > 50
    assert trades > 20


def test_most_changes_are_near_the_touch_and_some_are_far():
    """Half of the changed levels are among the best 20 of 200, and some are in the deeper half."""
    made = market(venues=("okx",), depth=200, temper=Temper(dislocations_per_s=0.0, fair_bps_per_sqrt_s=0.1), seed=3)
    (book,) = made.books.values()
    near = far = total = 0
    while made.next_ns() < START_NS + 20 * SECOND_NS:
        for event in made.tick():
            if isinstance(event, Change):
                prices = [price for price, _lots in book.bids.levels()]
                for price, _lots in event.bids:
                    total += 1
                    near += price >= prices[20]
                    far += price < prices[len(prices) // 2]
    assert near > total / 2
    assert far > total / 50


def gaps_bps(seconds, fee_bps, **kwargs):
    """For every touch of a symbol on any venue: the best sale elsewhere against it, in bps after two fees."""
    made = market(**kwargs)
    fee = Decimal(fee_bps) / 10_000
    found = []
    while made.next_ns() < START_NS + seconds * SECOND_NS:
        made.tick()
        asks, bids = [], []
        for book in made.books.values():
            unit = Decimal(book.instrument.tick).scaleb(-book.instrument.price_decimals)
            bids.append(book.bids.best()[0] * unit)
            asks.append(book.asks.best()[0] * unit)
        found.append((max(bids) * (1 - fee) / (min(asks) * (1 + fee)) - 1) * 10_000)
    return found


@pytest.mark.parametrize("symbol", ["BTC-USDT", "ETH-USDT", "PEPE-USDT"])
def test_dislocations_leave_something_after_fees(symbol):
    """With 10 bps a leg some seconds of a minute are worth trading, and most are not."""
    found = gaps_bps(60, 10, venues=SPOT_VENUES, symbols=(symbol,), seed=11)
    paying = [gap for gap in found if gap > 0]
    assert 0.005 < len(paying) / len(found) < 0.6
    assert 3 < max(paying) < 100


def test_without_dislocations_nothing_pays():
    """Venues that only wander give nothing after fees of 10 bps a leg."""
    assert max(gaps_bps(60, 10, venues=SPOT_VENUES, seed=11, temper=Temper(dislocations_per_s=0.0))) < 0


def test_a_shift_moves_one_venue_for_its_time():
    """A shift of 40 bps puts that venue 40 bps off from then on until it ends, give or take the usual wandering."""
    shift = Shift("okx", "BTC-USDT", 2 * SECOND_NS, 40.0, 2 * SECOND_NS)
    made = market(seed=4, temper=Temper(dislocations_per_s=0.0), shifts=[shift])
    seen = {"before": [], "during": [], "after": []}
    while made.next_ns() < START_NS + 8 * SECOND_NS:
        at_s = (made.next_ns() - START_NS) / SECOND_NS
        made.tick()
        mids = {}
        for (venue, _symbol), book in made.books.items():
            mids[venue] = (book.bids.best()[0] + book.asks.best()[0]) / 2 / book.instrument.ticks_per_unit
        when = "before" if at_s < 2 else "during" if 2.5 < at_s < 4 else "after" if at_s > 4.5 else None
        if when:
            seen[when].append((mids["okx"] / mids["kraken"] - 1) * 1e4)
    means = {when: sum(values) / len(values) for when, values in seen.items()}
    assert abs(means["before"]) < 8
    assert abs(means["after"]) < 8
    assert abs(means["during"] - 40) < 8


def test_a_quiet_book_says_nothing():
    """Until its time is up a quiet book has no events; the others go on."""
    made = market(seed=4)
    made.books["okx", "BTC-USDT"].quiet_until_ns = START_NS + 2 * SECOND_NS
    events = list(made.events(START_NS + 3 * SECOND_NS))
    quiet = [event for event in events if event.ts_ns < START_NS + 2 * SECOND_NS]
    assert {event.venue for event in quiet} == {"kraken"}
    assert {event.venue for event in events} == {"kraken", "okx"}


def test_events_come_in_time_order():
    """Exchange time never steps back."""
    times = [event.ts_ns for event in events_for(3, venues=SPOT_VENUES)]
    assert times == sorted(times)
    assert len(times) > 300


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 12), st.booleans())
def test_a_window_tells_what_a_subscriber_needs(seed, depth, tells_leaving):
    """A subscriber who applies the rows and keeps the best levels always has the best levels of the book."""
    rng = Random(seed)
    side = Side(rng.choice([1, -1]))
    for price in rng.sample(range(1, 60), rng.randrange(20)):
        side.put(price * side.sign, 1 + rng.randrange(9))
    side.take_rows()
    window = Window(side, depth, tells_leaving=tells_leaving)
    held = dict(window.opening())
    for _ in range(30):
        for _ in range(rng.randrange(1, 8)):
            if side.keys and rng.random() < 0.5:
                side.drop(rng.randrange(len(side.keys)))
            else:
                side.put(rng.randrange(1, 60) * side.sign, 1 + rng.randrange(9))
        held.update(window.rows(side.take_rows()))
        best = sorted([price for price, lots in held.items() if lots], key=lambda price: -price * side.sign)
        if tells_leaving:
            assert len(best) <= depth
        held = {price: held[price] for price in best[:depth]}
        assert list(held.items()) == side.levels()[:depth]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("symbol", ["BTC-USDT", "PEPE-USDT", "LRC-USDT", "ABCD-USDC", "ETH-USD"])
def test_values_of_an_instrument_fit_eighteen_digits(venue, symbol):
    """No price and no quantity of a book has more than 18 digits or decimals; levels have their usual value."""
    item = list_instrument(venue, venue_symbol(venue, symbol))
    book = Book(item, 50, Temper(), Random(1), 0)
    book.open(item.price * item.ticks_per_unit)
    quote = []
    for price, lots in [*book.bids.levels(), *book.asks.levels()]:
        assert len(str(price * item.tick)) <= 18
        assert len(str(lots * item.lot)) <= 18
        qty = Decimal(lots * item.lot).scaleb(-item.lot_decimals)
        quote.append(qty * (item.contract_size or Decimal(price * item.tick).scaleb(-item.price_decimals)))
    assert max(item.price_decimals, item.lot_decimals) <= 18
    assert 1000 < sum(quote) / len(quote) < 16000


def test_a_pepe_like_coin_has_tiny_prices_and_huge_sizes():
    """PEPE is quoted at 0.0000000341 in sizes of up to some 1e11."""
    item = list_instrument("binance", "PEPE-USDT")
    assert item.price == pytest.approx(3.41e-8)
    assert item.level_lots * 10.0**-item.lot_decimals > 1e10


def test_venues_name_symbols_their_own_way():
    """A spot symbol names the perpetual on futures venues; what a venue cannot list is None."""
    assert venue_symbol("binance", "BTC-USDT") == "BTC-USDT"
    assert venue_symbol("binance-usdm", "BTC-USD") == "BTC-USDT-PERP"
    assert venue_symbol("binance-coinm", "BTC-USDT") == "BTC-USD-PERP"
    assert venue_symbol("binance-coinm", "BTC-USD-240927") == "BTC-USD-240927"
    assert venue_symbol("bybit-linear", "BTC-USDT-240927") is None
    assert venue_symbol("binance-coinm", "ETH-BTC") is None
    assert venue_symbol("okx", "BTC-USDT-PERP") is None
    with pytest.raises(ValueError, match="nowhere"):
        venue_symbol("nowhere", "BTC-USDT")
    with pytest.raises(ValueError, match="BTCUSDT"):
        venue_symbol("okx", "BTCUSDT")


def test_reference_prices_are_steady():
    """Known assets have their price, pairs the ratio, unknown ones always the same."""
    assert reference_price("BTC", "USDT") == 64000.0
    assert reference_price("ETH", "BTC") == pytest.approx(3150 / 64000)
    assert reference_price("NOVEL", "USD") == reference_price("NOVEL", "USDC") > 0

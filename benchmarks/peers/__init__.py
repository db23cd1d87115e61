"""The same frames through gambit and the other libraries of the field: ``python -m benchmarks.peers``."""

# Contestant -> where its class is; imported only when asked for, since each brings its library along.
CONTESTANTS = {
    "gambit": ("benchmarks.peers.ours", "GambitEntry"),
    "order_book": ("benchmarks.peers.c_order_book", "OrderBookPeer"),
    "cryptofeed": ("benchmarks.peers.cryptofeed_feed", "CryptofeedPeer"),
    "ccxt.pro": ("benchmarks.peers.ccxt_pro", "CcxtPeer"),
    "nautilus_trader": ("benchmarks.peers.nautilus", "NautilusPeer"),
}

"""HTTP and WebSocket: the doors of a browser, a phone and a program."""

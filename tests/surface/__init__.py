"""Control socket, metrics and terminal view, through their public face."""

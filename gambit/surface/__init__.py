"""What the outside sees: control socket, metrics, terminal view. It reads frozen pictures, never live state."""

"""Captures as they are on disk, whole and damaged, and replay over them."""

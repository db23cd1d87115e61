"""Decisions; pure: time arrives as an argument, venues are handed in, nothing here opens anything."""

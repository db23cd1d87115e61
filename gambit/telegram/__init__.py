"""The Telegram door: a bot that lets those on its list ask, and after a second tap act, through the one table."""

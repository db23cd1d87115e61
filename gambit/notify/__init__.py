"""Telling people: alerts from the journal to e-mail, Slack, Telegram, webhooks and whatever apprise knows."""

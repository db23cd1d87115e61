"""Who may do what: roles, users, sessions, keys. Pure rules and one small durable file; no socket, no clock."""

"""Each venue's language: spellings, lists, requests, control frames, and frames as they arrive."""

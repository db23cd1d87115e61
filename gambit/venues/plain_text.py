"""Texts from venues as they can be written down: JSON can spell half of a surrogate pair, which no UTF-8 has."""


def writable(message: object, data: bytes) -> object:
    """The message of this JSON, halves of surrogate pairs in its texts and names exchanged for "?". Nothing is copied
    where there are none. Raises RecursionError for what is nested too deep."""
    return _fit(message) if b"\\u" in data else message


def _fit(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_fit(name): _fit(each) for name, each in value.items()}
    return [_fit(each) for each in value] if isinstance(value, list) else value

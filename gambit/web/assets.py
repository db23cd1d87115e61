"""The dashboard's files, read once at the start: what is not among them cannot be asked for, however it is spelled."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "static"
FILE_BYTES_MAX: Final = 4 << 20
TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
MISSING: Final = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>gambit</title>
<h1>gambit</h1><p>The dashboard's files are not in this installation. The API is here:
<a href="/docs">documentation</a>, <a href="/openapi.json">OpenAPI</a>.</p></html>
"""


class Asset(NamedTuple):
    """One file as it leaves."""

    body: bytes
    media: str
    tag: str


def read(folder: Path = FOLDER) -> dict[str, Asset]:
    """The files of a folder by the path they are asked for; `index.html` is `/` too. Links are not followed."""
    found: dict[str, Asset] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        is_plain = path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())
        if is_plain and path.stat().st_size <= FILE_BYTES_MAX:
            found["/" + path.relative_to(folder).as_posix()] = _asset(path.name, path.read_bytes())
    found["/"] = found.get("/index.html", _asset("index.html", MISSING))
    return found


def _asset(name: str, body: bytes) -> Asset:
    suffix = Path(name).suffix
    media = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Asset(body, media, hashlib.sha256(body).hexdigest()[:32])

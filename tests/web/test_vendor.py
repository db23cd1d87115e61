"""The pages' libraries: only what has the right digest, once, and never half."""

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from gambit.web import vendor
from gambit.web.vendor import Missing, Package, configured_registry, fetch, is_complete


def archive(files: dict[str, bytes]) -> bytes:
    """An npm archive of these files."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return raw.getvalue()


GOOD = archive({"LICENSE": b"MIT", "dist/lib.js": b"export default 1", "evil/../../up.js": b"no"})
PACKAGE = Package(
    "lib", "1.0.0", "sha512-" + base64.b64encode(hashlib.sha512(GOOD).digest()).decode(), ("LICENSE", "dist/lib.js")
)


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A registry that answers what stands in this list, first to last, and then fails."""
    answers: list[bytes] = []

    def way(package: Package) -> bytes:
        if not answers:
            raise OSError("no network")
        return answers.pop(0)

    monkeypatch.setattr(vendor, "PACKAGES", (PACKAGE,))
    monkeypatch.setattr(vendor, "_ways", lambda: [("a registry", way)])
    return answers


def test_wanted_files_are_put_in_place_once(packages: list[bytes], tmp_path: Path) -> None:
    """Only what is wanted, by its own name; the second time nothing is asked for."""
    folder = tmp_path / "vendor"
    packages.append(GOOD)
    fetch(folder)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {"LICENSE", "lib.js", "complete"}
    assert is_complete(folder)
    fetch(folder)


def test_another_digest_is_refused(packages: list[bytes], tmp_path: Path) -> None:
    """What is not what it has to be is never unpacked, and the message says so."""
    packages.append(archive({"LICENSE": b"MIT", "dist/lib.js": b"something else"}))
    with pytest.raises(Missing, match=r"lib 1\.0\.0 is not what it has to be"):
        fetch(tmp_path / "vendor")
    assert list(tmp_path.iterdir()) == []


def test_without_network_the_build_goes_on_unless_it_is_required(
    packages: list[bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Missing charts are told and are no error; with GAMBIT_REQUIRE_DASHBOARD they are one."""
    monkeypatch.setattr(vendor, "fetch", lambda: fetch(tmp_path / "vendor"))
    monkeypatch.delenv(vendor.REQUIRED, raising=False)
    assert vendor.main() == 0
    assert "a registry: no network" in capsys.readouterr().err
    monkeypatch.setenv(vendor.REQUIRED, "1")
    assert vendor.main() == 1


def test_the_registry_is_the_environments_or_the_files(tmp_path: Path) -> None:
    """Never one of our own: the environment first, then the .npmrc of here, then that of home."""
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (here, home):
        folder.mkdir()
    (home / ".npmrc").write_text('other=1\nregistry = "https://home.example/npm/"\n')
    assert configured_registry({}, home, here) == "https://home.example/npm"
    (here / ".npmrc").write_text("registry=https://here.example\n")
    assert configured_registry({}, home, here) == "https://here.example"
    assert configured_registry({"NPM_CONFIG_REGISTRY": "https://env.example/"}, home, here) == "https://env.example"


def test_what_is_wanted_is_pinned() -> None:
    """Each package by version and SHA-512."""
    for package in vendor.PACKAGES:
        assert package.integrity.startswith("sha512-")
        assert len(base64.b64decode(package.integrity.removeprefix("sha512-"))) == 64

"""`gambit doctor`: whether this machine has what gambit needs, and what to do where it has not."""

import dataclasses
import importlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import click

from gambit.cli.options import with_config, with_json
from gambit.cli.paint import Paint
from gambit.cli.surroundings import Finding, surroundings

PYTHON_MIN = (3, 11)
KERNELS = Path(__file__).parent.parent / "_core"
CPU_FEATURES = ("sse4_1", "sse4_2", "avx2", "bmi2", "avx512f", "avx512bw")


@click.command("doctor")
@with_config
@with_json
def doctor(config_path: Path | None, overrides: tuple[str, ...], as_json: bool) -> int:
    """Check what gambit needs, and how its daemon is: Python, compiler, kernels, processor, state directory, disk,
    limits, clock, extras, systemd. Exit code 1 when something needed lacks."""
    findings = [_python(), _kernels(), _flavour(), _compiler(), _headers(), _make(), _processor(), _cores()]
    findings += surroundings(config_path, overrides)
    is_fit = all(finding.is_ok or not finding.is_needed for finding in findings)
    if as_json:
        click.echo(json.dumps({"ok": is_fit, "checks": [dataclasses.asdict(finding) for finding in findings]}))
        return 0 if is_fit else 1
    paint = Paint.for_stdout()
    for finding in findings:
        missing = paint.bad("lacks") if finding.is_needed else "note "
        click.echo(f"{paint.good('ok   ') if finding.is_ok else missing}  {finding.name:<18}{finding.found}")
        if finding.advice and not finding.is_ok:
            click.echo(f"{'':25}{finding.advice}")
    return 0 if is_fit else 1


def _python() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    is_ok = sys.version_info >= PYTHON_MIN and sys.implementation.name == "cpython"
    return Finding("python", found, is_ok, "gambit needs CPython 3.11 or newer")


def _kernels() -> Finding:
    """Every compiled kernel that is there can be imported; at least one is."""
    names = sorted({path.name.split(".")[0] for path in KERNELS.glob("*.so")})
    advice = "run `make` in the clone, or `pip install .`"
    for name in names:
        try:
            importlib.import_module(f"gambit._core.{name}")
        except ImportError as error:
            return Finding("compiled kernels", f"{name}: {error}", False, advice)
    sources = {path.stem for path in KERNELS.glob("*.pyx")} - set(names)
    if sources or not names:
        return Finding("compiled kernels", f"not compiled: {', '.join(sorted(sources)) or 'any'}", False, advice)
    return Finding("compiled kernels", f"{len(names)}: {', '.join(names)}", True)


def _flavour() -> Finding:
    """Which build is in place, in a clone; the checked and the address build are for tests."""
    note = KERNELS.parent.parent / "build" / "in-place"
    flavour = note.read_text().strip() if note.exists() else "release"
    return Finding(
        "build", flavour, flavour == "release", "`make core` puts the release build in place", is_needed=False
    )


def _compiler() -> Finding:
    command = shutil.which(os.environ.get("CC", "").split(" ")[0] or "gcc") or shutil.which("cc")
    advice = "only needed to build: apt-get install gcc libc6-dev"
    if command is None:
        return Finding("C compiler", "none", False, advice, is_needed=False)
    try:
        answer = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603 - the user's own compiler
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("C compiler", f"{command}: {error}", False, advice, is_needed=False)
    return Finding("C compiler", answer.stdout.splitlines()[0], True)


def _headers() -> Finding:
    header = Path(sysconfig.get_path("include"), "Python.h")
    advice = "only needed to build: apt-get install python3-dev"
    return Finding("Python headers", str(header), header.exists(), advice, is_needed=False)


def _make() -> Finding:
    found = shutil.which("make")
    return Finding(
        "make", found or "none", bool(found), "only needed in a clone: apt-get install make", is_needed=False
    )


def _processor() -> Finding:
    """What the kernels' versions for newer processors would use; none of it is needed."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    known = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    flags = set(known.get("flags", "").split())
    features = [name for name in CPU_FEATURES if name in flags]
    model = known.get("model name", platform.machine())
    advice = "the portable kernels run, somewhat slower"
    return Finding("processor", f"{model}: {', '.join(features) or 'nothing special'}", bool(features), advice, False)


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0))
    return Finding("cores", f"{usable} usable", usable >= 2, "the daemon wants one for itself", is_needed=False)

"""Compiles the kernels of gambit/_core and has the dashboard's library fetched; everything else is in pyproject.toml.

Four builds, told apart by the environment, each with its own folder under build/ so that going from one to
another compiles nothing twice:

    (nothing)                  what is shipped: -O3, portable, no run-time checks
    GAMBIT_CHECKED=1           bounds and initialisation checks, assertions, undefined behaviour ends the run
    GAMBIT_SANITIZE=address    the checked build under AddressSanitizer (the run needs libasan preloaded)
    GAMBIT_SANITIZE=libfuzzer  the same by clang (CC=clang), with counters for libFuzzer (tests/fuzz/libfuzzer.sh)

The result always lands in gambit/_core, where the tests import it from.
"""

import filecmp
import os
import runpy
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

CORE = Path("gambit/_core")
SANITIZER = os.environ.get("GAMBIT_SANITIZE", "")
IS_CHECKED = os.environ.get("GAMBIT_CHECKED", "0") not in ("", "0") or bool(SANITIZER)
FLAVOUR = SANITIZER or ("checked" if IS_CHECKED else "release")
JOBS = min(2, os.cpu_count() or 1)

if SANITIZER not in ("", "address", "libfuzzer"):
    raise SystemExit(f"GAMBIT_SANITIZE={SANITIZER!r}: only 'address' and 'libfuzzer' are known")

# The directives of every kernel; no module sets its own.
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": IS_CHECKED,
    "initializedcheck": IS_CHECKED,
    "wraparound": False,
    "cdivision": True,  # C's rules in every build: a flavour must not change what a kernel computes
    "infer_types": True,
    "embedsignature": True,
    "binding": False,  # plain C methods: cheaper to call than function objects
}

# -ffp-contract=off: no processor may fuse a*b+c, or the same replay would give other last digits on another machine.
# Neither -march=native nor -ffast-math, for the same reason.
ALWAYS = ["-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing", "-fvisibility=hidden"]
ALWAYS += ["-Wno-unused-function", "-Wno-discarded-qualifiers"]  # shared headers, inferred types: not news
RELEASE = ["-O3", "-DNDEBUG"]
CHECKED = ["-O1", "-g", "-fno-omit-frame-pointer", "-UNDEBUG", "-DGAMBIT_CHECKED=1"]
# libubsan is an ordinary library that the extension loads itself; unlike libasan it needs no preloading. Shifting a
# negative number to the left is defined by the compilers that build this, so it is no finding.
TRAPS = ["-fsanitize=undefined", "-fno-sanitize=shift-base", "-fno-sanitize-recover=undefined", "-fno-wrapv"]
if SANITIZER:
    TRAPS.append("-fsanitize=address")
if SANITIZER == "libfuzzer":
    # Cython adds 0 to the null pointer where a class is called without arguments, which clang alone objects to; gcc's
    # builds check all other arithmetic on pointers.
    TRAPS += ["-fsanitize=fuzzer-no-link", "-fno-sanitize=pointer-overflow"]
    ALWAYS += ["-Wno-unknown-warning-option", "-Wno-incompatible-pointer-types-discards-qualifiers"]  # clang's names


def extensions() -> list[Extension]:
    headers = sorted(str(path) for path in CORE.glob("*.h"))
    reasons = [*headers, "setup.py"]  # what, besides its own source, makes a kernel stale
    return [
        Extension(
            f"gambit._core.{path.stem}",
            [str(path)],
            depends=reasons,
            include_dirs=[str(CORE)],
            extra_compile_args=ALWAYS + (CHECKED + TRAPS if IS_CHECKED else RELEASE),
            extra_link_args=TRAPS if IS_CHECKED else [],
        )
        for path in sorted(CORE.glob("*.pyx"))
    ]


def translated_by_older_rules() -> bool:
    """Whether some C file was made before this file, with its directives, was last changed."""
    changed = Path(__file__).stat().st_mtime
    return any(path.stat().st_mtime < changed for path in Path("build", FLAVOUR, "c").rglob("*.c"))


class BuildCore(build_ext):
    """build_ext that translates with our directives, keeps one folder per flavour, and replaces stale results."""

    def finalize_options(self) -> None:
        from Cython.Build import cythonize  # here, so that reading metadata needs no Cython

        self.distribution.ext_modules[:] = cythonize(
            extensions(),
            build_dir=f"build/{FLAVOUR}/c",
            compiler_directives=DIRECTIVES,
            force=bool(self.force) or translated_by_older_rules(),
            nthreads=JOBS,
            quiet=True,
        )
        super().finalize_options()
        self.parallel = JOBS
        self.build_temp = f"build/{FLAVOUR}/o"
        if self.inplace or self.editable_mode:
            self.build_lib = f"build/{FLAVOUR}/lib"

    def run(self) -> None:
        """Build, and leave a note of which flavour is now in place."""
        super().run()
        if self.inplace or self.editable_mode:
            Path("build/in-place").write_text(FLAVOUR)

    def copy_file(self, infile: str, outfile: str, *options: object, **named: object) -> tuple[str, bool]:
        """Copy unless the same bytes are there; what is in place may be another flavour and newer than ours."""
        if os.path.exists(outfile):
            if filecmp.cmp(infile, outfile, shallow=False):
                return outfile, False
            os.unlink(outfile)  # never written over: a running process may have it mapped
        return super().copy_file(infile, outfile, *options, **named)


class BuildPages(build_py):
    """build_py that has the dashboard's library fetched before it looks for what belongs to the package."""

    def run(self) -> None:
        """Fetch, then build."""
        if runpy.run_path("gambit/web/vendor.py")["main"]():
            raise SystemExit("gambit: GAMBIT_REQUIRE_DASHBOARD is set and the dashboard's library cannot be had")
        super().run()


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildCore, "build_py": BuildPages},
    options={"build": {"build_base": f"build/{FLAVOUR}"}},
)

#!/bin/sh
# Fuzz one target with libFuzzer, through atheris, under AddressSanitizer and UBSan:
# libfuzzer.sh [SECONDS] [TARGET] [OPTIONS OF libFuzzer]. Needs clang with its runtime libraries (Debian: clang and
# libclang-rt-dev) beside the test dependencies. Works on a copy below build/fuzz-clang, whose kernels clang builds with
# counters that libFuzzer reads; atheris goes into an environment of its own there. What was found interesting is kept
# in corpus-TARGET and is where the next run begins; an input that breaks something is kept as TARGET-crash-...
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
target=${2:-scan}
[ $# -lt 2 ] || shift
[ $# -eq 0 ] || shift
case $target in -*) echo "$0: SECONDS, then TARGET, then options: $target is none of the targets" >&2; exit 2 ;; esac
python=$PWD/${VENV:-.venv}/bin/python
folder=$PWD/build/fuzz-clang
tree=$folder/tree
clang=${CLANG:-$(command -v clang || command -v clang-14 || true)}
if [ -z "$clang" ]; then
    echo "$0: no clang here; install clang and libclang-rt-dev, or say where it is: CLANG=/path/to/clang" >&2
    exit 2
fi
mkdir -p "$tree"

# The environment sees the packages of the project's own, and puts nothing into it.
fuzzing=$folder/venv/bin/python
if [ ! -e "$folder/venv/made" ]; then
    "$python" -m venv "$folder/venv"
    "$fuzzing" -m pip --disable-pip-version-check --quiet install 'atheris>=3.0,<4'
    places='import sysconfig; print(sysconfig.get_path("purelib"))'
    "$python" -c "$places" >"$("$fuzzing" -c "$places")/project.pth"
    touch "$folder/venv/made"
fi

# Times of change are kept, so that what did not change is not built again.
tar -cf - --exclude='*.so' --exclude='__pycache__' gambit tests setup.py pyproject.toml README.md LICENSE |
    tar -xf - -C "$tree"
cd "$tree"
CC=$clang GAMBIT_SANITIZE=libfuzzer "$python" setup.py -q build_ext --inplace

# The library holds libFuzzer and the runtime of both sanitizers. Python's own allocator would hide what is read behind
# an object. Leaks at exit are CPython's affair.
LD_PRELOAD=$("$fuzzing" -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so
export LD_PRELOAD
export PYTHONMALLOC=malloc
export ASAN_OPTIONS="detect_leaks=0:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1"
status=0
"$fuzzing" -m tests.fuzz.libfuzzer "$folder" "$target" -max_total_time="$seconds" -print_final_stats=1 "$@" ||
    status=$?
if [ "$status" -ne 0 ] && [ "$status" -ne 130 ]; then
    echo "libFuzzer ended with $status; what it kept is $folder/$target-..., newest first:" >&2
    ls -t "$folder" | grep "^$target-" | head -n 3 >&2 || true
    echo "Once more, with gcc's sanitizers: tests/fuzz/run.sh 0 --target $target --again $folder/$target-..." >&2
fi
exit "$status"

#!/bin/sh
# Fuzz scanner, decoder, hot path and capture reader under AddressSanitizer and UBSan: run.sh [SECONDS] [ARGUMENTS OF
# python -m tests.fuzz]. Needs gcc and nothing else. Works on a copy below build/fuzz, whose kernels are built with the
# sanitizers and with a call at every edge, so that the kernels in place stay what they are.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
python=$PWD/${VENV:-.venv}/bin/python
folder=$PWD/build/fuzz
tree=$folder/tree
mkdir -p "$tree"

# Times of change are kept, so that what did not change is not built again.
tar -cf - --exclude='*.so' --exclude='__pycache__' gambit tests setup.py pyproject.toml README.md LICENSE |
    tar -xf - -C "$tree"
edges=$folder/edges.so
gcc -O2 -shared -fPIC -o "$edges" tests/fuzz/edges.c
cd "$tree"
GAMBIT_SANITIZE=address CFLAGS="${CFLAGS:-} -fsanitize-coverage=trace-pc" "$python" setup.py -q build_ext --inplace

# Python's own allocator would hide what is read behind an object. Leaks at exit are CPython's affair.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so):$edges"
export PYTHONMALLOC=malloc
export ASAN_OPTIONS="detect_leaks=0:abort_on_error=0:exitcode=99:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1"
status=0
"$python" -m tests.fuzz "$seconds" --folder "$folder" "$@" || status=$?
if [ "$status" -gt 1 ]; then
    echo "a sanitizer ended the run; the input is in $folder/at-hand:" >&2
    head -c 400 "$folder/at-hand" >&2
fi
exit "$status"

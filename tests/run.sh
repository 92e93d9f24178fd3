#!/bin/bash
# Installs, builds and tests everything. The last line says `N passed, N failed, N skipped`, the exit code is 0 only if
# something passed and nothing failed.
#   --unit   only the unit tests and those of the layout and the scripts: seconds
#   --all    the heavy tests too, 10 million events through the feature engine and its reference, and the unit tests under
#            the thread sanitizer: many minutes
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
prefix=${WEIR_PREFIX:-$HOME/.cache/weir}
python=$prefix/tests-python/bin/python

integration=true all=false
for argument in "$@"; do
    case $argument in
        --unit) integration=false ;;
        --all) all=true ;;
        *) echo "usage: tests/run.sh [--unit | --all]" >&2; exit 2 ;;
    esac
done

# Whatever a sanitizer finds ends the program with an error.
suppressions=$root/tests/suppressions
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$suppressions/tsan:halt_on_error=1:second_deadlock_stack=1

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# Each runner leaves its report and its exit code in $results, named after its label; tests/summary.py adds them up.
run_meson() {
    local label=$1 directory=$root/$2
    echo "tests: $label"
    rm -f "$directory/meson-logs/$label.json"
    local code=0
    meson test -C "$directory" --no-rebuild --logbase "$label" > "$results/$label.log" 2>&1 || code=$?
    cp "$directory/meson-logs/$label.json" "$results/$label.meson.json" 2> /dev/null || cat "$results/$label.log"
    echo "$code" > "$results/$label.exit"
}

run_pytest() {
    local label=$1 code=0
    shift
    echo "tests: $label"
    "$python" -m pytest -c "$root/tests/pytest.ini" -q --junit-xml="$results/$label.pytest.xml" "$@" || code=$?
    echo "$code" > "$results/$label.exit"
}

# What failed among tests that run against clocks and brokers gets one more run, if it is little; tests/summary.py names it.
run_again() {
    local label=$1 failed
    mapfile -t failed < <("$python" "$root/tests/summary.py" --failed "$results/$label.pytest.xml")
    [ ${#failed[@]} -gt 0 ] || return 0
    echo "tests: $label: again, what failed: ${failed[*]}"
    (cd "$root/tests" && "$python" -m pytest -c pytest.ini -q --junit-xml="$results/$label.again.xml" "${failed[@]}") || true
}

if $all; then
    "$root/deploy/build.sh" --sanitize --thread-sanitize
else
    "$root/deploy/build.sh" --sanitize
fi
"$root/tests/deps.sh"

run_meson unit-sanitize build-sanitize
if $all; then export WEIR_PROPERTY_EVENTS=10000000; fi   # the feature engine against its reference: a minute
run_meson unit-release build
unset WEIR_PROPERTY_EVENTS
if $all; then run_meson unit-thread-sanitize build-tsan; fi
WEIR_BUILD=$root/build run_pytest layout "$root/tests/unit"
if $integration; then
    heavy=(-m 'not heavy')
    if $all; then heavy=(); fi
    # They wait more than they compute: two files at a time, each with a broker of its own.
    WEIR_BINARY=$root/build-sanitize/weir run_pytest integration-sanitize "$root/tests/integration" "${heavy[@]}" -n 2 --dist loadfile
    WEIR_BINARY=$root/build-sanitize/weir run_again integration-sanitize
    WEIR_BINARY=$root/build-sanitize/weir run_pytest chaos "$root/tests/chaos" "${heavy[@]}"
    WEIR_BINARY=$root/build-sanitize/weir run_again chaos
    if $all; then WEIR_BINARY=$root/build/weir run_pytest integration-release "$root/tests/integration" -n 2 --dist loadfile; fi
fi

"$python" "$root/tests/summary.py" "$results"

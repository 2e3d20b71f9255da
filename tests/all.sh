#!/usr/bin/env bash
# Runs all tests. Tests that start processes share the machine with other programs, and a few of them depend on timing.
# So if such a test fails, it runs once more without others, and must pass then. Its failure is reported in any case,
# and noted below target/: a test that needs a second run twice on one machine fails.
set -euo pipefail

PROCESSES="end_to_end faults deploy"
# If more tests fail than this number, timing isn't the cause.
MOST=3
# The names of the tests that passed only when they ran once more.
NOTED=target/passed-when-run-alone

# Most tests wait for processes, so there are more of them at a time than processors.
export RUST_TEST_THREADS=$((2 * $(nproc)))

said=$(mktemp)
walked=$(mktemp)
trap 'rm -f "$said" "$walked"; kill $(jobs -p) 2>/dev/null || true' EXIT
cargo test --locked --no-fail-fast --package cursorgate-mutants
# The simulator walks while the other tests wait for processes, and gives way to them.
cargo test --locked --profile sim --no-run --package cursorgate-sim
nice -n 19 cargo test --locked --profile sim --no-fail-fast --package cursorgate-sim >"$walked" 2>&1 &
walks=$!

# Waits for the simulator, and exits with the worse of its status and the given one.
finish() {
    local status=$1
    wait "$walks" || status=1
    cat "$walked"
    exit "$status"
}

cargo test --locked --no-fail-fast 2>&1 | tee "$said" && finish 0

mapfile -t targets < <(sed -n 's/^    `\(-p cursorgate \)\?\(.*\)`$/\2/p' "$said")
mapfile -t failed < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$said")
((${#targets[@]} > 0 && ${#failed[@]} > 0 && ${#failed[@]} <= MOST)) || finish 1
for target in "${targets[@]}"; do
    [[ " $PROCESSES " == *" ${target#--test } "* ]] || finish 1
done
for name in "${failed[@]}"; do
    if grep --quiet --line-regexp --fixed-strings "$name" "$NOTED" 2>/dev/null; then
        echo "FAILED, and an earlier run needed a second try too: $name (remove it from $NOTED once it is mended)"
        finish 1
    fi
done
echo "FAILED, and run once more, alone: ${failed[*]}"
for target in "${targets[@]}"; do
    cargo test --locked --test "${target#--test }" -- --exact --test-threads=1 "${failed[@]}" || finish 1
done
printf '%s\n' "${failed[@]}" >>"$NOTED"
echo "PASSED when run alone, and noted in $NOTED: ${failed[*]}"
finish 0

#!/usr/bin/env bash
# All tests. Those that start processes share the machine with whatever else runs on it, and a few of them count what
# happens at the same time: of them, what fails is run once more, alone, and has to pass then. It is told either way.
set -euo pipefail

PROCESSES="end_to_end faults deploy"
# More than so many that fail are no accident of timing.
MOST=3

said=$(mktemp)
trap 'rm -f "$said"' EXIT
# The simulator apart from the gateway: built together, the gateway would get the core whose rules can be switched off.
cargo test --locked --no-fail-fast --package cursorgate-core --package cursorgate-cursor --package cursorgate-link --package cursorgate-mutants --package cursorgate-sim
cargo test --locked --no-fail-fast 2>&1 | tee "$said" && exit

mapfile -t targets < <(sed -n 's/^    `\(.*\)`$/\1/p' "$said")
mapfile -t failed < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$said")
((${#targets[@]} > 0 && ${#failed[@]} > 0 && ${#failed[@]} <= MOST)) || exit 1
for target in "${targets[@]}"; do
    [[ " $PROCESSES " == *" ${target#--test } "* ]] || exit 1
done
echo "FAILED, and run once more, alone: ${failed[*]}"
for target in "${targets[@]}"; do
    cargo test --locked --test "${target#--test }" -- --exact --test-threads=1 "${failed[@]}"
done
echo "PASSED when run alone, and worth a look: ${failed[*]}"

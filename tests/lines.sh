#!/usr/bin/env bash
# Prints the lines of code that ship, by crate: without comments, blank lines and tests. The server is all of it but the
# tools that operators run beside it (learn, tools).
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files -z -- 'src/*.rs' 'crates/*.rs' | grep --null-data --invert-match --extended-regexp \
    '(^|/)(tests|fixture)(\.rs$|/)|^crates/(sim|mutants)/' | xargs -0 awk '
    FNR == 1 { skipping = 0; split(FILENAME, part, "/"); crate = part[1] == "crates" ? part[2] : "program" }
    # A module of tests ends with the brace in its first column.
    /^#\[cfg\(test\)\]$/ { skipping = 1; next }
    skipping == 1 { skipping = /\{ *$/ ? 2 : 0; next }
    skipping == 2 { if (/^}/) skipping = 0; next }
    /^ *$/ || /^ *\/\// { next }
    { lines[crate]++; all++; if (crate !~ /^(learn|tools)$/) server++ }
    END {
        for (crate in lines) printf "%-10s %6d\n", crate, lines[crate] | "sort"
        close("sort")
        printf "%-10s %6d\n%-10s %6d\n", "server", server, "all", all
    }
'

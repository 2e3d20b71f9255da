#!/usr/bin/env bash
# Prints what a reviewer may want to look at in Rust code: long files, long functions, and words that comments avoid.
# These are smells, not faults, so the script always succeeds. `make lint` runs it; on GitHub, a pull request shows
# the lines as warnings.
set -euo pipefail
cd "$(dirname "$0")/.."

git ls-files -z -- 'src/*.rs' 'crates/*.rs' 'tests/*.rs' 'benches/*.rs' 'fuzz/*.rs' | xargs -0 awk -v github="${GITHUB_ACTIONS:-}" '
    function smell(line, text) {
        printf github ? "::warning file=%s,line=%d::%s\n" : "%s:%d: %s\n", FILENAME, line, text
    }
    function file_ends() {
        if (FILENAME != "" && lines > 600) printf github ? "::warning file=%s::%d lines\n" : "%s: %d lines\n", file, lines
    }
    FNR == 1 { file_ends(); file = FILENAME; begun = 0 }
    { lines = FNR }
    # A function ends with the brace in the column of its first line.
    !begun && /^ *(pub(\([a-z:_ ]*\))? )?(const )?(async )?(unsafe )?fn [a-z_0-9]+/ && !/; *$/ && !/} *$/ {
        begun = FNR; match($0, /^ */); indent = RLENGTH
    }
    begun && /^ *}/ {
        match($0, /^ */)
        if (RLENGTH == indent) {
            if (FNR - begun >= 80) smell(begun, "a function of " FNR - begun + 1 " lines")
            begun = 0
        }
    }
    /^ *\/\// {
        if (/[^a-z]behind[^a-z]/ && !/behind a proxy/) smell(FNR, "\"behind\" for a later place: \"after\"")
        if (/, so that /) smell(FNR, "\", so that\" before a result: \", so\"")
    }
    END { file_ends() }
'

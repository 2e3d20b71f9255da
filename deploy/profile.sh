#!/usr/bin/env bash
# Unpacks the profile for release builds (`make profile`), and prints the compiler's options to use it, in the format of
# CARGO_ENCODED_RUSTFLAGS. Without a profile it prints nothing, and the program is slower. A damaged profile is an error,
# because it would give other bytes.
#
#   deploy/profile.sh FOLDER      the folder for the file, whose name is its checksum: cargo compiles again for another
set -euo pipefail

folder=$(realpath "$1")
cd "$(dirname "$0")/../benches"
packed=profile/cursorgate.profdata.xz
[ -e "$packed" ] || { echo "profile: benches/$packed is missing, so the program is built without" >&2; exit 0; }
sum=$(sed -n 's/^ *"sha256": "\([0-9a-f]\{64\}\)".*/\1/p' profile/record.json)
file=$folder/$sum.profdata
xz --decompress --stdout "$packed" >"$file" && sha256sum --check --status <<<"$sum  $file" || {
    echo "profile: benches/$packed isn't the file of profile/record.json: check out both, or run \`make profile\`" >&2
    exit 1
}
# A function that has changed since the profile is compiled without it, which is no fault.
printf -- '-Cprofile-use=%s\x1f-Cllvm-args=-no-pgo-warn-mismatch' "$file"

#!/usr/bin/env bash
# Makes the files of a release again, and compares them with the files of `make dist`: `make dist-check`. The second
# build has another checkout, home, folder of crates, time zone, language and mask, which must not change the result.
# Then tests the archive and the Debian package.
#
#   tests/deploy/dist.sh FIRST      the folder of `make dist`
set -euo pipefail

first=$(realpath "$1")
cd "$(dirname "$0")/../.."
[ -e "$first/SHA256SUMS" ] || { echo "dist: run \`make dist\` first" >&2; exit 1; }
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
say() { echo "dist: $*"; }

git clone --quiet --no-local . "$work/checkout"
git -C "$work/checkout" checkout --quiet --detach "$(git rev-parse HEAD)"
mkdir "$work/home"
(
    umask 077
    env HOME="$work/home" CARGO_HOME="$work/crates" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" TZ=Asia/Tokyo LC_ALL=C.UTF-8 \
        "$work/checkout/deploy/dist.sh" "$work/second" >"$work/log" 2>&1
) || { tail "$work/log" && exit 1; }
if ! diff "$first/SHA256SUMS" "$work/second/SHA256SUMS"; then
    say "the second time gave other files"
    exit 1
fi
say "twice the same: $(sha256sum <"$first/SHA256SUMS" | cut -c 1-16)"

(cd "$first" && sha256sum --check --quiet SHA256SUMS)
tar --extract --directory "$work" --file "$first"/*.tar.gz
archive=$(echo "$work"/cursorgate-*)
ldd "$archive/bin/cursorgate"
key=$("$archive/bin/cursorgate" keygen)
CURSORGATE_KEY=$key "$archive/bin/cursorgate" check --config "$archive/config/demo.toml" >/dev/null
say "$("$archive/bin/cursorgate" --version | head -1) runs from the archive"

tests/deploy/links.sh "$archive"

tests/deploy/package.sh "$first"/*.deb

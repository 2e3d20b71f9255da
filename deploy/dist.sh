#!/usr/bin/env bash
# Makes the files of a release from the commit that is checked out: `make dist`. Two runs, on any two machines with the
# same toolchain, give the same bytes. Uncommitted changes aren't included.
#
#   deploy/dist.sh OUT      OUT receives the archive, the Debian package, the SBOM and SHA256SUMS
set -euo pipefail
cd "$(dirname "$0")/.."

ROOT=/var/tmp/cursorgate
out=$(realpath --canonicalize-missing "${1:?the folder for the files}")
commit=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH CURSORGATE_COMMIT=$commit
[ -z "$(git status --porcelain)" ] || echo "dist: there are changes that are not committed, and no part of the release" >&2

# Build scripts run files from this folder, so no other user may own it.
mkdir --parents --mode 0700 "$ROOT"
[ -O "$ROOT" ] || { echo "dist: $ROOT belongs to another user" >&2; exit 1; }
exec 9>"$ROOT/lock"
flock --nonblock 9 || { echo "dist: another build is under way in $ROOT" >&2; exit 1; }
rm -rf "$ROOT/source" "$ROOT/target"
mkdir "$ROOT/source"
git archive HEAD | tar --extract --directory "$ROOT/source"

"$ROOT/source/deploy/build.sh"
rm -rf "$out"
mkdir --parents "$out"
"$ROOT/source/deploy/package.sh" "$ROOT/target/release/cursorgate" "$out"
rm -rf "$ROOT/source" "$ROOT/target"

#!/usr/bin/env bash
# Builds the release binary reproducibly: one commit gives the same bytes on every machine. deploy/dist.sh uses this
# script for the archive and the Debian package, and Dockerfile uses it for the image.
#
#   SOURCE_DATE_EPOCH=… CURSORGATE_COMMIT=… deploy/build.sh      # in /var/tmp/cursorgate/source
#
# The path is fixed because OpenSSL, which is built from source, writes its build directory and its compiler's options
# into the binary. The environment has only the variables that are named below, because compilers, linkers and build
# scripts read it. The result still depends on the toolchain: rust-toolchain.toml names the Rust compiler, and the C
# compiler is Debian 12's.
set -euo pipefail

ROOT=/var/tmp/cursorgate
cd "$(dirname "$0")/.."
[ "$PWD" = "$ROOT/source" ] || { echo "build.sh: the source is in $PWD, and has to be in $ROOT/source" >&2; exit 1; }

cargo fetch --locked --quiet

# The paths that differ between machines, and the names that replace them in the binary. The registry's folders are
# named after its mirror.
sysroot=$(rustc --print sysroot)
hash=$(rustc --version --verbose | sed -n 's/^commit-hash: //p')
flags=(
    "--remap-path-prefix=$sysroot/lib/rustlib/src/rust=/rustc/$hash"
    "--remap-path-prefix=$ROOT/source=/cursorgate"
)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
for folder in "$cargo_home"/registry/src/*; do
    flags+=("--remap-path-prefix=$folder=/crates")
done

profile=$(deploy/profile.sh "$ROOT")
flags+=(${profile:+"$profile"})

umask 022
env --ignore-environment \
    PATH="$PATH" HOME="$HOME" CARGO_HOME="$cargo_home" \
    ${RUSTUP_HOME:+RUSTUP_HOME="$RUSTUP_HOME"} ${RUSTUP_TOOLCHAIN:+RUSTUP_TOOLCHAIN="$RUSTUP_TOOLCHAIN"} \
    LC_ALL=C TZ=UTC \
    SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:?the time of the commit, in seconds since 1970}" \
    CURSORGATE_COMMIT="${CURSORGATE_COMMIT:?the commit, for --version and metrics}" \
    CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f'; printf %s "${flags[*]}")" \
    CARGO_INCREMENTAL=0 CARGO_TARGET_DIR="$ROOT/target" \
    cargo build --release --locked --offline --package cursorgate --bin cursorgate

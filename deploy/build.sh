#!/usr/bin/env bash
# Builds the release binary so that one commit gives one file, whoever builds it: for the archive and the Debian package
# (deploy/dist.sh), and in the image (Dockerfile).
#
#   SOURCE_DATE_EPOCH=… CURSORGATE_COMMIT=… deploy/build.sh      # in /var/tmp/cursorgate/source
#
# The path is fixed: OpenSSL, which is built from source, has its build directory and its compiler's options in the
# binary. The environment is empty but for what is named below, because compilers, linkers and build scripts read it.
# What remains is the toolchain: rust-toolchain.toml names the Rust compiler, the C compiler is Debian 12's.
set -euo pipefail

ROOT=/var/tmp/cursorgate
cd "$(dirname "$0")/.."
[ "$PWD" = "$ROOT/source" ] || { echo "build.sh: the source is in $PWD, and has to be in $ROOT/source" >&2; exit 1; }

cargo fetch --locked --quiet

# Paths that differ from machine to machine, and the names that the binary has for them. The folders of the registry are
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

#!/usr/bin/env bash
# Packs a binary: the second half of deploy/dist.sh. Runs in the source tree from which the binary was built.
#
#   SOURCE_DATE_EPOCH=… deploy/package.sh BINARY OUT
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC

: "${SOURCE_DATE_EPOCH:?the time of the commit, in seconds since 1970}"
binary=$(realpath "$1")
out=$(realpath "$2")
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
machine=$(uname --machine)
name=cursorgate-$version-$machine-linux-gnu
stage=target/package
rm -rf "$stage"

# Only the C library may be linked at run time, and Debian 12's version must suffice.
needed=$(objdump --private-headers "$binary" | awk '$1 == "NEEDED" { print $2 }' | sort)
strange=$(grep -vxE 'libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|ld-linux-(x86-64\.so\.2|aarch64\.so\.1)' <<<"$needed" || true)
[ -z "$strange" ] || { echo "package: the binary is linked with $strange" >&2; exit 1; }
floor=$(objdump --dynamic-syms "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort --version-sort --unique | tail -1)
! strings "$binary" | grep -F "$HOME/" || { echo "package: the binary has paths of this machine" >&2; exit 1; }
echo "binary:  $(stat --format %s "$binary") bytes, needs $(echo "$needed" | tr '\n' ' ')of $floor"

# Copies the documents into a folder in the repository's layout, so that the links between them work.
documents() {
    cp --recursive --parents --target-directory "$1" README.md ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md \
        RELEASING.md SECURITY.md Dockerfile benches/README.md benches/charts config deploy docs examples \
        tests/README.md tests/attacks.md
    rm -r "$1/docs/site" "$1/examples/clients/.gitignore"
}

# The files in the layout of an installed system; cargo-deb takes them from here (Cargo.toml, package.metadata.deb).
install -D --mode 0755 "$binary" "$stage/usr/bin/cursorgate"
folder=$stage/usr/share/doc/cursorgate
mkdir --parents "$folder"
documents "$folder"
# Left out are deploy/debian, whose files are in the package itself, and shell scripts, which would look like programs.
rm -r "$folder/deploy/debian" "$folder"/deploy/*.sh
gzip --best --no-name <CHANGELOG.md >"$folder/changelog.gz"
install -D --mode 0644 deploy/debian/lintian-overrides "$stage/usr/share/lintian/overrides/cursorgate"
install -D --mode 0644 deploy/debian/cursorgate.toml "$stage/etc/cursorgate/cursorgate.toml"
# The binary prints its manual and completions. The package of a version without these commands has none.
if page=$("$binary" man 2>/dev/null); then
    install -D --mode 0644 <(echo "$page") "$stage/usr/share/man/man1/cursorgate.1"
fi
completions() {
    local text
    ! text=$("$binary" completions "$1" 2>/dev/null) || install -D --mode 0644 <(echo "$text") "$stage/usr/share/$2"
}
completions bash bash-completion/completions/cursorgate
completions fish fish/vendor_completions.d/cursorgate.fish
completions zsh zsh/vendor-completions/_cursorgate

maintainer=$(sed -n 's/^maintainer = "\([^"]*\)".*$/\1/p' Cargo.toml)
cat >target/debian-changelog <<END
cursorgate ($version-1) stable; urgency=medium

  * Release $version. See /usr/share/doc/cursorgate/changelog.gz.

 -- $maintainer  $(date --rfc-email --date "@$SOURCE_DATE_EPOCH")
END
cargo deb --quiet --no-build --no-strip --locked --output "$out/"

# The software bill of materials for scanners, in CycloneDX: the crates, and the C libraries in them.
cargo cyclonedx --quiet --format json --target "$machine-unknown-linux-gnu" --spec-version 1.5 --override-filename sbom
mv sbom.json "$out/$name.cdx.json"
find . -name sbom.json -delete

# The archive, for all other systems.
archive=target/$name
rm -rf "$archive"
install -D --mode 0755 "$binary" "$archive/bin/cursorgate"
[ ! -d "$stage/usr/share/man" ] || cp --recursive "$stage/usr/share/man" "$archive/man"
for folder in bash-completion fish zsh; do
    [ ! -d "$stage/usr/share/$folder" ] || install -D --mode 0644 --target-directory "$archive/completions" \
        "$(find "$stage/usr/share/$folder" -type f)"
done
documents "$archive"
cp LICENSE "$archive"
cp "$out/$name.cdx.json" "$archive/sbom.cdx.json"
tar --create --directory target --sort=name --format=gnu --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    --mtime="@$SOURCE_DATE_EPOCH" "$name" | gzip --best --no-name >"$out/$name.tar.gz"

cd "$out"
sha256sum -- *.deb *.json *.tar.gz | sort --key 2 >SHA256SUMS
cat SHA256SUMS

#!/usr/bin/env bash
# Builds the image of the Dockerfile with buildah, and tests it: `make image-check`, as root, on Debian.
#
# A base image that can't be pulled is replaced: the build's base image by Debian's packages and the Rust toolchain of
# this machine, the final base image by the packages of distroless/cc. Only its digest is left out, all steps run,
# and the size is realistic because the packages are the same. BINARY=FILE names a binary that must equal the image's.
set -euo pipefail
cd "$(dirname "$0")/../.."

MOST=60 # MB
WORK=$PWD/target/image
BINARY=${BINARY:-}
mkdir -p "$WORK"
work=$(mktemp --directory "$WORK/check.XXXX")
storage=(--storage-driver overlay --root "$WORK/storage" --runroot "$WORK/run")
gateway=
mounted=
cleanup() {
    [ -z "$gateway" ] || kill "$gateway" 2>/dev/null || true
    [ -z "$mounted" ] || buildah "${storage[@]}" umount "$mounted" >/dev/null
    [ -z "$mounted" ] || buildah "${storage[@]}" rm "$mounted" >/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
say() { echo "image: $*"; }

# Makes an image. $1 is its name, $2 the folder with its files. Other arguments are settings of the image.
commit() {
    local name=$1 files=$2 container
    shift 2
    container=$(buildah "${storage[@]}" from scratch)
    buildah "${storage[@]}" add --quiet "$container" "$files" / >/dev/null
    buildah "${storage[@]}" config "$@" "$container"
    buildah "${storage[@]}" commit --quiet --rm --format docker "$container" "$name" >/dev/null
}

# Makes the replacement for the Rust project's image: Debian with a C compiler, and the toolchain of this machine.
build_base() {
    local root=$work/build-base toolchain
    toolchain=$(rustc --print sysroot)
    mmdebstrap --quiet --variant=minbase --include=build-essential,ca-certificates,perl bookworm "$root"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp --archive "$toolchain" "$root/usr/local/rust"
    rm -rf "$root/usr/local/rust/share/doc" "$root/var/cache/apt"/*.bin
    mkdir -p "$root/usr/local/cargo"
    commit "$1" "$root" --env PATH=/usr/local/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin --env CARGO_HOME=/usr/local/cargo
    rm -rf "$root"
}

# Makes the replacement for distroless: the packages in its list for cc-debian12, without their scripts, and the user.
runtime_base() {
    local root=$work/runtime-base package
    mkdir -p "$root" "$work/packages"
    for package in base-files ca-certificates gcc-12-base libc6 libgcc-s1 libgomp1 libssl3 libstdc++6 media-types netbase tzdata; do
        (cd "$work/packages" && apt-get download -qq "$package" 2>/dev/null)
    done
    for package in "$work/packages"/*.deb; do
        dpkg-deb --extract "$package" "$root"
    done
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
    printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$root/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
    commit "$1" "$root" --user 65532
    rm -rf "$root" "$work/packages"
}

bases() { sed -n 's/^FROM \([^ ]*\).*/\1/p' Dockerfile; }

replaced=()
for base in $(bases); do
    if buildah "${storage[@]}" inspect --type image "$base" >/dev/null 2>&1; then
        say "$base is there from before"
    elif timeout 120 buildah "${storage[@]}" pull --quiet "$base" >/dev/null 2>&1; then
        say "$base is pulled"
    else
        say "$base can't be pulled, and is replaced by Debian's packages"
        # Another image can't have the digest, so the replacement has the tag alone.
        replaced+=("$base")
        buildah "${storage[@]}" inspect --type image "${base%@*}" >/dev/null 2>&1 && continue
        case $base in
        */rust:*) build_base "${base%@*}" ;;
        *distroless*) runtime_base "${base%@*}" ;;
        *) say "no packages are known for it" && exit 1 ;;
        esac
    fi
done

# The time and the commit for which the binary in BINARY was built.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
commit=${CURSORGATE_COMMIT:-$(git rev-parse --short=12 HEAD)}
# The build context has only the files of the commit, not other files in the checkout.
mkdir "$work/context"
git archive HEAD | tar --extract --directory "$work/context"
for base in "${replaced[@]}"; do
    sed -i "s|$base|${base%@*}|" "$work/context/Dockerfile"
done
buildah "${storage[@]}" bud --isolation chroot --format docker --pull-never --tag cursorgate \
    --build-arg SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" --build-arg CURSORGATE_COMMIT="$commit" "$work/context"

mounted=$(buildah "${storage[@]}" from --pull-never cursorgate)
root=$(buildah "${storage[@]}" mount "$mounted")
bytes=$(du --summarize --block-size=1 --apparent-size "$root" | cut -f1)
binary=$(stat --format %s "$root/usr/local/bin/cursorgate")
say "$((bytes / 1000000)) MB, of which the binary has $((binary / 1000000)) MB; at most $MOST MB"
((bytes < MOST * 1000000)) || { say "too large" && exit 1; }

user=$(buildah "${storage[@]}" inspect --format '{{.OCIv1.Config.User}}' "$mounted")
[ "$user" = 65532:65532 ] || { say "its user is $user" && exit 1; }
if [ -n "$BINARY" ]; then
    cmp "$BINARY" "$root/usr/local/bin/cursorgate"
    say "the binary has the same bytes as $BINARY"
fi

# Runs the binary as in a container: with the image's root folder and user, without a writable file.
inside() { chroot --userspec="$user" "$root" /usr/local/bin/cursorgate "$@"; }
say "$(inside --version | head -1)"
mkdir -p "$root/etc/cursorgate"
printf 'version = 1\n[admin]\naddress = "127.0.0.1:%s"\n[listeners.public]\naddress = "127.0.0.1:%s"\n[upstreams.legacy]\npeers = ["127.0.0.1:9"]\n[routes.rest]\npath = "/{*rest}"\nupstream = "legacy"\naction = "forward"\n' \
    29180 28080 >"$root/etc/cursorgate/cursorgate.toml"
chroot --userspec="$user" "$root" /usr/local/bin/cursorgate run --config /etc/cursorgate/cursorgate.toml 2>"$work/log" &
gateway=$!
for _ in $(seq 100); do
    ! inside health --config /etc/cursorgate/cursorgate.toml >/dev/null 2>&1 || break
    sleep 0.1
done
inside health --config /etc/cursorgate/cursorgate.toml || { cat "$work/log" && exit 1; }
kill -TERM "$gateway"
wait "$gateway"
gateway=
say "it was ready, and stopped in order"

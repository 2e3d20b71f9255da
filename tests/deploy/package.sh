#!/usr/bin/env bash
# Tests a Debian package: `make dist-check`, as root, on Debian. Checks the package with lintian, and installs it in a
# new Debian system, which is booted with systemd in separate namespaces. The service is started, reloaded, upgraded,
# restarted and purged while clients connect.
#
#   tests/deploy/package.sh PACKAGE
set -euo pipefail

package=$(realpath "$1")
cd "$(dirname "$0")/../.."
mkdir -p target/package-check
work=$(mktemp --directory "$PWD/target/package-check/XXXX")
root=$work/root
holder=
cleanup() {
    # When process 1 of a namespace ends, all its other processes end too.
    [ -z "$holder" ] || kill -KILL "$(first)" 2>/dev/null || true
    [ -z "$holder" ] || wait "$holder" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
say() { echo "package: $*"; }
# Prints the id of process 1 of the booted system.
first() { tr --delete ' ' <"/proc/$holder/task/$holder/children"; }

suppressed=()
# The package of a version without the command `man` has no manual.
dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$work" ./usr/bin/cursorgate
"$work/usr/bin/cursorgate" man >/dev/null 2>&1 || suppressed=(--suppress-tags no-manual-page)
lintian --allow-root --fail-on error,warning "${suppressed[@]}" "$package"
say "lintian finds no error and no warning"
dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$work" ./usr/share/doc
tests/deploy/links.sh "$work/usr/share/doc/cursorgate"
say "its documents lead to one another"

mmdebstrap --quiet --variant=minbase --include=systemd-sysv,dbus,curl bookworm "$root"
cp "$package" "$root/root/cursorgate.deb"
chroot "$root" dpkg --install /root/cursorgate.deb >/dev/null
[ "$(stat --format %a:%U "$root/etc/cursorgate/cursor.key")" = 600:root ] || { say "its key can be read by others" && exit 1; }
key=$(sha256sum <"$root/etc/cursorgate/cursor.key")
say "installed: $(chroot "$root" cursorgate --version | head -1)"

cat >"$root/root/boot.sh" <<'END'
set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t devtmpfs devtmpfs dev
mount -t tmpfs tmpfs run
mkdir -p old
pivot_root . old
umount --lazy /old
# The mounts are shared as after any boot, because services get their credentials through shared mounts.
mount --make-rshared /
exec env --ignore-environment container=unshare PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --log-target=console
END
unshare --fork --pid --mount --propagation private --uts --ipc --cgroup --net bash "$root/root/boot.sh" "$root" >"$work/boot.log" 2>&1 </dev/null &
holder=$!
inside() { nsenter --target "$(first)" --mount --pid --net --uts --ipc --cgroup --root -- "$@" </dev/null; }
for _ in $(seq 300); do
    ! { inside /usr/bin/systemctl is-system-running 2>/dev/null || true; } | grep -qE 'running|degraded' || break
    sleep 0.2
done

cat >"$root/root/try.sh" <<'END'
set -eu
main() { systemctl show --property MainPID --value cursorgate.service; }
connect() { while [ -e /run/going ]; do curl --silent --output /dev/null --max-time 20 --write-out '%{http_code} %{errormsg}\n' http://127.0.0.1:8080/ || true; done; }
# Runs a command while clients connect in sequence. There is no upstream, so answers have status 502; 000 means none.
during() {
    touch /run/going
    connect >/run/codes &
    before=$(main)
    "$@" >/dev/null
    # A hand-over may continue after its command has ended.
    [ "${expected:-}" = same ] || for _ in $(seq 100); do [ "$(main)" = "$before" ] || break; sleep 0.1; done
    systemctl is-active --quiet cursorgate.service
    sleep 1
    rm /run/going
    wait
    echo "$*: main process $before, then $(main); answers: $(cut --characters=-3 /run/codes | sort | uniq --count | tr --squeeze-repeats ' \n' ' ')"
    if grep --invert-match 502 /run/codes; then return 1; fi
    [ "${expected:-}" = same ] || [ "$(main)" != "$before" ]
}
systemctl start cursorgate.socket cursorgate.service
curl --silent --fail --output /dev/null http://127.0.0.1:9180/readyz
expected=same during systemctl reload cursorgate.service
curl --silent http://127.0.0.1:9180/metrics | grep --quiet '^cursorgate_config_reloads_total{cause="signal",result="in_force"} 1$'
during systemctl kill --kill-whom=main --signal=SIGUSR2 cursorgate.service
during systemctl restart cursorgate.service
during dpkg --install /root/cursorgate.deb
systemd-analyze security --no-pager cursorgate.service | tail --lines=1
END
if ! inside /bin/bash /root/try.sh; then
    inside /usr/bin/systemctl status --no-pager cursorgate.service || true
    tail "$work/boot.log"
    exit 1
fi
[ "$(sha256sum <"$root/etc/cursorgate/cursor.key")" = "$key" ] || { say "an upgrade made a new key" && exit 1; }
inside /usr/bin/dpkg --purge cursorgate >/dev/null
[ ! -e "$root/etc/cursorgate" ] || { say "it left /etc/cursorgate" && exit 1; }
say "started, reloaded, upgraded, restarted and purged, and no connection was refused"

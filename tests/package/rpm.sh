#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The life of the RPM in a root of its own: built from the tree, installed, its agent started and killed, upgraded, and removed
# with the datapath in force; a removal that cannot take the datapath off is refused. Debian's rpm builds it and Debian's
# libraries run it, as no other distribution can be fetched everywhere; the scriptlets are what is tested.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=$(realpath -m "${BUILD:-build}")
SUITE=${SUITE:-bookworm}
DEB_CACHE=${DEB_CACHE:-$BUILD/deb/cache}
# shellcheck source=deploy/debian-root.sh
. deploy/debian-root.sh

if [ "${1:-}" = inside ]; then
    # In namespaces of its own, root in $2.
    root=$2
    mount -t proc proc "$root/proc"
    mount -t sysfs sys "$root/sys"
    mount -t bpf bpf "$root/sys/fs/bpf"
    mount -t tmpfs run "$root/run"
    mount --bind /dev "$root/dev"
    ip link set lo up
    for interface in in0 out0; do
        ip link add "$interface" type veth peer name "peer-$interface"
        ip link set "$interface" up
        ip link set "peer-$interface" up
    done
    ip addr add 10.0.0.1/18 dev in0
    ip addr add 198.51.100.1/24 dev out0
    exec chroot "$root" /bin/bash /life.sh
fi

[ "$(id -u)" = 0 ] || { echo "rpm.sh: a root of its own needs root" >&2 && exit 1; }
mkdir -p "$BUILD/rpm" "$DEB_CACHE"
work=$(mktemp -d "$BUILD/rpm/work.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
version=$(sed -n 's/^Version: *//p' deploy/detnat.spec)

mkdir -p "$work/top/SOURCES" "$work/root"
{ git ls-files -co --exclude-standard && git ls-files -d; } | sort | uniq -u |
    tar -c -T - --transform "s,^,detnat-$version/," -z -f "$work/top/SOURCES/detnat-$version.tar.gz"
# With the macros of Fedora's systemd-rpm-macros.
rpmbuild -bb --nodeps -D "_topdir $work/top" -D 'debug_package %{nil}' -D '_unitdir /usr/lib/systemd/system' \
    -D '_sysusersdir /usr/lib/sysusers.d' -D '_tmpfilesdir /usr/lib/tmpfiles.d' deploy/detnat.spec >"$BUILD/rpm/build.log" 2>&1 || {
    tail -n 30 "$BUILD/rpm/build.log" >&2
    exit 1
}
archive=$(debian_root rpm --variant=apt rpm,systemd,iproute2,libbpf1,libcap-ng0,libcjson1,libevent-2.1-7,libmicrohttpd12,libmnl0,libnftnl11,libnettle8,libxdp1)
tar -x -C "$work/root" -f "$archive"
cp "$work"/top/RPMS/*/detnat-*.rpm "$work/root/root/"
cp tests/package/rpm-life.sh "$work/root/life.sh"
unshare --mount --net --pid --ipc --uts --fork "$0" inside "$work/root"

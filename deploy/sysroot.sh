#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# sysroot.sh DIR: puts the libraries that programs and tests link to into DIR, for arm64, and DIR/pkg-config, which finds them. The
# packages are Debian's of SUITE, unpacked; the machine's own packages are not touched. Does nothing where they are there already.
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$1
SUITE=${SUITE:-bookworm}
DEB_CACHE=${DEB_CACHE:-build/deb/cache}
# shellcheck source=deploy/debian-root.sh
. deploy/debian-root.sh

packages=libc6-dev,libbpf-dev,libcap-ng-dev,libcjson-dev,libcriterion-dev,libevent-dev,libmicrohttpd-dev,libmnl-dev,libnftnl-dev,libxdp-dev,nettle-dev
[ "$(cat "$dir/packages" 2>/dev/null)" != "$SUITE $packages" ] || exit 0

mkdir -p "$DEB_CACHE"
echo "sysroot: unpacking arm64 libraries of $SUITE into $dir"
archive=$(debian_root sysroot --variant=extract "$packages" --architectures=arm64)
rm -rf "$dir"
mkdir -p "$dir"
tar -x -C "$dir" -f "$archive" --exclude './dev/*'
dir=$(realpath "$dir")
cat >"$dir/pkg-config" <<END
#!/bin/sh
export PKG_CONFIG_SYSROOT_DIR='$dir'
export PKG_CONFIG_LIBDIR='$dir/usr/lib/aarch64-linux-gnu/pkgconfig:$dir/usr/share/pkgconfig'
exec pkg-config "\$@"
END
chmod 755 "$dir/pkg-config"
echo "$SUITE $packages" >"$dir/packages"

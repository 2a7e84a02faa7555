#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Installs the Debian packages that building, testing and the demo need. Says nothing and does nothing where all are there.
set -euo pipefail

packages=(
    # build
    gcc make pkg-config clang llvm bpftool libbpf-dev libxdp-dev libelf-dev zlib1g-dev
    libc6-dev linux-libc-dev libcjson-dev libevent-dev libmnl-dev libcap-ng-dev
    # lint
    clang-format clang-tidy cppcheck
    # tests and demo
    libcriterion-dev python3 python3-pytest python3-scapy iproute2 ethtool iputils-ping curl
    nfdump tshark valgrind nftables mandoc
    # kernels in virtual machines
    qemu-system-x86 busybox-static cpio kmod xz-utils
)

missing=()
installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^ii *//p' || true)
for package in "${packages[@]}"; do
    grep -qx "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "install-deps: packages are missing: ${missing[*]}" >&2
    echo "install-deps: run 'sudo $0', or 'sudo make', to install them" >&2
    exit 1
fi
echo "install-deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "install-deps: apt-get failed, its last lines stand above" >&2
    exit 1
fi

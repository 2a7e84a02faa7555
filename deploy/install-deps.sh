#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# install-deps.sh [build|bench|demo|test|arm64|debian|package|site|COMPILER]...: installs the Debian packages that a build, the benchmark, the demo and
# the tests need; without arguments, all but those of arm64, debian, package and site. COMPILER, such as clang-18 or gcc-13, is left out where apt does not have it. Prints and does nothing where none is missing. The tests run
# Prometheus, FRR, BIRD, FreeRADIUS, Kea, nginx, Caddy, pppd and tayga: they are unpacked into build/prometheus, build/routing, build/identity,
# build/proxies, build/ppp and build/translators where the machine has none, as installing the packages would start services. The libraries that these packages
# depend on are installed, by the names that they have in this release.
set -euo pipefail

build=(
    gcc make clang bpftool pkgconf libbpf-dev
    libc6-dev linux-libc-dev libcjson-dev libevent-dev libmnl-dev libnftnl-dev nettle-dev libcap-ng-dev
    libxdp-dev libmicrohttpd-dev
)
demo=(iproute2 ethtool iputils-ping curl python3 tshark)
bench=(iproute2 ethtool nftables)
# Static checks, unit and end-to-end tests, and kernels in virtual machines.
test=(
    clang-format clang-tidy libclang-rt-dev cppcheck flake8 mandoc shellcheck
    libcriterion-dev python3 python3-pytest python3-pytest-xdist python3-scapy iproute2 ethtool iputils-ping iputils-tracepath traceroute
    curl natpmpc python3-libtorrent nfdump tshark libfixbuf-tools valgrind nftables iptables conntrack softflowd tcpdump iperf3 coturn strace fish zsh xdp-tools
    qemu-system-x86 busybox-static cpio kmod xz-utils systemd chromium chromium-driver python3-selenium
    openssl freeradius-utils dnsmasq-base
)
# A build for arm64 (CROSS=aarch64-linux-gnu) and its tests. The libraries are unpacked into build/, see sysroot.sh.
arm64=(gcc-aarch64-linux-gnu mmdebstrap qemu-system-arm cpio kmod xz-utils)
# `make test-debian13` makes its chroot with it.
debian=(mmdebstrap)
# `make site` makes the documents' site with it.
site=(mkdocs mandoc)
# `make deb` and its tests; no other target needs them.
package=(
    debhelper dpkg-dev mmdebstrap lintian diffoscope-minimal rpm rpmlint podman runc netavark netplan.io
    ifupdown procps udev
    qemu-system-x86 cpio kmod xz-utils iproute2 ethtool curl
)

[ $# -gt 0 ] || set -- build bench demo test
tree=$(cd "$(dirname "$0")/.." && pwd)
prometheus=$tree/build/prometheus
routing=$tree/build/routing
identity=$tree/build/identity
proxies=$tree/build/proxies
ppp=$tree/build/ppp
translators=$tree/build/translators
packages=()
unpack=()
# Sets unpack to the packages of which neither the system nor build/ has the programs.
look_for_unpacked() {
    unpack=()
    { command -v prometheus && command -v promtool; } >/dev/null ||
        { [ -x "$prometheus/usr/bin/prometheus" ] && [ -x "$prometheus/usr/bin/promtool" ]; } || unpack+=(prometheus)
    { [ -x /usr/lib/frr/bgpd ] && [ -x /usr/sbin/bird ]; } || { [ -x "$routing/usr/lib/frr/bgpd" ] && [ -x "$routing/usr/sbin/bird" ]; } ||
        unpack+=(frr bird2)
    { [ -x /usr/sbin/freeradius ] && [ -x /usr/sbin/kea-dhcp4 ]; } ||
        { [ -x "$identity/usr/sbin/freeradius" ] && [ -x "$identity/usr/sbin/kea-dhcp4" ]; } || unpack+=(freeradius kea-dhcp4-server kea-common)
    { [ -x /usr/sbin/nginx ] && [ -x /usr/bin/caddy ]; } || { [ -x "$proxies/usr/sbin/nginx" ] && [ -x "$proxies/usr/bin/caddy" ]; } ||
        unpack+=(nginx caddy)
    { [ -x /usr/sbin/pppd ] && [ -x /usr/sbin/pppoe-server ]; } || [ -x "$ppp/usr/sbin/pppoe-server" ] || unpack+=(ppp pppoe)
    [ -x /usr/sbin/tayga ] || [ -x "$translators/usr/sbin/tayga" ] || unpack+=(tayga)
}
for group; do
    case $group in
    build) packages+=("${build[@]}") ;;
    bench) packages+=("${bench[@]}") ;;
    demo) packages+=("${demo[@]}") ;;
    test)
        packages+=("${test[@]}")
        look_for_unpacked
        ;;
    clang-[0-9]* | gcc-[0-9]*) ! apt-cache show "$group" >/dev/null 2>&1 || packages+=("$group") ;;
    arm64) packages+=("${arm64[@]}") ;;
    debian) packages+=("${debian[@]}") ;;
    package) packages+=("${package[@]}") ;;
    site) packages+=("${site[@]}") ;;
    *)
        echo "usage: $0 [build|bench|demo|test|arm64|debian|package|site|COMPILER]..." >&2
        exit 2
        ;;
    esac
done

missing=()
# look_for PACKAGE...: sets missing to those that are not installed.
look_for() {
    local installed
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii *//p' || true)
    mapfile -t missing < <(printf '%s\n' "$@" | sort -u | grep -vxF "$installed" || true)
}
[ ${#packages[@]} = 0 ] || look_for "${packages[@]}"
[ ${#missing[@]} -gt 0 ] || [ ${#unpack[@]} -gt 0 ] || exit 0

# Steps of a test run at the same time: one installs, and the others find it done.
if [ -z "${DEPS_LOCKED:-}" ] && mkdir -p "$tree/build" && [ -w "$tree/build" ]; then
    exec env DEPS_LOCKED=1 flock "$tree/build/install-deps.lock" "$0" "$@"
fi

log=$(mktemp)
trap 'rm -rf "$log" "$prometheus.new" "$routing.new" "$identity.new" "$proxies.new" "$ppp.new" "$translators.new"' EXIT
give_up() {
    tail -n 30 "$log" >&2
    echo "install-deps: $1 failed, its last lines stand above" >&2
    exit 1
}

groups=$*
install_missing() {
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "install-deps: packages are missing: ${missing[*]}" >&2
        echo "install-deps: to install them, as root: $0 $groups" >&2
        exit 1
    fi
    echo "install-deps: installing what is missing for: $groups (this may take some minutes)"
    printf '%s\n' "${missing[*]}" | fold -s -w 100 | sed 's/^/    /'
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 || give_up apt-get
}
install_missing

# libraries_of FILE.deb...: the libraries that the packages depend on.
libraries_of() {
    for deb; do dpkg-deb -f "$deb" Depends; done | tr , '\n' | sed -n 's/^ *\(lib[^ (|:]*\).*/\1/p' | grep -v '^libjs-'
}

# unpack_into DIRECTORY PACKAGE...: if the first of the packages is to be unpacked.
unpack_into() {
    local directory=$1 new=$1.new deb
    shift
    [[ " ${unpack[*]} " = *" $1 "* ]] || return 0
    echo "install-deps: unpacking $* into build/"
    rm -rf "$new"
    mkdir -p "$new"
    download() { (cd "$new" && apt-get -q -o APT::Sandbox::User= download "$@") >"$log" 2>&1; }
    # Where apt's lists are missing, or older than the mirror.
    download "$@" || { [ "$(id -u)" = 0 ] && apt-get update >"$log" 2>&1 && download "$@"; } || give_up "fetching $*"
    # shellcheck disable=SC2046 # names of packages
    look_for $(libraries_of "$new"/*.deb)
    install_missing
    for deb in "$new"/*.deb; do
        dpkg-deb -x "$deb" "$new" >"$log" 2>&1 || give_up dpkg-deb
        rm "$deb"
    done
    rm -rf "$directory"
    mv "$new" "$directory"
}

# shellcheck disable=SC2046 # from Debian 13 on promtool is a package of its own
unpack_into "$prometheus" prometheus $(apt-cache show promtool 2>/dev/null | sed -n 's/^Package: //p' | sort -u)
unpack_into "$routing" frr bird2
unpack_into "$identity" freeradius kea-dhcp4-server kea-common
unpack_into "$proxies" nginx caddy
unpack_into "$ppp" ppp pppoe
unpack_into "$translators" tayga

[ ${#unpack[@]} = 0 ] || look_for_unpacked
[ ${#unpack[@]} = 0 ] || { echo "install-deps: unpacked, and a program is still missing: ${unpack[*]}" >&2 && exit 1; }

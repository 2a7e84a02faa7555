#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# kernels.sh SERIES DIR [ARCH [cards]]: puts Debian's cloud kernel of a series (6.1, 6.12) into DIR: vmlinuz, config,
# modules/, version. ARCH is Debian's name of the processor, amd64 by default. With `cards` it is the kernel for physical
# machines, with the drivers of the cards that QEMU emulates, and PPP.
# Does nothing if it is already there, with the modules that are needed now. Exit status 3: not available (no network, no Debian mirror known).
#
# The packages come from the Debian mirror that the machine's own apt uses (or DEBIAN_MIRROR), by way of an apt configuration
# of their own: sources, lists and archives are next to DIR, and the machine's apt state is not touched.
set -euo pipefail

series=$1
dir=$2
arch=${3:-amd64}
flavour=cloud-$arch others='-rt-'
[ "${4:-}" != cards ] || flavour=$arch others='-(rt|cloud)-'
declare -A suites=([6.1]="bookworm" [6.12]="bookworm-backports trixie")
# What the guest needs beyond what is built in; a module's dependencies come with it.
modules=(veth sch_ingress cls_bpf act_mirred 8021q bonding vrf bridge nf_tables nft_fib_inet nft_objref nft_chain_nat nft_nat nft_flow_offload nf_flow_table_inet nf_conntrack_netlink)
[ "${4:-}" != cards ] || modules+=(virtio_pci virtio_console virtio_net vmxnet3 e1000e pktgen ppp_async pppoe)

say() { echo "kernels: $*" >&2; }
unavailable() {
    say "$*"
    exit 3
}

[ -s "$dir/version" ] && [ "$(cat "$dir/modules/asked" 2>/dev/null)" = "${modules[*]}" ] && exit 0
[ -n "${suites[$series]:-}" ] || { say "no suite known for $series"; exit 2; }

# shellcheck disable=SC2016 # apt-get expands $(SITE)
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' \
    2>/dev/null | grep -v -- -security | head -n 1)} || true
[ -n "$mirror" ] || unavailable "the machine's apt knows no Debian mirror; set DEBIAN_MIRROR"

work=$(mkdir -p "$(dirname "$dir")" && cd "$(dirname "$dir")" && pwd)/.apt-$flavour-$series
rm -rf "$work"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,parts,tree}
: >"$work/status"
cat >"$work/apt.conf" <<CONF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "$work/parts";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "$work/parts";
Dir::State "$work";
Dir::State::Lists "$work/lists";
Dir::State::Status "$work/status";
Dir::Cache "$work";
Dir::Cache::Archives "$work/archives";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF

# Prints the newest package of the series that the suite has, after fetching the suite's index.
find_package() {
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >"$work/sources.list"
    apt-get -qq -c "$work/apt.conf" update >"$work/log" 2>&1 || return 1
    apt-cache -c "$work/apt.conf" pkgnames "linux-image-$series." |
        grep -E "^linux-image-${series//./\\.}\.[0-9]+([-+].*)?-$flavour(-unsigned)?\$" | grep -vE -- "$others" | sort -V | tail -n 1
}

package=
for suite in ${suites[$series]}; do
    say "looking for a $series kernel in $suite"
    package=$(find_package "$suite") || true
    [ -z "$package" ] || break
done
if [ -z "$package" ]; then
    tail -n 3 "$work/log" >&2
    unavailable "no $series kernel to be had"
fi
say "fetching $package"
(cd "$work/archives" && apt-get -qq -c "$work/apt.conf" download "$package") >"$work/log" 2>&1 || {
    tail -n 3 "$work/log" >&2
    unavailable "$package cannot be fetched"
}
dpkg-deb -x "$work"/archives/*.deb "$work/tree"

release=$(basename "$work"/tree/boot/vmlinuz-*)
release=${release#vmlinuz-}
[ -d "$work/tree/lib/modules" ] || ln -s usr/lib "$work/tree/lib"
depmod -b "$work/tree" "$release"
rm -rf "$dir.new"
mkdir -p "$dir.new/modules"
cp "$work/tree/boot/vmlinuz-$release" "$dir.new/vmlinuz"
cp "$work/tree/boot/config-$release" "$dir.new/config"

# In loading order, uncompressed.
for module in "${modules[@]}"; do
    modprobe -d "$work/tree" -S "$release" --show-depends "$module" || say "$series has no module $module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/order"
while read -r path; do
    name=$(basename "$path")
    name=${name%%.ko*}.ko
    case $path in
    *.xz) xz -dc "$path" >"$dir.new/modules/$name" ;;
    *.zst) zstd -dcq "$path" >"$dir.new/modules/$name" ;;
    *.gz) gzip -dc "$path" >"$dir.new/modules/$name" ;;
    *) cp "$path" "$dir.new/modules/$name" ;;
    esac
    echo "$name" >>"$dir.new/modules/order"
done <"$work/order"
echo "${modules[*]}" >"$dir.new/modules/asked"
echo "$release" >"$dir.new/version"
rm -rf "$dir"
mv "$dir.new" "$dir"

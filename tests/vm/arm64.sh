#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Boots Debian's arm64 kernels under QEMU with what CROSS=aarch64-linux-gnu has built, and counts what the guest reports: the parts
# `reachable` and `tc` of guest.sh, unit and datapath tests. Without acceleration, so a guest takes many minutes: ROUNDS is the
# percentage of rounds of tests with many. UNIT and BPF are the suites, as patterns of Criterion. A kernel that is not available is
# skipped with a message; with VM_REQUIRED=1 that is a failure. The consoles are kept in BUILD/vm/.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD=${BUILD:-build/aarch64-linux-gnu}
VM_CACHE=${VM_CACHE:-build/vm}
DEB_CACHE=${DEB_CACHE:-build/deb/cache}
SUITE=${SUITE:-bookworm}
SERIES=${SERIES:-6.1 6.12}
VM_PARTS=${VM_PARTS:-reachable tc}
ROUNDS=${ROUNDS:-1}
UNIT=${UNIT-@(mapping|slots|slot_words|copy_words|hash|tcp_state|ip_fragments|stages_choice|replication_frame|pcp_message)/*}
BPF=${BPF-@(datapath|in2out|race)/*}
VM_TIMEOUT=${VM_TIMEOUT:-3600} # seconds, of one guest
MEMORY=4096                    # MiB, of a guest
here=tests/vm out=$BUILD/vm root=$BUILD/vm/root

passed=0 failed=0 skipped=0
skip() {
    if [ "${VM_REQUIRED:-0}" = 1 ]; then failed=$((failed + 1)) && echo "not ok $*"; else skipped=$((skipped + 1)) && echo "SKIP $*"; fi
}

# shellcheck source=deploy/debian-root.sh
. deploy/debian-root.sh

# Unpacked packages: no program of theirs runs before the guest does.
make_root() {
    local archive applet
    mkdir -p "$DEB_CACHE"
    archive=$(debian_root arm64-guest --variant=extract "busybox-static,dash,iproute2,ethtool,libbpf1,libcap-ng0,libcjson1,libcriterion3,\
libevent-2.1-7,libmnl0,libnftnl11,libxdp1,libnettle8" --architectures=arm64)
    rm -rf "$root"
    mkdir -p "$root"
    tar -x -C "$root" -f "$archive" --exclude './dev/*' --exclude './usr/share/*' --exclude './var/cache/*' --exclude './var/lib/*'
    mkdir -p "$root"/{dev,proc,sys,tmp,run,etc,modules,lib/checks}
    # dash is the tests' sh, whose ip is iproute2's; init calls busybox for itself.
    for applet in awk basename cat chmod cp cut date dmesg env find grep head insmod kill ln ls mkdir mount mv nsenter poweroff \
        printf rm rmdir sed seq sh sleep sort sync sysctl tail tee touch tr true umount uname usleep wc xargs timeout id false; do
        ln -sf busybox "$root/bin/$applet"
    done
    ln -sf dash "$root/bin/sh"
    for applet in ip tc; do [ -e "$root/usr/bin/$applet" ] || ln -s "$(cd "$root" && find sbin bin usr/sbin -name $applet -printf '/%p' -quit)" "$root/usr/bin/$applet"; done
    install -m 755 "$BUILD/detnat-agent" "$BUILD/detnatctl" "$BUILD/detnat-xdp" "$root/usr/bin/"
    install -m 755 "$BUILD/tests/unit/run" "$root/usr/bin/unit-tests"
    install -m 755 "$BUILD/tests/bpf/run" "$root/usr/bin/bpf-tests-run"
    aarch64-linux-gnu-gcc --sysroot="$(realpath build/sysroot-aarch64-linux-gnu)" -std=gnu17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -static $here/peer.c -o "$root/usr/bin/peer"
    install -m 755 $here/init-arm64 "$root/init"
    install -m 644 -t "$root/lib/checks" $here/{guest,links,copies,libxdp,cards,agent,common}.sh
    cp -r deploy "$root/"
    cp -r tests "$root/" 2>/dev/null || true
    echo "$VM_PARTS" >"$root/etc/parts"
    echo 1 >"$root/etc/stages"
    echo "$ROUNDS" >"$root/etc/rounds"
    echo "$UNIT" >"$root/etc/unit"
    echo "$BPF" >"$root/etc/bpf"
    echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
}

# Prints each result as it comes, but of tests that passed only their number.
report() { # SERIES
    local series=$1 line finished=0 before=$failed
    while IFS= read -r line; do
        line=${line%$'\r'}
        case $line in
        "ok "*) passed=$((passed + 1)) && [[ $line = "ok "*" test "* ]] || echo "ok $series ${line#ok }" ;;
        "not ok "*) failed=$((failed + 1)) && echo "not ok $series ${line#not ok }" ;;
        "SKIP "*) skipped=$((skipped + 1)) && echo "SKIP $series ${line#SKIP }" ;;
        "# "*) echo "# $series ${line#\# }" ;;
        finished) finished=1 ;;
        esac
    done
    [ $finished = 1 ] || { failed=$((failed + 1)) && echo "not ok $series the guest ran to its end within $VM_TIMEOUT s"; }
    [ "$failed" = "$before" ] || echo "# $series: see $out/console-$series.log"
}

boot() { # SERIES KERNEL
    rm -rf "$root/modules"
    cp -r "$2/modules" "$root/modules"
    (cd "$root" && find . | cpio -o -H newc --quiet) >"$out/initramfs-$1"
    rm -f "$out/results"
    mkfifo "$out/results"
    timeout --foreground -k 5 "$VM_TIMEOUT" qemu-system-aarch64 -accel tcg,thread=multi -machine virt -cpu cortex-a72 -smp 2 \
        -m "$MEMORY" -nographic -nodefaults -no-reboot -kernel "$2/vmlinuz" -initrd "$out/initramfs-$1" \
        -append "console=ttyAMA0 ${VM_LOUD:-quiet} panic=-1 mitigations=off" -serial "file:$out/console-$1.log" \
        -chardev "file,id=results,path=$out/results" -device pci-serial,chardev=results </dev/null &
    qemu=$!
    trap 'kill $qemu 2>/dev/null || true' EXIT
    report "$1" <"$out/results"
    wait $qemu || true
    rm -f "$out/initramfs-$1" "$out/results"
}

mkdir -p "$out"
make_root
for series in $SERIES; do
    status=0
    $here/kernels.sh "$series" "$VM_CACHE/kernel-arm64-$series" arm64 || status=$?
    if [ $status != 0 ]; then
        skip "$series: no arm64 kernel to be had"
        continue
    fi
    began=$SECONDS
    echo "# $series: $(cat "$VM_CACHE/kernel-arm64-$series/version") boots"
    boot "$series" "$VM_CACHE/kernel-arm64-$series"
    echo "# $series: ended within $((SECONDS - began)) s"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Boots Debian's kernels under QEMU, each with the agent and its tools in an initramfs, and counts what the guest reports
# (guest.sh). Kernels are fetched once and kept in VM_CACHE. A kernel that is not available is skipped with a message; with
# VM_REQUIRED=1 that is a failure. The consoles are kept in BUILD/vm/. STAGES=2 gives detnat two stages.
# VM_PARTS=datapath loads every program of the datapath's test programs in VM_BUILDS, and runs the tests that the pattern BPF
# names (or a share of the suites: BPF=3/40), DETNAT_ROUNDS percent of their rounds: an emulated processor verifies a program in seconds.
# VM_LOUD=loglevel=7 has the kernel say all on the console.
# VM_PARTS=package is about the Debian package in BUILD/deb alone, see package/checks.sh; DEB_BEFORE is the one before it.
set -euo pipefail
cd "$(dirname "$0")/../.."

BUILD=${BUILD:-build}
VM_CACHE=${VM_CACHE:-build/vm}
VM_BUILDS=${VM_BUILDS:-$BUILD} # directories with tests/bpf/run, each named after its compiler
BPF=${BPF:-datapath/*}
STAGES=${STAGES:-1}
VM_TIMEOUT=${VM_TIMEOUT:-900} # seconds without a word from a guest, after which it is ended: however slow, one that goes on is waited for
SERIES=${SERIES:-6.1 6.12}
# VM_PARTS=upgrades has agents of 1.0.0 upgraded, and rolled back to, under libxdp's dispatcher.
# Which of the checks of guest.sh, with routing and ppp in guests of their own; the units under systemd; the cards of wires.sh;
# `make bench-nic` between two guests; instructions beside nftables' flowtable. datapath and flowtable are none of those that run by
# themselves.
VM_PARTS=${VM_PARTS:-guard plain reachable tc copies vlan bond vrf tenants libxdp routing ppp systemd cards benchnic}
VM_CARDS=${VM_CARDS:-virtio staged vlans jumbo unmerged silent vmxnet3 e1000e removal} # of the part cards: functions of cards.sh
SYSTEMD_SERIES=${SYSTEMD_SERIES:-6.1}    # the kernel of Debian 12, as its systemd is that of the machine

# KVM where the processor has what it needs; VM_ACCEL chooses. There is a /dev/kvm on machines without it, too, where the
# kernel emulates what guests do and ends them at instructions that it does not know (kvm_pvm).
accelerator() {
    grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo && [ -w /dev/kvm ] &&
        qemu-system-x86_64 -accel kvm -machine none -display none -monitor stdio <<<quit >/dev/null 2>&1 && echo kvm && return
    echo tcg,thread=multi
}
ACCEL=${VM_ACCEL:-$(accelerator)}
# No CX16: under QEMU 7.2 cmpxchg16b occasionally corrupts the flags register, which crashes the guest. In a guest of a
# guest, the host may not let QEMU set what arch-capabilities needs.
case $ACCEL in kvm*) CPU=max,-arch-capabilities ;; *) CPU=max,-cx16 ;; esac
MEMORY=1024                              # MiB, of a guest
SUITE=${SUITE:-bookworm}
DEB_CACHE=${DEB_CACHE:-$BUILD/deb/cache}
here=tests/vm
out=$BUILD/vm

passed=0 failed=0 skipped=0
pass() { passed=$((passed + 1)) && echo "ok $*"; }
not_ok() { failed=$((failed + 1)) && echo "not ok $*"; }
skip() {
    if [ "${VM_REQUIRED:-0}" = 1 ]; then not_ok "$*"; else skipped=$((skipped + 1)) && echo "SKIP $*"; fi
}
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ] || exit 1
    exit 0
}

if [ "$(uname -m)" != x86_64 ]; then
    skip "the guests are x86_64, this machine is $(uname -m)"
    finish
fi

# shellcheck source=deploy/debian-root.sh
. deploy/debian-root.sh

unpacked=$PWD/build/routing # FRR and BIRD where they are not installed
ppp=$PWD/build/ppp          # pppd and pppoe where they are not

# install_program FILE [NAME]: with the libraries that it is linked to, where the loader looks for them.
install_program() {
    install -D -m 755 "$1" "$root/usr/bin/${2:-$(basename "$1")}"
    { ldd "$1" 2>/dev/null | grep -oE '/[^ ]+' || true; } | while read -r library; do
        [ -e "$root${library#"$unpacked"}" ] || install -D -m 755 "$(realpath "$library")" "$root${library#"$unpacked"}"
    done
}

# install_file FILE…: at the same place, with libraries.
install_file() {
    for file; do
        install -D -m "$(stat -c %a "$file")" "$(realpath "$file")" "$root$file"
        { ldd "$file" 2>/dev/null | grep -oE '/[^ ]+' || true; } | while read -r library; do
            [ -e "$root$library" ] || install -D -m 755 "$(realpath "$library")" "$root$library"
        done
    done
}

make_busybox() {
    rm -rf "$root"
    mkdir -p "$root"/{bin,sbin,dev,proc,sys,tmp,run,etc,usr/bin,modules}
    install -m 755 "$(command -v busybox)" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    ${CC:-gcc} -std=gnu17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -static $here/peer.c -o "$root/usr/bin/peer"
}

# libxdp's tools as Debian has them, and a dispatcher whose slots suit kernels from 6.12 on.
install_libxdp() {
    local tool
    install_program "$BUILD/detnat-xdp"
    for tool in xdp-loader xdp-filter; do install_program "$(PATH=$PATH:/usr/sbin:/sbin command -v $tool)"; done
    install_file /usr/lib/"$(${CC:-gcc} -print-multiarch)"/bpf/*.o
    mkdir -p "$root/usr/lib/dispatcher"
    ${CLANG:-clang} -O2 -g -mcpu=v3 -target bpf -I/usr/include/"$(${CC:-gcc} -print-multiarch)" -c $here/dispatcher.bpf.c \
        -o "$root/usr/lib/dispatcher/xdp-dispatcher.o"
    ${CC:-gcc} -std=gnu17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -static $here/ask.c -o "$root/usr/bin/ask"
    ${CC:-gcc} -std=gnu17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -shared -fPIC $here/kill.c -o "$root/usr/lib/kill.so"
    sed -n 's/^#define LAYOUT_VERSION //p' include/detnat/tables.h >"$root/etc/layout"
}

# Agents and helpers of 1.0.0, of each of its layouts, as tests/e2e/releases.py makes them from the history.
install_former() {
    local layout directory
    for layout in 5 6; do
        directory=$(cd tests/e2e && "${PYTHON:-/usr/bin/python3}" -c "import releases; print(releases.build($layout))")
        install_program "$directory/detnat-agent" "former-$layout"
        install_program "$directory/detnat-xdp" "former-xdp-$layout"
    done
}

# The routing daemons of Debian, and the files of docs/guide/ROUTING.md.
install_routing() {
    local program from
    for program in usr/sbin/{bird,birdcl} usr/lib/frr/{zebra,bgpd} usr/bin/vtysh; do
        from=/$program
        [ -x "$from" ] || from=$unpacked/$program
        LD_LIBRARY_PATH=$(echo "$unpacked"/usr/lib/*/frr) install_program "$from"
    done
    mkdir -p "$root/etc/routing"
    cp -r deploy/routing/{vrf,tenants,routers} "$root/etc/routing"
    echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
    printf '%s\n' root:x:0: frrvty:x:100:root >"$root/etc/group"
}

install_ppp() {
    local program from
    for program in usr/sbin/{pppd,pppoe,pppoe-server}; do
        from=/$program
        [ -x "$from" ] || from=$ppp/$program
        install_program "$from"
    done
    from=/usr/lib/pppd
    [ -d "$from" ] || from=$ppp/usr/lib/pppd
    mkdir -p "$root/usr/lib"
    cp -r "$from" "$root/usr/lib"
    echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
}

# The pattern of Criterion for BPF.
bpf_pattern() { # PROGRAM
    [[ $BPF =~ ^[0-9]+/[0-9]+$ ]] || { echo "$BPF" && return; }
    "$1" --list | sed -nE 's/^([a-z0-9_]+): [0-9]+ tests?$/\1/p' | awk -v "k=${BPF%/*}" -v "n=${BPF#*/}" 'NR % n == k % n' | paste -sd '|' |
        sed 's,.*,@(&)/*,'
}

# Of each build, named after its directory; without what debuggers want.
install_datapath() {
    local build name
    install_program "$(realpath /bin/sh)" sh # the tests set up interfaces by system(3); busybox's shell prefers its own ip
    ln -sf ../usr/bin/sh "$root/bin/sh"
    for build in $VM_BUILDS; do
        name=$(basename "$build")
        install_program "$build/tests/bpf/run" "../lib/datapath/$name"
        strip "$root/usr/lib/datapath/$name"
    done
    bpf_pattern "$build/tests/bpf/run" >"$root/etc/bpf"
    echo "${DETNAT_ROUNDS:-1}" >"$root/etc/rounds"
}

make_root() { # [PARTS]
    root=$out/root
    make_busybox
    for tool in ip tc ethtool; do install_program "$(PATH=$PATH:/usr/sbin:/sbin command -v $tool)"; done
    install_program "$BUILD/detnat-agent"
    install_program "$BUILD/detnatctl"
    ${CC:-gcc} -std=gnu17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -static $here/pcp.c -o "$root/usr/bin/pcp"
    install -m 755 $here/init "$root/init"
    install -D -m 644 -t "$root/lib/checks" $here/{guest,links,tenants,copies,libxdp,upgrades,cards,routing,ppp,datapath,agent,common}.sh
    if has_part libxdp || has_part upgrades; then install_libxdp; fi
    ! has_part upgrades || install_former
    echo "${1:-$(sed -E 's/\b(cards|benchnic|flowtable|routing|ppp|datapath)\b//g' <<<"$VM_PARTS")}" >"$root/etc/parts"
    echo "$STAGES" >"$root/etc/stages"
    echo "$VM_CARDS" >"$root/etc/cards"
}

# The end-to-end benchmark, and what it calls.
make_flowtable_root() {
    local tree
    root=$out/root-flowtable tree=../src/detnat/build
    make_busybox
    for tool in ip tc ethtool nft chrt; do install_program "$(PATH=$PATH:/usr/sbin:/sbin command -v $tool)"; done
    install_program "$(realpath /bin/sh)" sh # the benchmark sets up namespaces by system(3); busybox's shell prefers its own ip
    ln -sf ../usr/bin/sh "$root/bin/sh"
    install_program "$BUILD/detnat-agent" $tree/detnat-agent
    install_program "$BUILD/detnatctl" $tree/detnatctl
    install_program "$BUILD/tests/bench/e2e" $tree/tests/bench/e2e
    install -m 755 $here/init "$root/init"
    install -D -m 644 -t "$root/lib/checks" $here/{flowtable,common}.sh
    echo flowtable >"$root/etc/parts"
}

# The machine's own Python with its library, and `make bench-nic` as it is in the source.
make_benchnic_root() {
    local library tree file
    root=$out/root-benchnic tree=$root/usr/src/detnat
    make_busybox
    for tool in ip tc ethtool bash setpriv; do install_program "$(PATH=$PATH:/usr/sbin:/sbin command -v $tool)"; done
    install_program "$(realpath /usr/bin/python3)" python3
    library=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
    mkdir -p "$root$library"
    tar -c -C "$library" --exclude ./test --exclude './config-*' --exclude ./lib2to3 --exclude ./idlelib --exclude ./ensurepip . | tar -x -C "$root$library"
    for file in "$library"/lib-dynload/*.so; do install_file "$file"; done
    install -D -m 755 -t "$tree/tests/vm" $here/benchnic.py
    install -D -m 755 -t "$tree/tests/bench" tests/bench/nic.py tests/bench/nic_generator.sh
    install -D -m 644 -t "$tree/tests/e2e" tests/e2e/{agent,isolation,netns}.py
    install_program "$BUILD/detnat-agent" ../src/detnat/build/detnat-agent
    install_program "$BUILD/detnatctl" ../src/detnat/build/detnatctl
    ln -s /bin/busybox "$root/usr/bin/env"
    install -m 755 /dev/stdin "$root/usr/bin/sudo" <<<$'#!/bin/sh\nexec "$@"'
    install -m 755 $here/init "$root/init"
    echo benchnic >"$root/etc/parts"
}

# A small system of the machine's own systemd, with detnat as `make install` puts it there and its units enabled.
make_systemd_root() {
    local systemd=/lib/systemd system unit
    root=$out/root-systemd system=$root/etc/systemd/system
    make_busybox
    for tool in ip tc ethtool; do install_program "$(PATH=$PATH:/usr/sbin:/sbin command -v $tool)"; done
    install_file $systemd/systemd{,-journald,-shutdown} /bin/{systemctl,journalctl,systemd-tmpfiles,systemd-sysusers}
    for unit in "$systemd"/system/*.target "$systemd"/system/systemd-{journald.service,journald.socket,journald-dev-log.socket,sysusers.service,tmpfiles-setup.service}; do
        install_file "$unit"
    done
    mkdir -p "$system"/{sysinit,sockets,multi-user,network-online}.target.wants "$root"/var/{log,lib} "$root/root"
    ln -s $systemd/system/systemd-{journald,sysusers,tmpfiles-setup}.service "$system/sysinit.target.wants/"
    ln -s $systemd/system/systemd-journald{,-dev-log}.socket "$system/sockets.target.wants/"
    ln -s $systemd/system/multi-user.target "$system/default.target"
    echo 'root:x:0:0::/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    : >"$root/etc/machine-id"
    install -D -m 644 /dev/stdin "$root/usr/lib/tmpfiles.d/guest.conf" <<<'d /run/lab 0755 root root -'
    make --no-print-directory -s BUILD="$BUILD" DESTDIR="$(realpath "$root")" install >"$out/install.log" 2>&1 || { cat "$out/install.log"; return 1; }
    install_program "$BUILD/detnat-agent" ../../tmp/libraries
    install_program "$BUILD/detnatctl" ../../tmp/libraries
    install_program "$BUILD/detnat-xdp" ../../tmp/libraries
    install_program "$BUILD/detnat-desk" ../../tmp/libraries
    install_program "$BUILD/detnat-leases" ../../tmp/libraries
    install_program "$(command -v curl)"
    install_file /bin/systemd-analyze
    install_file /usr/lib/"$(${CC:-gcc} -print-multiarch)"/bpf/*.o # libxdp's dispatcher
    rm "$root/tmp/libraries"
    for unit in "$root"/usr/lib/systemd/system/detnat*.service; do
        install -D -m 644 "$unit" "$root/lib/systemd/system/$(basename "$unit")"
        sed -n 's/^WantedBy=//p' "$unit" | tr ' ' '\n' | while read -r target; do
            mkdir -p "$system/$target.wants"
            ln -s "$systemd/system/$(basename "$unit")" "$system/$target.wants/"
        done
    done
    # Not enabled: checks start them.
    install -m 644 "$root"/usr/lib/systemd/system/detnat-{xdp,desk,leases}.socket "$root/lib/systemd/system/"
    install -m 755 $here/systemd/init "$root/init"
    install -D -m 755 $here/systemd/lab.sh "$root/usr/lib/lab/lab.sh"
    install -D -m 644 -t "$root/lib/checks" $here/systemd/checks.sh $here/common.sh
    for unit in lab checks; do
        install -m 644 "$here/systemd/$unit.service" "$system/$unit.service"
        ln -s "../$unit.service" "$system/multi-user.target.wants/"
    done
    ln -s ../lab.service "$system/network-online.target.wants/"
    cat >"$root/etc/detnat/detnat.json" <<CONFIGURATION
{
  "interfaces": { "inside": ["in0"], "outside": ["out0"] },
  "mappings": [ { "in": "10.0.0.0/18", "out": "1.1.1.0/30" } ],
  "stages": $STAGES, "sessions_per_user": 1000, "sweep_interval": 1,
  "leases": [
    { "type": "dnsmasq", "path": "/var/lib/misc/dnsmasq.leases" },
    { "type": "radius", "listen": "10.0.0.1:1813", "secret_file": "/etc/detnat/radius.secret", "forward": "10.0.0.3:1813" }
  ]
}
CONFIGURATION
    install -D -m 644 /dev/stdin "$root/var/lib/misc/dnsmasq.leases" <<<'0 02:00:00:00:00:02 10.0.0.2 alice 01:02:00:00:00:00:02'
    install -m 600 /dev/stdin "$root/etc/detnat/radius.secret" <<<'testing 123'
    echo 'z /etc/detnat/radius.secret 0600 detnat detnat -' >>"$root/usr/lib/tmpfiles.d/guest.conf"
}

# The package with a lower version, for an upgrade to the real one.
make_package_before() { # DEB
    local tree=$out/deb-before
    rm -rf "$tree"
    dpkg-deb -R "$1" "$tree"
    sed -i 's/^Version: /&0~/' "$tree/DEBIAN/control"
    dpkg-deb --root-owner-group -b "$tree" "$root/packages/before.deb" >/dev/null
    rm -rf "$tree"
}

# A small Debian system with what the package depends on, and two packages.
make_package_root() { # DEB
    local system archive
    root=$out/root-package system=$root/etc/systemd/system
    archive=$(debian_root vm --variant=essential "systemd-sysv,iproute2,ethtool,nftables,kmod,busybox-static,$(dpkg-deb -f "$1" Depends |
        sed 's/([^)]*)//g; s/|[^,]*//g; s/ //g')") || return 1
    rm -rf "$root"
    mkdir -p "$root"
    tar -x -C "$root" -f "$archive" --exclude './dev/*'
    mkdir -p "$root"/{packages,modules,dev,lib/checks,usr/lib/lab}
    ln -sf /bin/busybox "$root/usr/bin/usleep"
    ${CC:-gcc} -std=gnu17 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -static $here/peer.c -o "$root/usr/bin/peer"
    cp "$1" "$root/packages/now.deb"
    cp "$(dirname "$1")"/detnat-doc_*.deb "$root/packages/doc.deb"
    if [ -n "${DEB_BEFORE:-}" ]; then cp "$DEB_BEFORE" "$root/packages/before.deb"; else make_package_before "$1"; fi
    : >"$root/etc/machine-id"
    # No empty directories, which deb-systemd-helper removes.
    rm -rf "$root"/etc/systemd/system/*.wants "$system/default.target"
    mkdir -p "$system"/{multi-user,network-online}.target.wants
    ln -s /lib/systemd/system/multi-user.target "$system/default.target"
    echo 'd /run/lab 0755 root root -' >"$root/usr/lib/tmpfiles.d/guest.conf"
    install -m 755 $here/systemd/init "$root/init"
    install -m 755 $here/systemd/lab.sh "$root/usr/lib/lab/lab.sh"
    install -m 644 -t "$root/lib/checks" $here/package/checks.sh $here/common.sh
    for unit in lab checks; do
        install -m 644 "$here/systemd/$unit.service" "$system/$unit.service"
        ln -s "../$unit.service" "$system/multi-user.target.wants/"
    done
    ln -s ../lab.service "$system/network-online.target.wants/"
}

# boot SERIES KERNEL [SUFFIX]: boots $root; the suffix is for the names of its logs. Guests run side by side, as each keeps
# little more than one core busy.
guests=()
boot() {
    local series=$1 kernel=$2 name=$1${3:-}
    rm -rf "$root/modules"
    cp -r "$kernel/modules" "$root/modules"
    (cd "$root" && find . | cpio -o -H newc --quiet) >"$out/initramfs-$name"
    start_guest "$kernel" "$name"
    guests+=("$! $series $name $SECONDS $kernel $MEMORY")
}

# end_if_silent PID NAME SECONDS: ends a guest once it has reported nothing for so long. What the kernel repeats on the console, as
# that a processor is stuck, is no progress.
end_if_silent() {
    local pid=$1 results=$out/results-$2.log size=0 now since=$SECONDS
    while [ $((SECONDS - since)) -lt "$3" ]; do
        sleep 5
        kill -0 "$pid" 2>/dev/null || return 0
        now=$(stat -c %s "$results") || return 0
        [ "$now" = "$size" ] || since=$SECONDS
        size=$now
    done
    printf '\nended from outside: nothing was reported for %s s\n' "$3" >>"$out/console-$2.log"
    kill "$pid"
    sleep 5
    kill -9 "$pid"
}

# start_guest KERNEL NAME: in the background; $! is its process.
start_guest() {
    local kernel=$1 name=$2 command=(qemu-system-x86_64) limit=$VM_TIMEOUT accel=$ACCEL processors=(-cpu "$CPU" -smp 2) more=
    : >"$out/results-$name.log"
    case $name in
    *-cards) command=("$here/wires.sh" qemu-system-x86_64) ;;
    # The benchmark prints its rows when it ends.
    *-benchnic) command=("$here/pair.sh" qemu-system-x86_64) limit=$((3 * VM_TIMEOUT)) ;;
    # A nanosecond of the guest's is an instruction of its one processor; a repeated one, as for clearing memory, is many.
    *-flowtable)
        accel=tcg,thread=single processors=(-cpu "max,-erms,-fsrm" -smp 1 -icount "shift=0,sleep=off") limit=$((3 * VM_TIMEOUT))
        more="init_on_alloc=0"
        ;;
    esac
    (
        guest=$BASHPID # not in the line below, which is a process of its own
        end_if_silent "$guest" "$name" "$limit" >/dev/null 2>&1 &
        # no_timer_check: on a busy machine an emulated timer may be late for that check, after which the kernel panics.
        exec "${command[@]}" -accel "$accel" "${processors[@]}" -machine q35 -m "$MEMORY" \
            -nographic -nodefaults -no-reboot -kernel "$kernel/vmlinuz" -initrd "$out/initramfs-$name" \
            -append "console=ttyS0 ${VM_LOUD:-quiet} panic=-1 mitigations=off no_timer_check $more" \
            -serial "file:$out/console-$name.log" -serial "file:$out/results-$name.log" </dev/null
    ) &
}

show_console() { # NAME: what was said last on the console
    tail -n 25 "$out/console-$1.log" | tr -d '\r' | sed "s/^/# $1:   /"
}

# An emulated kernel panics now and then while it boots, before there is anything of detnat: one that has reported nothing
# when it ends is booted once more.
came_up() { # PID NAME
    wait "$1" || true
    [ -s "$out/results-$2.log" ]
}

# collect PID SERIES NAME BEGAN KERNEL MEMORY: waits for a guest and counts what it reported.
collect() {
    local pid=$1 series=$2 name=$3 began=$4 kernel=$5 MEMORY=$6 line finished=0 before=$failed
    if ! came_up "$pid" "$name"; then
        echo "# $name: ended before the first check, is booted once more; its console:"
        show_console "$name"
        start_guest "$kernel" "$name"
        came_up $! "$name" || true
    fi
    echo "# $name: $(cat "$kernel/version")"
    while IFS= read -r line; do
        line=${line%$'\r'}
        case $line in
        "ok "*) pass "$series ${line#ok }" ;;
        "not ok "*) not_ok "$series ${line#not ok }" ;;
        "# "*) echo "# $series ${line#\# }" ;;
        finished) finished=1 ;;
        esac
    done <"$out/results-$name.log"
    if [ $finished = 0 ]; then
        not_ok "$series the guest ran to its end"
        show_console "$name"
    fi
    [ "$failed" = "$before" ] || echo "# $series: see $out/console-$name.log"
    echo "# $name: ended within $((SECONDS - began)) s"
    rm -f "$out/initramfs-$name"
}
# shellcheck disable=SC2046 # process numbers
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

mkdir -p "$out"
has_part() { grep -qw "$1" <<<"$VM_PARTS"; }
for series in $SERIES; do
    status=0
    $here/kernels.sh "$series" "$VM_CACHE/kernel-$series" || status=$?
    if [ $status = 3 ]; then
        skip "$series: no kernel to be had"
        continue
    elif [ $status != 0 ]; then
        not_ok "$series: fetching the kernel failed"
        continue
    fi
    if grep -qwE 'guard|plain|reachable|tc|copies|vlan|bond|vrf|tenants|libxdp|upgrades' <<<"$VM_PARTS"; then
        make_root
        boot "$series" "$VM_CACHE/kernel-$series"
    fi
    if has_part routing; then
        make_root routing
        install_routing
        boot "$series" "$VM_CACHE/kernel-$series" -routing
    fi
    if has_part datapath; then
        make_root datapath
        install_datapath
        MEMORY=3072 boot "$series" "$VM_CACHE/kernel-$series" -datapath
    fi
    if has_part cards || has_part benchnic || has_part ppp; then
        $here/kernels.sh "$series" "$VM_CACHE/kernel-cards-$series" amd64 cards || status=$?
    fi
    if has_part ppp; then
        if [ $status != 0 ]; then
            skip "$series: no kernel with PPP"
        else
            make_root ppp
            install_ppp
            boot "$series" "$VM_CACHE/kernel-cards-$series" -ppp
        fi
    fi
    if has_part cards || has_part benchnic; then
        if [ "$(id -u)" != 0 ] || [ ! -c /dev/net/tun ]; then
            skip "$series: the wires between emulated cards need root and /dev/net/tun"
        elif [ $status != 0 ]; then
            skip "$series: no kernel with the drivers of physical cards"
        else
            ! has_part cards || { make_root cards && boot "$series" "$VM_CACHE/kernel-cards-$series" -cards; }
            ! has_part benchnic || { make_benchnic_root && boot "$series" "$VM_CACHE/kernel-cards-$series" -benchnic; }
        fi
    fi
    if has_part flowtable && [ "$series" = 6.1 ]; then
        make_flowtable_root
        MEMORY=2048 boot "$series" "$VM_CACHE/kernel-$series" -flowtable
    fi
    if has_part systemd && [ "$series" = "$SYSTEMD_SERIES" ]; then
        if [ ! -x /lib/systemd/systemd ] || [ ! -x /bin/systemctl ]; then
            skip "$series: systemd is not installed here"
        else
            make_systemd_root
            boot "$series" "$VM_CACHE/kernel-$series" -systemd
        fi
    fi
    if has_part package && [ "$series" = "$SYSTEMD_SERIES" ]; then
        deb=$(find "$BUILD/deb" -maxdepth 1 -name 'detnat_*.deb' 2>/dev/null | head -n 1)
        if [ -z "$deb" ]; then
            skip "$series: no package in $BUILD/deb; make deb-build makes it"
        else
            MEMORY=3072
            make_package_root "$deb" && boot "$series" "$VM_CACHE/kernel-$series" -package
        fi
    fi
done
for guest in "${guests[@]}"; do
    # shellcheck disable=SC2086 # six words
    collect $guest
done
finish

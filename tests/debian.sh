#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# debian.sh STEP...: what a newcomer with a bare Debian SUITE (trixie) has: the tree's files in a chroot with nothing but git and
# make, where each step is a command of the README or a part of it. The machine's network serves apt alone; the tests make
# namespaces of their own. The system without packages, and packages that apt has fetched, are kept in BUILD/debian.
#
#   demo       make demo
#   unit, bpf  make test-unit, make test-bpf, in fewer rounds
#   world, e2e make test-world, make test-e2e as make test runs it
#   test       make test
#   clang-18   make test-clang with that compiler, which apt must have
#   gcc-13     make test-cc with that compiler, which apt must have
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD
BUILD=$(realpath -m "${BUILD:-build}")
SUITE=${SUITE:-trixie}
DEB_CACHE=$BUILD/debian
root=$DEB_CACHE/root-$SUITE
ROUNDS=${ROUNDS:-30}
# shellcheck source=deploy/debian-root.sh
. deploy/debian-root.sh

commands() {
    case $1 in
    demo) echo "make WERROR=1 demo" ;;
    unit | bpf) echo "make WERROR=1 test-$1 ROUNDS=$ROUNDS" ;;
    world) echo "make WERROR=1 test-world" ;;
    e2e) echo "make WERROR=1 test-e2e E2E_TESTS=quick E2E_WORKERS=6" ;;
    test) echo "make WERROR=1 test" ;;
    clang-*) echo "make WERROR=1 test-clang CLANGS=$1 ROUNDS=$ROUNDS && command -v $1" ;;
    gcc-*) echo "make WERROR=1 test-cc CCS=$1 && command -v $1" ;;
    *) echo "debian.sh: no step is called $1" >&2 && return 2 ;;
    esac
}

# Of the processes that run in it nothing is left, however this ends.
if [ -z "${DEBIAN_INSIDE:-}" ]; then
    [ $# -gt 0 ] || { echo "usage: $0 demo|unit|bpf|world|e2e|test|clang-VERSION|gcc-VERSION..." >&2 && exit 2; }
    for step; do commands "$step" >/dev/null; done
    mkdir -p "$DEB_CACHE/apt-$SUITE"
    archive=$(debian_root bare --variant=minbase git,make,ca-certificates)
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    tar -xpf "$archive" -C "$root"
    mkdir "$root/detnat-source"
    git ls-files -z --cached --others --exclude-standard | xargs -0 -I{} find {} -maxdepth 0 -print0 |
        tar -c --null -T - | tar -x -C "$root/detnat-source"
    DEBIAN_INSIDE=1 unshare --mount --pid --fork --kill-child "$tree/tests/debian.sh" "$@" && status=0 || status=$?
    rm -rf --one-file-system "$root"
    exit "$status"
fi

# Mounts below / need a root that is one itself.
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
# Criterion names its shared memory by the numbers of processes, which are those of a namespace of their own here. A runner
# outside has the same numbers, and each would remove the other's memory: "Could not spawn test instance: Protocol error".
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount --bind "$DEB_CACHE/apt-$SUITE" var/cache/apt/archives
for step; do
    begin=$SECONDS
    # As a person logs in: of the machine's own variables nothing but its proxies.
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} \
        ${https_proxy:+https_proxy="$https_proxy"} chroot . /bin/bash -c "cd /detnat-source && $(commands "$step")" </dev/null ||
        { echo "not ok $SUITE $step" && exit 1; }
    echo "ok $SUITE $step in $((SECONDS - begin)) s"
done

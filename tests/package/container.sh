#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The image of deploy/Containerfile runs the gateway of the demo's network: built from BUILD/deb on a base of Debian's
# packages, as no image can be fetched everywhere. Traffic goes on while the container is stopped and replaced.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 077
BUILD=${BUILD:-build}
SUITE=${SUITE:-bookworm}
DEB_CACHE=${DEB_CACHE:-$BUILD/deb/cache}
# shellcheck source=deploy/demo/world.sh
. deploy/demo/world.sh
# shellcheck source=deploy/debian-root.sh
. deploy/debian-root.sh

failed=0
log=$(mktemp)
# runc, as crun takes no cgroups of both versions. The limits, as podman would raise them, which not every root may.
pod() { podman --runtime runc --log-level error "$@"; }
limits=(--ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" --ulimit nproc=1000:1000)
check() { # NAME COMMAND…
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok container: $name"
    else
        tail -n 30 "$log" >&2
        echo "not ok container: $name"
        failed=1
    fi
}
clean() {
    pod rm -f -i -t 5 detnat-test >/dev/null 2>&1 || true
    remove_world
    pod rmi -f localhost/detnat-test localhost/detnat-base >/dev/null 2>&1 || true
    rm -f "$log"
}

exec 9>/run/detnat-demo.lock
flock -n 9 || { echo "container.sh: a demo is running" >&2 && exit 1; }
trap clean EXIT
remove_world

base=$(debian_root container --variant=apt ca-certificates)
pod import -q "$base" localhost/detnat-base >"$log" 2>&1 || { cat "$log" >&2 && exit 1; }
echo "container: building the image"
check "the image is built" pod build -q --network host --isolation chroot --build-arg BASE=localhost/detnat-base \
    -t localhost/detnat-test -f deploy/Containerfile "$BUILD/deb"
[ $failed = 0 ] || exit 1

make_world
mount --make-shared "$world/bpf"
run_gateway() {
    pod run -d --name detnat-test "${limits[@]}" --network "ns:/run/netns/$gateway" --cap-drop all \
        --cap-add BPF,NET_ADMIN,NET_RAW,PERFMON,SYS_PTRACE --security-opt seccomp=unconfined \
        -v "$world:$world:rshared" localhost/detnat-test -c "$world/detnat.json"
}
ready() { pod logs detnat-test 2>&1 | grep -q 'ready$'; }
becomes_ready() {
    wait_until 600 ready || { pod logs detnat-test; return 1; }
}
# The servers of the demo.
(exec 9>&- && exec nsenter --net="/run/netns/$internet" -- setsid /usr/bin/python3 deploy/demo/internet.py "$web_addr") \
    >"$world/internet.out" 2>"$world/internet.log" &
wait_until 100 grep -q listening "$world/internet.out"

translated() {
    in_ns "$alice" curl -sS --max-time 5 "http://$web_addr/" | grep '^hello, 203.0.113.0 port'
}
has_sessions() { pod exec detnat-test detnatctl -s "$world/agent.sock" session list --all | grep "$alice_addr"; }
check "the container starts" run_gateway
[ $failed = 0 ] || exit 1
check "the agent in it gets ready" becomes_ready
check "alice is translated" translated
check "detnatctl in the container answers" pod exec detnat-test detnatctl -s "$world/agent.sock" status
check "the container is removed" pod rm -f -t 20 detnat-test
check "alice is translated without it" translated
check "a new container starts" run_gateway
check "its agent takes over" becomes_ready
check "alice's sessions are there" has_sessions
[ $failed = 0 ]

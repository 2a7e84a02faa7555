#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The package's life in a virtual machine with systemd, the container image, the rpm spec, the files for the network. Prints "ok NAME" and "not ok NAME", then how many.
# PACKAGE_TESTS="network spec rpm container machine": some of them.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
BUILD=${BUILD:-build}
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# check NAME COMMAND…: what the command says is shown only where it fails.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok $name"
    else
        printf '%s\n' "$output" >&2
        echo "not ok $name"
        return 1
    fi
}

# With the macros of Fedora's systemd-rpm-macros; none is left over.
expands() {
    ! { rpmspec -P -D '_unitdir /u' -D '_sysusersdir /s' -D '_tmpfilesdir /t' deploy/detnat.spec || echo '%{'; } | grep '%{'
}

spec() {
    check "rpm: the spec can be read" expands && check "rpm: rpmlint" rpmlint -c tests/package/rpmlint.toml deploy/detnat.spec
}

step() { # WORD NAME COMMAND…
    local word=$1 name=$2
    shift 2
    [[ -z ${PACKAGE_TESTS:-} || " $PACKAGE_TESTS " = *" $word "* ]] || return 0
    echo "package: $SECONDS s: $name"
    "$@" | tee -a "$said" || grep -q '^not ok' "$said" || echo "not ok $name" | tee -a "$said"
}

step network "the files for the network" tests/package/network.sh
step spec "the rpm spec" spec
step rpm "the life of the RPM" tests/package/rpm.sh
step container "the container image" tests/package/container.sh
step machine "the life of the package in a virtual machine" env VM_REQUIRED=1 VM_PARTS=package SERIES=6.1 tests/vm/run.sh
passed=$(grep -c '^ok ' "$said")
failed=$(grep -c '^not ok ' "$said")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

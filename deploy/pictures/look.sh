#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# What an operator sees in the demo's network, which KEEP=1 left: for the picture of README.
set -euo pipefail
ctl() {
    printf '\e[1m$ detnatctl %s\e[0m\n' "$*"
    "${BUILD:-build}/detnatctl" -s /run/detnat-demo/agent.sock "$@" || [ $? = 1 ]
    echo
}
ctl top --once
ctl explain 10.0.16.16

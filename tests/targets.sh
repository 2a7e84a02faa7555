#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The documented targets that write into the tree, on a copy of it: what `make format` and `make docs` make is what the tree has,
# the index for clangd names the sources, `make clean` leaves nothing, and `make help` and `make simulate` print. BUILD has the programs.
# shellcheck disable=SC2317 # check() calls the functions
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=$(realpath "${BUILD:-build}")
tree=$BUILD/targets
failed=0

# check NAME COMMAND…: what the command says is shown only where it fails.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok $name"
    else
        printf '%s\n' "$output" >&2
        echo "not ok $name"
        failed=1
    fi
}

in_copy() { make --no-print-directory -o deps-test -C "$tree" "$@"; } # the packages are there
writes_nothing_new() { in_copy "$@" && git diff --no-index --stat --exit-code "$tree.before" "$tree"; }
indexes() {
    in_copy BUILD="$BUILD" compile_commands.json
    /usr/bin/python3 -c 'import json, sys; files = {row["file"] for row in json.load(open(sys.argv[1]))}
sys.exit(0 if any(name.endswith("agent/service/main.c") for name in files) else "agent/service/main.c is not in it")' \
        "$tree/compile_commands.json"
    rm "$tree/compile_commands.json"
}
cleans() {
    mkdir -p "$tree/build/some"
    in_copy clean && [ ! -e "$tree/build" ]
}
helps() { [ "$(in_copy help | wc -l)" = "$(grep -cE '^[a-z0-9_.-]+:.*## ' Makefile)" ]; }

trap 'rm -rf "$tree" "$tree.before"' EXIT
rm -rf "$tree" "$tree.before"
mkdir -p "$tree"
git ls-files -z | xargs -0 cp -a --parents -t "$tree"
cp -a "$tree" "$tree.before"
check "make deps" make --no-print-directory deps
check "make help" helps
check "make format" writes_nothing_new format
check "make docs" writes_nothing_new docs
check "make compile_commands.json" indexes
check "make simulate" in_copy BUILD="$BUILD" simulate
check "make clean" cleans
exit $failed

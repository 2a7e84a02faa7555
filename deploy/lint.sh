#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Static checks of everything in the tree; warnings are errors. `make lint` builds what it needs first: the skeletons in
# $BUILD/skel. Every check runs, so that one call shows all there is to mend; `deploy/lint.sh NAME...` runs some of
# them, `deploy/lint.sh quick` all but the analysers of C, which keep both cores busy for a minute and a half.
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
PYTHON=${PYTHON:-/usr/bin/python3}
failed=()

# Runs a check; its output is shown only where it fails, and what it skips.
check() {
    local name=$1 output
    shift
    if ! output=$("$@" 2>&1); then
        printf '%s\n' "$output" >&2
        failed+=("$name")
    else
        grep '^SKIP ' <<<"$output" || true
    fi
}

sources() {
    find "$@" -name '*.[ch]' -not -path '*/.*' | sort
}

mapfile -t all_c < <(sources include lib bpf agent cli desk leases xdp tests)
mapfile -t user_c < <(sources lib agent cli desk leases xdp | grep '\.c$')
mapfile -t shell < <(find deploy tests .ci debian -type f \( -name '*.sh' -o -name '*.bash' -o -name 'detnat.p[or]*' -o -path '*/vm/*init' -o -path .ci/run \) | sort)
mapfile -t python < <(find tests deploy -name '*.py' | sort)
mapfile -t pages < <(find docs/man -name '*.[1-8]' 2>/dev/null | sort)

# Each version formats in a way of its own.
FORMATTED_BY=14

format() {
    local output version
    version=$(clang-format --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
    if [ "$version" != $FORMATTED_BY ]; then
        echo "SKIP format: the sources are formatted by clang-format $FORMATTED_BY, and this machine has $version"
        return 0
    fi
    output=$(clang-format --dry-run -Werror "${all_c[@]}" 2>&1) && return
    sed -n 's/:[0-9]*:[0-9]*: error:.*//p' <<<"$output" | sort -u | sed "s/^/not formatted, see 'make format': /"
    return 1
}

licence() {
    local missing
    missing=$(grep -L 'SPDX-License-Identifier' "${all_c[@]}" "${shell[@]}" "${python[@]}" Makefile) || true
    [ -n "$missing" ] || return 0
    printf 'no SPDX line:\n%s\n' "$missing"
    return 1
}

# memleak and uninitvar: cppcheck knows neither the cleanup attribute nor the list macros; the compiler and the
# sanitizers look for both.
cppchecks() {
    cppcheck -q -j"$(nproc)" --enable=warning,performance,portability --std=c11 --error-exitcode=1 --inline-suppr \
        --suppress=memleak --suppress=uninitvar --suppress=invalidPrintfArgType_uint \
        -D_GNU_SOURCE -D__x86_64__ -Iinclude -Ilib -Iagent -Icli -Idesk -Ileases \
        '-DLIBBPF_OPTS(type,name,...)=struct type name={__VA_ARGS__}' \
        '-DDECLARE_LIBXDP_OPTS(type,name,...)=struct type name={__VA_ARGS__}' \
        '-Dbpf_object__for_each_program(p,o)=while(((p)=bpf_object__next_program((o),(p))))' \
        '-Dbpf_object__for_each_map(m,o)=while(((m)=bpf_object__next_map((o),(m))))' \
        '-Devutil_timercmp(a,b,op)=((a)->tv_sec op (b)->tv_sec)' \
        lib agent cli desk leases xdp include
}

# The checks, and why four of them are off, are in .clang-tidy.
# shellcheck disable=SC2016 # the inner shell expands its own arguments
tidy() {
    printf '%s\0' "${user_c[@]}" | xargs -0 -P "$(nproc)" -n 8 sh -c '
        build=$1
        shift
        clang-tidy --quiet "$@" -- -std=gnu17 -D_GNU_SOURCE -Iinclude -Ilib -Iagent \
            -Icli -I"$build/skel"' tidy "$BUILD"
}

# flake8, as Debian 12 has no ruff; its settings are in .flake8.
python_checks() {
    "$PYTHON" -m flake8 "${python[@]}"
}

shell_checks() {
    shellcheck "${shell[@]}"
}

# The version stands in include/detnat/version.h; what the documents show agrees with it. What is not released is X.Y.Z~dev
# and nothing else.
version() {
    local version shown
    version=$(sed -n 's/^#define DETNAT_VERSION "\(.*\)"$/\1/p' include/detnat/version.h)
    shown=$(grep -m1 '^## [0-9]' CHANGELOG.md; grep -HoE '[Vv]ersion:? +[0-9]+\.[0-9]+\.[0-9]+(~dev)?' README.md "${pages[@]}"
        sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog; sed -n 's/^Version: *//p' deploy/detnat.spec)
    ! grep -rnEi 'unreleased|[0-9]\.[0-9]+(\.[0-9]+)?[-.]?dev\b' README.md CHANGELOG.md SECURITY.md CONTRIBUTING.md docs debian/changelog --include='*.md' \
        --include='*.[1-8]' --include=changelog | grep -v '~dev' || return 1
    ! grep -vF "${version:?}" <<<"$shown" || { echo "include/detnat/version.h has $version"; return 1; }
}

sample() {
    local file
    for file in deploy/detnat.json deploy/grafana/*.json; do "$PYTHON" -m json.tool "$file" || return 1; done
}

# Every test is there that docs/evidence/CONFORMANCE.md, FEATURES.md, OWNERSHIP.md, HISTORY.md, LEASES.md and RELIABILITY.md name.
conformance() {
    "$PYTHON" tests/conformance.py
}

# An inside address may be virtual (lib/base/virtual6.h): inside_text() writes it.
inside() {
    ! grep -rnE '\baddr_format\([^()]*\bin_addr\b' lib agent cli desk --include='*.[ch]'
}

# Every pair of features and faults has a test, a profile of the world or a reason, and the document shows them.
pairs() {
    "$PYTHON" tests/world/pairs.py
}

# Each key of the configuration is in the manual page, and the page has no other.
keys() {
    "$PYTHON" deploy/keys.py
}

# Callbacks of loops return what the verifier sees as 0 or 1.
callbacks() {
    "$PYTHON" deploy/callbacks.py
}

# Every path that an installed document or manual page names is there.
paths() {
    "$PYTHON" deploy/paths.py
}

# Every source file, function and struct that a document names is there.
names() {
    "$PYTHON" deploy/names.py
}

# Anchors of links, numbers and lists in documents, and --help, agree with the source.
drift() {
    "$PYTHON" deploy/drift.py "$BUILD"
}

# The prose of documents is wrapped.
width() {
    "$PYTHON" deploy/wrap.py
}

# docs/reference is what the manual pages and the tables of the source make of it.
reference() {
    "$PYTHON" deploy/reference.py
}

manual() {
    [ ${#pages[@]} -eq 0 ] || mandoc -T lint -W warning "${pages[@]}"
}

# The rows of lib/proto/verbs.def, as detnatctl's help shows them, and the items of detnatctl(8) are the same commands
# with the same arguments.
verbs() {
    local name
    diff <("$BUILD/detnatctl" --help | sed -n 's/^  \([a-z][a-z ]*[a-z]\)   *.*/\1/p' | while read -r name; do
        # shellcheck disable=SC2086 # a name is one word or two
        "$BUILD/detnatctl" $name --help | sed -n 's/^Usage: detnatctl \[-s SOCKET\] \[-j | -p\] //p'
    done | tr '[:upper:]' '[:lower:]' | sort) \
        <(mandoc -T ascii -O width=1000,indent=0 docs/man/detnatctl.8 | sed 's/.\x08//g' |
            sed -n '/^MAPPINGS/,/^FILES/s/^     \([a-z][a-z].*\)/\1/p' | sed 's/ | /|/g; s/   *.*//' | sort) || {
        echo "docs/man/detnatctl.8 (>) does not agree with lib/proto/verbs.def (<)"
        return 1
    }
}

# Every documented target of the Makefile runs in CI.
targets() {
    "$PYTHON" deploy/targets.py
}

# The pictures of README are those of this tree, and its figures those of docs/evidence/figures.tsv.
pictures() {
    "$PYTHON" deploy/pictures/check.py
}

# NAME FUNCTION
checks=(
    "format format"
    "licence licence"
    "cppcheck cppchecks"
    "clang-tidy tidy"
    "flake8 python_checks"
    "shellcheck shell_checks"
    "version version"
    "sample sample"
    "manual manual"
    "keys keys"
    "callbacks callbacks"
    "verbs verbs"
    "paths paths"
    "names names"
    "drift drift"
    "width width"
    "reference reference"
    "rooms deploy/rooms.sh"
    "inside inside"
    "conformance conformance"
    "pairs pairs"
    "pictures pictures"
    "targets targets"
)
names=("${checks[@]%% *}")
mapfile -t quick < <(printf '%s\n' "${names[@]}" | grep -vx -e cppcheck -e clang-tidy)
[ "$*" != quick ] || set -- "${quick[@]}"
for name in "$@"; do
    if [[ " ${names[*]} " != *" $name "* ]]; then
        echo "lint: no check '$name'; there are: ${names[*]}" >&2
        exit 2
    fi
done
for row in "${checks[@]}"; do
    if [ $# -eq 0 ] || [[ " $* " = *" ${row% *} "* ]]; then check "${row% *}" "${row#* }"; fi
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "lint: failed: ${failed[*]}" >&2
    exit 1
fi
echo "lint: ${#all_c[@]} C files, ${#python[@]} Python files, ${#pages[@]} manual pages are clean"

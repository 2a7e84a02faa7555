# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# The part of guest.sh about the datapath's objects, as each of some compilers made them: /usr/lib/datapath/COMPILER is the
# datapath's test program with the objects in it. Each program of each object is loaded, then some of the tests run.
# shellcheck source=tests/vm/common.sh
. /lib/checks/common.sh

# As tests/bpf prints it, but of a guest's results.
said_tests() { # COMPILER: one line for the tests that passed, one for each that failed or was left out
    # Those that the pattern leaves out are in the list, too.
    sed -i '/# SKIP test was skipped$/d' /tmp/tap
    sed -n "s/^ok - \(.* # SKIP\)/# $1: \1/p; s/^not ok - /not ok $1: /p" /tmp/tap
    passed=$(grep '^ok ' /tmp/tap | grep -vc '# SKIP')
    [ "$passed" = 0 ] || echo "ok $1: $passed of the datapath's tests pass"
}

# Passes lines on; each is a sign of life, which run.sh waits for and does not print.
alive() {
    while IFS= read -r line; do
        echo . >/dev/ttyS1
        echo "$line"
    done
}

loads_every_program() {
    { EVERY_PROGRAM=1 VERIFIED=1 "$1" -j2 --filter 'every_program/*' 2>&1 || echo failed; } | alive >/tmp/loads
    cat /tmp/loads
    ! grep -qx failed /tmp/loads
}

datapath_part() {
    for tests in /usr/lib/datapath/*; do
        compiler=${tests##*/}
        # shellcheck disable=SC2034 # for the checks
        STATE=$compiler
        began=$(uptime_ms)
        check "every program of every object loads" loads_every_program "$tests"
        sed -n "s/^object/# $compiler:/p" /tmp/said
        # The verifier's last words on a program that it refuses, and the program's name.
        grep -B 60 'processed .* insns' /tmp/said >&2
        grep 'BPF program load failed' /tmp/said >&2
        grep -E '^ *[0-9]+  detnat' /tmp/said >&2
        echo "# $compiler: loaded after $(($(uptime_ms) - began)) ms"
        began=$(uptime_ms)
        DETNAT_ROUNDS=$(cat /etc/rounds) "$tests" -j2 --verbose --tap=/tmp/tap --filter "$(cat /etc/bpf)" 2>&1 | alive >/tmp/said
        grep -E '^\[(FAIL|CRASH|----)\]|unexpected' /tmp/said | head -n 150 >&2
        grep -m 2 -B 60 'processed .* insns' /tmp/said >&2
        [ -s /tmp/tap ] || echo "not ok $compiler: the datapath's tests have no results"
        said_tests "$compiler"
        rm -f /tmp/tap
        echo "# $compiler: tests ended after $(($(uptime_ms) - began)) ms"
    done
}

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""criterion.py RUNNER [ARG...]: runs tests that Criterion has compiled, and ends with the runner's status.

A runner of Criterion before 2.4.2 can wait forever for a test that has ended: its main loop waits for the end of the
process, whose end waits for an answer of the main loop (Criterion's pull request 483). Such a runner has no process
left and uses no CPU. It is ended and its tests are run again, at most twice. A test that hangs is none of that.
"""
import os
import signal
import subprocess
import sys
import time

IDLE_S = float(os.environ.get("RUNNER_IDLE_S", "60"))
RUNS = 3


def fields(pid):
    """State, parent, and ticks of CPU of a process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        stat = file.read().rpartition(") ")[2].split()
    return stat[0], int(stat[1]), int(stat[11]) + int(stat[12])


def has_child(pid):
    """Whether a process that has not ended is a child of PID."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            state, parent, _ = fields(name)
        except (OSError, IndexError):
            continue
        if parent == pid and state != "Z":
            return True
    return False


def run(command):
    """The runner's status, or None if it waited for nobody."""
    with subprocess.Popen(command) as runner:
        def hand_on(number, _frame):
            runner.send_signal(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, hand_on)
        ticks, since = -1, time.monotonic()
        while True:
            try:
                return runner.wait(timeout=1)
            except subprocess.TimeoutExpired:
                pass
            now = fields(runner.pid)[2]
            if now != ticks or has_child(runner.pid):
                ticks, since = now, time.monotonic()
            elif time.monotonic() - since > IDLE_S:
                runner.kill()
                runner.wait()
                return None


def main():
    command = sys.argv[1:]
    if not command or command[0].startswith("-"):
        sys.exit(__doc__)
    for number in range(1, RUNS + 1):
        status = run(command)
        if status is not None:
            # As a shell says it.
            sys.exit(status if status >= 0 else 128 - status)
        print(f"criterion.py: the runner waited for no process (run {number} of {RUNS})", file=sys.stderr, flush=True)
    sys.exit(1)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-2-Clause
"""System calls of a process that are held up by strace until a test lets them go."""

import contextlib
import os
import signal
import subprocess

import isolation
from agent import wait_for

_SECONDS = 60
_COMMAND = ("strace", "-f", "-q", "-o", "/dev/null")


def _hold(call, place):
    return "-e", f"trace={call}", "-e", f"inject={call}:{place}={_SECONDS}000000"


def prefix(call, place):
    """For a command: its first system call of this name is held at `delay_enter` or `delay_exit`; the process is the command's own."""
    first, what, then, how = _hold(call, place)
    return *_COMMAND, "-D", first, what, then, f"{how}:when=1"


def status(pid, key, base=10):
    """A number in /proc/PID/status; 0 if it is not there."""
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith(key):
            return int(line.split()[1], base)
    return 0


def let_go(pid):
    """Ends the strace of a command with a prefix."""
    os.kill(status(pid, "TracerPid"), signal.SIGKILL)


@contextlib.contextmanager
def failing(pid, call, error):
    """A system call of the process fails until the block ends."""
    with _traced(pid, "-e", f"trace={call}", "-e", f"inject={call}:error={error}"):
        yield


@contextlib.contextmanager
def held(pid, call):
    """A system call of the process takes until the block ends."""
    with _traced(pid, *_hold(call, "delay_enter")):
        yield


@contextlib.contextmanager
def _traced(pid, *how):
    tracer = isolation.popen(*_COMMAND, *how, "-p", str(pid), stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: status(pid, "TracerPid"), what="strace")
        yield
    finally:
        # Asked to end, it would wait for the call.
        tracer.kill()
        tracer.wait()

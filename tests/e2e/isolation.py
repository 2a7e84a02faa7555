# SPDX-License-Identifier: BSD-2-Clause
"""Isolation of a test run: private mounts, so that nothing outlives the process.

Namespaces, bpffs and files hang in mounts that only this process and its children see. When they end, however they end
(SIGKILL included), the kernel takes all of it away. Children are tied to this process by setpriv(1).
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import subprocess

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18

RUNS = pathlib.Path("/tmp")
NETNS = pathlib.Path("/run/netns")

_libc = ctypes.CDLL(None, use_errno=True)


FIRST_MOUNTS = pathlib.Path("/proc/1/mountinfo")


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(kind, target, flags=0, data=None, source="none"):
    _check(_libc.mount(os.fsencode(source), os.fsencode(target), kind, flags, data), f"mount {target}")


def unmount(target):
    _check(_libc.umount2(os.fsencode(target), 2), f"umount {target}")


@contextlib.contextmanager
def one_core():
    """What is run here and what it starts keep to one core: packets of one connection through two may overtake each other."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def remove_dead_runs():
    """Removes directories of test runs whose process has ended; their mounts ended with it."""
    for path in RUNS.glob("detnat-e2e.*"):
        pid = path.name.split(".")[1]
        if pid.isdigit() and not pathlib.Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


def enter(run_directory):
    """Moves this process into private mounts; run_directory becomes a tmpfs that vanishes with it."""
    run_directory.mkdir(mode=0o755)
    NETNS.mkdir(exist_ok=True)
    _check(_libc.unshare(CLONE_NEWNS), "unshare")
    mount(None, "/", MS_REC | MS_PRIVATE)
    mount(b"tmpfs", NETNS)
    mount(b"tmpfs", run_directory)
    show_mounts()


def show_mounts():
    """To an agent, these mounts are those of the first process: it attaches by links that are pinned, as it does on a host."""
    mount(None, FIRST_MOUNTS, MS_BIND, source=f"/proc/{os.getpid()}/mountinfo")


@contextlib.contextmanager
def hidden_mounts():
    """During the block the mounts are those of an agent under `ip netns exec`, which uses filters, as on kernels before 6.6."""
    unmount(FIRST_MOUNTS)
    try:
        yield
    finally:
        show_mounts()


def run(*command, check=True, **options):
    """Runs a command to its end; if it fails, the exception has its output."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if check and result.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def popen(*command, **options):
    """Starts a process that dies with the test run. A function between fork and exec would cost a copy of this process."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)], **options)


@contextlib.contextmanager
def inside(namespace_path):
    """Moves this thread into a network namespace during the block; sockets opened in it stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(namespace_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.setns(there, CLONE_NEWNET), f"setns {namespace_path}")
        finally:
            os.close(there)
        yield
    finally:
        _check(_libc.setns(home, CLONE_NEWNET), "setns back")
        os.close(home)

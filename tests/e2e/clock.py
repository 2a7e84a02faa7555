# SPDX-License-Identifier: BSD-2-Clause
"""A clock of a program's own, by the library tests/world/clock_shim.c: it can be set, and the program is told as by the kernel."""

import contextlib
import ctypes
import mmap
import os
import pathlib
import struct
import subprocess

SOURCE = pathlib.Path(__file__).parents[1] / "world" / "clock_shim.c"
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438

_libc = ctypes.CDLL(None, use_errno=True)


def build(library):
    """Makes the library; returns its path."""
    subprocess.run(["gcc", "-O1", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Clock:
    """The clock of the programs that run with `environment`, of which one may wait for steps."""

    def __init__(self, library, path):
        self.path, self.shift = path, 0
        path.write_bytes(bytes(16))
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(path)}

    def set(self, shift, process=None):
        """Shifts it by so many seconds from the machine's, and tells the process if that is a step."""
        with open(self.path, "r+b") as file, mmap.mmap(file.fileno(), 16) as page:
            page[:8] = struct.pack("q", shift)
            timer = struct.unpack("q", page[8:])[0] - 1
        stepped, self.shift = shift != self.shift, shift
        if stepped and timer >= 0 and process:
            self._tell(process, timer)

    @staticmethod
    def _tell(process, timer):
        """The timer that waits for steps of the clock expires, as the kernel's would."""
        with contextlib.suppress(OSError):
            pidfd = _libc.syscall(SYS_PIDFD_OPEN, process.pid, 0)
            if pidfd < 0:
                return
            event = _libc.syscall(SYS_PIDFD_GETFD, pidfd, timer, 0)
            os.close(pidfd)
            if event >= 0:
                os.write(event, struct.pack("Q", 1))
                os.close(event)

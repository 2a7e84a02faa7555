# SPDX-License-Identifier: BSD-2-Clause
"""detnat-desk as a process, with groups of its own, and an HTTP client for its socket."""

import http.client
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess

import agent as programs
import isolation

DESK = programs.BUILD / "detnat-desk"
# Over the machine's own, in the mounts of the desk alone.
ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\nprimary:x:7003:7001::/:/bin/false\n"
GROUPS = ("root:x:0:\ndetnat-lea:x:7001:lea,both\ndetnat:x:7002:ops,both\nother:x:7004:stranger\n"
          "detnat-state:x:7005:watch,figures\ndetnat-lea-ispA:x:7006:lea-a,figures\ndetnat-lea-ispB:x:7007:lea-b\n")
UNDER = 'mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && shift 2 && exec "$@"'


def connected(path, timeout=programs.START_PATIENCE):
    """A socket that waits for a place in a full queue, which those of Python with a timeout do not."""
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", timeout, 0))
    s.connect(str(path))
    s.settimeout(timeout)
    return s


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("desk", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = connected(self.path, self.timeout)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class Desk:
    """A desk with its files in `directory`; `listen` is an address of a namespace, without it a Unix socket."""

    def __init__(self, directory, *options, listen=None, namespace=None, program=DESK):
        directory.mkdir(exist_ok=True)
        self.socket = directory / "desk.sock"
        self.log = directory / "desk.log"
        accounts, groups = directory / "passwd", directory / "group"
        accounts.write_text(ACCOUNTS)
        groups.write_text(GROUPS)
        self.namespace = namespace
        where = ("--listen", listen) if listen else ("--socket", self.socket)
        popen = namespace.popen if namespace else isolation.popen
        with open(self.log, "wb") as log:
            self.process = popen("unshare", "-m", "sh", "-ec", UNDER, "sh", accounts, groups, program, *where, *options,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        ready, _, _ = select.select([self.process.stdout], [], [], programs.START_PATIENCE)
        line = self.process.stdout.readline() if ready else b""
        assert line.endswith(b"ready\n"), f"said {line!r}\n{self.log.read_text()}"

    def end(self):
        assert self.process.poll() is None, f"the desk died: {self.process.returncode}\n{self.log.read_text()}"
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(programs.PATIENCE)
        self.process.stdout.close()
        text = self.log.read_text()
        programs.assert_no_report(text, "the desk")
        assert status == 0, text

    def memory_kb(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def connect(self):
        """A connected socket."""
        return connected(self.socket)

    def ask(self, path, user="ops", method="GET", body=None, headers=()):
        c = Connection(self.socket, programs.START_PATIENCE)
        try:
            c.putrequest(method, path)
            for name, value in (*((("X-Remote-User", user),) if user is not None else ()), *headers):
                c.putheader(name, value)
            if body is not None:
                c.putheader("Content-Length", str(len(body)))
            c.endheaders()
            try:
                if body:
                    c.send(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all of it was sent
            r = c.getresponse()
            return Answer(r.status, dict(r.getheaders()), r.read())
        finally:
            c.close()

    def post(self, path, text, **options):
        return self.ask(path, method="POST", body=text if isinstance(text, bytes) else text.encode(), **options)

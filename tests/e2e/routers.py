# SPDX-License-Identifier: BSD-2-Clause
"""Real routing daemons in namespaces: BIRD, and zebra, bgpd and bfdd of FRR. deploy/install-deps.sh unpacks them into build/routing."""

import functools
import os
import pathlib
import shutil
import signal
import subprocess

import isolation
from agent import wait_for

TREE = pathlib.Path(__file__).parents[2]
UNPACKED = TREE / "build" / "routing"
EXAMPLES = TREE / "deploy" / "routing"


def find_program(path):
    """A program of the packages frr and bird2, installed or unpacked; None if this version has none of that name."""
    return next((root / path for root in (pathlib.Path("/"), UNPACKED) if (root / path).exists()), None)


def program(path):
    found = find_program(path)
    assert found, f"/{path} is missing: deploy/install-deps.sh test"
    return found


def join_group(name):
    """FRR runs as root only if root is in the group of its sockets: this run, and no other process, sees it there."""
    groups = [line for line in pathlib.Path("/etc/group").read_text().splitlines() if not line.startswith(f"{name}:")]
    copy = isolation.RUNS / f"detnat-e2e.{os.getpid()}" / f"group.{name}"
    if not copy.exists():
        copy.write_text("\n".join((*groups, f"{name}:x:65533:root", "")))
        isolation.run("mount", "--bind", copy, "/etc/group")


def hide_sockets(path):
    """A directory of sockets whose place is fixed is this run's own, and vanishes with it."""
    pathlib.Path(path).mkdir(exist_ok=True)
    if not os.path.ismount(path):
        isolation.mount(b"tmpfs", path)


@functools.cache
def before_others():
    """A busy machine shall not delay what daemons send several times a second, by which their peers know that they live."""
    real_time = ("chrt", "--rr", "1")
    return real_time if isolation.run(*real_time, "true", check=False).returncode == 0 else ("nice", "-n", "-10")


class Daemon:
    """A process with a log, ended when the object is."""

    def __init__(self, namespace, directory, name, *command, **environment):
        self.name, self.log = name, directory / f"{name}.log"
        with open(self.log, "ab") as log:
            self.process = namespace.popen(*before_others(), *command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           env={**os.environ, **environment})

    def check(self):
        assert self.process.poll() is None, f"{self.name} has ended with {self.process.returncode}:\n{self.log.read_text()}"
        return True

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bird:
    """BIRD with a copy of a configuration file, which a test may edit as an operator would."""

    def __init__(self, namespace, directory, config):
        self.namespace, self.directory = namespace, directory
        directory.mkdir()
        self.config, self.socket = directory / "bird.conf", directory / "bird.ctl"
        shutil.copy(config, self.config)
        self.daemon = Daemon(namespace, directory, "bird", program("usr/sbin/bird"), "-d", "-c", self.config, "-s", self.socket,
                             "-P", directory / "pid")
        wait_for(lambda: self.daemon.check() and self.socket.exists(), 60, "BIRD to listen")

    def command(self, *words):
        """birdc; its output."""
        return isolation.run(program("usr/sbin/birdcl"), "-s", self.socket, *words).stdout

    def edit(self, old, new):
        """Changes the file and has it read again."""
        text = self.config.read_text()
        assert text.count(old) == 1, f"{old!r} is not once in {self.config}"
        self.config.write_text(text.replace(old, new))
        assert "Reconfigured" in (said := self.command("configure")), said

    def drain(self, side, worse=1):
        """As ROUTING.md says: what goes to this side is announced worse, or as before."""
        self.edit(f"define DRAIN_{side.upper()} = {1 - worse};", f"define DRAIN_{side.upper()} = {worse};")

    def save(self):
        """The file that the next start reads."""
        return self.config

    def report(self):
        shown = "\n".join(self.command("show", *what) for what in (("protocols",), ("route", "all"), ("bfd", "sessions"))
                          if self.daemon.process.poll() is None)
        return f"{shown}\n{self.daemon.log.read_text()}"

    def end(self, how=signal.SIGTERM):
        self.daemon.end(how)


class Frr:
    """zebra, bgpd and bfdd, configured by vtysh from an integrated file as FRR's unit does it."""

    def __init__(self, namespace, directory, config):
        self.namespace, self.directory = namespace, directory
        directory.mkdir()
        shutil.copy(config, directory / "frr.conf")
        (directory / "vtysh.conf").write_text("service integrated-vtysh-config\nusername root nopassword\n")
        join_group("frrvty")
        self.environment = {}
        if program("usr/lib/frr/zebra").is_relative_to(UNPACKED):
            (libraries,) = UNPACKED.glob("usr/lib/*/frr")
            self.environment["LD_LIBRARY_PATH"] = str(libraries)
        self.daemons = []
        # FRR 10, which Debian 13 has: mgmtd configures zebra, and has its sockets in /run/frr. bfdctl has no socket any more.
        managed = find_program("usr/lib/frr/mgmtd") is not None
        if managed:
            hide_sockets("/run/frr")
        own = ("-N", namespace.name) if managed else ()
        for name in (*(("mgmtd",) if managed else ()), "zebra", "bgpd", "bfdd"):
            (directory / f"{name}.conf").touch()
            options = () if name == "mgmtd" else ("-f", directory / f"{name}.conf")
            if name == "bfdd" and not managed:
                options += ("--bfdctl", directory / "bfdd.sock")
            self.daemons.append(Daemon(
                namespace, directory, name, program(f"usr/lib/frr/{name}"), "-u", "root", "-g", "root", *own, *options,
                "-i", directory / f"{name}.pid", "-z", directory / "zserv.api", "--vty_socket", directory, "-A", "127.0.0.1",
                "-P", "0", "--log", f"file:{directory}/{name}.log", **self.environment))
            wait_for(lambda: self.daemons[-1].check() and (directory / f"{name}.vty").exists(), 60, f"{name} to listen")
        said = self.vtysh("-b")
        assert "%" not in said, said

    def vtysh(self, *arguments):
        result = isolation.run(program("usr/bin/vtysh"), "--vty_socket", self.directory, "--config_dir", self.directory, *arguments,
                               env={**os.environ, **self.environment})
        return result.stdout + result.stderr

    def command(self, *lines):
        """vtysh -c for each line; the output."""
        said = self.vtysh(*(word for line in lines for word in ("-c", line)))
        assert "% Unknown" not in said and "% Ambiguous" not in said, said
        return said

    DRAIN = {("inside", 1): ("route-map TO-AGGREGATION permit 10", "set metric 300"),
             ("inside", 0): ("route-map TO-AGGREGATION permit 10", "set metric 100"),
             ("outside", 1): ("route-map TO-UPSTREAM permit 10", "set as-path prepend 64512 64512 64512 64512", "exit",
                              "route-map POOLS permit 10", "set as-path prepend 64512 64512 64512 64512"),
             ("outside", 0): ("route-map TO-UPSTREAM permit 10", "no set as-path prepend", "exit",
                              "route-map POOLS permit 10", "no set as-path prepend")}

    def drain(self, side, worse=1):
        """As ROUTING.md says: what goes to this side is announced worse, or as before."""
        self.command("configure terminal", *self.DRAIN[side, worse])

    def save(self):
        """Writes the configuration in force where FRR runs; the file that the next start reads."""
        if all(daemon.process.poll() is None for daemon in self.daemons):
            self.command("write memory")
        return self.directory / "frr.conf"

    def report(self):
        shown = "".join(self.command(what) for what in ("show ip bgp summary", "show ip bgp", "show ip route", "show bfd peers brief")
                        if all(daemon.process.poll() is None for daemon in self.daemons))
        return shown + "\n".join(d.log.read_text() for d in self.daemons)

    def end(self, how=signal.SIGTERM):
        for daemon in reversed(self.daemons):
            daemon.end(how)


DAEMONS = {"bird": Bird, "frr": Frr}

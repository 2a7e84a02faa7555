# SPDX-License-Identifier: BSD-2-Clause
"""Network namespaces and the veth pairs between them."""

import pathlib

import isolation


class Namespace:
    """A network namespace. IPv6 is off in it, so that only what a test sends is on its wires."""

    def __init__(self, name):
        self.name = name
        self.path = isolation.NETNS / name
        isolation.run("ip", "netns", "add", name)
        self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        self.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        self.ip("link", "set", "lo", "up")

    def delete(self):
        isolation.run("ip", "netns", "del", self.name, check=False)

    def ip(self, *arguments, check=True):
        """`ip -n NAME …`; returns its output."""
        return isolation.run("ip", "-n", self.name, *arguments, check=check).stdout

    def batch(self, *commands):
        """Several `ip` commands in one process."""
        isolation.run("ip", "-n", self.name, "-batch", "-", input="\n".join(commands) + "\n")

    def run(self, *command, check=True, **options):
        with isolation.inside(self.path):
            return isolation.run(*command, check=check, **options)

    def popen(self, *command, **options):
        """Starts a process in the namespace; it dies with the test run."""
        with isolation.inside(self.path):
            return isolation.popen(*command, **options)

    def sysctl(self, name, value=None):
        """Reads, or with a value writes, one of the namespace's own sysctls."""
        path = pathlib.Path("/proc/sys", *name.split("."))
        with isolation.inside(self.path):
            if value is not None:
                path.write_text(str(value))
            return path.read_text().strip()

    def enter(self):
        return isolation.inside(self.path)


def connect(left, left_name, right, right_name, right_mac=None):
    """A veth pair, up at both ends. Each end accepts redirected frames and gets complete checksums from the other."""
    isolation.run(
        "ip", "link", "add", left_name, "netns", left.name, "type", "veth", "peer", "name", right_name,
        *(("address", right_mac) if right_mac else ()), "netns", right.name,
    )
    for namespace, name in ((left, left_name), (right, right_name)):
        namespace.run("ethtool", "-K", name, "tx", "off", "gro", "on")
        namespace.ip("link", "set", name, "up")

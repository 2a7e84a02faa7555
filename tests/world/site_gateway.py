# SPDX-License-Identifier: BSD-2-Clause
"""A gateway of the world: its namespaces, wires, agent, disk and clock, and what can happen to them.

    inside routers -- in0, in1 [ gateway ] out0, out1 -- outside routers
       172.31.255.2, .6                203.0.113.2, .6

All subscribers stand behind the inside routers and all servers behind the outside ones; both exist as neighbours only.
"""

import collections
import contextlib
import json
import os
import shlex
import signal
import socket
import struct
import subprocess
import time

import agent
import isolation
import netns
import wire

from clock import Clock
from frames import read
from profiles import with_tenant

SO_TIMESTAMPNS = 35
WIRES = {  # name: gateway's address, router's address, MAC address of the gateway's end, of the router
    "in0": ("172.31.255.1", "172.31.255.2", "020000000101", "020000000107"),
    "in1": ("172.31.255.5", "172.31.255.6", "020000000111", "020000000117"),
    "out0": ("203.0.113.1", "203.0.113.2", "020000000201", "020000000207"),
    "out1": ("203.0.113.5", "203.0.113.6", "020000000211", "020000000217"),
}
SYNC = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
SYNC_PORT = 9470
STATE_OCTETS = 24 << 20
FOREIGN = '__attribute__((section("xdp"), used)) int pass(void *ctx) { return 2; }\n'


def macs(name):
    """Destination and source of a frame to the gateway."""
    return bytes.fromhex(WIRES[name][2]) + bytes.fromhex(WIRES[name][3])


def colons(mac):
    return ":".join(mac[n: n + 2] for n in range(0, 12, 2))


class Tap(wire.Wire):
    """The far end of a link, with the kernel's time of each frame."""

    def __init__(self, namespace, interface, gateway, name):
        super().__init__(namespace, interface)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.gateway, self.label = gateway, name
        self.macs = macs(name)

    def frames(self, most=256):
        """What has come, as Seen, with the octets."""
        for _ in range(most):
            try:
                octets, control, _, _ = self.socket.recvmsg(4096, 64)
            except BlockingIOError:
                return
            except OSError:  # the link is down
                continue
            at = 0
            for _, kind, value in control:
                if kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", value[:16])
                    at = seconds * 1_000_000_000 + nanoseconds
            seen = read(octets, at or time.time_ns(), self.gateway, self.label)
            if seen:
                yield seen, octets


class Gateway:
    def __init__(self, number, directory, shim, config):
        self.number, self.directory = number, directory
        self.agent = None
        self.names = {name: name for name in WIRES}  # as they are called now
        self.down, self.foreign = set(), set()
        self.way_in, self.way_out = "in0", "out0"  # where the routes lead
        self.tracer = None
        self.boots = 0
        self.killed = 0  # when its agent ended with a takeover, which is over when it comes back
        self.lacking, self.looked_at = set(), 0  # interfaces without their role, and when that was asked for
        self.fresh = 0  # descriptors of its first agent
        self.began = 0  # when its agent was ready
        self.ids = {"map": set(), "prog": set()}
        self.history_read = 0  # octets of the history that were looked at
        directory.mkdir()
        self.gw = netns.Namespace(f"dn{os.getpid()}g{number}")
        self.inside_ns = netns.Namespace(f"dn{os.getpid()}i{number}")
        self.outside_ns = netns.Namespace(f"dn{os.getpid()}o{number}")
        self.taps = {}
        for name in WIRES:
            side = self.inside_ns if name.startswith("in") else self.outside_ns
            netns.connect(side, name, self.gw, name, colons(WIRES[name][2]))
            self.taps[name] = Tap(side, name, number, name)
        for name, value in (("net.ipv4.ip_forward", 1), ("net.ipv4.conf.all.rp_filter", 0), ("net.ipv4.conf.default.rp_filter", 0),
                            ("net.ipv4.conf.all.send_redirects", 0), ("net.ipv4.conf.default.send_redirects", 0)):
            self.gw.sysctl(name, value)
        for name in WIRES:
            self.gw.sysctl(f"net.ipv4.conf.{name}.rp_filter", 0)
            self.gw.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
        self.addresses(*WIRES)
        self.routes()
        self.clock = Clock(shim, directory / "clock")
        self.boot_id = directory / "boot_id"
        self.new_boot()
        self.agent = agent.Agent(self.gw, directory / "agent", config)
        self.agent.state.mkdir(mode=0o750)
        isolation.mount(b"tmpfs", self.agent.state, data=f"size={STATE_OCTETS},mode=750".encode())
        self.shimmed = {**self.clock.environment, "BOOT_ID": str(self.boot_id)}
        self.environment = {**os.environ, **self.shimmed}

    def grants_begun(self):
        """Blocks that were granted since this was last asked, by the history, which has them before they are used: as `grant list` has them."""
        path, rows = self.agent.state / "history.jsonl", []
        if not path.exists():
            return rows
        with open(path, "rb") as file:
            # What was not written whole is taken off again.
            self.history_read = min(self.history_read, path.stat().st_size)
            file.seek(self.history_read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.history_read += len(line)
                with contextlib.suppress(ValueError):
                    told = json.loads(line)
                    if told["event"] == "grant" and not told["to"]:
                        rows.append({"in_addr": told["in"], "out_addr": told["out"], "port_lo": told["port_lo"], "port_hi": told["port_hi"]})
        return rows

    # ---- interfaces and routes

    def addresses(self, *names):
        self.gw.batch(*(f"addr replace {WIRES[name][0]}/30 dev {self.names[name]}" for name in names))

    def routes(self):
        """What a routing daemon would keep: ways and neighbours by links that are up."""
        lines = []
        for name, (_, router, _, mac) in WIRES.items():
            if name not in self.down:
                lines.append(f"neigh replace {router} lladdr {colons(mac)} dev {self.names[name]} nud permanent")
        for prefix, name in (("10.0.0.0/8", self.way_in), ("default", self.way_out)):
            if name not in self.down:
                lines.append(f"route replace {prefix} via {WIRES[name][1]} dev {self.names[name]}")
        self.gw.batch(*lines)

    def link(self, name, up):
        self.gw.ip("link", "set", self.names[name], "up" if up else "down", check=False)
        if up:
            self.down.discard(name)
            self.routes()
        else:
            self.down.add(name)

    def rename(self, name, new):
        if name not in self.down:
            self.gw.ip("link", "set", "dev", self.names[name], "down")
        self.gw.ip("link", "set", "dev", self.names[name], "name", new)
        self.names[name] = new
        if name not in self.down:
            self.link(name, True)

    def move(self, inside=None, outside=None):
        self.way_in, self.way_out = inside or self.way_in, outside or self.way_out
        self.routes()

    def foreign_program(self, name, on):
        built = self.directory / "foreign.o"
        if not built.exists():
            source = built.with_suffix(".c")
            source.write_text(FOREIGN)
            isolation.run("clang", "-O2", "-target", "bpf", "-c", source, "-o", built)
        if on:
            done = isolation.run("ip", "-n", self.gw.name, "link", "set", "dev", self.names[name], "xdp", "obj", built, "sec", "xdp", check=False)
            if not done.returncode:
                self.foreign.add(name)
            return done
        if name in self.foreign:
            self.foreign.discard(name)
            self.gw.ip("link", "set", "dev", self.names[name], "xdp", "off")
        return None

    # ---- the agent's life

    def record_leases(self, sources, before_midnight):
        """Customers are recorded: by the agent, from these sources. Its clock shows midnight after so many seconds."""
        self.agent.write(leases=sources)
        now = int(time.time())
        self.clock.set(-now % 86400 - before_midnight)

    def start(self):
        self.set_clock(self.shift)
        self.agent.start(**self.shimmed)
        self.began = time.time_ns()

    def running(self):
        return self.agent.running()

    def new_boot(self):
        self.boots += 1
        self.boot_id.write_text(f"00000000-0000-4000-8000-{os.getpid():06x}{self.number:02x}{self.boots:04x}\n")

    def reboot(self):
        """What is left of a gateway that was switched off: its disk."""
        self.note_ids()
        self.trace_end()
        for name in WIRES:
            self.gw.ip("link", "set", self.names[name], "down", check=False)
        if self.running():
            self.agent.kill()
        isolation.unmount(self.agent.pins)
        for name in WIRES:
            self.gw.run("tc", "qdisc", "del", "dev", self.names[name], "clsact", check=False)
            self.gw.ip("link", "set", "dev", self.names[name], "xdp", "off", check=False)
        self.foreign.clear()
        self.gw.run("nft", "flush", "ruleset", check=False)
        for line in self.gw.ip("route", "show", "type", "blackhole").splitlines():
            self.gw.ip("route", "del", *line.split(), check=False)
        isolation.mount(b"bpf", self.agent.pins)
        self.agent.socket.unlink(missing_ok=True)
        self.new_boot()
        # As detnat-guard.service and then the network.
        result = agent.execute(agent.AGENT, "--guard", "-c", self.agent.path, namespace=self.gw, env=self.environment)
        assert result.status == 0, f"--guard: {result}"
        for name in WIRES:
            if name not in self.down:
                self.gw.ip("link", "set", self.names[name], "up")
        self.routes()

    def detach(self):
        result = agent.execute(agent.AGENT, "--detach", "-c", self.agent.path, namespace=self.gw, env=self.environment)
        return result

    # ---- detnatctl

    def command(self, *words, json_out=True, text=None, timeout=90):
        """detnatctl; (status, standard output, standard error)."""
        if "tenants" in self.agent.config:
            words = with_tenant(words)
            if text and "-b" in words:
                text = "".join(f"{shlex.join(with_tenant(shlex.split(line)))}\n" for line in text.splitlines())
        line = [str(agent.CTL), "-s", str(self.agent.socket), *(("-j",) if json_out else ()), *map(str, words)]
        done = subprocess.run(line, input=text, capture_output=True, text=True, timeout=timeout, env=self.environment,
                              **({} if text is not None else {"stdin": subprocess.DEVNULL}))
        if done.returncode < 0:
            raise AssertionError(f"{' '.join(line)} died of signal {-done.returncode}\n{done.stderr}")
        return done.returncode, done.stdout, done.stderr

    def ctl(self, *words, ok=(0,), **options):
        status, out, err = self.command(*words, **options)
        if status not in ok:
            raise AssertionError(f"detnatctl {' '.join(map(str, words))}: exit {status}\n{out}{err}")
        return json.loads(out)

    def without_role(self):
        """Interfaces that have not the role of their name; all of them, if the agent does not tell."""
        status, out, _ = self.command("interface", "list")
        if status:
            return set(WIRES)
        roles = {row["link"]: row["role"] for row in json.loads(out)}
        return {name for name in WIRES if roles.get(self.names[name]) != ("inside" if name.startswith("in") else "outside")}

    # ---- clock and disk

    @property
    def shift(self):
        """Of its clock."""
        return self.clock.shift

    def set_clock(self, shift):
        self.clock.set(shift, self.agent.process if self.running() else None)

    def trace(self, *options):
        """strace of the running agent, until trace_end()."""
        self.trace_end()
        if not self.running():
            return
        self.tracer = isolation.popen("strace", "-f", "-q", "-o", "/dev/null", *options, "-p", self.agent.process.pid,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def trace_end(self):
        if self.tracer:
            self.tracer.send_signal(signal.SIGINT)
            try:
                self.tracer.wait(10)
            except subprocess.TimeoutExpired:
                self.tracer.kill()
                self.tracer.wait()
            self.tracer = None

    def fill_disk(self, on):
        ballast = self.agent.state / "ballast"
        if not on:
            ballast.unlink(missing_ok=True)
            return
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))

    # ---- what it holds

    def resources(self):
        """Descriptors and resident KiB of the agent."""
        pid = self.agent.process.pid
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            rss = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
        return len(os.listdir(f"/proc/{pid}/fd")), rss

    def descriptors(self):
        """How many descriptors of each kind the agent has, BPF objects by name."""
        found, folder = collections.Counter(), f"/proc/{self.agent.process.pid}"
        for entry in os.listdir(f"{folder}/fd"):
            with contextlib.suppress(OSError):
                to = os.readlink(f"{folder}/fd/{entry}")
                kind = to.split(":")[0] if to.startswith(("socket:", "pipe:")) else to.removeprefix("anon_inode:")
                if kind.startswith("bpf"):
                    with open(f"{folder}/fdinfo/{entry}", encoding="ascii") as file:
                        of = [line.split() for line in file if line.startswith(("map_type:", "prog_type:"))]
                    kind += " of type " + of[0][1] if of else ""
                found[kind] += 1
        return found

    def note_ids(self):
        """Remembers which BPF objects are this gateway's."""
        if not self.running():
            return
        folder = f"/proc/{self.agent.process.pid}/fdinfo"
        for entry in os.listdir(folder):
            with contextlib.suppress(OSError), open(f"{folder}/{entry}", encoding="ascii") as file:
                for line in file:
                    if line.startswith(("map_id:", "prog_id:")):
                        key, value = line.split()
                        self.ids[key.split("_")[0]].add(int(value))

    def close(self):
        """Ends everything, whatever state it is in."""
        for step in (self.trace_end, lambda: self.running() and self.agent.kill(), lambda: isolation.unmount(self.agent.pins),
                     lambda: isolation.unmount(self.agent.state)):
            with contextlib.suppress(Exception):
                step()
        for tap in self.taps.values():
            tap.close()
        for namespace in (self.gw, self.inside_ns, self.outside_ns):
            namespace.delete()


def replication(number, count, key_file):
    """The value of `replication` for one of so many gateways."""
    listen, *peers = (f"{address}:{SYNC_PORT}" for address in (SYNC[number], *SYNC[:number], *SYNC[number + 1: count]))
    return {"listen": listen, "peers": peers, "key_file": str(key_file), "min_age": 1, "interval": 1}


def connect(gateways):
    """The network by which gateways copy sessions to each other: a switch, whose namespace is returned."""
    switch = netns.Namespace(f"dn{os.getpid()}s")
    switch.ip("link", "add", "switch", "type", "bridge")
    switch.ip("link", "set", "switch", "up")
    for gateway, address in zip(gateways, SYNC):
        port = f"to{gateway.number}"
        isolation.run("ip", "link", "add", "sync0", "netns", gateway.gw.name, "type", "veth", "peer", "name", port, "netns", switch.name)
        switch.ip("link", "set", port, "master", "switch", "up")
        gateway.gw.batch(f"addr add {address}/24 dev sync0", "link set sync0 up", "route add unreachable 192.0.2.0/24 metric 9999")
    return switch

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The agent at 16.5 million sessions: the cost of its own work, and how long others wait for it.

A real agent in namespaces of its own gets a mapping of 262,144 subscribers, whose tables are filled with 63 sessions
each straight through the pinned maps. Then each row below is measured while requests are sent over the control socket
every two milliseconds and packets of another mapping go through the gateway every millisecond. Prints the rows, writes
build/bench/results-agent.json.

    agent.py [ROW...]        measures these rows alone
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import agent as daemon  # noqa: E402
import isolation  # noqa: E402
import netns  # noqa: E402
from growth_rows import grants, zipf  # noqa: E402

TOOLS = daemon.BUILD / "tests/bench/agent"
RESULTS = daemon.BUILD / "bench/results-agent.json"

SUBSCRIBERS, EACH = 262144, 63
BIG = ("10.0.0.0/14", "203.0.112.0/24")
SECOND = ("10.4.0.0/14", "203.0.113.0/24")
OTHER = ("10.200.0.0/24", "192.0.2.0/30")
# Requests answered at once, and now and then one that counts all sessions.
REQUESTS = 5 * ('{"verb":"forward","args":{"addr":"10.200.0.2"}}', '{"verb":"stats"}') + ('{"verb":"status"}',)
MIB = 1 << 20


class Gateway:
    """An agent between a subscriber of the mapping OTHER and an outside host."""

    def __init__(self, directory):
        self.gateway, self.inside, self.outside = (netns.Namespace(f"dnb-{n}") for n in ("gw", "in", "out"))
        netns.connect(self.inside, "eth0", self.gateway, "in0")
        netns.connect(self.outside, "eth0", self.gateway, "out0")
        self.gateway.sysctl("net.ipv4.ip_forward", 1)
        self.gateway.ip("addr", "add", "10.200.0.1/24", "dev", "in0")
        self.gateway.ip("addr", "add", "198.51.100.1/24", "dev", "out0")
        self.inside.ip("addr", "add", "10.200.0.2/24", "dev", "eth0")
        self.inside.ip("route", "add", "default", "via", "10.200.0.1")
        self.outside.ip("addr", "add", "198.51.100.7/24", "dev", "eth0")
        self.outside.ip("route", "add", "default", "via", "198.51.100.1")
        self.agent = daemon.Agent(self.gateway, directory / "agent", {
            "interfaces": {"inside": ["in0"], "outside": ["out0"]},
            "mappings": [{"in": OTHER[0], "out": OTHER[1]}],
        })

    def close(self):
        try:
            self.agent.dispose()
        finally:
            for namespace in (self.gateway, self.inside, self.outside):
                namespace.delete()

    # ---- the agent's process

    def start(self, report, name, what, goal=None):
        """Starts the agent and reports how long that took, and the processor time within it."""
        began = time.monotonic()
        self.agent.start()
        report.row(name, what, time.monotonic() - began, "s", goal)
        report.row(name, f"{what}, processor", self.cpu_s(), "s")

    def cpu_s(self, kernel=True):
        """Processor time of the agent, with or without what the kernel spends for it."""
        fields = pathlib.Path(f"/proc/{self.agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12]) * kernel) / os.sysconf("SC_CLK_TCK")

    def own_memory(self):
        """Octets of the agent's own memory, without the shared tables."""
        text = pathlib.Path(f"/proc/{self.agent.process.pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(("Anonymous:", "Swap:")))

    # ---- sessions

    def fill(self, mapping, ages, subscribers=SUBSCRIBERS, each=EACH):
        pins = next(self.agent.pins.glob("v*"))
        return int(isolation.run(TOOLS / "fill", pins, mapping[0].split("/")[0], subscribers, each, ages).stdout)

    def request(self, verb, **args):
        """One request over a new connection; returns the result and its duration."""
        return self.send({"verb": verb, "args": args})

    def batch(self, verb, many):
        """Requests of one verb as one change."""
        return self.send({"batch": [{"verb": verb, "args": args} for args in many]})

    def send(self, document):
        began = time.monotonic()
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.agent.socket))
            s.sendall(json.dumps(document).encode() + b"\n")
            with s.makefile("rb") as reader:
                line = next(line for line in reader if line != b"\n")
        answer = json.loads(line)
        assert answer["ok"], f"{str(document)[:200]}: {str(answer)[:200]}"
        return answer["result"], time.monotonic() - began

    def add(self, mapping):
        return self.request("mapping add", **{"in": mapping[0], "out": mapping[1]})[1]

    def delete(self, mapping):
        return self.request("mapping del", **{"in": mapping[0], "out": mapping[1]})[1]

    def tables(self):
        return self.request("status")[0]["memory_bytes"]

    def kernel_tables(self):
        """Octets of the tables as the kernel accounts for them: in chunks, and others."""
        told = json.loads(isolation.run(TOOLS / "tables", next(self.agent.pins.glob("v*"))).stdout)
        return told["chunks"], told["fixed"]

    def wait_given_back(self, octets, timeout=60):
        """Waits until the tables take no more than this much; returns the seconds."""
        began = time.monotonic()
        daemon.wait_for(lambda: self.tables() <= octets, timeout, "tables to be given back")
        return time.monotonic() - began

    # ---- effects on others meanwhile

    @contextlib.contextmanager
    def watching(self):
        """Measures calls, packets, processor time and memory during the block; the yielded object has them afterwards."""
        seen = {}
        calls = isolation.popen(TOOLS / "calls", self.agent.socket, self.agent.process.pid, 2, *REQUESTS,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        stream = isolation.popen(TOOLS / "stream", self.inside.path, self.outside.path, "198.51.100.7", 5000,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cpu, began = self.cpu_s(), time.monotonic()
        peak, ended = [self.own_memory()], threading.Event()

        def sample():
            while not ended.wait(0.02):
                peak.append(self.own_memory())

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            yield seen
        finally:
            seen["seconds"] = time.monotonic() - began
            seen["cpu_s"] = self.cpu_s() - cpu
            ended.set()
            sampler.join()
            seen["own_memory"] = max(peak)
            outputs = [p.communicate("")[0] for p in (calls, stream)]
            seen["calls"], seen["packets"] = (json.loads(o) for o in outputs)


class Report:
    """Rows: a figure, and its goal if there is one."""

    def __init__(self):
        self.rows = []

    def row(self, name, what, value, unit, goal=None):
        met = None if goal is None else value <= goal
        self.rows.append({"name": name, "what": what, "value": value, "unit": unit, "goal": goal, "met": met})
        against = "" if goal is None else f"<= {goal:g} {unit:4} {'met' if met else 'MISSED'}"
        print(f"{name:32} {what:34} {value:12,.3f} {unit:5} {against}", flush=True)

    def seen(self, name, seen):
        """Effects on others during a row. The goals apply to waits that the agent causes."""
        for verb in ("forward", "stats", "status"):
            calls = seen["calls"][verb]
            self.row(name, f"{verb}, worst of {calls['calls']}", calls["worst_ms"], "ms")
            self.row(name, f"{verb}, less waits for a processor", calls["worst_own_ms"], "ms", 50)
        self.row(name, "status, median", seen["calls"]["status"]["median_ms"], "ms")
        self.row(name, "an idle thread woke late by", seen["calls"]["waking"]["worst_ms"], "ms")
        self.row(name, "packets of another mapping lost", seen["packets"]["lost"], "")
        self.row(name, "packet, 99 %", seen["packets"]["p99_us"] / 1e3, "ms")
        self.row(name, "packet, worst", seen["packets"]["worst_us"] / 1e3, "ms")
        self.row(name, "processor", 100 * seen["cpu_s"] / seen["seconds"], "%")
        self.row(name, "agent's own memory", seen["own_memory"] / MIB, "MiB")


def lines_of_listing(gateway, store, *, read=True, **args):
    """Lists sessions and stores their number in store[0]; with read=False requests and never reads."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(gateway.agent.socket))
        s.sendall(json.dumps({"verb": "session list", "args": args}).encode() + b"\n")
        if not read:
            store[0].wait()
            return
        lines, end, buffer = 0, b"", bytearray(1 << 20)
        while n := s.recv_into(buffer):
            lines += buffer.count(b"\n", 0, n)
            end = (end + bytes(buffer[max(0, n - 64):n]))[-64:]
            if end.endswith(b'{"end":true}\n'):
                store[0] = lines - 2
                return
    raise AssertionError(f"the listing broke off: {end}")


def idle(gateway, report):
    with gateway.watching() as seen:
        time.sleep(3)
    report.seen("nothing", seen)


def add(gateway, report):
    empty, in_kernel = gateway.tables(), gateway.kernel_tables()
    with gateway.watching() as seen:
        took = gateway.add(BIG)
    report.row("mapping of 262,144 added", "took", took, "s", 2)
    report.seen("mapping of 262,144 added", seen)
    (before, _), (chunks, fixed) = in_kernel, gateway.kernel_tables()
    report.row("memory", "of a subscriber, by the kernel", (chunks - before) / SUBSCRIBERS, "B")
    report.row("memory", "of a subscriber, by status", (gateway.tables() - empty) / SUBSCRIBERS, "B")
    listed = next(m for m in gateway.request("mapping list")[0] if m["in"] == BIG[0])
    report.row("memory", "of a subscriber, by mapping list", listed["memory_bytes"] / SUBSCRIBERS, "B")
    report.row("memory", "maps of fixed size", fixed / MIB, "MiB")
    report.row("memory", "with those, of a subscriber", (chunks - before + fixed) / SUBSCRIBERS, "B", 2.2 * 1024)


def sweep(gateway, report):
    report.row("filled", "sessions", gateway.fill(BIG, 300), "")
    time.sleep(6)  # the first sweep after that reads all subscribers
    cpu, began = gateway.cpu_s(), time.monotonic()
    time.sleep(30)
    report.row("sweep, interval 5 s", "processor", 100 * (gateway.cpu_s() - cpu) / (time.monotonic() - began), "%", 5)
    with gateway.watching() as seen:
        time.sleep(15)
    report.seen("sweep, interval 5 s", seen)


def listing(gateway, report):
    expected = gateway.request("status")[0]["sessions"]
    count = [0]
    with gateway.watching() as seen:
        began = time.monotonic()
        lines_of_listing(gateway, count)
        took = time.monotonic() - began
    report.row("session list", f"took, {count[0]} sessions of {expected}", took, "s")
    report.row("session list", "agent's own memory", seen["own_memory"] / MIB, "MiB", 64)
    report.seen("session list", seen)


def slow_readers(gateway, report):
    """Sixty clients request all sessions and do not read; one does."""
    count, end = [0], threading.Event()
    stuck = [threading.Thread(target=lines_of_listing, args=(gateway, [end]), kwargs={"read": False}) for _ in range(60)]
    with gateway.watching() as seen:
        for thread in stuck:
            thread.start()
        began = time.monotonic()
        lines_of_listing(gateway, count)
        took = time.monotonic() - began
        end.set()
    for thread in stuck:
        thread.join()
    report.row("list beside 60 that do not read", f"took, {count[0]} sessions", took, "s")
    report.row("list beside 60 that do not read", "agent's own memory", seen["own_memory"] / MIB, "MiB", 64)
    report.seen("list beside 60 that do not read", seen)


def bindings(gateway, report):
    """Endpoint-independent mapping of UDP is turned on, then of TCP, too."""
    if not any(m["in"] == BIG[0] for m in gateway.request("mapping list")[0]):
        gateway.add(BIG)
        gateway.fill(BIG, 300)
    for name, protocols in (("bindings of UDP", "udp"), ("bindings of TCP, too", "udp,tcp")):
        with gateway.watching() as seen:
            took = gateway.request("mapping set", **{"in": BIG[0]}, eim=protocols)[1]
        report.row(name, "took", took, "s")
        report.seen(name, seen)
    report.row("bindings of TCP, too", "found by check", gateway.request("check")[0]["checked"]["bindings"], "")
    gateway.request("mapping set", **{"in": BIG[0]}, eim="none")


def delete(gateway, report):
    """The mapping is deleted full of sessions, while they are being listed."""
    before = gateway.tables()
    with gateway.watching() as seen:
        lister = threading.Thread(target=lines_of_listing, args=(gateway, [0]))
        lister.start()
        time.sleep(0.5)
        took = gateway.delete(BIG)
        back = gateway.wait_given_back(before - SUBSCRIBERS * 2112)
        lister.join()
    report.row("mapping of 262,144 deleted", "took", took, "s", 1)
    report.row("mapping of 262,144 deleted", "memory back after", took + back, "s", 1)
    report.seen("mapping of 262,144 deleted", seen)


def mass_expiry(gateway, report):
    """All sessions have expired, and each end is exported by IPFIX."""
    gateway.add(BIG)
    gateway.request("ipfix set", collector="198.51.100.7:4739", source="198.51.100.1:4739")
    gateway.agent.write(ipfix={"collector": "198.51.100.7:4739", "source": "198.51.100.1:4739", "events": ["sessions"]},
                        mappings=[{"in": m[0], "out": m[1]} for m in (OTHER, BIG)])
    gateway.request("reload")
    gateway.fill(BIG, "+400")
    with gateway.watching() as seen:
        began = time.monotonic()
        daemon.wait_for(lambda: gateway.request("ipfix show")[0]["records_sent"] >= SUBSCRIBERS * EACH * 0.99, 120,
                        "records of ended sessions", 0.2)
        took = time.monotonic() - began
    report.row("all sessions end, IPFIX of each", "took", took, "s")
    report.seen("all sessions end, IPFIX of each", seen)
    gateway.request("ipfix disable")
    gateway.delete(BIG)


def most_mappings(gateway, report):
    """The same with as many mappings as there may be."""
    many = [{"in": f"100.{64 + i // 256}.{i % 256}.0/24", "out": f"203.1.{i // 256}.{i % 256}/32"} for i in range(4094)]
    gateway.agent.stop()
    gateway.agent.write(mappings=[{"in": OTHER[0], "out": OTHER[1]}, *many], ipfix=None)
    gateway.agent.detach()
    gateway.start(report, "4096 mappings", "first start", 3)
    gateway.agent.stop()
    gateway.start(report, "4096 mappings", "start over pins", 3)
    with gateway.watching() as seen:
        took = gateway.add(BIG)
    report.row("added beside 4095", "took", took, "s", 2)
    report.seen("added beside 4095", seen)
    gateway.fill(BIG, 300)
    before = gateway.tables()
    with gateway.watching() as seen:
        took = gateway.delete(BIG)
        back = gateway.wait_given_back(before - SUBSCRIBERS * 2112)
    report.row("deleted beside 4095", "took", took, "s", 1)
    report.row("deleted beside 4095", "memory back after", took + back, "s", 1)
    report.seen("deleted beside 4095", seen)


def large_changes(gateway, report):
    """Processor time of changes beside 4000 mappings and 20,000 portmaps."""
    name = "4000 mappings, 20,000 portmaps"
    many = [{"name": f"m{i}", "in": f"100.{64 + i // 1024}.{i // 4 % 256}.{i % 4 * 64}/26", "out": f"198.18.{i // 64}.{i % 64 * 4}/30"}
            for i in range(4000)]
    portmaps = [{"name": f"p{i}", "proto": "tcp", "in": f"100.64.{i % 1000 // 4}.{i % 4 * 64 + 1 + i // 1000}:8000"}
                for i in range(20000)]
    gateway.agent.stop()
    gateway.agent.detach()

    def rows(timeouts):
        gateway.agent.write(mappings=[{"in": OTHER[0], "out": OTHER[1]}, *many], portmaps=portmaps, timeouts=timeouts, ipfix=None)

    def cost(what, change, goal=1):
        cpu = gateway.cpu_s()
        change()
        report.row(name, what, gateway.cpu_s() - cpu, "CPU s", goal)

    rows({})
    gateway.agent.start()
    # The kernel clears the memory of new tables, which takes as long as the machine takes for a page.
    report.row(name, "first start", gateway.cpu_s(), "CPU s")
    report.row(name, "first start, outside the kernel", gateway.cpu_s(kernel=False), "CPU s", 3)
    cost("timeouts set", lambda: gateway.request("timeouts set", udp=301))
    cost("mapping set, 1000 in a batch",
         lambda: gateway.batch("mapping set", [{"in": m["in"], "sessions_per_user": 501} for m in many[:1000]]))
    rows({"udp": 200})
    cost("reload", lambda: gateway.request("reload"))
    cost("mapping del, 400 one by one", lambda: [gateway.request("mapping del", **{"in": m["in"]}) for m in many[3100:3500]])
    cost("mapping add, 10 one by one",
         lambda: [gateway.request("mapping add", **{"in": f"100.80.{i}.0/26", "out": f"198.19.{i}.0/30"}) for i in range(10)], None)
    cost("mapping set, 1000 one by one",
         lambda: [gateway.request("mapping set", **{"in": m["in"]}, sessions_per_user=502) for m in many[1000:2000]])
    cost("portmap add, 10 one by one",
         lambda: [gateway.request("portmap add", proto="tcp", **{"in": f"100.64.1.{i + 100}:9000"}) for i in range(10)], None)
    cost("portmap del, 10 one by one", lambda: [gateway.request("portmap del", proto=f"p{i}") for i in range(10)], None)
    cost("mapping del, 400 in a batch", lambda: gateway.batch("mapping del", [{"in": m["in"]} for m in many[3550:3950]]))
    gateway.agent.stop()
    gateway.agent.start()
    report.row(name, "start over pins", gateway.cpu_s(), "CPU s", 3)
    gateway.agent.write(mappings=[{"in": OTHER[0], "out": OTHER[1]}], portmaps=[], timeouts={})
    gateway.request("reload", force=True)


def restart(gateway, report):
    """A start over the pins of a full mapping."""
    gateway.agent.stop()
    gateway.start(report, "start over 16.5 M sessions", "took", 2)


def copies(gateway, report):
    """Sessions told to another gateway: two sets of tables without an agent, signatures included, sockets not."""
    # 60 s for a whole copy, at half a core.
    goals = {"whole-sender": 30e9 / (SUBSCRIBERS * EACH), "whole-receiver": 30e9 / (SUBSCRIBERS * EACH),
             "churn-sender": 15, "churn-receiver": 15, "churn-traffic": 5}
    told = subprocess.run([TOOLS / "copies", str(SUBSCRIBERS), str(EACH)], stdout=subprocess.PIPE, text=True, check=True)
    for line in told.stdout.splitlines():
        name, value, unit = line.split(" ", 2)
        report.row("copies of 16.5 M sessions", name, float(value), unit, goals.get(name))


ROWS = {f.__name__: f for f in (
    idle, add, sweep, listing, slow_readers, bindings, restart, delete, mass_expiry, most_mappings, large_changes, copies,
    grants, zipf)}


def main():
    wanted = sys.argv[1:] or list(ROWS)
    if unknown := set(wanted) - set(ROWS):
        sys.exit(f"agent.py: no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if os.geteuid() != 0:
        sys.exit("agent.py: needs root, for namespaces and BPF programs")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    isolation.remove_dead_runs()
    directory = isolation.RUNS / f"detnat-e2e.{os.getpid()}"
    isolation.enter(directory)
    report = Report()
    try:
        with contextlib.closing(Gateway(directory)) as gateway:
            gateway.agent.start()
            for name in ROWS:
                if name in wanted:
                    ROWS[name](gateway, report)
    finally:
        isolation.unmount(directory)
        shutil.rmtree(directory, ignore_errors=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report.rows, indent=1) + "\n")
    missed = [r for r in report.rows if r["met"] is False]
    print(f"{sum(r['met'] is True for r in report.rows)} goals met, {len(missed)} missed; {RESULTS}")


if __name__ == "__main__":
    main()

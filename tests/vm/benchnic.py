#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""`make bench-nic` between two guests, with the cards that pair.sh gives them.

The gateway runs the benchmark and the checks. The generator has its interfaces called IN and OUT, so that it runs the command
that the gateway's benchmark prints as it stands. Lines between them: what the benchmark prints, `stop` and `over` to the
generator; what nic_generator.sh prints to the gateway. stdout: "ok NAME", "not ok NAME" and "# …".
"""

import contextlib
import json
import os
import pathlib
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parents[1] / "bench"
BUILD = HERE.parents[1] / "build"
RESULTS, FORM = BUILD / "bench/results-nic.json", BUILD / "bench/results-nic.md"
ROWS = [(gateway, path) for path in ("in2out", "out2in") for gateway in ("kernel, no NAT", "detnat redirect", "detnat kernel")
        if (gateway, path) != ("kernel, no NAT", "out2in")]
# Of the generator: an emulated one takes minutes for the flows of 1024, and can keep an emulated gateway from all else.
SUBSCRIBERS, RATE = 32, 1000
PATIENCE_S = 300
REQUEST = "sudo ./nic_generator.sh "
KERNEL_COMPLAINS = re.compile(r"BUG|WARNING|Oops|Call Trace|general protection|soft lockup")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def rename(address, name):
    """Gives the card with this address a name, once it is there."""
    def card():
        return next((p.parent for p in pathlib.Path("/sys/class/net").glob("*/address") if p.read_text().strip() == address), None)

    wait_for(card, f"a card {address}")
    subprocess.run(["ip", "link", "set", card().name, "down"], check=True)
    subprocess.run(["ip", "link", "set", card().name, "name", name], check=True)


def wait_for(condition, what, patience=PATIENCE_S):
    end = time.monotonic() + patience
    while not (result := condition()):
        assert time.monotonic() < end, f"waited {patience} s in vain: {what() if callable(what) else what}"
        time.sleep(0.1)
    return result


class Line:
    """The serial line to the other guest."""

    def __init__(self):
        wait_for(self.ports, "a virtual serial port")
        self.port = os.open(f"/dev/{self.ports()[0]}", os.O_RDWR)
        self.lines = queue.Queue()
        threading.Thread(target=self.receive, daemon=True).start()

    @staticmethod
    def ports():
        return [p.parent.name for p in pathlib.Path("/sys/class/virtio-ports").glob("*/name")]

    def receive(self):
        text = b""
        while True:
            if not (piece := os.read(self.port, 4096)):
                time.sleep(0.1)  # the other has not opened it
            *lines, text = (text + piece).split(b"\n")
            for line in lines:
                self.lines.put(line.decode())

    def say(self, line):
        data = f"{line}\n".encode()
        while data:
            data = data[os.write(self.port, data):]

    def expect(self, words, patience=PATIENCE_S):
        """The next line with these words."""
        end = time.monotonic() + patience
        seen = []
        while True:
            try:
                seen.append(self.lines.get(timeout=max(0, end - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"no '{words}' from the other guest within {patience} s, but {seen}") from None
            if words in seen[-1]:
                return seen[-1]


# ---- the generator

def generator(line):
    rename("52:54:00:00:00:b1", "IN")
    rename("52:54:00:00:00:b2", "OUT")
    before = generator_state()
    sender = reader = None
    line.say("ready")
    while (heard := line.lines.get().strip()) != "over":
        print(f"# heard: {heard}", flush=True)
        if sender and (heard == "stop" or heard.startswith(REQUEST)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(sender.pid, signal.SIGINT)
            reader.join()
            sender.wait()
            sender = None
            line.say(f"left: {json.dumps([x for x in zip(before, generator_state()) if x[0] != x[1]])}")
        if heard.startswith(REQUEST):
            sender = subprocess.Popen(["sh", "-c", heard], cwd=HERE, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, env={**os.environ, "HOSTS": str(SUBSCRIBERS), "RATE": str(RATE)})
            reader = threading.Thread(target=pass_on, args=(sender.stdout, line))
            reader.start()
    line.say("ended")


def pass_on(lines, line):
    for text in lines:
        print(f"# {text.strip()}", flush=True)
        line.say(text.strip())


def generator_state():
    """What nic_generator.sh must not leave changed: addresses of IPv4 and what pktgen has to do."""
    pktgen = pathlib.Path("/proc/net/pktgen")
    return [run("ip", "-4", "-o", "addr"), sorted(p.name for p in pktgen.glob("*@*")) if pktgen.exists() else []]


# ---- the gateway

def sysctls():
    """Name and value of all of the network."""
    values = {}
    for path in pathlib.Path("/proc/sys/net").rglob("*"):
        with contextlib.suppress(OSError):
            values[str(path)] = path.read_text() if path.is_file() else ""
    # The kernel draws the key once, when a driver first asks for it.
    return {k: v for k, v in values.items() if not k.endswith("/netdev_rss_key")}


def state():
    """What the benchmark must not leave changed."""
    links = [{k: v for k, v in link.items() if k not in ("stats", "stats64")} for link in json.loads(run("ip", "-d", "-j", "link"))]
    found = {f"link {link['ifname']}": link for link in links}
    for card in ("eth0", "eth1", "eth2"):
        for option in ("-k", "-l", "-g"):
            found[f"ethtool {option} {card}"] = run("ethtool", option, card)
        found[f"filters {card}"] = run("tc", "filter", "show", "dev", card, "ingress") + run("tc", "filter", "show", "dev", card, "egress")
    found["queueing"] = re.sub(r"qdisc (\w+) [0-9a-f]+:", r"qdisc \1", run("tc", "qdisc"))
    # Without the times of addresses, and their flags while one is tried.
    found["addresses"] = [(a["ifname"], i["family"], i["local"]) for a in json.loads(run("ip", "-j", "addr")) for i in a["addr_info"]]
    found["routes"] = run("ip", "-4", "route", "show", "table", "all") + run("ip", "-6", "route", "show", "table", "all")
    found["rules"] = run("ip", "-4", "rule") + run("ip", "-6", "rule")
    found["programs"] = run("peer", "programs")
    for directory in ("/run/netns", "/sys/fs/bpf", "/tmp"):
        found[directory] = sorted(p.name for p in pathlib.Path(directory).iterdir())
    found["processes"] = sorted(c for p in pathlib.Path("/proc").glob("[0-9]*/comm") if (c := read(p)).startswith("detnat"))
    found.update(sysctls())
    return found


def read(path):
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def difference(before, after):
    return [f"{k}: {before.get(k)!r} is {after.get(k)!r}" for k in sorted({*before, *after}) if before.get(k) != after.get(k)]


class Benchmark:
    """nic.py as a process; the other guest hears what it prints."""

    def __init__(self, line, *arguments, **environment):
        self.out, self.line = "", line
        RESULTS.unlink(missing_ok=True)
        FORM.unlink(missing_ok=True)
        environment = {"BUILD": str(BUILD), "ROUNDS": "2", "SECONDS": "3", "PATIENCE": str(PATIENCE_S), **environment}
        self.process = subprocess.Popen([sys.executable, HERE / "nic.py", *arguments], env={**os.environ, **environment},
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for text in self.process.stdout:
            self.out += text
            self.line.say(text.rstrip("\n"))

    def printed(self, words):
        wait_for(lambda: words in self.out or self.process.poll() is not None, lambda: f"'{words}' of {self.out}")
        assert words in self.out, f"ended with {self.process.wait()}: {self.out}{self.process.stderr.read()}"

    def ended(self, status):
        self.process.wait(timeout=3 * PATIENCE_S)
        self.reader.join()
        err = self.process.stderr.read()
        assert self.process.returncode == status, f"exit {self.process.returncode}\n{self.out}{err}"
        return err


class Gateway:
    def __init__(self, line):
        self.line, self.passed = line, True
        for address, name in (("a1", "eth1"), ("a2", "eth0"), ("a3", "eth2")):
            rename(f"52:54:00:00:00:{address}", f"new-{name}")
        for name in ("eth1", "eth0", "eth2"):
            subprocess.run(["ip", "link", "set", f"new-{name}", "name", name], check=True)
        # Settings that the benchmark gives back: not what the kernel begins with.
        for path, value in (("ipv4/conf/eth1/rp_filter", "2"), ("ipv6/conf/eth1/accept_ra", "0"), ("ipv4/neigh/eth0/gc_stale_time", "77")):
            pathlib.Path("/proc/sys/net", path).write_text(value)
        subprocess.run(["ip", "link", "set", "eth1", "up"], check=True)
        line.expect("ready")
        self.before = self.at_rest()

    @staticmethod
    def at_rest():
        """The state once it no longer changes: links and addresses come up by themselves."""
        last = None
        while last != (last := state()):
            time.sleep(2)
        return last

    def unchanged(self):
        def same():
            return not difference(self.before, state())

        wait_for(same, lambda: f"what it was before: {difference(self.before, state())}", 60)

    def check(self, name, function, *arguments):
        print(f"{time.monotonic():.0f} s: {name}", file=sys.stderr, flush=True)
        try:
            function(*arguments)
            print(f"ok benchnic: {name}", flush=True)
        except Exception as problem:  # pylint: disable=broad-except
            print(f"not ok benchnic: {name}", flush=True)
            print(f"--- {name}: {type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
            self.passed = False

    def refused(self, status, words, *arguments):
        err = Benchmark(self.line, *arguments).ended(status)
        assert words in err and "Traceback" not in err, err
        self.unchanged()

    # ---- a whole run

    def measure(self):
        self.bench = Benchmark(self.line, "eth1", "eth0")
        self.bench.ended(0)
        print(*(f"# {line}" for line in self.bench.out.splitlines() if line.strip()), sep="\n", flush=True)

    def all_rows_moved(self):
        rows = {(r["gateway"], r["path"]): r for r in json.loads(RESULTS.read_text())["rows"]}
        assert list(rows) == ROWS, list(rows)
        for key, row in rows.items():
            assert row["arrived"] > 0 and row["per_second"] > 0 and row["ns"] > 0 and len(row["rounds_ns"]) == 2, row
            assert row["sent"] >= row["arrived"] and key[0] in self.bench.out, row
            # A card counts what leaves between the two readings of the counters, too.
            assert row["sent_by_card"] > row["arrived"] / 2, row
        sessions = rows["detnat kernel", "out2in"]["sessions_in_table"]
        assert SUBSCRIBERS * 63 * 0.9 < sessions <= SUBSCRIBERS * 63, sessions  # flows are drawn at random

    def losses_are_said(self):
        head, *rows = [line.split() for line in self.bench.out.splitlines() if re.match(r"ROW |\w+-\d+c-", line)]
        assert head[-2:] == ["LOST", "MISSED"] and len(rows) == len(ROWS), self.bench.out
        for row, told in zip(json.loads(RESULTS.read_text())["rows"], rows):
            assert [int(n) for n in told[-2:]] == [row["sent"] - row["arrived"], row["missed_by_card"]], (row, told)

    def generator_received(self):
        """Both commands ran as printed, and said what they sent and what came back."""
        for sent_by, received_by in (("IN", "OUT"), ("OUT", "IN")):
            said = self.line.expect("nic_generator: ", 60)
            assert "with 2 threads until interrupted" in said, said
            said = self.line.expect("nic_generator: ", 60)
            print(f"# {said}", flush=True)
            sent, received = re.fullmatch(rf"nic_generator: (\d+) sent by {sent_by}, (\d+) received by {received_by}", said).groups()
            assert int(sent) > 0 and int(received) > 0, said
            assert self.line.expect("left: ") == "left: []"

    def form_is_filled(self):
        form = FORM.read_text()
        print(*(f"# {line}" for line in form.splitlines()[2:8]), sep="\n", flush=True)
        for card in ("eth1", "eth0"):
            assert re.search(rf"^\| {card} \| \*\(card\)\*, virtio_net [\d.]+, firmware \?, \S+.*, 2 queues, XDP native \|$", form, re.MULTILINE), form
        for words in (f"| kernel | {os.uname().release} |", "| detnat | detnat", ", 2 cores |", "eth1: inside, XDP native, forwarding redirect",
                      "eth0: outside, XDP native, forwarding redirect"):
            assert words in form, (words, form)
        for gateway, path in ROWS:
            assert re.search(rf"^\S+ +{gateway} +{path} ", form, re.MULTILINE), form

    # ---- what goes wrong

    def without_traffic(self):
        bench = Benchmark(Mute(), "eth1", "eth0", PATIENCE="3")
        err = bench.ended(1)
        assert "in2out: nothing arrived within 3 s; eth1 received" in err, err
        assert not RESULTS.exists() and not FORM.exists()
        self.unchanged()

    def traffic_that_ends(self):
        bench = Benchmark(self.line, "eth1", "eth0", ROUNDS="1000", SECONDS="1", PATHS="in2out")
        bench.printed("kernel, no NAT, in2out: round 1 of 1000")
        self.line.say("stop")
        err = bench.ended(1)
        assert "kernel, no NAT, in2out: nothing arrived in a round; did the other machine stop?" in err, err
        assert not RESULTS.exists()
        self.unchanged()

    def ended_by(self, number, words):
        """Ends the benchmark while detnat translates."""
        bench = Benchmark(self.line, "eth1", "eth0", ROUNDS="1", SECONDS="1", PATHS="in2out")
        bench.printed("detnat redirect, in2out: round 1 of 1")
        bench.process.send_signal(number)
        err = bench.ended(1 if number != signal.SIGKILL else -number)
        assert words in err and "Traceback" not in err, err
        self.line.say("stop")

    def hung_up(self):
        self.ended_by(signal.SIGHUP, "ended by SIGHUP; the cards go back")
        self.unchanged()

    def killed(self):
        self.ended_by(signal.SIGKILL, "")
        self.before.pop("/tmp")  # the directory of the run is removed by the next one
        self.unchanged()

    def run(self):
        self.check("an interface that is not there is refused", self.refused, 1, "there is no interface eth7; `ip link` lists them", "eth7", "eth0")
        self.check("the same interface twice is refused", self.refused, 2, "IN and OUT are both eth1", "eth1", "eth1")
        self.check("what is no card is refused", self.refused, 1, "lo is no card (loopback)", "eth1", "lo")
        self.check("a driver without XDP is refused", self.refused, 1, "eth2: the driver e1000e has no native XDP", "eth1", "eth2")
        self.check("the run ends well", self.measure)
        if self.passed:
            self.check("packets moved in every row", self.all_rows_moved)
            self.check("losses are said", self.losses_are_said)
            self.line.say("stop")
            self.check("the other machine ran the commands that were printed", self.generator_received)
            self.check("the form is filled in", self.form_is_filled)
        self.check("nothing of the gateway is left changed", self.unchanged)
        self.check("a run without traffic fails and changes nothing", self.without_traffic)
        self.check("a row in which traffic ends fails and changes nothing", self.traffic_that_ends)
        self.check("a run that is hung up leaves nothing changed", self.hung_up)
        self.check("a run that is killed leaves nothing changed", self.killed)
        self.check("the kernel saw nothing wrong", self.kernel_is_well)

    @staticmethod
    def kernel_is_well():
        found = [line for line in run("dmesg").splitlines() if KERNEL_COMPLAINS.search(line)]
        assert not found, found


class Mute:
    """In place of the line: the other guest hears nothing."""

    def say(self, line):
        pass


def main():
    line = Line()
    name = pathlib.Path(f"/sys/class/virtio-ports/{line.ports()[0]}/name").read_text().strip()
    print(f"# {name}: {shlex.join(os.uname())}", flush=True)
    if name == "generator":
        generator(line)
        return
    try:
        Gateway(line).run()
    finally:
        line.say("over")
        with contextlib.suppress(AssertionError):
            line.expect("ended", 30)


if __name__ == "__main__":
    main()

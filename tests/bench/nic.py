#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two real cards: this machine is the gateway, another one sends.

    nic.py IN OUT

The cards move into a network namespace of the benchmark, with an agent and an ordinary configuration, and come back at its
end, up if they were, with their sysctls. The other machine runs nic_generator.sh, whose command is printed. Rows have the
keys of `make bench-e2e`; they go to build/bench/results-nic.json, and with the machine to build/bench/results-nic.md, a form
to send in. Environment: ROUNDS, SECONDS of each, PATIENCE (seconds until traffic comes), PATHS (in2out out2in), FORCE=1
(takes cards that are in use), GENERIC=1 (takes cards whose driver has no XDP).

Exit status: 0 measured; 1 nothing arrived, or the cards cannot be taken; 2 usage.
"""

import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import agent as daemon  # noqa: E402
import isolation  # noqa: E402
import netns  # noqa: E402

RESULTS = daemon.BUILD / "bench/results-nic.json"
FORM = daemon.BUILD / "bench/results-nic.md"
NAMESPACE = "dnb-nic"
MAPPING = {"in": "172.16.0.0/22", "out": "203.0.113.0/32"}  # 1024 subscribers with 63 ports each
SESSIONS, TICK_S, BUSY = 1024 * 63, 0.25, 0.05
PATHS = ("in2out", "out2in")
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
FORWARDING = {"detnat redirect": "redirect", "detnat kernel": "kernel"}


class Refused(Exception):
    """Says what is wrong and what to do."""


def number(name, default):
    text = os.environ.get(name) or str(default)
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) <= 0:
        raise Refused(f"{name}={text}: a number above 0 is needed")
    return float(text)


# ---- the cards

def ip_json(*arguments, namespace=None):
    where = ("-n", namespace) if namespace else ()
    return json.loads(isolation.run("ip", *where, "-j", *arguments).stdout or "[]")


def refuse_in_use(card):
    """Raises Refused if the host seems to need the interface."""
    if isolation.run("ip", "link", "show", "dev", card, check=False).returncode:
        raise Refused(f"there is no interface {card}; `ip link` lists them")
    link = ip_json("-d", "link", "show", "dev", card)[0]
    kind = link.get("linkinfo", {}).get("info_kind", "veth")
    if kind != "veth" or "LOOPBACK" in link["flags"]:
        raise Refused(f"{card} is no card ({'loopback' if 'LOOPBACK' in link['flags'] else kind}); name the cards themselves")
    if "master" in link:
        raise Refused(f"{card} is a port of {link['master']}; take it out: ip link set {card} nomaster")
    if link.get("xdp"):
        raise Refused(f"{card} carries an XDP program; `bpftool net` tells whose. To detach it: ip link set {card} xdp off")
    if os.environ.get("FORCE") == "1":
        return
    for family in ("-4", "-6"):
        if any(r.get("dev") == card for r in ip_json(family, "route", "show", "default")):
            raise Refused(f"the default route leaves by {card}: this machine would lose it; take another card, or set FORCE=1")
        if routes := [r["dst"] for r in ip_json(family, "route", "show", "table", "all", "dev", card) if r.get("protocol") != "kernel"]:
            raise Refused(f"a route to {routes[0]} leaves by {card}, which the machine would lose; remove it, or set FORCE=1")
    if taken := [a["local"] for a in ip_json("addr", "show", "dev", card)[0]["addr_info"] if a.get("scope") != "link"]:
        raise Refused(f"{card} has the address {taken[0]}, which the machine would lose; remove it, or set FORCE=1")


def ethtool_fields(gateway, *arguments):
    text = gateway.run("ethtool", *arguments, check=False).stdout
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def card_facts(gateway, card):
    driver, link = ethtool_fields(gateway, "-i", card), ethtool_fields(gateway, card)
    shown = gateway.run("ethtool", "-l", card, check=False).stdout.split("Current hardware settings")[-1]
    queues = sum(int(n) for n in re.findall(r"^(?:RX|Combined):\s+(\d+)", shown, re.MULTILINE))
    return {"interface": card, "driver": driver.get("driver", "?"), "driver_version": driver.get("version", "?"),
            "firmware": driver.get("firmware-version", ""), "bus": driver.get("bus-info", ""),
            "speed": link.get("\tSpeed", "?"), "queues": queues, "xdp": "?"}


def sysctls_of(card):
    """Path and value of each sysctl that the kernel sets to its default when the card moves."""
    values = {}
    for path in (p for kind in ("conf", "neigh") for p in pathlib.Path("/proc/sys/net").glob(f"ipv[46]/{kind}/{card}/*")):
        with contextlib.suppress(OSError):  # such as a secret that is not set
            values[path] = path.read_text()
    return values


def restore(card, was_up, sysctls):
    """Gives a card that has come back what it had before."""
    now = sysctls_of(card)
    for path, value in sysctls.items():
        if now.get(path) != value:
            with contextlib.suppress(OSError):
                path.write_text(value)
    if was_up:
        isolation.run("ip", "link", "set", card, "up", check=False)


@contextlib.contextmanager
def cards_in(gateway, cards):
    """Moves the cards into the namespace. A child gives them back at the end of the block, or of this process if it is killed."""
    before = [(card, "UP" in ip_json("link", "show", "dev", card)[0]["flags"], sysctls_of(card)) for card in cards]
    ended, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        give_back_after(ended, gateway, before)
    os.close(ended)
    try:
        for card in cards:
            isolation.run("ip", "link", "set", card, "netns", gateway.name)
        yield
    finally:
        os.close(end)
        os.waitpid(child, 0)


def give_back_after(ended, gateway, before):
    """The child: waits until no process has the other end of a pipe, gives the cards back without programs, and exits."""
    try:
        os.setsid()  # no signal of the terminal comes here
        for number_of in ENDING:
            signal.signal(number_of, signal.SIG_IGN)
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        os.read(ended, 1)
        for card, was_up, sysctls in before:
            for kind in ("xdp", "xdpgeneric"):  # of an agent that was killed, too
                gateway.ip("link", "set", "dev", card, kind, "off", check=False)
            gateway.ip("link", "set", card, "netns", str(os.getpid()), check=False)
            restore(card, was_up, sysctls)
    finally:
        os._exit(0)


# ---- figures of a moment

def busy_ticks():
    """Ticks of each CPU in which it was not idle."""
    lines = [line.split() for line in pathlib.Path("/proc/stat").read_text().splitlines() if re.match(r"cpu\d", line)]
    return {f[0]: sum(map(int, f[1:4])) + sum(map(int, f[6:9])) for f in lines}


def card_counts(gateway, card):
    stats = ip_json("-s", "link", "show", "dev", card, namespace=gateway.name)[0]["stats64"]
    return {"rx": stats["rx"]["packets"], "rx_bytes": stats["rx"]["bytes"], "tx": stats["tx"]["packets"],
            "missed": stats["rx"].get("over_errors", 0) + stats["rx"].get("missed", 0) + stats["rx"]["dropped"]}


def without_xdp(card, why):
    return Refused(f"{card['interface']}: the driver {card['driver']} has no native XDP ({why}), see docs/guide/CARDS.md; "
                   f"take another card, or set GENERIC=1 to measure what detnat does without")


class Bench:
    """The gateway, its agent while there is one, and the rows."""

    def __init__(self, directory, inside, outside):
        self.directory, self.inside, self.outside = directory, inside, outside
        self.rounds, self.seconds = int(number("ROUNDS", 5)), number("SECONDS", 4)
        self.patience = number("PATIENCE", 600)
        self.agent_patience = max(daemon.START_PATIENCE, self.patience)  # on a gateway that has no more time than for packets
        self.paths = os.environ.get("PATHS", " ".join(PATHS)).split()
        if not self.paths or set(self.paths) - set(PATHS):
            raise Refused(f"PATHS={' '.join(self.paths)}: any of {' '.join(PATHS)}")
        self.generic = os.environ.get("GENERIC") == "1"
        self.gateway = netns.Namespace(NAMESPACE)
        self.agent, self.rows, self.notes = None, {}, []

    def set_up(self):
        self.gateway.sysctl("net.ipv4.ip_forward", 1)
        for card, address in ((self.inside, "10.9.0.1/24"), (self.outside, "198.51.100.1/24")):
            self.gateway.ip("link", "set", card, "up")
            self.gateway.ip("addr", "add", address, "dev", card)
        self.gateway.ip("route", "add", "172.16.0.0/12", "via", "10.9.0.2", "dev", self.inside)
        self.cards = [card_facts(self.gateway, card) for card in (self.inside, self.outside)]

    def start_agent(self):
        self.agent = daemon.Agent(self.gateway, self.directory / "agent", {
            "interfaces": {"inside": [self.inside], "outside": [self.outside]}, "mappings": [MAPPING],
            "timeouts": {"udp": 3600}, "forwarding": "redirect", "xdp_mode": "auto" if self.generic else "native"})
        self.agent.launch()
        line = self.agent.first_line(self.agent_patience)
        if (line or "").endswith("ready"):
            return
        log = self.agent.log_end()
        for card in self.cards:
            why = re.search(rf"{re.escape(card['interface'])}: XDP cannot be attached in native mode: (.*)", log)
            if why:
                raise without_xdp(card, why[1])
        raise Refused(f"detnat-agent did not start on {self.inside} and {self.outside}:\n{log}")

    def refuse_without_xdp(self):
        """Raises Refused if detnat does not get native XDP of both cards, before anything is measured."""
        self.start_agent()
        for i in self.agent.ctl("interface", "list"):
            for card in (c for c in self.cards if c["interface"] == i["name"]):
                card["xdp"] = i["xdp"]
                if i["xdp"] != "native" and not self.generic:
                    raise without_xdp(card, i["xdp_reason"] or i["xdp"])
        self.close()

    def forward_by(self, gateway):
        """The agent goes on with its sessions, in another mode."""
        if self.agent and self.agent.config["forwarding"] != FORWARDING[gateway]:
            self.agent.write(forwarding=FORWARDING[gateway])
            self.agent.hang_up()
            daemon.wait_for(lambda: self.agent.ctl("config", "show").get("forwarding", "redirect") == FORWARDING[gateway],
                            self.agent_patience, what="a reload")

    def snapshot(self):
        counts = {card: card_counts(self.gateway, card) for card in (self.inside, self.outside)}
        return {"at": time.monotonic(), "busy": busy_ticks(), "cards": counts, "counters": self.agent.counters() if self.agent else {}}

    def moved(self, path, before, after):
        """What came in, what left translated, and what was refused, between two snapshots."""
        came, goes = (self.inside, self.outside) if path == "in2out" else (self.outside, self.inside)
        card = {k: after["cards"][came][k] - before["cards"][came][k] for k in ("rx", "rx_bytes", "missed")}
        left = after["cards"][goes]["tx"] - before["cards"][goes]["tx"]
        if not self.agent:
            return {"sent": max(card["rx"], left), "arrived": left, "by_card": left, **card}
        delta = {k: after["counters"][k] - before["counters"].get(k, 0) for k in after["counters"]}
        translated = delta[f"{path}_translated"]
        dropped = sum(n for k, n in delta.items() if k.startswith("drop_"))
        return {"sent": translated + dropped, "arrived": max(0, translated - delta["redirect_errors"]), "by_card": left, **card}

    # ---- traffic

    def ask_for(self, path):
        to = self.inside if path == "in2out" else self.outside
        mac = ip_json("link", "show", "dev", to, namespace=self.gateway.name)[0]["address"]
        print(f"\nOn the other machine, with its interfaces IN and OUT joined to {self.inside} and {self.outside}, until the next request:\n\n"
              f"    sudo ./nic_generator.sh {path} IN OUT {mac}\n\n"
              f"The script is tests/bench/nic_generator.sh; it needs bash, iproute2 and the kernel's pktgen.\n", flush=True)

    def wait_for_traffic(self, path):
        """Waits until packets pass and no more sessions are opened."""
        def passing():
            before = self.snapshot()
            time.sleep(TICK_S)
            return self.moved(path, before, self.snapshot())

        end = time.monotonic() + self.patience
        while not (last := passing())["arrived"]:
            if time.monotonic() > end:
                self.explain_silence(path, last)
        if self.agent:
            entries = -1
            while entries != (entries := self.agent.ctl("status")["sessions"]):
                time.sleep(4 * TICK_S)

    def explain_silence(self, path, last):
        came = self.inside if path == "in2out" else self.outside
        reasons = [f"{k} {n}" for k, n in sorted(self.agent.counters().items()) if n and k.startswith("drop_")] if self.agent else []
        raise Refused(f"{path}: nothing arrived within {self.patience:g} s; {came} received {last['rx']} frames in the last moment"
                      + (f", and the datapath counted: {', '.join(reasons)}" if reasons else "")
                      + ". Check the cables (`ethtool`), the MAC address in the command, and that both of its interfaces answer ARP")

    # ---- measuring

    def row(self, gateway, path):
        return self.rows.setdefault((gateway, path), {
            "gateway": gateway, "path": path, "rounds_ns": [], "rounds_per_second": [], "sent": 0, "arrived": 0, "sent_by_card": 0,
            "missed_by_card": 0, "sessions": 0, "sessions_in_table": 0, "packets_verified": 0, "packets_wrong": 0, "seconds": 0.0})

    def measure(self, gateway, path):
        self.forward_by(gateway)
        time.sleep(TICK_S)
        before = self.snapshot()
        time.sleep(self.seconds)
        after = self.snapshot()
        row, moved, elapsed = self.row(gateway, path), self.moved(path, before, after), after["at"] - before["at"]
        ticks = {cpu: after["busy"][cpu] - n for cpu, n in before["busy"].items() if cpu in after["busy"]}
        busy_s = sum(ticks.values()) / os.sysconf("SC_CLK_TCK")
        if not moved["arrived"]:
            raise Refused(f"{gateway}, {path}: nothing arrived in a round; did the other machine stop?")
        row["rounds_ns"].append(busy_s * 1e9 / moved["arrived"])
        row["rounds_per_second"].append(moved["arrived"] / elapsed)
        print(f"{gateway}, {path}: round {len(row['rounds_ns'])} of {self.rounds}: {moved['arrived'] / elapsed / 1e6:.3f} M/s", flush=True)
        row["seconds"] += elapsed
        row["cores"] = max(row.get("cores", 1), sum(n > BUSY * elapsed * os.sysconf("SC_CLK_TCK") for n in ticks.values()))
        row["octets"] = round(moved["rx_bytes"] / moved["rx"]) if moved["rx"] else 0
        for key, source in (("sent", "sent"), ("arrived", "arrived"), ("sent_by_card", "by_card"), ("missed_by_card", "missed")):
            row[key] += moved[source]
        if self.agent:
            row["sessions_in_table"] = row["sessions"] = self.agent.ctl("status")["sessions"]

    def finish(self, row):
        ns = statistics.median(row["rounds_ns"])
        base = statistics.median(self.rows["kernel, no NAT", "in2out"]["rounds_ns"]) if ("kernel, no NAT", "in2out") in self.rows else 0
        octets, cores, sessions = row.pop("octets"), row.pop("cores"), row["sessions"]
        size = f"{max(64, octets + 4)}b" if octets else "mix"
        what = f"nat44det-h{-(-sessions // 63)}-p63-s{sessions}" if sessions else "ip4base"
        compared = {"times_kernel_forwarding": base / ns} if base and ns and sessions and row["path"] == "in2out" else {}
        return {"name": f"{size}-{cores}c-ethip4udp-{what}-mrr", "gateway": row["gateway"], "path": row["path"], "ns": ns,
                "per_second_per_core": 1e9 / ns if ns else 0, "per_second": statistics.median(row["rounds_per_second"]), **compared,
                **{k: v for k, v in row.items() if k not in ("gateway", "path")}}

    def run(self):
        self.refuse_without_xdp()
        for path in self.paths:
            self.ask_for(path)
            if path == "in2out":
                self.wait_for_traffic(path)
                for _ in range(self.rounds):
                    self.measure("kernel, no NAT", path)
            if not self.agent:
                self.start_agent()
            self.wait_for_traffic(path)
            for _ in range(self.rounds):
                for gateway in FORWARDING:
                    self.measure(gateway, path)
            self.forward_by("detnat redirect")
        print("\nAll is measured: interrupt the command on the other machine. What it says belongs into the form.\n", flush=True)
        self.look_at_modes()
        return [self.finish(row) for row in self.rows.values()]

    def look_at_modes(self):
        for i in self.agent.ctl("interface", "list"):
            reasons = [i[k] for k in ("xdp_reason", "forwarding_reason") if i[k]]
            self.notes.append(f"{i['name']}: {i['role']}, XDP {i['xdp']}, forwarding {i['forwarding']}"
                              + (f" ({'; '.join(reasons)})" if reasons else ""))
        for (gateway, path), row in self.rows.items():
            if row["sent_by_card"] < row["arrived"] * 0.999:
                self.notes.append(f"{gateway}, {path}: the card counts {row['sent_by_card']} sent of {row['arrived']} translated; "
                                  f"compare with what the other machine received")

    def close(self):
        try:
            if self.agent:
                if self.agent.running():
                    self.agent.end(timeout=self.agent_patience)
                self.agent.detach()
                self.agent.dispose()
                shutil.rmtree(self.agent.directory, ignore_errors=True)
        finally:
            self.agent = None


# ---- the report

def machine_facts(cards):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    version = isolation.run(daemon.AGENT, "--version", check=False).stdout.strip()
    return {"cpu": cpu[1] if cpu else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(), "detnat": version, "cards": cards}


def table(rows):
    lines = [f"{'ROW':58} {'GATEWAY':16} {'PATH':7} {'NS':>8} {'M/S/CORE':>9} {'M/S':>8} {'LOST':>9} {'MISSED':>9}"]
    for r in rows:
        lines.append(f"{r['name']:58} {r['gateway']:16} {r['path']:7} {r['ns']:8.1f} {r['per_second_per_core'] / 1e6:9.3f} "
                     f"{r['per_second'] / 1e6:8.3f} {r['sent'] - r['arrived']:9} {r['missed_by_card']:9}")
    return "\n".join(lines)


def form(machine, rows, notes):
    lines = ["| | |", "| --- | --- |", "| machine | *(make and model)* |", f"| CPU | {machine['cpu']}, {machine['cores']} cores |",
             f"| kernel | {machine['kernel']} |", f"| detnat | {machine['detnat']} |"]
    for card in machine["cards"]:
        lines.append(f"| {card['interface']} | *(card)*, {card['driver']} {card['driver_version']}, firmware {card['firmware'] or '?'}, "
                     f"{card['speed']}, {card['queues']} queues, XDP {card['xdp']} |")
    lines += ["| other machine received | *(what nic_generator.sh said)* |", "", "```text", table(rows), *notes, "```", ""]
    return "\n".join(lines)


def measure(directory, inside, outside):
    bench = Bench(directory, inside, outside)
    try:
        with cards_in(bench.gateway, (inside, outside)):
            bench.set_up()
            try:
                rows = bench.run()
            finally:
                bench.close()
    finally:
        bench.gateway.delete()
    machine = machine_facts(bench.cards)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"rows": rows, "bulk_tcp": [], "goals": [], "notes": "\n".join(bench.notes), "machine": machine,
                                   "seconds": sum(r["seconds"] for r in rows)}, indent=1) + "\n")
    FORM.write_text(form(machine, rows, bench.notes))
    print(table(rows), *bench.notes, f"The form to send in is {FORM}, see docs/evidence/CARDS-RESULTS.md", sep="\n")


def end_once(number_of, _):
    """Ends the process by way of what gives the cards back, which no second signal interrupts."""
    for again in ENDING:
        signal.signal(again, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"nic.py: ended by {signal.Signals(number_of).name}; the cards go back", file=sys.stderr)
    sys.exit(1)


def main():
    same = len(sys.argv) == 3 and sys.argv[1] == sys.argv[2]
    if len(sys.argv) != 3 or not all(sys.argv[1:]) or same:
        why = f"IN and OUT are both {sys.argv[1]}; " if same else ""
        print(f"{why}usage: make bench-nic IN=CARD OUT=CARD, two cards of this machine", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("nic.py: needs root, for namespaces and BPF programs", file=sys.stderr)
        return 1
    for number_of in ENDING:
        signal.signal(number_of, end_once)
    isolation.remove_dead_runs()
    directory = isolation.RUNS / f"detnat-e2e.{os.getpid()}"
    try:
        for card in sys.argv[1:]:
            refuse_in_use(card)
        isolation.enter(directory)
        measure(directory, *sys.argv[1:])
    except (Refused, RuntimeError, AssertionError) as problem:
        while problem:  # and what it hides
            print(f"nic.py: {problem}", file=sys.stderr)
            problem = problem.__context__
        return 1
    finally:
        with contextlib.suppress(OSError):
            isolation.unmount(directory)
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-2-Clause
"""Real builds of 1.0.0 are upgraded in place, and rolled back to, while packets of every kind pass in both directions."""

import os
import threading
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

import agent as programs
import releases
import tc_programs
import test_privileges
from agent import wait_for
from lab import block_of
from test_hand_back import offered, pins_of
from test_tc_links import flooded

accounts = test_privileges.accounts

pytestmark = [pytest.mark.long, pytest.mark.upgrades]

RATE = 1500  # packets a second, in all
FLOWS = 24  # of each host
DATAGRAM_KEPT = 30  # seconds, FRAGMENT_LIFETIME

MAPPING = {"in": "10.0.0.0/18", "out": "1.1.1.0/28", "spare": ["1.1.7.0/28"]}
EIM = {"in": "10.0.129.0/24", "out": "1.1.3.0/30", "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}
OPEN = {"in": "10.0.130.1/32", "out": "1.1.4.1/32", "inbound": "open"}
NONE = {"in": "10.0.131.0/24", "out": None}
RUNTIME = {"in": "10.9.0.0/24", "out": "1.1.9.0/28"}
DRAINING = {"in": "10.8.0.0/24", "out": "1.1.8.0/28"}

MODES = {
    "redirect-native": {"forwarding": "redirect", "xdp_mode": "native"},
    "redirect-stages": {"forwarding": "redirect", "xdp_mode": "native", "stages": 2},
    "redirect-skb": {"forwarding": "redirect", "xdp_mode": "skb"},
    "kernel": {"forwarding": "kernel", "xdp_mode": "native"},
    "tc": {"xdp_mode": "none"},
    "auto": {"forwarding": "redirect", "xdp_mode": "auto"},
}


class Traffic:
    """Numbered packets through flows in both directions until stopped; each must arrive once, unchanged, and nothing else."""

    def __init__(self, lab):
        self.lab = lab
        self.ways = []  # (wire, frame without its number)
        self.wanted = {lab.inside: {}, lab.outside: {}}  # by frame without its number: numbers that came
        self.sent = []
        self.strange = []
        self.stopping = threading.Event()

    def add(self, wire, packet, far, expected):
        """A flow from one wire to the other; the packets have a payload of 8 octets."""
        for p in (packet, expected):
            p[UDP].chksum = 0
        self.ways.append((wire, bytes(packet)[:-8]))
        self.sent.append(set())
        # Without a UDP checksum packets differ only in their number.
        self.wanted[far][bytes(expected)[:-8]] = (len(self.ways) - 1, set())

    def flow(self, host, port, src, dport=53):
        """A session of a host, both ways."""
        lab = self.lab
        out = lab.from_inside(host, UDP(sport=port, dport=dport) / bytes(8))
        back = lab.from_outside(src[0], UDP(sport=dport, dport=src[1]) / bytes(8))
        self.add(lab.inside, out, lab.outside, lab.going_out(out, src))
        self.add(lab.outside, back, lab.inside, lab.coming_in(back, host, port))

    def again(self):
        """The same flows, of which nothing has been sent."""
        other = Traffic(self.lab)
        other.ways = self.ways
        other.sent = [set() for _ in self.ways]
        other.wanted = {wire: {frame: (way, set()) for frame, (way, _) in wanted.items()} for wire, wanted in self.wanted.items()}
        return other

    def _send(self):
        start, n = time.monotonic(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - start) * RATE)
            while n < due:
                way, number = n % len(self.ways), n // len(self.ways)
                wire, frame = self.ways[way]
                wire.socket.send(frame + number.to_bytes(8, "big"))
                self.sent[way].add(number)
                n += 1
            self.stopping.wait(0.003)

    def _receive(self, wire):
        wanted = self.wanted[wire]
        while (frame := wire.receive(timeout=0.5)) is not None or not self.ended:
            if frame is None:
                continue
            way, came = wanted.get(frame[:-8], (None, None))
            if came is None:
                self.strange.append(frame)
            else:
                came.add(int.from_bytes(frame[-8:], "big"))

    def __enter__(self):
        self.ended = False
        self.threads = [threading.Thread(target=self._send, daemon=True)]
        self.threads += [threading.Thread(target=self._receive, args=(wire,), daemon=True) for wire in self.wanted]
        for thread in self.threads:
            thread.start()
        wait_for(lambda: self.threads[0].is_alive() and all(self.sent), what="traffic to flow")
        return self

    def missing(self):
        """Packets that did not arrive, by way."""
        return {way: self.sent[way] - came for wanted in self.wanted.values() for way, came in wanted.values() if self.sent[way] - came}

    def __exit__(self, kind, value, traceback):
        more = [max(numbers) + 2 for numbers in self.sent]
        if kind is None:
            wait_for(lambda: all(max(s) >= m for s, m in zip(self.sent, more)), what="traffic after the change")
        self.stopping.set()
        self.threads[0].join()
        try:
            if kind is None:
                wait_for(lambda: not self.missing(), timeout=3)
        except AssertionError:
            lost = self.missing()
            n = sum(map(len, lost.values()))
            raise AssertionError(f"{n} of {sum(map(len, self.sent))} lost: " + str(
                {f"{way} {self.ways[way][0].name} {Ether(self.ways[way][1]).summary()}": sorted(numbers)[:5]
                 for way, numbers in list(lost.items())[:8]})) from None
        finally:
            self.ended = True
            for thread in self.threads[1:]:
                thread.join()
        if kind is None:
            assert not self.strange, f"{len(self.strange)} came that should not: {Ether(self.strange[0]).summary()}"


def fragment(packet, units, more):
    """A fragment of a UDP datagram of 16 octets and a header: the first 16, or the rest."""
    whole = bytes(packet[IP].payload)
    part = whole[:units * 8] if more else whole[units * 8:]
    ip = packet[IP].copy()
    ip.remove_payload()
    ip.flags, ip.frag, ip.len, ip.chksum = (1, 0, None, None) if more else (0, units, None, None)
    return Ether(bytes(Ether(src=packet.src, dst=packet.dst) / ip / Raw(part)))


class Gateway:
    """A lab that has something of everything, and what of it must be there after an upgrade."""

    def __init__(self, lab, **config):
        self.lab = lab
        self.agent = lab.start(mappings=[MAPPING, EIM, OPEN, NONE], session_slots=16, portmaps=[
            {"proto": "udp", "in": "10.0.0.9:6881", "out": f"{block_of('10.0.0.9', MAPPING).addr}:443"}], **config)
        self.traffic = Traffic(lab)
        self.add_all()

    def session(self, host, port, mapping, dport=53):
        self.traffic.flow(host, port, self.lab.open_udp(host, port, mapping=mapping, dport=dport), dport)

    def add_all(self):
        lab, agent = self.lab, self.agent
        # In slots; and of one host most beyond them.
        for host in [lab.host() for _ in range(4)]:
            for k in range(8):
                self.session(host, 5000 + k, MAPPING)
        crowd = lab.host()
        for k in range(FLOWS):
            self.session(crowd, 5000 + k, MAPPING)
        assert agent.counters()["sessions_overflowed"] > 4
        self.session(lab.host("10.0.129.5"), 5000, EIM)
        # Mapped by a command; and one that drains.
        for mapping in (RUNTIME, DRAINING):
            lab.gateway.ip("route", "replace", mapping["in"], "dev", "in0")
            agent.ctl("mapping", "add", mapping["in"], mapping["out"])
        self.session(lab.host("10.9.0.3"), 5000, RUNTIME)
        self.session(lab.host("10.8.0.3"), 5000, DRAINING)
        agent.ctl("mapping", "del", DRAINING["in"], "--drain", "1h")
        self.add_portmaps()
        # Not translated at all, and one to one.
        free = lab.host("10.0.131.7")
        self.traffic.flow(free, 5000, (free.addr, 5000))
        self.traffic.flow(lab.host("10.0.130.1"), 5000, ("1.1.4.1", 5000))

    def add_portmaps(self):
        lab = self.lab
        self.agent.ctl("portmap", "add", "udp", "10.0.0.8:53", f"{block_of('10.0.0.8', MAPPING).addr}:53", "--name", "dns")
        for addr, port, out in (("10.0.0.9", 6881, 443), ("10.0.0.8", 53, 53)):
            self.traffic.flow(lab.host(addr), port, (block_of(addr, MAPPING).addr, out), 4000)

    def state(self):
        agent = self.agent
        return {
            "sessions": sorted((s["proto"], s["in_addr"], s["in_port"], s["out_addr"], s["out_port"], s["ext_addr"], s["ext_port"])
                               for s in agent.ctl("session", "list", "--all")),
            "mappings": sorted((m["in"], m["out"] or "", m["state"] if "state" in m else "") for m in agent.ctl("mapping", "list")),
            "portmaps": sorted((p["proto"], p["in_addr"], p["in_port"], p["out_addr"], p["out_port"]) for p in agent.ctl("portmap", "list")),
            "unsaved": agent.command("config", "diff").out,
        }

    def begin_datagrams(self, number=0):
        """First fragments of datagrams in both directions pass; returns the rest, each with what it must become."""
        lab, rest, self.began = self.lab, [], time.monotonic()
        host = lab.host()
        src = lab.open_udp(host, mapping=MAPPING)
        for ident in range(number + 1, number + 9):
            out = lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(16), id=ident)
            back = lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(16), id=100 + ident)
            for wire, far, p, q in ((lab.inside, lab.outside, out, lab.going_out(out, src)),
                                    (lab.outside, lab.inside, back, lab.coming_in(back, host, 5000))):
                wire.send(fragment(p, 1, True))
                far.expect(fragment(q, 1, True))
                rest.append((wire, fragment(p, 1, False), far, fragment(q, 1, False)))
        return rest

    def end_datagrams(self, rest):
        """Unless a slow machine took longer than any version keeps a datagram."""
        if time.monotonic() - self.began > DATAGRAM_KEPT - 5:
            return
        for wire, packet, far, wanted in rest:
            wire.send(packet)
            far.expect(wanted)


def use(monkeypatch, directory):
    monkeypatch.setattr(programs, "AGENT", directory / "detnat-agent")


def taken_over(agent, layout):
    wait_for(lambda: pins_of(agent) == ["v8"], what="the old pins to go")
    wait_for(lambda: f"the datapath of layout {layout} was taken over as layout 8" in agent.log_text(), what="the takeover to be logged")


def hand_back(agent, layout, monkeypatch, own, old, meanwhile=lambda: None):
    use(monkeypatch, own)
    process = offered(agent)
    use(monkeypatch, old)
    meanwhile()
    assert agent.once("-t").status == 0
    agent.start()
    assert process.wait(30) == 0, agent.log_end()
    assert process.stdout.read() == b"1.0.0 has taken the datapath over\n"
    wait_for(lambda: pins_of(agent) == [f"v{layout}"], what="the newer pins to go")


def upgrade_and_back(lab, layout, monkeypatch, rename=None, **config):
    own, old = programs.BUILD, releases.build(layout)
    use(monkeypatch, old)
    monkeypatch.setattr(programs, "CTL", own / "detnatctl")
    gateway = Gateway(lab, **config)
    agent = gateway.agent
    assert pins_of(agent) == [f"v{layout}"]
    if rename:
        lab.gateway.batch(f"link set {rename} down", f"link set {rename} name renamed", "link set renamed up")
    datagrams = gateway.begin_datagrams()
    before, counters = gateway.state(), agent.counters()
    with gateway.traffic:
        agent.stop()
        use(monkeypatch, own)
        assert agent.once("-t").status == 0
        agent.start()
        taken_over(agent, layout)
    gateway.end_datagrams(datagrams)
    assert gateway.state() == before
    assert agent.ctl("check")["findings"] == []
    assert beyond(agent) > 4 and "are lost" not in agent.log_text()
    now = agent.counters()
    assert all(now[name] >= n for name, n in counters.items() if name != "redirect_errors")
    assert now["sessions_opened"] == counters["sessions_opened"]
    # Back: a version that does not know the layout says so, and the datapath goes on.
    with gateway.traffic.again():
        agent.stop()
        use(monkeypatch, old)
        for options in (["-t"], []):
            result = agent.once(*options)
            assert result.status == 2 and "layout 8" in result.err and "continues unchanged" in result.err, result
        use(monkeypatch, own)
        agent.start()
    assert gateway.state() == before
    if rename:
        assert {i["name"]: i["xdp"] for i in agent.ctl("interface", "list")}[rename] == "native"
        # 1.0.0 looks for the interface by its name alone.
        lab.gateway.batch("link set renamed down", f"link set renamed name {rename}", f"link set {rename} up")
    datagrams = gateway.begin_datagrams(20)
    before, counters = gateway.state(), agent.counters()
    with gateway.traffic.again():
        hand_back(agent, layout, monkeypatch, own, old)
    gateway.end_datagrams(datagrams)
    assert gateway.state() == before
    assert agent.ctl("check")["findings"] == []
    assert agent.counters()["sessions_opened"] == counters["sessions_opened"]


@pytest.mark.parametrize("layout", releases.COMMITS)
@pytest.mark.parametrize("mode", MODES)
def test_an_upgrade_from_the_last_release_loses_nothing(lab, monkeypatch, mode, layout):
    upgrade_and_back(lab, layout, monkeypatch, **MODES[mode])


@pytest.mark.parametrize("layout", releases.COMMITS)
def test_an_upgrade_with_forty_interfaces_loses_nothing(lab, monkeypatch, layout):
    lab.gateway.batch(*(f"link add x{i} type veth peer name y{i}" for i in range(40)), *(f"link set x{i} up" for i in range(40)))
    # One has another name by then, and is followed by its index.
    upgrade_and_back(lab, layout, monkeypatch, rename="x7",
                     interfaces={"inside": ["in0", *(f"x{i}" for i in range(40))], "outside": ["out0"]})


@pytest.mark.parametrize("layout", releases.COMMITS)
@pytest.mark.parametrize("mode", ["redirect-native", "tc"])
def test_sessions_opened_while_1_0_0_takes_over_go_on(lab, monkeypatch, mode, layout):
    """Of TCP and UDP, in slots and beyond them, from the offer on."""
    own, old = programs.BUILD, releases.build(layout)
    monkeypatch.setattr(programs, "CTL", own / "detnatctl")
    agent = lab.start(mappings=[MAPPING], session_slots=16, **MODES[mode])
    crowd, other = lab.host(), lab.host()
    sources = {(crowd, port): lab.open_udp(crowd, port, mapping=MAPPING) for port in range(5000, 5012)}
    connections = {other: lab.handshake(other, mapping=MAPPING)}

    def meanwhile():
        sources.update({(crowd, port): lab.open_udp(crowd, port, mapping=MAPPING) for port in range(5012, 5030)})
        connections[crowd] = lab.handshake(crowd, 6000, mapping=MAPPING)

    hand_back(agent, layout, monkeypatch, own, old, meanwhile)
    assert agent.counters()["sessions_overflowed"] > 4
    for (host, port), src in sources.items():
        lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, port)
        assert lab.open_udp(host, port, mapping=MAPPING) == src
    for host, src in connections.items():
        lab.tcp_in(host, src, "PA", 5000 if host is other else 6000, seq=501, ack=101)
        lab.tcp_out(host, src, "PA", 5000 if host is other else 6000, seq=101, ack=502)
    assert len(agent.ctl("session", "list", "--all")) == len(sources) + len(connections)
    assert agent.ctl("check")["findings"] == []


def beyond(agent):
    return agent.ctl("check")["checked"]["overflow_sessions"]


@pytest.mark.parametrize("layout", releases.COMMITS)
@pytest.mark.parametrize("mode", ["redirect-native", "redirect-stages", "tc"])
def test_sessions_in_extents_go_on_at_1_0_0_and_after_it(lab, monkeypatch, mode, layout):
    """1.0.0 has them in its hash, and the next upgrade puts them into extents again."""
    own, old = programs.BUILD, releases.build(layout)
    monkeypatch.setattr(programs, "CTL", own / "detnatctl")
    gateway = Gateway(lab, **MODES[mode])
    agent = gateway.agent
    before, there = gateway.state(), beyond(agent)
    assert there > 4
    with gateway.traffic:
        hand_back(agent, layout, monkeypatch, own, old)
    assert gateway.state() == before
    assert agent.ctl("check")["findings"] == []
    assert beyond(agent) == there
    with gateway.traffic.again():
        agent.stop()
        use(monkeypatch, own)
        agent.start()
        taken_over(agent, layout)
    assert gateway.state() == before
    assert agent.ctl("check")["findings"] == []
    assert beyond(agent) == there


@pytest.mark.parametrize("mode", ["kernel", "tc"])
def test_the_way_back_of_a_gateway_that_1_0_0_never_ran_on_loses_nothing(lab, monkeypatch, mode):
    """Its interfaces have a clsact qdisc, for which 1.0.0 would stop what the kernel is sending."""
    own, old = programs.BUILD, releases.build(6)
    monkeypatch.setattr(programs, "CTL", own / "detnatctl")
    agent = lab.start(mappings=[MAPPING], session_slots=16, **MODES[mode])
    with flooded(lab) as wait:
        hand_back(agent, 6, monkeypatch, own, old)
        wait(100)
    assert tc_programs.filtered(lab.gateway, "out0", "egress") == ["tc_outside"]


@pytest.mark.parametrize("layout", releases.COMMITS)
def test_the_way_back_of_an_unprivileged_agent(lab, accounts, monkeypatch, layout):
    """Root hands back the pins of a user, by whom 1.0.0 starts."""
    own, old = programs.BUILD, releases.build(layout)
    monkeypatch.setattr(programs, "CTL", own / "detnatctl")
    agent = test_privileges.prepared(lab, mappings=[MAPPING], session_slots=16)
    prefix = agent.prefix
    agent.start()
    host = lab.host()
    sources = [lab.open_udp(host, port, mapping=MAPPING) for port in range(5000, 5024)]
    # Root reads no file in a directory of the user's.
    owner, agent.prefix = agent.directory.stat(), ()
    os.chown(agent.directory, 0, 0)
    process = offered(agent)
    assert {p.stat().st_uid for p in (agent.pins / "v7").iterdir()} == {owner.st_uid}
    os.chown(agent.directory, owner.st_uid, owner.st_gid)
    agent.prefix = prefix
    use(monkeypatch, old)
    agent.start()
    assert process.wait(30) == 0, agent.log_end()
    wait_for(lambda: pins_of(agent) == [f"v{layout}"], what="the newer pins to go")
    for port, src in zip(range(5000, 5024), sources):
        lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, port)
    assert agent.ctl("check")["findings"] == []


@pytest.mark.parametrize("mode", ["kernel", "tc"])
def test_the_way_back_by_replace_shows_no_inside_address(lab, monkeypatch, mode):
    """1.0.0 knows no tcx links: they go with the pins that it removes, once its filters are there. And forward again."""
    own, old = programs.BUILD, releases.build(6)
    monkeypatch.setattr(programs, "CTL", own / "detnatctl")
    agent = lab.start(**MODES[mode])
    for directory, option in ((old, ["--replace"]), (own, [])):
        with flooded(lab, lost=10**6 if option else 0) as wait:
            agent.stop()
            use(monkeypatch, directory)
            agent.start(*option)
            wait(200)
        at = tc_programs.linked(lab.gateway, "out0", "egress"), tc_programs.filtered(lab.gateway, "out0", "egress")
        assert at == (([], ["tc_outside"]) if option else (["tc_outside"], []))

# SPDX-License-Identifier: BSD-2-Clause
"""Names with `*`: interfaces that come and go, and "*", wherever packets come from."""

import ipaddress
import itertools
import json
import os
import pathlib
import threading

import pytest
import tc_programs
import wire
from agent import wait_for
from lab import GATEWAY_OUT, OUT_MAC, ROUTER, SERVER, block_of
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether
from test_identity_radius import hidden
from test_tc_alone import filters
from tun import Tun

XDP_MODE = "auto"  # interfaces without an Ethernet header, bridges and the like have no native XDP

PPP = {"inside": ["in0", "ppp*"], "outside": ["out0"]}
ANY = {"inside": ["*"], "outside": ["out0"]}

# As many interfaces as come and go at once; PATTERN_INTERFACES=1000 is the full test.
INTERFACES = int(os.environ.get("PATTERN_INTERFACES", "40"))


def listed(lab):
    return {i["name"]: i for i in lab.agent.ctl("interface", "list")}


def attached(lab, name):
    i = listed(lab).get(name)
    return i is not None and i["xdp"] != "absent"


def ppp(lab, name="ppp0", addr="10.0.9.9"):
    """A subscriber behind an interface without an Ethernet header."""
    tun = Tun(lab.gateway, name)
    lab.at_end(tun.close)
    lab.gateway.ip("route", "add", f"{addr}/32", "dev", name)
    return tun


def passes(lab, tun, addr="10.0.9.9", port=5000):
    """A packet goes out translated, and its answer comes back."""
    src = block_of(addr).first_choice(port)
    tun.send(IP(src=addr, dst=SERVER) / UDP(sport=port, dport=53) / b"question")
    out = lab.outside.packet()
    assert (out[IP].src, out[UDP].sport, out[IP].ttl) == (*src, 63)
    lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"))
    back = tun.receive()
    assert (back.dst, back[UDP].dport, bytes(back[UDP].payload)) == (addr, port, b"answer")


def test_an_interface_that_matches_translates_as_soon_as_it_comes(lab):
    lab.start(interfaces=PPP, xdp_mode="auto")
    pattern = listed(lab)["ppp*"]
    assert (pattern["role"], pattern["xdp"], pattern["matches"], pattern["problem"]) == ("inside", "absent", 0, "no interface matches now")
    tun = ppp(lab)
    wait_for(lambda: attached(lab, "ppp0"), what="ppp0")
    row = listed(lab)["ppp0"]
    assert (row["role"], row["xdp"], row["xdp_reason"], row["pattern"]) == ("inside", "none", "has no Ethernet header", "ppp*")
    pattern = listed(lab)["ppp*"]
    assert (pattern["xdp"], pattern["matches"], pattern["problem"]) == ("none", 1, None)
    assert listed(lab)["in0"]["pattern"] is None and listed(lab)["in0"]["matches"] is None
    passes(lab, tun)
    assert lab.agent.ctl("check")["findings"] == []
    tun.close()
    wait_for(lambda: "ppp0" not in listed(lab), what="ppp0 to be gone")
    assert listed(lab)["ppp*"]["matches"] == 0
    assert lab.agent.ctl("check")["findings"] == []
    assert "interfaces" not in {t["name"] for t in lab.agent.ctl("status")["troubles"]}


# A kernel's name may have any octet but blanks, / and :; a pattern takes such ones, too.
STRANGERS = {"ppp\x1b]0;x\x07": r'"ppp\x1b]0;x\x07"', "ppp\u202e9": r'"ppp\u{202E}9"', "ppp\udcff": r'"ppp\xff"', 'ppp,"x"': r'"ppp,\"x\""'}


def test_names_of_interfaces_drive_no_terminal(lab):
    agent = lab.start(interfaces=PPP, xdp_mode="auto")
    for name in STRANGERS:
        lab.at_end(Tun(lab.gateway, name, up=False).close)
    wait_for(lambda: listed(lab)["ppp*"]["matches"] == len(STRANGERS), what="all of them")
    text, raw = agent.text("interface", "list"), agent.command("-j", "interface", "list").out
    assert not hidden(text) and not hidden(raw), (text, raw)
    assert {line.split("  ")[0] for line in text.splitlines() if line.startswith('"ppp')} == set(STRANGERS.values()), text
    assert {"ppp\x1b]0;x\x07", "ppp\u202e9", r"ppp\xff", 'ppp,"x"'} <= {i["name"] for i in json.loads(raw)}
    for words in (("status",), ("explain", "10.0.0.2"), ("stats",)):
        assert not hidden(agent.command(*words).out), words
    assert not hidden(agent.log.read_text())


def test_interfaces_that_are_there_before_the_start_translate(lab):
    tun = ppp(lab)
    agent = lab.prepare(interfaces=PPP)
    assert agent.once("-t").status == 0
    agent.start()
    assert attached(lab, "ppp0")
    passes(lab, tun)


def test_a_reload_brings_a_pattern_and_takes_it_away(lab):
    agent = lab.start()
    tun = ppp(lab)
    agent.write(interfaces=PPP)
    agent.ctl("reload")
    assert attached(lab, "ppp0")
    passes(lab, tun)
    agent.ctl("interface", "del", "ppp*", "inside")
    assert "ppp0" not in listed(lab) and filters(lab, "ppp0") == {"ingress": False, "egress": False}
    tun.send(IP(src="10.0.9.9", dst=SERVER) / UDP(sport=5000, dport=53))
    wait_for(lambda: agent.counters()["drop_guard_out"], what="the guard to drop the packet")
    lab.outside.assert_silent()
    agent.ctl("interface", "add", "pp*0", "inside")
    assert listed(lab)["ppp0"]["pattern"] == "pp*0"
    passes(lab, tun)
    assert agent.ctl("check")["findings"] == []


def test_the_longest_pattern_has_an_interface_and_a_name_goes_first(lab):
    ppp(lab)
    ppp(lab, "ppp10", "10.0.9.10")
    ppp(lab, "ppp11", "10.0.9.11")
    lab.start(interfaces={"inside": ["in0", "p*", "ppp10"], "outside": ["out0", "ppp1*"]})
    found = {name: (i["role"], i["pattern"]) for name, i in listed(lab).items() if i["matches"] is None}
    assert found == {"in0": ("inside", None), "out0": ("outside", None), "ppp0": ("inside", "p*"), "ppp10": ("inside", None),
                     "ppp11": ("outside", "ppp1*")}
    assert filters(lab, "ppp11") == {"ingress": True, "egress": True}


def test_an_ethernet_interface_that_matches_runs_xdp(lab):
    lab.start(interfaces={"inside": ["in*"], "outside": ["out*"]}, xdp_mode="native")
    assert {name: (i["xdp"], i["pattern"]) for name, i in listed(lab).items() if i["matches"] is None} == {
        "in0": ("native", "in*"), "out0": ("native", "out*")}
    lab.open_udp(lab.host())


def test_one_that_is_renamed_is_dropped_or_kept_by_its_new_name(lab):
    agent = lab.start(interfaces=PPP)
    tun = ppp(lab)
    wait_for(lambda: attached(lab, "ppp0"), what="ppp0")
    lab.gateway.batch("link set ppp0 down", "link set ppp0 name ppp7", "link set ppp7 up", "route add 10.0.9.9/32 dev ppp7")
    wait_for(lambda: attached(lab, "ppp7"), what="ppp7")
    assert "ppp0" not in listed(lab)
    passes(lab, tun)
    lab.gateway.batch("link set ppp7 down", "link set ppp7 name other", "link set other up", "route add 10.0.9.9/32 dev other")
    wait_for(lambda: "ppp7" not in listed(lab), what="ppp7 to be let go")
    assert filters(lab, "other") == {"ingress": False, "egress": False}
    tun.send(IP(src="10.0.9.9", dst=SERVER) / UDP(sport=5001, dport=53))
    wait_for(lambda: agent.counters()["drop_guard_out"], what="the guard to drop the packet")
    lab.outside.assert_silent()
    assert agent.ctl("check")["findings"] == []


def test_what_is_detached_by_others_is_attached_again(lab):
    lab.start(interfaces=PPP)
    ppp(lab)
    wait_for(lambda: attached(lab, "ppp0"), what="ppp0")
    tc_programs.detach(lab.gateway, "ppp0", "ingress")
    wait_for(lambda: filters(lab, "ppp0")["ingress"], timeout=60, what="the program")


def test_a_kill_keeps_them_translating_and_forgets_those_that_went_meanwhile(lab):
    agent = lab.start(interfaces=PPP)
    stays, goes = ppp(lab), ppp(lab, "ppp1", "10.0.9.10")
    wait_for(lambda: attached(lab, "ppp0") and attached(lab, "ppp1"), what="both")
    passes(lab, stays)
    agent.kill()
    passes(lab, stays)
    goes.close()
    comes = ppp(lab, "ppp2", "10.0.9.11")
    agent.start()
    assert {name for name, i in listed(lab).items() if i["pattern"]} == {"ppp0", "ppp2"}
    passes(lab, stays)
    passes(lab, comes, "10.0.9.11")
    assert agent.ctl("check")["findings"] == []
    agent.stop()


def test_the_end_leaves_nothing_on_them(lab):
    agent = lab.start(interfaces=PPP, on_exit="detach")
    ppp(lab)
    wait_for(lambda: attached(lab, "ppp0"), what="ppp0")
    agent.stop()
    assert filters(lab, "ppp0") == {"ingress": False, "egress": False}


def test_one_that_a_pattern_stands_for_cannot_be_deleted_by_its_name(lab):
    agent = lab.start(interfaces=PPP)
    ppp(lab)
    wait_for(lambda: attached(lab, "ppp0"), what="ppp0")
    assert "ppp0 matches ppp*" in agent.refused("interface", "del", "ppp0", "inside", status=1)


def test_hairpins_between_an_ethernet_and_a_ppp_subscriber(lab):
    """XDP on one side, no Ethernet header on the other; the agent sends what XDP cannot."""
    agent = lab.start(interfaces=PPP, xdp_mode="auto")
    tun, host = ppp(lab), lab.host()
    wait_for(lambda: attached(lab, "ppp0"), what="ppp0")
    assert listed(lab)["in0"]["xdp"] in ("native", "skb", "tc")
    there, here = block_of(host.addr).first_choice(4002), block_of("10.0.9.9").first_choice(4001)
    tun.send(IP(src="10.0.9.9", dst=there[0]) / UDP(sport=4001, dport=there[1]) / b"first")
    wait_for(lambda: agent.counters()["drop_no_session"] == 1, what="the first to be dropped")
    for size in (6, 3000):
        with lab.counting(hairpin_translated=1 if size == 6 else 3):
            payload = UDP(sport=4002, dport=here[1]) / (b"second" * 500)[:size]
            packet = lab.from_inside(host, payload, dst=here[0])
            lab.inside.send(*([packet] if size == 6 else [p for p in fragments_of(packet)]))
            data = b""
            while len(data) < size + 8:
                got = tun.receive()
                assert (got.src, got.dst, got.ttl) == (there[0], "10.0.9.9", 63)
                data += bytes(got.payload)
            assert data[8:] == bytes(payload.payload)
    tun.send(IP(src="10.0.9.9", dst=there[0]) / UDP(sport=4001, dport=there[1]) / b"third")
    got = lab.inside.packet()
    assert (got.dst, got[IP].src, got[UDP].sport, got[IP].dst, got[UDP].dport) == (host.mac, *here, host.addr, 4002)


def fragments_of(packet):
    """The frames of a datagram in fragments of 1400 octets."""
    whole = packet[IP]
    payload = bytes(whole.payload)
    for at in range(0, len(payload), 1400):
        piece = IP(src=whole.src, dst=whole.dst, id=77, proto=whole.proto, ttl=whole.ttl, frag=at // 8,
                   flags="MF" if at + 1400 < len(payload) else 0) / payload[at:at + 1400]
        yield Ether(src=packet.src, dst=packet.dst) / piece


# ---- "*"


def test_whatever_the_kernel_routes_out_is_translated(lab):
    """From interfaces of both kinds that have no role; what is in no mapping, and the gateway's own, is not."""
    agent = lab.start(interfaces=ANY)
    row = listed(lab)["*"]
    assert (row["xdp"], row["xdp_reason"], row["forwarding"]) == ("none", "matches any interface that packets come from", "kernel")
    assert filters(lab, "in0") == {"ingress": False, "egress": False}
    host, tun = lab.host(), ppp(lab)
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    passes(lab, tun)
    assert len(lab.sessions(host.addr)) == 1
    # Nothing is attached where a hairpin comes in: it ends at the pool's blackhole route.
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=block_of("10.0.9.9").first_choice(5000)[1]), dst=block_of("10.0.9.9").addr))
    router = lab.host("10.0.200.1")
    packet = lab.from_inside(router, UDP(sport=5000, dport=53), ttl=9)
    with lab.counting(passed_untranslated=1):
        lab.inside.send(packet)
        out = lab.outside.packet()
    assert (out[IP].src, out[UDP].sport, out[IP].ttl) == ("10.0.200.1", 5000, 8)
    lab.gateway.run("ping", "-c1", "-W1", "-I", GATEWAY_OUT, SERVER, check=False)
    own = lab.outside.packet()
    assert (own[IP].src, own[ICMP].type) == (GATEWAY_OUT, 8)
    assert agent.ctl("check")["findings"] == []


def test_a_routers_error_about_a_subscribers_packet_shows_no_inside_address(lab):
    lab.start(interfaces=ANY)
    host, router = lab.host(), lab.host("10.0.200.1")
    src = lab.open_udp(host)
    quoted = IP(src=SERVER, dst=host.addr, ttl=1) / UDP(sport=53, dport=5000) / b"12345678"
    lab.inside.send(lab.from_inside(router, ICMP(type=3, code=1) / quoted))
    out = lab.outside.packet()
    assert out[IP].src == GATEWAY_OUT
    inner = IP(bytes(out[ICMP].payload))
    assert (inner.dst, inner[UDP].dport) == src
    transit = IP(src=SERVER, dst="10.0.200.2", ttl=1) / UDP(sport=53, dport=5000) / b"12345678"
    lab.inside.send(lab.from_inside(router, ICMP(type=3, code=1) / transit))
    out = lab.outside.packet()
    assert (out[IP].src, IP(bytes(out[ICMP].payload)).dst) == ("10.0.200.1", "10.0.200.2")


def test_an_inside_source_from_outside_is_not_translated(lab):
    lab.start(interfaces=ANY)
    forged = Ether(src="02:00:00:00:02:fe", dst=OUT_MAC) / IP(src="10.0.3.3", dst="203.0.113.9") / UDP(sport=5000, dport=53)
    with lab.counting(drop_martian=1):
        lab.outside.send(forged)
    lab.outside.assert_silent()
    assert lab.sessions("10.0.3.3") == []


def test_a_vrf_of_subscribers_is_translated(lab):
    """A VRF hides which interface a packet came in through, which does not matter here; interfaces in one may be named, too."""
    if lab.gateway.run("ip", "link", "add", "blue", "type", "vrf", "table", "10", check=False).returncode:
        pytest.skip("this kernel has no VRF")
    lab.gateway.batch(
        "link set blue up", "link set in0 master blue",
        f"route add default via {ROUTER} dev out0 table 10", "route add 10.0.0.0/16 dev in0",
    )
    agent = lab.prepare(interfaces=ANY)
    host = lab.host()
    agent.start()
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    agent.write(interfaces={"inside": ["in0"], "outside": ["out0"]}, xdp_mode="none")
    agent.ctl("reload")
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    agent.write(interfaces={"inside": ["in*"], "outside": ["out0"]}, xdp_mode="none")
    agent.ctl("reload")
    assert listed(lab)["in*"]["matches"] == 1


@pytest.mark.parametrize("interfaces,message", [
    ({"inside": ["in0"], "outside": ["*"]}, "cannot be outside"),
    ({"inside": [{"name": "*", "xdp_mode": "native"}], "outside": ["out0"]}, "runs no XDP"),
    ({"inside": ["**"], "outside": ["out0"]}, "write \"*\" for any interface"),
])
def test_names_that_mean_nothing_are_refused(lab, interfaces, message):
    agent = lab.start()
    before = listed(lab)
    agent.write(interfaces=interfaces)
    assert message in agent.refused("reload", status=1)
    assert listed(lab) == before


def test_an_index_beyond_the_tables_is_no_obstacle(lab):
    """PPP's indexes grow: packets from there are translated by their source."""
    lab.start(interfaces=PPP)
    lab.gateway.batch("link add ppp9 index 70000 address 02:00:00:00:09:01 type veth peer name far index 70001", "link set ppp9 up", "link set far up",
                      "addr add 10.0.9.1/32 dev ppp9", "route add 10.0.9.9/32 dev ppp9",
                      "neigh add 10.0.9.9 lladdr 02:00:00:00:09:09 dev ppp9 nud permanent")
    far = wire.Wire(lab.gateway, "far")
    lab.at_end(far.close)
    src = block_of("10.0.9.9").first_choice(5000)
    far.send(Ether(src="02:00:00:00:09:09", dst="02:00:00:00:09:01") / IP(src="10.0.9.9", dst=SERVER) / UDP(sport=5000, dport=53) / b"question")
    out = lab.outside.packet()
    assert (out[IP].src, out[UDP].sport, out[IP].ttl) == (*src, 63)
    lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"))
    back = far.packet()
    assert (back[IP].dst, back[UDP].dport) == ("10.0.9.9", 5000)
    assert listed(lab)["ppp*"]["matches"] == 0


# ---- many


class Crowd:
    """Subscribers behind interfaces without an Ethernet header that come and go, each sending as long as it is there."""

    def __init__(self, lab):
        self.lab = lab
        self.leaked, self.seen = [], set()
        self.there = {}
        self.numbers = itertools.count()
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._watch), threading.Thread(target=self._send)]
        for thread in self.threads:
            thread.start()

    def _watch(self):
        """Every packet outside has an outside source; notes which subscribers' have come."""
        while not self.stopped.is_set():
            frame = self.lab.outside.receive(timeout=0.1)
            if frame is None:
                continue
            source = frame[26:30]
            if source[:3] != b"\x01\x01\x01":
                self.leaked.append(frame)
            self.seen.add(frame[42:46])

    def _send(self):
        while not self.stopped.is_set():
            with self.lock:
                for tun, packet in list(self.there.values()):
                    try:
                        os.write(tun.fd, packet)
                    except OSError:
                        pass  # not up yet
            self.stopped.wait(0.01)

    def come(self, count):
        numbers = [next(self.numbers) for _ in range(count)]
        commands = []
        for n in numbers:
            addr = ipaddress.ip_address("10.0.16.0") + n % 4096
            tun = Tun(self.lab.gateway, f"ppp{n}", up=False)
            packet = bytes(IP(src=str(addr), dst=SERVER) / UDP(sport=5000, dport=53) / n.to_bytes(4, "big"))
            with self.lock:
                self.there[n] = tun, packet
            commands += [f"link set ppp{n} up", f"route add {addr}/32 dev ppp{n}"]
        self.lab.gateway.batch(*commands)
        return numbers

    def go(self, numbers):
        for n in numbers:
            with self.lock:
                tun, _ = self.there.pop(n)
                tun.close()

    def translated(self, numbers):
        return all(n.to_bytes(4, "big") in self.seen for n in numbers)

    def end(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        self.go(list(self.there))


def footprint(agent):
    """Descriptors and octets of memory of the agent."""
    proc = pathlib.Path("/proc") / str(agent.process.pid)
    status = (proc / "status").read_text()
    return len(list((proc / "fd").iterdir())), int(status.split("VmRSS:")[1].split()[0])


def test_hundreds_come_and_go_without_a_leak(lab):
    """No packet leaves with an inside address; every subscriber is translated; nothing grows with those that have gone."""
    # AddressSanitizer would keep what is freed, up to 256 MB.
    agent = lab.prepare(interfaces=PPP, xdp_mode="auto").start(ASAN_OPTIONS="quarantine_size_mb=1:thread_local_quarantine_size_kb=64")
    crowd = Crowd(lab)
    sizes = []
    try:
        for _ in range(4):
            first = crowd.come(INTERFACES // 2)
            second = crowd.come(INTERFACES - len(first))
            wait_for(lambda: crowd.translated(first), timeout=120, what="all of the first to be translated")
            crowd.go(first)
            wait_for(lambda: crowd.translated(second), timeout=120, what="all of the second to be translated")
            crowd.go(second)
            wait_for(lambda: listed(lab)["ppp*"]["matches"] == 0, timeout=60, what="all to be forgotten")
            sizes.append(footprint(agent))
    finally:
        crowd.end()
    assert crowd.leaked == []
    assert sizes[-1][0] <= sizes[0][0] + 3, f"descriptors: {sizes}"
    print(f"descriptors and kB after each round of {INTERFACES}: {sizes}")
    assert sizes[-1][1] < sizes[1][1] + 2048 + 4 * INTERFACES, f"memory: {sizes}"
    assert agent.ctl("check")["findings"] == []
    assert set(listed(lab)) == {"in0", "out0", "ppp*"}

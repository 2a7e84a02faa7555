# SPDX-License-Identifier: BSD-2-Clause
"""Interfaces without XDP: by configuration, by need, one of them alone, without an Ethernet header."""

import pathlib
import shutil
import subprocess

import pytest
import isolation
import strace
import tc_programs
from agent import AGENT, wait_for
from lab import Host, SERVER, block_of
from scapy.layers.inet import IP, TCP, UDP
from test_ctl_trace import ends, seen, steps, traces
from test_history import attach_foreign_program
from tun import Tun


def modes(lab):
    return {i["name"]: (i["xdp"], i["xdp_reason"]) for i in lab.agent.ctl("interface", "list")}


def filters(lab, name):
    return {side: bool(tc_programs.all_of(lab.gateway, name, side)) for side in ("ingress", "egress")}


def test_the_list_says_none_and_why(lab):
    lab.start(xdp_mode="none")
    assert modes(lab) == {"in0": ("none", "configured"), "out0": ("none", "configured")}
    listed = lab.agent.ctl("interface", "list")
    assert {(i["forwarding"], i["forwarding_reason"]) for i in listed} == {("kernel", "no XDP")}
    assert lab.agent.ctl("status")["forwarding"] == "kernel"
    assert filters(lab, "in0") == {"ingress": True, "egress": False}
    assert filters(lab, "out0") == {"ingress": True, "egress": True}
    assert lab.agent.ctl("check")["findings"] == []


def test_one_interface_alone(lab):
    lab.start(interfaces={"inside": ["in0"], "outside": [{"name": "out0", "xdp_mode": "none"}]}, xdp_mode="native")
    assert modes(lab) == {"in0": ("native", None), "out0": ("none", "configured")}
    host = lab.host()
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert lab.agent.ctl("config", "show")["interfaces"]["outside"] == [{"name": "out0", "xdp_mode": "none"}]


@pytest.mark.parametrize("first,then", [("none", "native"), ("native", "none"), ("skb", "none"), ("none", "skb")])
def test_a_reload_changes_the_mode_and_keeps_sessions(lab, first, then):
    agent = lab.start(xdp_mode=first)
    host = lab.host()
    src = lab.open_udp(host)
    agent.write(xdp_mode=then)
    agent.ctl("reload")
    assert {mode for mode, _ in modes(lab).values()} == {then}
    assert filters(lab, "in0")["ingress"] == (then == "none")
    assert filters(lab, "out0") == {"ingress": then == "none", "egress": True}
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert len(lab.sessions(host.addr)) == 1
    assert agent.ctl("check")["findings"] == []


def test_another_program_stays_and_gives_way_later(lab):
    attach_foreign_program(lab, "out0")
    before = lab.gateway.ip("-d", "link", "show", "out0")
    # Where XDP redirects, tc that redirects would be chosen for veth, with or without the program.
    agent = lab.prepare(xdp_mode="auto", forwarding="kernel")
    assert agent.once("-t").status == 0
    agent.start()
    assert modes(lab)["out0"] == ("none", "carries another XDP program")
    assert lab.gateway.ip("-d", "link", "show", "out0") == before
    host = lab.host()
    src = lab.open_udp(host)

    def answered():
        lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1])))
        return agent.counters()["out2in_translated"] > 0

    wait_for(answered, timeout=60, what="the programs for tc alone")
    lab.gateway.ip("link", "set", "dev", "out0", "xdp", "off")
    wait_for(lambda: modes(lab)["out0"][0] in ("native", "skb"), timeout=60, what="XDP on the interface")
    assert filters(lab, "out0")["ingress"] is False


def test_what_is_detached_by_others_is_attached_again(lab):
    lab.start(xdp_mode="none")
    tc_programs.detach(lab.gateway, "out0", "ingress")
    wait_for(lambda: filters(lab, "out0")["ingress"], timeout=60, what="the program")


def test_the_end_leaves_nothing_behind(lab):
    agent = lab.start(xdp_mode="none", on_exit="detach")
    agent.stop()
    for name in ("in0", "out0"):
        assert filters(lab, name) == {"ingress": False, "egress": False}
        assert "clsact" not in lab.gateway.run("tc", "qdisc", "show", "dev", name).stdout


def test_a_kill_keeps_sessions_and_the_translation(lab):
    agent = lab.start(xdp_mode="none")
    host = lab.host()
    src = lab.open_udp(host)
    agent.kill()
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    agent.start()
    assert modes(lab)["out0"] == ("none", "configured")
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    assert len(lab.sessions(host.addr)) == 1


@pytest.fixture
def tun_lab(lab):
    """A subscriber, 10.0.9.9, behind an interface without an Ethernet header."""
    lab.tun = Tun(lab.gateway, "ppp0")
    lab.at_end(lab.tun.close)
    lab.gateway.ip("route", "add", "10.0.9.9/32", "dev", "ppp0")
    return lab


def test_a_subscriber_without_an_ethernet_header(tun_lab):
    lab = tun_lab
    lab.start(xdp_mode="auto", interfaces={"inside": ["ppp0", "in0"], "outside": ["out0"]})
    assert modes(lab)["ppp0"] == ("none", "has no Ethernet header")
    src = block_of("10.0.9.9").first_choice(5000)
    lab.tun.send(IP(src="10.0.9.9", dst=SERVER) / UDP(sport=5000, dport=53) / b"question")
    out = lab.outside.packet()
    assert (out[IP].src, out[UDP].sport, out[IP].ttl) == (*src, 63)
    lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"))
    back = lab.tun.receive()
    assert (back.dst, back[UDP].dport, bytes(back[UDP].payload)) == ("10.0.9.9", 5000, b"answer")
    want = back.copy()
    del want[IP].chksum, want[UDP].chksum
    assert bytes(IP(bytes(want))) == bytes(back), "checksums"


def test_hairpins_from_and_to_it(tun_lab):
    """Between a subscriber without and one with an Ethernet header, both ways."""
    lab = tun_lab
    lab.start(xdp_mode="none", interfaces={"inside": ["ppp0", "in0"], "outside": ["out0"]})
    host = lab.host()
    lab.gateway.ip("neigh", "replace", host.addr, "lladdr", host.mac, "dev", "in0", "nud", "permanent")
    there, here = block_of(host.addr).first_choice(4002), block_of("10.0.9.9").first_choice(4001)
    lab.tun.send(IP(src="10.0.9.9", dst=there[0]) / UDP(sport=4001, dport=there[1]) / b"first")
    wait_for(lambda: lab.agent.counters()["drop_no_session"] == 1, what="the first to be dropped")
    lab.inside.send(lab.from_inside(host, UDP(sport=4002, dport=here[1]) / b"second", dst=here[0]))
    got = lab.tun.receive()
    assert (got.src, got[UDP].sport, got.dst, got[UDP].dport, got.ttl) == (*there, "10.0.9.9", 4001, 63)
    lab.tun.send(IP(src="10.0.9.9", dst=there[0]) / UDP(sport=4001, dport=there[1]) / b"third")
    got = lab.inside.packet()
    assert (got.dst, got[IP].src, got[UDP].sport, got[IP].dst, got[UDP].dport) == (host.mac, *here, host.addr, 4002)
    assert lab.agent.counters()["hairpin_translated"] == 2


def test_an_outside_interface_without_an_ethernet_header(lab):
    lab.tun = Tun(lab.gateway, "tun0")
    lab.at_end(lab.tun.close)
    lab.gateway.batch("addr add 192.0.2.1/32 dev tun0", "route replace default dev tun0")
    lab.start(xdp_mode="auto", interfaces={"inside": ["in0"], "outside": ["tun0"]})
    host = lab.host()
    src = block_of(host.addr).first_choice(5000)
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53) / b"question", dst="203.0.113.5"))
    out = lab.tun.receive()
    assert (out.src, out[UDP].sport, out.dst, out.ttl) == (*src, "203.0.113.5", 63)
    want = out.copy()
    del want[IP].chksum, want[UDP].chksum
    assert bytes(IP(bytes(want))) == bytes(out), "checksums"
    lab.tun.send(IP(src="203.0.113.5", dst=src[0], ttl=9) / UDP(sport=53, dport=src[1]) / b"answer")
    back = lab.inside.packet()
    assert (back.dst, back[IP].dst, back[UDP].dport, back[IP].ttl) == (host.mac, host.addr, 5000, 8)
    lab.inside.send(lab.from_inside(host, TCP(sport=5000, dport=80, flags="S"), dst="203.0.113.5"))
    assert lab.tun.receive().src == src[0]


def test_an_outside_interface_that_comes_later(lab):
    agent = lab.prepare(xdp_mode="auto", interfaces={"inside": ["in0"], "outside": ["out0", "tun0"]})
    agent.start()
    lab.tun = Tun(lab.gateway, "tun0")
    lab.at_end(lab.tun.close)
    wait_for(lambda: modes(lab)["tun0"] == ("none", "has no Ethernet header"), timeout=60, what="the interface")
    lab.gateway.batch("addr add 192.0.2.1/32 dev tun0", "route add 203.0.113.0/24 dev tun0")
    host = lab.host()
    lab.inside.send(lab.from_inside(host, UDP(sport=5000, dport=53), dst="203.0.113.5"))
    assert lab.tun.receive().src == block_of(host.addr).addr


def in_pieces(packet):
    """Both fragments of an IPv4 packet, the first with 16 octets."""
    payload = bytes(packet.payload)
    header = {"src": packet.src, "dst": packet.dst, "proto": packet.proto, "ttl": packet.ttl, "id": 99}
    return IP(**header, flags="MF") / payload[:16], IP(**header, frag=2) / payload[16:]


def test_fragments_in_any_order_without_an_ethernet_header(tun_lab):
    """The later one waits with the agent for the first, from inside and from outside."""
    lab = tun_lab
    wan = Tun(lab.gateway, "tun1")
    lab.at_end(wan.close)
    lab.gateway.batch("addr add 192.0.2.1/32 dev tun1", "route add 203.0.113.0/24 dev tun1")
    agent = lab.start(xdp_mode="auto", interfaces={"inside": ["ppp0", "in0"], "outside": ["out0", "tun1"]})
    src, peer = block_of("10.0.9.9").first_choice(5000), "203.0.113.5"
    first, later = in_pieces(IP(bytes(IP(src="10.0.9.9", dst=peer) / UDP(sport=5000, dport=53) / bytes(range(64)))))
    lab.tun.send(later)
    wait_for(lambda: agent.counters()["fragments_parked"] == 1, what="the later fragment to wait")
    lab.tun.send(first)
    got = sorted((wan.receive(), wan.receive()), key=lambda p: p.frag)
    assert [(p.src, p.dst, p.frag, p.ttl) for p in got] == [(src[0], peer, 0, 63), (src[0], peer, 2, 63)]
    assert UDP(bytes(got[0].payload)).sport == src[1] and bytes(got[1].payload) == bytes(later.payload)
    answer = IP(bytes(IP(src=peer, dst=src[0]) / UDP(sport=53, dport=src[1]) / bytes(range(64))))
    first, later = in_pieces(answer)
    wan.send(later)
    wait_for(lambda: agent.counters()["fragments_parked"] == 2, what="the later fragment to wait")
    wan.send(first)
    got = sorted((lab.tun.receive(), lab.tun.receive()), key=lambda p: p.frag)
    assert [(p.src, p.dst, p.frag, p.ttl) for p in got] == [(peer, "10.0.9.9", 0, 63), (peer, "10.0.9.9", 2, 63)]
    assert UDP(bytes(got[0].payload)).dport == 5000 and bytes(got[1].payload) == bytes(later.payload)


def test_unsolicited_tcp_is_answered_without_an_ethernet_header(lab):
    wan = Tun(lab.gateway, "tun1")
    lab.at_end(wan.close)
    lab.gateway.batch("addr add 192.0.2.1/32 dev tun1", "route add 203.0.113.0/24 dev tun1")
    lab.start(xdp_mode="auto", interfaces={"inside": ["in0"], "outside": ["out0", "tun1"]}, unsolicited_tcp="answer")
    src = block_of("10.0.9.9").first_choice(5000)
    wan.send(IP(src="203.0.113.5", dst=src[0]) / TCP(sport=80, dport=src[1], flags="A", seq=7, ack=9))
    reset = wan.receive()
    assert (reset.src, reset.dst, reset[TCP].sport, reset[TCP].dport, reset[TCP].flags, reset[TCP].seq) == (
        src[0], "203.0.113.5", src[1], 80, "R", 9)
    want = reset.copy()
    del want[IP].chksum, want[TCP].chksum
    assert bytes(IP(bytes(want))) == bytes(reset), "checksums"


def test_an_own_address_as_a_source_is_dropped_as_by_the_kernel(lab):
    """Where the kernel would let it pass (accept_local), too."""
    lab.start(xdp_mode="none")
    host = lab.host()
    lab.gateway.sysctl("net.ipv4.conf.in0.accept_local", 1)
    lab.gateway.ip("addr", "add", "10.0.7.7/32", "dev", "lo")
    lab.settle()
    forged = lab.from_inside(Host("10.0.7.7", host.mac), UDP(sport=5000, dport=53))
    with lab.counting(drop_martian=1):
        lab.inside.send(forged)
    lab.outside.assert_silent()
    assert lab.sessions("10.0.7.7") == []


def shown_as_they_are(agent):
    return agent.ctl("trace", "show")


def test_a_trace_shows_a_packet_at_both_ends(lab):
    agent = lab.start(xdp_mode="none")
    host = lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    up, out, back = traces(agent, 3, look=shown_as_they_are)
    inside, outside, server = f"{host.addr}:5000", f"{src[0]}:{src[1]}", f"{SERVER}:53"
    assert seen(up) == ("in0", "ingress", "passed_untranslated") and steps(up)[-1] == "to-kernel"
    assert seen(out) == ("out0", "tc", "in2out_translated") and steps(out)[-1] == "sent"
    assert seen(back) == ("out0", "ingress", "out2in_translated") and steps(back)[-1] == "to-kernel"
    assert ends(up) == ((inside, server), (inside, server)) and ends(out) == ((inside, server), (outside, server))
    assert ends(back) == ((server, outside), (server, inside))


def test_a_trace_shows_hairpins_without_an_ethernet_header(tun_lab):
    lab = tun_lab
    agent = lab.start(xdp_mode="none", interfaces={"inside": ["ppp0", "in0"], "outside": ["out0"]})
    host = lab.host()
    there, here = block_of(host.addr).first_choice(4002), block_of("10.0.9.9").first_choice(4001)
    lab.inside.send(lab.from_inside(host, UDP(sport=4002, dport=here[1]), dst=here[0]))
    wait_for(lambda: agent.counters()["drop_no_session"] == 1, what="the first to be dropped")
    agent.ctl("trace", "start", "--in", "10.0.9.9")
    lab.tun.send(IP(src="10.0.9.9", dst=there[0]) / UDP(sport=4001, dport=there[1]) / b"back")
    (trace,) = traces(agent, 1, look=shown_as_they_are)
    assert seen(trace) == ("ppp0", "ingress", "hairpin_translated") and steps(trace)[-1] == "sent"
    assert ends(trace) == (("10.0.9.9:4001", f"{there[0]}:{there[1]}"), (f"{here[0]}:{here[1]}", f"{host.addr}:4002"))


@pytest.fixture
def killed(lab):
    """An agent that was killed, with its programs in place: in filters, which stay without pins."""
    with isolation.hidden_mounts():
        agent = lab.start(xdp_mode="none")
    agent.kill()
    assert carrying(lab) == {"in0": ["ingress"], "out0": ["ingress", "egress"]}
    return agent


def carrying(lab):
    return {name: [side for side, found in filters(lab, name).items() if found] for name in ("in0", "out0")}


NOTHING = {"in0": [], "out0": []}


def elsewhere(agent):
    """Moves the agent's pins away; their directory."""
    return next(agent.pins.glob("v*")).rename(agent.pins / "elsewhere")


def test_detach_finds_programs_whose_pins_are_gone(lab, killed):
    shutil.rmtree(next(killed.pins.glob("v*")))
    killed.detach()
    assert carrying(lab) == NOTHING


def test_detach_gives_the_kernel_time_to_notice_that_pins_are_gone(lab, killed):
    pins = elsewhere(killed)
    detach = lab.gateway.popen(*strace.prefix("clock_nanosleep", "delay_enter"), AGENT, "--detach", "-c", killed.path,
                               stdout=subprocess.PIPE, text=True)
    # The number of the system call in which it is held, on x86 and on ARM.
    wait_for(lambda: pathlib.Path(f"/proc/{detach.pid}/syscall").read_text().split()[0] in ("230", "115"), what="the command to wait")
    shutil.rmtree(pins)
    strace.let_go(detach.pid)
    assert detach.communicate(timeout=20)[0] == "detached\n"
    assert carrying(lab) == NOTHING


def test_detach_leaves_a_datapath_with_pins_elsewhere_alone(lab, killed):
    before, pins = carrying(lab), elsewhere(killed)
    killed.detach()
    assert carrying(lab) == before
    shutil.rmtree(pins)
    killed.detach()
    assert carrying(lab) == NOTHING

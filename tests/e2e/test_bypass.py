# SPDX-License-Identifier: BSD-2-Clause
"""Destinations towards which nothing is translated (bypass, RFC 6888 REQ-6)."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Raw

from lab import MAPPING, SERVER, Lab, block_of

FRIEND = "192.0.2.55"
ANOTHER = "203.0.113.9"


@pytest.fixture(scope="module")
def bypass_lab(run_directory, mode):
    it = Lab(run_directory)
    try:
        it.start(bypass=["192.0.2.0/25", "192.0.2.32/27", "203.0.113.9/32", "10.0.0.0/8"], **mode)
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def clean_wires(request):
    if "bypass_lab" in request.fixturenames:
        shared = request.getfixturevalue("bypass_lab")
        shared.inside.clear()
        shared.outside.clear()


PAYLOADS = {
    "UDP": UDP(sport=5000, dport=53) / b"question",
    "TCP": TCP(sport=5000, dport=80, flags="S"),
    "ping": ICMP(type=8, id=7),
    "an ICMP error": ICMP(type=3, code=3) / IP(src=FRIEND, dst="10.0.0.9") / UDP(sport=53, dport=5000),
    "GRE": Raw(b"\x00\x00\x08\x00 and so on"),
}


def protocol(name):
    return {"proto": 47} if name == "GRE" else {}


@pytest.mark.parametrize("name", PAYLOADS)
def test_packets_pass_untranslated_in_both_directions(bypass_lab, name):
    lab = bypass_lab
    host = lab.host()
    with lab.counting(passed_untranslated=None):
        for dst in (FRIEND, ANOTHER, "192.0.2.0", "192.0.2.127"):
            lab.send_out(lab.from_inside(host, PAYLOADS[name], dst=dst, **protocol(name)), (host.addr, None))
            lab.send_in(lab.from_outside(host.addr, PAYLOADS[name], src=dst, **protocol(name)), host, None)
    assert lab.sessions(host.addr) == []


@pytest.mark.parametrize("dst", [SERVER, "192.0.2.128", "192.0.1.255", "203.0.113.8", "203.0.113.10"])
def test_everything_else_is_translated(bypass_lab, dst):
    lab = bypass_lab
    host = lab.host()
    lab.open_udp(host, dst=dst)
    assert len(lab.sessions(host.addr)) == 1
    with lab.counting(drop_direct_to_inside=1):
        lab.outside.send(lab.from_outside(host.addr, UDP(sport=53, dport=5000), src=dst))
    lab.inside.assert_silent()


def test_no_packet_from_outside_enters_with_an_inside_source(bypass_lab):
    """10.0.0.0/8 is bypassed, and the subscribers are in it: outside, their addresses are a lie."""
    lab = bypass_lab
    host, victim = lab.host(), lab.host()
    with lab.counting(drop_direct_to_inside=1):
        lab.outside.send(lab.from_outside(victim.addr, UDP(sport=1, dport=2), src=host.addr))
    lab.inside.assert_silent()
    # Others of that prefix are let in.
    lab.send_in(lab.from_outside(victim.addr, UDP(sport=1, dport=2), src="10.99.0.1"), victim, None)


def test_subscribers_still_reach_each_other_by_outside_addresses(lab, mode):
    lab.start(bypass=["0.0.0.0/0"], **mode)
    caller, callee = lab.host(), lab.host()
    its, own = block_of(callee.addr).first_choice(2000), block_of(caller.addr).first_choice(3000)
    with lab.counting(drop_no_session=1):
        lab.inside.send(lab.from_inside(callee, UDP(sport=2000, dport=own[1]), dst=own[0]))
    with lab.counting(hairpin_translated=1):
        lab.inside.send(lab.from_inside(caller, UDP(sport=3000, dport=its[1]), dst=its[0]))
    lab.inside.packet()
    lab.send_out(lab.from_inside(caller, UDP(sport=3000, dport=53)), (caller.addr, None))


def test_a_reload_changes_it(lab, mode):
    lab.start(**mode)
    host = lab.host()
    packet = lab.from_inside(host, UDP(sport=5000, dport=53), dst=FRIEND)
    src = block_of(host.addr).first_choice(5000)
    lab.send_out(packet, src)
    lab.agent.write(bypass=["192.0.2.0/24"])
    lab.agent.ctl("reload")
    lab.send_out(packet, (host.addr, None))
    # What a session is waiting for still comes.
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]), src=FRIEND), host, 5000)
    lab.agent.write(bypass=["192.0.2.0/26"])
    lab.agent.ctl("reload")
    lab.send_out(packet, (host.addr, None))
    lab.agent.write(bypass=["192.0.2.0/27"])
    lab.agent.ctl("reload")
    lab.send_out(packet, src)
    lab.agent.write(bypass=["192.0.2.55/32"])
    lab.agent.restart()
    lab.send_out(packet, (host.addr, None))
    lab.agent.write(bypass=None)
    lab.agent.restart()
    lab.send_out(packet, src)


def test_the_maximum_number_of_prefixes(lab):
    prefixes = [f"100.100.{n}.64/26" for n in range(256)]
    lab.start(bypass=prefixes)
    host = lab.host()
    for n in (0, 1, 127, 128, 200, 255):
        for last, translated in ((63, True), (64, False), (127, False), (128, True)):
            packet = lab.from_inside(host, UDP(sport=5000, dport=53), dst=f"100.100.{n}.{last}")
            lab.send_out(packet, block_of(host.addr).first_choice(5000) if translated else (host.addr, None))


def test_changes_of_mappings_do_not_affect_bypass(lab):
    """A mapping added while there is a bypass, and one deleted."""
    lab.start(bypass=["192.0.2.0/24"], mappings=[])
    host = lab.host()
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53), dst=FRIEND), (host.addr, None))
    lab.agent.ctl("mapping", "add", MAPPING["in"], MAPPING["out"])
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53), dst=FRIEND), (host.addr, None))
    lab.open_udp(host)

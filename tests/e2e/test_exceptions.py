# SPDX-License-Identifier: BSD-2-Clause
"""Mappings within a mapping: exceptions, one with open inbound, and addresses that are not translated."""

import json
import pathlib
import re
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

import packets
from agent import CTL, execute
from lab import IN_MAC, MAPPING, SERVER, Lab, block_of

ACME = {"in": "10.0.5.77/32", "out": "1.1.2.9/32"}
BIG = {"in": "10.0.6.0/27", "out": "1.1.2.10/31"}
OPEN = {"in": "10.0.7.0/30", "out": "1.1.2.32/30"}
ROUTED = "10.0.8.1/32"


@pytest.fixture(scope="module")
def exceptions_lab(run_directory, mode):
    it = Lab(run_directory)
    try:
        it.start(unmatched="drop", mappings=[
            {**MAPPING, "name": "residential"}, {**ACME, "name": "acme"}, {**BIG, "sessions_per_user": 8000},
            {**OPEN, "name": "servers", "inbound": "open"}, {"in": ROUTED, "out": None, "name": "routed"}], **mode)
        yield it
    finally:
        it.close()


@pytest.fixture(autouse=True)
def clean_wires(request):
    if "exceptions_lab" in request.fixturenames:
        shared = request.getfixturevalue("exceptions_lab")
        shared.inside.clear()
        shared.outside.clear()


def test_each_subscriber_leaves_by_the_mapping_of_the_longest_prefix(exceptions_lab):
    lab = exceptions_lab
    for addr, mapping in (("10.0.5.76", MAPPING), ("10.0.5.77", ACME), ("10.0.5.78", MAPPING),
                          ("10.0.6.0", BIG), ("10.0.6.31", BIG), ("10.0.6.32", MAPPING)):
        host = lab.host(addr)
        src = lab.open_udp(host, mapping=mapping)
        lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 5000)
        lab.handshake(host, 5001, mapping=mapping)
        assert len(lab.sessions(addr)) == 2


def test_what_is_open_is_reached_from_outside_without_a_session(exceptions_lab):
    lab = exceptions_lab
    host, out = lab.host("10.0.7.2"), "1.1.2.34"
    for payload in (TCP(sport=40000, dport=22, flags="S"), UDP(sport=40000, dport=53) / b"q", ICMP(type=8, id=7) / b"ping",
                    TCP(sport=40000, dport=8080, flags="PA") / b"data"):
        lab.send_in(lab.from_outside(out, payload), host, None)
    for payload in (TCP(sport=22, dport=40000, flags="SA"), UDP(sport=53, dport=40000) / b"a", ICMP(type=0, id=7) / b"ping",
                    ICMP(type=8, id=0) / b"ping"):
        lab.send_out(lab.from_inside(host, payload), (out, None))
    assert lab.sessions(host.addr) == []


def test_fragments_pass_where_inbound_is_open(exceptions_lab):
    lab = exceptions_lab
    host, out = lab.host("10.0.7.1"), "1.1.2.33"
    for fragment in (dict(flags="MF", frag=0), dict(flags=0, frag=3)):
        payload = (UDP(sport=53, dport=5000, len=40) / bytes(16)) if not fragment["frag"] else bytes(16)
        lab.send_in(lab.from_outside(out, payload, proto=17, id=77, **fragment), host, None)
        lab.send_out(lab.from_inside(host, payload, proto=17, id=78, **fragment), (out, None))


def test_icmp_errors_where_inbound_is_open(exceptions_lab):
    lab = exceptions_lab
    host, out = lab.host("10.0.7.0"), "1.1.2.32"
    error = ICMP(type=3, code=4, nexthopmtu=1400)
    packet = lab.from_outside(out, error / IP(src=out, dst=SERVER) / UDP(sport=22, dport=53) / bytes(8), src="192.0.2.200")
    lab.outside.send(packet)
    lab.inside.expect(lab.coming_in(lab.from_outside(
        out, error / IP(src=host.addr, dst=SERVER) / UDP(sport=22, dport=53) / bytes(8), src="192.0.2.200"), host, None))


def test_what_is_not_translated_passes_whatever_unmatched_says(exceptions_lab):
    lab = exceptions_lab
    host = lab.host("10.0.8.1")
    for payload in (UDP(sport=5000, dport=53) / b"q", TCP(sport=5000, dport=80, flags="S"), ICMP(type=8, id=7)):
        lab.send_out(lab.from_inside(host, payload), (host.addr, None))
        lab.send_in(lab.from_outside(host.addr, payload), host, None)
    with lab.counting(drop_direct_to_inside=1):
        lab.outside.send(lab.from_outside("10.0.8.2", UDP(sport=1, dport=2)))
    lab.inside.assert_silent()


def test_exceptions_are_shown_with_the_mapping_around_them(exceptions_lab):
    agent = exceptions_lab.agent
    by_name = {m["name"]: m for m in agent.ctl("mapping", "list")}
    assert by_name["residential"]["within"] is None and by_name["acme"]["within"] == MAPPING["in"]
    assert by_name["servers"]["inbound"] == "open" and by_name["servers"]["session_slots"] == 0
    assert by_name["routed"]["out"] is None and by_name["routed"]["inbound"] is None and by_name["routed"]["memory_bytes"] == 0
    assert agent.ctl("forward", "10.0.5.77")["out_addr"] == "1.1.2.9"
    assert agent.ctl("forward", "10.0.7.2") == {
        "in_addr": "10.0.7.2", "out_addr": "1.1.2.34", "port_lo": 0, "port_hi": 65535, "mapping": "servers"}
    assert "not translated" in agent.refused("forward", "10.0.8.1")
    assert agent.ctl("reverse", "1.1.2.34:22")["in_addr"] == "10.0.7.2"
    table = agent.text("mapping", "list")
    assert "none" in table and "open" in table


def test_a_port_in_the_block_of_an_excepted_subscriber_is_kept(exceptions_lab):
    agent = exceptions_lab.agent
    block = block_of("10.0.5.77")
    endpoint = f"{block.addr}:{block.lo}"
    wanted = f"{endpoint} is kept for 10.0.5.77, which acme (10.0.5.77/32) maps to 1.1.2.9"
    assert wanted in agent.refused("reverse", endpoint)
    explained = execute(CTL, "-s", agent.socket, "-j", "explain", endpoint) if hasattr(agent, "socket") else None
    if explained:
        assert explained.status == 1 and "is kept for 10.0.5.77" in explained.out


@pytest.mark.parametrize("arguments,reason", [
    ((MAPPING["in"], "9.9.9.0/24"), "is the inside range of another mapping already: mapping add --replace puts"),
    (("10.0.9.0/24", "9.9.9.0/25", "--inbound", "open"), "needs an outside address for each inside address"),
    (("10.0.9.0/24", "none", "--inbound", "open"), "reachable already"),
    (("10.0.9.0/24", "1.1.2.0/24"), "overlaps"),
], ids=lambda v: v if isinstance(v, str) else "-")
def test_bad_exceptions_are_refused(exceptions_lab, arguments, reason):
    before = exceptions_lab.agent.ctl("mapping", "list")
    assert reason in exceptions_lab.agent.refused("mapping", "add", *arguments)
    assert len(exceptions_lab.agent.ctl("mapping", "list")) == len(before)


def history(agent):
    """Without confirmations, which follow on their own."""
    with open(f"{agent.state}/history.jsonl", encoding="utf-8") as file:
        return [record for record in map(json.loads, file) if record["event"] != "confirm"]


def next_second():
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.02)


def test_an_exception_takes_effect_at_once_and_gives_the_block_back(lab):
    agent = lab.start()
    host = lab.host("10.0.5.77")
    src = lab.open_udp(host)
    assert len(lab.sessions(host.addr)) == 1
    next_second()
    text = agent.text("mapping", "add", ACME["in"], ACME["out"], "--name", "acme")
    assert text.startswith("added 10.0.5.77/32 to 1.1.2.9/32") and text.rstrip().endswith("inside 10.0.0.0/18")
    assert lab.sessions(host.addr) == []
    lab.open_udp(host, mapping=ACME)

    def ended():
        lab.inside.clear()
        before = agent.counters()["drop_no_session"]
        lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1])))
        time.sleep(0.02)
        return agent.counters()["drop_no_session"] > before

    deadline = time.monotonic() + 20
    while not ended():
        assert time.monotonic() < deadline, "the session in the enclosing mapping has not ended"
    assert agent.ctl("check")["findings"] == []
    next_second()
    between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    next_second()
    agent.ctl("mapping", "del", "acme")
    next_second()
    lab.inside.clear()
    assert lab.sessions(host.addr) == []
    assert lab.open_udp(host) == src
    endpoint = f"{src[0]}:{src[1]}"
    kept = execute(CTL, "-j", "who", endpoint, "--at", between, "--state-dir", agent.state)
    assert kept.status == 1 and "the port was kept for 10.0.5.77, which was mapped to 1.1.2.9" in kept.err
    now = execute(CTL, "-j", "who", endpoint, "--state-dir", agent.state)
    assert json.loads(now.out)["in_addr"] == host.addr
    there = execute(CTL, "-j", "who", "1.1.2.9:5000", "--at", between, "--state-dir", agent.state)
    assert json.loads(there.out)["in_addr"] == host.addr


def test_explain_of_a_pool_address_leaves_excepted_subscribers_out(lab):
    agent = lab.start(mappings=[MAPPING, ACME])
    lab.open_udp(lab.host("10.0.5.77"), mapping=ACME)
    lab.open_udp(lab.host("10.0.5.78"))
    pool = agent.ctl("explain", "1.1.1.0")["pool"]
    assert (pool["subscribers"], pool["excepted"], pool["active"], pool["sessions"]) == (4095, 1, 1, 1)
    assert "4095, 10.0.0.0 to 10.0.15.255 without 1 exceptions; with sessions 1" in agent.text("explain", "1.1.1.0")
    own = agent.ctl("explain", "1.1.2.9")["pool"]
    assert (own["subscribers"], own["excepted"], own["active"], own["sessions"]) == (1, 0, 1, 1)


def test_a_deleted_enclosing_mapping_leaves_exceptions_as_they_are(lab):
    agent = lab.start(mappings=[MAPPING, ACME])
    host, other = lab.host("10.0.5.77"), lab.host("10.0.5.78")
    lab.open_udp(host, mapping=ACME)
    agent.ctl("mapping", "del", MAPPING["in"], MAPPING["out"])
    assert len(lab.sessions(host.addr)) == 1
    lab.open_udp(host, 5001, mapping=ACME)
    with lab.counting(drop_no_mapping=1):
        lab.inside.send(lab.from_inside(other, UDP(sport=5000, dport=53)))
    agent.ctl("mapping", "add", MAPPING["in"], MAPPING["out"])
    lab.outside.clear()
    lab.open_udp(other)
    lab.open_udp(host, 5002, mapping=ACME)
    assert len(lab.sessions(host.addr)) == 3


def test_inbound_and_none_are_set_and_taken_back_while_running(lab):
    agent = lab.start()
    host = lab.host("10.0.5.77")
    agent.ctl("mapping", "add", ACME["in"], ACME["out"], "--inbound", "open")
    lab.send_in(lab.from_outside("1.1.2.9", TCP(sport=1000, dport=22, flags="S")), host, None)
    assert history(agent)[-1]["inbound"] == "open"
    who = execute(CTL, "-j", "who", "1.1.2.9:22", "--state-dir", agent.state)
    assert json.loads(who.out)["in_addr"] == host.addr
    agent.ctl("mapping", "del", ACME["in"])
    agent.ctl("mapping", "add", ACME["in"], "none")
    assert history(agent)[-1]["out"] is None
    lab.send_in(lab.from_outside(host.addr, TCP(sport=1000, dport=22, flags="S")), host, None)
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53)), (host.addr, None))
    agent.restart()
    lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53)), (host.addr, None))
    assert [m["out"] for m in agent.ctl("mapping", "list")] == [MAPPING["out"], None]
    agent.ctl("mapping", "del", ACME["in"])
    lab.open_udp(host, 5003)
    with lab.counting(drop_direct_to_inside=1):
        lab.outside.send(lab.from_outside(host.addr, TCP(sport=1000, dport=22, flags="S")))


def loaded_programs(agent):
    """The numbers of the BPF programs that an agent has loaded and holds."""
    found = set()
    for info in pathlib.Path(f"/proc/{agent.process.pid}/fdinfo").iterdir():
        found.update(re.findall(r"prog_id:\s*(\d+)", info.read_text()))
    return found


def test_what_is_not_translated_comes_and_goes_without_loading_programs(lab):
    agent = lab.start(unmatched="drop")
    host, neighbour = lab.host("10.0.5.77"), lab.host("10.0.5.76")
    before = loaded_programs(agent)
    assert before
    for address, mapped in ((host.addr + "/32", False), ("10.0.5.76/31", False), ("10.0.5.76/32", True)):
        agent.ctl("mapping", "add", address, "1.1.2.9/32" if mapped else "none")
        lab.send_out(lab.from_inside(host, UDP(sport=5000, dport=53)), (host.addr, None))
    lab.open_udp(neighbour, mapping={"in": "10.0.5.76/32", "out": "1.1.2.9/32"})
    for address in ("10.0.5.76/32", "10.0.5.77/32"):
        agent.ctl("mapping", "del", address)
    for known in (host, neighbour):
        lab.send_out(lab.from_inside(known, UDP(sport=5000, dport=53)), (known.addr, None))
    agent.ctl("mapping", "del", "10.0.0.0/18")
    lab.send_out(lab.from_inside(host, UDP(sport=5001, dport=53)), (host.addr, None))
    with lab.counting(drop_no_mapping=1):
        lab.inside.send(lab.from_inside(lab.host("10.0.5.78"), UDP(sport=5000, dport=53)))
    agent.ctl("mapping", "del", "10.0.5.76/31")
    with lab.counting(drop_no_mapping=2):
        for known in (host, neighbour):
            lab.inside.send(lab.from_inside(known, UDP(sport=5002, dport=53)))
    assert loaded_programs(agent) == before


def test_a_thousand_exceptions_are_loaded_and_reloaded(lab):
    many = [{"in": f"10.0.{i // 30}.{2 + i % 30 * 8}/32", "out": f"9.0.{i // 250}.{i % 250}/32"} for i in range(997)]
    agent = lab.start(mappings=[MAPPING, *many, {**OPEN, "inbound": "open"}, {"in": ROUTED, "out": None}])
    first = lab.host("10.0.0.2")
    lab.open_udp(first, mapping=many[0])
    lab.open_udp(lab.host("10.0.0.3"))
    agent.ctl("reload")
    assert len(agent.ctl("mapping", "list")) == 1000
    assert len(lab.sessions(first.addr)) == 1
    assert agent.ctl("check")["findings"] == []


def turns(lab, packet, host, src=None, dst=None):
    """A packet from inside that arrives inside, translated on one side."""
    lab.inside.send(packet)
    lab.inside.expect(packets.translated(packet, (IN_MAC, host.mac), src=src, dst=dst))


def test_what_is_not_translated_reaches_a_neighbour_by_its_pool_address(exceptions_lab):
    lab = exceptions_lab
    routed, server, home = lab.host("10.0.8.1"), lab.host("10.0.7.2"), lab.host("10.0.9.9")
    out = block_of(home.addr).addr
    lab.agent.ctl("portmap", "add", "tcp", f"{home.addr}:8080", f"{out}:80")
    with lab.counting(hairpin_translated=6):
        for host, port, seen in ((server, 80, ("1.1.2.34", 80)), (home, 8080, (out, 80))):
            turns(lab, lab.from_inside(routed, TCP(sport=5000, dport=seen[1], flags="S"), dst=seen[0]), host, dst=(host.addr, port))
            turns(lab, lab.from_inside(host, TCP(sport=port, dport=5000, flags="SA"), dst=routed.addr), routed, src=seen)
            turns(lab, lab.from_inside(routed, TCP(sport=5000, dport=seen[1], flags="A"), dst=seen[0]), host, dst=(host.addr, port))
    # By the inside address it is routed, as it is. The kernel would tell of a shorter way.
    for name in ("all", "in0"):
        lab.gateway.sysctl(f"net.ipv4.conf.{name}.send_redirects", 0)
    turns(lab, lab.from_inside(routed, TCP(sport=5001, dport=8080, flags="S"), dst=home.addr), home)
    turns(lab, lab.from_inside(home, TCP(sport=8080, dport=5001, flags="SA"), dst=routed.addr), routed)
    assert lab.sessions(home.addr) == lab.sessions(server.addr) == []


def test_answers_to_what_is_not_translated_go_on_over_a_restart(exceptions_lab):
    lab = exceptions_lab
    routed, server = lab.host("10.0.8.1"), lab.host("10.0.7.2")
    turns(lab, lab.from_inside(routed, UDP(sport=5002, dport=53) / b"q", dst="1.1.2.34"), server, dst=(server.addr, None))
    lab.agent.stop()
    lab.agent.start()
    turns(lab, lab.from_inside(server, UDP(sport=53, dport=5002) / b"a", dst=routed.addr), routed, src=("1.1.2.34", None))

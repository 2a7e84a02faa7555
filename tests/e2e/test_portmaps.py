# SPDX-License-Identifier: BSD-2-Clause
"""Portmaps: outside endpoints that anyone reaches, without a session."""

import json
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

import packets
import shapes
from agent import wait_for
from lab import GATEWAY_OUT, IN_MAC, MAPPING, SERVER, Lab, block_of
from test_ctl_trace import traces
from test_history import ask
from xdp_mode import NONE

STRANGER = "192.0.2.77"
# With a portmap in the file, the programs stay when others come and go.
KEPT = {"name": "kept", "proto": "tcp", "in": "10.0.60.1:9", "out": "1.1.1.3:9"}


@pytest.fixture(scope="module")
def portmap_lab(run_directory):
    it = Lab(run_directory)
    try:
        it.start(portmaps=[KEPT])
        yield it
    finally:
        it.close()


@pytest.fixture
def portmaps(portmap_lab):
    """The lab, whose agent has the portmap of the file alone again afterwards."""
    portmap_lab.inside.clear()
    portmap_lab.outside.clear()
    yield portmap_lab
    portmap_lab.agent.ctl("reload")


def listed_of(agent):
    return [m for m in agent.ctl("portmap", "list") if m["name"] != KEPT["name"]]


def out_of(host):
    return block_of(host.addr).addr


def add(lab, host, proto="tcp", port=443, out=None, *options):
    """Adds a portmap of a host; returns its outside endpoint."""
    out = out or (out_of(host), 443)
    lab.agent.ctl("portmap", "add", proto, f"{host.addr}:{port}", "%s:%d" % out, *options)
    return out


def reaches(lab, host, out, port, payload=TCP, dst=STRANGER):
    """A packet from anyone outside reaches the host, and its answer leaves by the portmap."""
    more = {"flags": "S"} if payload is TCP else {}
    lab.send_in(lab.from_outside(out[0], payload(sport=999, dport=out[1], **more) / b"in", dst), host, port)
    lab.send_out(lab.from_inside(host, payload(sport=port, dport=999) / b"out", dst), out)


def next_second():
    """Records have whole seconds."""
    then = time.time() + 1.1
    wait_for(lambda: time.time() > then, what="the next second")


def history(agent):
    """Without confirmations, which follow on their own."""
    lines = map(json.loads, (agent.state / "history.jsonl").read_text().splitlines())
    return [record for record in lines if record["event"] != "confirm"]


def test_add_list_and_del(portmaps):
    host = portmaps.host()
    out = out_of(host)
    added = portmaps.agent.ctl("portmap", "add", "tcp", f"{host.addr}:8443", f"{out}:443", "--name", "web")
    assert added == {"name": "web", "proto": "tcp", "in_addr": host.addr, "in_port": 8443, "out_addr": out, "out_port": 443, "ports": 1}
    reaches(portmaps, host, (out, 443), 8443)
    (listed,) = shapes.assert_all(listed_of(portmaps.agent), shapes.PORTMAP)
    assert {k: v for k, v in added.items() if k != "ports"}.items() <= listed.items()
    assert (listed["origin"], listed["expires"], listed["packets_in"], listed["packets_out"]) == ("static", None, 1, 1)
    assert portmaps.agent.ctl("portmap", "list", host.addr) == portmaps.agent.ctl("portmap", "list", out) == [listed]
    assert portmaps.agent.ctl("portmap", "list", "10.0.0.99") == []
    assert portmaps.agent.ctl("portmap", "del", "tcp", f"{out}:443") == {}
    assert listed_of(portmaps.agent) == []
    with portmaps.counting(drop_no_session=1):
        portmaps.outside.send(portmaps.from_outside(out, TCP(sport=999, dport=443, flags="S"), STRANGER))


def test_texts(portmaps):
    host = portmaps.host()
    out = out_of(host)
    agent = portmaps.agent
    assert agent.text("portmap", "add", "both", f"{host.addr}:8000-8002", f"{out}:800-802", "--name", "cam") \
        == f"added both {out}:800-802 to {host.addr}:8000-8002\n"
    assert agent.text("portmap", "list").count("cam") == 6
    assert agent.text("reverse", f"{out}:801") == f"{host.addr}\nPortmap: cam (tcp to {host.addr}:8001)\n"
    assert agent.text("portmap", "del", "udp", f"{out}:801") == f"deleted udp {out}:801\n"
    assert [(m["proto"], m["out_port"]) for m in listed_of(agent)] \
        == [("tcp", 800), ("udp", 800), ("tcp", 801), ("tcp", 802), ("udp", 802)]
    assert agent.ctl("portmap", "del", "both", f"{out}:800-802") == {}
    assert agent.text("portmap", "list", host.addr) == "no portmaps\n"


def test_without_an_outside_endpoint_it_is_the_first_choice(portmaps):
    host = portmaps.host()
    out = block_of(host.addr).first_choice(3074)
    added = portmaps.agent.ctl("portmap", "add", "udp", f"{host.addr}:3074")
    assert (added["out_addr"], added["out_port"]) == out
    reaches(portmaps, host, out, 3074, UDP)
    assert portmaps.sessions(host.addr) == []


@pytest.mark.parametrize("arguments,said", [
    (("tcp", "10.0.0.2:443", "1.1.1.1:443"), "10.0.0.2 leaves through 1.1.1.0, not 1.1.1.1: name a port of 1.1.1.0, or omit OUT"),
    (("tcp", "10.0.0.2:443", "1.1.1.0:1069"), "port 1069 of 1.1.1.0 is in the block of 10.0.0.3: take one of 1054 to 1068, or below 1024"),
    (("tcp", "10.0.0.2:443-445", "1.1.1.0:443-444"), "OUT has 2 ports, and IN has 3"),
    (("tcp", "192.0.2.1:443", "1.1.1.0:443"), "192.0.2.1 is not an inside address of any mapping; `detnatctl mapping list` shows them"),
    (("tcp", "10.0.0.2:443", "1.1.1.0:80"), "tcp 1.1.1.0:80 is taken by another portmap, first"),
    (("tcp", "10.0.0.2:8080", "1.1.1.0:81"), "tcp 10.0.0.2:8080 is taken by another portmap, first"),
])
def test_what_cannot_be_is_refused_with_the_reason(portmaps, arguments, said):
    portmaps.agent.ctl("portmap", "add", "tcp", "10.0.0.2:8080", "1.1.1.0:80", "--name", "first")
    before = portmaps.agent.ctl("portmap", "list")
    assert said in portmaps.agent.refused("portmap", "add", *arguments)
    assert portmaps.agent.ctl("portmap", "list") == before


def test_what_is_reachable_already_has_no_portmaps(portmaps):
    agent = portmaps.agent
    agent.ctl("mapping", "add", "10.0.7.1/32", "1.1.2.9/32", "--inbound", "open", "--name", "acme")
    agent.ctl("mapping", "add", "10.0.7.2/32", "none")
    said = agent.refused("portmap", "add", "tcp", "10.0.7.1:443", "--name", "web")
    assert said.endswith("all ports of 10.0.7.1 are reachable already, as it is in a mapping with `inbound` open\n")
    assert "10.0.7.2 are reachable already, as it is not translated\n" in agent.refused("portmap", "add", "tcp", "10.0.7.2:443")
    agent.ctl("portmap", "add", "tcp", "10.0.7.3:443", "--name", "shop")
    before = agent.ctl("config")
    for out in ("none", "1.1.2.10/32"):
        options = () if out == "none" else ("--inbound", "open")
        assert "portmap shop must be deleted" in agent.refused("mapping", "add", "10.0.7.3/32", out, *options)
    assert agent.ctl("config") == before


@pytest.mark.parametrize("arguments", [
    ("icmp", "10.0.0.2:443", "1.1.1.0:443"), ("tcp", "10.0.0.2:0", "1.1.1.0:443"), ("tcp", "10.0.0.2:443", "1.1.1.0:65536"),
    ("tcp", "10.0.0.2:9-8", "1.1.1.0:9-8"), ("tcp", "10.0.0.2", "1.1.1.0:443"),
])
def test_malformed_arguments_are_refused(portmaps, arguments):
    portmaps.agent.refused("portmap", "add", *arguments, status=2)


def test_of_one_that_is_not_there_del_says_so(portmaps):
    assert "there is no portmap of tcp 1.1.1.0:444 outside" in portmaps.agent.refused("portmap", "del", "tcp", "1.1.1.0:444")


def test_a_name_stands_for_the_portmap_that_alone_has_it(portmaps):
    agent = portmaps.agent
    for port in (443, 444):
        agent.ctl("portmap", "add", "tcp", f"10.0.0.2:{port}", f"1.1.1.0:{port}", "--name", "web")
    agent.ctl("portmap", "add", "both", "10.0.0.3:80-81", "1.1.1.0:80-81", "--name", "shop")
    assert agent.text("portmap", "del", "shop") == "deleted shop\n"
    before = agent.ctl("portmap", "list")
    assert len(before) == 3
    said = agent.refused("portmap", "del", "web")
    assert "2 portmaps are named web; name one by its protocol and outside port: tcp 1.1.1.0:443, tcp 1.1.1.0:444" in said
    assert "there is no portmap named shop" in agent.refused("portmap", "del", "shop")
    for words in (("tcp",), ("web", "1.1.1.0:443"), ("a/b",)):
        agent.refused("portmap", "del", *words, status=2)
    assert agent.ctl("portmap", "list") == before
    assert agent.ctl("portmap", "del", "kept") == {}


def test_reverse_shows_the_portmap_of_a_port(portmaps):
    alice, bob = portmaps.host("10.0.0.2"), portmaps.host("10.0.0.3")
    add(portmaps, alice, "tcp", 443, ("1.1.1.0", 443), "--name", "web")
    add(portmaps, bob, "udp", 443, ("1.1.1.0", 443))
    found = shapes.assert_shape(portmaps.agent.ctl("reverse", "1.1.1.0:443"), shapes.REVERSE)
    assert found["in_addr"] == alice.addr and found["portmap"]["name"] == "web"
    assert found["portmap_udp"]["in_addr"] == bob.addr
    assert "portmap" not in portmaps.agent.ctl("reverse", "1.1.1.0:1054")


def test_a_session_goes_first_and_runs_on(portmaps):
    host = portmaps.host()
    src = portmaps.open_udp(host, 3074)
    out = add(portmaps, host, "udp", 3074)
    portmaps.open_udp(host, 3074)
    portmaps.send_in(portmaps.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"), host, 3074)
    reaches(portmaps, host, out, 3074, UDP)
    assert len(portmaps.sessions(host.addr)) == 1


def test_a_hairpin_needs_nothing_from_the_other_side(portmaps):
    server, caller = portmaps.host(), portmaps.host()
    out = add(portmaps, server, "tcp", 8443)
    packet = portmaps.from_inside(caller, TCP(sport=7000, dport=out[1], flags="S"), dst=out[0])
    with portmaps.counting(hairpin_translated=1, portmap_in=1):
        portmaps.inside.send(packet)
        portmaps.inside.expect(packets.translated(packet, (IN_MAC, server.mac), src=block_of(caller.addr).first_choice(7000),
                                                  dst=(server.addr, 8443)))


def test_a_flood_from_many_sources_opens_nothing_and_is_counted(portmaps):
    host = portmaps.host()
    out = add(portmaps, host)
    session = portmaps.open_udp(host)
    sources = [f"192.0.2.{n}" for n in range(1, 201)]
    with portmaps.counting(out2in_translated=200, portmap_in=200):
        portmaps.outside.send(*(portmaps.from_outside(out[0], TCP(sport=n + 1024, dport=out[1], flags="S"), source)
                                for n, source in enumerate(sources)))
    portmaps.inside.drain()
    assert [(s["out_addr"], s["out_port"]) for s in portmaps.sessions(host.addr)] == [session]
    assert portmaps.agent.ctl("user", "show", host.addr)["sessions"] == 1


def test_a_subscriber_cannot_be_taken_for_a_sender_from_outside(portmaps):
    host = portmaps.host()
    out = add(portmaps, host)
    # Without XDP the kernel is the one that drops what has an address of its own as the source.
    with portmaps.counting(**({"drop_martian": 2, "portmap_in": 1} if NONE else {"drop_martian": 3})):
        portmaps.outside.send(*(portmaps.from_outside(out[0], TCP(sport=9, dport=out[1], flags="S"), source)
                                for source in ("10.0.9.9", "1.1.1.3", GATEWAY_OUT)))
    portmaps.inside.assert_silent()


def test_changes_stand_in_the_configuration_and_a_reload_undoes_them(portmaps):
    host = portmaps.host()
    add(portmaps, host, "both", 443, (out_of(host), 443), "--name", "web")
    assert portmaps.agent.ctl("config", "show")["portmaps"] \
        == [KEPT, {"name": "web", "proto": "both", "in": f"{host.addr}:443", "out": f"{out_of(host)}:443"}]
    portmaps.agent.ctl("reload")
    assert listed_of(portmaps.agent) == []


def test_the_history_has_their_beginning_and_end(portmaps):
    host = portmaps.host()
    out = add(portmaps, host)
    begun = history(portmaps.agent)[-1]
    assert {"event": "portmap", "proto": "tcp", "in": f"{host.addr}:443", "out": "%s:%d" % out, "to": None}.items() <= begun.items()
    portmaps.agent.ctl("portmap", "del", "tcp", "%s:%d" % out)
    ended = history(portmaps.agent)[-1]
    assert ended["event"] == "portmap" and ended["from"] == begun["from"] and ended["to"] == ended["time"]
    portmaps.agent.text("history", "verify", "--state-dir", str(portmaps.agent.state))


def test_who_names_the_portmap_of_a_port_below_the_blocks(portmaps):
    host = portmaps.host()
    out = "%s:%d" % add(portmaps, host)
    there = ("--state-dir", str(portmaps.agent.state))
    who = shapes.assert_shape(portmaps.agent.ctl("who", out, *there), shapes.WHO)
    assert who["in_addr"] == host.addr and who["mapping"] == MAPPING
    assert who["portmap"]["proto"] == "tcp" and who["portmap"]["in"] == f"{host.addr}:443"
    assert f"Portmap:        tcp to {host.addr}:443\n" in portmaps.agent.text("who", out, *there)
    next_second()
    portmaps.agent.ctl("portmap", "del", "tcp", out)
    next_second()
    portmaps.agent.refused("who", out, *there)
    assert portmaps.agent.ctl("who", out, "--at", who["from"], *there)["in_addr"] == host.addr


def test_a_list_of_questions_names_both_subscribers_of_a_port_that_tcp_and_udp_share(portmaps):
    agent, alice, bob = portmaps.agent, portmaps.host("10.0.0.2"), portmaps.host("10.0.0.3")
    add(portmaps, alice, "tcp", 443, ("1.1.1.0", 443))
    add(portmaps, bob, "udp", 443, ("1.1.1.0", 443))
    next_second()
    status, out, err = ask(agent, "now 1.1.1.0:443\n")
    assert status == 0 and out.endswith(f" (portmap tcp to {alice.addr}:443, udp to {bob.addr}:443)\n"), (out, err)
    (row,) = json.loads(ask(agent, "now 1.1.1.0:443\n", "-j")[1])
    assert [holder["in_addr"] for holder in row["holders"]] == [alice.addr, bob.addr] and "also" not in row


def test_explain_tells_that_a_portmap_lets_in(portmaps):
    host = portmaps.host()
    out = add(portmaps, host, "tcp", 8443)
    for place in ("%s:%d" % out, f"{host.addr}:8443"):
        (found,) = [f for f in portmaps.agent.ctl("explain", place)["findings"] if f["reason"] == "portmap"]
        assert not found["drops"] and found["text"].startswith("a portmap leads tcp %s:%d to %s:8443" % (*out, host.addr))
    assert not any(f["drops"] for f in portmaps.agent.ctl("explain", "%s:%d" % out)["findings"])


def test_a_trace_of_the_subscriber_has_what_a_portmap_takes(portmaps):
    """By a port of no block too, which says by itself nothing of the subscriber; and errors about what left by it."""
    agent, host = portmaps.agent, portmaps.host()
    out = add(portmaps, host, "tcp", 8443)
    agent.ctl("trace", "start", "--in", host.addr)
    reaches(portmaps, host, out, 8443)
    error = portmaps.from_outside(out[0], ICMP(type=3, code=1) / IP(src=out[0], dst=STRANGER) / TCP(sport=out[1], dport=999), STRANGER)
    with portmaps.counting(icmp_error_translated=1):
        portmaps.outside.send(error)
    found = traces(agent, 3)
    agent.ctl("trace", "stop")
    assert [(t["interface"], t["verdict"]) for t in found] \
        == [("out0", "out2in_translated"), ("in0", "in2out_translated"), ("out0", "icmp_error_translated")]
    first, last = found[0]["steps"][0], found[0]["steps"][-1]
    assert (first["dst"], last["dst"]) == ("%s:%d" % out, f"{host.addr}:8443")


def test_check_finds_what_was_taken_from_the_map(portmaps):
    host = portmaps.host()
    out = add(portmaps, host, "tcp", 443)
    assert portmaps.agent.ctl("check")["checked"]["portmaps"] == 2
    key = [int(n) for n in reversed(out[0].split("."))] + [out[1] & 255, out[1] >> 8, 6, 1]
    portmaps.gateway.run("bpftool", "map", "delete", "pinned", str(next(portmaps.agent.pins.rglob("portmaps"))), "key", *map(str, key))
    found = json.loads(portmaps.agent.command("-j", "check").out)
    assert [f["what"] for f in found["findings"]] == ["portmap"]
    portmaps.agent.command("check", "--repair")
    assert portmaps.agent.ctl("check")["findings"] == []
    reaches(portmaps, host, out, 443)


def test_survive_a_kill_a_restart_and_the_absence_of_an_agent(lab):
    agent = lab.start()
    host = lab.host()
    out = add(lab, host, "tcp", 443)
    agent.ctl("portmap", "add", "udp", f"{host.addr}:3074", "--name", "xbox")
    before = agent.ctl("portmap", "list")
    agent.kill()
    reaches(lab, host, out, 443)
    agent.start()
    assert [{**m, "packets_in": 0, "packets_out": 0} for m in agent.ctl("portmap", "list")] == before
    reaches(lab, host, out, 443)
    agent.restart()
    reaches(lab, host, out, 443)
    assert agent.ctl("check")["findings"] == []


def test_of_the_file_they_are_there_at_the_start_and_a_reload_follows_it(lab):
    host = lab.host("10.0.0.2")
    agent = lab.start(portmaps=[{"name": "web", "proto": "tcp", "in": "10.0.0.2:443", "out": "1.1.1.0:443"}])
    reaches(lab, host, ("1.1.1.0", 443), 443)
    agent.write(portmaps=[{"proto": "tcp", "in": "10.0.0.2:443", "out": "1.1.1.0:444"}])
    agent.ctl("reload")
    reaches(lab, host, ("1.1.1.0", 444), 443)
    assert [m["out_port"] for m in agent.ctl("portmap", "list")] == [444]
    agent.write(mappings=[{"in": "10.1.0.0/18", "out": "1.1.2.0/30"}])
    assert "portmaps[0].in: 10.0.0.2 is not an inside address of any mapping" in agent.refused("reload")
    reaches(lab, host, ("1.1.1.0", 444), 443)
    agent.write(portmaps=None)
    agent.ctl("reload")
    assert agent.ctl("portmap", "list") == []


def test_in_both_ways_of_forwarding(mode_lab):
    host = mode_lab.host()
    out = add(mode_lab, host, "both", 443, (out_of(host), 443))
    reaches(mode_lab, host, out, 443)
    reaches(mode_lab, host, out, 443, UDP)
    reaches(mode_lab, host, out, 443, UDP, dst=SERVER)
    mode_lab.agent.ctl("portmap", "del", "both", "%s:%d" % out)


def test_a_full_list_is_taken_at_once_and_survives_a_restart(lab):
    """65536 portmaps: all ports below the blocks of four addresses, for both protocols, and more in blocks."""
    mapping = {"in": "10.0.0.0/26", "out": "1.1.1.0/26"}
    agent = lab.start(mappings=[mapping])
    full = [{"proto": "both", "in": f"10.0.0.{n}:1-512", "out": f"1.1.1.{n}:1-512"} for n in range(64)]
    agent.write(portmaps=full)
    agent.ctl("reload")
    assert agent.ctl("status")["portmaps"] == 65536
    agent.restart()
    assert agent.ctl("status")["portmaps"] == 65536
    agent.write(portmaps=full + [{"proto": "tcp", "in": "10.0.0.1:600", "out": "1.1.1.1:600"}])
    assert "more than 65536 portmaps" in agent.refused("reload")
    reaches(lab, lab.host("10.0.0.63"), ("1.1.1.63", 512), 512)

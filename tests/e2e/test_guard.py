# SPDX-License-Identifier: BSD-2-Clause
"""The guard: no inside address leaves untranslated and no packet gets in, whatever happens to agent and interfaces."""

import contextlib
import platform
import re
import socket
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import frame_flood
import netns
import packets
from agent import wait_for
from lab import GATEWAY_IN, GATEWAY_OUT, IN_MAC, OUT_MAC, ROUTER, ROUTER_MAC, SERVER, SERVER_MAC
from xdp_mode import xdp_only

THIRD_MAC = "02:00:00:00:03:01"
THIRD_PEER_MAC = "02:00:00:00:03:07"
GATEWAY_THIRD = "172.17.0.1"
THIRD = "172.17.0.2"
OUT = b"MARK-OUT"
IN = b"MARK-IN!"


def table(lab):
    """The ruleset of the gateway's namespace, as nft lists it."""
    return lab.gateway.run("nft", "list", "ruleset").stdout


def interfaces(lab):
    """Names in the guard's set of interfaces."""
    for line in table(lab).split("set interfaces")[1].split("}")[0].splitlines():
        if "elements" in line:
            return sorted(n.strip().strip('"') for n in line.split("{")[1].split(","))
    return []


def make_out0_again(lab, check=True):
    netns.connect(lab.outside_ns, "eth0", lab.gateway, "out0", OUT_MAC)
    set_up_out0(lab)


def set_up_out0(lab):
    """Its addresses and routes, which go with it."""
    lab.gateway.batch(
        "link set out0 up",
        f"addr add {GATEWAY_OUT}/24 dev out0",
        f"route add default via {ROUTER}",
        f"neigh replace {SERVER} lladdr {SERVER_MAC} dev out0 nud permanent",
        f"neigh replace {ROUTER} lladdr {ROUTER_MAC} dev out0 nud permanent",
    )


def make_in0_again(lab):
    netns.connect(lab.inside_ns, "eth0", lab.gateway, "in0", IN_MAC)
    lab.gateway.ip("addr", "add", f"{GATEWAY_IN}/16", "dev", "in0")
    lab.host("10.0.0.9")


@contextlib.contextmanager
def flooded(lab):
    """Traffic from a subscriber to outside, and from outside straight to it: none of it may appear on the other side."""
    host = lab.host("10.0.0.9")
    out = lab.from_inside(host, UDP(sport=5000, dport=53) / OUT)
    direct = lab.from_outside(host.addr, UDP(sport=53, dport=5000) / IN)
    outside, inside = frame_flood.Sniffer(lab.outside_ns), frame_flood.Sniffer(lab.inside_ns)
    with frame_flood.Flood(lab.inside_ns, "eth0", out) as up, frame_flood.Flood(lab.outside_ns, "eth0", direct) as down:
        def enough(packets=300):
            up.wait(packets)
            down.wait(packets)
        enough()
        yield enough
        enough()
    source = socket.inet_aton(host.addr)
    seen, translated = outside.count(source + socket.inet_aton(SERVER), OUT)
    (entered,) = inside.count(IN)
    outside.close()
    inside.close()
    assert (seen, entered) == (0, 0), f"{seen} packets left with an inside source, {entered} came straight in, of {up.sent} and {down.sent}"
    lab.translated = translated


def rename(lab, enough):
    lab.gateway.ip("link", "set", "out0", "name", "wan0")
    enough()
    lab.gateway.ip("link", "set", "wan0", "name", "out0")


def remake_outside(lab, enough):
    lab.gateway.ip("link", "del", "out0")
    make_out0_again(lab)


def remake_inside(lab, enough):
    lab.gateway.ip("link", "del", "in0")
    make_in0_again(lab)


def remake_outside_without_an_agent(lab, enough):
    lab.agent.stop()
    lab.gateway.ip("link", "del", "out0")
    make_out0_again(lab)
    enough()
    lab.agent.start()


def remake_outside_after_a_kill(lab, enough):
    lab.agent.kill()
    lab.gateway.ip("link", "del", "out0")
    make_out0_again(lab)
    enough()
    lab.agent.start()


def take_the_outside_role_away(lab, enough):
    lab.agent.ctl("interface", "del", "out0", "outside")
    enough()
    lab.agent.ctl("interface", "add", "out0", "outside")


def take_the_inside_role_away(lab, enough):
    lab.agent.ctl("interface", "del", "in0", "inside")
    enough()
    lab.agent.ctl("interface", "add", "in0", "inside")


def take_the_programs_off(lab, enough):
    lab.agent.kill()
    lab.agent.start()


def restart(lab, enough):
    lab.agent.restart()


CHANGES = [rename, remake_outside, remake_inside, remake_outside_without_an_agent, remake_outside_after_a_kill,
           take_the_outside_role_away, take_the_inside_role_away, restart]


@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__.replace("_", " "))
@pytest.mark.parametrize("forwarding", ["redirect", "kernel"])
def test_nothing_leaks_under_traffic(lab, forwarding, change):
    lab.start(forwarding=forwarding)
    with flooded(lab) as enough:
        change(lab, enough)
        wait_for(lambda: interfaces(lab) == ["in0", "out0"], what="the guard to open both interfaces")
    assert lab.translated, "nothing was translated"


NEEDING_IT = [remake_outside_without_an_agent, remake_outside_after_a_kill, take_the_outside_role_away, take_the_inside_role_away]


@pytest.mark.parametrize("change", NEEDING_IT, ids=lambda c: c.__name__.replace("_", " "))
def test_without_the_guard_the_same_changes_leak(lab, change):
    """Shows that the test above can fail."""
    lab.start(guard=False)
    with pytest.raises(AssertionError, match="left with an inside source"):
        with flooded(lab) as enough:
            change(lab, enough)
            enough()


def opened_in_turn(lab, change):
    """The interfaces that the guard lets through, by each of its tables that nft reports while change() is made."""
    path = lab.agent.directory / "nft-monitor"
    with open(path, "wb") as file:
        monitor = lab.gateway.popen("nft", "monitor", stdout=file)
    try:
        for name in ("begun", "done"):
            if name == "done":
                change()
            wait_for(lambda name=name: (lab.gateway.run("nft", f"add table ip {name}; delete table ip {name}"),
                                        f"delete table ip {name}" in path.read_text())[1], what="nft's report")
    finally:
        monitor.kill()
        monitor.wait()
    said = path.read_text().split("delete table ip begun")[-1]
    return [re.findall(r'interfaces2? \{ "(\w+)" \}', table) for table in said.split("# new generation")]


@xdp_only
def test_an_interface_is_shut_before_programs_that_others_took_off_are_attached_again(lab):
    lab.start()
    # So soon after it has attached them the agent would wait.
    time.sleep(5.5)

    def take_off():
        lab.gateway.ip("link", "set", "in0", "xdp", "off")
        wait_for(lambda: "xdp" in lab.gateway.ip("link", "show", "in0"), what="the programs")
        wait_for(lambda: interfaces(lab) == ["in0", "out0"], what="the guard to open in0")

    opened = opened_in_turn(lab, take_off)
    assert ["out0"] in opened, opened
    lab.open_udp(lab.host())


# ---- paths that bypass the programs on in0 and out0

ELSEWHERE = "203.0.113.5"


def add_third(lab):
    """A network behind an interface of the gateway that has no role."""
    third = netns.Namespace(lab.gateway.name.replace("gw", "third"))
    lab.at_end(third.delete)
    netns.connect(third, "eth0", lab.gateway, "third0", THIRD_MAC)
    lab.gateway.batch(f"addr add {GATEWAY_THIRD}/24 dev third0", f"neigh add {THIRD} lladdr {THIRD_PEER_MAC} dev third0 nud permanent")
    return third


def out_by_an_interface_without_a_role(lab, host):
    third = add_third(lab)
    lab.gateway.ip("route", "add", "203.0.113.0/24", "via", THIRD)
    return lab.inside_ns, lab.from_inside(host, UDP(sport=5000, dport=53) / OUT, ELSEWHERE), third


def out_of_an_interface_without_a_role(lab, host):
    frame = Ether(src=THIRD_PEER_MAC, dst=THIRD_MAC) / IP(src=host.addr, dst=SERVER) / UDP(sport=5000, dport=53) / OUT
    return add_third(lab), packets.rebuilt(frame), lab.outside_ns


def out_by_a_tunnel(lab, host):
    lab.gateway.batch(
        f"link add vx0 type vxlan id 3 local {GATEWAY_OUT} remote {SERVER} dstport 4789",
        "link set vx0 up",
        "route add 203.0.113.0/24 dev vx0",
        f"neigh add {ELSEWHERE} lladdr {SERVER_MAC} dev vx0 nud permanent",
    )
    return lab.inside_ns, lab.from_inside(host, UDP(sport=5000, dport=53) / OUT, ELSEWHERE), lab.outside_ns


def out_by_a_route_into_a_tunnel(lab, host):
    """The route sets the tunnel's endpoint."""
    lab.gateway.batch(
        "link add vx0 type vxlan external dstport 4789",
        "link set vx0 up",
        f"route add 203.0.113.0/24 encap ip id 3 dst {SERVER} dev vx0",
        f"neigh add {ELSEWHERE} lladdr {SERVER_MAC} dev vx0 nud permanent",
    )
    return lab.inside_ns, lab.from_inside(host, UDP(sport=5000, dport=53) / OUT, ELSEWHERE), lab.outside_ns


def out_by_a_bridge_without_a_role(lab, host):
    third = netns.Namespace(lab.gateway.name.replace("gw", "third"))
    lab.at_end(third.delete)
    netns.connect(third, "eth0", lab.gateway, "third0", THIRD_MAC)
    lab.gateway.batch(
        "link add br0 type bridge", "link set third0 master br0", "link set br0 up",
        f"addr add {GATEWAY_THIRD}/24 dev br0",
        f"neigh add {THIRD} lladdr {THIRD_PEER_MAC} dev br0 nud permanent",
        f"route add 203.0.113.0/24 via {THIRD}",
    )
    return lab.inside_ns, lab.from_inside(host, UDP(sport=5000, dport=53) / OUT, ELSEWHERE), third


def encapsulate(lab, mode, interface, mac):
    """An SRv6 route through an interface of the gateway."""
    lab.gateway.sysctl("net.ipv6.conf.all.forwarding", 1)
    for name in ("in0", interface):
        lab.gateway.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 0)
    lab.gateway.batch(
        f"addr add fd00::1/64 dev {interface} nodad",
        f"neigh add fd00::2 lladdr {mac} dev {interface} nud permanent",
        f"route add 203.0.113.0/24 encap seg6 mode {mode} segs fd00::2 dev {interface}",
    )


def out_by_an_encapsulating_route(lab, host, mode="encap"):
    encapsulate(lab, mode, "out0", SERVER_MAC)
    return lab.inside_ns, lab.from_inside(host, UDP(sport=5000, dport=53) / OUT, ELSEWHERE), lab.outside_ns


def out_by_an_encapsulating_route_of_frames(lab, host):
    return out_by_an_encapsulating_route(lab, host, "l2encap")


def out_by_an_encapsulating_route_without_a_role(lab, host, mode="encap"):
    third = add_third(lab)
    encapsulate(lab, mode, "third0", THIRD_PEER_MAC)
    return lab.inside_ns, lab.from_inside(host, UDP(sport=5000, dport=53) / OUT, ELSEWHERE), third


def out_by_an_encapsulating_route_of_frames_without_a_role(lab, host):
    return out_by_an_encapsulating_route_without_a_role(lab, host, "l2encap")


def out_of_an_interface_without_a_role_by_an_encapsulating_route(lab, host):
    sender, frame, receiver = out_of_an_interface_without_a_role(lab, host)
    encapsulate(lab, "encap", "out0", SERVER_MAC)
    lab.gateway.sysctl("net.ipv6.conf.third0.disable_ipv6", 0)
    frame[IP].dst = ELSEWHERE
    return sender, packets.rebuilt(frame), receiver


def in_by_an_interface_without_a_role(lab, host):
    frame = Ether(src=THIRD_PEER_MAC, dst=THIRD_MAC) / IP(src=THIRD, dst=host.addr) / UDP(sport=53, dport=5000) / OUT
    return add_third(lab), packets.rebuilt(frame), lab.inside_ns


WAYS = [out_by_an_interface_without_a_role, out_of_an_interface_without_a_role, out_by_a_tunnel, out_by_a_route_into_a_tunnel,
        out_by_a_bridge_without_a_role, out_by_an_encapsulating_route, out_by_an_encapsulating_route_of_frames,
        out_by_an_encapsulating_route_without_a_role, out_by_an_encapsulating_route_of_frames_without_a_role,
        out_of_an_interface_without_a_role_by_an_encapsulating_route, in_by_an_interface_without_a_role]


@pytest.mark.parametrize("guard", [True, False], ids=["guard", "no guard"])
@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__.replace("_", " "))
def test_nothing_bypasses_the_programs(lab, way, guard):
    """Without the guard the same packets are seen, so the sniffer watches the right place."""
    lab.start(guard=guard)
    host = lab.host()
    sender, frame, receiver = way(lab, host)
    lab.settle()
    octets = bytes(frame[IP])[12:20] + bytes(frame[UDP])[:4]
    sniffer = frame_flood.Sniffer(receiver)
    with frame_flood.Flood(sender, "eth0", frame) as sent:
        if guard:
            sent.wait(50)
            wait_for(lambda: lab.agent.ctl("status")["guard"]["dropped"] >= 50, what="the guard to have dropped as many")
        else:
            wait_for(lambda: sniffer.count(octets) != [0], what="an untranslated packet, as there is no guard")
    found = sniffer.count(octets)
    sniffer.close()
    assert not guard or found == [0], f"{found[0]} of {sent.sent} packets passed"


# ---- the table

FOREIGN = """
table inet foreign {
    set some {
        type ipv4_addr
        elements = { 192.0.2.1 }
    }

    chain forward {
        type filter hook forward priority filter; policy accept;
        ip saddr @some counter packets 0 bytes 0 accept
    }
}
"""


def test_the_guard_exists_before_the_first_start_and_goes_with_detach(lab):
    agent = lab.prepare()
    lab.gateway.run("nft", "-f", "-", input=FOREIGN)
    before = table(lab)
    assert agent.once("--guard").out == "the guard stands\n"
    assert interfaces(lab) == []
    with flooded(lab):
        pass
    assert not lab.translated
    # Repeated, and with a running agent, it changes nothing.
    assert agent.once("--guard").status == 0
    agent.start()
    stands = table(lab)
    assert interfaces(lab) == ["in0", "out0"] and stands.replace(before, "") != stands
    assert agent.once("--guard").out == "an agent runs, which maintains the guard\n"
    assert interfaces(lab) == ["in0", "out0"]
    agent.stop()
    agent.detach()
    assert table(lab) == before
    assert agent.once("--detach").out == "nothing to detach\n"


# ---- firewall restarts


def flush(lab):
    lab.gateway.run("nft", "flush", "ruleset", check=False)


def delete(lab):
    lab.gateway.run("nft", "delete", "table", "inet", lab.agent.guard_table(), check=False)


def reload_firewall(lab):
    """As `systemctl reload nftables` does."""
    lab.gateway.run("nft", "-f", "-", input="flush ruleset\n" + FOREIGN)


def empty_it(lab):
    lab.gateway.run("nft", "flush", "table", "inet", lab.agent.guard_table(), check=False)


def troubles(lab):
    return [t["text"] for t in lab.agent.ctl("status")["troubles"] if t["what"] == "guard"]


@pytest.mark.parametrize("change", [flush, delete, reload_firewall, empty_it], ids=lambda c: c.__name__.replace("_", " "))
@pytest.mark.parametrize("owner", [True, False], ids=["owner", "no owner"])
def test_a_firewall_restart_does_not_remove_the_table(lab, owner, change):
    """If the kernel lets other programs change it (before 6.9), the agent restores it and reports that."""
    if owner:
        lab.start()
    else:
        lab.start_without_owner()
    host = lab.host()
    sender, frame, receiver = out_by_an_interface_without_a_role(lab, host)
    lab.settle()
    octets = bytes(frame[IP])[12:20] + bytes(frame[UDP])[:4]
    kept = "flags owner" in table(lab)
    assert kept or not owner or platform.release().startswith("6.1.")
    sniffer = frame_flood.Sniffer(receiver)
    with frame_flood.Flood(sender, "eth0", frame) as sent:
        sent.wait(50)
        assert sniffer.count(octets) == [0]
        change(lab)
        if not kept:
            (text,) = wait_for(lambda: troubles(lab), what="the agent to tell")
            assert "another program has changed the guard's table" in text and text in lab.agent.log_text()
        assert interfaces(lab) == ["in0", "out0"]
        (between,) = sniffer.count(octets)
        sent.wait(50)
        assert sniffer.count(octets) == [0]
    sniffer.close()
    assert not kept or (between, troubles(lab)) == (0, [])
    assert lab.agent.ctl("check")["findings"] == []
    print(f"{between} of {sent.sent} packets left in between")


def test_repeated_changes_of_the_table_are_a_trouble_until_they_stop(lab):
    lab.start_without_owner()
    for _ in range(3):
        delete(lab)
        wait_for(lambda: lab.agent.guard_table() in table(lab), 2, "the table")
        assert len(troubles(lab)) == 1
    wait_for(lambda: troubles(lab) == [], what="quiet")
    assert lab.agent.log_text().count("another program has changed the guard's table") == 1
    assert "the guard stands" in lab.agent.log_text()


@pytest.mark.slow  # as many mappings as there may be
def test_a_table_of_thousands_of_elements_is_nobody_elses_change(lab):
    """The agent's own transaction makes more notifications than its socket holds."""
    lab.start_without_owner(unmatched="drop", mappings=[
        {"in": f"10.{n >> 8}.{n & 255}.0/31", "out": f"203.0.{n >> 8}.{n & 255}/32", "session_slots": 8} for n in range(4096)])
    for n in range(2):
        lab.agent.ctl("mapping", "del", f"10.0.{n}.0/31")
        wait_for(lambda n=n: f" 10.0.{n}.0/31," not in table(lab), what="the table to be narrower")
        assert troubles(lab) == []
    assert "another program" not in lab.agent.log_text()
    delete(lab)
    wait_for(lambda: troubles(lab), what="a change to be told")
    assert lab.agent.guard_table() in table(lab)


@pytest.mark.parametrize("way, held", [(out_of_an_interface_without_a_role, True), (out_by_an_encapsulating_route, True),
                                       (out_by_an_interface_without_a_role, False), (in_by_an_interface_without_a_role, False)],
                         ids=lambda v: v.__name__.replace("_", " ") if callable(v) else "")
def test_tc_program_holds_without_agent_and_table(lab, way, held):
    """The tc program at the egress of outside interfaces still holds; `detnat-agent --guard` restores the rest."""
    agent = lab.start()
    host = lab.host()
    sender, frame, receiver = way(lab, host)
    lab.settle()
    octets = bytes(frame[IP])[12:20] + bytes(frame[UDP])[:4]
    agent.kill()
    flush(lab)
    assert table(lab) == ""
    sniffer = frame_flood.Sniffer(receiver)
    with frame_flood.Flood(sender, "eth0", frame) as sent:
        sent.wait(50)
        if held:
            assert sniffer.count(octets) == [0]
        else:
            wait_for(lambda: sniffer.count(octets) != [0], what="an untranslated packet")
        assert agent.once("--guard").out == "the guard stands\n" and interfaces(lab) == ["in0", "out0"]
        sniffer.count(octets)
        sent.wait(50)
        assert sniffer.count(octets) == [0]
    sniffer.close()
    # The next start restores the table.
    flush(lab)
    agent.start()
    assert interfaces(lab) == ["in0", "out0"]

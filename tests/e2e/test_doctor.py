# SPDX-License-Identifier: BSD-2-Clause
"""detnat-agent --doctor: problems found on a host before it goes live, and the warnings that a start and -t share with it."""

import os
import shlex
import socket

import pytest

import isolation
from agent import wait_for
from xdp_mode import xdp_only

POOL_OF_OWN = [{"in": "10.0.0.0/18", "out": "198.51.100.0/30"}]
OUTSIDE_MAPPING = [{"in": "10.0.0.0/18", "out": "1.1.1.0/30"}, {"in": "198.51.100.0/24", "out": "2.2.2.0/28"}]

FORWARD_CHAIN = ["nft add table inet fw", "nft add chain inet fw f { type filter hook forward priority 0; }"]

# problem, how to cause it, configuration, level and check of the line, a part of its text, whether a start warns
TROUBLES = [
    ("forwarding is off", ["sysctl -qw net.ipv4.ip_forward=0"], {}, "FAILURE", "forwarding", "sysctl -w net.ipv4.ip_forward=1", False),
    ("no default route", ["ip route del default"], {}, "WARNING", "route out", "there is no default route", True),
    ("default route by the inside", ["ip route replace default via 10.0.0.9"], {}, "WARNING", "route out",
     "leaves through in0, which is not an outside interface", True),
    ("roles swapped", [], {"interfaces": {"inside": ["out0"], "outside": ["in0"]}}, "WARNING", "inside routes",
     "10.0.0.0/18 are routed through in0, which is outside: are inside and outside swapped", True),
    ("inside prefix of the outside network", [], {"mappings": OUTSIDE_MAPPING}, "WARNING", "pools",
     "198.51.100.0/24 overlap the network of out0, which is outside", True),
    ("no route to the inside", ["ip route add blackhole 100.64.0.0/10"], {"mappings": [{"in": "100.64.0.0/18", "out": "1.1.1.0/30"}]},
     "WARNING", "inside routes", "there is no route to the inside addresses 100.64.0.0/18", True),
    ("many mappings without a route", ["ip route add blackhole 100.64.0.0/10"],
     {"mappings": [{"in": f"100.64.{i}.0/24", "out": f"1.1.1.{i}/32"} for i in range(7)]}, "WARNING", "inside routes",
     "the same applies to 4 more mappings", True),
    ("pool with an own address", [], {"mappings": POOL_OF_OWN}, "WARNING", "pools", "holds 198.51.100.1, the gateway's own address on out0", True),
    ("pool with the broadcast address", [], {"mappings": [{"in": "10.0.0.0/18", "out": "198.51.100.255/32"}]}, "WARNING", "pools",
     "the pool 198.51.100.255/32 holds 198.51.100.255, the broadcast address of the network of out0", True),
    ("pool of link-local addresses", [], {"mappings": [{"in": "10.0.0.0/18", "out": "169.254.8.0/30"}]}, "WARNING", "pools",
     "the pool 169.254.8.0/30 overlaps the link-local addresses 169.254.0.0/16", True),
    ("pool of loopback addresses", [], {"mappings": [{"in": "10.0.0.0/18", "out": "127.8.0.0/30"}]}, "WARNING", "pools",
     "the pool 127.8.0.0/30 overlaps the loopback addresses 127.0.0.0/8", True),
    ("a firewall's rule", ["nft add table inet fw", "nft add chain inet fw f { type filter hook forward priority 0; }",
                           "nft add rule inet fw f counter"], {}, "WARNING", "firewall", "nftables table fw, chain f (forward)", True),
    ("a firewall that drops by policy", ["nft add table ip fw", "nft add chain ip fw f { type filter hook forward priority 0; policy drop; }"],
     {}, "WARNING", "firewall", "nftables table fw, chain f (forward)", True),
    ("a firewall that drops what the kernel forwards",
     ["nft add table ip fw", "nft add chain ip fw f { type filter hook forward priority 0; policy drop; }"], {"forwarding": "kernel"},
     "FAILURE", "dropping", "nftables table fw, chain f (forward): drops all packets, as it has no rule that accepts any", False),
    ("a firewall that drops what no rule accepts",
     ["nft add table ip fw", "nft add chain ip fw f { type filter hook forward priority 0; policy drop; }", "nft add rule ip fw f iif in0 accept"],
     {"forwarding": "kernel"}, "WARNING", "dropping", "nftables table fw, chain f (forward): drops packets that none of its rules accepts", False),
    ("a lower MTU outside", ["ip link set out0 mtu 1492"], {}, "WARNING", "mtu", 'set tcp_mss_clamp to "mtu"', True),
    ("an old masquerade", ["nft add table ip nat", "nft add chain ip nat post { type nat hook postrouting priority 100; }",
                           "nft add rule ip nat post oifname out0 masquerade"], {"forwarding": "kernel"}, "FAILURE", "masquerade",
     "nft delete table ip nat, or accept the inside prefixes before its rules", True),
    ("a firewall that drops what XDP leaves to the kernel",
     ["nft add table ip fw", "nft add chain ip fw f { type filter hook forward priority 0; policy drop; }"], {"forwarding": "redirect"},
     "WARNING", "dropping", "accepts, among them those that XDP leaves to the kernel", False),
    ("a rule that drops what XDP leaves to the kernel", [*FORWARD_CHAIN, "nft add rule inet fw f udp dport 53 drop"],
     {"forwarding": "redirect"}, "WARNING", "dropping", "drops or rejects, among them those that XDP leaves", False),
    ("a rule that drops what the kernel forwards", [*FORWARD_CHAIN, "nft add rule inet fw f udp dport 53 drop"], {"forwarding": "kernel"},
     "WARNING", "dropping", "nftables table fw, chain f: a rule drops or rejects", False),
    ("a rule that rejects what the kernel forwards", [*FORWARD_CHAIN, "nft add rule inet fw f udp dport 53 reject"],
     {"forwarding": "kernel"}, "WARNING", "dropping", "nftables table fw, chain f: a rule drops or rejects", False),
    ("rules on marks", ["ip rule add fwmark 7 lookup 100"], {}, "WARNING", "rules", "routing rules on marks, ports, TOS or the like", False),
    ("the inside is down", ["ip link set in0 down"], {}, "FAILURE", "links", "in0: down, and with it the routes through it", False),
    ("the inside is down, and its routes are gone", ["ip link set in0 down"], {}, "WARNING", "inside routes",
     "the inside addresses 10.0.0.0/18 are not routed to the inside: in0 is down", True),
    ("the outside is down, and the default route is gone", ["ip link set out0 down"], {}, "WARNING", "route out",
     "there is no default route: out0 is down", True),
    ("a helper of connection tracking", ["nft add table inet fw", "nft add ct helper inet fw ftp-std '{ type \"ftp\" protocol tcp ; }'"], {},
     "WARNING", "conntrack", "nftables table fw, connection tracking helper ftp-std", True),
    ("pool with a neighbour", ["ip neigh add 198.51.100.77 lladdr 02:00:00:00:00:77 dev out0"],
     {"mappings": [{"in": "10.0.0.0/18", "out": "198.51.100.76/30"}]}, "WARNING", "pools",
     "the pool 198.51.100.76/30 holds 198.51.100.77, the address of a neighbour on out0", True),
    ("a shaper", ["tc qdisc add dev out0 root tbf rate 20mbit burst 32k latency 50ms"], {}, "WARNING", "queueing",
     "out0: packets that XDP forwards do not wait in its queueing discipline tbf", True),
    ("a foreign filter", ["tc qdisc add dev in0 clsact", "tc filter add dev in0 ingress bpf bytecode '1,6 0 0 0,'"], {}, "WARNING", "queueing",
     "in0: packets that XDP forwards do not pass the tc filters and programs at its ingress", True),
    ("an interface in both roles", [], {"interfaces": {"inside": ["in0", "out0"], "outside": ["out0"]}},
     "WARNING", "roles", "out0 is inside and outside: whoever sends from beyond it with a subscriber's address as source opens sessions", True),
    ("an interface that is not there", [], {"interfaces": {"inside": ["in0"], "outside": ["wan7"]}}, "FAILURE", "configuration",
     "there is no interface wan7", False),
    ("more memory than there is", [], {"mappings": [{"in": "10.0.0.0/8", "out": "1.0.0.0/16", "session_slots": 2048}]}, "FAILURE",
     "configuration", "GiB of memory", False),
]

# Checks that are ok on a healthy host.
HEALTHY = ["kernel", "configuration", "links", "tc", "offloads", "roles", "forwarding", "rp_filter", "inside routes", "route out", "rules", "pools", "portmaps",
           "leases", "mtu", "masquerade", "inside filters", "firewall", "dropping", "conntrack", "queueing"]


def line_of(text, level, check):
    return [line for line in text.splitlines() if line.startswith(f"{level:8} {check:14} ")]


@pytest.mark.parametrize("commands, config, level, check, text, warned", [row[1:] for row in TROUBLES], ids=[row[0] for row in TROUBLES])
def test_a_problem_is_found_with_its_remedy(lab, commands, config, level, check, text, warned):
    for command in commands:
        lab.gateway.run(*shlex.split(command))
    agent = lab.prepare(**config)
    examined = agent.once("--doctor")
    assert any(text in line for line in line_of(examined.out, level, check)), examined
    assert examined.status == (1 if "\nFAILURE " in "\n" + examined.out else 0)
    assert not list(agent.pins.glob("v*")), "it touches nothing"
    if warned:
        tested = agent.once("-t")
        assert tested.status == 0 and "warning: " in tested.err and text in tested.err, tested


def test_a_healthy_host_has_none_of_these_findings(lab):
    examined = lab.prepare().once("--doctor")
    assert "is examined" not in examined.out, "nothing is in force"
    for check in HEALTHY:
        assert line_of(examined.out, "ok", check) and not line_of(examined.out, "WARNING", check) + line_of(examined.out, "FAILURE", check), examined
    assert examined.status == 0


def test_the_default_route_of_a_gateway_with_addresses_of_the_examples(lab):
    """192.0.2.0/24, which usually only a default route covers, is its inside."""
    lab.gateway.ip("addr", "add", "192.0.2.1/24", "dev", "in0")
    examined = lab.prepare().once("--doctor")
    assert "the default route leaves through out0" in "".join(line_of(examined.out, "ok", "route out")), examined


def test_rules_that_the_kernel_applies_are_no_finding_unless_they_drop(lab):
    for command in (*FORWARD_CHAIN, "nft add rule inet fw f udp dport 53 counter accept"):
        lab.gateway.run(*shlex.split(command))
    examined = lab.prepare(forwarding="kernel").once("--doctor")
    assert line_of(examined.out, "ok", "firewall") and line_of(examined.out, "ok", "dropping") and examined.status == 0, examined


def test_an_interface_without_a_carrier_is_down(lab):
    agent = lab.start()
    lab.outside_ns.ip("link", "set", "eth0", "down")
    text = "down, without a carrier; check the cable and the other end"
    wait_for(lambda: [i["problem"] for i in agent.ctl("interface", "list")] == [None, text], what="the link to be noticed")
    assert f"out0: {text}" in "".join(line_of(agent.once("--doctor").out, "FAILURE", "links"))
    lab.outside_ns.ip("link", "set", "eth0", "up")
    wait_for(lambda: [i["problem"] for i in agent.ctl("interface", "list")] == [None, None], what="the link to come back")


def test_one_of_several_interfaces_of_a_role_may_be_down(lab):
    lab.gateway.ip("link", "add", "in1", "type", "veth", "peer", "name", "in1-peer")
    examined = lab.prepare(interfaces={"inside": ["in0", "in1"], "outside": ["out0"]}).once("--doctor")
    assert "in1: down" in "".join(line_of(examined.out, "WARNING", "links")), examined


def test_the_queues_of_a_card_are_examined_and_the_command_mends_them(lab):
    lab.gateway.ip("link", "add", "in1", "numrxqueues", "4", "numtxqueues", "4", "type", "veth", "peer", "name", "in1-peer",
                   "numrxqueues", "4", "numtxqueues", "4")
    lab.gateway.batch("link set in1 up", "link set in1-peer up")
    lab.gateway.run("ethtool", "-L", "in1", "rx", "1", "tx", "1")
    agent = lab.prepare(interfaces={"inside": ["in1"], "outside": ["out0"]})
    cores = os.cpu_count()
    found = "".join(line_of(agent.once("--doctor").out, "WARNING" if cores > 1 else "ok", "queues"))
    assert (f"in1: one receive queue, so one of {cores} cores does all the work: ethtool -L in1 combined {min(cores, 4)} (or rx)" in found
            if cores > 1 else "in1: one core does all the work" in found), found
    lab.gateway.run("ethtool", "-L", "in1", "rx", str(min(cores, 4)))
    assert f"in1: {cores if cores < 4 else 4} receive queues" in "".join(line_of(agent.once("--doctor").out, "ok", "queues")) or cores == 1


def test_what_no_driver_here_reports_is_unknown_or_fine(lab):
    examined = lab.prepare().once("--doctor")
    for level, check in (("unknown", "rss"), ("ok", "transmit"), ("ok", "numa")):
        assert line_of(examined.out, level, check), examined
    assert "takes no frames from XDP" not in examined.out and "never runs it" not in examined.out


@xdp_only
@pytest.mark.parametrize("mode, level", [("auto", "WARNING"), ("native", "FAILURE"), ("skb", "FAILURE")])
def test_another_xdp_program_is_found(lab, mode, level):
    source = '__attribute__((section("xdp"), used)) int pass(void *c) { return 2; }' \
             'char l[] __attribute__((section("license"), used)) = "GPL";'
    isolation.run("clang", "-O2", "-target", "bpf", "-c", "-x", "c", "-", "-o", lab.directory / "pass.o", input=source)
    lab.gateway.ip("link", "set", "in0", "xdp", "obj", lab.directory / "pass.o", "sec", "xdp")
    examined = lab.prepare(xdp_mode=mode).once("--doctor")
    assert "in0: carries another XDP program, id " in "".join(line_of(examined.out, level, "xdp")), examined


def test_what_was_not_examined_is_not_ok(lab):
    """The limit of neighbours is shown in the machine's own network namespace alone."""
    examined = lab.prepare().once("--doctor")
    assert line_of(examined.out, "unknown", "neighbours") and not line_of(examined.out, "ok", "neighbours"), examined
    counts = [len([line for line in examined.out.splitlines() if line.startswith(level + " ")]) for level in ("ok", "unknown")]
    assert examined.out.splitlines()[-1].endswith(f"{counts[0]} ok, {counts[1]} unknown"), examined


def test_a_file_that_the_service_cannot_read_is_told_to_root(lab):
    """-t as root reads it; the unit's user would not."""
    agent = lab.prepare()
    accounts = lab.directory / "passwd"
    accounts.write_text("root:x:0:0::/root:/bin/sh\ndetnat:x:6543:6543::/nonexistent:/usr/sbin/nologin\n")
    isolation.run("mount", "--bind", str(accounts), "/etc/passwd")
    lab.at_end(isolation.unmount, "/etc/passwd")
    os.chmod(lab.directory.parent, 0o755)
    agent.path.chmod(0o600)
    tested = agent.once("-t")
    assert tested.status == 0 and f"{agent.path}: the service runs as user detnat, which cannot read it" in tested.err, tested
    agent.path.chmod(0o644)
    assert "cannot read it" not in agent.once("-t").err
    # Nor may the user have each port that root may.
    agent.write(metrics={"listen": "127.0.0.1:469"})
    tested = agent.once("-t")
    assert tested.status == 0 and "metrics.listen: the service runs as user detnat, which has no right to port 469" in tested.err, tested


@xdp_only
def test_a_reload_and_explain_tell_of_what_is_passed_by(lab):
    agent = lab.start()
    host = lab.host()
    rule = "nftables table fw, chain f (forward)"
    assert not agent.ctl("explain", host.addr)["findings"]
    for command in ("nft add table ip fw", "nft add chain ip fw f { type filter hook forward priority 0; policy drop; }"):
        lab.gateway.run(*shlex.split(command))
    agent.ctl("timeouts", "set", "udp=77")
    assert rule not in agent.log_text(), "only a start and a reload look"
    agent.ctl("reload")
    assert rule in agent.log_text()
    findings = agent.ctl("explain", host.addr)["findings"]
    assert [f["reason"] for f in findings] == ["dropping", "firewall"] and all(rule in f["text"] and not f["drops"] for f in findings), findings
    assert "let it accept packets between inside and outside interfaces, then set 'forwarding' to 'kernel'" in findings[1]["text"]
    agent.write(forwarding="kernel")
    before = agent.log_text().count(rule)
    agent.ctl("reload")
    assert agent.log_text().count(rule) == before, "the kernel applies it"
    (finding,) = agent.ctl("explain", host.addr)["findings"]
    assert finding["reason"] == "dropping" and f"{rule}: drops all packets" in finding["text"] and finding["drops"]


def test_explain_tells_of_an_own_address_in_the_pool(lab):
    agent = lab.start(mappings=POOL_OF_OWN)
    findings = agent.ctl("explain", lab.host("10.0.0.5").addr)["findings"]
    assert ["pools"] == [f["reason"] for f in findings] and "the gateway's own address on out0" in findings[0]["text"]


def test_a_program_of_the_gateway_on_the_port_of_a_portmap(lab):
    lab.gateway.ip("addr", "add", "1.1.1.0/32", "dev", "out0")
    agent = lab.prepare(portmaps=[{"proto": "tcp", "in": "10.0.0.2:8443", "out": "1.1.1.0:443"},
                                  {"proto": "udp", "in": "10.0.0.2:8444", "out": "1.1.1.0:444"}])
    text = "listens on tcp 1.1.1.0:443, which a portmap leads to 10.0.0.2:8443"
    assert line_of(agent.once("--doctor").out, "ok", "portmaps")
    with lab.gateway.enter():
        listener = socket.create_server(("", 443))
    with listener:
        assert text in "".join(line_of(agent.once("--doctor").out, "WARNING", "portmaps"))
        assert text in agent.once("-t").err
        agent.start()
        assert text in agent.log_text()
        (finding,) = [f for f in agent.ctl("explain", "10.0.0.2")["findings"] if f["reason"] == "portmaps"]
        assert text in finding["text"] and not finding["drops"]
    agent.ctl("reload")
    assert agent.log_text().count(text) == 1, "what no longer listens is no longer told of"


def test_check_finds_nothing_on_a_running_gateway(lab):
    agent = lab.start()
    examined = agent.once("--doctor")
    assert examined.status == 0, examined
    assert not line_of(examined.out, "WARNING", "queueing"), "its own filter is no one else's"
    (line, _) = line_of(examined.out, "ok", "configuration")
    assert f"{agent.path} is examined, not the running configuration: `detnatctl config diff` compares them" in line
    assert agent.command("status").status == 0


def test_a_bad_file_is_reported_as_by_dash_t(lab):
    agent = lab.prepare()
    agent.path.write_text("{")
    examined = agent.once("--doctor")
    assert examined.status == 2 and f"{agent.path}:1" in examined.err

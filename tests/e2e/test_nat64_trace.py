# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl trace and monitor of IPv6 subscribers: the steps of their packets both ways, on the fast and the slow path."""

import json
import subprocess

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest
from scapy.packet import Raw

from agent import wait_for
from lab import SERVER
from lab64 import Lab64, block, embedded, host, subscriber_prefix
from test_ctl_monitor import monitor
from test_ctl_pcap import capture
from test_ctl_trace import ends, steps, traces

PORT = 5000
PLACE = f"[{host(3)}]:{PORT}"
SERVER6 = f"[{embedded(SERVER)}]:53"


@pytest.fixture(name="lab")
def _lab(run_directory):
    it = Lab64(run_directory)
    it.start()
    try:
        yield it
    finally:
        it.close()


def started(lab, *options):
    """Begins a trace, once the first packets have found their next hops."""
    src = lab.open6(host(3), subscriber=3)
    lab.answer6(src, host(3))
    lab.agent.ctl("session", "flush", subscriber_prefix(3))
    lab.agent.ctl("trace", "start", *options)
    return src


def names(trace):
    assert trace["in_addr"] == host(3) and trace["in_prefix"] == subscriber_prefix(3), trace
    assert trace["ext_addr"] == SERVER and trace["ext_addr6"] == embedded(SERVER), trace


def test_the_slow_path_shows_its_steps_both_ways(lab):
    src = started(lab, "--in", host(3))
    outside, server = f"{src[0]}:{src[1]}", f"{SERVER}:53"
    lab.open6(host(3), subscriber=3)
    out, = traces(lab.agent, 1)
    assert (out["verdict"], out["path"], out["interface"]) == ("in2out_translated", "slow", "in0"), out
    assert ends(out) == ((PLACE, SERVER6), (outside, server)), out
    for step in ("received", "six-out-slow", "in2out", "subscriber", "next-hop", "open", "session-opened", "rewritten", "redirect", "sent"):
        assert step in steps(out), (step, steps(out))
    names(out)
    subscriber = next(s for s in out["steps"] if s["step"] == "subscriber")
    assert subscriber["detail"] == f"{subscriber_prefix(3)} has {block(3).addr}:{block(3).lo}-{block(3).hi}", subscriber
    assert out["steps"][0]["detail"] == "udp, 53 octets, hop limit 64", out["steps"][0]
    lab.agent.ctl("trace", "start", "--in", host(3))
    # The fast path has no datagrams without a checksum.
    lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1], chksum=0) / b"answer"))
    back, = traces(lab.agent, 1)
    assert (back["verdict"], back["path"], back["interface"]) == ("out2in_translated", "slow", "out0"), back
    assert ends(back) == ((server, outside), (SERVER6, PLACE)), back
    for step in ("received", "six-in", "six-in-slow", "subscriber", "way-in", "session", "rewritten", "six-leave", "redirect", "sent"):
        assert step in steps(back), (step, steps(back))
    names(back)


def test_the_fast_path_shows_its_steps_both_ways(lab):
    src = lab.open6(host(3), subscriber=3)
    lab.answer6(src, host(3))

    def fast():
        lab.agent.ctl("trace", "start", "--in", host(3))
        # A frame too short for a wire is the slow path's.
        lab.send6(lab.out6(host(3), UDP(sport=PORT, dport=53) / bytes(32)), src)
        lab.send4(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / bytes(32)), host(3), PORT)
        found = traces(lab.agent, 2)
        print([(t["path"], steps(t)) for t in found])
        return [t["path"] for t in found] == ["quick", "quick"] and found

    out, back = wait_for(fast, what="the fast path")
    assert steps(out) == ["received", "subscriber", "session", "next-hop", "rewritten", "redirect", "sent"], steps(out)
    assert steps(back) == ["received", "six-in", "subscriber", "way-in", "session", "rewritten", "redirect", "sent"], steps(back)
    assert ends(out) == ((PLACE, SERVER6), (f"{src[0]}:{src[1]}", f"{SERVER}:53")), out
    assert ends(back) == ((f"{SERVER}:53", f"{src[0]}:{src[1]}"), (SERVER6, PLACE)), back
    names(out)
    names(back)


def test_filters_know_hosts_and_prefixes(lab):
    started(lab, "--in", f"[{host(3)}]:{PORT}")
    lab.inside.send(lab.out6(host(3, 2), UDP(sport=PORT, dport=53) / b"another host"))
    lab.inside.send(lab.out6(host(3), UDP(sport=PORT + 1, dport=53) / b"another port"))
    lab.inside.send(lab.out6(host(4), UDP(sport=PORT, dport=53) / b"another subscriber"))
    lab.inside.send(lab.out6(host(3), UDP(sport=PORT, dport=53) / b"query"))
    trace, = traces(lab.agent, 1)
    assert ends(trace)[0] == (PLACE, SERVER6)
    lab.agent.ctl("trace", "start", "--in", subscriber_prefix(3), "--proto", "icmp")
    lab.inside.send(lab.out6(host(3, 2), UDP(sport=PORT, dport=53) / b"another protocol"))
    lab.inside.send(lab.out6(host(3, 2), ICMPv6EchoRequest(id=7, data=b"ping")))
    trace, = traces(lab.agent, 1)
    assert trace["in_addr"] == host(3, 2) and trace["steps"][0]["detail"].startswith("icmpv6 type 128 code 0"), trace


def test_what_is_dropped_and_what_is_answered(lab):
    src = started(lab, "--in", subscriber_prefix(3))
    lab.inside.send(lab.out6(host(3), TCP(sport=PORT, dport=80, flags="S"), dst="10.1.2.3"))
    lab.outside.send(lab.from_outside(src[0], UDP(sport=9, dport=src[1]) / b"stranger"))
    lab.inside.send(lab.out6(host(3), Raw(b"tunnel" * 4), nh=47))
    private, stranger, gre = traces(lab.agent, 3)
    assert private["verdict"] == "drop_martian" and "answered" in steps(private), private
    assert stranger["verdict"] == "drop_no_session" and steps(stranger)[-1] == "dropped", stranger
    # So many errors at once are none of the gateway's.
    assert gre["verdict"] == "drop_protocol" and "answered" not in steps(gre), gre


def test_a_capture_has_ipv6_on_the_inside(lab):
    src = lab.open6(host(3), subscriber=3)
    lab.answer6(src, host(3))
    lab.agent.ctl("trace", "start", "--in", host(3))
    lab.inside.send(lab.out6(host(3), TCP(sport=PORT, dport=80, flags="S")))
    lab.outside.packet()
    lab.outside.send(lab.from_outside(src[0], UDP(sport=53, dport=src[1]) / b"answer"))
    traces(lab.agent, 2)
    fields = ["ipv6.src", "ipv6.dst", "ipv6.hlim", "ip.src", "ip.dst", "udp.dstport", "tcp.dstport", "tcp.checksum.status", "frame.len"]
    command = ["tshark", "-r", "-", "-n", "-o", "tcp.check_checksum:TRUE", "-T", "fields", "-E", "separator=;"]
    for field in fields:
        command += ["-e", field]
    run = subprocess.run(command, input=capture(lab.agent, "trace", "pcap"), capture_output=True, check=True, timeout=60)
    rows = [dict(zip(fields, line.split(";"))) for line in run.stdout.decode().splitlines()]
    assert [(r["ipv6.src"], r["ipv6.dst"]) for r in rows] == [(host(3), embedded(SERVER)), ("", ""), ("", ""), (embedded(SERVER), host(3))], rows
    assert [(r["ip.src"], r["ip.dst"]) for r in rows] == [("", ""), (src[0], SERVER), (SERVER, src[0]), ("", "")], rows
    assert [r["frame.len"] for r in rows] == ["74", "54", "48", "68"], rows
    assert [r["tcp.checksum.status"] for r in rows[:2]] == ["1", "1"] and rows[3]["udp.dstport"] == str(PORT), rows


def test_native_ipv6_is_shown_as_such(lab):
    lab.agent.ctl("trace", "start")
    lab.inside.send(lab.out6("2001:db8:7000::1", UDP(sport=1, dport=2)))
    other, = [t for t in wait_for(lambda: lab.agent.ctl("trace", "show"), what="a record") if t["verdict"] == "drop_no_mapping"]
    assert "in_prefix" not in other and other["steps"][0]["detail"].startswith("Ethernet type 0x86dd"), other


def test_monitors_are_told_of_sessions(lab):
    src, ports = block(3).first_choice(PORT), iter(range(1000, 2000))
    with monitor(lab.agent, "sessions") as it, monitor(lab.agent, "sessions", options=()) as text:

        def told():
            """The datapath reports sessions once its programs have been replaced."""
            lab.open6(host(3), subscriber=3, dport=next(ports))
            return it.line(0.2)

        opened = json.loads(wait_for(told, 120, "the first session"))
        assert {key: opened[key] for key in ("event", "in_addr", "in_prefix", "in_port", "ext_addr", "ext_addr6", "ext_port")} == {
            "event": "session-opened", "in_addr": host(3), "in_prefix": subscriber_prefix(3), "in_port": PORT, "ext_addr": SERVER,
            "ext_addr6": embedded(SERVER), "ext_port": opened["ext_port"]}, opened
        lab.agent.ctl("session", "flush", subscriber_prefix(3))
        while (closed := it.event())["event"] == "session-opened":
            pass
        assert (closed["event"], closed["in_addr"], closed["ext_addr6"]) == ("session-closed", host(3), embedded(SERVER)), closed
        assert f"udp {PLACE} as {src[0]}:{src[1]} to {SERVER}:" in text.line()

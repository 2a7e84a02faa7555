# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl trace pcap: what a trace holds as a capture that tshark reads, before and after translation."""

import subprocess

import pytest
from scapy.layers.inet import ICMP, UDP

from agent import CTL, execute
from lab import SERVER, block_of
from test_ctl_trace import traces
from xdp_mode import NONE

FIELDS = ["frame.interface_name", "frame.packet_flags_direction", "frame.comment", "ip.src", "ip.dst", "ip.ttl", "ip.checksum.status", "udp.srcport",
          "tcp.srcport", "tcp.dstport", "tcp.flags.str", "tcp.checksum.status", "icmp.ident", "icmp.checksum.status", "frame.len", "frame.cap_len"]
CHECKS = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
GOOD = "1"


@pytest.fixture(scope="module")
def agent(running_lab):
    return running_lab.agent


def decoded(data):
    """The frames of a capture, each a dictionary of the fields that tshark finds in it."""
    command = ["tshark", "-r", "-", "-n", *CHECKS, "-T", "fields", "-E", "separator=;"]
    for field in FIELDS:
        command += ["-e", field]
    run = subprocess.run(command, input=data, capture_output=True, check=True, timeout=60)
    rows = [line.split(";") for line in run.stdout.decode().splitlines()]
    return [{name: value for name, value in zip(FIELDS, row) if value} for row in rows]


def translated(agent):
    """The frames of what was translated. Without XDP the way of a packet from inside to the kernel is a record of its own."""
    return [f for f in decoded(capture(agent, "trace", "pcap")) if "passed_untranslated" not in f["frame.comment"]]


def capture(agent, *words):
    """What `detnatctl ... -` writes to a pipe."""
    run = subprocess.run([CTL, "-s", agent.socket, *words, "-"], capture_output=True, timeout=60)
    assert run.returncode == 0 and not run.stderr, run
    return run.stdout


def test_whole_packets_have_right_checksums_on_both_sides(running_lab, agent):
    host = running_lab.host()
    src = block_of(host.addr).first_choice(5000)
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.tcp_out(host, src, "S")
    running_lab.tcp_in(host, src, "SA")
    traces(agent, 2)
    out = [(host.addr, SERVER), (src[0], SERVER)]
    found = translated(agent)
    assert [(f["ip.src"], f["ip.dst"]) for f in found] == [*out, (SERVER, src[0]), (SERVER, host.addr)]
    inside = "kernel" if NONE else "in0"
    assert [f["frame.interface_name"] for f in found] == [inside, "out0", "out0", inside]
    assert [f["tcp.srcport"] for f in found[:2]] == ["5000", str(src[1])]
    assert [int(found[1]["ip.ttl"]) - int(found[0]["ip.ttl"]), int(found[3]["ip.ttl"]) - int(found[2]["ip.ttl"])] == [0 if NONE else -1] * 2
    for frame in found:
        assert frame["ip.checksum.status"] == frame["tcp.checksum.status"] == GOOD
        assert frame["frame.len"] == frame["frame.cap_len"] == "54"
    assert "S" in found[0]["tcp.flags.str"] and "A" not in found[0]["tcp.flags.str"]
    assert found[0]["frame.comment"] == "before translation, in2out_translated"
    assert found[3]["frame.comment"] == "after translation, out2in_translated"
    assert decoded(capture(agent, "trace", "show", "--pcap")) == decoded(capture(agent, "trace", "pcap"))


def test_of_longer_packets_the_headers_are_captured(running_lab, agent):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.inside.send(running_lab.from_inside(host, UDP(sport=5000, dport=53) / bytes(1000)))
    running_lab.outside.packet()
    running_lab.inside.send(running_lab.from_inside(host, ICMP(type=8, id=5) / bytes(56)))
    running_lab.outside.packet()
    traces(agent, 2)
    before, after, echo, echo_after = translated(agent)
    assert (before["frame.len"], before["frame.cap_len"]) == (after["frame.len"], after["frame.cap_len"]) == ("1042", "42")
    assert before["udp.srcport"] == "5000" and before["ip.checksum.status"] == after["ip.checksum.status"] == GOOD
    assert (echo["frame.len"], echo["frame.cap_len"], int(echo["icmp.ident"].split(",")[0], 0)) == ("98", "42", 5)
    assert echo_after["ip.src"] == block_of(host.addr).addr


def test_dropped_packets_and_others_have_one_frame(running_lab, agent):
    host = running_lab.host()
    pool = block_of(host.addr)
    agent.ctl("trace", "start", "--out", pool.addr)
    running_lab.outside.send(running_lab.from_outside(pool.addr, UDP(sport=53, dport=pool.lo) / b"nobody's"))
    traces(agent, 1)
    (frame,) = decoded(capture(agent, "trace", "pcap"))
    assert frame["frame.comment"] == "before translation, drop_no_session" and frame["frame.interface_name"] == "out0"


def test_what_the_kernel_takes_or_hands_over_is_on_an_interface_of_its_own(lab):
    agent = lab.start(forwarding="kernel")
    host = lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    src = lab.open_udp(host)
    lab.send_in(lab.from_outside(src[0], UDP(sport=53, dport=src[1])), host, 5000)
    frames = decoded(capture(agent, "trace", "pcap"))
    ends = [(f["frame.interface_name"], f["ip.src"], f["ip.dst"]) for f in frames]
    assert ("kernel", host.addr, SERVER) in ends and ("out0", src[0], SERVER) in ends
    assert ends[-2:] == [("out0", SERVER, src[0]), ("kernel", SERVER, host.addr)]


def test_a_file_is_written_only_where_there_are_packets(running_lab, agent, tmp_path):
    path = tmp_path / "x.pcapng"
    agent.ctl("trace", "start")
    refused = execute(CTL, "-s", agent.socket, "trace", "pcap", path)
    assert refused.status == 1 and "no packets were recorded" in refused.err and not path.exists()
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.open_udp(host)
    traces(agent, 1)
    records = 2 if NONE else 1
    assert agent.text("trace", "pcap", path) == f"{2 * records} frames of {records} packets written to {path}\n"
    assert len(decoded(path.read_bytes())) == 2 * records


@pytest.mark.parametrize("words, text", [
    (["-j", "trace", "pcap", "-"], "omit --json"),
    (["trace", "pcap"], "usage: detnatctl trace pcap FILE"),
])
def test_usage(agent, words, text):
    refused = execute(CTL, "-s", agent.socket, *words)
    assert refused.status == 2 and text in refused.err


def test_a_file_that_cannot_be_written_is_an_error(running_lab, agent, tmp_path):
    host = running_lab.host()
    agent.ctl("trace", "start", "--in", host.addr)
    running_lab.open_udp(host)
    traces(agent, 1)
    refused = execute(CTL, "-s", agent.socket, "trace", "pcap", tmp_path / "no" / "file")
    assert refused.status == 1 and "No such file" in refused.err

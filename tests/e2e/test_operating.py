# SPDX-License-Identifier: BSD-2-Clause
"""Three pages of docs/guide: every command of their console blocks is run and prints what the page shows, except for numbers."""

import os
import re

import pytest
from scapy.layers.inet import UDP

import prometheus
from agent import CTL, wait_for
from lab import SERVER, Lab
from xdp_mode import xdp_only

pytestmark = xdp_only  # the page shows a gateway with XDP

PAGES = ("OPERATING.md", "TROUBLESHOOTING.md", "MONITORING.md")
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


# Of the pages: the lab's own has outside addresses of somebody else.
MAPPING = {"in": "10.0.0.0/18", "out": "203.0.113.0/30"}


def examples():
    """(command, expected lines) of every console block, in order."""
    text = "".join((prometheus.TREE / "docs/guide" / page).read_text() for page in PAGES)
    for block in BLOCK.findall(text):
        for example in re.split(r"^# ", block, flags=re.MULTILINE)[1:]:
            command, *lines = example.rstrip("\n").split("\n")
            yield command, lines


@pytest.fixture(scope="module")
def example_gateway(run_directory):
    """The gateway that the pages describe."""
    it = Lab(run_directory)
    try:
        it.start(mappings=[MAPPING], metrics={"listen": "127.0.0.1:9469"}, sessions_per_user=3, sweep_interval=1, ipfix={"collector": f"{SERVER}:4739"})
        full, other = it.host("10.0.0.2"), it.host("10.0.0.3")
        it.handshake(other, mapping=MAPPING)
        for port in range(5000, 5003):
            it.open_udp(full, port, mapping=MAPPING)
        with it.counting(drop_quota=1, sent_icmp_unreachable=1):
            it.inside.send(it.from_inside(full, UDP(sport=6000, dport=53), SERVER))
        text = "detnat_active_subscribers.*} 2$"
        wait_for(lambda: re.search(text, it.gateway.run("curl", "-s", "http://127.0.0.1:9469/metrics").stdout, re.MULTILINE),
                 what="figures of usage", interval=0.1)
        wait_for(lambda: it.agent.ctl("ipfix", "show")["records_sent"] == 1, what="the record")
        wait_for(lambda: it.agent.ctl("explain", full.addr)["way_in"]["route_from"] == "copy", what="the copy of the routes")
        yield it
    finally:
        it.close()


def inner_map(told):
    """The number of the map in an array of maps: its octets, or from bpftool 7.5 on the number itself."""
    if number := re.search(r"inner_map_id: (\d+)", told):
        return int(number[1])
    octets = re.search(r"value: ((?:[0-9a-f]{2} ?){4})", told)[1]
    return int.from_bytes(bytes.fromhex(octets), "little")


def here(lab, command):
    """A command of the page as it is run in the lab."""
    # Chunks of other agents on this machine have the same names.
    for name, outer in (("subscriber.0", "subscribers"), ("bucket.0", "buckets")):
        if f"name {name}" in command:
            told = lab.gateway.run("bpftool", "map", "lookup", "pinned", next(lab.agent.pins.glob("v*")) / outer, "key", *"0000").stdout
            command = command.replace(f"name {name}", f"id {inner_map(told)}")
    for name, real in (("detnatctl", f"{CTL} -s {lab.agent.socket}"), ("/sys/fs/bpf/detnat/", f"{lab.agent.pins}/"),
                       ("promtool", prometheus.program("promtool")), ("/var/log/detnat.log", lab.agent.log)):
        command = command.replace(name, str(real))
    return command


def send_queries(lab):
    """The packets that the page traces: a query in an existing session, and one that is refused."""
    host = lab.host("10.0.0.2")
    lab.inside.send(*(lab.from_inside(host, UDP(sport=port, dport=53) / b"query") for port in (5000, 6000)))
    wait_for(lambda: not lab.agent.ctl("status")["tracing"], what="the trace to have its packets")


def run(lab, command):
    result = lab.gateway.run("bash", "-c", here(lab, command), check=False, cwd=prometheus.TREE, env={**os.environ, "LC_ALL": "C"})
    assert result.stderr == "", f"{command}: {result.stderr}"
    return result.stdout.rstrip("\n").split("\n")


def shape(lines):
    """Lines with each number as 0, but for the number of rules, and the columns that numbers push aside closed up."""
    lines = [re.sub(r"^ +(?=\d)", "", line) for line in lines]
    zeroed = [line if "rules found" in line else re.sub(r"\d+(\.\d+)?", "0", line) for line in lines]
    return [re.sub(r"(?<=\S) +", " ", line).rstrip() for line in zeroed]


def matches(wanted, found):
    """Whether the words match those wanted, in which a line "..." stands for any number of lines. The page folds lines as a terminal does."""
    pattern = "".join(r"(?:.*\n)*?\s*" if line == "..." else "".join(re.escape(word) + r"\s+" for word in line.split()) for line in wanted)
    return re.fullmatch(pattern, "".join(line + "\n" for line in found).lstrip()) if any(wanted) else not any(found)


@pytest.mark.parametrize("command, lines", list(examples()), ids=lambda v: v[:60] if isinstance(v, str) else "")
def test_commands_print_what_the_page_says(example_gateway, command, lines):
    while lines and not lines[-1]:
        lines = lines[:-1]
    found = run(example_gateway, command)
    if "trace start" in command:
        send_queries(example_gateway)
    assert matches(shape(lines) or [""], shape(found)), "\n".join(["the page:", *lines, "", "in truth:", *found])


def test_the_pages_have_examples():
    assert len(list(examples())) >= 20

# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl import: the configurations that it writes, as the agent reads them, and live sessions of nftables."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from agent import CTL

CORPUS = pathlib.Path(__file__).parent.parent / "import"
AGENT = str(pathlib.Path(CTL).parent / "detnat-agent")

# Subscribers, and those that keep address and ports, of each file of the corpus.
EXPECTED = {
    "fortios-f1.conf": (253, 253),
    "h3c-groups.cfg": (256, 256),
    "h3c-h1.cfg": (64, 64),
    "h3c-prefixes.cfg": (256, 256),
    "iptables-dnat.save": (2, 2),
    "iptables-netmap.sh": (8, 8),
    "iptables-snat.save": (8, 8),
    "junos-j2.set": (2046, 2046),
    "nft-n1.nft": (16, 16),
    "nft-rules.nft": (8, 8),
    "nft-vmap.nft": (4, 4),
    "nokia-braces.cfg": (8, 8),
    "nokia-classic.cfg": (256, 256),
    "nokia-growth.cfg": (256, 256),
    "nokia-k1.cfg": (8, 8),
    "routeros-lists.rsc": (16, 16),
    "routeros-m2.rsc": (16, 16),
    "routeros-m5.rsc": (4, 4),
    "table-a1.txt": (128, 128),
    "table-de.txt": (2, 2),
    "table-es.csv": (2, 2),
    "table-fr.tsv": (2, 2),
    "table-h3c.txt": (3, 3),
    "table-m1.txt": (1024, 1024),
    "table-m3.csv": (64, 0),
    "table-m4.txt": (288, 288),
    "table-pt.csv": (2, 2),
    "vpp-d1.conf": (16384, 16384),
    "vpp-del.conf": (16, 16),
    "vpp-vyos.boot": (65536, 65536),
    "vpp-vyos.set": (255, 255),
    "vyos-v2.set": (16, 16),
    "vyos-v4.boot": (32, 32),
}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")


def imported(*arguments):
    return subprocess.run([CTL, "import", *arguments], capture_output=True, text=True, check=False)


def test_blocks_on_demand_are_taken_as_growth_where_nothing_else_needs_their_ports():
    written = json.loads(imported("nokia", str(CORPUS / "nokia-growth.cfg")).stdout)
    assert [mapping["growth"] for mapping in written["mappings"]] == [{"block": 128, "max_blocks": 4}]
    other = imported("nokia", str(CORPUS / "nokia-classic.cfg"))
    assert "growth" not in other.stdout and "not kept, as growth would take its ports for forwarding" in other.stderr


@pytest.fixture
def namespace():
    """A namespace with the interfaces i0 and o0, and 198.51.100.7 on loopback."""
    name = f"import-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)

    def run(*command, **more):
        return subprocess.run(["ip", "netns", "exec", name, *command], capture_output=True, text=True, check=False,
                              **more)

    run("ip", "link", "add", "i0", "type", "veth", "peer", "name", "o0")
    run("ip", "link", "set", "lo", "up")
    yield run
    subprocess.run(["ip", "netns", "del", name], check=True)


def test_each_file_of_the_corpus_is_counted_here():
    assert sorted(EXPECTED) == sorted(path.name for path in CORPUS.iterdir())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_agent_takes_what_import_writes(namespace, tmp_path, name):
    done = imported("auto", str(CORPUS / name))
    subscribers, kept = EXPECTED[name]

    assert done.returncode in (0, 1)
    assert done.stderr.splitlines()[-1].startswith(f"{subscribers} subscribers: {kept} keep address and ports")
    config = json.loads(done.stdout)
    config["interfaces"] = {"inside": ["i0"], "outside": ["o0"]}
    path = tmp_path / "detnat.json"
    path.write_text(json.dumps(config))
    taken = namespace(AGENT, "-t", "-c", str(path))
    assert taken.returncode == 0, taken.stderr


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_table_that_it_prints_is_one_that_it_reads(tmp_path, name):
    table = tmp_path / "table.txt"
    table.write_text(imported("auto", str(CORPUS / name), "--table").stdout)

    again = imported("table", str(table), "--table")
    assert again.stdout == table.read_text()
    assert again.stderr.splitlines()[-1].startswith(f"{EXPECTED[name][0]} subscribers")


CONNECT = """
import socket, subprocess, sys
server = socket.create_server(("198.51.100.7", 8080))
pairs = []
for i in range(8):
    for port in (20000, 20001):
        client = socket.create_connection(("198.51.100.7", 8080), source_address=(f"100.65.0.{i}", port),
                                          timeout=20)
        pairs.append((client, server.accept()[0]))
sys.stdout.write(subprocess.run(["conntrack", "-L"], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.parametrize("name", ["nft-rules.nft", "iptables-snat.save"])
def test_live_sessions_of_linux_lie_in_the_imported_blocks(namespace, tmp_path, name):
    for program in ("nft" if name.endswith(".nft") else "iptables-restore", "conntrack"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    for i in range(8):
        namespace("ip", "address", "add", f"100.65.0.{i}/32", "dev", "lo")
    for address in ("198.51.100.7/32", "198.51.100.1/32"):
        namespace("ip", "address", "add", address, "dev", "lo")
    rules = (CORPUS / name).read_text().replace("wan0", "lo")
    loaded = namespace("nft", "-f", "-", input=rules) if name.endswith(".nft") else \
        namespace("iptables-restore", input=rules)
    assert loaded.returncode == 0, loaded.stderr
    sessions = tmp_path / "sessions.txt"
    listed = namespace("/usr/bin/python3", "-c", CONNECT)
    sessions.write_text(listed.stdout)
    assert listed.returncode == 0, listed.stderr

    checked = imported("auto", str(CORPUS / name), "--check", str(sessions))
    assert "16 sessions: 16 agree\n" in checked.stderr

    # The same sessions against another plan do not agree, and that is what the exit status says.
    other = tmp_path / "other.txt"
    other.write_text("".join(f"100.65.0.{i} 198.51.100.1 {1024 + 8000 * (7 - i)} {9023 + 8000 * (7 - i)}\n"
                             for i in range(8)))
    checked = imported("table", str(other), "--check", str(sessions))
    assert checked.returncode == 1
    assert "16 sessions: 0 agree; 16 do not, first: 100.65.0." in checked.stderr


def test_strict_prints_nothing_where_something_is_lost():
    done = imported("auto", str(CORPUS / "iptables-snat.save"), "--strict")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "iptables-snat.save:27: " in done.stderr


def test_losses_of_one_kind_are_one_line_with_their_number(tmp_path):
    rules = tmp_path / "nat.rsc"
    rules.write_text("/ip firewall nat\n"
                     + "".join(f"add chain=srcnat action=src-nat protocol={proto} src-address=100.64.0.{i} "
                               f"to-addresses=192.0.2.1 to-ports={1024 + 1024 * i}-{2047 + 1024 * i}\n"
                               for i in range(8) for proto in ("tcp", "udp"))
                     + "".join(f"add chain=dstnat action=dst-nat protocol=tcp dst-address=192.0.2.1 "
                               f"dst-port={1024 + 1024 * i}-{2047 + 1024 * i} to-addresses=100.64.0.{i}\n"
                               for i in range(8))
                     + "add chain=srcnat action=same src-address=100.64.9.0\n"
                     + "add chain=srcnat action=odd src-address=100.64.9.1\n")

    done = imported("routeros", str(rules))

    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line for line in lines if "from outside" in line] == [
        f'{rules}:18: ports "1024-2047" from outside to 100.64.0.0: not kept, a portmap has as many ports inside as '
        "outside, and few, as his sessions cannot have them (and 7 more of these, the last in line 25)"]
    assert sum("not understood" in line for line in lines) == 2
    notes = json.loads(imported("routeros", str(rules), "-j").stdout)["notes"]
    assert sum(note["kind"] == "inbound" for note in notes) == 8


def test_an_icmp_session_with_the_identifier_of_another_disagrees(tmp_path):
    table = tmp_path / "table"
    table.write_text("100.64.0.0 192.0.2.1 1024 2047\n100.64.0.1 192.0.2.1 2048 3071\n")
    sessions = tmp_path / "sessions"

    def check(identifier):
        sessions.write_text("icmp     1 29 src=100.64.0.0 dst=198.51.100.1 type=8 code=0 id=77 src=198.51.100.1 "
                            f"dst=192.0.2.1 type=0 code=0 id={identifier} mark=0 use=1\n")
        return imported("table", str(table), "--check", str(sessions))

    assert "1 session: 1 agree\n" in check(1500).stderr
    other = check(2500)
    assert other.returncode == 1
    assert "1 session: 0 agree; 1 does not, first: 100.64.0.0:77 left by 192.0.2.1:2500" in other.stderr

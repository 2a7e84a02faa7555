# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl plan on what Debian's own programs print: conntrack, tcpdump, softflowd and nfdump, in a namespace."""

import json
import os
import shutil
import subprocess
import time

import pytest

from agent import CTL, execute

# Connections that are opened to 127.0.0.1, from as many ports.
CONNECTIONS = 40

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

TRAFFIC = """
import socket
server = socket.create_server(("198.51.100.7", 8080), backlog=64)
pairs = []
for i in range(%d):
    client = socket.create_connection(("198.51.100.7", 8080), source_address=("100.64.0.2", 20000 + i))
    pairs.append((client, server.accept()[0]))
for client, _ in pairs:
    client.sendall(b"x")
%s
"""


def wait_until(condition):
    end = time.time() + 20
    while not condition():
        assert time.time() < end
        time.sleep(0.02)


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


@pytest.fixture
def inside(tmp_path):
    """A namespace whose loopback has a subscriber's address and a server's."""
    name = f"plan-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)

    def run(*words, **options):
        return subprocess.run(["ip", "netns", "exec", name, *words], check=True, capture_output=True, text=True,
                              cwd=tmp_path, **options)

    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", "100.64.0.2/32", "dev", "lo")
    run("ip", "addr", "add", "198.51.100.7/32", "dev", "lo")
    run.name = name
    yield run
    subprocess.run(["ip", "netns", "del", name], check=True)


def plan(*arguments):
    result = execute(CTL, "-j", "plan", *arguments)
    assert result.status == 0, result
    return json.loads(result.out)


def expect_connections(answer):
    assert answer["subscribers_seen"] == 1
    assert answer["sessions_at_once"]["max"] == CONNECTIONS
    assert answer["busiest_destination"]["max"] == CONNECTIONS
    rows = {row["ratio"]: row for row in answer["rows"]}
    assert rows[32]["ports"] == 2016 and rows[32]["refused"] == 0 and rows[32]["exceed"] == 0
    assert answer["traffic"][0]["not_understood"] == 0


def test_a_table_of_conntrack(inside, tmp_path):
    needs("conntrack", "nft")
    inside("nft", "add table ip t; add chain ip t c { type filter hook output priority 0; }; "
                  "add rule ip t c ct state new accept")
    for form in ([], ["-o", "extended"]):
        listing = "import subprocess; print(subprocess.run(['conntrack', '-L', *%r], capture_output=True, " \
                  "text=True).stdout)" % form
        table = inside("python3", "-c", TRAFFIC % (CONNECTIONS, listing)).stdout
        assert table.count("ESTABLISHED") >= CONNECTIONS
        (tmp_path / "table.txt").write_text(table)
        expect_connections(plan("--traffic", str(tmp_path / "table.txt"), "--in", "100.64.0.0/24"))
        inside("conntrack", "-F")


def capture(inside, tmp_path):
    path = tmp_path / "inside.pcap"
    dump = subprocess.Popen(["ip", "netns", "exec", inside.name, "tcpdump", "-i", "lo", "-U", "-w", path],
                            stderr=subprocess.PIPE, text=True)
    while "listening" not in dump.stderr.readline():
        assert dump.poll() is None
    inside("python3", "-c", TRAFFIC % (CONNECTIONS, ""))
    wait_until(lambda: path.stat().st_size > CONNECTIONS * 4 * 80)
    dump.terminate()
    dump.wait()
    dump.stderr.close()
    return path


def test_a_capture_of_tcpdump(inside, tmp_path):
    needs("tcpdump")
    expect_connections(plan("--traffic", str(capture(inside, tmp_path)), "--in", "100.64.0.0/24"))


def test_flows_of_softflowd_and_nfdump(inside, tmp_path):
    needs("tcpdump", "softflowd", "nfcapd", "nfdump")
    path = capture(inside, tmp_path)
    flows = tmp_path / "flows"
    flows.mkdir()
    collector = subprocess.Popen(["ip", "netns", "exec", inside.name, "nfcapd", "-l", flows, "-w", flows, "-p", "9995"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: "9995" in inside("ss", "-lnu").stdout)
    inside("softflowd", "-r", str(path), "-n", "127.0.0.1:9995", "-v", "9", "-d")
    # What waits in its socket would end with it.
    wait_until(lambda: inside("ss", "-lnuH", "sport = :9995").stdout.split()[1] == "0")
    collector.terminate()
    collector.wait()
    text = subprocess.run(["nfdump", "-R", flows, "-o", "csv"], check=True, capture_output=True, text=True,
                          env={**os.environ, "TZ": "UTC"}).stdout
    (tmp_path / "flows.csv").write_text(text)
    answer = plan("--traffic", str(tmp_path / "flows.csv"), "--in", "100.64.0.0/24")
    expect_connections(answer)
    assert answer["towards_subscribers"] == CONNECTIONS


def test_without_traffic_each_output_names_the_assumption():
    result = execute(CTL, "plan", "--subscribers", "1000")
    assert result.status == 0 and "assumption" in result.out and "Wicks" in result.out and "VyOS" in result.out
    assert "Wicks" in plan("--subscribers", "1000")["assumption"]


@pytest.mark.parametrize("arguments, text", [
    ([], "plan needs --traffic"),
    (["--subscribers", "5", "--target", "1%"], "only --traffic can show"),
    (["--subscribers", "5", "--sampled"], "sampled flows show nothing"),
    (["--subscribers", "5", "--timeouts", "udp=x"], "udp=N"),
    (["--subscribers", "5", "--scale", "0"], "0.001 to 100"),
    (["--in", "100.64.0.0/33"], "is no prefix"),
])
def test_wrong_usage_says_what_is_right(arguments, text):
    result = execute(CTL, "plan", *arguments)
    assert result.status == 2 and text in result.err, result


def test_a_plot_is_a_picture_with_a_line_for_each_share(tmp_path):
    lines = "".join(f"1700000000 udp 100.64.0.1:{1024 + i} 8.8.8.8:53\n" for i in range(200))
    (tmp_path / "lines.txt").write_text(lines)
    plan("--traffic", str(tmp_path / "lines.txt"), "--target", "0.1%", "--plot", str(tmp_path / "plan.svg"))
    picture = (tmp_path / "plan.svg").read_text()
    assert picture.count("<polyline") == 2 and picture.rstrip().endswith("</svg>")


def test_who_moves_between_two_configurations(tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text('{"mappings":[{"in":"100.64.0.0/24","out":"203.0.113.0/28"}]}')
    new.write_text('{"mappings":[{"in":"100.64.0.0/24","out":"203.0.113.0/28"},{"in":"100.64.0.9/32","out":"192.0.2.1/32"}]}')
    same = execute(CTL, "plan", "diff", str(old), str(old))
    assert same.status == 0 and "256 keep address and ports" in same.out
    moved = execute(CTL, "plan", "diff", str(old), str(new), "-v")
    assert moved.status == 1 and "100.64.0.9: 203.0.113.0:37312-41343 -> 192.0.2.1:1024-65535" in moved.out
    check = execute(CTL, "plan", "check", str(old))
    assert check.status == 0 and ".0 or .255" in check.out


SIX = {"in": "2001:db8:1200::/48", "subscriber_plen": 56, "nat64_prefix": "64:ff9b::/96", "out": "203.0.113.8/29"}


def plan_of(path, *mappings):
    path.write_text(json.dumps({"mappings": [dict(SIX, **one) for one in mappings]}))
    return str(path)


def test_subscribers_of_ipv6_are_checked_and_compared(tmp_path):
    old, six = plan_of(tmp_path / "old.json", {"hosts_per_subscriber": 5}), "2001:db8:1200::/48"
    check = json.loads(execute(CTL, "-j", "plan", "check", old).out)
    row, = check["mappings"]
    assert (row["in"], row["subscribers"], row["ports_per_host"], row["hosts_per_subscriber"]) == (six, 256, 2016, 5), row
    # 8 lines of hosts each, of 16 octets.
    none = json.loads(execute(CTL, "-j", "plan", "check", plan_of(tmp_path / "one.json", {"hosts_per_subscriber": 1})).out)
    assert check["memory_bytes"] - none["memory_bytes"] == 256 * (8 - 1) * 16
    text = execute(CTL, "plan", "check", plan_of(tmp_path / "default.json", {})).out
    assert "HOSTS" in text.splitlines()[0] and text.splitlines()[1].split()[0] == six and " 16 " in text.splitlines()[1], text
    # A larger prefix around: those who were there keep what they have, wherever it comes in the list.
    wider = plan_of(tmp_path / "wider.json", {"in": "2001:db8:1000::/38", "out": "198.51.100.0/22"}, {"hosts_per_subscriber": 5})
    assert execute(CTL, "plan", "diff", old, wider).out.startswith(
        "262144 subscribers: 256 keep address and ports, 0 get another address, 0 other ports; 261888 are new, 0 are gone")
    moved = execute(CTL, "plan", "diff", old, plan_of(tmp_path / "moved.json", {"in": [six, "2001:db8:1300::/48"], "out": "203.0.113.16/28"}), "-v")
    assert moved.status == 1 and "2001:db8:1200:100::/56: 203.0.113.8:3040-5055 -> 203.0.113.16:" in moved.out, moved
    assert "2001:db8:1300::/56: none -> 203.0.113.24:1024-3039" in moved.out, moved


@pytest.mark.parametrize("text, why", [
    ('{"mappings":[{"in":"100.64.0.0/24","out":"203.0.113.0/28"}],\n"colour":"red"}', ":2: colour:"),
    ('{"mappings":[{"in":"100.64.0.0/24","out":"203.0.113.0/28",\n"inbuond":"open"}]}', ":2: mappings[0].inbuond:"),
    ('{"mappings":[\n{"in":"100.64.0.0/24","out":"203.0.113.0/28","sessions_per_user":-1}]}', ":2: mappings[0].sessions_per_user:"),
    ('{"interfaces":{"inside":["a"]}}', ":1: interfaces.outside: this key is missing"),
    ("[]", "a configuration is an object"), ("{", ":1:"), (None, "No such file")])
def test_a_plan_that_the_agent_would_refuse_has_no_answer(tmp_path, text, why):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"mappings":[{"in":"100.64.0.0/24","out":"203.0.113.0/28"}]}')
    if text:
        bad.write_text(text)
    for arguments, status in (["check", bad], 1), (["diff", good, bad], 2), (["diff", bad, good], 2):
        refused = execute(CTL, "plan", *map(str, arguments))
        assert (refused.status, refused.out) == (status, "") and why in refused.err, refused

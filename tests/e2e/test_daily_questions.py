# SPDX-License-Identifier: BSD-2-Clause
"""The daily questions of a desk, sentence by sentence as docs/evidence/LEASES.md lists them, where no other test has them."""

import datetime
import hashlib
import json
import re
import shutil

import pytest

import isolation
from agent import CTL, execute
from lab import block_of
import test_growth
from test_audit_queries import AT, ask
from test_ctl_who import next_second
from test_leases import IN, OUT, lease_file, session_of

ADDRESS = OUT.split(":")[0]


@pytest.fixture
def place(running_lab, tmp_path):
    lease_file(tmp_path, *session_of("alice", circuit="port 1", mac="02:00:00:00:00:0a"))
    return ("--state-dir", running_lab.agent.state, "--leases", tmp_path)


def candidates(place, *more):
    return json.loads(execute(CTL, "-j", "who", ADDRESS, *AT, *place, *more).out)


def test_who_without_a_port_lists_all_in_order_and_in_pages(running_lab, place):
    whole = candidates(place, "--limit", "100000")
    rows = whole["candidates"]
    assert {"out_addr", "time", "total", "candidates", "next"} <= set(whole) and whole["next"] is None and whole["total"] == len(rows) == 4096
    assert all({"in_addr", "port_lo", "port_hi", "gateway", "customer"} <= set(row) for row in rows)
    assert [(r["gateway"], r["port_lo"]) for r in rows] == sorted((r["gateway"], r["port_lo"]) for r in rows)
    row, = (r for r in rows if r["in_addr"] == IN)
    assert (row["port_lo"], row["port_hi"], row["customer"]["id"]) == (block_of(IN).lo, block_of(IN).hi, "alice")
    first = candidates(place)
    assert len(first["candidates"]) == 100 and first["next"] == 100
    assert candidates(place, "--limit", "7", "--offset", "100")["candidates"] == rows[100:107]
    text = execute(CTL, "who", ADDRESS, *AT, *place, "--limit", "7").out
    assert text.startswith("4096 subscribers may have had it, 7 shown")
    for limit in ("0", "100001"):
        assert execute(CTL, "who", ADDRESS, *AT, *place, "--limit", limit).status == 2


def test_a_request_names_each_line_with_an_address_and_no_port(running_lab, place, tmp_path):
    mail = tmp_path / "mail"
    mail.write_text(f"At {AT[1]} your customer {ADDRESS} scanned us.\nAt {AT[1]} your customer {OUT} scanned us.\n")
    told = execute(CTL, "request", mail, *place)
    assert IN in told.out and "line 1: a line with a time of its own has no port\n" in told.err, told


def test_a_verdict_stands_first_and_json_stays_an_array_without_it(place, tmp_path):
    mail, now = tmp_path / "mail", f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    mail.write_text(f"{now} {OUT}\n{now} {ADDRESS}:{block_of(IN).hi}\n")
    assert execute(CTL, "request", mail, *place).out.startswith("all 2 name the same customer\n")
    answers = json.loads(execute(CTL, "-j", "request", mail, *place).out)
    told = json.loads(execute(CTL, "-j", "request", mail, *place, "--verdict").out)
    assert isinstance(answers, list) and len(answers) == 2 and set(told) == {"verdict", "answers"}
    assert told["verdict"] == "all 2 name the same customer" and [a["in_addr"] for a in told["answers"]] == [IN, IN]
    mail.write_text(f"{now} {OUT}\n{now} {ADDRESS}:{block_of('10.0.0.2').lo}\n2001-01-01T00:00:00Z {OUT}\n")
    first = execute(CTL, "request", mail, *place).out.splitlines()[0]
    assert re.match(r"(they differ: lines 2; )?not definite: lines (2, )?3$", first), first
    # The same of lines, where it is asked for.
    lines = mail.read_text()
    for text in (lines, lines.splitlines()[0]):
        answer = isolation.run(CTL, "-j", "who", "-", "--verdict", *place, input=text, check=False)
        told = json.loads(answer.stdout)
        assert told["verdict"] == (first if text == lines else "all 1 name the same customer") and len(told["answers"]) == len(text.splitlines()), told
    assert isolation.run(CTL, "who", "-", "--verdict", *place, input=lines, check=False).stdout.splitlines()[0] == first
    assert execute(CTL, "who", OUT, "--verdict", *place).status == 2
    # A time that the history was not read to.
    mail.write_text(f"{now} {OUT}\n{AT[1]} {OUT}\n")
    assert execute(CTL, "request", mail, *place).out.startswith("not definite: lines 2\n")


def test_an_erased_line_keeps_its_hash_and_the_line_about_it_names_nobody(running_lab, tmp_path):
    source, state = tmp_path / "dnsmasq.leases", shutil.copytree(running_lab.agent.state, tmp_path / "state")
    source.write_text(f"2000000000 02:00:00:00:00:04 {IN} host *\n")
    assert execute(CTL, "leases", "import", "dnsmasq", source, "--leases", state).status == 0
    path = next(state.glob("leases-*.jsonl"))
    before = path.read_bytes().splitlines()
    assert execute(CTL, "customer", "020000000004", "--erase", "--case", "7", "--state-dir", state).status == 0
    after = path.read_bytes().splitlines()
    assert len(after) >= len(before) and json.loads(after[0]) == {
        "line": 1, "event": "erased", "was": hashlib.sha256(before[0]).hexdigest(), "hash": json.loads(before[0])["hash"]}, (before[0], after[0])
    about, = (json.loads(line) for line in b"\n".join(p.read_bytes() for p in state.glob("leases-*.jsonl")).splitlines() if b'"day"' in line)
    assert about["event"] == "erased" and about["day"] == path.name[7:17] and about["lines"] == 1 and about["case"] == "7"
    assert not {"id", "in_addr", "mac", "circuit", "session"} & set(about)
    assert "line 1 was erased" in execute(CTL, "history", "verify", "--state-dir", state).out
    verified = execute(CTL, "-j", "history", "verify", "--state-dir", state)
    leases = json.loads(verified.out)["leases"]
    assert verified.status == 0 and leases["damage"] == [] and [e["line"] for e in leases["erased"]] == [1]


def test_a_customer_had_granted_blocks_and_ports_of_portmaps_too(lab, tmp_path):
    lab.start(mappings=[test_growth.GROWING], unmatched="drop")
    host = lab.host("10.0.0.3")
    test_growth.fill(lab, host)
    test_growth.grow(lab, host, 5008)
    granted, = test_growth.grants(lab)
    portmap = lab.agent.ctl("portmap", "add", "tcp", f"{host.addr}:80", f"{test_growth.OUT}:{1024 + 8 * 3}")
    test_growth.settled(lab)
    lease_file(tmp_path, *session_of("alice", in_addr=host.addr), *session_of("bob", in_addr="10.0.0.4", session="nas/2"))
    where = ("--state-dir", lab.agent.state, "--leases", tmp_path)
    rows = json.loads(execute(CTL, "-j", "customer", "alice", *where).out)
    had = [(r["port_lo"], r["port_hi"], r.get("granted"), r.get("portmap", {}).get("in")) for r in rows if r["out_addr"]]
    assert had == [(1048, 1055, None, None), (granted["port_lo"], granted["port_hi"], True, None), (1048, 1048, None, f"{host.addr}:80")], rows
    assert {r["out_addr"] for r in rows} <= {None, test_growth.OUT} and all(r["to"] is None or r["from"] < r["to"] for r in rows[1:]), (rows, portmap)
    text = execute(CTL, "customer", "alice", *where).out
    assert f"{host.addr}, {test_growth.OUT} ports {granted['port_lo']} to {granted['port_hi']}, granted, by id" in text, text
    assert f"{host.addr}, {test_growth.OUT} ports 1048 to 1048, portmap of tcp, by id" in text, text
    # Another's, and those of before and after, are not his.
    assert not [r for r in json.loads(execute(CTL, "-j", "customer", "bob", *where).out) if r.get("granted") or r.get("portmap")]
    begun = rows[1]["from"]
    before = json.loads(execute(CTL, "-j", "customer", "alice", *where, "--to", begun).out)
    assert not [r for r in before if r.get("granted") or r.get("portmap")], before


def test_a_customers_rows_are_cut_at_changes_of_the_mapping(lab, tmp_path):
    """A smaller prefix takes the address away for a while; --from and --to cut the same list."""
    agent, host, smaller = lab.start(), "10.0.0.3", {"in": "10.0.0.0/24", "out": "1.1.2.0/30"}
    lease_file(tmp_path, *session_of("alice", in_addr=host))
    where = ("--state-dir", agent.state, "--leases", tmp_path)
    for change in ("add", "del"):
        next_second()
        agent.ctl("mapping", change, smaller["in"], smaller["out"])
    next_second()
    rows = json.loads(execute(CTL, "-j", "customer", "alice", *where).out)
    blocks = [block_of(host), block_of(host, smaller), block_of(host)]
    assert [(r["out_addr"], r["port_lo"], r["port_hi"]) for r in rows] == [(None, None, None), *((b.addr, b.lo, b.hi) for b in blocks)], rows
    assert all(set(r) == {"customer", "by", "gateway", "in_addr", "out_addr", "port_lo", "port_hi", "from", "to"} and r["customer"] == "alice" for r in rows)
    assert [r["to"] for r in rows] == [*(r["from"] for r in rows[1:]), None]
    cut = json.loads(execute(CTL, "-j", "customer", "alice", *where, "--from", rows[1]["from"], "--to", rows[2]["to"]).out)
    assert [(r["from"], r["to"], r["out_addr"]) for r in cut] == [(r["from"], r["to"], r["out_addr"]) for r in rows[1:3]]


def test_two_gateways_of_one_host_and_second_are_told_apart(lab):
    """The line `start` and the head have a UUID that was made with the directory, and keep it."""
    agent = lab.start()

    def identity():
        start = next(json.loads(line) for line in (agent.state / "history.jsonl").read_text().splitlines() if '"start"' in line)
        return start["gateway"], json.loads((agent.state / "history.head").read_text())["gateway"]
    first, head = identity()
    assert first == head and re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", first)
    agent.restart()
    assert identity() == (first, head)


def test_a_look_with_a_case_is_refused_where_no_line_can_be_left(running_lab, place, tmp_path):
    """With and without audit_queries: what says why is to be noted, and controls in it are escaped or refused."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "chain.jsonl").mkdir()
    for command in (("who", OUT, *AT), ("customer", "alice"), ("request", "-"), ("evidence", "c-1", OUT, *AT, "--directory", str(tmp_path))):
        told = ask(*command, *place, "--queries", tmp_path / "full", *(() if command[0] == "evidence" else ("--case", "7")))
        assert told.status == 1 and "alice" not in told.out and not (tmp_path / "c-1").exists(), told

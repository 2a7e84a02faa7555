# SPDX-License-Identifier: BSD-2-Clause
"""IPv6-only subscribers before a desk, which knows them by their prefixes: their customers, evidence about them, and the page."""

import json

import pytest

from agent import CTL, execute
from desk import Desk
from desk_program import stamp
from lab64 import Lab64, block, host, subscriber_prefix
from test_ctl_who import next_second
from test_desk_browser import ADDRESS, Browser, Keys
from test_leases import lease_file, session_of

LAB = Lab64
PART = "2001:db8:4000:400::/60"  # of the prefix of subscriber 4, and so the lease of none
OUT = f"{block(3).addr}:{block(3).lo}"
FIRST = subscriber_prefix(3).removesuffix("/56")


@pytest.fixture
def place(lab):
    """Where the history and the leases are, of a second in which the mapping is no news any more."""
    lab.start()
    lab.open6(host(3), subscriber=3)
    leases = lab.directory / "leases"
    leases.mkdir()
    lease_file(leases, *session_of("alice", circuit="port 3", in_addr=subscriber_prefix(3)), *session_of("bob", in_addr=PART, session="nas/2"))
    next_second()
    next_second()
    return ("--state-dir", lab.agent.state, "--leases", leases)


def ask(*words):
    told = execute(CTL, "-j", *words)
    assert told.status == 0, told
    return json.loads(told.out)


def test_the_lease_of_a_prefix_names_the_customer_and_evidence_proves_it(lab, place, tmp_path):
    at = ("--at", stamp())
    answer = ask("who", OUT, *at, *place)
    assert (answer["in_prefix"], answer["customer"]["id"]) == (subscriber_prefix(3), "alice") and "in_addr" not in answer, answer
    row, = (r for r in ask("who", block(3).addr, *at, *place, "--limit", "1000")["candidates"] if r["in_prefix"] == subscriber_prefix(3))
    assert (row["port_lo"], row["port_hi"], row["customer"]["id"]) == (block(3).lo, block(3).hi, "alice")
    # Of subscriber 4 there is no lease.
    told = execute(CTL, "who", f"{block(4).addr}:{block(4).lo}", *at, *place)
    assert told.status == 1 and '"bob"' not in told.out and "nothing is recorded of the address" in told.err, told
    assert execute(CTL, "evidence", "64", OUT, *at, *place, "--directory", tmp_path).status == 0
    told = execute(CTL, "verify", tmp_path / "64")
    assert told.status == 0 and '"alice"' in told.out and subscriber_prefix(3) in told.out, told
    assert "bob" not in "".join(path.read_text() for path in (tmp_path / "64").iterdir())


def test_a_customer_had_the_ports_of_his_prefix(lab, place):
    before, since = ask("customer", "alice", *place)
    assert before["out_addr"] is None and before["to"] == since["from"]
    assert {key: since[key] for key in ("in_prefix", "out_addr", "port_lo", "port_hi", "to")} == {
        "in_prefix": subscriber_prefix(3), "out_addr": block(3).addr, "port_lo": block(3).lo, "port_hi": block(3).hi, "to": None}
    row, = ask("customer", "bob", *place)
    assert (row["in_prefix"], row["out_addr"]) == (PART, None)
    told = execute(CTL, "customer", "port 3", *place).out
    assert f"{subscriber_prefix(3)}, {block(3).addr} ports {block(3).lo} to {block(3).hi}, by circuit" in told, told


def test_the_page_knows_subscribers_by_their_prefixes(lab, place, tmp_path):
    desk = Desk(tmp_path / "desk", "--control", lab.agent.socket, "--leases", place[-1], listen=ADDRESS, namespace=lab.gateway)
    try:
        window = Browser(tmp_path, lab.gateway)
        try:
            with window as browser:
                browser.open("about:blank", whole=True)
                browser.requests(), browser.complaints()
                from_the_complaint_to_the_subscriber_and_back(browser)
                browser.assert_clean()
        finally:
            window.end()
    finally:
        desk.end()


def from_the_complaint_to_the_subscriber_and_back(browser):
    browser.open("/")
    browser.one("#complaint").send_keys(f"{stamp()} {OUT}")
    browser.one("#find").click()
    browser.one("#ask").click()
    browser.says("1 of 1 found, with a customer")
    browser.one(f"a[href='/subscriber/{FIRST}']").click()
    browser.says(f"Inside prefix\n{subscriber_prefix(3)}")
    browser.says("Hosts with sessions\n1 of 16")
    assert browser.driver.title == f"Subscriber {FIRST} - detnat desk"
    browser.one("#whose").click()
    browser.says('"alice"')
    browser.one("#jump-address").send_keys(subscriber_prefix(4), Keys.ENTER)
    browser.says(f"Inside prefix\n{subscriber_prefix(4)}")
    browser.open("/customer")
    browser.one("#customer").send_keys("alice", Keys.ENTER)
    browser.says(f"{block(3).addr} ports {block(3).lo} to {block(3).hi}")
    assert browser.all(f"a[href='/subscriber/{FIRST}']")

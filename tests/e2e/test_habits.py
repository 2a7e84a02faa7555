# SPDX-License-Identifier: BSD-2-Clause
"""What users of iproute2, nft, conntrack, FRR and Ansible type ends without an error: one test a row of habits."""

import json
import subprocess

import pytest

import isolation
from agent import AGENT, CTL, execute, wait_for
from lab import SERVER
from test_ctl_monitor import monitor
from test_metrics import LISTEN, OPENMETRICS, get

NAMED = [{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "residential", "comment": "south"}]


@pytest.fixture
def agent(lab):
    return lab.prepare(mappings=NAMED, comment="gateway of the south").start()


def test_iproute2_a_noun_alone_lists(agent):
    assert agent.ctl("mapping") == agent.ctl("mapping", "list") != []
    for noun in ("interface", "session", "timeouts", "ipfix", "trace", "config", "history"):
        options = ("--state-dir", agent.state) if noun == "history" else ()
        assert agent.command(noun, *options).status == 0, noun


def test_iproute2_show_list_and_ls_are_the_same(agent):
    for noun in ("mapping", "session", "interface", "timeouts", "ipfix", "trace", "config"):
        assert len({agent.text(noun, verb) for verb in ("show", "list", "ls")}) == 1, noun


def test_iproute2_and_frr_abbreviate(agent):
    assert agent.ctl("sess", "li") == agent.ctl("session", "list")
    assert agent.ctl("map", "l") == agent.ctl("mapping", "list")


def test_iproute2_pretty_json_and_batches(agent):
    shown = agent.command("-j", "-p", "mapping")
    assert shown.status == 0 and json.loads(shown.out) == agent.ctl("mapping") and shown.out.count("\n") > 5
    commands = agent.directory / "commands"
    commands.write_text("timeouts set udp=77\nmapping show\n")
    assert agent.command("-b", commands).status == 0
    assert agent.ctl("timeouts")["udp"] == 77


def test_iproute2_long_options_have_one_dash(agent):
    assert json.loads(agent.command("-json", "-pretty", "mapping").out) == agent.ctl("mapping")
    commands = agent.directory / "commands"
    commands.write_text("mapping show\n")
    assert agent.command("-batch", commands).status == 0


def test_iproute2_statistics_are_no_socket(agent):
    said = execute(CTL, "-s", "mapping")
    assert said.status == 2 and "-s takes the path of the agent's socket" in said.err and "detnatctl stats" in said.err


def test_ip_nft_and_conntrack_monitor(agent):
    with monitor(agent, "mappings") as it:
        agent.ctl("mapping", "set", "residential", "--comment", "new")
        assert it.event()["event"] == "mapping-changed"


def test_conntrack_filters_and_deletes(lab, agent):
    host = lab.host()
    lab.handshake(host, port=6000, dport=443)
    lab.open_udp(host, port=5000, dport=53)
    assert len(agent.ctl("session", "list", "--ext", f"{SERVER}:443", "--state", "tcp-established")) == 1
    assert agent.ctl("session", "list", "--ext", SERVER, "--count") == {"count": 2}
    assert agent.ctl("session", "flush", host.addr, "--ext", f"{SERVER}:443", "--dry-run")["closed"] == 1
    assert agent.ctl("session", "flush", host.addr)["closed"] == 2


def test_nft_comments_in_the_file_and_the_ruleset_printed(agent):
    shown = agent.text("config", "show")
    assert json.loads(shown)["comment"] == "gateway of the south" and json.loads(shown)["mappings"] == NAMED
    agent.path.write_text(shown)
    assert agent.once("-t").status == 0
    assert agent.ctl("reload")["changed"] is False


def test_frr_write_memory(agent):
    agent.ctl("mapping", "add", "10.64.0.0/24", "1.1.2.0/28", "--name", "business")
    assert agent.command("config", "diff").status == 1
    assert agent.command("config", "save").status == 0
    assert agent.command("config", "diff").status == 0
    agent.restart()
    assert [m["name"] for m in agent.ctl("mapping")] == ["residential", "business"]


def test_ip_link_set_one_attribute_is_changed(lab, agent):
    host = lab.host()
    lab.open_udp(host)
    agent.ctl("mapping", "set", "residential", "--sessions-per-user", "70")
    assert agent.ctl("user", "show", host.addr)["quota"] == 70 and lab.session(host)


def test_everybody_names_stand_for_prefixes(lab, agent):
    host = lab.host()
    assert "residential" in agent.text("mapping", "list")
    assert agent.ctl("forward", host.addr)["mapping"] == "residential"
    block = agent.ctl("forward", host.addr)
    assert agent.ctl("reverse", f"{block['out_addr']}:{block['port_lo']}")["mapping"] == "residential"


def test_ansible_learns_whether_anything_changed_and_may_check_first(agent):
    agent.write(mappings=[*NAMED, {"in": "10.64.0.0/24", "out": "1.1.2.0/28"}])
    checked = agent.ctl("reload", "--dry-run")
    assert checked["changed"] is True and len(checked["added"]) == 1 and len(agent.ctl("mapping")) == 1
    assert agent.ctl("reload")["changed"] is True
    assert agent.ctl("reload")["changed"] is False


def test_det44_users_forward_and_reverse(lab, agent):
    block = agent.ctl("forward", "10.0.0.2")
    assert agent.ctl("reverse", f"{block['out_addr']}:{block['port_hi']}")["in_addr"] == "10.0.0.2"


def test_prometheus_negotiates_openmetrics_and_may_leave_mappings_out(lab):
    agent = lab.prepare(mappings=NAMED, metrics={"listen": LISTEN, "per_mapping": False}).start()
    _, response, text = get(lab, Accept=OPENMETRICS)
    assert response.getheader("Content-Type").startswith(OPENMETRICS) and text.endswith("# EOF\n")
    assert 'mapping="residential"' not in text and agent.ctl("config", "show")["metrics"]["per_mapping"] is False


def test_editors_and_ci_get_a_schema(agent):
    schema = json.loads(execute(AGENT, "--schema").out)
    assert schema["$schema"].endswith("2020-12/schema") and "mappings" in schema["properties"]


def test_a_pipe_into_head_is_no_error(agent):
    process = isolation.popen("sh", "-c", f"{CTL} -s {agent.socket} help | head -n 1; echo $?", stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    out, err = process.communicate(timeout=60)
    assert out.endswith("\n0\n") and err == ""
    assert wait_for(agent.running)

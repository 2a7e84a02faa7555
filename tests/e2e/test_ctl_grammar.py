# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl: abbreviations, synonyms, help and indented JSON."""

import json

import pytest

SAME = [
    ("mapping list", ("mapping", "mapping show", "mapping ls", "map", "map li")),
    ("interface list", ("interface", "interface show", "int ls")),
    ("timeouts show", ("timeouts", "timeouts list", "time ls")),
    ("ipfix show", ("ipfix", "ipfix list", "ip sh")),
    ("session list", ("session", "session show", "sess li", "session --proto tcp")),
    ("user show 10.0.0.2", ("user list 10.0.0.2", "user ls 10.0.0.2", "us s 10.0.0.2")),
    ("trace show", ("trace", "trace ls", "tr sh")),
    ("forward 10.0.0.2", ("for 10.0.0.2",)),
]


@pytest.mark.parametrize("full,short", [(full, short) for full, shorts in SAME for short in shorts])
def test_a_command_that_reads_has_short_forms(running_lab, full, short):
    assert running_lab.agent.ctl(*short.split()) == running_lab.agent.ctl(*full.split())
    assert running_lab.agent.text(*short.split()) == running_lab.agent.text(*full.split())


@pytest.mark.parametrize("typed,meant", [
    ("mapping a 10.64.0.0/24 1.1.2.0/28", "mapping add"), ("map del 10.0.0.0/18 1.1.1.0/30", "mapping del"),
    ("timeouts res", "timeouts reset"), ("relo", "reload"), ("ipfix dis", "ipfix disable"), ("che --repair", "check --repair"),
])
def test_a_command_that_changes_anything_is_typed_in_full(running_lab, typed, meant):
    before = running_lab.agent.ctl("mapping", "list"), running_lab.agent.ctl("timeouts", "show")
    assert meant in running_lab.agent.refused(*typed.split(), status=2)
    assert (running_lab.agent.ctl("mapping", "list"), running_lab.agent.ctl("timeouts", "show")) == before


@pytest.mark.parametrize("typed,named", [
    ("re", ("reverse", "reload")), ("trace s", ("trace start", "trace show", "trace stop")), ("i ls", ("interface list", "ipfix show")),
])
def test_an_ambiguous_beginning_is_refused_with_what_it_could_be(running_lab, typed, named):
    message = running_lab.agent.refused(*typed.split(), status=2)
    assert "ambiguous" in message and all(name in message for name in named)


@pytest.mark.parametrize("typed,title", [
    ("mapping add 10.0.0.0/33 1.1.2.0/28", "IN must be"), ("mapping add 10.64.0.0/24 1.1.2.0/33", "OUT must be"),
    ("forward 10.0.0", "ADDR must be"), ("top -n 0", "-n N must be"), ("timeouts set udp=0", "udp=N must be"),
    ("mapping add 10.64.0.0/24 1.1.2.0/28 --session-slots 9", "--session-slots N must be"),
    ("session list --proto sctp", "--proto must be tcp, udp or icmp"),
])
def test_messages_name_arguments_as_the_usage_does(running_lab, typed, title):
    assert title in running_lab.agent.refused(*typed.split(), status=2)


@pytest.mark.parametrize("typed,meant", [
    ("user move 10.0.0.0/8 1.1.9.0", 'ADDR must be an address such as 10.0.0.2, not "10.0.0.0/8"'),
    ("user move 10.0.0.3/32 1.1.9.0", "did you mean 10.0.0.3?"), ("forward 10.0.0.3/32", "did you mean 10.0.0.3?"),
    ("user move 10.0.0.3 1.1.9.5/28", "OUT must be"), ("user move 10.0.0.3 1.1.9.5/28", "did you mean 1.1.9.5 or 1.1.9.0/28?"),
    ("pool drain 1.1.1.2/30", "did you mean 1.1.1.2 or 1.1.1.0/30?"), ("pool drain 1.1.1.2 --to 1.1.9.7/29", "did you mean 1.1.9.7 or 1.1.9.0/29?"),
    ("pool restore 1.1.1.2/30", "did you mean 1.1.1.2"), ("pool list 1.1.1.2/30", "did you mean 1.1.1.2"),
    ("session flush 10.0.0.3/8", "did you mean 10.0.0.3 or 10.0.0.0/8?"), ("session list --ext 198.51.100.7/24", "did you mean 198.51.100.7"),
])
def test_no_address_is_taken_for_a_prefix_nor_a_prefix_for_an_address(running_lab, typed, meant):
    before = running_lab.agent.ctl("config", "show")
    assert meant in running_lab.agent.refused(*typed.split(), status=2)
    assert running_lab.agent.ctl("config", "show") == before


def test_indented_json_is_the_same_document(running_lab):
    for command in (("stats",), ("mapping",), ("status",)):
        shown = running_lab.agent.command("-p", *command)
        assert shown.status == 0 and shown.err == ""
        assert shown.out.count("\n") > 3
        assert isinstance(json.loads(shown.out), type(running_lab.agent.ctl(*command)))
    mappings = json.loads(running_lab.agent.command("mapping", "--pretty").out)
    assert mappings == running_lab.agent.ctl("mapping")


def test_help_and_version_are_commands(running_lab):
    agent = running_lab.agent
    assert agent.text("help") == agent.text("--help") != ""
    assert agent.text("help", "mapping", "add") == agent.text("mapping", "add", "--help")
    assert agent.text("mapping", "help") == agent.text("help", "mapping")
    for plural, meant in (("sessions", "session list, session close or session flush?"), ("users", "user show or user move?")):
        assert f'"{plural}" is not a command; did you mean {meant}' in agent.refused(plural, status=2)
    for verb in ("list", "show"):
        said = agent.refused(verb, status=2)
        assert all(command in said for command in ("mapping list", "config show", "peer list", "stats"))
    assert "mapping del" in agent.text("help", "mapping") and "session list" not in agent.text("help", "mapping")
    assert agent.text("version") == agent.text("-V")
    assert agent.ctl("version")["version"] in agent.text("version")
    commands = {c["name"]: c for c in agent.ctl("help")}
    assert commands["mapping add"]["changes"] and not commands["mapping list"]["changes"]
    assert commands["forward"]["usage"] == "ADDR [--tenant TENANT]"
    assert agent.command("help", "frobnicate").status == 2

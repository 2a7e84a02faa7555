# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl --batch: commands from a file or from standard input."""

import json
import re
import subprocess

import pytest

import isolation
from agent import CTL, execute
from test_control_abuse import answer, client
from test_history import records

ADD = "mapping add 10.64.0.0/24 1.1.2.0/28"


@pytest.fixture
def agent(lab):
    return lab.start()


@pytest.fixture
def batch(agent):
    """Runs detnatctl with commands from a file; a Result."""

    def run(text, *options):
        path = agent.directory / "commands"
        path.write_text(text)
        return agent.command(*options, "-b", path)

    return run


def names(agent):
    return [m["name"] for m in agent.ctl("mapping")]


def test_lines_are_run_in_order_with_quotes_comments_and_empty_lines(agent, batch):
    done = batch(f"""# a comment

{ADD} --name "firms" --comment 'north # "side"'   # why
mapping set firms --comment north\\ side
\tforward 10.64.0.1
""")
    assert done.status == 0 and done.err == "", done
    assert names(agent) == [None, "firms"]
    assert agent.ctl("mapping")[1]["comment"] == "north side"
    assert done.out.endswith(agent.text("forward", "10.64.0.1"))


def test_standard_input_will_do(agent):
    done = isolation.popen(CTL, "-s", agent.socket, "-b", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = done.communicate(f"{ADD} --name a\nmapping set b --name c\n", timeout=60)
    assert done.returncode == 1 and err.startswith("detnatctl: standard input:2: there is no mapping named b"), (out, err)
    assert names(agent) == [None]


# Lines, what is said, and of which line; edits before and after it do not take effect.
REFUSED = {
    "an edit": ("mapping set nobody --name b", "3: there is no mapping named nobody", 1),
    "a word": ("mapping frobnicate", "3: \"mapping frobnicate\" is not a command", 2),
    "an argument": ("mapping set a --sessions-per-user 70000", "3: --sessions-per-user", 2),
    "a quote": ("mapping set 'a", "3: a quote is not closed", 2),
    "another time to drain": ("mapping del 10.0.0.0/18 --drain 60", "3: mapping del: sessions of one change drain alike", 1),
    "a change as a whole": ("mapping add 10.65.0.0/24 1.1.2.0/29", "3: 1.1.2.0/29 overlaps 1.1.2.0/28", 1),
    "the machine": ("interface add nowhere0 inside", "3: ", 1),
}


@pytest.mark.parametrize("row", REFUSED)
def test_edits_are_made_all_or_none(agent, batch, row):
    line, said, status = REFUSED[row]
    before = agent.ctl("config", "show")
    done = batch(f"timeouts set udp=77\n{ADD} --name a\n{line}\nportmap add tcp 10.64.0.7:80\n")
    assert done.status == status and done.err.count("\n") == 1 and done.out == "", done
    assert f"commands:{said}" in done.err if said[0].isdigit() else said in done.err, done
    assert agent.ctl("config", "show") == before


def test_edits_are_one_change(agent, batch):
    """Prefixes are exchanged, which no order of single commands could do."""
    agent.ctl("mapping", "add", "10.64.0.0/24", "1.1.2.0/28", "--name", "firms")
    done = batch("mapping del 10.0.0.0/18\nmapping del firms\n"
                 "mapping add 10.0.0.0/18 1.1.2.0/30 --name a\nmapping add 10.64.0.0/24 1.1.1.0/28 --name b\n"
                 "mapping set b --comment late\npool list\ninterface list\n", "-j")
    assert done.status == 0, done
    documents = [json.loads(line) for line in done.out.splitlines()]
    assert documents[:2] == [{}, {}] and [d["name"] for d in documents[2:5]] == ["a", "b", "b"] and documents[4]["comment"] == "late"
    assert documents[5:] == [agent.ctl("pool"), agent.ctl("interface")]
    assert [(m["name"], m["in"], m["out"]) for m in agent.ctl("mapping")] == [
        ("a", "10.0.0.0/18", "1.1.2.0/30"), ("b", "10.64.0.0/24", "1.1.1.0/28")]
    told = [(r["event"], r.get("in"), r.get("out")) for r in records(agent)][-4:]
    assert sorted(told) == sorted([("del", "10.0.0.0/18", "1.1.1.0/30"), ("del", "10.64.0.0/24", "1.1.2.0/28"),
                                   ("add", "10.0.0.0/18", "1.1.2.0/30"), ("add", "10.64.0.0/24", "1.1.1.0/28")])


def test_what_a_later_line_deletes_has_no_answer(agent, batch):
    done = batch(f"{ADD} --name a\nmapping del a\nmapping list\n", "-j")
    assert done.status == 0 and [json.loads(line) for line in done.out.splitlines()] == [{}, agent.ctl("mapping")], done
    assert names(agent) == [None]


def test_other_commands_before_an_edit_see_what_was(agent, batch):
    done = batch(f"mapping list\n{ADD} --name a\nmapping list\nmapping set a --name b\n", "-j")
    first, _, second, third = (json.loads(line) for line in done.out.splitlines())
    assert done.status == 0 and [m["name"] for m in first] == [None] and [m["name"] for m in second] == [None, "b"] and third["name"] == "b"


def test_another_command_that_fails_ends_the_batch(agent, batch):
    done = batch(f"user show 10.99.0.1\n{ADD} --name a\nmapping set a --name b\n")
    assert done.status == 1 and "commands:1: " in done.err and names(agent) == [None], done


def test_more_than_one_change_takes_is_refused(agent, batch):
    done = batch("".join(f"timeouts set udp={100 + n % 900}\n" for n in range(25000)))
    assert done.status == 1 and "commands: more commands than fit into one change (1024 KiB of requests)" in done.err, done
    assert agent.ctl("timeouts", "show")["udp"] == 300


def test_four_thousand_commands_are_one_change(agent, batch):
    """As many mappings as there may be, and more commands on them than those."""
    more = 999
    done = batch("".join(f"mapping add 10.{128 + n // 250}.{n % 250}.0/30 1.2.{n // 250}.{n % 250}/32 --name m{n}\n" for n in range(more)))
    assert done.status == 0 and len(names(agent)) == more + 1, done
    assert [r["event"] for r in records(agent)][-more:] == ["add"] * more and len({r["time"] for r in records(agent)[-more:]}) == 1
    done = batch("".join(f"mapping set m{n % more} --comment 'number {n}'\n" for n in range(4096)))
    assert done.status == 0 and agent.ctl("mapping")[1 + 4095 % more]["comment"] == "number 4095", done


def test_a_batch_that_is_wrong_is_refused_with_the_number_of_the_request(agent):
    """The protocol, where detnatctl sends no such thing."""
    add = {"verb": "mapping add", "args": {"in": "10.64.0.0/24", "out": "1.1.2.0/28"}}
    for requests, said, number in (([], "at least", None), ([add, {"verb": "status"}], "does not edit", 2), ([add, 7], "array of requests", 2),
                                   ([add, {"batch": [add]}], "array of requests", 2), ([add, {"verb": "nothing"}], "unknown verb", 2),
                                   ([add, {"verb": "mapping add", "args": {"in": 7}}], "IN must be a string", 2), ([{"verb": "reload"}], "does not edit", 1)):
        with client(agent) as it:
            it.sendall(json.dumps({"batch": requests}).encode() + b"\n")
            told = json.loads(answer(it))
        assert not told["ok"] and said in told["error"] and told.get("request") == number, (requests, told)
    assert names(agent) == [None]


def test_force_goes_on_and_ends_with_the_first_errors_status(agent, batch):
    done = batch(f"mapping frobnicate\n{ADD} --name a\nmapping set nobody --name b\nmapping set a --name c\n", "--force")
    assert done.status == 2 and [line.split(": ")[1].rsplit(":", 1)[1] for line in done.err.splitlines()] == ["1", "3"], done
    assert names(agent) == [None, "c"]


@pytest.mark.parametrize("line,said", [
    ('mapping set "a --name b', "a quote is not closed"), ("-j status", "unknown option -j"), ("status -s x", "status has no option -s"),
    ("mapping del 10.0.0.0/18 1.1.9.0/30", "not to 1.1.9.0/30"), ("status\0 x", "status"), ("help " * 65, "more than 64 words"),
    ("mapping de 10.0.0.0/18", "typed in full"), ("--batch x", "unknown option --batch"),
], ids=repr)
def test_a_bad_line_is_an_error_and_changes_nothing(agent, batch, line, said):
    done = batch(line + "\n")
    assert done.status in (1, 2) and said in done.err and "commands:1:" in done.err, done
    assert names(agent) == [None]


def test_json_is_a_document_a_command(agent, batch):
    done = batch("status\nmapping\npool list\nforward 10.0.0.2\nportmap list\n", "-j")
    first, *others = (json.loads(line) for line in done.out.splitlines())
    assert done.status == 0 and first["mappings"] == 1
    assert others == [agent.ctl(*words) for words in (("mapping",), ("pool",), ("forward", "10.0.0.2"), ("portmap",))]


def test_wrong_use_of_the_options_is_refused(agent):
    assert "No such file" in agent.refused("-b", agent.directory / "missing", status=2)
    assert "--batch takes commands from" in agent.refused("-b", "-", "status", status=2)
    assert "--force goes with --batch" in agent.refused("--force", "status", status=2)
    assert "needs the name of a file" in agent.refused("-b", status=2)


def test_only_those_who_may_change_send_edits(agent):
    agent.socket.chmod(0o666)
    agent.directory.chmod(0o755)
    path = agent.directory / "commands"
    path.write_text(f"{ADD} --name a\nmapping set a --name b\n")
    result = execute("setpriv", "--reuid=65534", "--clear-groups", CTL, "-s", agent.socket, "-b", path)
    assert result.status == 1 and "commands:1: mapping add: changes need root or membership of group detnat-admin" in result.err, result
    assert names(agent) == [None]


def test_every_edit_is_in_the_audit_log(agent, batch):
    assert batch(f"{ADD} --name a\nmapping set a --name b\n").status == 0
    assert batch("mapping set b --name c\nmapping set x --name d\n").status == 1
    words = re.findall(r" audit: uid=0 .*? pid=\d+: (.*)", agent.log_text())
    assert [(w.split(" {")[0], w.endswith(": done")) for w in words] == [
        ("mapping add", True), ("mapping set", True), ("mapping set", False), ("mapping set", False)], words
    assert all("there is no mapping named x" in w for w in words[2:]), words

# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl --batch: commands from a file or from standard input."""

import json
import subprocess

import pytest

import isolation
from agent import CTL

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
    assert names(agent) == [None, "a"]


def test_an_error_names_its_line_and_ends_the_batch(agent, batch):
    done = batch(f"{ADD} --name a\n\nmapping set nobody --name b\nmapping del a\n")
    assert done.status == 1 and done.err.count("\n") == 1
    assert "commands:3: there is no mapping named nobody" in done.err
    assert names(agent) == [None, "a"]


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

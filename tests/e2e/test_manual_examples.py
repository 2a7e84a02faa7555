# SPDX-License-Identifier: BSD-2-Clause
"""Examples of detnatctl(8): the labels and column heads that they show are those that the commands print."""

import re

import pytest

import isolation
import stability

# Commands that only show, with an address that the gateway of the test has.
SHOWN = {
    "mapping list": "mapping list", "pool list": "pool list", "portmap list": "portmap list",
    "who": "who 1.1.1.0:1059", "history list": "history list", "session list": "session list 10.0.0.2", "user show": "user show 10.0.0.2",
    "binding list": "binding list 10.0.0.2", "top": "top --once", "peer list": "peer list", "interface list": "interface list",
    "ipfix show": "ipfix show", "status": "status", "stats": "stats",
}
# Lines that depend on what a gateway does.
SOMETIMES = {"Trouble", "Portmap", "But also", "Known until", "Drains", "Draining", "Bound ports", "Mapping"}


def examples():
    """{command: lines that the manual page shows}, the first example of each."""
    page = isolation.run("mandoc", "-T", "ascii", "-O", "width=200", stability.prometheus.TREE / "docs/man/detnatctl.8").stdout
    found, lines = {}, None
    for line in re.sub(".\x08", "", page).splitlines():
        text = line.strip()
        if started := re.match(r"# detnatctl (.*)", text):
            name = next((n for n in SHOWN if started[1] == n or started[1].startswith(n + " ")), None)
            lines = found.setdefault(name, []) if name not in found else []
        elif not text:
            lines = None
        elif lines is not None:
            lines.append(text)
    return found


def marks(lines):
    """Labels, and the heads of columns."""
    labels = {match[1] for line in lines if (match := re.match(r"([A-Z][\w ()]*?): ", line))}
    heads = [tuple(re.split(r"\s{2,}", line.strip())) for line in lines if re.fullmatch(r"[A-Z][A-Z /-]*(\s{2,}[A-Z][A-Z /-]*)+", line.strip())]
    return labels, heads


def test_there_is_an_example_of_each_command_that_shows():
    assert set(SHOWN) - set(examples()) == set()


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_shows_what_the_command_prints(rich, name):
    labels, heads = marks(examples()[name])
    now_labels, now_heads = marks(rich.lab.agent.text(*SHOWN[name].split()).splitlines())
    assert (labels or heads) and labels ^ now_labels <= SOMETIMES
    assert heads == now_heads[:len(heads)]

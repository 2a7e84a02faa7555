# SPDX-License-Identifier: BSD-2-Clause
"""
docs/reference/STABILITY.md: each format still has what the samples of a release have. RECORD=1.0 writes the samples of
that release anew, which is done once, when it is made.
"""

import json
import os
import shutil

import pytest

import isolation
import stability
from agent import CTL, execute

RECORD = os.environ.get("RECORD")
RELEASES = [RECORD] if RECORD else sorted(path.name for path in stability.SAMPLES.iterdir() if path.is_dir())
SCHEMA = stability.prometheus.TREE / "docs/reference/detnat.schema.json"


def sample(release, name, now):
    """The sample of a release, written first if that is asked for."""
    path = stability.SAMPLES / release / name
    if RECORD:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(now, indent=1) + "\n")
    return json.loads(path.read_text())


@pytest.mark.parametrize("release", RELEASES)
def test_every_configuration_of_a_release_is_still_taken(release):
    now = json.loads(SCHEMA.read_text())
    assert stability.schema_missing(sample(release, "schema.json", now), now) == []


@pytest.mark.parametrize("release", RELEASES)
def test_json_of_every_command_has_all_keys_of_a_release(rich, release):
    now = rich.shown()
    assert stability.missing(sample(release, "commands.json", now), now) == []


@pytest.mark.parametrize("release", RELEASES)
def test_metrics_have_all_families_and_labels_of_a_release(rich, release):
    now = stability.families(rich.scrape())
    kept = sample(release, "metrics.json", now)
    assert {name: entry for name, entry in kept.items() if name not in now or now[name][0] != entry[0] or not set(entry[1]) <= set(now[name][1])} == {}


def history_shape(directory):
    """{event: shape of its lines}"""
    out = {}
    for line in map(json.loads, (directory / "history.jsonl").read_text().splitlines()):
        out[line["event"]] = stability.merged(out.get(line["event"]), stability.shape(line))
    return out


@pytest.mark.parametrize("release", RELEASES)
def test_lines_of_the_history_have_all_keys_of_a_release(rich, release):
    now = history_shape(rich.lab.agent.state)
    assert {"start", "add", "confirm", "portmap", "retire"} <= set(now)
    assert stability.missing(sample(release, "history.json", now), now) == []


@pytest.mark.parametrize("release", RELEASES)
def test_a_history_of_a_release_is_read_with_the_same_answers(rich, release):
    directory = stability.SAMPLES / release / "history"
    if RECORD:
        directory.mkdir(exist_ok=True)
        for name in ("history.head", "history.jsonl"):
            shutil.copyfile(rich.lab.agent.state / name, directory / name)
    lines = [json.loads(line) for line in (directory / "history.jsonl").read_text().splitlines()]
    questions = "".join(f"{lines[-1]['time']} {endpoint}\n" for endpoint in ("1.1.1.0:1059", "1.1.1.0:443", "1.1.8.1:5000", "1.1.9.0:53", "1.1.7.1:5000"))
    told = isolation.run(CTL, "-j", "who", "-", "--state-dir", directory, input=questions, check=False)
    answers = [{key: answer.get(key) for key in ("in_addr", "mapping", "from", "to")} for answer in json.loads(told.stdout)]
    assert answers == sample(release, "answers.json", answers)
    verified = execute(CTL, "-j", "history", "verify", "--state-dir", directory)
    assert verified.status == 0 and json.loads(verified.out)["head"] == "agrees", verified


@pytest.mark.parametrize("release", RELEASES)
def test_tables_of_a_layout_are_the_same_in_every_version_that_has_it(rich, release):
    now = {"layout": stability.layout_version(), "maps": stability.maps(rich.lab.agent.pins), "members": stability.members()}
    kept = sample(release, "layout.json", now)
    assert kept["maps"] and kept["members"]["mapping"]
    if kept["layout"] != now["layout"]:
        assert now["layout"] > kept["layout"]  # then a start takes it over: test_layouts.py
        return
    assert {name: entry for name, entry in kept["maps"].items() if now["maps"].get(name) != entry} == {}
    assert {name: entry for name, entry in kept["members"].items() if now["members"].get(name) != entry} == {}


GONE = [({"a": "number"}, {}, ".a: gone"), ({"a": "number"}, {"a": "string"}, ".a: string in place of number"),
        ([{"a": "number"}], [{"b": "number"}], "[].a: gone"), ({"a": []}, {"a": "null"}, None), ({"a": "number"}, {"a": "number", "b": []}, None)]


@pytest.mark.parametrize("old, new, text", GONE, ids=str)
def test_what_is_gone_is_noticed(old, new, text):
    assert stability.missing(old, new) == ([text] if text else [])


NUMBER = {"type": "integer", "minimum": 1, "maximum": 9}


@pytest.mark.parametrize("new, noticed", [
    ({**NUMBER, "maximum": 10}, False), ({**NUMBER, "maximum": 8}, True), ({**NUMBER, "minimum": 2}, True), ({"type": "string"}, True),
    ({"anyOf": [{"const": "auto"}, NUMBER]}, False), ({"anyOf": [{"const": "auto"}, {"const": "off"}]}, True),
], ids=str)
def test_a_narrower_key_is_noticed(new, noticed):
    assert bool(stability.schema_missing(NUMBER, new)) == noticed
    old, other = ({"type": "object", "properties": {"key": schema}} for schema in (NUMBER, new))
    assert bool(stability.schema_missing(old, other)) == noticed
    assert stability.schema_missing(old, {"type": "object", "properties": {}})

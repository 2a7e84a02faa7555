# SPDX-License-Identifier: BSD-2-Clause
"""The JSON schema of the configuration agrees with what the agent takes, and with the samples."""

import json
import pathlib
import re

import pytest

from agent import AGENT, execute

TOP = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((TOP / "docs/reference/detnat.schema.json").read_text())
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}


def valid(schema, value):
    """The part of JSON schema that this one uses."""
    if "anyOf" in schema and not any(valid(s, value) for s in schema["anyOf"]):
        return False
    if "const" in schema:
        return value == schema["const"] and isinstance(value, bool) == isinstance(schema["const"], bool)
    if "enum" in schema:
        return value in schema["enum"] and not isinstance(value, bool)
    if "type" not in schema:
        return set(schema.get("required", ())) <= set(value if isinstance(value, dict) else ())
    kind = TYPES[schema["type"]]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return False
    if value is None:
        return True
    if kind is dict:
        known = schema["properties"]
        return (set(schema.get("required", ())) <= set(value) <= set(known)
                and all(valid(known[k], v) for k, v in value.items()))
    if kind is list:
        return (schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1 << 30)
                and all(valid(schema["items"], v) for v in value))
    if kind is str:
        return len(value) <= schema.get("maxLength", 1 << 30) and re.search(schema.get("pattern", ""), value) is not None
    return schema.get("minimum", value) <= value <= schema.get("maximum", value)


def test_the_file_is_what_the_agent_prints():
    printed = execute(AGENT, "--schema")
    assert printed.status == 0 and printed.out == (TOP / "docs/reference/detnat.schema.json").read_text()


def undescribed(schema, path=""):
    """Keys without help. Of interfaces a list says all; their objects have the keys of the top level."""
    for key, below in schema.get("properties", {}).items():
        if not below.get("description") and not path.endswith(".interfaces"):
            yield f"{path}.{key}"
        yield from undescribed(below.get("items", below), f"{path}.{key}")


def test_every_key_has_help_for_an_editor():
    assert list(undescribed(SCHEMA)) == []


def test_the_sample_is_valid():
    assert valid(SCHEMA, json.loads((TOP / "deploy/detnat.json").read_text()))


def manual_examples():
    page = (TOP / "docs/man/detnat.json.5").read_text().split(".Sh EXAMPLES")[1]
    return [json.loads(text) for text in re.findall(r"^\.Bd -literal.*?\n(\{.*?\n\})\n\.Ed", page, re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize("example", manual_examples(), ids=lambda e: f"{len(e['mappings'])} mappings")
def test_the_examples_of_the_manual_are_taken(lab, example):
    assert valid(SCHEMA, example)
    del example["interfaces"]
    checked = lab.prepare(**example).once("-t")
    assert checked.status == 0, checked


def test_what_a_running_agent_shows_is_valid(running_lab):
    assert valid(SCHEMA, running_lab.agent.ctl("config", "show", "--all"))
    assert valid(SCHEMA, running_lab.agent.ctl("config", "show"))


MAPPING = {"in": "10.0.0.0/18", "out": "1.1.1.0/30"}


@pytest.mark.parametrize("keys,fits", [
    ({}, True), ({"frobnicate": 1}, False), ({"$schema": "x", "comment": "y"}, True), ({"comment": "x" * 257}, False),
    ({"sessions_per_user": 65535}, True), ({"sessions_per_user": 65536}, False), ({"sessions_per_user": True}, False),
    ({"session_slots": "auto"}, True), ({"session_slots": 64}, True), ({"session_slots": 65}, False),
    ({"tcp_mss_clamp": "mtu"}, True), ({"tcp_mss_clamp": 0}, True), ({"tcp_mss_clamp": 100}, False),
    ({"mappings": [{**MAPPING, "name": "a.b"}]}, True), ({"mappings": [{**MAPPING, "name": "a b"}]}, False),
    ({"mappings": [{"in": "10.0.0.0/18"}]}, False), ({"mappings": [{**MAPPING, "out": "1.1.1.0/33"}]}, False),
    ({"mappings": [MAPPING, {"in": "10.0.5.7/32", "out": None}, {"in": "10.0.5.8/32", "out": "1.1.1.9/32", "inbound": "open"}]}, True),
    ({"mappings": [{**MAPPING, "inbound": "closed"}]}, False),
    ({"unmatched": "drop"}, True), ({"unmatched": "reject"}, False), ({"stages": 2}, True), ({"stages": 3}, False), ({"stages": "auto"}, True),
    ({"ipfix": {"collector": "tcp:192.0.2.1:1"}}, True), ({"ipfix": {}}, False), ({"ipfix": {"collector": []}}, False),
    ({"ipfix": {"collector": ["192.0.2.1:1"], "events": ["quota"]}}, True),
    ({"bypass": ["0.0.0.0/0"]}, True), ({"bypass": ["::/0"]}, False), ({"timeouts": {"udp": 0}}, False),
    ({"pin_path": "relative"}, False), ({"metrics": {"listen": "127.0.0.1:9469"}}, True),
], ids=str)
def test_schema_and_agent_agree(lab, keys, fits):
    lab.prepare(**keys)
    assert valid(SCHEMA, lab.agent.config) == fits
    lab.agent.path.write_text(json.dumps(lab.agent.config))
    result = lab.agent.once("-t")
    assert (result.status == 0) == fits, result

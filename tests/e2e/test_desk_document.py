# SPDX-License-Identifier: BSD-2-Clause
"""The document of /api/v1: whether it has faults, and whether a ticket system works as it says."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from agent import execute
from desk import DESK, Desk
from desk_program import OUT, desk, place, program, stamp  # noqa: F401

DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def nodes(value, path="#"):
    """Each object of a document, with its place."""
    if isinstance(value, dict):
        yield path, value
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(child, f"{path}/{key}")


def faults(document):
    """What is wrong in a document of OpenAPI 3.1, as far as this one uses it."""
    if not re.fullmatch(r"3\.1\.\d+", document.get("openapi", "")) or not {"title", "version"} <= set(document.get("info", {})):
        yield "openapi or info"
    if not set(document) <= {"openapi", "info", "servers", "security", "paths", "components"}:
        yield "a key at the top"
    used = set()
    for place, node in nodes(document):  # noqa: F402
        if "$ref" in node and not place.endswith("/properties"):
            target = document
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target.get(key, {}) if isinstance(target, dict) else {}
            used.add(node["$ref"])
            if not target or set(node) != {"$ref"}:
                yield f"{place}: {node['$ref']}"
    for kind in ("schemas", "responses"):
        yield from (f"{name} is not used" for name in document["components"][kind] if f"#/components/{kind}/{name}" not in used)
    schemes, names = document["components"]["securitySchemes"], []
    for path, item in document["paths"].items():
        if not path.startswith("/") or not set(item) <= METHODS:
            yield path
        for method, operation in item.items():
            where = f"{method} {path}"
            names.append(operation.get("operationId"))
            if not {"operationId", "summary", "responses"} <= set(operation) or "200" not in operation.get("responses", ()):
                yield where
            if not set(operation) <= {"operationId", "summary", "description", "parameters", "requestBody", "responses", "security"}:
                yield f"{where}: a key"
            for status, response in operation.get("responses", {}).items():
                if not re.fullmatch(r"[1-5]\d\d", status) or not ("$ref" in response or response.get("description")):
                    yield f"{where}: {status}"
            parameters = [(p.get("name"), p.get("in")) for p in operation.get("parameters", ())]
            if len(set(parameters)) != len(parameters) or any(p.get("in") not in ("query", "path", "header") or "schema" not in p
                                                              for p in operation.get("parameters", ())):
                yield f"{where}: parameters"
            if not operation.get("requestBody", {"content": {"x": {}}})["content"]:
                yield f"{where}: requestBody"
            yield from (f"{where}: {name}" for one in operation.get("security", document["security"]) for name in one if name not in schemes)
    if len(set(names)) != len(names):
        yield "operationId is there twice"
    types = {"object", "array", "string", "integer", "number", "boolean", "null"}
    for place, node in nodes(document):
        kind = node.get("type") if place.endswith(("schema", "items")) or "/schemas/" in place and "/properties" not in place[-11:] else None
        if isinstance(kind, (str, list)) and not set([kind] if isinstance(kind, str) else kind) <= types:
            yield f"{place}: type {kind}"
        if isinstance(node.get("required"), list) and "properties" in node and not set(node["required"]) <= set(node["properties"]):
            yield f"{place}: required"


def test_the_document_is_served_to_anybody_and_has_no_fault(desk, program):  # noqa: F811
    answer = desk.ask("/api/v1/openapi.json", user=None)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", answer
    document = answer.json()
    assert document == json.loads((DOCUMENTS / "reference" / "openapi.json").read_text()) and list(faults(document)) == []
    for path, item in document["paths"].items():
        for method in METHODS - {"head"}:
            asked = program.ask(path.removeprefix("/api/v1/"), "" if method not in ("get", "head") else None, method=method.upper())
            assert (asked.status == 405) == (method not in item) and asked.status != 404, (method, path, asked)
            if method in item:
                assert str(asked.status) in item[method]["responses"], (method, path, asked)


@pytest.mark.parametrize("change", [
    lambda d: d.update(openapi="3.0.0"), lambda d: d["components"]["schemas"].pop("Answer"), lambda d: d["components"]["schemas"].update(Lost={}),
    lambda d: d["paths"]["/api/v1/who"]["get"].pop("responses"), lambda d: d["paths"]["/api/v1/who"]["get"].update(operationId="askWhoByPost"),
    lambda d: d["paths"]["/api/v1/who"]["get"]["parameters"].append(d["paths"]["/api/v1/who"]["get"]["parameters"][0]),
    lambda d: d["paths"]["/api/v1/who"]["get"]["responses"].update({"ok": {"description": "x"}}),
    lambda d: d["components"]["securitySchemes"].clear(), lambda d: d["components"]["schemas"]["Problem"].update(type="text"),
    lambda d: d["components"]["schemas"]["Problem"]["required"].append("frob"),
], ids=range(10))
def test_a_fault_of_the_document_would_be_seen(change):
    document = json.loads((DOCUMENTS / "reference" / "openapi.json").read_text())
    assert list(faults(document)) == []
    change(document)
    assert list(faults(document))


def commands(document, heading):
    """The shell commands below a heading of a document."""
    text = (DOCUMENTS / document).read_text()
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.S | re.M)[1]
    return "".join(re.findall(r"^```sh\n(.*?)^```", section, re.S | re.M))


def test_a_ticket_systems_way_is_as_it_is_written(running_lab, place, tmp_path):  # noqa: F811
    """
    The commands of EVIDENCE, but for names of this machine: the desk, the file of tokens, and what is asked about. That is
    what a person has chosen of two times.
    """
    earlier, at = stamp(-3600), stamp()
    (tmp_path / "queries").mkdir()
    script = commands("guide/EVIDENCE.md", "Ask from a ticket system") + commands("reference/API.md", "Tokens").replace("tickets", "others")
    for old, new in (("https://desk.example.net", "http://127.0.0.1:8080"), ("detnat-desk token", f"{DESK} token"), ("203.0.113.36:5100", OUT),
                     ("2026-01-31T14:05:00+01:00", at.replace("Z", "+00:00"))):
        assert old in script, old
        script = script.replace(old, new)
    script = re.sub(r"(token (add|list|revoke))", rf"\1 --tokens {tmp_path}/tokens", script)
    (tmp_path / "complaint.eml").write_text("Subject: abuse\n\nAt 2026-01-31 14:05:00 your customer 1.1.1.0:1030 scanned us.\n\n"
                                            f"Your customer {OUT} attacked us. The firewall says {earlier} and the sensor says {at}.\n")
    desk = Desk(tmp_path / "desk", "--control", running_lab.agent.socket, "--leases", place / "leases", "--queries", tmp_path / "queries",  # noqa: F811
                "--tokens", tmp_path / "tokens", listen="127.0.0.1:8080", namespace=running_lab.gateway)
    try:
        told = execute("sh", "-ec", f"cd {tmp_path}; {script}", namespace=running_lab.gateway)
        assert told.status == 0, (told, desk.log.read_text())
        log = desk.log.read_text()
    finally:
        desk.end()
    question, ambiguous = json.loads((tmp_path / "questions.json").read_text())
    assert (question["time"], question["out_addr"], question["out_port"]) == ("2026-01-31T13:05:00Z", "1.1.1.0", 1030)
    assert ambiguous["error"] and [(f"{c['out_addr']}:{c['out_port']}", c["time"]) for c in ambiguous["candidates"]] == [(OUT, earlier), (OUT, at)]
    assert json.loads((tmp_path / "answer.json").read_text())["customer"]["id"] == "alice"
    with tarfile.open(tmp_path / "2026-17.tar") as archive:
        assert json.load(archive.extractfile("2026-17/answer.json"))["customer"]["id"] == "alice"
        assert json.load(archive.extractfile("2026-17/question.json"))["at"] == at
    for asked in ("questions 3 lines", f"who {OUT}", f"evidence {OUT}"):
        assert re.search(rf"tickets asks {asked}.*, case 2026-17, reason abuse: 200", log), log
    assert re.search(r"others +revoked +who,questions,evidence +ispA +100/h", execute(DESK, "token", "list", "--tokens", tmp_path / "tokens").out)

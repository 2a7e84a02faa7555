# SPDX-License-Identifier: BSD-2-Clause
"""
A gateway with some of everything, and the shape of what it shows, for tests/samples: what a release has shown, later
versions of its major version show too (docs/reference/STABILITY.md).
"""

import json
import re

import isolation
import prometheus
from agent import BUILD, wait_for
from lab import GATEWAY_IN, MAPPING, SERVER, Lab, block_of

SAMPLES = prometheus.TREE / "tests/samples"
# The programs are the same in every build.
SKELETONS = BUILD / "skel" if (BUILD / "skel").is_dir() else prometheus.TREE / "build/skel"
PASSING = re.compile(r"^types$|_leaves_|entries$|_[1-9]\d*$")
KEPT = {"name": "web", "proto": "tcp", "in": "10.0.0.2:443", "out": "1.1.1.0:443"}
COMMANDS = [
    "status", "stats", "mapping list", "pool list", "portmap list", "config show", "config show --all", "config diff", "interface list",
    "forward 10.0.0.2", "reverse 1.1.1.0:1059", "session list", "session list --count", "user show 10.0.0.2", "binding list", "timeouts show",
    "ipfix show", "top", "top --by quota", "explain 10.0.0.2", "explain 1.1.1.0:1059", "explain 192.168.1.1", "trace show", "peer list", "check",
    "history list", "history verify", "who 1.1.1.0:1059", "who 1.1.1.0:443", "reload --dry-run", "version",
]


def kind(value):
    return {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}[type(value)]


def merged(a, b):
    """The shape of values of both shapes."""
    if a is None or a == "null":
        return b if b is not None else a
    if isinstance(a, dict) and isinstance(b, dict):
        return {key: merged(a.get(key), b.get(key)) for key in [*a, *(k for k in b if k not in a)]}
    if isinstance(a, list) and isinstance(b, list):
        return [merged(a[0], b[0])] if a and b else a or b
    return a


def shape(value):
    """Objects as the shapes of their members, arrays as the shape of all their elements, else the kind."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        whole = None
        for element in value:
            whole = merged(whole, shape(element))
        return [] if whole is None else [whole]
    return kind(value)


def missing(sample, found, path=""):
    """What the shape of a sample has and the other one has not: [path: what]. More is no difference."""
    if sample in ("null", []) or found in ("null", []):
        return []
    if isinstance(sample, dict):
        if not isinstance(found, dict):
            return [f"{path or '.'}: no object"]
        gone = [f"{path}.{key}: gone" for key in sample if key not in found]
        return gone + [line for key in sample if key in found for line in missing(sample[key], found[key], f"{path}.{key}")]
    if isinstance(sample, list):
        return missing(sample[0], found[0], f"{path}[]") if isinstance(found, list) else [f"{path}: no array"]
    return [] if sample == found else [f"{path}: {found} in place of {sample}"]


def families(text):
    """{family: [type, labels]} of a scrape."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    found = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        base = name if name in kinds else re.sub(r"_(bucket|sum|count)$", "", name)
        labels = [label for label in re.findall(r'(\w+)="', labels) if label != "le"]
        entry = found.setdefault(base, [kinds[base], []])
        entry[1] = sorted({*entry[1], *labels})
    return dict(sorted(found.items()))


def alternatives(schema):
    """Schemas without anyOf, one of which a value has to match. Beside a type, those of anyOf say which keys are required."""
    if "type" not in schema:
        return schema.get("anyOf", [schema])
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return [{**rest, "required": [*rest.get("required", ()), *one.get("required", ())]} for one in schema.get("anyOf", [{}])]


def schema_missing(old, new, path="configuration"):
    """What a schema has that another one refuses: keys, words, kinds and ranges. More is no difference."""
    if "anyOf" in old or "anyOf" in new:
        return [f"{path}: {one.get('type', one)} is refused" for one in alternatives(old)
                if all(schema_missing(one, other, path) for other in alternatives(new))]
    out = []
    if "const" in old or "enum" in old:
        words = new.get("enum", [new["const"]] if "const" in new else None)
        lost = [w for w in old.get("enum", [old.get("const")]) if words is not None and w not in words]
        return [f"{path}: {lost} are refused"] if lost else []
    if old.get("type") != new.get("type") or "enum" in new or "const" in new:
        return [f"{path}: {new.get('type', 'words')} in place of {old.get('type')}"]
    for key, member in old.get("properties", {}).items():
        if key in new["properties"]:
            out += schema_missing(member, new["properties"][key], f"{path}.{key}")
        else:
            out.append(f"{path}.{key}: gone")
    out += [f"{path}.{key}: required" for key in set(new.get("required", ())) - set(old.get("required", ()))]
    if "items" in old:
        out += schema_missing(old["items"], new["items"], f"{path}[]")
    for key, worse in (("minimum", 1), ("minLength", 1), ("minItems", 1), ("maximum", -1), ("maxLength", -1), ("maxItems", -1)):
        if key in new and (key not in old or (new[key] - old[key]) * worse > 0):
            out.append(f"{path}: {key} {new[key]} in place of {old.get(key)}")
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        out.append(f"{path}: another pattern")
    return out


def maps(pins):
    """{map: [type, octets of a key, octets of a value]} of what is pinned and holds records: neither programs nor type information, of chunks one."""
    out = {}
    for path in sorted(pins.glob("v*/*")):
        told = isolation.run("bpftool", "-j", "map", "show", "pinned", str(path), check=False)
        if not PASSING.search(path.name) and told.returncode == 0 and "bytes_key" in (entry := json.loads(told.stdout)):
            out[path.name] = [entry["type"], entry["bytes_key"], entry["bytes_value"]]
    return out


def members():
    """{struct: {member: offset in bits}} of the records in the tables, from the type information of the programs."""
    told = isolation.run("bpftool", "-j", "btf", "dump", "file", str(SKELETONS / "detnat_agent.bpf.o"))
    types = {t["id"]: t for t in json.loads(told.stdout)["types"]}
    records = ("mapping", "geometry", "subscriber", "slot", "globals", "binding_layout", "portmap_key", "portmap_value")
    return {t["name"]: {m["name"]: m["bits_offset"] for m in t["members"] if m["name"] != "(anon)"}
            for t in types.values() if t["kind"] == "STRUCT" and t["name"] in records}


def layout_version():
    return int(re.search(r"#define LAYOUT_VERSION (\d+)", (prometheus.TREE / "include/detnat/tables.h").read_text())[1])


class Rich:
    """The gateway."""

    def __init__(self, run_directory):
        self.lab = it = Lab(run_directory)
        try:
            it.start(mappings=[{"name": "homes", "comment": "all", **MAPPING, "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]},
                                "spare": ["1.1.2.0/30"]}],
                     portmaps=[KEPT], metrics={"listen": "127.0.0.1:9469"}, sessions_per_user=3, sweep_interval=1, ipfix={"collector": f"{SERVER}:4739"},
                     syslog={"to": "/dev/log"}, pcp={"listen": [GATEWAY_IN], "announce": False},
                     replication={"listen": "127.0.0.1:9470", "peers": ["127.0.0.1:9471"], "key_file": None})
            self.traffic()
        except BaseException:
            it.close()
            raise

    def traffic(self):
        it, full, moved = self.lab, self.lab.host("10.0.0.2"), {"in": "10.0.5.0/24", "out": "1.1.9.0/28"}
        it.handshake(it.host("10.0.0.3"))
        it.agent.ctl("trace", "start", "--count", "1")
        for port in range(5000, 5003):
            it.open_udp(full, port)
        it.agent.ctl("mapping", "add", *moved.values(), "--name", "moved")
        it.agent.ctl("portmap", "add", "udp", "10.0.5.3:53", f"{block_of('10.0.5.3', moved).addr}:53")
        it.open_udp(it.host("10.0.5.2"), mapping=moved)
        it.agent.ctl("mapping", "add", "10.0.5.2/32", "1.1.8.1/32", "--name", "own", "--drain", "3600")
        wait_for(lambda: re.search("detnat_active_subscribers.* 2$", self.scrape(), re.MULTILINE), what="figures of usage", interval=0.1)
        wait_for(lambda: "detnat_mapping_draining_sessions{" in self.scrape(), what="figures of the drain", interval=0.1)
        wait_for(lambda: not it.agent.ctl("status")["tracing"], what="the trace to have its packet")
        wait_for(lambda: it.agent.ctl("explain", full.addr)["way_in"]["route_from"] == "copy", what="the copy of the routes")

    def scrape(self):
        return self.lab.gateway.run("curl", "-s", "http://127.0.0.1:9469/metrics").stdout

    def shown(self):
        """{command: shape}"""
        out = {}
        for command in COMMANDS:
            result = self.lab.agent.command("-j", *command.split())
            assert result.status in (0, 1) and result.out, f"{command}: {result}"
            out[command] = shape(json.loads(result.out))
        return out

# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl: config show, diff, save; reload --dry-run."""

import copy
import json
import os
import re

import pytest

from agent import CTL, execute
from lab import MAPPING

OTHER = {"in": "10.64.0.0/24", "out": "1.1.2.0/28"}


@pytest.fixture
def agent(lab):
    return lab.prepare(comment="north", mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "homes", "comment": "ä"}]).start()


def apply_patch(document, patch):
    """RFC 6902 as far as add, remove and replace go."""
    document = copy.deepcopy(document)
    for operation in patch:
        *above, last = operation["path"].split("/")[1:]
        place = document
        for name in above:
            place = place[int(name)] if isinstance(place, list) else place[name]
        if isinstance(place, list) and operation["op"] == "add":
            place.append(operation["value"])
            continue
        key = int(last) if isinstance(place, list) else last
        if operation["op"] == "remove":
            assert place.pop(key) is not None
        else:
            assert operation["op"] == "add" or key in place or isinstance(place, list)
            place[key] = operation["value"]
    return document


def file_of(agent):
    return json.loads(agent.path.read_text())


def test_show_is_what_the_file_says_without_defaults(agent):
    agent.write(timeouts={"udp": 300, "icmp": 61}, hairpin=True)
    agent.ctl("reload")
    shown = agent.ctl("config", "show")
    assert shown["timeouts"] == {"icmp": 61} and "hairpin" not in shown and "sessions_per_user" not in shown
    assert shown["mappings"] == [{"name": "homes", "in": "10.0.0.0/18", "out": "1.1.1.0/30", "comment": "ä"}]
    assert shown["comment"] == "north"
    everything = agent.ctl("config", "show", "--all")
    assert everything["timeouts"]["udp"] == 300 and everything["hairpin"] is True and everything["sweep_interval"] == 5
    assert json.loads(agent.text("config")) == shown


@pytest.mark.parametrize("options", [(), ("--all",)], ids=["short", "all"])
def test_what_is_shown_is_a_valid_file_that_says_the_same(agent, options):
    agent.ctl("mapping", "add", OTHER["in"], OTHER["out"], "--session-slots", "64", "--comment", "x")
    agent.ctl("ipfix", "set", "collector=192.0.2.9:4739")
    agent.path.write_text(agent.text("config", "show", *options))
    assert agent.once("-t").status == 0
    assert agent.ctl("config", "diff") == []
    assert agent.ctl("reload")["changed"] is False


def test_diff_tells_what_differs_by_key_path_and_as_a_patch(agent):
    assert agent.ctl("config", "diff") == [] and agent.text("config", "diff") == ""
    agent.ctl("mapping", "add", OTHER["in"], OTHER["out"])
    agent.ctl("mapping", "set", "homes", "--sessions-per-user", "70", "--comment", "")
    agent.ctl("timeouts", "set", "udp=77")
    found = agent.command("-j", "config", "diff")
    assert found.status == 1 and found.err == ""
    patched = apply_patch(file_of(agent), json.loads(found.out))
    shown = agent.command("config", "diff")
    assert shown.status == 1 and "+timeouts: {\"udp\":77}" in shown.out
    assert "-mappings[0].comment: \"ä\"" in shown.out and "+mappings[0].sessions_per_user: 70" in shown.out
    assert re.search(r"^\+mappings\[-\]: .*10\.64\.0\.0/24", shown.out, re.M)
    agent.path.write_text(json.dumps(patched))
    assert agent.ctl("config", "diff") == []


def test_diff_with_another_file(agent):
    other = agent.directory / "other.json"
    other.write_text(json.dumps({**file_of(agent), "mappings": [OTHER]}))
    found = agent.command("-j", "config", "diff", other)
    assert found.status == 1 and [o["op"] for o in json.loads(found.out)] == ["remove", "add"]
    assert apply_patch(json.loads(other.read_text()), json.loads(found.out))["mappings"] == agent.ctl("config")["mappings"]
    other.write_text("{")
    assert "other.json:1" in agent.refused("config", "diff", other, status=2)
    assert "No such file" in agent.refused("config", "diff", agent.directory / "none", status=2)


def test_diff_takes_a_file_of_the_working_directory(agent):
    (agent.directory / "other.json").write_text(json.dumps({**file_of(agent), "comment": "south"}))
    for name in ("other.json", "./other.json", f"../{agent.directory.name}/other.json"):
        found = execute(CTL, "-s", agent.socket, "config", "diff", name, cwd=agent.directory)
        assert (found.status, found.out, found.err) == (1, f'--- {name}\n+++ running\n-comment: "south"\n+comment: "north"\n', "")
    missing = execute(CTL, "-s", agent.socket, "config", "diff", "none", cwd=agent.directory)
    assert missing.status == 2 and f"{agent.directory}/none: cannot be opened: No such file" in missing.err


def test_a_change_that_was_saved_survives_an_edit_of_nothing_and_a_restart(lab, agent):
    host = lab.host()
    lab.open_udp(host)
    agent.ctl("mapping", "add", OTHER["in"], OTHER["out"], "--name", "shops")
    mode = agent.path.stat().st_mode
    assert agent.text("config", "save") == f"saved to {agent.path}\n"
    assert agent.ctl("config", "diff") == [] and agent.path.stat().st_mode == mode
    assert file_of(agent)["comment"] == "north" and [m.get("name") for m in file_of(agent)["mappings"]] == ["homes", "shops"]
    assert agent.ctl("reload")["changed"] is False
    agent.ctl("timeouts", "set", "udp=78")
    agent.restart()
    assert agent.ctl("timeouts")["udp"] == 78, "the file is the one that was last applied, so what runs is taken over"
    assert len(agent.ctl("mapping")) == 2 and len(lab.sessions(host.addr)) == 1
    assert [p.name for p in agent.directory.glob(".*")] == []


def test_save_refuses_to_overwrite_edits_that_were_not_applied(agent):
    agent.ctl("timeouts", "set", "udp=78")
    applied = agent.path.read_bytes()
    edited = applied + b"\n"
    agent.path.write_bytes(edited)
    link = agent.directory / "d"
    link.symlink_to(agent.directory)
    for path in ((), (agent.path,), (link / agent.path.name,)):
        why = agent.refused("config", "save", *path)
        assert f"{agent.path} has changed since it was last applied: `detnatctl reload` takes the changes, --force overwrites" in why
        assert agent.path.read_bytes() == edited
    agent.path.write_text("{")
    agent.refused("reload")
    assert "has changed since" in agent.refused("config", "save"), "nor what a reload refused"
    copy = agent.directory / "copy.json"
    assert agent.ctl("config", "save", copy) == {} and agent.path.read_text() == "{"
    agent.path.write_bytes(applied)
    assert agent.ctl("config", "save") == {} and file_of(agent) == agent.ctl("config"), "the file is as it was applied"
    agent.path.write_bytes(edited)
    agent.ctl("reload")
    agent.ctl("timeouts", "set", "udp=79")
    assert agent.ctl("config", "save", link / agent.path.name) == {}, "a reload read it"
    agent.ctl("timeouts", "set", "udp=80")
    assert agent.ctl("config", "save") == {}, "so did the save"
    agent.path.write_text("{")
    agent.ctl("timeouts", "set", "udp=81")
    assert agent.text("config", "save", "--force") == f"saved to {agent.path}\n"
    assert file_of(agent)["timeouts"] == {"udp": 81}
    agent.path.unlink()
    assert agent.ctl("config", "save") == {} and file_of(agent)["timeouts"] == {"udp": 81}, "no file has no edits"
    agent.restart()
    agent.ctl("timeouts", "set", "udp=82")
    assert agent.ctl("config", "save") == {}, "the start read it"
    agent.stop()
    agent.path.write_text("{")
    agent.start()
    assert "has changed since" in agent.refused("config", "save"), "the start went on with what ran"


def test_save_to_another_file_leaves_the_agents_alone(agent):
    before = agent.path.read_bytes()
    other = agent.directory / "copy.json"
    agent.ctl("timeouts", "set", "udp=79")
    assert agent.ctl("config", "save", other) == {}
    assert json.loads(other.read_text()) == agent.ctl("config")
    assert agent.path.read_bytes() == before


def test_save_refuses_links_and_places_that_others_control(agent):
    target = agent.directory / "target"
    target.write_text("precious")
    link = agent.directory / "link.json"
    link.symlink_to(target)
    assert "symbolic link" in agent.refused("config", "save", link)
    foreign = agent.directory / "foreign"
    foreign.mkdir()
    os.chown(foreign, 65534, 65534)
    assert "another user" in agent.refused("config", "save", foreign / "x.json")
    os.chown(foreign, 0, 0)
    foreign.chmod(0o777)
    assert "another user" in agent.refused("config", "save", foreign / "x.json")
    os.mkfifo(agent.directory / "fifo")
    assert "regular" in agent.refused("config", "save", agent.directory / "fifo")
    assert "No such file" in agent.refused("config", "save", agent.directory / "none" / "x.json")
    os.chown(target, 65534, 65534)
    assert "another user" in agent.refused("config", "save", target)
    assert target.read_text() == "precious" and not list(foreign.iterdir())


NO_PORTMAPS = {"added": [], "deleted": [], "updated": []}


def test_a_dry_run_tells_what_a_reload_does_and_does_nothing(lab, agent):
    agent.ctl("mapping", "add", OTHER["in"], OTHER["out"])
    lab.open_udp(lab.host("10.64.0.9"), mapping=OTHER)
    running = agent.ctl("config")
    new = {"in": "10.65.0.0/24", "out": "1.1.3.0/28"}
    agent.write(mappings=[{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "flats"}, new])
    told = agent.ctl("reload", "--dry-run")
    named = {"changed": True, "added": [{**new, "name": None}], "deleted": [{**OTHER, "name": None, "sessions": 1, "drain": 0}],
             "updated": [{"in": "10.0.0.0/18", "out": "1.1.1.0/30", "name": "flats"}], "parted": [], "portmaps": NO_PORTMAPS, "keys": [],
             "sessions_cut": 1, "sessions_drained": 0}
    assert told == {**named, "dry_run": True}
    assert agent.text("reload", "--dry-run").splitlines() == [
        "would add 10.65.0.0/24 to 1.1.3.0/28", f"would delete {OTHER['in']} to {OTHER['out']}: 1 sessions would end",
        "would change flats (10.0.0.0/18) to 1.1.1.0/30",
        "the file differs from the running configuration (detnatctl config diff), 1 sessions would end, 0 would drain"]
    assert agent.ctl("config") == running
    assert agent.ctl("reload") == named
    assert agent.ctl("reload") == {"changed": False, "added": [], "deleted": [], "updated": [], "parted": [], "portmaps": NO_PORTMAPS, "keys": [],
                                   "sessions_cut": 0, "sessions_drained": 0}
    agent.write(mappings=[{"in": "10.0.0.0/18", "out": "9.0.0.0/8"}])
    assert "mappings[0].out" in agent.refused("reload", "--dry-run")
    assert "mappings[0].out" in agent.refused("reload")


def test_a_dry_run_tells_of_portmaps(agent):
    stays = {"name": "stays", "proto": "tcp", "in": "10.0.0.9:443", "out": "1.1.1.0:443"}
    goes = {"proto": "both", "in": "10.0.0.9:90-92", "out": "1.1.1.0:90-92"}
    moves = {"name": "web", "proto": "tcp", "in": "10.0.0.9:8080", "out": "1.1.1.0:80"}
    moved = {**moves, "in": "10.0.0.10:8080"}
    comes = {"name": "cam", "proto": "udp", "in": "10.0.0.9:8000-8009", "out": "1.1.1.0:800-809"}
    agent.write(mappings=[MAPPING], portmaps=[stays, goes, moves])
    agent.ctl("reload")
    agent.write(mappings=[MAPPING], portmaps=[stays, moved, comes])
    gone = {"name": None, "in_addr": "10.0.0.9", "in_port": 90, "out_addr": "1.1.1.0", "out_port": 90, "ports": 3}
    told = agent.ctl("reload", "--dry-run")
    assert told["changed"] is True and told["portmaps"] == {
        "added": [{"name": "cam", "proto": "udp", "in_addr": "10.0.0.9", "in_port": 8000, "out_addr": "1.1.1.0", "out_port": 800, "ports": 10}],
        "deleted": [{**gone, "proto": "tcp"}, {**gone, "proto": "udp"}],
        "updated": [{"name": "web", "proto": "tcp", "in_addr": "10.0.0.10", "in_port": 8080, "out_addr": "1.1.1.0", "out_port": 80, "ports": 1,
                     "was": {"name": "web", "in_addr": "10.0.0.9", "in_port": 8080}}]}
    assert agent.text("reload", "--dry-run").splitlines()[:-1] == [
        "would add portmap cam: udp 1.1.1.0:800-809 to 10.0.0.9:8000-8009", "would delete portmap tcp 1.1.1.0:90-92 to 10.0.0.9:90-92",
        "would delete portmap udp 1.1.1.0:90-92 to 10.0.0.9:90-92", "would change portmap web: tcp 1.1.1.0:80 to 10.0.0.10:8080"]
    assert [p["in_addr"] for p in agent.ctl("portmap", "list") if p["name"] == "web"] == ["10.0.0.9"], "nothing was changed"
    assert agent.ctl("reload")["portmaps"] == told["portmaps"]
    assert agent.ctl("reload", "--dry-run")["portmaps"] == NO_PORTMAPS


def test_a_reload_names_the_keys_that_change(lab, agent):
    interfaces = file_of(agent)["interfaces"]
    changed = {"interfaces": {**interfaces, "inside": []}, "guard": not agent.ctl("config", "show", "--all")["guard"], "forwarding": "kernel",
               "bypass": ["172.16.8.0/24", "172.16.9.0/24"], "unmatched": "drop", "endpoint_independent": {"mapping": ["udp"]},
               "timeouts": {"udp": 77}}
    agent.write(**changed)
    told = agent.ctl("reload", "--dry-run")
    names = ["bypass", "endpoint_independent", "forwarding", "guard", "interfaces.inside", "timeouts.udp", "unmatched"]
    assert told["changed"] is True and sorted(told["keys"]) == names, told
    lines = agent.text("reload", "--dry-run").splitlines()
    assert lines == ["would change homes (10.0.0.0/18) to 1.1.1.0/30", "would change: " + ", ".join(told["keys"]),
                     "the file differs from the running configuration (detnatctl config diff), 0 sessions would end, 0 would drain"]
    agent.write(**{**changed, "interfaces": interfaces})
    done = [key for key in told["keys"] if key != "interfaces.inside"]
    assert agent.ctl("reload")["keys"] == done
    agent.write(mappings=[OTHER, {"in": "10.65.0.0/24", "out": "1.1.3.0/28"}])
    assert agent.text("reload") == "reloaded\n"
    assert agent.ctl("reload")["keys"] == []
    lab.open_udp(lab.host("10.64.0.9"), mapping=OTHER)
    portmaps = [{"proto": "tcp", "in": "10.65.0.9:443", "out": "1.1.3.0:443"}]
    agent.write(mappings=[{"in": "10.65.0.0/24", "out": "1.1.3.0/28"}], portmaps=portmaps)
    told = agent.ctl("reload")
    assert (len(told["deleted"]), len(told["portmaps"]["added"]), told["sessions_cut"], told["keys"]) == (1, 1, 1, [])


def test_a_dry_run_tells_of_all_that_a_mapping_has(agent):
    agent.write(mappings=[MAPPING])
    agent.ctl("reload")
    for changed in ({"limits": {"udp": 5, "new_per_second": 10}},
                    {"endpoint_independent": {"mapping": ["udp"]}}, {"drain": 60}, {"spare": ["1.1.8.0/29"]}, {"until": "2040-01-01T00:00:00Z"}):
        agent.write(mappings=[{**MAPPING, **changed}])
        assert agent.ctl("reload", "--dry-run")["updated"] == [{**MAPPING, "name": None}], changed


def test_the_order_of_a_list_is_no_change(agent):
    inner = {"in": "10.0.5.0/24", "out": "1.1.4.0/28", "spare": ["1.1.8.0/29", "1.1.9.0/29"]}
    portmaps = [{"proto": "tcp", "in": "10.0.0.9:443", "out": "1.1.1.0:443"}, {"proto": "udp", "in": "10.0.0.9:53", "out": "1.1.1.0:53"}]
    lists = {"mappings": [MAPPING, inner], "portmaps": portmaps, "bypass": ["172.16.8.0/24", "172.16.9.0/24"],
             "ipfix": {"collector": ["udp:198.51.100.7:4739", "udp:198.51.100.7:4740"], "events": ["quota", "ports"]}}
    agent.write(**lists)
    assert agent.ctl("reload")["changed"] is True
    turned = {key: value[::-1] for key, value in lists.items() if key != "ipfix"}
    agent.write(**turned, ipfix={key: value[::-1] for key, value in lists["ipfix"].items()})
    nothing = {"changed": False, "added": [], "deleted": [], "updated": [], "parted": [], "portmaps": NO_PORTMAPS, "keys": [],
               "sessions_cut": 0, "sessions_drained": 0}
    assert agent.ctl("reload", "--dry-run") == {**nothing, "dry_run": True}
    assert agent.text("reload", "--dry-run") == "nothing would change, 0 sessions would end, 0 would drain\n"
    assert agent.ctl("reload") == nothing
    # That of spare addresses says which are taken first.
    agent.write(mappings=[MAPPING, {**inner, "spare": inner["spare"][::-1]}])
    assert agent.ctl("reload")["updated"] == [{"in": inner["in"], "out": inner["out"], "name": None}]


def test_a_dry_run_is_refused_as_the_reload_is(lab, agent):
    agent.ctl("mapping", "add", OTHER["in"], OTHER["out"])
    lab.open_udp(lab.host("10.64.0.9"), mapping=OTHER)
    agent.ctl("mapping", "del", OTHER["in"], "--drain", "600")
    running = agent.ctl("mapping", "list")
    pins = agent.config["pin_path"]
    for changes, reason in (
        ({"mappings": [MAPPING, {"in": "10.65.0.0/24", "out": OTHER["out"]}]}, f"sessions of {OTHER['in']} are draining from {OTHER['out']}"),
        ({"mappings": [MAPPING], "pin_path": "/sys/fs/bpf/elsewhere"}, "pin_path: is"),
        ({"pin_path": pins, "control_socket": "/run/elsewhere/agent.sock"}, "restart the agent to change it"),
    ):
        agent.write(**changes)
        told = agent.refused("reload", "--dry-run")
        assert reason in told and told == agent.refused("reload")
    agent.write(pin_path=pins, control_socket=str(agent.socket))
    assert agent.ctl("reload", "--dry-run")["added"] == []
    assert [(m["in"], m["state"]) for m in agent.ctl("mapping", "list")] == [(m["in"], m["state"]) for m in running]


def test_portmaps_of_both_protocols_at_one_inside_port_are_told_apart(agent):
    for proto in ("tcp", "udp"):
        agent.ctl("portmap", "add", proto, "10.0.0.9:443", "1.1.1.0:443")
    agent.ctl("config", "save")
    assert agent.ctl("config", "diff") == []
    agent.ctl("portmap", "del", "tcp", "1.1.1.0:443")
    result = agent.command("-j", "config", "diff")
    was = {"proto": "tcp", "in": "10.0.0.9:443", "out": "1.1.1.0:443"}
    assert result.status == 1 and json.loads(result.out) == [{"op": "remove", "path": "/portmaps/0", "was": was}], result


def test_only_who_may_change_saves_and_reads_other_files(agent):
    other = agent.directory / "other.json"
    other.write_text("{}")
    agent.socket.chmod(0o666)
    agent.directory.chmod(0o755)
    for arguments in (("config", "save"), ("config", "diff", other)):
        result = execute("setpriv", "--reuid=65534", "--clear-groups", CTL, "-s", agent.socket, *arguments)
        assert result.status == (2 if "diff" in arguments else 1) and "detnat-admin" in result.err, result

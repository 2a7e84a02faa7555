# SPDX-License-Identifier: BSD-2-Clause
"""Grants in files of their days: written by an agent, kept over kills and reloads, in evidence, and listed by the commands."""

import json

from agent import CTL, execute
from test_growth import GROWING, OUT, checked, fill, grants, grow, holder, lines, settled
from test_history import verified
import test_leases_rights

machine = test_leases_rights.machine


def day_files(directory):
    return sorted(directory.glob("grants-*.jsonl"))


def day_lines(directory):
    return [json.loads(line) for file in day_files(directory) for line in file.read_text().splitlines()]


def test_grants_are_in_files_of_their_days_and_all_commands_read_them(lab):
    keeping = {"mappings": [GROWING], "unmatched": "drop"}
    lab.start(**keeping, grant_retention="30d")
    host, state = lab.host("10.0.0.3"), lab.agent.state
    fill(lab, host)
    before = settled(lab)
    src = grow(lab, host, 5008)
    granted = settled(lab)
    line, = day_lines(state)
    assert (line["in"], line["out"], line["to"]) == (host.addr, OUT, None)
    named, = lines(lab, "grant-of-day")
    assert not lines(lab) and not {"in", "port_lo", "port_hi"} & named.keys() and named["day_hash"] == line["hash"]
    assert [holder(lab, src[1], at) for at in (before, granted)] == [None, host.addr]
    for how in (lab.agent.restart, lambda: (lab.agent.kill(), lab.agent.start())):
        how()
        assert holder(lab, src[1], granted) == host.addr and len(grants(lab)) == 1
        verified(lab.agent)
        checked(lab)
    assert lines(lab, "start")[-1]["format"] == 7
    listed = execute(CTL, "history", "list", "--state-dir", state).out
    assert f"{OUT}:{line['port_lo']}-{line['port_hi']}" in listed and host.addr in listed
    assert execute(CTL, "leases", "expire", "--grants", "--older", "1d", "--dry-run", "--state-dir", state).out == ""
    # Evidence has that line, and is the same answer by itself.
    words = (f"{OUT}:{src[1]}", "--at", granted)
    told = execute(CTL, "evidence", "case", *words, "--state-dir", state, "--directory", state.parent)
    assert told.status == 0, told
    case = state.parent / "case"
    entry, = map(json.loads, (case / "grants.jsonl").read_text().splitlines())
    assert entry["line"] == line and entry["file"] == day_files(state)[0].name
    checks = execute(CTL, "verify", case)
    assert checks.status == 0 and host.addr in checks.out, checks
    # Without the key, what began in a day's file ends there, and what begins is in the history.
    lab.agent.write(grant_retention=None)
    lab.agent.ctl("reload")
    lab.agent.ctl("grant", "revoke", f"{OUT}:{line['port_lo']}")
    ended = settled(lab)
    assert [bool(one["to"]) for one in day_lines(state)] == [False, True]
    grow(lab, host, 5009)
    assert len(lines(lab)) == 1 and len(day_lines(state)) == 2
    assert holder(lab, src[1], ended) is None
    verified(lab.agent)
    # A file that is gone without a word of the ledger is a fault, and its ports have no record.
    day_files(state)[0].unlink()
    told = execute(CTL, "history", "verify", "--state-dir", state)
    assert told.status == 1 and "which is missing" in told.out and "the ledger has no removal of it" in told.out, told
    told = execute(CTL, "who", *words, "--state-dir", state)
    assert told.status == 1 and "no record" in told.err, told
    assert execute(CTL, "who", f"{OUT}:1050", "--at", granted, "--state-dir", state).status == 0


def test_the_ledger_of_grants_stays_where_they_are_when_leases_get_a_directory(machine):
    agent = machine.prepare()
    agent.state.mkdir(parents=True, exist_ok=True)
    files = ["grants-2026-01-01.jsonl", "chain.jsonl", "chain.head"]
    for name in files:
        (agent.state / name).write_text("")
    told = agent.once("--prepare")
    assert told.status == 0 and (agent.state / "leases").is_dir(), told
    assert [(agent.state / name).is_file() for name in files] == [True, True, True]
    # Without any, what a former version wrote there goes on with the leases.
    (agent.state / files[0]).rename(agent.state / "leases-2026-01-01.jsonl")
    assert agent.once("--prepare").status == 0
    assert [(agent.state / "leases" / name).is_file() for name in ("leases-2026-01-01.jsonl", *files[1:])] == [True, True, True]

# SPDX-License-Identifier: BSD-2-Clause
"""What the user detnat-leases may read: told by -t, the doctor and the start of the program, and kept by an upgrade."""

import os
import pathlib
import signal
import subprocess

import pytest

import isolation
from agent import BUILD, wait_for
from test_identity_radius import secret_file, source

AGENTS, LEASES = 6543, 6544  # uids of detnat and detnat-leases, and their groups
KEA, BIRD, DHCPD = 6600, 6601, 6602
UNITS = pathlib.Path("/etc/systemd/system")
DROP_IN = UNITS / "detnat-leases.service.d" / "groups.conf"


@pytest.fixture
def machine(lab):
    """Users, groups and units of a machine of its own, which only this test run sees."""
    nologin = "/nonexistent:/usr/sbin/nologin\n"
    texts = {
        "/etc/passwd": f"root:x:0:0::/root:/bin/sh\ndetnat:x:{AGENTS}:{AGENTS}::{nologin}detnat-leases:x:{LEASES}:{LEASES}::{nologin}",
        "/etc/group": f"root:x:0:\ndetnat:x:{AGENTS}:\ndetnat-leases:x:{LEASES}:\n_kea:x:{KEA}:\nbird:x:{BIRD}:\ndhcpd:x:{DHCPD}:detnat\n",
    }
    for place, text in texts.items():
        file = lab.directory / os.path.basename(place)
        file.write_text(text)
        isolation.run("mount", "--bind", file, place)
        lab.at_end(isolation.unmount, place)
    units = lab.directory / "units"
    units.mkdir()
    isolation.run("mount", "--bind", units, UNITS)
    lab.at_end(isolation.unmount, UNITS)
    os.chmod(lab.directory.parent, 0o755)
    return lab


def leases_of(lab, name, group, kind="kea-csv", mode=0o640, directory=None):
    """A source whose file only root and a group may read."""
    path = (directory or lab.directory) / name
    path.write_text("address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n"
                    if kind == "kea-csv" else "")
    os.chown(path, 0, group)
    path.chmod(mode)
    return {"type": kind, "path": str(path)}


def closed(lab, name, group):
    directory = lab.directory / name
    directory.mkdir(mode=0o750)
    os.chown(directory, 0, group)
    return directory


def drop_in(unit, text, name="override.conf"):
    path = UNITS / f"{unit}.d"
    path.mkdir(exist_ok=True)
    (path / name).write_text(f"[Service]\n{text}\n")


def refused(agent):
    """Sources that -t and the doctor name, which agree."""
    tested, examined = agent.once("-t"), agent.once("--doctor")
    assert tested.status == 0, tested
    found = [s["path"] for s in agent.config["leases"] if f"cannot read {s['path']}:" in tested.err]
    assert found == [s["path"] for s in agent.config["leases"] if f"{s['path']} cannot be read by the service" in examined.out], examined
    return found


def test_each_file_that_the_user_cannot_read_is_named_and_groups_of_the_unit_count(machine):
    agent = machine.prepare()
    inner = closed(machine, "kea", KEA)
    sources = [leases_of(machine, "kea.csv", KEA), leases_of(machine, "mine", LEASES, "dnsmasq"),
               leases_of(machine, "inner.csv", LEASES, directory=inner), {"type": "kea-csv", "path": str(inner / "later.csv")}]
    agent.write(leases=sources)
    hidden = [sources[i]["path"] for i in (0, 2, 3)]
    assert refused(agent) == hidden
    drop_in("detnat-leases.service", "SupplementaryGroups=bird _kea")
    assert refused(agent) == []
    drop_in("detnat-leases.service", "SupplementaryGroups=", "z.conf")
    assert refused(agent) == hidden
    drop_in("detnat-leases.service", f"SupplementaryGroups={KEA}", "zz.conf")
    assert refused(agent) == []


def carry(agent):
    it = agent.once("--lease-groups")
    assert it.status == 0, it
    return it.err


def test_an_upgrade_carries_the_groups_over_by_which_files_were_read(machine):
    """Of the unit's drop-ins and of its user, and no others: those of routing daemons are the agent's."""
    agent = machine.prepare()
    sources = [leases_of(machine, "kea.csv", KEA), {"type": "isc-dhcpd", "path": str(closed(machine, "dhcp", DHCPD) / "leases")}]
    agent.write(leases=sources)
    agent.path.write_text(agent.path.read_text().replace('"path": ', '"path"\n:\t'))
    drop_in("detnat.service", "SupplementaryGroups=bird\nSupplementaryGroups=\"_kea\"")
    carry(agent)
    assert DROP_IN.read_text().endswith("[Service]\nSupplementaryGroups=_kea dhcpd\n")
    assert DROP_IN.stat().st_mode & 0o777 == 0o644 and refused(agent) == []
    agent.write(leases=[*sources, leases_of(machine, "bird.csv", BIRD)])
    assert f"cannot read {agent.config['leases'][2]['path']}" in carry(agent)
    assert "bird" not in DROP_IN.read_text(), "what the administrator may have changed stays"


def test_an_upgrade_that_nobody_needs_writes_nothing(machine):
    agent = machine.prepare()
    agent.write(leases=[leases_of(machine, "kea.csv", BIRD, mode=0o644)])
    drop_in("detnat.service", "SupplementaryGroups=bird _kea")
    assert not carry(agent) and not DROP_IN.parent.exists()


def test_the_start_names_each_file(machine):
    """The program as its unit starts it, with a socket of its own and without an agent; SIGHUP reads the file again."""
    agent = machine.prepare()
    secret = secret_file(agent)
    agent.write(leases=[leases_of(machine, "kea.csv", KEA), leases_of(machine, "dnsmasq", KEA, "dnsmasq"), source(agent, secret_file=secret)])
    agent.state.mkdir()
    os.chown(agent.state, LEASES, LEASES)
    log = machine.directory / "leases.log"
    script = ("import os, socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.bind(sys.argv[1])\ns.listen()\n"
              "os.dup2(s.fileno(), 3)\nos.set_inheritable(3, True)\nos.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
              f"os.setgroups([]), os.setgid({LEASES}), os.setuid({LEASES})\nos.execv(sys.argv[2], sys.argv[2:])\n")
    with open(log, "ab") as out:
        program = machine.gateway.popen("/usr/bin/python3", "-c", script, agent.directory / "leases.sock", BUILD / "detnat-leases",
                                        "-c", agent.path, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    machine.at_end(program.wait)
    machine.at_end(program.kill)
    paths = [s["path"] for s in agent.config["leases"][:2]] + [secret]

    def named():
        return [path for path in paths if f"{path} cannot be read" in log.read_text()]

    wait_for(lambda: named() == paths, what="the names of all three")
    other = leases_of(machine, "other", BIRD, "dnsmasq")
    agent.write(leases=[other])
    os.kill(program.pid, signal.SIGHUP)
    wait_for(lambda: other["path"] in log.read_text(), what="the file of the new configuration")
    assert program.poll() is None

# SPDX-License-Identifier: BSD-2-Clause
"""What detnat can leave on a machine: programs on interfaces, routes, pins, files."""

import json

import tc_programs


def links(namespace):
    """XDP programs by interface."""
    return {link["ifname"]: link.get("xdp") for link in json.loads(namespace.ip("-j", "-d", "link"))}


def traces(lab):
    """Everything that detnat leaves on the machine; equal before and after if nothing was touched."""
    namespace = lab.gateway
    agent = lab.agent
    return {
        "xdp": {name: bool(xdp) for name, xdp in links(namespace).items()},
        "tc": [q for q in namespace.run("tc", "qdisc", "show").stdout.splitlines() if "clsact" in q or "ingress" in q]
        + [(name, side, names) for name in links(namespace) for side in ("ingress", "egress")
           if (names := tc_programs.all_of(namespace, name, side))],
        "routes": sorted(namespace.ip("route", "show", "table", "all").splitlines()),
        "rules": namespace.ip("rule").splitlines(),
        "neighbours": sorted(line.rsplit(" ", 1)[0] for line in namespace.ip("neigh").splitlines()),
        "pins": sorted(str(p.relative_to(agent.pins)) for p in agent.pins.rglob("*")),
        "socket": agent.socket.exists(),
        "forwarding": namespace.sysctl("net.ipv4.ip_forward"),
    }

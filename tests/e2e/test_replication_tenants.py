# SPDX-License-Identifier: BSD-2-Clause
"""Two gateways and two tenants with the same inside prefix, whose numbers differ on the gateways: everything is the tenant's.

The kernel may have no VRFs: at any time one of the tenants has none and is at the interface that exists; the other is waited for.
"""

from scapy.layers.inet import UDP

from agent import wait_for
from lab import GATEWAY_IN
from pcp_client import Client
from test_pcp import real_hosts

IN, ADDR = "10.0.0.0/18", "10.0.0.20"
A = {"tenant": "ispA", "in": IN, "out": "1.1.1.0/30", "name": "homes-a"}
B = {"tenant": "ispB", "in": IN, "out": "1.1.2.0/30", "name": "homes-b"}
MAPPING = {"ispA": A, "ispB": B}
PCP = {"listen": [GATEWAY_IN], "announce": False}


def tenants(number, real):
    """Of a gateway: the one without VRF is `real`. The other gateway has them in another order."""
    both = [{"name": name, "interfaces": {"inside": ["in0" if name == real else "in1"], "outside": ["out0"]},
             **({} if name == real else {"vrf": f"vrf-{name}"})} for name in ("ispA", "ispB")]
    return both[::-1] if number else both


def begin(gateways, real="ispA", **config):
    config = {"mappings": [A, B], **config}
    for number in range(2):
        gateways.prepare(number, tenants=tenants(number, real), **config).start()
    gateways.wait_synchronised()


def make_real(gateways, real, *numbers):
    for number in numbers or range(2):
        gateways.labs[number].agent.write(tenants=tenants(number, real))
        gateways.labs[number].agent.ctl("reload")


def listed(lab, tenant):
    return sorted((s["in_port"], s["out_addr"], s["out_port"]) for s in lab.agent.ctl("session", "list", "--tenant", tenant))


def verified(gateways):
    for lab in gateways.labs:
        lab.agent.ctl("check")
        assert lab.agent.text("history", "verify")


def test_sessions_of_both_are_copied_and_go_on(gateways):
    begin(gateways)
    a, b = gateways.labs
    a.open_udp(a.host(ADDR), mapping=A)
    wait_for(lambda: listed(b, "ispA") == listed(a, "ispA") != [], what="the copy of ispA", interval=0.05)
    assert listed(b, "ispB") == []
    make_real(gateways, "ispB")
    gateways.wait_synchronised()
    a.open_udp(a.host(ADDR), mapping=B)
    wait_for(lambda: listed(b, "ispB") == listed(a, "ispB") != [], what="the copy of ispB", interval=0.05)
    assert listed(b, "ispA") == listed(a, "ispA") != []
    a.agent.kill()
    gateways.wait_state("down", 1)
    for tenant, mapping in (("ispB", B), ("ispA", A)):
        make_real(gateways, tenant, 1)
        before = listed(b, tenant)
        b.open_udp(b.host(ADDR), mapping=mapping)
        assert listed(b, tenant) == before
    a.agent.start()
    gateways.wait_synchronised()
    verified(gateways)


def leased(lab, tenant=None):
    words = ("--tenant", tenant) if tenant else ()
    return sorted((p["tenant"], p["in_port"], p["out_addr"]) for p in lab.agent.ctl("portmap", "list", *words) if p["origin"] == "pcp")


def test_leases_of_both_are_of_the_right_subscriber_at_both_gateways(gateways):
    for lab in gateways.labs:
        real_hosts(lab)
    begin(gateways, pcp=PCP)
    a, b = gateways.labs
    wanted = []
    for tenant, out in (("ispA", "1.1.1.0"), ("ispB", "1.1.2.0")):
        make_real(gateways, tenant)
        gateways.wait_synchronised()
        with Client(a.inside_ns, ADDR, GATEWAY_IN) as client:
            assert client.lease(port=80, lifetime=3600)[0] == out
        wanted.append((tenant, 80, out))
        for lab in gateways.labs:
            wait_for(lambda on=lab: leased(on) == wanted, what=f"leases {wanted}, not {leased(lab)}", interval=0.05)
    for lab in gateways.labs:
        lab.agent.kill()
        lab.agent.start()
    gateways.wait_synchronised()
    assert leased(a) == leased(b) == wanted
    make_real(gateways, "ispA")
    gateways.wait_synchronised()
    with Client(b.inside_ns, ADDR, GATEWAY_IN) as client:
        assert client.map(port=80, lifetime=0).result == "SUCCESS"
    for lab in gateways.labs:
        wait_for(lambda on=lab: leased(on) == wanted[1:], what=f"the lease of ispB, not {leased(lab)}", interval=0.05)
    verified(gateways)


GROWTH = {"ports_per_host": 8, "growth": {"block": 8, "max_blocks": 2}}


def test_grants_of_both(gateways):
    begin(gateways, mappings=[{**A, **GROWTH}, {**B, **GROWTH}], session_slots=16)
    a, b = gateways.labs
    host = a.host(ADDR)

    def granted(lab):
        return sorted((g["tenant"], g["in_addr"], g["out_addr"], g["port_lo"]) for g in lab.agent.ctl("grant", "list"))

    for tenant, out in (("ispA", "1.1.1.0"), ("ispB", "1.1.2.0")):
        make_real(gateways, tenant)
        gateways.wait_synchronised()

        def grown():
            for port in range(5000, 5012):
                a.inside.send(a.from_inside(host, UDP(sport=port, dport=53) / b"query"))
            return [g for g in granted(a) if g[0] == tenant]

        (grant, *_) = wait_for(grown, what="a granted block")
        wait_for(lambda: granted(b) == granted(a), what="the same grants", interval=0.05)
        assert grant[1] == ADDR
        for lab in gateways.labs:
            assert lab.agent.ctl("who", f"{grant[2]}:{grant[3]}")["tenant"] == tenant
    a.outside.clear()
    a.inside.clear()
    assert {g[0] for g in granted(b)} == {"ispA", "ispB"}
    for lab in gateways.labs:
        lab.agent.restart()
    gateways.wait_synchronised()
    assert {g[0] for g in granted(b)} == {"ispA", "ispB"} and granted(a) == granted(b)
    ends = granted(a)[0]
    a.agent.ctl("grant", "revoke", f"{ends[2]}:{ends[3]}", "--drain", "0")
    wait_for(lambda: all(ends not in granted(lab) for lab in gateways.labs), what="the end", interval=0.05)
    assert "ispB" in {g[0] for g in granted(b)}
    verified(gateways)


def differences(gateways, number):
    return gateways.peer(number)["differences"]


def test_a_difference_names_its_tenant(gateways):
    plain = [{"tenant": name, "in": "10.64.0.0/16", "out": None} for name in ("ispA", "ispB")]
    begin(gateways, mappings=[A, B, *plain])
    assert differences(gateways, 0) == []
    b = gateways.b
    b.agent.ctl("mapping", "del", "10.64.0.0/16", "--tenant", "ispB")
    b.agent.ctl("mapping", "del", IN, "--tenant", "ispA")
    found = wait_for(lambda: len(differences(gateways, 0)) == 2 and differences(gateways, 0), what="the differences", interval=0.05)
    said = gateways.a.agent.text("peer", "list")
    assert "mapping 10.64.0.0/16 of ispB to none is missing there" in said
    assert f"not exchanged: {IN} to {A['out']}, which is missing there" in said
    assert [(d["in"], d["out"], d["tenant"]) for d in found] == [(IN, A["out"], "ispA"), ("10.64.0.0/16", "none", "ispB")]


def test_a_peer_whose_tenants_differ_gets_no_sessions_of_them(gateways):
    for number, mappings in enumerate(([A, B], [{**A, "tenant": "ispB"}, {**B, "tenant": "ispA"}])):
        gateways.prepare(number, tenants=tenants(number, "ispA"), mappings=mappings).start()
    a, b = gateways.labs
    for number in range(2):
        wait_for(lambda n=number: len(differences(gateways, n)) == 2, what="the differences", interval=0.05)
    found = differences(gateways, 0)
    assert [(d["out"], d["tenant"], d["text"]) for d in found] == [(A["out"], "ispA", "tenant"), (B["out"], "ispB", "tenant")]
    assert [d["tenant"] for d in differences(gateways, 1)] == ["ispB", "ispA"]
    a.open_udp(a.host(ADDR), mapping=A)
    a.agent.ctl("peer", "resync", next(iter(gateways.peers(0))))
    wait_for(lambda: gateways.peer(0)["whole_copies"] >= 2, what="a whole copy", interval=0.05)
    assert listed(b, "ispA") == listed(b, "ispB") == []
    verified(gateways)

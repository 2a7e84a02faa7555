# SPDX-License-Identifier: BSD-2-Clause
"""What happens in a world, and how often: a profile is a weight for each kind of step, and the planner draws by them.

Every draw is of one generator, so that a seed gives the same plan as long as the gateway does the same.
"""

import json
import random

import frames
from customer_plans import CustomerPlans, records_of
from frames import text

SERVERS = ["198.51.100.7", "198.51.100.8", "198.51.100.9", "203.0.114.5"]
STRANGERS = ["192.88.99.7", "192.88.99.8"]
HOMES, FLATS, GAMES, OPEN, LOFTS = "10.0.0.0/24", "10.1.0.0/25", "10.2.0.0/26", "10.3.0.0/30", "10.4.0.0/26"
RIVALS = {HOMES: "10.7.0.0/24", FLATS: "10.8.0.0/25"}
POOLS = {HOMES: "198.18.0.0/28", FLATS: "198.18.1.0/30", GAMES: "198.18.2.0/29", OPEN: "198.18.3.0/30", LOFTS: "198.18.7.0/31"}
# Blocks so small that a burst of flows to one server outgrows them, and grants that come and go within seconds.
LOFT_PORTS, GROWTH = 32, {"block": 8, "max_blocks": 3, "idle": 2, "rest": 3}
# Outside prefixes for exceptions: many, as those that have drained rest for two minutes.
FREE = [f"198.18.{third}.{4 * n}/30" for third in (4, 5) for n in range(24)] + [f"198.18.6.{n}/32" for n in range(32)]
SPARE = "198.18.8.0/29"
TENANT = "home"
TIMEOUTS = {"udp": 30, "tcp_established": 120, "tcp_transitory": 20, "icmp": 20}

# By kind of step. `quiet` is where everything is compared.
PLAIN = {"flow": 30, "end_flow": 6, "burst": 3, "quiet": 1.2}
CUSTOMERS = {"customer": 10, "lease": 4, "rotate": 0.5}
PROFILES = {
    "plain": {**PLAIN},
    "beyond": {**PLAIN, "burst": 14, "flood": 1},
    "exceptions": {**PLAIN, "exception": 6, "unexception": 5, "nested": 1},
    "drains": {**PLAIN, "exception_drain": 4, "unexception": 3, "pool_drain": 2, "pool_restore": 2, "replace": 1, "drain_del": 1},
    "moves": {**PLAIN, "move": 4, "unexception": 3, "pool_drain": 2, "pool_restore": 2},
    "history": {**PLAIN, "handover": 8, "exception": 4, "unexception": 4, "batch": 4, "portmap": 2, "portmap_del": 2, "move": 1},
    "clock": {"clock": 3, "handover": 4, "exception": 2, "unexception": 2},
    "disk": {"slow_disk": 2.5, "full_disk": 0.7, "failing_disk": 0.7, "handover": 4},
    "life": {**PLAIN, "kill": 2, "stop": 1, "killed_change": 2, "reboot": 0.6, "exception": 2, "unexception": 2, "reload": 1, "save": 0.5},
    "links": {**PLAIN, "link": 2, "rename": 1, "route": 3, "foreign": 0.7, "role": 1},
    "hostile": {**PLAIN, "forged": 3, "scan": 2, "knock": 3, "straight": 2, "flood": 1.5, "icmp_error": 2, "reset_out": 2},
    "bindings": {**PLAIN, "game": 12, "eim": 1, "knock": 5, "hairpin": 4},
    "limits": {**PLAIN, "limits": 3, "burst": 6, "flood": 1, "game": 4, "close": 1},
    "growth": {**PLAIN, "grow": 6, "grow_end": 2, "revoke": 1, "reshape": 0.7},
    "portmaps": {**PLAIN, "portmap": 3, "portmap_del": 3, "pcp": 6, "knock": 4, "hairpin": 2},
    "packets": {**PLAIN, "fragments": 8, "hairpin": 4, "icmp_error": 4, "reset_out": 2, "open_flow": 3},
    "operator": {**PLAIN, "quota": 1, "timeouts": 1, "close": 4, "flush": 2, "batch": 2, "reload": 1, "save": 0.5, "portmap": 1, "portmap_del": 1},
    "pair": {**PLAIN, "close": 2, "pcp": 3, "takeover": 2.5, "return": 2.5, "quiet": 2},
    "split": {"split": 1},
    # For three gateways: sessions that are silent for long, a gateway lost beside those that serve.
    "trio": {**PLAIN, "idle": 9, "close": 2, "pcp": 2, "grow": 2, "takeover": 2, "return": 2.5, "lose": 0.7, "split": 0.8, "full_disk": 0.5, "kill": 0.7,
             "quiet": 2},
    "customers": {**PLAIN, **CUSTOMERS},  # nothing of their accounting is lost
    "lossy": {**PLAIN, **CUSTOMERS},  # one record of a hundred is
    "accounting": {**PLAIN, **CUSTOMERS, "access_restart": 1.5, "replay": 4, "forge": 3},
    "tenants": {},  # all is one tenant's
}
PROFILES["all"] = {}
for name, weights in PROFILES.items():
    if name not in ("all", "pair", "split", "trio", "tenants", "customers", "lossy"):
        for kind, weight in weights.items():
            PROFILES["all"][kind] = PROFILES["all"].get(kind, 0) + weight * (0.3 if name not in ("plain", "beyond") and kind in PLAIN else 1)
OF_PAIRS = ("takeover", "return", "split", "lose", "idle")
OF_ONE = ("killed_change", "reboot")

MODES = {
    "redirect1": {"forwarding": "redirect", "xdp_mode": "native", "stages": 1},
    "redirect2": {"forwarding": "redirect", "xdp_mode": "native", "stages": 2},
    "kernel": {"forwarding": "kernel", "stages": 1},
    "none": {"xdp_mode": "none"},
    "tc": {"xdp_mode": "tc", "stages": 1},
}


def weights_of(profile, gateways):
    """The sum of the profiles that are named, "a+b"; "a*3" counts three times, "-x" takes a kind of step out."""
    found = {}
    for part in profile.split("+"):
        part, *without = part.split("-")
        name, _, times = part.partition("*")
        for kind, weight in PROFILES[name].items():
            found[kind] = found.get(kind, 0) + weight * float(times or 1)
        for kind in without:
            found.pop(kind, None)
    if gateways > 1 and "takeover" not in found:
        found.update(takeover=1.0, split=0.4, **{"return": 1.0})
        found.update({"lose": 0.5, "idle": 6} if gateways > 2 else {})
    if gateways > 1:
        # What one of them would have alone.
        found = {kind: weight for kind, weight in found.items() if kind not in OF_ONE}
    if gateways == 1:
        found = {kind: weight for kind, weight in found.items() if kind not in OF_PAIRS}
    return found


def make_config(mode, dice, profile, gateways):
    """The configuration of a world."""
    lofts = {"in": LOFTS, "out": POOLS[LOFTS], "name": "lofts", "session_slots": 8, "sessions_per_user": 100, "ports_per_host": LOFT_PORTS,
             "growth": dict(GROWTH)}
    games = {"in": GAMES, "out": POOLS[GAMES], "name": "games", "session_slots": 16,
             "endpoint_independent": {"mapping": ["udp"], "filtering": ["udp"]}}
    config = {
        **MODES[mode],
        "interfaces": {"inside": ["in0", "in1"], "outside": ["out0", "out1"]},
        "mappings": [
            {"in": HOMES, "out": POOLS[HOMES], "name": "homes", "session_slots": 8, "sessions_per_user": 120, "spare": [SPARE]},
            {"in": FLATS, "out": POOLS[FLATS], "name": "flats", "session_slots": dice.choice([8, 64]), "sessions_per_user": 60},
            games,
            {"in": OPEN, "out": POOLS[OPEN], "name": "servers", "inbound": "open"},
            *([lofts] if "grow" in weights_of(profile, gateways) else []),
        ],
        "portmaps": [{"proto": "tcp", "in": "10.2.0.60:80", "out": "198.18.2.7:80", "name": "fixed"}],
        "overflow_sessions": 16384,
        "timeouts": dict(TIMEOUTS),
        "sweep_interval": 2,
        "pcp": {"listen": ["172.31.255.1"], "lifetime": {"min": 10, "max": 600}, "announce": False},
        "unmatched": "drop-private",
    }
    return of_tenant(config) if "tenants" in profile.split("+") else config


def of_tenant(config):
    """The configuration if all of it is a tenant's."""
    config["tenants"] = [{"name": TENANT, "interfaces": config.pop("interfaces")}]
    for mapping in config["mappings"]:
        mapping["tenant"] = TENANT
    return config


def with_tenant(words):
    """A command that must name the tenant, if there are tenants."""
    return [*words, "--tenant", TENANT] if list(words[:2]) in (["mapping", "add"], ["interface", "add"], ["interface", "del"]) else words


# What is there when a step of a kind was done; pairs.py compares it with the table of pairs.
REACHES = {
    "flow": ("plain", "udp", "tcp", "icmp"), "open_flow": ("open", "udp", "tcp", "icmp", "ending"), "game": ("EIM", "EIF", "udp", "ending"),
    "fragments": ("fragment",), "burst": ("beyond",), "end_flow": ("ending",), "hairpin": ("hairpin",), "icmp_error": ("ICMP error",),
    "reset_out": ("reset",), "flood": ("quota", "beyond"), "scan": ("stranger",), "knock": ("stranger",), "straight": ("stranger",),
    "forged": ("forged source",), "pcp": ("PCP lease",), "exception": ("exception", "untranslated"),
    "exception_drain": ("exception", "drain", "untranslated"),
    "nested": ("exception", "untranslated"), "unexception": ("exception", "drain"),
    "handover": ("handover", "batch"), "batch": ("batch", "exception"), "move": ("move", "drain", "exception"),
    "pool_drain": ("move", "drain", "exception"), "pool_restore": ("move", "drain", "exception"), "replace": ("replace", "drain"),
    "drain_del": ("drain",), "quota": ("quota",), "limits": ("limits",), "eim": ("EIM", "EIF"),
    "timeouts": ("timeouts",), "close": ("close",), "flush": ("close",),
    "grow": ("growth", "beyond"), "grow_end": ("growth", "close"), "revoke": ("growth",), "reshape": ("growth", "replace"),
    "portmap": ("portmap",), "portmap_del": ("portmap",), "reload": ("reload",), "save": ("reload",), "role": ("link",), "kill": ("kill",),
    "stop": ("restart",), "killed_change": ("kill", "exception", "untranslated", "drain", "portmap", "move"), "reboot": ("reboot",),
    "clock": ("clock step",), "slow_disk": ("slow disk",), "failing_disk": ("failing disk",), "full_disk": ("failing disk",), "link": ("link",),
    "rename": ("rename",), "route": ("route move",), "foreign": ("foreign program",),
    "idle": ("plain", "udp", "tcp"), "lose": ("kill", "link"), "takeover": ("takeover", "kill", "link"), "return": ("takeover", "reboot"),
    "split": ("split brain",), "quiet": (),
    "customer": (), "lease": (), "rotate": (), "access_restart": (), "replay": (), "forge": (),
}
OF_MODES = {"redirect1": (), "redirect2": ("two stages",), "kernel": ("kernel mode",), "none": ("tc alone",), "tc": ("tc sends",)}


class Planner(CustomerPlans):
    timeouts_low = {"udp": 20, "tcp_established": 60, "tcp_transitory": 10, "icmp": 15}
    timeouts_high = {"udp": 60, "tcp_established": 180, "tcp_transitory": 30, "icmp": 30}

    def __init__(self, world, header):
        self.world, self.header = world, header
        self.dice = random.Random(header["seed"])
        self.weights = weights_of(header["profile"], header["gateways"])
        self.kinds = list(self.weights)
        self.numbers = 0
        self.last_quiet = 0.0
        self.ports = {}
        self.leases = []
        self.away = set()  # gateways that are not there
        self.foreign = set()
        self.renamed = 0
        self.drained = []
        self.grows = "grow" in self.weights
        self.pace = header.get("pace", 0.22)

    # ---- the next step

    def next(self):
        dice = self.dice
        while True:
            kind = dice.choices(self.kinds, [self.weights[kind] for kind in self.kinds])[0]
            elapsed = self.world.elapsed()
            if elapsed - self.last_quiet > 25:
                kind = "quiet"
            elif kind == "quiet" and elapsed - self.last_quiet < 5:
                continue
            step = getattr(self, "plan_" + kind)()
            if step:
                assert kind == "flow" or step["do"] == "end_flow" or set(step["tags"]) <= set(REACHES[kind]), (kind, step["tags"])
                if step["do"] == "quiet":
                    self.last_quiet = elapsed
                step.setdefault("wait", round(dice.expovariate(1 / self.pace), 3))
                return step

    def subscriber(self, group=None):
        group = group or self.dice.choices([HOMES, FLATS, GAMES, "10.7.0.0/24", "10.8.0.0/25"], [10, 5, 2, 2, 1])[0]
        base = group.rsplit(".", 1)[0]
        return f"{base}.{self.dice.randrange(2, 14 if group == HOMES else 7)}"

    def port(self):
        self.numbers += 1
        # Many choose the same first port of their block.
        return 2000 + self.numbers * 7 % 900 + 4032 * self.dice.randrange(15)

    def live(self):
        return len(self.world.traffic.live())

    def gateway(self):
        return self.dice.randrange(len(self.world.gateways))

    def exceptions(self):
        return [held for held in self.world.model.now.values() if not held.draining and held.inside[1] > 26 and held.inside[0] >> 16 in (0x0A00, 0x0A04)]

    @staticmethod
    def words(net):
        return f"{text(net[0])}/{net[1]}"

    # ---- traffic

    def plan_flow(self, host=None, tags=("plain",), **more):
        dice = self.dice
        if self.live() > self.header.get("flows", 90):
            return self.plan_end_flow()
        proto = dice.choices(["udp", "tcp", "icmp"], [6, 5, 1])[0]
        proto = more.pop("proto", proto)
        long = dice.random() < 0.7
        step = {"do": "flow", "proto": proto, "host": host or self.subscriber(), "port": self.port(), "ext": dice.choice(SERVERS),
                "eport": dice.choice([53, 80, 443, 5000]), "interval": round(dice.uniform(0.3, 1.2), 2),
                "left": -1 if long else dice.randrange(1, 12), "end": dice.choice(["none", "fin", "fin", "rst"]), "tags": [*tags, proto], **more}
        return step

    def plan_open_flow(self):
        return self.plan_flow(host=f"10.3.0.{self.dice.randrange(1, 3)}", tags=("open",), left=self.dice.randrange(2, 12))

    def plan_game(self):
        return self.plan_flow(host=self.subscriber(GAMES), tags=("EIM", "EIF"), port=3000 + self.dice.randrange(40), proto="udp")

    def plan_fragments(self):
        dice = self.dice
        return {"do": "flow", "proto": "udp", "host": self.subscriber(), "port": self.port(), "ext": dice.choice(SERVERS), "eport": 53,
                "interval": 0.6, "left": dice.randrange(2, 8), "size": 400, "pieces": dice.choice([[200, 236], [80, 160, 196]]),
                "disorder": dice.random() < 0.5, "tags": ["fragment"]}

    def plan_burst(self):
        if self.live() > self.header.get("flows", 90):
            return None
        self.numbers += 40
        return {"do": "burst", "host": self.subscriber(self.dice.choice([HOMES, HOMES, FLATS])), "proto": self.dice.choice(["udp", "udp", "tcp"]),
                "ports": [10000 + self.numbers * 3 % 40000, self.dice.randrange(12, 30)], "ext": self.dice.choice(SERVERS), "eport": 443,
                "interval": round(self.dice.uniform(0.1, 0.4), 2), "left": self.dice.choice([20, 60, 150]), "tags": ["beyond"]}

    def plan_end_flow(self):
        return {"do": "end_flow", "nth": self.dice.randrange(1000), "how": self.dice.choice(["none", "fin", "fin", "rst"]), "tags": ["ending"]}

    def plan_hairpin(self):
        return {"do": "hairpin", "host": self.subscriber(), "port": self.port(), "nth": self.dice.randrange(1000),
                "proto": self.dice.choice(["udp", "tcp"]), "tags": ["hairpin"]}

    def plan_icmp_error(self):
        return {"do": "icmp_error", "nth": self.dice.randrange(1000), "kind": self.dice.choice([3, 11]), "code": self.dice.choice([0, 1]),
                "tags": ["ICMP error"]}

    def plan_reset_out(self):
        return {"do": "reset_out", "nth": self.dice.randrange(1000), "tags": ["reset"]}

    def plan_grow(self):
        """A subscriber has more flows to one server than his block has ports."""
        if self.live() > self.header.get("flows", 90):
            return None
        self.numbers += 80
        return {"do": "burst", "host": self.subscriber(LOFTS), "proto": self.dice.choice(["udp", "udp", "udp", "tcp"]),
                "ports": [10000 + self.numbers * 3 % 40000, self.dice.randrange(LOFT_PORTS - 4, LOFT_PORTS + 34)], "ext": SERVERS[0], "eport": 443,
                "interval": round(self.dice.uniform(0.2, 0.5), 2), "left": self.dice.choice([8, 20, 40]), "tags": ["growth", "beyond"]}

    def plan_grow_end(self):
        return {"do": "flush", "host": self.subscriber(LOFTS), "tags": ["growth", "close"]}

    def plan_revoke(self):
        grants = sorted(self.world.model.grants)
        if not grants:
            return None
        host, (addr, low, _) = self.dice.choice(grants)
        drain = ["--drain", self.dice.choice([1, 4])] if self.dice.random() < 0.6 else []
        return self.ctl("grant", "revoke", f"{text(addr)}:{low}", *drain, prefixes=[f"{text(host)}/32"], tags=["growth"])

    def plan_flood(self):
        return {"do": "flood", "host": self.subscriber(), "count": self.dice.randrange(60, 200), "ext": SERVERS[0], "tags": ["quota", "beyond"]}

    def plan_scan(self):
        pool = self.dice.choice(list(POOLS.values())).split("/")[0]
        return {"do": "scan", "src": self.dice.choice(STRANGERS), "target": pool, "first": self.dice.randrange(65536), "count": 60,
                "proto": self.dice.choice(["udp", "tcp"]), "tags": ["stranger"]}

    def plan_knock(self):
        return {"do": "knock", "src": self.dice.choice(STRANGERS), "nth": self.dice.randrange(1000), "proto": self.dice.choice(["udp", "tcp"]),
                "tags": ["stranger"]}

    def plan_straight(self):
        return {"do": "straight", "src": self.dice.choice(SERVERS), "host": self.subscriber(), "tags": ["stranger"]}

    def plan_forged(self):
        return {"do": "forged", "host": self.subscriber(), "nth": self.dice.randrange(1000), "proto": self.dice.choice(["udp", "tcp"]),
                "tags": ["forged source"]}

    def plan_pcp(self):
        dice = self.dice
        if self.leases and dice.random() < 0.5:
            host, proto, port, nonce = dice.choice(self.leases)
            lifetime = dice.choice([0, 30, 60])
        else:
            host, proto, port, nonce = self.subscriber(), dice.choice(["udp", "tcp"]), dice.randrange(2000, 2900), dice.randbytes(12).hex()
            lifetime = dice.choice([20, 60])
            self.leases = [*self.leases[-20:], (host, proto, port, nonce)]
        return {"do": "pcp", "host": host, "proto": proto, "port": port, "lifetime": lifetime, "nonce": nonce, "tags": ["PCP lease"]}

    # ---- the operator

    def ctl(self, *words, prefixes=(), tags):
        return {"do": "ctl", "words": [str(w) for w in words], "prefixes": list(prefixes), "tags": list(tags)}

    def some_exception(self):
        """(inside, outside) of an exception in homes that can be."""
        dice = self.dice
        length = dice.choice([28, 29, 32])
        net = "10.4.0.0" if self.grows and dice.random() < 0.25 else "10.0.0.0"
        base = frames.number(net) + (dice.randrange(2, 14) if length == 32 else 8 * dice.randrange(2) if length == 29 else 0)
        used = {held.outside[0] for held in self.world.model.now.values() if held.outside}
        free = [out for out in FREE if frames.number(out.split("/")[0]) not in used]
        out = dice.choice(free)
        if int(out.split("/")[1]) < length:
            out = f"{out.split('/')[0]}/{length}"
        return f"{text(base)}/{length}", out

    def plan_exception(self, drain=None):
        it = self.some_exception()
        if not it:
            return self.plan_unexception()
        more = ["--drain", drain] if drain else []
        if self.dice.random() < 0.06 and not drain:
            return self.ctl("mapping", "add", it[0], "none", prefixes=[it[0]], tags=["exception", "untranslated"])
        return self.ctl("mapping", "add", *it, "--session-slots", 8, *more, prefixes=[] if drain else [it[0]],
                        tags=["exception", *(["drain"] if drain else [])])

    def plan_exception_drain(self):
        return self.plan_exception(self.dice.choice([1, 2, 4, 20]))

    def plan_nested(self):
        return self.plan_exception()

    def plan_unexception(self):
        there = self.exceptions()
        if not there:
            return None
        held = self.dice.choice(there)
        drain = ["--drain", self.dice.choice([1, 3, 10])] if self.dice.random() < 0.35 and held.outside and held.inbound == "sessions" else []
        return self.ctl("mapping", "del", self.words(held.inside), *drain, prefixes=[] if drain else [self.words(held.inside)],
                        tags=["exception", *(["drain"] if drain else [])])

    def plan_handover(self):
        """A pool goes from some inside addresses to others, at once; or back."""
        base = self.dice.choice([HOMES, HOMES, FLATS])
        rival = RIVALS[base]
        now = {self.words(held.inside) for held in self.world.model.now.values() if not held.draining}
        first, then = (base, rival) if base in now else (rival, base)
        name, quota = ("homes", 120) if base == HOMES else ("flats", 60)
        words = ["mapping", "add", then, POOLS[base], "--session-slots", 8, "--name", name, "--sessions-per-user", quota]
        lines = [f"mapping del {first}", " ".join(map(str, words))]
        if self.dice.random() < 0.25:
            return self.ctl("mapping", "del", first, prefixes=[base, rival], tags=["handover"]) if first in now else \
                self.ctl(*words, prefixes=[base, rival], tags=["handover"])
        return {"do": "batch", "lines": lines if first in now else lines[1:], "prefixes": [base, rival], "tags": ["handover", "batch"]}

    def plan_batch(self):
        """Several edits that take effect together."""
        lines, prefixes = [], []
        for held in self.exceptions()[:3]:
            lines.append(f"mapping del {self.words(held.inside)}")
            prefixes.append(self.words(held.inside))
        it = self.some_exception()
        if it:
            lines.append(f"mapping add {it[0]} {it[1]} --session-slots 8")
            prefixes.append(it[0])
            if self.dice.random() < 0.3:
                lines += [f"mapping del {it[0]}", f"mapping add {it[0]} {it[1]} --session-slots 8 --name x{self.dice.randrange(9)}"]
        return {"do": "batch", "lines": lines, "force": self.dice.random() < 0.3, "prefixes": prefixes, "tags": ["batch", "exception"]} if lines else None

    def plan_move(self):
        host = self.subscriber(HOMES)
        out = self.dice.choice(["198.18.9.0/25", "198.18.9.0/25", f"198.18.9.{self.dice.randrange(128, 250)}"])
        more = ["--drain", self.dice.choice([1, 2, 5])]
        if self.dice.random() < 0.3:
            more += ["--until", f"+{self.dice.choice([2, 4])}s"]
        return self.ctl("user", "move", host, out, *more, prefixes=[], tags=["move", "drain", "exception"])

    def plan_pool_drain(self):
        out = f"198.18.0.{self.dice.randrange(3)}"
        self.drained.append(out)
        return self.ctl("pool", "drain", out, "--to", SPARE, "--drain", self.dice.choice([1, 2, 10]), "--portmaps", "move", tags=["move", "drain", "exception"])

    def plan_pool_restore(self):
        if not self.drained:
            return None
        out = self.dice.choice(self.drained)
        return self.ctl("pool", "restore", out, "--drain", self.dice.choice([1, 2, 10]), "--portmaps", "move", tags=["move", "drain", "exception"])

    def plan_replace(self):
        out = self.dice.choice([POOLS[FLATS], "198.18.10.0/30", "198.18.10.4/30", "198.18.10.8/30"])
        more = ["--drain", self.dice.choice([2, 6])] if self.dice.random() < 0.7 else []
        return self.ctl("mapping", "add", FLATS, out, "--replace", *more, prefixes=[] if more else [FLATS], tags=["replace", "drain"])

    def plan_reshape(self):
        """Other blocks with the same prefixes, under granted ones."""
        ports = self.dice.choice([LOFT_PORTS, LOFT_PORTS - 8, LOFT_PORTS - 16])
        return self.ctl("mapping", "add", LOFTS, POOLS[LOFTS], "--replace", "--ports-per-host", ports, prefixes=[LOFTS], tags=["growth", "replace"])

    def plan_drain_del(self):
        now = {self.words(held.inside) for held in self.world.model.now.values() if not held.draining}
        if FLATS in now:
            return self.ctl("mapping", "del", FLATS, "--drain", self.dice.choice([1, 3]), tags=["drain"])
        return self.ctl("mapping", "add", FLATS, POOLS[FLATS], "--session-slots", 8, prefixes=[FLATS], tags=["drain"])

    def plan_quota(self):
        name = self.dice.choice(["homes", "flats"])
        return self.ctl("mapping", "set", name, "--sessions-per-user", self.dice.choice([40, 60, 120, 300]), tags=["quota"])

    def plan_limits(self):
        dice, words = self.dice, []
        for option, values in (("--limit-udp", [0, 10, 30]), ("--limit-tcp", [0, 10, 30]), ("--limit-icmp", [0, 2, 8]), ("--new-per-second", [0, 2, 20])):
            words += [option, dice.choice(values)]
        if words[-1]:
            words += ["--new-burst", dice.choice([5, 40])]
        return self.ctl("mapping", "set", dice.choice(["homes", "homes", "flats", "games"]), *words, tags=["limits"])

    def plan_eim(self):
        name = self.dice.choice(["games", "flats"])
        mapping, filtering = self.dice.choice([("udp", "udp"), ("udp", "none"), ("none", "none"), ("udp,tcp", "udp,tcp")])
        return self.ctl("mapping", "set", name, "--eim", mapping, "--eif", filtering, tags=["EIM", "EIF"])

    def plan_timeouts(self):
        return self.ctl("timeouts", "set", f"udp={self.dice.choice([20, 30, 60])}", f"icmp={self.dice.choice([15, 20, 30])}", tags=["timeouts"])

    def plan_close(self):
        return {"do": "close", "nth": self.dice.randrange(1000), "tags": ["close"]}

    def plan_flush(self):
        return {"do": "flush", "host": self.subscriber(), "tags": ["close"]}

    def plan_portmap(self):
        host, proto = self.subscriber(self.dice.choice([HOMES, FLATS, FLATS, GAMES])), self.dice.choice(["tcp", "udp", "both"])
        name = f"p{self.numbers}"
        self.numbers += 1
        inside = f"{host}:{self.dice.choice([22, 80, self.dice.randrange(2000, 2900)])}"
        self.ports[name] = inside
        return self.ctl("portmap", "add", proto, inside, "--name", name, tags=["portmap"])

    def plan_portmap_del(self):
        if not self.ports:
            return None
        name = self.dice.choice(sorted(self.ports))
        del self.ports[name]
        return self.ctl("portmap", "del", name, tags=["portmap"])

    def plan_reload(self):
        """The file, with what runs or with what it had; sessions of what stays go on."""
        changes = {"answer_arp": self.dice.random() < 0.5, "sweep_interval": self.dice.choice([1, 2, 5])}
        return {"do": "reload", "changes": changes, "tags": ["reload"]}

    def plan_save(self):
        return {"do": "save", "tags": ["reload"]}

    def plan_role(self):
        name = self.dice.choice(["in1", "out1"])
        return {"do": "role", "name": name, "add": self.dice.random() < 0.6, "tags": ["link"]}

    # ---- faults

    def plan_kill(self):
        return {"do": "kill", "gateway": self.here(), "how": "kill", "pause": round(self.dice.uniform(0, 1.5), 2), "tags": ["kill"]}

    def plan_stop(self):
        return {"do": "kill", "gateway": self.here(), "how": "stop", "pause": round(self.dice.uniform(0, 0.5), 2), "tags": ["restart"]}

    def here(self):
        """A gateway whose agent runs."""
        there = self.there()
        return self.gateway() if not self.away else there[0] if len(there) == 1 else self.dice.choice(there)

    def there(self):
        return [number for number in range(len(self.world.gateways)) if number not in self.away]

    def plan_killed_change(self):
        step = self.dice.choice([self.plan_exception, self.plan_unexception, self.plan_portmap, self.plan_move])()
        if not step or step["do"] != "ctl":
            return None
        prefixes = step["prefixes"] or ["10.0.0.0/24"]
        return {"do": "killed_change", "words": step["words"], "gateway": self.here(), "prefixes": prefixes,
                "tags": ["kill", *step["tags"]]} | {"after": round(self.dice.uniform(0, 0.12), 4)}

    def plan_reboot(self):
        return {"do": "reboot", "gateway": self.here(), "pause": round(self.dice.uniform(0, 1.0), 2), "tags": ["reboot"]}

    def plan_clock(self):
        by = self.dice.choice([-8, -5, -3, -2, -1, 1, 2, 5, 9, -40, 61])
        return {"do": "clock", "by": by, "gateway": self.gateway(), "tags": ["clock step"]}

    def plan_slow_disk(self):
        return {"do": "slow_disk", "delay": self.dice.choice([0.3, 0.9, 1.8, 2.6]), "seconds": self.dice.choice([4, 8]), "gateway": self.here(),
                "tags": ["slow disk"]}

    def plan_failing_disk(self):
        return {"do": "failing_disk", "seconds": self.dice.choice([1, 4]), "gateway": self.here(), "tags": ["failing disk"]}

    def plan_full_disk(self):
        return {"do": "full_disk", "seconds": self.dice.choice([2, 5]), "gateway": self.here(), "tags": ["failing disk"]}

    def plan_link(self):
        return {"do": "link", "name": self.dice.choice(["in0", "out0", "out1"]), "seconds": self.dice.choice([0.2, 1, 3]), "gateway": self.here(),
                "tags": ["link"]}

    def plan_rename(self):
        self.renamed += 1
        name = self.dice.choice(["in0", "out0", "out1"])
        return {"do": "rename", "name": name, "new": f"{name}x{self.renamed}", "gateway": self.here(), "tags": ["rename"]}

    def plan_route(self):
        if self.dice.random() < 0.7:
            return {"do": "route", "outside": self.dice.choice(["out0", "out1"]), "gateway": self.here(), "tags": ["route move"]}
        return {"do": "route", "inside": self.dice.choice(["in0", "in1"]), "gateway": self.here(), "tags": ["route move"]}

    def plan_foreign(self):
        name = "out1"
        on = name not in self.foreign
        self.foreign.symmetric_difference_update({name})
        return {"do": "foreign", "name": name, "on": on, "gateway": 0, "tags": ["foreign program"]}

    # ---- several gateways

    def plan_idle(self):
        """A session with a packet now and then, so that another gateway than the one that translates may have it for long."""
        proto = self.dice.choice(["udp", "tcp", "tcp"])
        interval = round(self.dice.uniform(6, 9) if proto == "udp" else self.dice.uniform(8, 30), 2)
        return self.plan_flow(proto=proto, interval=interval, left=-1) if self.live() <= self.header.get("flows", 90) else None

    def plan_takeover(self):
        here = self.world.traffic.active_out
        others = [number for number in self.there() if number != here]
        if not others:
            return None
        to = others[0] if len(others) == 1 else self.dice.choice(others)
        how = self.dice.choice(["routes", "routes", "links", "kill"])
        if how != "routes":
            self.away.add(here)
        return {"do": "takeover", "to": to, "how": how, "tags": ["takeover", *{"kill": ["kill", "link"], "links": ["link"]}.get(how, [])]}

    def plan_lose(self):
        others = [number for number in self.there() if number != self.world.traffic.active_out]
        if not others:
            return None
        number, how = self.dice.choice(others), self.dice.choice(["links", "kill", "kill"])
        self.away.add(number)
        return {"do": "lose", "gateway": number, "how": how, "tags": ["link", *(["kill"] if how == "kill" else [])]}

    def plan_return(self):
        if not self.away:
            return None
        number = self.dice.choice(sorted(self.away)) if len(self.away) > 1 else next(iter(self.away))
        self.away.discard(number)
        how = self.dice.choice(["kept", "kept", "reboot"])
        return {"do": "return", "gateway": number, "how": how, "tags": ["takeover", *(["reboot"] if how == "reboot" else [])]}

    def plan_split(self):
        if self.away or self.world.together.cut:
            return None
        if len(self.world.gateways) == 2:
            return {"do": "split", "seconds": self.dice.choice([2, 6]), "tags": ["split brain"]}
        return {"do": "split", "seconds": self.dice.choice([2, 6, 18]), "gateway": self.gateway(), "tags": ["split brain"]}

    def plan_quiet(self):
        return {"do": "quiet", "tags": []}


def header(seed, mode, gateways, profile, **more):
    """All that a world is made from."""
    dice = random.Random(seed * 7919 + 1)
    return {"seed": seed, "mode": mode, "gateways": gateways, "profile": profile, **records_of(dice, profile, weights_of(profile, gateways)),
            "config": json.loads(json.dumps(make_config(mode, dice, profile, gateways))), **more}

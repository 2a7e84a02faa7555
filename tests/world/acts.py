# SPDX-License-Identifier: BSD-2-Clause
"""What a step does. A step is a dictionary of plain values, so that it can be written down and done again."""

import contextlib
import json
import threading
import time

import frames
import pcp_client
from strace import status as process_status

from frames import ICMP, LAST, RST, TCP, UDP, number
from model import SECOND, prefix
from oracles import Failure
from profiles import GROWTH
from traffic import Flow

PROTOS = {"udp": UDP, "tcp": TCP, "icmp": ICMP}
# Of the operator's commands: exit statuses that are an answer.
ANSWERS = (0, 1)


class Acts:
    """The steps of a world; `self.world` has the gateways, the traffic and the model."""

    def __init__(self, world):
        self.world, self.traffic, self.gateways = world, world.traffic, world.gateways
        self.later = []  # (time, call) of faults that end by themselves
        self.pcp = {}  # nonce: request

    def do(self, step):
        getattr(self, "do_" + step["do"])(**{k: v for k, v in step.items() if k not in ("do", "n", "at", "tags")})

    # ---- traffic

    def flow(self, **what):
        self.traffic.made += 1
        return Flow(self.traffic.made, PROTOS[what.pop("proto")], number(what.pop("host")), what.pop("port"), number(what.pop("ext")),
                    what.pop("eport"), pieces=tuple(what.pop("pieces", ())), **what)

    def do_flow(self, **what):
        self.traffic.open(self.flow(**what))

    def do_burst(self, host, proto, ports, ext, eport, interval, left):
        """Many flows of a subscriber at once: more than its slots take."""
        for n in range(ports[1]):
            it = self.flow(proto=proto, host=host, port=ports[0] + n, ext=ext, eport=eport, interval=interval, left=left)
            self.traffic.flows[it.ident] = it
            self.traffic.at(n * 0.003, self.traffic.step, it)

    def do_end_flow(self, nth, how):
        live = [f for f in self.traffic.live() if f.left < 0]
        if live:
            self.traffic.at(0, self.traffic.stop_flow, live[nth % len(live)], how)

    def do_hairpin(self, host, port, nth, proto):
        live = [f for f in self.traffic.live() if f.outside and f.host != number(host) and PROTOS[proto] == f.proto]
        if not live:
            return
        other = live[nth % len(live)]
        target = other.outside
        tap = self.traffic.inside_tap()
        for n in range(2):
            stamp = frames.mark(frames.HAIRPIN, number(host), port, target[0], target[1], time.time_ns())
            octets = frames.segment(PROTOS[proto], number(host), port, *target, stamp, frames.SYN)
            self.traffic.at(n * 0.05, self.traffic.put, tap, frames.frame(tap.macs, number(host), target[0], PROTOS[proto], octets))

    def do_icmp_error(self, nth, kind, code):
        live = [f for f in self.traffic.live() if f.cert == "yes"]
        if live:
            self.traffic.at(0, self.traffic.icmp_error, live[nth % len(live)], kind, code)

    def do_reset_out(self, nth):
        """A server resets a connection."""
        live = [f for f in self.traffic.live() if f.cert == "yes" and f.proto == TCP]
        if not live:
            return
        flow = live[nth % len(live)]
        flow.cert, flow.reason, flow.state = "maybe", "reset by the server", "over"
        tap, (addr, port) = self.traffic.outside_tap(), flow.outside
        stamp = frames.mark(frames.DOWN, flow.host, flow.port, flow.ident, 0, time.time_ns())
        self.traffic.at(0, self.traffic.put, tap, frames.frame(tap.macs, flow.ext, addr, TCP, frames.segment(
            TCP, flow.ext, flow.eport, addr, port, stamp, RST)))

    def do_flood(self, host, count, ext):
        """New ports of one subscriber, as fast as the pace allows; each sends once and is silent from then on."""
        for n in range(count):
            it = self.flow(proto="udp", host=host, port=20000 + n, ext=ext, eport=7, left=1, interval=1)
            it.kind = LAST
            self.traffic.flows[it.ident] = it
            self.traffic.at(n * 0.002, self.traffic.step, it)

    def do_scan(self, src, target, first, count, proto):
        for n in range(count):
            self.traffic.at(n * 0.003, self.traffic.stranger, number(src), 40000 + n, number(target), (first + n * 97) % 65536, PROTOS[proto])

    def do_knock(self, src, nth, proto):
        """A stranger sends to an endpoint that a subscriber uses."""
        live = [f for f in self.traffic.live() if f.outside and f.proto == PROTOS[proto]]
        if live:
            self.traffic.at(0, self.traffic.stranger, number(src), 41000, *live[nth % len(live)].outside, PROTOS[proto])

    def do_straight(self, src, host):
        self.traffic.at(0, self.traffic.straight, number(src), number(host))

    def do_forged(self, host, nth, proto):
        """An inside host sends as the server of another subscriber's session."""
        live = [f for f in self.traffic.live() if f.outside and f.proto == PROTOS[proto] and f.host != number(host)]
        if live:
            flow = live[nth % len(live)]
            self.traffic.at(0, self.traffic.forged, number(host), flow.ext, flow.eport, *flow.outside, PROTOS[proto])

    def do_pcp(self, host, proto, port, lifetime, nonce, suggest=0):
        octets = pcp_client.map_request(host, proto=PROTOS[proto], port=port, lifetime=lifetime, nonce=bytes.fromhex(nonce), suggest=(None, suggest))
        tap = self.traffic.inside_tap()
        server = number("172.31.255.1")
        self.traffic.at(0, self.traffic.put, tap, frames.frame(tap.macs, number(host), server, UDP, frames.segment(
            UDP, number(host), pcp_client.CLIENT_PORT, server, pcp_client.SERVER_PORT, octets)))
        self.world.ports_changed = True

    # ---- the operator

    def serving(self, gateway):
        return self.gateways[gateway % len(self.gateways)]

    def change(self, gateways, what, words, prefixes=(), **options):
        """A change by the operator, at each of the gateways: the model knows when it began, and takes up what came of it."""
        world, begin, results = self.world, time.time_ns(), []
        if len(self.gateways) > 1 and ("--drain" in words or words[0] in ("pool", "user", "reload")):
            # One gateway has it before the other, and routes may lead to either.
            prefixes = [ALL]
        world.begin_change(prefixes)
        for it in gateways:
            if it.running():
                results.append(it.command(*words, **options))
        if len(self.gateways) > 1 and ({status for status, _, _ in results} != {0} or len(results) < len(self.gateways)) and ALL not in prefixes:
            # What one alone has may be taken back.
            world.doubt([ALL])
            prefixes = [ALL]
        if len(self.gateways) > 1:
            world.sync(begin, what)  # what is there now may be gone until all are alike
            self.make_alike()
        world.end_change(begin, what, prefixes)
        for status, out, err in results:
            world.note_result(what, status, err)
            if status not in (*ANSWERS, 3):
                raise Failure("operator", f"{what}: exit {status}\n{out}{err}")

    def save(self, it):
        """Whether a gateway has in its file what runs. On a slow disk a change may be under way for seconds: it is waited for."""
        end = time.monotonic() + 20
        while True:
            status, _, err = it.command("config", "save", "--force")
            if not status:
                it.agent.config = json.loads(it.agent.path.read_text())
            if "save again" not in err or time.monotonic() > end:
                return not status
            time.sleep(0.2)

    def make_alike(self):
        """Each of several gateways has in its file what runs, as a reboot of one must leave all alike; what only one has taken goes to the others."""
        running = [it for it in self.gateways if it.running()]
        saved = [self.save(it) for it in running]
        if len(saved) < 2 or not all(saved):
            return
        has = [{key: it.agent.config.get(key) for key in ("mappings", "portmaps", "timeouts")} for it in running]
        for wanted in has:
            if all([self.make_like(it, wanted, own) for it, own in zip(running, has)]):
                break
            has = [{key: it.agent.config.get(key) for key in wanted} for it in running]

    def make_like(self, it, wanted, own):
        """Whether a gateway takes what another has."""
        if wanted == own:
            return True
        it.agent.write(**wanted)
        status, _, err = it.command("reload")
        self.world.note_result("reload of the other's", status, err)
        if status:
            it.agent.write(**own)
        return not status

    def see_to_it(self):
        begin = time.time_ns()
        self.world.begin_change([ALL])
        self.make_alike()
        self.world.end_change(begin, "all are made alike", [ALL])

    def only_one_can(self):
        """With the disk of one of several gateways at fault, a change would leave them different."""
        return len(self.gateways) > 1 and any(getattr(call, "__name__", "") in ("trace_end", "fill_disk") for _, call, _ in self.later)

    def do_ctl(self, words, gateway=None, prefixes=()):
        if self.only_one_can():
            return
        self.change(self.gateways if gateway is None else [self.serving(gateway)], " ".join(map(str, words)), words, prefixes)
        if list(words[:2]) == ["grant", "revoke"] and "--drain" in words:
            self.drain_block(words[2], words[-1])

    def drain_block(self, outside, seconds):
        """A granted block was revoked: its sessions end then."""
        addr, low = outside.split(":")
        addr, low, end = number(addr), int(low), time.time_ns() + int(seconds) * SECOND
        for flow in list(self.traffic.flows.values()):
            if flow.outside and flow.outside[0] == addr and low <= flow.outside[1] < low + GROWTH["block"]:
                flow.drain_end = min(flow.drain_end or end, end)

    def do_batch(self, lines, force=False, gateway=None, prefixes=()):
        if self.only_one_can():
            return
        text = "\n".join(lines) + "\n"
        words = [*(["--force"] if force else []), "-b", "-"]
        self.change(self.gateways if gateway is None else [self.serving(gateway)], "batch: " + "; ".join(lines), words, prefixes, text=text)

    def do_close(self, nth):
        """The operator ends a session."""
        live = [f for f in self.traffic.live() if f.cert == "yes"]
        if not live:
            return
        flow = live[nth % len(live)]
        flow.state = "over"  # it is silent from now on
        for gateway in self.gateways if len(self.gateways) == 1 else [self.gateways[self.traffic.active_out]]:
            time.sleep(0.05)
            ext = f"{frames.text(flow.ext)}:{0 if flow.proto == ICMP else flow.eport}"
            words = "session", "close", "in", frames.endpoint(flow.host, flow.port), ext, "--proto", frames.PROTO_NAMES[flow.proto]
            status, out, err = gateway.command(*words) if gateway.running() else (3, "", "")
            if status not in (0, 1, 3):
                raise Failure("operator", f"{' '.join(words)}: exit {status}\n{out}{err}")
            if status == 1 and flow.cert == "yes" and self.world.oracles.must_live(flow, time.time_ns(), gateway, True):
                raise Failure("session is gone", f"gateway {gateway.number} cannot close {flow}: {err}")
            self.world.begin_change(())  # where it was seen
            over = not status and self.world.oracles.ends_everywhere(flow)
            flow.cert, flow.reason, flow.since = "no" if over else "maybe", "closed by the operator", time.time_ns()

    def do_flush(self, host):
        gateway = self.gateways[self.traffic.active_out]
        if not gateway.running():
            return
        flows = [f for f in self.traffic.live() if f.host == number(host)]
        for flow in flows:
            flow.state = "over"
        time.sleep(0.1)
        begin = time.time_ns()
        self.world.begin_change(())
        status, out, err = gateway.command("session", "flush", host)
        for flow in flows:
            over = flow.cert == "yes" and not status and self.world.oracles.ends_everywhere(flow)
            flow.cert, flow.reason, flow.since = "no" if over else "maybe", "flushed", time.time_ns()
        self.world.model.changed(begin, time.time_ns(), f"session flush {host}")

    def do_reload(self, changes, gateway=None):
        if self.only_one_can():
            return
        those = self.gateways if gateway is None else [self.serving(gateway)]
        for it in those:
            it.agent.write(**changes)
        self.change(those, f"reload with {sorted(changes)}", ["reload"])

    def do_save(self):
        for it in self.gateways:
            if it.running() and not it.command("config", "save", "--force")[0]:
                it.agent.config = json.loads(it.agent.path.read_text())

    def do_role(self, name, add, gateway=0):
        it = self.serving(gateway)
        words = "interface", "add" if add else "del", it.names[name], "inside" if name.startswith("in") else "outside"
        self.change([it], " ".join(words), words)

    # ---- faults

    def do_kill(self, gateway=0, how="kill", pause=0.0):
        """The agent ends, and is started again."""
        it = self.serving(gateway)
        begin = time.time_ns()
        self.world.begin_change(())
        if it.running():
            it.trace_end()
            it.agent.kill() if how == "kill" else it.agent.stop()
            if len(self.gateways) > 1:
                self.world.oracles.endings_untold(begin)
        time.sleep(pause)
        self.world.start(it)
        self.world.end_change(begin, how, ())

    def do_killed_change(self, words, after, gateway=0, prefixes=()):
        """kill -9 in the middle of a change."""
        it = self.serving(gateway)
        if not it.running():
            return
        begin = time.time_ns()
        self.world.begin_change(prefixes)

        def run():
            with contextlib.suppress(Exception):
                it.command(*words)
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(after)
        it.trace_end()
        it.agent.kill()
        thread.join()
        self.world.start(it)
        if words[:2] in (["mapping", "add"], ["user", "move"]) and words[3] != "none":
            self.world.model.loose.append((begin, time.time_ns(), prefix(words[2]), prefix(words[3])))
        elif "none" in words:
            self.world.exposed.append((begin, time.time_ns()))
        self.world.end_change(begin, f"kill -9 {after:.3f} s after {' '.join(map(str, words))}", prefixes)

    def do_reboot(self, gateway=0, pause=0.0):
        it = self.serving(gateway)
        begin = time.time_ns()
        self.world.begin_change(())
        it.trace_end()
        it.reboot()
        for flow in self.traffic.flows.values():
            flow.cert, flow.reason, flow.since = "maybe", "reboot", FUTURE
        if len(self.gateways) == 1:
            self.world.oracles.ended.clear()
        time.sleep(pause)
        self.world.start(it)
        now = time.time_ns()
        for flow in self.traffic.flows.values():
            if flow.since == FUTURE:
                flow.since = now
        self.world.lost_record(it, begin, now)
        self.world.exposed.append((begin, now))
        self.world.end_change(begin, "reboot", ())

    def do_clock(self, by, gateway=0):
        it = self.serving(gateway)
        begin = time.time_ns()
        before = it.shift
        it.set_clock(before + by)
        end = time.time_ns()
        self.world.oracles.truth[it.number].stepped(begin - SECOND // 10, end + SECOND // 10, before, before + by)
        self.world.model.changed(begin, end, f"clock {by:+d} s")

    def do_slow_disk(self, delay, seconds, gateway=0, call="fsync,fdatasync"):
        it = self.serving(gateway)
        it.trace("-e", f"trace={call}", "-e", f"inject={call}:delay_enter={int(delay * 1e6)}")
        self.end_later(seconds, it.trace_end)
        self.wait_traced(it)

    def do_failing_disk(self, seconds, gateway=0, call="fsync,fdatasync"):
        it = self.serving(gateway)
        it.trace("-e", f"trace={call}", "-e", f"inject={call}:error=EIO")
        self.may_lack_records(it, seconds)
        self.end_later(seconds, it.trace_end)
        self.wait_traced(it)

    def wait_traced(self, it):
        end = time.monotonic() + 5
        while it.running() and time.monotonic() < end and not process_status(it.agent.process.pid, "TracerPid"):
            time.sleep(0.01)

    def do_full_disk(self, seconds, gateway=0):
        it = self.serving(gateway)
        it.fill_disk(True)
        self.may_lack_records(it, seconds)
        self.end_later(seconds, it.fill_disk, False)

    def may_lack_records(self, it, seconds):
        now = time.time_ns() // SECOND + it.shift
        self.world.oracles.truth[it.number].unrecorded.append((now - MARK, now + int(seconds) + MARK))

    def do_link(self, name, seconds, gateway=0):
        it = self.serving(gateway)
        it.link(name, False)
        self.world.disturbed(seconds + 3)
        self.end_later(seconds, it.link, name, True)

    def do_rename(self, name, new, gateway=0):
        it = self.serving(gateway)
        it.rename(name, new)
        self.world.disturbed(3)

    def do_route(self, inside=None, outside=None, gateway=0):
        it = self.serving(gateway)
        it.move(inside, outside)
        self.world.disturbed(2)

    def do_foreign(self, name, on, gateway=0):
        """A second program on an interface, which is taken out of its role for that and given it again."""
        it = self.serving(gateway)
        role = "inside" if name.startswith("in") else "outside"
        self.change([it], f"interface del {name}", ["interface", "del", it.names[name], role])
        it.foreign_program(name, on)
        self.change([it], f"interface add {name} {'with' if on else 'without'} a foreign program", ["interface", "add", it.names[name], role])
        self.world.disturbed(3)

    # ---- customers

    def do_customer(self, host, id, server, lasts, dice):
        """A customer gets an address from an access server, which takes it from whoever has it."""
        self.traffic.at(0, self.world.customers.comes, number(host), id, server, lasts, dice)

    def do_lease(self, host, mac, server, lasts, ends):
        self.traffic.at(0, self.world.customers.dhcp[server].come, number(host), mac, lasts, ends)

    def do_access_restart(self, server, says):
        self.traffic.at(0, self.world.customers.servers[server].restart, says)

    def do_replay(self, nth, other):
        self.traffic.at(0, self.world.customers.replayed, nth, other)

    def do_forge(self, host, server, how):
        self.traffic.at(0, self.world.customers.forged, number(host), server, how)

    def do_rotate(self):
        self.traffic.at(0, self.world.customers.dhcp[0].rotate)

    # ---- several gateways

    def do_takeover(self, to, how="routes", pause=0.5):
        """Routes lead to another gateway: alone, with the links of the first down, or with its agent killed as well."""
        self.world.together.takeover(to, how, pause)

    def do_lose(self, gateway, how):
        """A gateway that serves nobody is lost."""
        self.world.together.lose(gateway, how)

    def do_return(self, gateway, how):
        """A gateway that was away comes back, with the tables that it had or without."""
        self.world.together.comes_back(gateway, how)

    def do_split(self, seconds, gateway=0):
        """A gateway and the others lose sight of each other."""
        self.world.together.split(gateway)
        self.end_later(seconds, self.world.together.join_again, gateway)

    # ---- ends of faults

    def end_later(self, seconds, call, *arguments):
        self.later.append((time.monotonic() + seconds, call, arguments))

    def expire(self, all_of_them=False):
        now = time.monotonic()
        due = [it for it in self.later if all_of_them or it[0] <= now]
        self.later = [it for it in self.later if it not in due]
        for _, call, arguments in due:
            call(*arguments)

    def do_quiet(self):
        self.world.quiet()


FUTURE = 1 << 62
MARK = 65
ALL = "10.0.0.0/8"

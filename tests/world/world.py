#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A gateway, or several, in a world of subscribers, servers, strangers, an operator and faults, all drawn from one seed; beside it
oracles that know who sent what.

    world.py [--seconds N] [--seed S] [--mode redirect1|redirect2|kernel|none|tc|hours] [--gateways 1|2|3]
             [--profile NAMES]
             [--build DIRECTORY] [--replay FILE] [--shrink SECONDS] [--write FILE] [--go-on]

Ends with 0 where nothing was found. Else it prints the seed, the shortest sequence of steps that still fails, and the log of the
operator and of the faults; the exit status is 1. Mode `hours` simulates customers alone, eight hours at a time (hours.py).
The others work in namespaces and mounts of their own, which end with them.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
PR_SET_PDEATHSIG = 1
RUN_EXTRA = 240  # seconds for each gateway beyond what was asked for and a tenth of it, after which a run is ended
MEMORY = 1 << 31  # octets of address space for the run itself
RUNS = "detnat-world."
_children = []


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", default="redirect1", choices=("redirect1", "redirect2", "kernel", "none", "tc", "hours"))
    parser.add_argument("--gateways", type=int, default=1, choices=(1, 2, 3))
    parser.add_argument("--profile", default="all")
    parser.add_argument("--build", default=os.environ.get("BUILD") or str(HERE.parents[1] / "build"))
    parser.add_argument("--replay", help="a file of steps, as --write makes it")
    parser.add_argument("--shrink", type=float, default=300, help="seconds to look for a shorter sequence; 0: none")
    parser.add_argument("--write", help="where the steps of a failure go (default: none)")
    parser.add_argument("--pairs", help="a file that the counts of pairs go to")
    parser.add_argument("--oracle", action="append", default=[], help="only failures of oracles with this in their name")
    parser.add_argument("--go-on", action="store_true", help="after a failure, look for others")
    parser.add_argument("--format", type=int, default=2, help="of the lines of leases in mode hours; 1: as versions before wrote them")
    parser.add_argument("--minute", action="store_true", help="the fixed seeds of `make test`, side by side")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- one run, in a process of its own


def once(path):
    """The world of a file; writes what came of it beside it."""
    task = json.loads(pathlib.Path(path).read_text())
    os.environ["BUILD"] = task["build"]
    faulthandler.dump_traceback_later(task["limit"])  # says where a run is that does not end
    import isolation
    from world_run import World
    directory = pathlib.Path(task["directory"])
    isolation.enter(directory)
    world = World(directory, task["header"], task.get("steps"), task.get("go_on", False))
    begun, used = time.monotonic(), os.times()
    world.run(task["seconds"])
    ended = os.times()
    result = {
        "failures": world.failures, "steps": world.steps, "log": world.log, "elapsed": time.monotonic() - begun,
        "cpu": sum(ended[:4]) - sum(used[:4]), "counts": dict(world.counts), "results": dict(world.results),
        "traffic": dict(world.traffic.counts) if world.traffic else {}, "pairs": [[a, b, n] for (a, b), n in sorted(world.pairs.items())],
        "customers": world.customers.summary() if world.customers else [],
        "refusals": world.samples.get("refusals", {}), "descriptors": world.samples.get("descriptors", []),
    }
    isolation.unmount(directory)
    out = pathlib.Path(path).with_suffix(".new")
    out.write_text(json.dumps(result))
    out.rename(pathlib.Path(path).with_suffix(".out"))


# ---- the runs, and what is made of them


def run_world(args, header, steps=None, seconds=None, limit=None):
    """Runs a world in a process of its own; its result, or None if it did not end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{RUNS}{os.getpid()}."))
    try:
        seconds = seconds or args.seconds
        limit = limit or seconds * 1.1 + RUN_EXTRA * header["gateways"]
        task = folder / "task"
        task.write_text(json.dumps({"header": header, "steps": steps, "seconds": seconds, "build": str(pathlib.Path(args.build).resolve()),
                                    "directory": str(folder / "run"), "go_on": args.go_on, "limit": limit}))

        def tied():
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        with open(folder / "err", "wb") as err:
            child = subprocess.Popen([sys.executable, __file__, "--once", str(task)], stdin=subprocess.DEVNULL, stdout=err, stderr=err, preexec_fn=tied)
        _children.append(child)
        try:
            child.wait(limit + 5)
        except subprocess.TimeoutExpired:
            return {"failures": [{"oracle": "world", "text": f"did not end; {(folder / 'err').read_text()[-2000:]}", "at": 0, "step": 0, "log": {}}],
                    "steps": [], "log": [], "stuck": True}
        finally:
            end_child(child)
        out = task.with_suffix(".out")
        if not out.exists():
            raise SystemExit(f"world: the run ended with {child.returncode}\n{(folder / 'err').read_text()[-4000:]}")
        return json.loads(out.read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_dead_runs():
    """Directories of worlds that were killed; their mounts and namespaces ended with them."""
    for path in pathlib.Path(tempfile.gettempdir()).glob(RUNS + "*"):
        pid = path.name.split(".")[1]
        if pid.isdigit() and not pathlib.Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


def end_child(child):
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child in _children:
        _children.remove(child)


def closer(steps, gap=0.6):
    """The same steps without long waits between them."""
    found, at, last = [], 0.0, 0.0
    for step in steps:
        at += min(step["at"] - last, gap)
        last = step["at"]
        found.append({**step, "at": round(at, 3)})
    return found


def same(result, failure):
    return any(it["oracle"] == failure["oracle"] for it in result["failures"])


class Shrinker:
    """Looks for fewer steps with the same failure, by running them."""

    def __init__(self, args, header, failure, seconds):
        self.args, self.header, self.failure = args, header, failure
        self.until = time.monotonic() + seconds
        self.runs, self.gap = 0, 0.6

    def fails(self, steps):
        if time.monotonic() > self.until:
            return False
        steps = closer(steps, self.gap)
        if not steps or steps[-1]["do"] != "quiet":
            steps = [*steps, {"do": "quiet", "n": 0, "at": (steps[-1]["at"] if steps else 0) + 2.0}]
        self.runs += 1
        limit = min(steps[-1]["at"] + 60, max(self.until - time.monotonic(), 5) + 20)
        header = {**self.header, "brief": self.failure["oracle"] != "leak", "oracles": [self.failure["oracle"]]}
        result = run_world(self.args, header, steps, limit=limit)
        return not result.get("stuck") and same(result, self.failure)

    def shrink(self, steps):
        """Kinds of steps first, then halves, quarters and so on."""
        best = steps
        for size, gap in ((12, 2.0), (30, 0.6), (60, 0.3), (150, 0.3)):
            self.gap = gap
            if len(best) > size and self.fails(best[-size:]):
                best = best[-size:]
                break
        kinds = [{kind} for kind in sorted({step["do"] for step in best})]
        for few in ([set().union(*kinds[::2]), set().union(*kinds[1::2])] if len(kinds) > 4 else []) + kinds:
            fewer = [step for step in best if step["do"] not in few]
            if fewer and len(fewer) < len(best) and self.fails(fewer):
                best = fewer
        parts = 2
        while len(best) > 1 and time.monotonic() < self.until:
            length = -(-len(best) // parts)
            for at in range(0, len(best), length):
                fewer = best[:at] + best[at + length:]
                if fewer and self.fails(fewer):
                    best, parts = fewer, max(parts - 1, 2)
                    break
            else:
                if length == 1:
                    break
                parts = min(parts * 2, len(best))
        return best


def short(step):
    return json.dumps({k: v for k, v in step.items() if k not in ("tags",)})


def show(args, header, result, begun):
    """The failure, its steps and the log."""
    print(f"world: FOUND after {time.monotonic() - begun:.0f} s, seed {header['seed']}, mode {header['mode']}, "
          f"gateways {header['gateways']}, profile {header['profile']}")
    for failure in result["failures"]:
        print(f"\n  {failure['oracle']}, {failure['at']} s, after step {failure['step']}:\n    {failure['text']}")
    steps = result["steps"]
    if args.shrink and steps and len(result["failures"]) == 1:
        failure = result["failures"][0]
        shrinker = Shrinker(args, header, failure, args.shrink)
        best = shrinker.shrink(steps)
        if len(best) < len(steps):
            print(f"\nshortest sequence found that still fails: {len(best)} of {len(steps)} steps, {shrinker.runs} runs")
            steps = best
        else:
            print(f"\nno shorter sequence fails within {args.shrink:.0f} s ({shrinker.runs} runs)")
    print("\nsteps:" if len(steps) <= 60 else "\nthe last 60 steps:")
    for step in steps[-60:]:
        print("  " + short(step))
    print("\noperator and faults:" if len(result["log"]) <= 60 else "\noperator and faults, the last 60:")
    for at, number, step in result["log"][-60:]:
        print(f"  {at:9.3f} s  {number:5}  {json.dumps(step)}")
    for number, text in (result["failures"][0].get("log") or {}).items():
        print(f"\nagent of gateway {number}:\n" + "\n".join("  " + line for line in text.splitlines()[-25:]))
    if args.write:
        pathlib.Path(args.write).write_text(json.dumps({"header": header, "oracle": result["failures"][0]["oracle"], "steps": closer(steps)}, indent=1))
        print(f"\nto do it again: world.py --replay {args.write}")
    print()
    for failure in result["failures"]:  # once more, as of long output the end is kept
        print(f"world: FAILED, seed {header['seed']}, {header['profile']}: {failure['oracle']}, {failure['text']}")


def summary(header, result):
    counts, traffic = result["counts"], result["traffic"]
    used = result["cpu"] / result["elapsed"]
    print(f"world: seed {header['seed']}, {header['mode']}, {header['gateways']} gateway(s), {header['profile']}: {result['elapsed']:.0f} s, "
          f"{counts.get('steps', 0)} steps, {traffic.get('sent', 0)} packets sent, {counts.get('packets outside', 0)} seen outside and "
          f"{counts.get('packets inside', 0)} inside, {counts.get('questions of who', 0)} questions of who, {counts.get('quiet points', 0)} quiet points, "
          f"{counts.get('sessions compared', 0)} sessions compared, {used:.2f} of a core")
    print("  " + ", ".join(f"{k} {v}" for k, v in sorted(result["results"].items())))
    print("  " + ", ".join(f"{k} {v}" for k, v in sorted({**counts, **traffic}.items())))
    for line in result.get("customers", []):
        print("  " + line)
    for line in result.get("descriptors", []):
        print(f"  descriptors at the end and of an agent started anew, {line}")
    for what, said in sorted(result.get("refusals", {}).items())[:40] if os.environ.get("VERBOSE") else ():
        print(f"  refused: {said}")


# Seed, mode, gateways, profile: of `make test`.
MINUTE = ((1, "redirect1", 1, "beyond+exceptions+drains"), (2, "redirect2", 1, "history+moves+portmaps"), (3, "none", 1, "packets+bindings+operator"),
          (4, "kernel", 1, "life+exceptions"), (5, "redirect1", 2, "pair"))


def minute(args):
    """Runs the fixed seeds; the exit status."""
    running = []
    for seed, mode, gateways, profile in MINUTE:
        words = ["--seed", seed, "--mode", mode, "--gateways", gateways, "--profile", profile, "--seconds", 45, "--shrink", 0, "--build", args.build]
        child = subprocess.Popen([sys.executable, __file__, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, preexec_fn=lambda: ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM))
        _children.append(child)
        running.append(child)
    found = 0
    for child in running:
        out, _ = child.communicate()
        found |= child.returncode
        print(out if child.returncode else out.split("\n")[0], flush=True)
        _children.remove(child)
    return 1 if found else 0


def main():
    args = options()
    if args.once:
        return once(args.once)
    if args.mode == "hours":
        from hours import Hours
        return Hours(args.build, args.format < 2).run(args.seed, args.seconds, args.profile, args.go_on)
    if os.geteuid() != 0:
        sys.exit("world: makes network namespaces and needs root")
    for stop in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(stop, lambda number, frame: sys.exit(128 + number))
    remove_dead_runs()
    if args.minute:
        return minute(args)
    from profiles import header as make_header
    steps = None
    if args.replay:
        replay = json.loads(pathlib.Path(args.replay).read_text())
        header, steps = replay["header"], replay["steps"]
        args.shrink = 0
    else:
        header = make_header(args.seed, args.mode, args.gateways, args.profile)
        if args.oracle:
            header["oracles"] = args.oracle
    begun = time.monotonic()
    result = run_world(args, header, steps)
    if result.get("counts"):
        summary(header, result)
    if args.pairs:
        pathlib.Path(args.pairs).write_text("".join(f"{a}\t{b}\t{n}\n" for a, b, n in result.get("pairs", [])))
    if result["failures"]:
        show(args, header, result, begun)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        for left in list(_children):
            with contextlib.suppress(Exception):
                end_child(left)

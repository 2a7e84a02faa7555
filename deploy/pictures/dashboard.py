#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Draws panels of deploy/grafana/detnat.json as an SVG: a gateway with traffic in network namespaces, scraped by a real
Prometheus, which answers the panels' own queries. Needs root and the packages of the tests.

    dashboard.py FILE.svg
"""

import datetime
import html
import json
import math
import os
import pathlib
import random
import shutil
import sys
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tests/e2e"))

import isolation  # noqa: E402
from lab import MAPPING, OUT_MAC, ROUTER_MAC, Lab  # noqa: E402
from prometheus import Prometheus  # noqa: E402
from scapy.layers.inet import TCP, UDP  # noqa: E402

SECONDS = 75
HOSTS = 160
GRAPHS = ["Translated packets by direction", "Dropped packets by reason", "Sessions by protocol", "Subscribers",
          "Utilization at the 99th percentile", "Pool addresses by state"]
COLOURS = ["#73bf69", "#5794f2", "#f2cc0c", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#96d98d"]
WIDTH, EDGE, STAT, GRAPH = 1080, 10, 78, 196
STYLE = ("text { font: 12px Inter, 'Helvetica Neue', Arial, sans-serif; fill: #ccccdc } .t { font-weight: 500 } .v { font-size: 26px; fill: #73bf69 } "
         ".a { font-size: 10px; fill: #8e8e99 }")


# ---- a gateway with traffic


def answer(frame):
    """What the destination of a frame sends back."""
    at = 14 + (frame[14] & 15) * 4
    return b"".join((bytes.fromhex(OUT_MAC.replace(":", "")), bytes.fromhex(ROUTER_MAC.replace(":", "")), frame[12:26],
                     frame[30:34], frame[26:30], frame[34:at], frame[at + 2:at + 4], frame[at:at + 2], frame[at + 4:]))


def flows(lab, draw):
    """Frames of sessions from inside; some homes have many."""
    out = []
    for host in [lab.host() for _ in range(HOSTS)]:
        for _ in range(min(60, int(draw.lognormvariate(2, 1)) + 1)):
            port, dst = draw.randrange(1024, 65536), f"198.51.{draw.randrange(100, 104)}.{draw.randrange(1, 255)}"
            payload = UDP(sport=port, dport=443) / bytes(64) if draw.random() < 0.6 else TCP(sport=port, dport=443, flags="S", seq=1)
            out.append(bytes(lab.from_inside(host, payload, dst)))
    draw.shuffle(out)
    return out


def drive(lab, seconds):
    """Traffic that rises and falls, answers included; one address drains in the middle."""
    draw = random.Random(7422)
    frames, end, drained = flows(lab, draw), time.monotonic() + seconds, False
    opened = 0
    while (left := end - time.monotonic()) > 0:
        done = 1 - left / seconds
        opened = max(opened, int(len(frames) * min(1, done * 1.4)))
        for frame in draw.sample(frames[:opened + 1], min(opened + 1, int(150 + 110 * math.sin(done * 9)))):
            lab.inside.send(frame)
        while frame := lab.outside.receive(0.02):
            lab.outside.send(answer(frame))
        if done > 0.5 and not drained:
            lab.agent.ctl("pool", "drain", "1.1.1.2", "--to", "1.1.2.0", "--drain", "600")
            drained = True


# ---- figures


def number(value, unit):
    """A figure as Grafana writes it."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "dateTimeFromNow":
        return "1 min"
    suffix = {"pps": " p/s", "ops": " ops/s", "bytes": "B"}.get(unit, "")
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.3g} {letter}{suffix.strip()}"
    return f"{value:.3g}{suffix}"


def above(value):
    """A figure that is not below, and that four lines divide well."""
    size = 10 ** math.floor(math.log10(value)) if value > 0 else 1
    return next(size * step for step in (1, 2, 4, 6, 8, 10, 12) if size * step >= value)


def text(x, y, words, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(words)}</text>'


def box(x, y, width, height, title):
    return [f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2" fill="#181b1f" stroke="#25272c"/>', text(x + 8, y + 18, title, "t")]


class Query:
    def __init__(self, prometheus, begin, end):
        self.prometheus, self.begin, self.end = prometheus, begin, end

    def of(self, target):
        """[(legend, [(time, figure)])]"""
        expression = target["expr"].replace("$instance", ".+").replace("$__rate_interval", "10s")
        data = self.prometheus.api("query_range", query=expression, start=self.begin, end=self.end, step=1)
        return [(self.legend(target, series["metric"]), [(float(t), float(v)) for t, v in series["values"]]) for series in data["result"]]

    @staticmethod
    def legend(target, labels):
        words = target.get("legendFormat") or ""
        for name, value in labels.items():
            words = words.replace("{{" + name + "}}", value)
        return words


def stat(panel, query, x, y, width):
    series = query.of(panel["targets"][0])
    value = series[0][1][-1][1] if series and series[0][1] else 0
    return [*box(x, y, width, STAT, panel["title"]), text(x + width / 2, y + 58, number(value, panel["fieldConfig"]["defaults"].get("unit")), "v", "middle")]


def graph(panel, query, x, y, width):
    series = [(words, [v for v in values if math.isfinite(v[1])]) for target in panel["targets"] for words, values in query.of(target)]
    series = sorted((s for s in series if any(v for _, v in s[1])), key=lambda s: -s[1][-1][1])[:8]
    unit = panel["fieldConfig"]["defaults"].get("unit")
    highest = above(max((v for _, values in series for _, v in values), default=0))
    left, top, w, h = x + 58, y + 30, width - 72, GRAPH - 76
    out = box(x, y, width, GRAPH, panel["title"])
    for step in range(5):
        at = top + h - h * step / 4
        out += [f'<line x1="{left:g}" y1="{at:g}" x2="{left + w:g}" y2="{at:g}" stroke="#2c3235"/>',
                text(left - 6, at + 4, number(highest * step / 4, unit), "a", "end")]
    for step in range(1, 4):
        moment = query.begin + (query.end - query.begin) * step / 4
        out.append(text(left + w * step / 4, top + h + 14, f"{datetime.datetime.fromtimestamp(moment, datetime.timezone.utc):%H:%M:%S}", "a", "middle"))
    at = left
    for colour, (words, values) in zip(COLOURS, series):
        points = " ".join(f"{left + w * (t - query.begin) / (query.end - query.begin):.1f},{top + h - h * v / highest:.1f}" for t, v in values)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if at + 16 + 6 * len(words) < x + width:
            out += [f'<rect x="{at:g}" y="{y + GRAPH - 16:g}" width="10" height="3" fill="{colour}"/>', text(at + 14, y + GRAPH - 11, words, "a")]
        at += 28 + 5.2 * len(words)
    return out


def draw(dashboard, query):
    panels = {panel["title"]: panel for panel in dashboard["panels"]}
    stats = [panel for panel in dashboard["panels"] if panel["type"] == "stat"]
    y, body = 44, [text(EDGE + 4, 27, "detnat", "t")]
    width = (WIDTH - EDGE * (len(stats) + 1)) / len(stats)
    for i, panel in enumerate(stats):
        body += stat(panel, query, EDGE + i * (width + EDGE), y, width)
    y += STAT + EDGE
    width = (WIDTH - EDGE * 3) / 2
    for i, title in enumerate(GRAPHS):
        body += graph(panels[title], query, EDGE + i % 2 * (width + EDGE), y + i // 2 * (GRAPH + EDGE), width)
    height = y + (len(GRAPHS) + 1) // 2 * (GRAPH + EDGE)
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
                      f"<style>{STYLE}</style>", f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#111217"/>', *body, "</svg>", ""])


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: dashboard.py FILE.svg")
    picture = pathlib.Path(sys.argv[1]).absolute()
    directory = isolation.RUNS / f"detnat-e2e.{os.getpid()}"
    isolation.remove_dead_runs()
    isolation.enter(directory)
    lab = Lab(directory)
    try:
        lab.start(mappings=[{"name": "homes", **MAPPING, "sessions_per_user": 40}], metrics={"listen": "127.0.0.1:9469"}, sweep_interval=1)
        prometheus = Prometheus(lab.gateway, directory / "prometheus")
        lab.at_end(prometheus.close)
        drive(lab, SECONDS)
        now = time.time()
        picture.write_text(draw(json.loads((TREE / "deploy/grafana/detnat.json").read_text()), Query(prometheus, now - SECONDS + 12, now - 2)))
    finally:
        lab.close()
        isolation.unmount(directory)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
score.py BUILD [-v]: reads each complaint by `detnatctl request --questions`, with the provider's pools, and compares what it gives
with expected.tsv. Prints how many are right, how many were refused though they are definite, and how many are wrong: a question that
is not asked, a question for a refusal, or one that is missing beside others. Fails if one is wrong, or more than MOST are refused.
-v: each that is not right.
"""

import collections
import csv
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MOST = 5
BEGIN = "2025-01-01T00:00:00Z"
POOLS = {"10.0.0.0/18": "198.51.100.0/24", "10.1.0.0/18": "203.0.113.0/24", "10.2.0.0/24": "1.1.1.0/30"}


def write_history(directory):
    """A history that has the provider's pools: a mapping each. A line ends with the hash of itself and of the one before."""
    common = {"algorithm": "sequential", "port_lo": 1024, "port_hi": 65535}
    events = [{"event": "start", "format": 3, "host": "provider", "taken_over": False, "unknown_since": None, **common, "mappings": []}]
    events += [{"event": "add", "in": inside, "out": out, "name": "", "from": BEGIN, "to": None, **common, "sharing_ratio": 64,
                "ports_per_host": 1008} for inside, out in POOLS.items()]
    digest = "0" * 64
    with open(directory / "history.jsonl", "w", encoding="utf-8") as file:
        for number, event in enumerate(events, 1):
            body = json.dumps({"line": number, "time": BEGIN, **event}, separators=(",", ":"))[:-1]
            digest = hashlib.sha256((digest + body).encode()).hexdigest()
            file.write(f'{body},"hash":"{digest}"}}\n')


def expectations():
    rows = collections.defaultdict(list)
    with open(HERE / "expected.tsv", encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            rows[row[0]].append(row)
    return rows


def ask(detnatctl, directory, name):
    """The questions of a complaint, endpoint, time and protocol each, and whether it was refused."""
    done = subprocess.run([detnatctl, "-j", "request", "--questions", HERE / name, "--state-dir", directory],
                          capture_output=True, text=True, timeout=60, check=False)
    rows = json.loads(done.stdout) if done.stdout.strip() else []
    questions = {(f"{row['out_addr']}:{row['out_port']}", row["time"], row.get("proto") or "-") for row in rows if row.get("time")}
    return questions, done.returncode != 0


def judge(wanted, questions, refused):
    if {row[:2] for row in questions} - {row[:2] for row in wanted}:
        return "wrong"
    if refused:
        return "refused" if wanted else "right"
    return "right" if questions == wanted else "wrong"


def main():
    detnatctl = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve() / "detnatctl"
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as directory:
        write_history(pathlib.Path(directory))
        for name, rows in expectations().items():
            wanted = {(row[2], row[4], row[3]) for row in rows if row[1] == "question"}
            questions, refused = ask(detnatctl, directory, name)
            verdict = judge(wanted, questions, refused)
            counts[verdict] += 1
            if verdict == "wrong" or (verdict != "right" and "-v" in sys.argv):
                print(f"{verdict}: {name}: got {sorted(questions)}, expected {sorted(wanted) or rows[0][2:4]}")
    print(f"right {counts['right']}, refused though definite {counts['refused']}, wrong {counts['wrong']}")
    sys.exit(counts["wrong"] > 0 or counts["refused"] > MOST)


if __name__ == "__main__":
    main()

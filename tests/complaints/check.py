#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Checks the corpus of complaints itself, not what reads it: how many files of each class there are and how long they are, that every
file has its rows and its form, that what a row expects is in the text as a human sees it, and that no text comes twice. Prints what
is wrong, then the counts, and exits with 1 if something is wrong.
"""

import collections
import csv
import datetime
import email
import email.policy
import html
import ipaddress
import pathlib
import re
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
WANTED = {"one": 290, "several": 53, "refused": 338}
REASONS = {"no-port", "no-zone", "no-time", "several-times", "several-ports", "no-year", "not-ours", "wrong-zone",
           "ambiguous-date", "cut-off", "unsure"}
PROTOCOLS = {"tcp", "udp", "-"}
POOL = [ipaddress.ip_network(text) for text in ("198.51.100.0/24", "203.0.113.0/24", "1.1.1.0/30")]
# Minutes of zones that are not of whole hours.
SHIFTS = (0, 30, 45)
NAME = re.compile(r"\d{3}-[a-z0-9-]+\.(eml|txt|json|csv)")
DIGITS = {ord(zero) + i: str(i) for zero in "\u0660\u06f0\u0966" for i in range(10)}
INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")


def decoded(data):
    """The text of a file's bytes or of a part of a mail."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return data.decode(encoding)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def part_text(part):
    data = part.get_payload(decode=True) or b""
    try:
        text = data.decode(part.get_content_charset() or "ascii")
    except (LookupError, UnicodeDecodeError):
        text = decoded(data)
    if part.get_content_subtype() == "html":
        text = re.sub(r"</?(?:td|th|tr|p|div|br|li|h\d)\b[^>]*>", " ", text)
        text = html.unescape(re.sub(r"<[^>]*>", "", text))
    return text


def mail_text(data):
    """A mail's headers and the text of its parts; of an image or an archive only its name."""
    if data.startswith(b"From "):
        data = data.partition(b"\n")[2]
    message = email.message_from_bytes(data, policy=email.policy.compat32)
    texts = []
    for part in message.walk():
        texts.extend(f"{name}: {value}" for name, value in part.items())
        if not part.is_multipart() and part.get_content_maintype() in ("text", "message") or part.get_content_subtype() in ("json", "xml"):
            texts.append(part_text(part))
    return "\n".join(texts)


def seen(path):
    """What a human sees of a file, without what is invisible, and with addresses as they are written among machines."""
    data = path.read_bytes()
    text = mail_text(data) if path.suffix == ".eml" else decoded(data)
    if "=3D" in text:
        text = text.replace("=\n", "")
    text = INVISIBLE.sub("", html.unescape(text)).translate(DIGITS)
    return re.sub(r"\s*(?:\[\.\]|\(\.\)|\[dot\]|\(dot\)|\{\.\}|\[\.)\s*", ".", text, flags=re.IGNORECASE)


def holds(text, digits):
    return re.search(rf"(?<!\d){re.escape(digits)}(?!\d)", text)


def minute_and_second(when, shift):
    """Of a time, as they stand in a text: "05:11", "05m11s", "05 minutos y 11"."""
    moment = when + datetime.timedelta(minutes=shift)
    return re.compile(rf"(?<!\d){moment:%M}\D{{1,12}}{moment:%S}(?!\d)")


def check_question(row, text):
    _, _, endpoint, proto, time, note = row
    address, _, port = endpoint.rpartition(":")
    if not any(ipaddress.ip_address(address) in net for net in POOL):
        yield f"{address} is not of the pool"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        yield f"{port} is no port"
    if proto not in PROTOCOLS:
        yield f"{proto} is no protocol"
    if note:
        yield "the last column of a question is empty"
    try:
        when = datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ")
        if not 2024 <= when.year <= 2026:
            yield f"{time} is of another year than the corpus"
        epoch = str(int(when.replace(tzinfo=datetime.timezone.utc).timestamp()))
        if epoch not in text and not any(minute_and_second(when, shift).search(text) for shift in SHIFTS):
            yield f"the minute and the second of {time} are not in the text"
    except ValueError:
        yield f"{time} is no time"
    for digits in (address, port):
        if not holds(text, digits):
            yield f"{digits} is not in the text"


def check_refusal(row):
    if row[2] not in REASONS:
        yield f"{row[2]} is no reason"
    if not row[3]:
        yield "nothing is said beside the reason"


def read_rows(name, widths):
    """The rows of a file by the complaint that they are of."""
    rows = collections.defaultdict(list)
    with open(HERE / name, encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if len(row) != widths.get(row[1], widths.get(None)):
                sys.exit(f"{name}: {row}: another number of columns")
            rows[row[0]].append(row)
    return rows


def class_of(rows):
    if not rows:
        return "none"
    if any(row[1] == "refused" for row in rows):
        return "refused" if len(rows) == 1 else "mixed"
    return "one" if len(rows) == 1 else "several"


def check_file(path, rows):
    if not NAME.fullmatch(path.name):
        yield "the name is not NNN-name.(eml|txt|json|csv)"
    text = seen(path)
    for row in rows:
        yield from check_refusal(row) if row[1] == "refused" else check_question(row, text)
    if len({tuple(row) for row in rows}) != len(rows):
        yield "a row comes twice"
    if len(rows) > 12:
        yield f"{len(rows)} events"


def check_counts(paths, classes, lines):
    if len(paths) != sum(WANTED.values()):
        yield f"{len(paths)} files"
    for name, count in WANTED.items():
        if classes[name] != count:
            yield f"{classes[name]} files of class {name}, not {count}"
    if statistics.median(lines) < 30:
        yield f"the median of lines is {statistics.median(lines)}"


def check_twins(paths):
    bodies = {}
    for path in paths:
        body = re.sub(r"[\d\s]", "", seen(path))
        if body in bodies:
            yield f"{path.name}: the same text as {bodies[body]} but for its digits"
        bodies[body] = path.name


def main():
    paths = sorted(path for path in HERE.iterdir() if path.name[0].isdecimal())
    expected = read_rows("expected.tsv", {"question": 6, "refused": 4})
    forms = read_rows("forms.tsv", {None: 3})
    names = {path.name for path in paths}
    wrong = [f"{name}: is not in {where}" for where, rows in (("expected.tsv", expected), ("forms.tsv", forms)) for name in sorted(names - set(rows))]
    wrong += [f"{name}: there is no such file" for name in sorted((set(expected) | set(forms)) - names)]
    for path in paths:
        wrong += [f"{path.name}: {text}" for text in check_file(path, expected[path.name])]
    classes = collections.Counter(class_of(expected[path.name]) for path in paths)
    lines = [len(decoded(path.read_bytes()).splitlines()) for path in paths]
    wrong += check_twins(paths)
    wrong += check_counts(paths, classes, lines)
    for text in wrong:
        print(text)
    print(f"{len(paths)} files, {sum(map(len, expected.values()))} rows, median {statistics.median(lines):g} lines, {min(lines)} to {max(lines)}")
    for title, counts in (
        ("class", classes),
        ("form", collections.Counter(rows[0][1] for rows in forms.values())),
        ("language", collections.Counter(rows[0][2] for rows in forms.values())),
        ("reason", collections.Counter(rows[0][2] for rows in expected.values() if rows and rows[0][1] == "refused")),
    ):
        print(f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts.most_common()))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: BSD-2-Clause
"""A model that just remembers which customer had which inside address when. Times are nanoseconds, ends are exclusive."""

import bisect
import collections
import dataclasses

FOREVER = 1 << 62


@dataclasses.dataclass(eq=False)
class Tenure:
    host: object
    ident: str
    begin: int
    end: int = FOREVER
    told: int = FOREVER  # nothing tells that it went on after that, or ended
    known: int = FOREVER  # from then on, a statement of it is certainly recorded
    first: int = FOREVER  # the earliest moment that such a statement is about

    def heard(self, about, when):
        """A statement about a moment was recorded by then."""
        self.known, self.first = min(self.known, when), min(self.first, about)

    def __str__(self):
        end = "on" if self.end == FOREVER else f"{self.end / 1e9 % 100000:.3f}"
        return f"{self.ident} {self.begin / 1e9 % 100000:.3f}..{end}"


class Memory:
    def __init__(self):
        self.of = collections.defaultdict(list)  # by host, in order of time
        self.begins = collections.defaultdict(list)

    def come(self, host, ident, at):
        """A customer gets an address, which nobody has."""
        if now := self.now(host):
            raise AssertionError(f"{host} is {now}'s")
        tenure = Tenure(host, ident, at)
        self.of[host].append(tenure)
        self.begins[host].append(at)
        return tenure

    def go(self, host, at):
        tenure = self.now(host)
        if tenure:
            tenure.end = max(at, tenure.begin + 1)
        return tenure

    def now(self, host):
        """Who has an address at present, or None."""
        last = self.of[host][-1:]
        return last[0] if last and last[0].end == FOREVER else None

    def had(self, host, begin, end):
        """The tenures of an address that have a part between two times, both of them included."""
        found, n = [], bisect.bisect_right(self.begins[host], end)
        while n and self.of[host][n - 1].end > begin:
            n -= 1
            found.insert(0, self.of[host][n])
        return found

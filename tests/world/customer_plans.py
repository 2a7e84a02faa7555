# SPDX-License-Identifier: BSD-2-Clause
"""Customers that come and go, and what happens to what is told of them: the planner's part."""

import lease_texts as texts

LEASED = "10.2.0"  # addresses of DHCP, see source_of() in customers.py


def records_of(dice, profile, weights):
    """What a world with customers has in its header: what happens to their records, and when the day of its clock ends."""
    if "customer" not in weights:
        return {}
    parts = {part.split("*")[0].split("-")[0] for part in profile.split("+")}
    kind = "wild" if parts & {"all", "accounting"} else "lossy" if "lossy" in parts else "whole"
    return {"customers": kind, "midnight": dice.choice([15, 30, 30, 300])}


class CustomerPlans:
    def plan_customer(self):
        dice, host = self.dice, self.subscriber()
        if host.startswith(LEASED):
            return self.plan_lease()
        return {"do": "customer", "host": host, "id": f"c{dice.randrange(60)}", "server": dice.randrange(3),
                "lasts": round(3 + dice.expovariate(1 / 18), 1), "dice": dice.randrange(1 << 30), "tags": []}

    def plan_lease(self):
        dice, last = self.dice, self.dice.randrange(2, 7)
        return {"do": "lease", "host": f"{LEASED}.{last}", "mac": texts.mac_of(f"c{dice.randrange(60)}"), "server": 0 if last % 2 else 1,
                "lasts": round(2 + dice.expovariate(1 / 15), 1), "ends": dice.choice(["release", "silent"]), "tags": []}

    def plan_rotate(self):
        return {"do": "rotate", "tags": []}

    def plan_access_restart(self):
        return {"do": "access_restart", "server": self.dice.randrange(3), "says": self.dice.choice(["on", "off", "nothing"]), "tags": []}

    def plan_replay(self):
        return {"do": "replay", "nth": self.dice.randrange(10000), "other": self.dice.random() < 0.5, "tags": []}

    def plan_forge(self):
        return {"do": "forge", "host": self.subscriber(), "server": self.dice.randrange(3), "how": self.dice.choice(["secret", "secret", "short", "zero"]),
                "tags": []}

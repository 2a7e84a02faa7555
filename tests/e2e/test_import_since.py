# SPDX-License-Identifier: BSD-2-Clause
"""detnatctl import --since: `who` answers for the time before the switch, and says that it is a claim."""

import json
import pathlib
import subprocess

import pytest

from agent import CTL

CORPUS = pathlib.Path(__file__).parent.parent / "import"


def ctl(*arguments, **more):
    return subprocess.run([CTL, *arguments], capture_output=True, text=True, check=False, **more)


@pytest.fixture
def claimed(tmp_path):
    """A state directory with the claims of a Junos configuration since March 2024."""
    done = ctl("import", "junos", str(CORPUS / "junos-j2.set"), "--since", "2024-03-01", "--state-dir", str(tmp_path))
    assert "who answers from 2024-03-01T00:00:00Z on, for 2046 subscribers, as claimed" in done.stderr
    return tmp_path


def who(state, endpoint, at, *more):
    return ctl(*more, "who", endpoint, "--at", at, "--state-dir", str(state))


def test_who_answers_for_the_time_before_the_switch_as_claimed(claimed):
    # Not one of these subscribers has a mapping between prefixes: a claim has the blocks of the other system.
    answer = who(claimed, "143.208.72.193:65505", "2025-07-01")
    assert answer.returncode == 0, answer.stderr
    assert "Inside address: 100.64.56.33\n" in answer.stdout
    assert "From:           2024-03-01T00:00:00Z\n" in answer.stdout
    assert "Claimed:        from the configuration of \"junos-j2.set\", read at " in answer.stdout
    assert "; no record of this gateway\n" in answer.stdout

    answer = json.loads(who(claimed, "143.208.72.194:1024", "2025-07-01", "--json").stdout)
    assert answer["in_addr"] == "100.64.56.34"
    assert answer["claimed"]["source"] == "junos-j2.set"
    assert len(answer["claimed"]["sha256"]) == 64
    assert answer["to"] is None


def test_who_is_silent_about_the_time_before_the_claim_and_names_nobody_above_the_last_block(claimed):
    before = who(claimed, "143.208.72.193:1024", "2024-02-29T23:59:59Z")
    assert before.returncode == 1
    assert "no record of 143.208.72.193:1024" in before.stderr
    above = who(claimed, "143.208.72.193:65506", "2025-07-01")
    assert above.returncode == 1
    assert "no subscriber held 143.208.72.193:65506" in above.stderr
    assert "in no block, as claimed from the configuration of \"junos-j2.set\"" in above.stderr


def test_a_list_of_questions_has_claims_too(claimed):
    questions = "2025-07-01T00:00:00Z 143.208.72.193:1024\n2020-01-01T00:00:00Z 143.208.72.193:1024\n"
    text = ctl("who", "-", "--state-dir", str(claimed), input=questions)
    assert text.returncode == 1
    assert "(claimed from \"junos-j2.set\")" in text.stdout.splitlines()[1]
    rows = json.loads(ctl("--json", "who", "-", "--state-dir", str(claimed), input=questions).stdout)
    assert rows[0]["in_addr"] == "100.64.56.1" and "claimed" in rows[0]
    assert rows[1]["reason"] == "no-record" and "claimed" not in rows[1]


def test_ranges_that_overlap_are_claimed_block_by_block(tmp_path):
    """The subscriber of one address lies among those of another: only blocks that somebody had are answered."""
    table = tmp_path / "table.txt"
    table.write_text("10.0.0.0 198.51.100.0 1024 9023\n10.0.0.2 198.51.100.0 17024 25023\n"
                     "10.0.0.1 198.51.100.1 9024 17023\n10.0.0.3 198.51.100.1 25024 33023\n10.0.0.6 198.51.100.1 49024 57023\n")
    done = ctl("import", "table", str(table), "--since", "2024-03-01", "--state-dir", str(tmp_path))
    assert "for 5 subscribers, as claimed" in done.stderr
    for endpoint, addr in (("198.51.100.0:1024", "10.0.0.0"), ("198.51.100.0:17024", "10.0.0.2"), ("198.51.100.1:9024", "10.0.0.1"),
                           ("198.51.100.1:57023", "10.0.0.6")):
        assert f"Inside address: {addr}\n" in who(tmp_path, endpoint, "2025-07-01").stdout
    for endpoint in ("198.51.100.0:9024", "198.51.100.1:1024", "198.51.100.1:17024"):
        assert "no subscriber held" in who(tmp_path, endpoint, "2025-07-01").stderr


def test_verify_notices_a_claim_that_was_changed(claimed):
    done = ctl("history", "verify", "--state-dir", str(claimed))
    assert done.returncode == 0, done.stderr
    assert "claims.jsonl: 1 lines, the last of checksum " in done.stdout or "claims.jsonl: " in done.stdout
    path = claimed / "claims.jsonl"
    path.write_text(path.read_text().replace("100.64.56.1", "100.64.56.2", 1))
    done = ctl("history", "verify", "--state-dir", str(claimed))
    assert done.returncode == 1
    assert "claims.jsonl: line 1 " in done.stdout


def test_the_same_claim_is_written_once_and_a_refused_import_claims_nothing(claimed):
    before = (claimed / "claims.jsonl").read_text()
    again = ctl("import", "junos", str(CORPUS / "junos-j2.set"), "--since", "2024-03-01", "--state-dir", str(claimed))
    assert "has this claim already" in again.stderr
    strict = ctl("import", "auto", str(CORPUS / "iptables-snat.save"), "--strict", "--since", "2024-03-01",
                 "--state-dir", str(claimed))
    assert strict.returncode == 1
    assert (claimed / "claims.jsonl").read_text() == before


@pytest.mark.parametrize("arguments, said", [
    (["--since", "2024-03-01"], "go together"),
    (["--state-dir", "/tmp"], "go together"),
    (["--since", "2999-01-01", "--state-dir", "/tmp"], "later than now"),
    (["--since", "2024-03-01", "--state-dir", "/nonexistent/detnat"], "No such file"),
])
def test_what_cannot_be_claimed_prints_no_configuration(arguments, said):
    done = ctl("import", "auto", str(CORPUS / "vpp-d1.conf"), *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr

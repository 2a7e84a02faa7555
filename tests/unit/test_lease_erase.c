/* SPDX-License-Identifier: BSD-2-Clause */
/* A customer's lines go the lawful way, and no answer of then becomes one that nobody had the address. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/ledger_verify.h"
#include "leases/lease_append.h"
#include "leases/lease_erase.h"
#include "leases/lease_days.h"

#define T0  1769860800LL /* 2026-01-31T12:00:00Z */
#define DAY 86400LL
#define NOW (T0 + 4 * DAY)

static char dir[64];

static void clean(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

struct said {
	int64_t t;
	enum lease_event event;
	uint32_t addr;
	const char *id, *mac, *circuit, *session, *tenant;
};

static void add(const struct said *s)
{
	struct lease_batch b = { .dir = dir };
	struct lease_line l;

	lease_line_init(&l, s->t, s->event);
	if (s->addr)
		l.addr = lease_addr_of(s->addr);
	snprintf(l.id, sizeof(l.id), "%s", s->id ? s->id : "");
	snprintf(l.mac, sizeof(l.mac), "%s", s->mac ? s->mac : "");
	snprintf(l.circuit, sizeof(l.circuit), "%s", s->circuit ? s->circuit : "");
	snprintf(l.session, sizeof(l.session), "%s", s->session ? s->session : "");
	snprintf(l.tenant, sizeof(l.tenant), "%s", s->tenant ? s->tenant : "");
	cr_assert_eq(lease_batch_add(&b, &l), 0);
	cr_assert_eq(lease_batch_write(&b, s->t, NULL), 0);
}

/* Address 1: old, whose end was lost, then alice over three days; address 2: bob, for certain. */
static const struct said lines[] = {
	{ T0 - 5000, LEASE_INTERIM, 1, "old", .session = "nas/0" },
	{ T0 - 4000, LEASE_INTERIM, 1, "old", .session = "nas/0" },
	{ T0 - 3700, LEASE_START, 1, "alice", "02:00:00:00:00:0a", "port 1", "nas/1" },
	{ T0 - 3600, LEASE_START, 2, "bob", .session = "nas/2" },
	{ T0 + DAY, LEASE_INTERIM, 1, "alice", "02:00:00:00:00:0a", "port 1", "nas/1" },
	{ T0 + 2 * DAY, LEASE_STOP, 1, .session = "nas/1" },
	{ T0 + 2 * DAY, LEASE_STOP, 2, "bob", .session = "nas/2" },
	{ T0 + 3 * DAY, LEASE_MARK },
};

static void make(void)
{
	snprintf(dir, sizeof(dir), "/dev/shm/detnat-erase.XXXXXX");
	cr_assert(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		add(&lines[i]);
}

TestSuite(lease_erase, .init = make, .fini = clean);

static const char *who(uint32_t addr, int64_t t)
{
	static char name[64];
	struct lease_addr at = lease_addr_of(addr);
	struct statements *x;
	struct lease_answer a;
	struct lease_days *d;
	struct error err;

	cr_assert_eq(lease_days_open(dir, &d, &err), 0, "%s", err.text);
	cr_assert_eq(lease_days_about(d, &at, NULL, t, t, &x, &err), 0, "%s", err.text);
	cr_expect_eq(lease_days_wrong(d), 0);
	statements_ask(x, NULL, t, &a);
	snprintf(name, sizeof(name), "%s%s%s",
		 a.n	     ? a.holder[0].id
		 : a.certain ? "no-lease"
			     : "",
		 a.certain ? "" : "?", lease_doubt_word(a.doubt));
	if (a.doubt == DOUBT_ERASED)
		cr_expect_eq(a.erased, NOW);
	statements_free(x);
	lease_days_free(d);
	return name;
}

static uint64_t n_erased;

static void note(void *arg, const char *file, uint64_t line, bool erased, const char *text)
{
	cr_expect(erased, "%s %u %s", file, (unsigned)line, text);
	n_erased++;
}

static int run(const char *command)
{
	char text[256];

	snprintf(text, sizeof(text), "cd %s && %s", dir, command);
	return system(text);
}

static uint64_t erase(const char *customer, bool dry)
{
	_cleanup_free_ struct lease_erased *e = NULL;
	struct error err = { 0 };
	uint64_t sum = 0;
	size_t n = 0;

	cr_assert_eq(lease_erase(dir, customer, "2026-17", dry, NOW, &e, &n, &err), 0, "%s: %s", customer, err.text);
	for (size_t i = 0; i < n; i++)
		sum += e[i].lines;
	return sum;
}

Test(lease_erase, his_lines_go_and_the_chain_goes_on)
{
	static const char *const names[] = { "alice", "port 1", "0200.0000.000A", "02-00-00-00-00-0a" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct ledger_state state;

		cr_expect_str_eq(who(1, T0), "alice");
		cr_expect_eq(erase(names[i], true), 3, "%s", names[i]);
		cr_expect_str_eq(who(1, T0), "alice");
		cr_expect_eq(erase(names[i], false), 3, "%s", names[i]);
		cr_expect_neq(run("grep -q 'alice\\|port 1\\|0a\"\\|nas/1' *"), 0);
		n_erased = 0;
		cr_assert_eq(ledger_verify(dir, note, NULL, &state, NULL), 0);
		cr_expect(state.wrong == 0 && state.erased == 3 && n_erased == 3);
		cr_expect_eq(
			run("grep -q '\"event\":\"erased\",\"day\":\"2026-01-31\",\"lines\":1,\"case\":\"2026-17\",' "
			    "leases-2026-02-04.jsonl"),
			0);
		clean();
		make();
	}
}

Test(lease_erase, of_then_there_is_no_record_and_others_keep_theirs)
{
	erase("alice", false);
	cr_expect_str_eq(who(1, T0), "?erased");
	cr_expect_str_eq(who(1, T0 + DAY + 3600), "?erased");
	/* He who had the address before is not said to have had it for longer. */
	cr_expect_str_eq(who(1, T0 - 3500), "?erased");
	cr_expect_str_eq(who(1, T0 - 4500), "old");
	cr_expect_str_eq(who(2, T0 + 60), "bob");
	cr_expect_str_eq(who(3, T0 + 60), "?erased");
	cr_expect_str_eq(who(3, T0 + 3 * DAY - 60), "?before-record");
}

Test(lease_erase, of_nobody_nothing_goes)
{
	struct lease_erased *e;
	struct error err;
	size_t n;

	cr_assert_eq(run("cat * >/dev/shm/detnat-erase.before"), 0);
	cr_expect_eq(lease_erase(dir, "ALICE", NULL, false, NOW, &e, &n, &err), -ENOENT);
	cr_expect(strstr(err.text, "has the id, the circuit or the MAC"), "%s", err.text);
	cr_expect_eq(run("cat * | cmp - /dev/shm/detnat-erase.before"), 0);
	unlink("/dev/shm/detnat-erase.before");
}

Test(lease_erase, a_circuit_is_exact_and_a_session_is_his_alone)
{
	static const struct said more[] = {
		{ T0 - 3000, LEASE_START, 5, "carol", .circuit = "Port 9", .session = "nas/9" },
		{ T0 - 2900, LEASE_STOP, 5, .session = "nas/9", .tenant = "b" },
		{ T0 - 2800, LEASE_INTERIM, 6, "dave", .session = "nas/9" },
		{ T0 - 2700, LEASE_INTERIM, 7, "02:00:00:00:00:0c" },
	};
	struct lease_erased *e;
	struct error err;
	size_t n;

	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		add(&more[i]);
	cr_assert_eq(run("cat * >/dev/shm/detnat-erase.dry"), 0);
	cr_expect_eq(lease_erase(dir, "port 9", NULL, true, NOW, &e, &n, &err), -ENOENT);
	/* Not the same number of another tenant, nor a line that names somebody else. */
	cr_expect_eq(erase("Port 9", true), 1);
	cr_expect_eq(erase("carol", true), 1);
	/* A customer whose name is a MAC. */
	cr_expect_eq(erase("0200.0000.000C", true), 1);
	/* Nothing is written to see what would go. */
	cr_expect_eq(run("cat * | cmp - /dev/shm/detnat-erase.dry"), 0);
	unlink("/dev/shm/detnat-erase.dry");
}

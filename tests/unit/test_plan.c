/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plans over real tables, with everything else a double that writes down that it was called and fails where a row says
 * so: in which order a change is made, and what is taken back of one that fails.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "plan_apart.h"
#include "punt/event_ring.h"
#include "tables/mapping_changes.h"

TestSuite(plan, .init = plan_set_up, .timeout = 300);

#define UNDONE "exclude metrics-waiting ipfix-waiting guard-old"
#define DONE   "epoch save warn fragments"

static const struct {
	const char *name;
	const char *before; /* NULL: a start */
	const char *wanted;
	const char *failing;
	unsigned number;
	const char *prepared;
	const char *committed;
	const char *freed;
	const char *after;
	const char *said; /* NULL: it does not fail */
} commits[] = {
	{ "a start", NULL, "ab", NULL, 0, "machine names load ready record+a+b",
	  "ipfix-waiting exclude metrics-waiting swap add add apply confirm guard-new begins begins settle epoch save "
	  "fragments",
	  "", "ab", NULL },
	{ "nothing changes", "a", "a", NULL, 0, "machine names",
	  "guard-both ipfix exclude metrics apply guard-new " DONE, "", "a", NULL },
	{ "an addition comes before the interfaces", "a", "ab", NULL, 0, "machine names record+b",
	  "guard-both ipfix exclude metrics add apply confirm guard-new begins " DONE, "", "ab", NULL },
	{ "a deletion comes after them", "ab", "b", NULL, 0, "machine names record-a",
	  "guard-both ipfix exclude metrics apply del confirm guard-new ends " DONE, "", "b", NULL },
	{ "so do several", "abc", "a", NULL, 0, "machine names record-b-c",
	  "guard-both ipfix exclude metrics apply del del confirm guard-new ends ends " DONE, "", "a", NULL },
	{ "a replacement as well", "a", "b", NULL, 0, "machine names record-a+b",
	  "guard-both ipfix exclude metrics hold apply del add confirm guard-new ends begins " DONE, "", "b", NULL },
	{ "another number of slots replaces", "a", "a#", NULL, 0, "machine names record-a+a",
	  "guard-both ipfix exclude metrics hold apply del add confirm guard-new ends begins " DONE, "", "a", NULL },
	{ "timeouts are no change of mappings", "ab", "ab+", NULL, 0, "machine names",
	  "guard-both ipfix exclude metrics apply update update guard-new " DONE, "", "ab", NULL },
	{ "other programs", "a", "a!", NULL, 0, "machine names load ready",
	  "guard-both ipfix exclude metrics swap apply guard-new settle " DONE, "", "a", NULL },

	{ "the exporter at a start", NULL, "a", "ipfix-waiting", 1, "machine names load ready record+a",
	  "ipfix-waiting", "reconcile abort", "", "ipfix-waiting fails" },
	{ "an addition at a start", NULL, "ab", "add", 2, "machine names load ready record+a+b",
	  "ipfix-waiting exclude metrics-waiting swap add add del revert", "reconcile", "",
	  "mapping 10.0.1.0/24 cannot be added: Input/output error" },
	{ "the exporter", "a", "ab", "ipfix", 1, "machine names record+b", "guard-both ipfix " UNDONE, "reconcile", "a",
	  "ipfix fails" },
	{ "metrics", "a", "a!", "metrics", 1, "machine names load ready", "guard-both ipfix exclude metrics " UNDONE,
	  "abort", "a", "metrics fails" },
	{ "programs", "a", "a!", "swap", 1, "machine names load ready", "guard-both ipfix exclude metrics swap " UNDONE,
	  "", "a", "swap fails" },
	{ "an addition", "a", "abc", "add", 2, "machine names record+b+c",
	  "guard-both ipfix exclude metrics add add del " UNDONE, "reconcile", "a",
	  "mapping 10.0.2.0/24 cannot be added: Input/output error" },
	{ "the interfaces", "a", "ab!", "apply", 1, "machine names load ready record+b",
	  "guard-both ipfix exclude metrics swap add apply del revert apply " UNDONE, "reconcile", "a", "apply fails" },
	{ "the interfaces before a deletion", "a", "b", "apply", 1, "machine names record-a+b",
	  "guard-both ipfix exclude metrics hold apply release " UNDONE, "reconcile", "a", "apply fails" },
	{ "an addition behind a deletion", "a", "bc", "add", 2, "machine names record-a+b+c",
	  "guard-both ipfix exclude metrics hold apply del add add reconcile guard-new ends begins " DONE, "", "b",
	  "mapping 10.0.2.0/24 cannot be added: Input/output error; the rest of the change is in force; reload the "
	  "configuration" },
	{ "the first one behind a deletion, with a change of timeouts", "ac", "bc+", "add", 1,
	  "machine names record-a+b",
	  "guard-both ipfix exclude metrics hold apply del add update reconcile guard-new ends " DONE, "", "c",
	  "mapping 10.0.1.0/24 cannot be added: Input/output error; the rest of the change is in force; reload the "
	  "configuration" },
};

/* What is in force, in tables, configuration and what is saved for the next start alike. */
static void check_in_force(const char *name, const char *letters, bool saves, uint64_t hash)
{
	struct config *expected = config_with(letters);

	cr_expect_str_eq(in_tables(), letters, "%s: %s", name, in_tables());
	cr_expect_eq(active.config ? active.config->n_mappings : 0, expected->n_mappings, "%s", name);
	cr_expect_eq(*saved != 0, saves, "%s", name);
	for (unsigned i = 0; saves && i < ARRAY_SIZE(mapping_of); i++)
		cr_expect_eq(strstr(saved, mapping_of[i][0]) != NULL, strchr(letters, (int)('a' + i)) != NULL, "%s: %s",
			     name, saved);
	if (saves)
		cr_expect_eq(saved_hash, hash, "%s", name);
	cr_expect_eq(active.file_hash, saves ? hash : active.config ? 1 : 0, "%s", name);
	config_free(expected);
}

static void take_all_away(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mapping_of); i++) {
		struct mapping_spec spec = tables_spec(mapping_of[i][0], mapping_of[i][1]);

		mappings_del(context.mappings, spec.in, spec.out);
	}
	tables_reclaim(context.mappings);
	config_free(active.config);
	active.config = NULL;
	active.file_hash = 0;
	datapath.tc_outside = -1;
	datapath.reused = false;
}

Test(plan, is_carried_out_in_order_and_taken_back_where_it_fails)
{
	uint64_t empty = mappings_table_memory(context.mappings);

	for (size_t i = 0; i < ARRAY_SIZE(commits); i++) {
		_cleanup_config_ struct config *wanted = config_with(commits[i].wanted);
		const char *name = commits[i].name;
		struct error err = { 0 };
		struct plan *p;

		if (commits[i].before)
			run_with(commits[i].before);
		forget_calls();
		cr_assert_eq(plan_new(&context, wanted, 7, false, "x", &p, &err), 0, "%s: %s", name, err.text);
		cr_assert_eq(prepare(p, 0, &err), 0, "%s: %s", name, err.text);
		cr_expect_str_eq(calls, commits[i].prepared, "%s: %s", name, calls);
		cr_expect_str_eq(in_tables(), commits[i].before ? commits[i].before : "", "%s", name);
		forget_calls();
		failing = commits[i].failing;
		failing_number = commits[i].number;

		bool partly = commits[i].said && strstr(commits[i].said, "in force");

		cr_expect_eq(plan_commit(p, &err), commits[i].said ? -EIO : 0, "%s", name);
		failing = NULL;
		cr_expect_str_eq(calls, commits[i].committed, "%s: %s", name, calls);
		cr_expect_str_eq(err.text, commits[i].said ? commits[i].said : "", "%s: %s", name, err.text);
		check_in_force(name, commits[i].after, !commits[i].said || partly, partly ? 0 : 7);
		calls[0] = '\0';
		plan_free(p);
		cr_expect_str_eq(calls, commits[i].freed, "%s: %s", name, calls);
		take_all_away();
		cr_expect_eq(mappings_table_memory(context.mappings), empty, "%s", name);
	}
}

Test(plan, waits_for_tables_and_programs_before_its_record)
{
	_cleanup_config_ struct config *wanted = config_with("ab");
	struct error err = { 0 };
	unsigned waits = 0;
	struct plan *p;
	int r;

	load_waits = 3;
	cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0);
	cr_assert_str_eq(calls, "load", "what was checked is not asked again");
	while (load_waits >= 0) {
		r = plan_step(p, &err);
		cr_assert(r == PLAN_MORE || r == PLAN_WAITS);
		waits += r == PLAN_WAITS && load_waits < 3 && load_waits >= 0;
		cr_assert(load_waits < 0 || !strcmp(calls, "load"));
	}
	cr_assert_eq(waits, 3);
	cr_assert_str_eq(calls, "load ready record+a+b");
	plan_free(p);
	cr_assert_str_eq(calls, "load ready record+a+b forget abort");
}

static const struct {
	const char *failing;
	const char *prepared;
} preparations[] = {
	{ "machine", "machine" },
	{ "names", "machine names" },
	{ "load", "machine names load" },
	{ "ready", "machine names load ready abort" },
};

Test(plan, that_cannot_be_prepared_leaves_nothing)
{
	uint64_t empty = mappings_table_memory(context.mappings);

	for (size_t i = 0; i < ARRAY_SIZE(preparations); i++) {
		_cleanup_config_ struct config *wanted = config_with("ab");
		struct error err = { 0 };
		struct plan *p = NULL;
		char said[64];
		int r;

		forget_calls();
		failing = preparations[i].failing;
		failing_number = 1;
		r = plan_new(&context, wanted, 7, false, "x", &p, &err);
		if (!r)
			r = prepare(p, 0, &err);
		plan_free(p);
		snprintf(said, sizeof(said), "%s fails", preparations[i].failing);
		cr_expect_eq(r, -EIO, "%s", preparations[i].failing);
		cr_expect_str_eq(err.text, said, "%s", err.text);
		cr_expect_str_eq(calls, preparations[i].prepared, "%s", calls);
		tables_reclaim(context.mappings);
		cr_expect_eq(mappings_table_memory(context.mappings), empty);
	}
}

static const struct {
	const char *name;
	const char *before; /* NULL: a start */
	bool reused;	    /* over a datapath that was there */
	int record_r;
	int r;
	const char *committed;
} records[] = {
	{ "a full disk while it runs", "a", true, -ENOSPC, -ENOSPC, NULL },
	{ "a full disk at a start over a datapath", NULL, true, -ENOSPC, -ENOSPC, NULL },
	{ "a full disk at a first start", NULL, false, -ENOSPC, 0,
	  "ipfix-waiting exclude metrics-waiting swap add apply assume guard-new begins settle epoch save fragments" },
	{ "a history that is not to be trusted at a first start", NULL, false, -EPERM, -EPERM, NULL },
	{ "a late one while it runs", "a", true, -ETIMEDOUT, -ETIMEDOUT, NULL },
};

Test(plan, needs_its_record_but_at_a_first_start)
{
	for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
		_cleanup_config_ struct config *wanted = config_with("b");
		struct error err = { 0 };
		struct plan *p;

		if (records[i].before)
			run_with(records[i].before);
		datapath.reused = records[i].reused;
		cr_assert_eq(plan_new(&context, wanted, 7, false, "x", &p, &err), 0);
		cr_expect_eq(prepare(p, records[i].record_r, &err), records[i].r, "%s", records[i].name);
		cr_expect_str_eq(err.text, records[i].r ? "the disk is full" : "", "%s", records[i].name);
		forget_calls();
		if (records[i].committed) {
			cr_expect_eq(plan_commit(p, &err), 0, "%s", records[i].name);
			cr_expect_str_eq(calls, records[i].committed, "%s: %s", records[i].name, calls);
			calls[0] = '\0';
		}
		plan_free(p);
		cr_expect_null(strstr(calls, "reconcile"), "%s: nothing was written", records[i].name);
		take_all_away();
	}
}

Test(plan, a_first_start_alone_goes_on_without_a_disk_that_does_not_answer)
{
	for (int first = 0; first < 2; first++) {
		_cleanup_config_ struct config *wanted = config_with("b");
		struct error err = { 0 };
		struct plan *p;

		datapath.reused = !first;
		clock_us = 1000;
		forget_calls();
		cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0);
		while (p->record != RECORD_UNDER_WAY)
			cr_assert_gt(plan_step(p, &err), 0);
		clock_us += 19999999;
		cr_assert_eq(plan_step(p, &err), PLAN_WAITS);
		clock_us++;
		cr_assert_eq(plan_step(p, &err), first ? PLAN_READY : PLAN_WAITS);
		cr_assert_eq(plan_step(p, &err), first ? PLAN_READY : PLAN_WAITS);
		plan_free(p);
		cr_assert_str_eq(calls, "load ready record+b forget abort", "%s", calls);
	}
}

Test(plan, keys_that_are_settled_at_the_start_cannot_change)
{
	static const char *const keys[] = { "control_socket", "pin_path", "state_dir" };

	run_with("a");
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		_cleanup_config_ struct config *wanted = config_with("a");
		char **path[] = { &wanted->control_socket, &wanted->pin_path, &wanted->state_dir };
		struct error err = { 0 };
		struct plan *p;

		free(*path[i]);
		*path[i] = strdup("/somewhere/else");
		cr_assert_eq(plan_new(&context, wanted, 7, false, "x", &p, &err), -EBUSY);
		cr_assert(strstr(err.text, keys[i]) && strstr(err.text, "while the agent runs"), "%s", err.text);
		cr_assert_str_empty(calls);
	}
}

Test(plan, sessions_that_end_are_listened_to_where_their_events_are_sent)
{
	static const struct {
		const char *wanted;
		bool listens;
	} rows[] = { { "a*", true }, { "b*", true }, { "b", false } };

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_config_ struct config *wanted = config_with(rows[i].wanted);
		struct error err = { 0 };
		struct plan *p;

		cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0, "%s", err.text);
		cr_assert_eq(prepare(p, 0, &err), 0);
		cr_assert_eq(plan_commit(p, &err), 0);
		plan_free(p);
		cr_assert_eq(listener == events_session_closed, rows[i].listens, "row %u", i);
	}
}

static struct config *with_settings(void)
{
	struct config *c = config_with("a*");

	c->overflow_sessions = 12345;
	c->forwarding = FORWARDING_REDIRECT;
	return c;
}

/* What the programs are told follows from the configuration. */
Test(plan, programs_get_the_settings_that_are_wanted)
{
	static const struct {
		const char *name;
		bool exporter;
		uint8_t events;
		bool session_events;
		enum forwarding forwarding;
		bool redirect;
	} rows[] = {
		{ "events of sessions", true, IPFIX_SESSIONS, true, FORWARDING_REDIRECT, true },
		{ "events of nothing", true, 0, false, FORWARDING_REDIRECT, true },
		{ "no exporter", false, IPFIX_SESSIONS, false, FORWARDING_REDIRECT, true },
		{ "the kernel forwards", false, 0, false, FORWARDING_KERNEL, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_config_ struct config *wanted = with_settings();
		struct error err = { 0 };
		struct plan *p;

		wanted->ipfix.enabled = rows[i].exporter;
		wanted->ipfix.events = rows[i].events;
		wanted->forwarding = rows[i].forwarding;
		cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0, "%s: %s", rows[i].name, err.text);
		cr_expect_eq(p->settings.session_events, rows[i].session_events, "%s", rows[i].name);
		cr_expect_eq(p->settings.redirect, rows[i].redirect, "%s", rows[i].name);
		cr_expect_eq(p->settings.overflow_sessions, 12345);
		cr_expect_eq(p->settings.hz, TABLES_HZ);
		cr_expect_eq(p->settings.hairpin, wanted->hairpin);
		cr_expect_eq(p->settings.answer_arp, wanted->answer_arp);
		cr_expect_eq(p->settings.guard, wanted->guard);
		cr_expect_not(p->settings.policy_routing);
		plan_free(p);
	}
}

/* Programs with two stages that cannot be loaded are replaced by those with one, until the file is read again. */
Test(plan, does_with_one_stage_where_two_cannot_be_loaded)
{
	_cleanup_config_ struct config *wanted = config_with("a");
	struct error err = { 0 };
	struct plan *p;

	wanted->stages = 2;
	failing = "ready";
	failing_number = 1;
	cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0);
	cr_assert_eq(p->settings.stages, 2);
	cr_assert_eq(plan_step(p, &err), PLAN_MORE);
	cr_assert_eq(prepare(p, 0, &err), 0, "%s", err.text);
	cr_assert_str_eq(calls, "load ready abort load record+a");
	cr_assert_eq(p->settings.stages, 1);
	cr_assert_str_eq(active.stages_failure, "the programs cannot be loaded, see the log");
	plan_free(p);

	forget_calls();
	cr_assert_eq(plan_new(&context, wanted, 7, true, NULL, &p, &err), 0);
	cr_assert_eq(p->settings.stages, 1, "an edit does not try again");
	plan_free(p);
	cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0);
	cr_assert_eq(p->settings.stages, 2, "a reload does");
	plan_free(p);
}

Test(plan, a_trace_whose_programs_cannot_be_loaded_leaves_two_stages_as_they_are)
{
	_cleanup_config_ struct config *wanted = config_with("a");
	struct error err = { 0 };
	struct plan *p;

	wanted->stages = 2;
	failing = "ready";
	failing_number = 1;
	cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0);
	p->settings.trace = 1;
	datapath.settings.trace = 0;
	cr_expect_lt(prepare(p, 0, &err), 0);
	cr_expect_str_eq(calls, "load ready");
	cr_expect_str_eq(active.stages_failure, "");
	plan_free(p);
}

/* The kernel refuses to take the chunks. */
Test(plan, tables_that_cannot_be_made_end_it)
{
	_cleanup_config_ struct config *wanted = config_with("a");
	int other = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct error err = { 0 };
	struct plan *p;

	cr_assert_eq(dup2(other, datapath.buckets), datapath.buckets);
	cr_assert_eq(plan_new(&context, wanted, 7, true, "x", &p, &err), 0);
	cr_assert_lt(prepare(p, 0, &err), 0);
	cr_assert(strstr(err.text, "cannot make session tables"), "%s", err.text);
	plan_free(p);
	cr_assert_str_eq(calls, "load abort");
}

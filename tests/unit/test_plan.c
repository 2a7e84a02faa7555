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

#include "change/preflight.h"
#include "datapath/bypass_ranges.h"
#include "datapath/running.h"
#include "guard/guard.h"
#include "history/queue.h"
#include "links/devices.h"
#include "metrics/metrics.h"
#include "punt/event_ring.h"
#include "punt/parked_fragments.h"
#include "punt/tracing.h"
#include "tables_fixture.h"

/* The library has the real ones. */
#define plan_new	tested_plan_new
#define plan_new_with	tested_plan_new_with
#define plan_check	tested_plan_check
#define plan_step	tested_plan_step
#define plan_free	tested_plan_free
#define plan_commit	tested_plan_commit
#define plan_record	tested_plan_record
#define plan_drains	tested_plan_drains
#define plan_end_drains tested_plan_end_drains
#include "change/plan_private.h"

static const char *const mapping_of[][2] = {
	{ "10.0.0.0/24", "1.1.1.0/28" },
	{ "10.0.1.0/24", "1.1.2.0/28" },
	{ "10.0.2.0/24", "1.1.3.0/28" },
};

static char calls[1024];
static const char *failing;	/* the call that fails, */
static unsigned failing_number; /* and which of them, from 1 on */
static int load_waits;		/* answers of datapath_load_ready() that it is not; below 0: it has said that it is */
static uint64_t clock_us;
static history_done record_done;
static void *record_arg;
static char saved[4096];
static uint64_t saved_hash;
static session_visit listener;

static int call(const char *what, struct error *err)
{
	snprintf(calls + strlen(calls), sizeof(calls) - strlen(calls), "%s%s", *calls ? " " : "", what);
	if (failing && !strcmp(failing, what) && !--failing_number)
		return error_set(err, -EIO, "%s fails", what);
	return 0;
}

static bool held;

static void hold(size_t n)
{
	if (n || held)
		call(n ? "hold" : "release", NULL);
	held = n;
}

static void configure_guard(const struct config *now, const struct config *then)
{
	call(now ? then ? "guard-both" : "guard-old" : "guard-new", NULL);
	held = false;
}

static enum routing no_policy(const struct devices *v)
{
	(void)v;
	return ROUTING_BY_DESTINATION;
}

static void note_mappings(char text[static 64], char sign, const struct history_mapping *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (unsigned k = 0; k < ARRAY_SIZE(mapping_of); k++)
			if (list[i].in.base == tables_addr("10.0.0.0") + (k << 8) && list[i].in.plen == 24 &&
			    list[i].out.base == tables_addr("1.1.1.0") + (k << 8) && list[i].out.plen == 28)
				snprintf(text + strlen(text), 8, "%c%c", sign, (char)('a' + k));
}

static int change_recorded(const struct history_mapping *deleted, size_t n_del, const struct history_mapping *added,
			   size_t n_add, history_done done, void *arg)
{
	char text[64] = "record";

	note_mappings(text, '-', deleted, n_del);
	note_mappings(text, '+', added, n_add);
	record_done = done;
	record_arg = arg;
	return call(text, NULL);
}

static int save_running(const char *json, uint64_t hash)
{
	snprintf(saved, sizeof(saved), "%s", json);
	saved_hash = hash;
	return call("save", NULL);
}

static int tell_mapping(const struct ipfix *x, bool made, uint64_t ms)
{
	(void)x;
	return call(ms ? made ? "begins" : "ends" : "untimed", NULL);
}

static void forget_lists(struct history_portmap_change *p, struct history_drain_change *drains)
{
	free(p->del);
	free(p->add);
	*p = (struct history_portmap_change){ 0 };
	free(drains->end);
	free(drains->begin);
	*drains = (struct history_drain_change){ 0 };
}

static int load_ready(struct error *err)
{
	if (load_waits > 0) {
		load_waits--;
		return 1;
	}
	return !load_waits-- ? call("ready", err) : 0;
}

static int add_commit(struct mapping_job *job, const struct mapping_handover *how)
{
	int r = call("add", NULL);

	return r ? r : mappings_add_commit_with(job, how);
}

static int del(struct mappings *m, struct prefix in, struct prefix out)
{
	call("del", NULL);
	return mappings_del(m, in, out);
}

static int update(struct mappings *m, const struct mapping_spec *spec)
{
	call("update", NULL);
	return mappings_update(m, spec);
}

/* Two are had where they are wanted, unless their programs could not be loaded. */
static void choose_stages(const struct change_context *context, const struct config *c, const struct settings *settings,
			  struct stages_choice *ret)
{
	(void)settings;
	*ret = (struct stages_choice){ .stages = c->stages == 2 && !context->active->stages_failure[0] ? 2 : 1 };
}

#define monotonic_us()					  clock_us
#define check_machine(c, running, start, copy, name, err) call("machine", err)
#define devices_check_names(v, c, err)			  call("names", err)
#define devices_routing					  no_policy
#define devices_rp_filters(v, c)			  ((struct rp_summary){ 0 })
#define devices_route_mtus(v)				  false
#define devices_exclude(v, c, err)			  call("exclude", err)
#define devices_apply(v, c, err)			  call("apply", err)
#define bypass_ranges(c, settings)			  ((void)0)
#define mapping_settings(c, settings)			  ((void)0)
#define stages_choose_now				  choose_stages
#define datapath_load_begin(d, settings, err)		  call("load", err)
#define datapath_load_ready(d, err)			  load_ready(err)
#define datapath_load_swap(d, err)			  call("swap", err)
#define datapath_load_abort(d)				  call("abort", NULL)
#define datapath_revert(d)				  call("revert", NULL)
#define datapath_settle(d)				  call("settle", NULL)
#define datapath_raise_epoch(d)				  call("epoch", NULL)
#define ipfix_configure(x, c, err)			  call("ipfix", err)
#define ipfix_configure_waiting(x, c, err)		  call("ipfix-waiting", err)
#define ipfix_mapping(x, in, out, of, made, ms)		  tell_mapping(x, made, ms)
#define metrics_configure(m, c, wait, name, err)	  call((wait) ? "metrics-waiting" : "metrics", err)
#define guard_configure(g, now, then)			  configure_guard(now, then)
#define running_save_to(map, size, json, hash, err)	  save_running(json, hash)
#define running_reserve(d, length, err)			  0
#define guard_hold(g, in, n)				  ((void)(in), hold(n))
#define config_warn(now, before, name)			  call("warn", NULL)
#define fragments_configure(f, limits)			  call("fragments", NULL)
#define sessions_on_close(m, visit, arg)		  (listener = (visit))
#define history_queue_change(q, d, n_d, a, n_a, p, drains, done, arg) \
	((void)forget_lists(p, drains), change_recorded(d, n_d, a, n_a, done, arg))
#define history_queue_forget(q, arg) call("forget", NULL)
#define history_queue_confirm(q)     call("confirm", NULL)
#define history_queue_reconcile(q)   call("reconcile", NULL)
#define history_queue_assume(q)	     call("assume", NULL)
#define history_queue_rests(q, n)    ((void)(n), NULL)
#define mappings_add_commit_with     add_commit
#define mappings_del		     del
#define mappings_update		     update

#include "change/plan.c"	/* NOLINT(bugprone-suspicious-include) */
#include "change/plan_drains.c" /* NOLINT(bugprone-suspicious-include) */
#include "change/plan_commit.c" /* NOLINT(bugprone-suspicious-include) */
#include "change/plan_record.c" /* NOLINT(bugprone-suspicious-include) */

#undef mappings_add_commit_with
#undef mappings_del
#undef mappings_update
#undef sessions_on_close

static struct active_config active;
static struct datapath datapath;
static bool ending;
static struct change_context context = { .active = &active, .datapath = &datapath, .ending = &ending };

static void setup(void)
{
	struct error err = { 0 };

	tables_make(&datapath);
	datapath.reused = false;
	cr_assert_eq(mappings_open(&datapath, &context.mappings, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_open(context.mappings, &context.portmaps, &err), 0, "%s", err.text);
}

TestSuite(plan, .init = setup, .timeout = 60);

/* A configuration with the mappings of these letters; + other timeouts, # other slots, ! other programs, * events. */
static struct config *config_of(const char *letters)
{
	struct config *c = config_new();

	for (; *letters; letters++) {
		if (*letters == '+')
			c->timeouts[TIMEOUT_UDP] = 1000;
		if (*letters == '#')
			c->session_slots = 2048;
		if (*letters == '!')
			c->hairpin = !c->hairpin;
		if (*letters == '*') {
			c->ipfix.enabled = true;
			c->ipfix.events = IPFIX_SESSIONS;
			c->ipfix.n_collectors = 1;
			c->ipfix.collectors[0].at = (struct endpoint){ 0x7f000001, 4739 };
		}
		if (*letters < 'a')
			continue;

		struct mapping_spec spec = tables_spec(mapping_of[*letters - 'a'][0], mapping_of[*letters - 'a'][1]);

		cr_assert_eq(config_add_mapping(c, spec.in, spec.out), 0);
	}
	return c;
}

/* The letters of the mappings in the tables. */
static const char *in_tables(void)
{
	static char letters[ARRAY_SIZE(mapping_of) + 1];
	size_t n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(mapping_of); i++) {
		struct mapping_spec spec = tables_spec(mapping_of[i][0], mapping_of[i][1]);

		if (mappings_find(context.mappings, spec.in, spec.out) >= 0)
			letters[n++] = (char)('a' + i);
	}
	letters[n] = '\0';
	return letters;
}

/* Steps until the plan is ready or fails; the disk answers record_r as soon as it is asked. */
static int prepare(struct plan *p, int record_r, struct error *err)
{
	int r;

	while ((r = plan_step(p, err)) > 0) {
		struct error why = { "the disk is full" };

		if (record_done)
			record_done(record_arg, record_r, &why);
		record_done = NULL;
	}
	return r;
}

static void forget_calls(void)
{
	calls[0] = '\0';
	load_waits = 0;
	listener = NULL;
	saved[0] = '\0';
}

/* The agent runs with these mappings. */
static void run_with(const char *letters)
{
	_cleanup_config_ struct config *c = config_of(letters);
	struct error err = { 0 };
	struct plan *p;

	cr_assert_eq(plan_new(&context, c, 1, false, "x", &p, &err), 0, "%s", err.text);
	cr_assert_eq(prepare(p, 0, &err), 0, "%s", err.text);
	cr_assert_eq(plan_commit(p, &err), 0, "%s", err.text);
	datapath.tc_outside = 0;
	datapath.settings = p->settings;
	plan_free(p);
	datapath.reused = true;
	forget_calls();
}

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
	  "ipfix-waiting exclude metrics-waiting swap confirm add add apply guard-new begins begins settle epoch save "
	  "fragments",
	  "", "ab", NULL },
	{ "nothing changes", "a", "a", NULL, 0, "machine names",
	  "guard-both ipfix exclude metrics apply guard-new " DONE, "", "a", NULL },
	{ "an addition comes before the interfaces", "a", "ab", NULL, 0, "machine names record+b",
	  "guard-both ipfix exclude metrics confirm add apply guard-new begins " DONE, "", "ab", NULL },
	{ "a deletion comes after them", "ab", "b", NULL, 0, "machine names record-a",
	  "guard-both ipfix exclude metrics apply confirm del guard-new ends " DONE, "", "b", NULL },
	{ "so do several", "abc", "a", NULL, 0, "machine names record-b-c",
	  "guard-both ipfix exclude metrics apply confirm del del guard-new ends ends " DONE, "", "a", NULL },
	{ "a replacement as well", "a", "b", NULL, 0, "machine names record-a+b",
	  "guard-both ipfix exclude metrics hold apply confirm del add guard-new ends begins " DONE, "", "b", NULL },
	{ "another number of slots replaces", "a", "a#", NULL, 0, "machine names record-a+a",
	  "guard-both ipfix exclude metrics hold apply confirm del add guard-new ends begins " DONE, "", "a", NULL },
	{ "timeouts are no change of mappings", "ab", "ab+", NULL, 0, "machine names",
	  "guard-both ipfix exclude metrics apply update update guard-new " DONE, "", "ab", NULL },
	{ "other programs", "a", "a!", NULL, 0, "machine names load ready",
	  "guard-both ipfix exclude metrics swap apply guard-new settle " DONE, "", "a", NULL },

	{ "the exporter at a start", NULL, "a", "ipfix-waiting", 1, "machine names load ready record+a",
	  "ipfix-waiting", "reconcile abort", "", "ipfix-waiting fails" },
	{ "an addition at a start", NULL, "ab", "add", 2, "machine names load ready record+a+b",
	  "ipfix-waiting exclude metrics-waiting swap confirm add add del revert", "reconcile", "",
	  "mapping 10.0.1.0/24 cannot be added: Input/output error" },
	{ "the exporter", "a", "ab", "ipfix", 1, "machine names record+b", "guard-both ipfix " UNDONE, "reconcile", "a",
	  "ipfix fails" },
	{ "metrics", "a", "a!", "metrics", 1, "machine names load ready", "guard-both ipfix exclude metrics " UNDONE,
	  "abort", "a", "metrics fails" },
	{ "programs", "a", "a!", "swap", 1, "machine names load ready", "guard-both ipfix exclude metrics swap " UNDONE,
	  "", "a", "swap fails" },
	{ "an addition", "a", "abc", "add", 2, "machine names record+b+c",
	  "guard-both ipfix exclude metrics confirm add add del " UNDONE, "reconcile", "a",
	  "mapping 10.0.2.0/24 cannot be added: Input/output error" },
	{ "the interfaces", "a", "ab!", "apply", 1, "machine names load ready record+b",
	  "guard-both ipfix exclude metrics swap confirm add apply del revert apply " UNDONE, "reconcile", "a",
	  "apply fails" },
	{ "the interfaces before a deletion", "a", "b", "apply", 1, "machine names record-a+b",
	  "guard-both ipfix exclude metrics hold apply release " UNDONE, "reconcile", "a", "apply fails" },
	{ "an addition behind a deletion", "a", "bc", "add", 2, "machine names record-a+b+c",
	  "guard-both ipfix exclude metrics hold apply confirm del add add reconcile guard-new ends begins " DONE, "",
	  "b",
	  "mapping 10.0.2.0/24 cannot be added: Input/output error; the rest of the change is in force, reload the "
	  "configuration" },
	{ "the first one behind a deletion, with a change of timeouts", "ac", "bc+", "add", 1,
	  "machine names record-a+b",
	  "guard-both ipfix exclude metrics hold apply confirm del add reconcile update guard-new ends " DONE, "", "c",
	  "mapping 10.0.1.0/24 cannot be added: Input/output error; the rest of the change is in force, reload the "
	  "configuration" },
};

/* What is in force, in tables, configuration and what is saved for the next start alike. */
static void check_in_force(const char *name, const char *letters, bool saves, uint64_t hash)
{
	struct config *expected = config_of(letters);

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
		_cleanup_config_ struct config *wanted = config_of(commits[i].wanted);
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
	_cleanup_config_ struct config *wanted = config_of("ab");
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
		_cleanup_config_ struct config *wanted = config_of("ab");
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
		_cleanup_config_ struct config *wanted = config_of("b");
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
		_cleanup_config_ struct config *wanted = config_of("b");
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
		_cleanup_config_ struct config *wanted = config_of("a");
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
		_cleanup_config_ struct config *wanted = config_of(rows[i].wanted);
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
	struct config *c = config_of("a*");

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
	_cleanup_config_ struct config *wanted = config_of("a");
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
	_cleanup_config_ struct config *wanted = config_of("a");
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
	_cleanup_config_ struct config *wanted = config_of("a");
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

/* SPDX-License-Identifier: BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "change/preflight.h"
#include "config/port_pairs.h"
#include "datapath/datapath.h"
#include "datapath/running.h"
#include "guard/guard.h"
#include "links/devices.h"
#include "metrics/metrics.h"
#include "recorder/queue.h"
#include "plan_renamed.h"
#include "punt/event_ring.h"
#include "punt/parked_fragments.h"
#include "punt/tracing.h"
#include "tables/mapping_changes.h"
#include "tables_fixture.h"

const char *const mapping_of[3][2] = {
	{ "10.0.0.0/24", "1.1.1.0/28" },
	{ "10.0.1.0/24", "1.1.2.0/28" },
	{ "10.0.2.0/24", "1.1.3.0/28" },
};

/* Of a subscriber of mapping a. */
static const struct config_portmap portmap_of_a = {
	.protos = PORTMAP_OF_TCP,
	.in = { 0x0a000003, 8443, 8443 },
	.out = { 0x01010100, 443, 443 },
};

char calls[1024];
const char *failing;	 /* the call that fails, */
unsigned failing_number; /* and which of them, from 1 on */
int load_waits;		 /* answers of datapath_load_ready() that it is not; below 0: it has said that it is */
uint64_t clock_us;
history_done record_done;
void *record_arg;
char saved[4096];
uint64_t saved_hash;
session_visit listener;

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

/* Takes the lists of a change, as the queue does. */
static int take_change(struct history_change *c, history_done done, void *arg)
{
	int r = change_recorded(c->del[FACT_MAPPING].of, c->del[FACT_MAPPING].n, c->add[FACT_MAPPING].of,
				c->add[FACT_MAPPING].n, done, arg);

	history_change_free(c);
	return r;
}

static int load_ready(struct error *err)
{
	if (load_waits > 0) {
		load_waits--;
		return 1;
	}
	return !load_waits-- ? call("ready", err) : 0;
}

void (*after_step)(void);

static int stepped(int r)
{
	if (after_step)
		after_step();
	return r;
}

static int add_commit(struct mapping_job *job, const struct mapping_handover *how)
{
	int r = call("add", NULL);

	return r ? r : stepped(mappings_add_commit_with(job, how));
}

static int del(struct mappings *m, uint8_t tenant, struct prefix in, struct prefix out)
{
	call("del", NULL);
	return stepped(mappings_del_of(m, tenant, in, out));
}

static int retire(struct mappings *m, struct prefix in, struct prefix out, uint32_t drain_s)
{
	return stepped(mappings_retire(m, in, out, drain_s));
}

static int revive(struct mappings *m, struct prefix in, struct prefix out, const struct mapping_handover *how)
{
	return stepped(mappings_revive(m, in, out, how));
}

static void hold_prefix(struct mappings *m, uint8_t tenant, struct prefix in)
{
	mappings_hold(m, tenant, in);
	stepped(0);
}

static int update(struct mappings *m, const struct mapping_spec *spec)
{
	call("update", NULL);
	return mappings_update(m, spec);
}

/* Two are had where they are wanted, unless their programs could not be loaded. */
static void choose_stages(const struct parts *context, const struct config *c, uint64_t slots,
			  const struct settings *settings, struct stages_choice *ret)
{
	(void)slots;
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
#define devices_change_pools(v, c, err)			  call("apply", err)
#define bypass_ranges(c, settings)			  ((void)0)
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
#define ipfix_mapping(x, geo, of, tenant, made, ms)	  ((void)(geo), (void)(tenant), tell_mapping(x, made, ms))
#define metrics_configure(m, c, wait, name, err)	  call((wait) ? "metrics-waiting" : "metrics", err)
#define guard_configure(g, now, then)			  configure_guard(now, then)
#define running_save_to(map, size, json, n, hash, err)	  save_running(json, hash)
#define running_reserve(d, length, err)			  0
#define guard_narrow_soon(g, running)			  ((void)(running), configure_guard(NULL, *(running)))
#define guard_hold(g, in, n)				  ((void)(in), hold(n))
#define config_warn(now, before, name)			  call("warn", NULL)
#define fragments_configure(f, limits)			  call("fragments", NULL)
#define sessions_on_close(m, visit, arg)		  (listener = (visit))
#define history_queue_change(q, c, done, arg)		  take_change(c, done, arg)
#define history_queue_forget(q, arg)			  call("forget", NULL)
#define history_queue_audit(q, on)			  ((void)(on))
#define history_queue_grants(q, keep)			  ((void)(keep))
#define history_queue_differs(why)			  ((void)(why), call("differs", NULL))
#define history_queue_confirm(q)			  call("confirm", NULL)
#define history_queue_reconcile(q)			  call("reconcile", NULL)
#define history_queue_assume(q)				  call("assume", NULL)
#define history_queue_rests(q, n)			  ((void)(n), NULL)
#define history_queue_holds_change(q, c, why)		  ((void)(q), (void)(c), call("holds-change", why) == 0)
#define history_queue_holds_portmaps(q, list, n, why)	  (!(n) || ((void)(list), call("holds-portmaps", why) == 0))
#define mappings_add_commit_with			  add_commit
#define mappings_del_of					  del
#define mappings_retire					  retire
#define mappings_revive					  revive
#define mappings_hold					  hold_prefix
#define mappings_update					  update

#include "change/plan.c"	/* NOLINT(bugprone-suspicious-include) */
#include "change/plan_drains.c" /* NOLINT(bugprone-suspicious-include) */
#include "change/plan_record.c" /* NOLINT(bugprone-suspicious-include) */
#include "change/plan_commit.c" /* NOLINT(bugprone-suspicious-include) */

#undef mappings_add_commit_with
#undef mappings_del_of
#undef mappings_retire
#undef mappings_revive
#undef mappings_hold
#undef mappings_update
#undef sessions_on_close

#include "plan_apart.h"

struct active_config active;
struct datapath datapath;
bool ending;
struct parts context = { .active = &active, .datapath = &datapath, .ending = &ending };

void plan_set_up(void)
{
	struct error err = { 0 };

	tables_make(&datapath);
	datapath.reused = false;
	cr_assert_eq(mappings_open(&datapath, &context.mappings, &err), 0, "%s", err.text);
	cr_assert_eq(portmaps_open(context.mappings, &context.portmaps, &err), 0, "%s", err.text);
}

struct config *config_with(const char *letters)
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
		if (*letters == '@')
			cr_assert_eq(config_add_portmap(c, &portmap_of_a), 0);
		if (*letters < 'a')
			continue;

		struct mapping_spec spec = tables_spec(mapping_of[*letters - 'a'][0], mapping_of[*letters - 'a'][1]);

		cr_assert_eq(config_add_mapping(c, "", spec.in, spec.out), 0);
	}
	return c;
}

const char *in_tables(void)
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

int prepare(struct change_plan *p, int record_r, struct error *err)
{
	int r;

	while ((r = plan_step(p, err)) > 0) {
		struct error why = { "the disk is full" };

		if (record_done)
			record_done(record_arg, record_r, NULL, &why);
		record_done = NULL;
	}
	return r;
}

void forget_calls(void)
{
	calls[0] = '\0';
	load_waits = 0;
	listener = NULL;
	saved[0] = '\0';
}

void run_with(const char *letters)
{
	_cleanup_config_ struct config *c = config_with(letters);
	struct error err = { 0 };
	struct change_plan *p;

	cr_assert_eq(plan_new(&context, c, 1, false, "x", &p, &err), 0, "%s", err.text);
	cr_assert_eq(prepare(p, 0, &err), 0, "%s", err.text);
	cr_assert_eq(plan_commit(p, &err), 0, "%s", err.text);
	datapath.tc_outside = 0;
	datapath.settings = p->settings;
	change_plan_free(p);
	datapath.reused = true;
	forget_calls();
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "base/json_scan.h"
#include "base/log.h"
#include "change/change_plan_private.h"
#include "change/mapping_tally.h"
#include "change/preflight.h"
#include "change/stages_choice.h"
#include "config/six.h"
#include "datapath/datapath.h"
#include "datapath/running.h"
#include "links/devices.h"
#include "punt/tracing.h"
#include "recorder/queue.h"
#include "tables/grant_table.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"

static void free_plan(struct change_plan **p)
{
	change_plan_free(*p);
}

void change_plan_free(struct change_plan *p)
{
	if (!p)
		return;
	if (p->record == RECORD_UNDER_WAY)
		history_queue_forget(p->context->history, p);
	else if (p->record == RECORD_ENDED && !p->record_r && !p->committed)
		history_queue_reconcile(p->context->history);
	if (p->context && p->load)
		datapath_load_abort(p->context->datapath);
	for (size_t i = 0; i < p->n_add; i++)
		if (p->add[i].job)
			mappings_add_abort(p->add[i].job);
	for (size_t i = 0; i < p->n_update; i++)
		if (p->update[i].begun && !p->committed)
			mappings_update_abort(p->context->mappings, &p->update[i].spec);
	config_part_free(&p->part);
	config_free(p->wanted);
	running_text_free(&p->text);
	free(p->add);
	free(p->del);
	free(p->update);
	free(p->end);
	free(p->held);
	free(p->drained.at);
	portmap_changes_free(&p->portmaps);
	free(p);
}

/* Keys that cannot change while the agent runs. */
static int check_frozen(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	const struct {
		const char *key;
		const char *now;
		const char *wanted;
	} frozen[] = {
		{ "control_socket", running->control_socket, c->control_socket },
		{ "pin_path", running->pin_path, c->pin_path },
		{ "state_dir", running->state_dir, c->state_dir },
	};

	for (size_t i = 0; i < ARRAY_SIZE(frozen); i++)
		if (strcmp(frozen[i].now, frozen[i].wanted))
			return config_refuse(err, -EBUSY, name, 0, frozen[i].key,
					     "is %s while the agent runs; restart the agent to change it",
					     frozen[i].now);
	return 0;
}

/* Whether tables in use count for limits. They go on while they drain, even if the configuration has no limits now. */
static bool any_counts(const struct mappings *m)
{
	for (int number = 0; number < (int)MAX_MAPPINGS; number++) {
		const struct mapping *record = mappings_get(m, number);

		if (record && record->limited)
			return true;
	}
	return false;
}

/*
 * The buckets that extents may take; 0: there are no extents. A map that was made with room keeps it, and sessions go
 * on in it: with 1 no subscriber gets more of it.
 */
static uint32_t extents_of(const struct datapath *d, const struct config *c)
{
	uint32_t made = (uint32_t)datapath_extent_buckets(d), wanted = extents_room(c);

	if (made <= 1)
		return 0;
	return !wanted ? 1 : wanted < made ? wanted : made;
}

static struct settings settings_of(struct change_plan *p)
{
	const struct parts *context = p->context;
	const struct config *c = p->wanted;
	enum routing routing = devices_routing(context->devices);
	struct rp_summary filters = devices_rp_filters(context->devices, c);
	struct mapping_tally tally = mapping_tally_of(context->active, c, &p->part);

	struct settings settings = {
		.hz = context->datapath->hz,
		.redirect = c->forwarding == FORWARDING_REDIRECT && routing != ROUTING_BY_MORE,
		.session_events = active_wants_sessions(context->active, c),
		.policy_routing = routing == ROUTING_BY_DESTINATION ? POLICY_NONE
				  : routing == ROUTING_BY_INTERFACE ? POLICY_INTERFACES
								    : POLICY_SOURCES,
		.vrf = filters.vrf,
		.tenants = c->n_tenants > 0,
		.six = tally.six || mappings_have_ipv6(context->mappings),
		.trace = context->trace && trace_wanted(context->trace),
		.source_check = (uint8_t)rp_source_check(&filters),
		.outside_strict = rp_outside_strict(&filters),
		.outside_filter = filters.outside_strict,
		.route_mtus = devices_route_mtus(context->devices),
		.tc = devices_tc(context->devices, c),
		.inside_from = (uint8_t)config_inside_from(c),
		.portmaps = c->n_portmaps > 0 || c->pcp.enabled,
		.extent_buckets = extents_of(context->datapath, c),
		.attack = (uint8_t)((c->attack.enabled ? STRANGERS_BY_ADDRESS : 0) |
				    (c->suspects.inbound ? STRANGERS_BY_SUBSCRIBER : 0)),
	};
	struct grant_figures granted = { 0 };

	config_settings(c, &settings);
	bypass_ranges(c, &settings);
	p->tally = tally;
	settings.bindings |= tally.bindings > 0;
	settings.filtering |= tally.filtering > 0;
	settings.open_mappings |= tally.open > 0;
	settings.growth |= tally.growth > 0;
	settings.port_zero |= tally.port_zero > 0;
	settings.limits |= tally.limits > 0;
	/* Sessions on granted ports go on after their mapping has ceased to grow, while they drain. */
	if (context->grants)
		grants_count(context->grants, &granted);
	settings.growth |= granted.grants > 0;
	settings.drains = p->drains;
	settings.limits |= p->drains && any_counts(context->mappings);
	/* One setting makes the fast path ask for both. */
	settings.bindings |= p->drains;
	stages_choose_now(context, c, tally.slots, &settings, &p->stages);
	settings.stages = p->stages.stages;
	return settings;
}

/* Whether programs with these settings run already and are this agent's own. */
static bool programs_right(const struct change_plan *p)
{
	const struct datapath *d = p->context->datapath;

	return d->tc_outside >= 0 && !memcmp(&d->settings, &p->settings, sizeof(p->settings));
}

/* What runs can be saved: without blanks and defaults, but with a newline, it is no longer than a file may be. */
static int check_size(const struct change_plan *p, struct error *err)
{
	_cleanup_json_ cJSON *document = NULL;
	_cleanup_free_ char *text = NULL;

	/* With the defaults it is longer. */
	if (p->text.length < CONFIG_MAX_SIZE)
		return 0;
	document = config_document(p->wanted, false);
	text = document ? cJSON_PrintUnformatted(document) : NULL;
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	if (strlen(text) < CONFIG_MAX_SIZE && p->text.length <= RUNNING_LONGEST)
		return 0;
	return config_refuse(err, -EFBIG, p->name, 0, "",
			     "the configuration takes %zu octets of JSON, more than the %u that a file may have",
			     strlen(text) + 1, CONFIG_MAX_SIZE);
}

/* Checks a change: without a file, only what it concerns. What is refused is named by its place in the whole. */
static int validate(struct change_plan *p, const struct config *active, const struct config *wanted, const char *name,
		    struct error *err)
{
	struct error why;
	int r = active && !name ? config_part_of(active, wanted, &p->part) : 1;

	if (r < 0)
		return error_set(err, r, "out of memory");
	if (!r && !config_validate(p->part.config, NULL, &why))
		return 0;
	return config_validate(wanted, name, err);
}

/* Works out everything but the programs. p: zero-initialised except for the caller's members. */
static int plan_tables(struct change_plan *p, const struct parts *context, bool checked, const char *name,
		       struct error *err)
{
	struct config *wanted = p->wanted;
	int r = validate(p, context->active->config, wanted, name, err);

	if (!r && context->active->config)
		r = check_frozen(wanted, context->active->config, name, err);
	/* A part has no mappings of IPv6 that come or go. */
	if (!r && context->active->config && !p->part.config)
		r = config_check_virtual(wanted, context->active->config, name, err);
	if (!r && !checked)
		r = check_machine(wanted->pcp.enabled ? wanted : plan_part(p), context->active->config, CHECK_CHANGE,
				  devices_routes(context->devices), name, err);
	if (!r && !checked)
		r = devices_check_names(context->devices, wanted, err);
	if (r)
		return r;
	p->context = context;
	p->name = name;
	config_number_tenants(wanted, context->active->config);
	if (running_text_of(p->wanted, &context->active->text, &p->part, &p->text) || plan_mappings(p) ||
	    portmap_changes_find(p, context->portmaps, &p->portmaps))
		return error_set(err, -ENOMEM, "out of memory");
	r = check_size(p, err);
	if (r)
		return r;
	return plan_drains(p, err);
}

int plan_check(const struct parts *context, const struct config *wanted, const char *name, struct error *err)
{
	__attribute__((cleanup(free_plan))) struct change_plan *p = calloc(1, sizeof(*p));

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	p->only_checks = true;
	p->wanted = config_clone(wanted);
	return p->wanted ? plan_tables(p, context, false, name, err) : error_set(err, -ENOMEM, "out of memory");
}

int plan_new_with(const struct parts *context, struct config *wanted, uint64_t file_hash, bool checked,
		  const char *name, const struct change_options *options, struct change_plan **ret, struct error *err)
{
	__attribute__((cleanup(free_plan))) struct change_plan *p = calloc(1, sizeof(*p));
	int r;

	if (!p || !wanted) {
		config_free(wanted);
		return error_set(err, -ENOMEM, "out of memory");
	}
	p->wanted = wanted;
	p->options = *options;
	p->file_hash = file_hash;
	r = plan_tables(p, context, checked, name, err);
	if (r)
		return r;
	/* An operator who reloads the file may have removed the reason why they did not load. */
	if (name)
		context->active->stages_failure[0] = '\0';
	p->settings = settings_of(p);
	if (p->settings.attack & STRANGERS_BY_ADDRESS)
		r = datapath_strangers_make(context->datapath, err);
	if (!r && p->settings.attack & STRANGERS_BY_SUBSCRIBER)
		r = datapath_stranger_hosts_make(context->datapath, err);
	if (r)
		return r;
	if (!programs_right(p)) {
		r = datapath_load_begin(context->datapath, &p->settings, err);
		if (r)
			return r;
		p->load = true;
	}
	*ret = take_pointer(p);
	return 0;
}

int plan_new(const struct parts *context, const struct config *wanted, uint64_t file_hash, bool checked,
	     const char *name, struct change_plan **ret, struct error *err)
{
	return plan_new_with(context, config_clone(wanted), file_hash, checked, name, &(struct change_options){ 0 },
			     ret, err);
}

/* The first addition that has not begun, or has begun and is not ready; NULL: none. */
static struct plan_addition *next_addition(struct change_plan *p, bool begun)
{
	size_t *at = begun ? &p->ready : &p->begun;

	for (; *at < p->n_add; ++*at) {
		struct plan_addition *add = &p->add[*at];

		if (!add->revives && (begun ? !add->ready : !add->job))
			return add;
	}
	return NULL;
}

/* Continues with the memory of an update: 0: ready, 1: not yet. */
static int step_memory(struct change_plan *p, struct plan_update *u, struct error *err)
{
	int r = u->begun ? mappings_update_step(p->context->mappings, &u->spec, err)
			 : mappings_update_begin(p->context->mappings, &u->spec, err);

	if (!r) {
		u->ready = u->begun;
		u->begun = true;
	}
	return r;
}

/* Prepares the memory of one update and its contents; PLAN_READY: all are done. */
static int step_update(struct change_plan *p, struct error *err)
{
	for (; p->prepared < p->n_update; p->prepared++) {
		struct plan_update *u = &p->update[p->prepared];
		int r;

		if (u->prepared)
			continue;
		if (!u->ready) {
			r = step_memory(p, u, err);
			return r > 0 ? PLAN_WAITS : r ? r : PLAN_MORE;
		}
		r = mappings_update_prepare(p->context->mappings, &u->spec, err);
		u->prepared = !r;
		return r < 0 ? r : PLAN_MORE;
	}
	return PLAN_READY;
}

/* Looks again at sessions, which have gone on meanwhile, so that the commit has little left to do. */
static int look_again(struct change_plan *p, struct error *err)
{
	for (; p->looked < p->n_update; p->looked++) {
		struct plan_update *u = &p->update[p->looked];
		int r;

		if (u->looked_again)
			continue;
		r = mappings_update_prepare(p->context->mappings, &u->spec, err);
		u->looked_again = !r;
		return r < 0 ? r : PLAN_MORE;
	}
	return PLAN_READY;
}

/* Falls back to one stage after the programs with two could not be loaded. */
static int do_with_one_stage(struct change_plan *p, struct error *err)
{
	struct active_config *active = p->context->active;

	log_error("the programs with two stages cannot be loaded: %s", err->text);
	snprintf(active->stages_failure, sizeof(active->stages_failure), "the programs cannot be loaded, see the log");
	datapath_load_abort(p->context->datapath);
	p->load = false;
	p->settings = settings_of(p);
	if (!programs_right(p)) {
		int r = datapath_load_begin(p->context->datapath, &p->settings, err);

		if (r)
			return r;
		p->load = true;
	}
	return PLAN_MORE;
}

/* A trace whose programs cannot be loaded does not begin, and is no reason to replace the running ones. */
static bool may_do_with_one_stage(const struct change_plan *p)
{
	return p->settings.stages == 2 && (!p->settings.trace || p->context->datapath->settings.trace);
}

int plan_step(struct change_plan *p, struct error *err)
{
	struct plan_addition *add = next_addition(p, false);
	int r;

	if (add) {
		r = mappings_add_begin(p->context->mappings, &add->spec, &add->job, err);
		return r ? r : PLAN_MORE;
	}
	add = next_addition(p, true);
	if (add) {
		r = mappings_add_step(add->job, err);
		if (r)
			return r < 0 ? r : PLAN_WAITS;
		add->ready = true;
		return PLAN_MORE;
	}
	r = step_update(p, err);
	if (r != PLAN_READY)
		return r;
	if (p->load) {
		r = datapath_load_ready(p->context->datapath, err);
		if (r < 0 && may_do_with_one_stage(p))
			return do_with_one_stage(p, err);
		if (r)
			return r > 0 ? PLAN_WAITS : r;
	}
	r = plan_record(p, err);
	return r == PLAN_READY ? look_again(p, err) : r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries out a plan: first the steps that can fail and can be undone (exporter, programs, interfaces), then the
 * mappings. After a crash in between, the next start plans anew.
 */
#include <errno.h>
#include <string.h>

#include "attacks/attacks.h"
#include "base/log.h"
#include "change/change_plan_private.h"
#include "change/mapping_tally.h"
#include "change/stages_choice.h"
#include "datapath/running.h"
#include "growth/block_growth.h"
#include "guard/guard.h"
#include "identity/identity.h"
#include "links/devices.h"
#include "metrics/metrics.h"
#include "pcp/pcp.h"
#include "peers/replication.h"
#include "punt/event_ring.h"
#include "punt/parked_fragments.h"
#include "recorder/queue.h"
#include "sessions/sessions.h"
#include "suspects/suspects.h"
#include "syslog/syslog.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"

/* Why an addition failed. */
static const char *reason_of(const struct mappings *m, int r)
{
	if (r != -ENOSPC)
		return strerror(-r);
	return mappings_full(m)
		       ? "there cannot be more mappings, and those that drain count; try again when they have "
			 "drained"
		       : "its addresses need more of the prefix index, of the 256 pieces that IPv6 prefixes may be cut "
			 "into, or of the table of drains, than is left";
}

static int commit_additions(struct change_plan *p, struct error *err)
{
	for (size_t i = 0; i < p->n_add; i++) {
		struct plan_addition *add = &p->add[i];
		char title[MAPPING_TITLE];
		int r;

		if (add->committed)
			continue;
		r = add->revives ? mappings_revive(p->context->mappings, add->spec.in, add->spec.out, &add->how)
				 : mappings_add_commit_with(add->job, &add->how);
		if (r)
			return error_set(err, r, "mapping %s cannot be added: %s",
					 config_mapping_title(p->wanted, tenant_name(p->wanted, add->spec.tenant),
							      add->spec.in, add->spec.out, title),
					 reason_of(p->context->mappings, r));
		add->job = NULL;
		add->committed = true;
	}
	return 0;
}

static void undo_additions(struct change_plan *p)
{
	for (size_t i = 0; i < p->n_add; i++) {
		struct plan_addition *add = &p->add[i];

		if (add->committed && add->revives)
			mappings_retire(p->context->mappings, add->spec.in, add->spec.out, add->left_s);
		else if (add->committed)
			mappings_del_of(p->context->mappings, add->spec.tenant, add->spec.in, add->spec.out);
		add->committed = false;
	}
}

/* Whether all outside addresses, of mappings and drains, stay what they are. */
static bool keeps_pools(const struct change_plan *p)
{
	return p->part.config && !plan_begins_or_ends(p) && !p->drained.n && !p->drains && !p->has_timed;
}

/* Whether nothing grows or has grants before and after, and no mapping comes or goes. */
static bool keeps_grants(const struct change_plan *p)
{
	return p->part.config && !plan_begins_or_ends(p) && !p->settings.growth && !p->context->active->tally.growth;
}

/* All steps that can fail. Mappings that replace none are added before interfaces, so that no packet misses them. */
static int commit_undoable(struct change_plan *p, bool *ret_loaded, bool *ret_mapped, struct error *err)
{
	const struct parts *context = p->context;
	/* A start does not fail here: the exporter logs, and tries again. */
	int r = context->active->config ? ipfix_configure(context->ipfix, &p->wanted->ipfix, err)
					: ipfix_configure_waiting(context->ipfix, &p->wanted->ipfix, err);

	if (!r)
		r = running_reserve(context->datapath, p->text.length, err);
	if (!r && !keeps_pools(p))
		r = devices_exclude(context->devices, p->wanted, err);
	if (!r)
		r = metrics_configure(context->metrics, p->wanted, !context->active->config, p->name, err);
	if (!r && context->pcp)
		r = pcp_configure(context->pcp, p->wanted, !context->active->config, p->name, err);
	if (!r && context->replication)
		r = replication_configure(context->replication, p->wanted, !context->active->config, p->name, err);
	if (!r && context->identity)
		r = identity_prepare(context->identity, p->wanted, !context->active->config, p->name, err);
	if (!r && p->load) {
		p->load = false;
		mappings_show_shared(context->mappings, p->settings.tenants);
		r = datapath_load_swap(context->datapath, err);
		*ret_loaded = !r;
	}
	if (!r && plan_holds(p))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r && !p->n_del) {
		plan_guard_holds(p);
		plan_set_tenants(p);
		plan_hold(p);
		r = commit_additions(p, err);
		mappings_release(context->mappings);
		if (!r)
			r = portmap_changes_make(&p->portmaps, context->portmaps, err);
		*ret_mapped = !r;
	}
	if (r)
		return r;
	plan_guard_holds(p);
	plan_end_drains(p);
	if (keeps_pools(p) && !*ret_loaded)
		return 0;
	return p->part.config && !*ret_loaded ? devices_change_pools(context->devices, p->wanted, err)
					      : devices_apply(context->devices, p->wanted, err);
}

static void undo(struct change_plan *p, bool loaded, bool mapped)
{
	const struct parts *context = p->context;
	struct error err = { 0 };

	if (mapped)
		portmap_changes_undo(&p->portmaps, context->portmaps);
	undo_additions(p);
	plan_restore_tenants(p);
	if (loaded)
		datapath_revert(context->datapath);
	mappings_show_shared(context->mappings, context->datapath->settings.tenants);
	guard_hold(context->guard, NULL, 0);
	if (context->replication)
		replication_abandon(context->replication);
	if (context->identity)
		identity_abandon(context->identity);
	if (!context->active->config)
		return;
	/* Where the new programs are attached, the previous ones replace them. */
	if (loaded && devices_apply(context->devices, context->active->config, &err))
		log_error("the previous state cannot be restored: %s", err.text);
	if (devices_exclude(context->devices, context->active->config, &err))
		log_error("the previous state cannot be restored: %s", err.text);
	metrics_configure(context->metrics, context->active->config, true, NULL, &err);
	if (context->pcp)
		pcp_configure(context->pcp, context->active->config, true, NULL, &err);
	if (ipfix_configure_waiting(context->ipfix, &context->active->config->ipfix, &err))
		log_error("the previous IPFIX settings cannot be restored: %s", err.text);
}

/*
 * Additions failed after deletions, which cannot be undone: the configuration without the missing mappings and portmaps
 * is active. Its hash matches no file, so that the next start applies the file.
 */
static void settle_for_less(struct change_plan *p)
{
	struct running_text less = { 0 };

	for (size_t i = 0; i < p->n_add; i++)
		if (!p->add[i].committed)
			config_del_mapping_of(p->wanted, tenant_name(p->wanted, p->add[i].spec.tenant),
					      p->add[i].spec.in, p->add[i].spec.out);
	portmap_changes_settle(p->wanted, p->context->portmaps);
	p->file_hash = 0;
	config_part_free(&p->part);
	p->tally = mapping_tally_of(p->context->active, p->wanted, &p->part);
	/* Without memory the longer text stays saved; the next start compares it with the tables. */
	if (!running_text_of(p->wanted, &less, &p->part, &less)) {
		running_text_free(&p->text);
		p->text = less;
	}
}

/* Deletes or drains a mapping. Does nothing if it drains already. */
static void commit_deletion(const struct change_plan *p, const struct plan_deletion *d)
{
	struct mappings *m = p->context->mappings;

	if (d->over || (d->replaced && mappings_find_of(m, d->tenant, d->in, d->out) < 0))
		return;
	if (!d->drain_s)
		mappings_del_of(m, d->tenant, d->in, d->out);
	/* The plan has made sure that this cannot fail; otherwise its sessions would end with it. */
	else if (mappings_retire(m, d->in, d->out, d->drain_s))
		log_error("a mapping cannot drain and stays in use; reload the configuration");
}

/* 0, or -errno with err if only a part succeeded: p->wanted is then the active configuration. */
static int commit_mappings(struct change_plan *p, struct error *err)
{
	const struct parts *context = p->context;
	struct error why = { 0 };
	int r;

	if (p->has_timed)
		mappings_time_drain(context->mappings, p->timed.in, p->timed.number, p->options.drain);
	if (p->n_del) {
		portmap_changes_remove(&p->portmaps, context->portmaps);
		plan_hold(p);
	}
	for (size_t i = 0; i < p->n_del; i++)
		if (!p->del[i].replaced)
			commit_deletion(p, &p->del[i]);
	plan_set_tenants(p);
	r = commit_additions(p, &why);
	/* The mapping that a failed addition was to replace. */
	for (size_t i = 0; i < p->n_del; i++)
		if (p->del[i].replaced)
			commit_deletion(p, &p->del[i]);
	mappings_release(context->mappings);
	for (size_t i = 0; i < p->n_add; i++)
		if (p->add[i].committed)
			portmaps_mark(context->portmaps, p->add[i].spec.in);
	if (!r && p->n_del)
		r = portmap_changes_add(&p->portmaps, context->portmaps, &why);
	if (r) {
		error_set(err, r, "%s; the rest of the change is in force; reload the configuration", why.text);
		settle_for_less(p);
	}
	for (size_t i = 0; i < p->n_update; i++)
		mappings_update(context->mappings, &p->update[i].spec);
	if (p->wanted->n_tenants || (context->active->config && context->active->config->n_tenants))
		portmaps_settle_tenants(context->portmaps);
	return r;
}

/* Records the new state of the tables in the history, once no step of the change remains. */
static void tell_history(const struct change_plan *p, int r)
{
	struct error why;

	if (p->record_r)
		history_queue_assume(p->context->history);
	/* Drains end without a record where their mapping has the addresses again. */
	else if (r || ((p->drained.n || p->drains) && (p->n_add || p->n_del || p->n_end)))
		history_queue_reconcile(p->context->history);
	else if (p->record == RECORD_ENDED && plan_is_as_recorded(p, &why))
		history_queue_confirm(p->context->history);
	else if (p->record == RECORD_ENDED) {
		history_queue_differs(&why);
		history_queue_reconcile(p->context->history);
	}
}

/* Without a listener, do not walk the sessions that end with their mapping; there may be millions. */
static void listen_to_sessions(const struct parts *context)
{
	bool wanted = active_wants_sessions(context->active, context->active->config);

	sessions_on_close(context->mappings, wanted ? events_session_closed : NULL, context->ipfix);
}

/* Exports address bindings, if the new settings ask for them. */
static void tell_exporter(const struct change_plan *p)
{
	_cleanup_free_ struct plan_binding *list = NULL;
	ssize_t n = p->n_add || p->n_del || p->n_end ? plan_bindings(p, &list) : 0;
	struct ipfix *x = p->context->ipfix;
	struct timespec now;
	uint64_t now_ms;

	clock_gettime(CLOCK_REALTIME, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (n < 0)
		log_warning("ipfix: cannot export the addresses of changed mappings: out of memory");
	for (ssize_t i = 0; i < n; i++) {
		struct geometry geo;

		if (!prefix_is_none(list[i].out) &&
		    !plan_blocks_geometry(list[i].in, list[i].out, &list[i].blocks, &geo))
			ipfix_mapping(x, &geo, list[i].of, list[i].tenant, list[i].made, now_ms);
	}
}

/* The former configuration becomes a copy of the new one where few mappings differ: the next edit needs one. */
static void take_its_place(struct active_config *a, struct config *now, const struct config_part *part)
{
	struct config *former = a->config;

	config_free(take_pointer(a->copy));
	a->config = now;
	if (former && part->config && config_part_follow(former, now, part))
		a->copy = former;
	else
		config_free(former);
}

int plan_commit(struct change_plan *p, struct error *err)
{
	const struct parts *context = p->context;
	uint64_t file_hash = p->file_hash;
	bool loaded = false, mapped = false, reloaded;
	int r;

	/* The guard covers new mappings before they exist, and old ones until they are gone. A start has set it up. */
	if (context->active->config && (!p->part.config || p->n_add))
		guard_configure(context->guard, context->active->config, p->wanted);
	r = commit_undoable(p, &loaded, &mapped, err);
	if (r) {
		undo(p, loaded, mapped);
		if (context->active->config)
			guard_configure(context->guard, context->active->config, NULL);
		return r;
	}
	r = commit_mappings(p, err);
	p->committed = true;
	/* Before the history compares: grants have ended with their mapping. */
	if (context->growth && !keeps_grants(p))
		growth_settle(context->growth, p->wanted);
	tell_history(p, r);
	history_queue_grants(context->history, p->wanted->grant_retention);
	history_queue_audit(context->history, p->wanted->audit_queries);
	if (!p->part.config || p->n_held || p->n_add)
		guard_configure(context->guard, NULL, p->wanted);
	else if (plan_begins_or_ends(p))
		guard_narrow_soon(context->guard, &context->active->config);
	tell_exporter(p);
	/* Uses the new settings: a mapping that comes with `syslog` is reported there. */
	if (context->syslog)
		syslog_configure(context->syslog, &p->wanted->syslog);
	plan_notices(p);
	if (loaded)
		datapath_settle(context->datapath);
	datapath_raise_epoch(context->datapath);
	/* Cannot fail: commit_undoable() has made room. */
	running_save_to(context->datapath->running_state, context->datapath->running_size, p->text.json, p->text.length,
			p->file_hash, NULL);
	/* A start has warned already. */
	reloaded = context->active->config && p->name;
	if (context->active->config)
		config_warn(plan_part(p), context->active->config, p->name);
	take_its_place(context->active, take_pointer(p->wanted), &p->part);
	running_text_free(&context->active->text);
	context->active->text = p->text;
	context->active->tally = p->tally;
	p->text = (struct running_text){ 0 };
	context->active->file_hash = p->file_hash;
	if (p->name)
		context->active->file_read = file_hash;
	stages_tell(&context->active->stages, &p->stages);
	context->active->stages = p->stages;
	listen_to_sessions(context);
	if (context->pcp)
		pcp_settle(context->pcp, context->active->config, portmap_changes_leases(&p->portmaps));
	if (context->replication)
		replication_settle(context->replication, context->active->config);
	if (context->identity)
		identity_settle(context->identity);
	if (context->attacks)
		attacks_configure(context->attacks, &context->active->config->attack);
	if (context->suspects)
		suspects_configure(context->suspects, &context->active->config->suspects);
	fragments_configure(context->fragments, &context->active->config->fragments);
	if (reloaded && context->warn)
		context->warn(context->active->config);
	return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plan is carried out in an order that can be undone up to the point from which nothing fails any more: exporter,
 * programs, interfaces; then the mappings. A crash in between is put right by the next start, which plans anew.
 */
#include <errno.h>
#include <string.h>

#include "devices.h"
#include "events.h"
#include "log.h"
#include "metrics.h"
#include "plan_private.h"
#include "running.h"
#include "sessions.h"

static int commit_additions(struct plan *p, struct error *err)
{
	for (size_t i = 0; i < p->n_add; i++) {
		struct plan_addition *add = &p->add[i];
		char in[ADDR_TEXT];
		int r;

		if (add->committed)
			continue;
		r = mappings_add_commit(add->job);
		if (r)
			return error_set(err, r, "mapping %s cannot be added: %s",
					 prefix_format(add->spec.in.base, add->spec.in.plen, in), strerror(-r));
		add->job = NULL;
		add->committed = true;
	}
	return 0;
}

static void undo_additions(struct plan *p)
{
	for (size_t i = 0; i < p->n_add; i++) {
		struct plan_addition *add = &p->add[i];

		if (add->committed)
			mappings_del(p->agent->mappings, add->spec.in, add->spec.out);
		add->committed = false;
	}
}

/* Everything that can fail. New mappings that replace none come before the interfaces, so that no packet misses them.
 */
static int commit_undoable(struct plan *p, bool *ret_loaded, struct error *err)
{
	struct agent *a = p->agent;
	int r = ipfix_configure(a->ipfix, &p->wanted->ipfix, err);

	if (!r)
		r = metrics_configure(a->metrics, p->wanted, p->name, err);
	if (!r && p->load) {
		p->load = false;
		r = datapath_load_swap(&a->datapath, err);
		*ret_loaded = !r;
	}
	if (!r && !p->n_del)
		r = commit_additions(p, err);
	return r ? r : devices_apply(a->devices, p->wanted, err);
}

static void undo(struct plan *p, bool loaded)
{
	struct agent *a = p->agent;
	struct error err = { 0 };

	undo_additions(p);
	if (loaded)
		datapath_revert(&a->datapath);
	if (!a->config)
		return;
	/* The former programs go back to where the new ones are attached. */
	if (loaded && devices_apply(a->devices, a->config, &err))
		log_error("the former state cannot be restored: %s", err.text);
	if (metrics_configure(a->metrics, a->config, NULL, &err))
		log_error("the former metrics cannot be served again: %s", err.text);
	if (ipfix_configure(a->ipfix, &a->config->ipfix, &err))
		log_error("the former IPFIX settings cannot be restored: %s", err.text);
}

static void commit_mappings(struct plan *p)
{
	struct agent *a = p->agent;
	struct error err = { 0 };

	for (size_t i = 0; i < p->n_del; i++)
		mappings_del(a->mappings, p->del[i].in, p->del[i].out);
	if (commit_additions(p, &err))
		log_error("%s; reload the configuration", err.text);
	for (size_t i = 0; i < p->n_update; i++)
		mappings_update(a->mappings, &p->update[i]);
}

/* Millions of sessions that end with their mapping are not gone through for nobody. */
static void listen_to_sessions(struct agent *a)
{
	bool wanted = a->config->ipfix.enabled && a->config->ipfix.events & IPFIX_SESSIONS;

	sessions_on_close(a->mappings, wanted ? events_session_closed : NULL, a->ipfix);
}

/* Address bindings, where the settings that hold from now on ask for them. */
static void tell_exporter(const struct plan *p)
{
	struct ipfix *x = p->agent->ipfix;
	struct timespec now;
	uint64_t now_ms;

	clock_gettime(CLOCK_REALTIME, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	for (size_t i = 0; i < p->n_del; i++)
		ipfix_mapping(x, p->del[i].in, p->del[i].out, false, now_ms);
	for (size_t i = 0; i < p->n_add; i++)
		if (p->add[i].committed)
			ipfix_mapping(x, p->add[i].spec.in, p->add[i].spec.out, true, now_ms);
}

int plan_commit(struct plan *p, struct error *err)
{
	struct agent *a = p->agent;
	bool loaded = false;
	int r = commit_undoable(p, &loaded, err);

	if (r) {
		undo(p, loaded);
		return r;
	}
	commit_mappings(p);
	tell_exporter(p);
	if (loaded)
		datapath_settle(&a->datapath);
	datapath_raise_epoch(&a->datapath);
	/* Its length was checked, so this cannot fail. */
	running_save(a->datapath.running_state, p->json, p->file_hash, NULL);
	/* Of what a start begins with, the start has warned. */
	if (a->config)
		config_warn(p->wanted, a->config, p->name);
	config_free(a->config);
	a->config = take_pointer(p->wanted);
	a->file_hash = p->file_hash;
	listen_to_sessions(a);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports to listeners which mappings a plan has added, changed and deleted. */
#include <string.h>

#include "base/notice.h"
#include "base/virtual6.h"
#include "change/change_plan_private.h"
#include "tables/mapping_drains.h"

static void tell(const struct config *c, const char *tenant, struct prefix in, struct prefix out, const char *event,
		 const char *what)
{
	const struct config_mapping *m = c ? config_find_mapping_of(c, tenant, in, out) : NULL;
	char title[MAPPING_TITLE], in_text[INSIDE_TEXT], out_text[INSIDE_TEXT], text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_MAPPINGS, LOG_LEVEL_AUDIT, event, text);

	inside_prefix_text(in, in_text);
	prefix_text(out, out_text);
	snprintf(text, sizeof(text), "mapping %s to %s %s",
		 m ? config_mapping_title(c, tenant, in, out, title) : in_text, out_text, what);
	n.in = in;
	notice_add_text(&n, "in", in_text);
	notice_add_text(&n, "out", out_text);
	if (m && *m->name)
		notice_add_text(&n, "mapping", m->name);
	if (*tenant)
		notice_add_text(&n, "tenant", tenant);
	if (m)
		notice_add_number(&n, "sessions_per_user", config_mapping_quota(c, m));
	notice_tell(&n);
}

/* The addresses of an exception begin or cease to drain from the mapping around it. */
static void tell_part(const struct change_plan *p, struct prefix in, int number, const char *event, const char *what)
{
	const struct mapping *record = mappings_get(p->context->mappings, number);
	struct prefix around = geometry_in(&record->geo);
	struct prefix out = mappings_drain_out(p->context->mappings, number, in);
	const char *tenant = mappings_tenant_name(p->context->mappings, record->tenant);
	const char *name = config_mapping_name(p->wanted, tenant, around, geometry_out(&record->geo));
	char in_text[INSIDE_TEXT], out_text[INSIDE_TEXT], around_text[INSIDE_TEXT], text[NOTICE_TEXT] = "";
	struct notice n = notice_now(NOTICE_MAPPINGS, LOG_LEVEL_AUDIT, event, text);

	inside_prefix_text(in, in_text);
	prefix_text(out, out_text);
	prefix_text(around, around_text);
	snprintf(text, sizeof(text), "%s %s from %s of mapping %s", in_text, what, out_text,
		 *name ? name : around_text);
	n.in = in;
	notice_add_text(&n, "in", in_text);
	notice_add_text(&n, "out", out_text);
	notice_add_text(&n, "within", around_text);
	if (*name)
		notice_add_text(&n, "mapping", name);
	if (*tenant)
		notice_add_text(&n, "tenant", tenant);
	notice_tell(&n);
}

/* The drain from the mapping around it that an addition has begun; the newest drain is the last. */
static void tell_taken(const struct change_plan *p, const struct plan_addition *add)
{
	const struct mapping_drain *drain;
	size_t i = mappings_drains(p->context->mappings, &drain);

	while (i-- > 0) {
		if (drain[i].whole || !prefix_equal(drain[i].in, add->spec.in) ||
		    mappings_get(p->context->mappings, drain[i].number)->tenant != add->spec.tenant)
			continue;
		tell_part(p, drain[i].in, drain[i].number, "mapping-draining", "is draining");
		return;
	}
}

/* Whether a mapping that stays has changed in something that an operator sees. */
static bool is_changed(const struct config *before, const struct config *after, const struct config_mapping *m)
{
	const struct config_mapping *was = config_find_mapping_of(before, m->tenant, m->in, m->out);

	return was && (config_mapping_quota(before, was) != config_mapping_quota(after, m) ||
		       strcmp(was->name, m->name) != 0 || strcmp(was->comment, m->comment) != 0);
}

bool plan_adds(const struct change_plan *p, const struct config_mapping *m)
{
	for (size_t i = 0; i < p->n_add; i++)
		if (prefix_equal(p->add[i].spec.in, m->in) &&
		    config_may_be_of(m, tenant_name(p->wanted, p->add[i].spec.tenant)))
			return true;
	return false;
}

void plan_notices(const struct change_plan *p)
{
	const struct config *before = p->context->active->config;

	if (!notice_wanted(NOTICE_MAPPINGS))
		return;
	for (size_t i = 0; i < p->n_del; i++)
		tell(before, before ? tenant_name(before, p->del[i].tenant) : "", p->del[i].in, p->del[i].out,
		     p->del[i].drain_s ? "mapping-draining" : "mapping-deleted",
		     p->del[i].drain_s ? "is draining"
		     : p->del[i].over  ? "has drained"
				       : "deleted");
	for (size_t i = 0; i < p->n_end; i++)
		if (mappings_get(p->context->mappings, p->end[i].number))
			tell_part(p, p->end[i].in, p->end[i].number, "mapping-drained", "has drained");
	for (size_t i = 0; i < p->n_add; i++) {
		if (!p->add[i].committed)
			continue;
		tell(p->wanted, tenant_name(p->wanted, p->add[i].spec.tenant), p->add[i].spec.in, p->add[i].spec.out,
		     "mapping-added", p->add[i].revives ? "drains no more" : "added");
		if (p->add[i].how.drain_s && !p->add[i].how.replaces)
			tell_taken(p, &p->add[i]);
	}
	for (size_t i = 0; before && i < plan_part(p)->n_mappings; i++) {
		const struct config_mapping *m = &plan_part(p)->mappings[i];

		if (is_changed(before, p->wanted, m) && !plan_adds(p, m))
			tell(p->wanted, m->tenant, m->in, m->out, "mapping-changed", "changed");
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The mappings of a plan: which are added to the tables, deleted from them, or changed in place. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "change/change_plan_private.h"
#include "config/six.h"
#include "datapath/datapath.h"
#include "tables/mapping_changes.h"
#include "tables/mapping_drains.h"

bool plan_looks_at(const struct change_plan *p, struct prefix in)
{
	return !p->part.config || config_part_touches(&p->part, in.base, prefix_last(in));
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Lists the mappings in use that the plan looks at, by number; the caller frees *ret. Returns how many, or -ENOMEM. */
static ssize_t list_looked_at(const struct change_plan *p, int **ret)
{
	const struct mappings *m = p->context->mappings;
	size_t n = mappings_in_use(m), n_found = 0;
	int *found = calloc(n + 1, sizeof(*found));

	if (!found)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct inside_range r = mappings_range_at(m, i);

		if (!p->part.config || config_part_touches(&p->part, inside_addr(r.first), inside_addr(r.last)))
			found[n_found++] = r.number;
	}
	qsort(found, n_found, sizeof(*found), by_number);
	*ret = found;
	return (ssize_t)n_found;
}

static struct mapping_spec spec_of(const struct config *c, const struct config_mapping *m, uint32_t hz)
{
	struct mapping_spec spec = {
		.in = m->in,
		.out = m->out,
		.sessions_per_user = config_mapping_quota(c, m),
		.session_slots = config_mapping_slots(c, m),
		.tenant = config_mapping_tenant(c, m),
		.open = m->inbound == INBOUND_OPEN,
	};
	struct config_independence wanted = config_mapping_independence(c, m);
	struct config_growth growth = config_mapping_growth(m);

	spec.limit = config_mapping_limits(m);
	config_record6(m, &spec.six);
	spec.growth = (struct growth_layout){ (uint16_t)growth.block, (uint16_t)growth.max_blocks };
	if (!prefix_is_none(m->out) && config_mapping_geometry(m, &spec.geo))
		spec.geo = (struct geometry){ 0 };
	if (wanted.mapping)
		spec.bindings = (struct binding_layout){ .mapping = wanted.mapping,
							 .filtering = wanted.filtering,
							 .inbound = (uint8_t)wanted.inbound_sessions };

	for (unsigned i = 0; i < N_TIMEOUTS; i++)
		spec.timeout_ticks[i] = ticks_of_seconds(c->timeouts[i], hz);
	return spec;
}

static uint32_t slots_of(const struct mapping *record)
{
	return record->first_bucket == NO_BUCKETS ? 0 : BUCKET_SLOTS << record->bucket_shift;
}

/* Whether its subscribers keep their addresses and ports. */
static bool same_ports(const struct mapping *record, const struct geometry *wanted)
{
	return record->geo.out_plen == PLEN_NONE || mapping_equal(&record->geo, wanted);
}

static bool is_six(const struct mapping *record)
{
	return record->geo.flags & MAPPING_IPV6;
}

/* Its second record, or NULL. */
static const struct record6 *six_of(const struct change_plan *p, const struct mapping *record)
{
	const struct datapath *d = p->context->datapath;

	return is_six(record) && d->record6 && record->record6 < MAX_RECORDS6 ? &d->record6[record->record6] : NULL;
}

/* Whether subscribers keep their prefixes, the addresses of IPv4 hosts in them, and the lines of their hosts. */
static bool same_six(const struct change_plan *p, const struct mapping *record, const struct mapping_spec *wanted)
{
	const struct record6 *a = six_of(p, record), *b = &wanted->six;

	if (is_six(record) != mapping_spec_is_ipv6(wanted))
		return false;
	return !is_six(record) || (a && a->in_hi == b->in_hi && a->subscriber_plen == b->subscriber_plen &&
				   a->nat64_plen == b->nat64_plen && a->nat64[0] == b->nat64[0] &&
				   a->nat64[1] == b->nat64[1] && record->host_shift == mapping_log2(b->hosts));
}

/* Whether what can change with sessions does. */
static bool changes_six(const struct change_plan *p, const struct mapping *record, const struct mapping_spec *wanted)
{
	const struct record6 *a = six_of(p, record);

	return a && (a->hosts != wanted->six.hosts || a->lowest_mtu != wanted->six.lowest_mtu);
}

/* Whether a mapping can keep its tables under the new configuration. */
static bool same_kind(const struct change_plan *p, const struct mapping *record, const struct mapping_spec *wanted)
{
	return slots_of(record) == wanted->session_slots && !(record->geo.flags & MAPPING_OPEN) == !wanted->open &&
	       same_ports(record, &wanted->geo) && same_six(p, record, wanted) &&
	       (record->tenant == wanted->tenant || !record->tenant || !wanted->tenant);
}

static bool same_bindings(const struct binding_layout *a, const struct binding_layout *b)
{
	return a->mapping == b->mapping && a->filtering == b->filtering && a->inbound == b->inbound;
}

static void plan_deletion(struct change_plan *p, const struct mapping *record)
{
	p->del[p->n_del++] = (struct plan_deletion){
		.in = geometry_in(&record->geo),
		.out = geometry_out(&record->geo),
		.open = record->geo.flags & MAPPING_OPEN,
		.geo = record->geo,
		.tenant = record->tenant,
	};
}

/* A mapping in the tables is deleted unless the configuration has it with the same slots. */
static void plan_present(struct change_plan *p, const struct mapping *record)
{
	const struct geometry *g = &record->geo;
	const struct config_mapping *m = config_find_mapping_of(plan_part(p), tenant_name(p->wanted, record->tenant),
								geometry_in(g), geometry_out(g));

	struct mapping_spec spec = m ? spec_of(plan_part(p), m, p->context->datapath->hz) : (struct mapping_spec){ 0 };

	if (!m || !same_kind(p, record, &spec))
		plan_deletion(p, record);
}

/* A mapping of the configuration is added, updated, or in the tables already. */
static void plan_wanted(struct change_plan *p, const struct mapping_spec *spec)
{
	const struct mappings *m = p->context->mappings;
	int number = mappings_find_of(m, spec->tenant, spec->in, spec->out);
	const struct mapping *record = number < 0 ? NULL : mappings_get(m, number);
	const char *tenant = tenant_name(p->wanted, spec->tenant);
	char title[MAPPING_TITLE];

	if (record && same_kind(p, record, spec)) {
		if (record->sessions_per_user != spec->sessions_per_user || record->tenant != spec->tenant ||
		    memcmp(record->timeout_ticks, spec->timeout_ticks, sizeof(spec->timeout_ticks)) ||
		    !same_bindings(&record->bindings, &spec->bindings) ||
		    !limit_layout_same(&record->limit, &spec->limit) || changes_six(p, record, spec))
			p->update[p->n_update++].spec = *spec;
		return;
	}
	p->add[p->n_add++].spec = *spec;
	number = mappings_find_retired(m, spec->in, spec->out);
	if (number >= 0 && same_kind(p, mappings_get(m, number), spec)) {
		p->add[p->n_add - 1].revives = true;
		p->update[p->n_update++].spec = *spec;
	}
	if (!p->only_checks && record && slots_of(record) && !same_ports(record, &spec->geo))
		log_warning("mapping %s: its sessions are lost, as its subscribers get other addresses or ports",
			    config_mapping_title(p->wanted, tenant, spec->in, spec->out, title));
	else if (!p->only_checks && record && slots_of(record) && !same_six(p, record, spec))
		log_warning(
			"mapping %s: its sessions are lost, as it has another `nat64_prefix`, or other lines of hosts",
			config_mapping_title(p->wanted, tenant, spec->in, spec->out, title));
	else if (!p->only_checks && record && slots_of(record) && slots_of(record) == spec->session_slots)
		log_warning("mapping %s: its sessions are lost, as its subscribers are another tenant's",
			    config_mapping_title(p->wanted, tenant, spec->in, spec->out, title));
	else if (!p->only_checks && record && slots_of(record) && spec->session_slots)
		log_warning("mapping %s: its sessions are lost, as each address now gets %u slots, not %u",
			    config_mapping_title(p->wanted, tenant, spec->in, spec->out, title), spec->session_slots,
			    slots_of(record));
}

int plan_mappings(struct change_plan *p)
{
	const struct mappings *m = p->context->mappings;
	const struct config *c = plan_part(p);
	const struct mapping_drain *drain;
	_cleanup_free_ int *number = NULL;
	ssize_t n = list_looked_at(p, &number);

	if (n < 0)
		return -ENOMEM;
	p->add = calloc(c->n_mappings + 1, sizeof(*p->add));
	p->update = calloc(2 * c->n_mappings + 1, sizeof(*p->update));
	/* Those that drain may be ended, beside those that are looked at. */
	p->del = calloc(2 * (mappings_drains(m, &drain) + (size_t)n + mappings_retired(m)) + 1, sizeof(*p->del));
	if (!p->add || !p->update || !p->del)
		return -ENOMEM;
	for (ssize_t i = 0; i < n; i++)
		plan_present(p, mappings_get(m, number[i]));
	for (size_t i = 0; i < c->n_mappings; i++) {
		struct mapping_spec spec = spec_of(c, &c->mappings[i], p->context->datapath->hz);

		plan_wanted(p, &spec);
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps as assignments: those pinned by an earlier agent, and the comparison of the map. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "datapath/map_keys.h"
#include "tables/portmaps_private.h"

static bool read_entry(const void *entry_key, const void *entry_value, void *ret)
{
	const struct portmap_key *key = entry_key;
	const struct portmap_value *value = entry_value;
	struct endpoint own = { key->addr, key->port }, other = { value->addr, value->port };
	bool out2in = portmap_key_direction(key) == PORTMAP_OUT2IN;
	struct portmap *m = ret;

	*m = (struct portmap){
		.in = out2in ? other : own,
		.out = out2in ? own : other,
		.proto = portmap_key_proto(key),
		.tenant = portmap_key_tenant(key),
		.origin = value->origin,
		.peer = value->peer,
		.expires_s = value->expires_s,
		.filters.n = value->filtered,
	};
	memcpy(m->nonce, value->nonce, sizeof(m->nonce));
	return (m->proto == IPPROTO_TCP || m->proto == IPPROTO_UDP) && (!out2in || !m->tenant) &&
	       m->origin < N_PORTMAP_ORIGINS;
}

/* Fills in the filters that the datapath uses. */
static bool fits(const struct assignments *s, const void *key, void *record)
{
	struct portmap *m = record;

	return !m->filters.n ||
	       (!bpf_map_lookup_elem(filters_of(s), key, &m->filters) && portmap_filters_valid(&m->filters));
}

/* Whether the agent knows a portmap with filters under a key. */
static bool has_filters(const void *entry, const void *arg)
{
	const struct portmap_key *key = entry;
	const struct portmaps *p = arg;
	const struct portmap *m = portmaps_by_out(p, key->proto, (struct endpoint){ key->addr, key->port });

	return m && m->filters.n && portmap_key_direction(key) == PORTMAP_OUT2IN;
}

static void missing(const void *record, unsigned direction, bool repaired, struct findings *findings)
{
	const struct portmap *m = record;
	char out[ADDR_TEXT], in[ADDR_TEXT];

	findings_add(findings, FINDING_PORTMAP, repaired, addr_format(m->out.addr, out),
		     "the portmap of port %u to %s:%u is missing in the datapath, or leads elsewhere", m->out.port,
		     addr_format(m->in.addr, in), m->in.port);
}

static void compare(const struct assignments *s, const void *record, bool repair, struct findings *findings)
{
	const struct portmaps *p = (const struct portmaps *)s;
	const struct portmap *m = record;
	char out[ADDR_TEXT], in[ADDR_TEXT];

	if (portmap_filters_differ(p, m)) {
		bool repaired = repair && !portmap_write_filters(p, m) && !portmap_write(&p->table, m, PORTMAP_OUT2IN);

		findings_add(findings, FINDING_PORTMAP, repaired, addr_format(m->out.addr, out),
			     "the datapath's filters for the portmap of port %u are not those that its client has set",
			     m->out.port);
	}
	if (portmap_is_flagged(p, portmap_place(m)))
		return;
	if (repair)
		portmap_flag(p, portmap_place(m));
	findings_add(findings, FINDING_PORTMAP, repair, addr_format(m->in.addr, in),
		     "its record does not show its portmaps, so packets that it sends do not use them");
}

static void stray(const void *entry_key, bool repaired, struct findings *findings)
{
	const struct portmap_key *key = entry_key;
	char addr[ADDR_TEXT];

	findings_add(findings, FINDING_PORTMAP, repaired, addr_format(key->addr, addr),
		     "the datapath has a portmap of port %u that the agent does not know", key->port);
}

static void key_of(const void *record, unsigned direction, void *ret)
{
	*(struct portmap_key *)ret = portmap_key_of(record, direction);
}

static void count(struct assignments *s, const void *record, int by)
{
	((struct portmaps *)s)->n_of[((const struct portmap *)record)->origin] += (size_t)by;
}

static int opened(struct assignments *s)
{
	struct portmaps *p = (struct portmaps *)s;
	/* Filters to which no portmap refers, left by a killed agent. */
	int r = map_keep(filters_of(s), sizeof(struct portmap_key), has_filters, p);

	if (r)
		return r;
	p->lease_room = datapath_lease_room(mappings_datapath(s->m));
	for (const struct portmap *m = portmaps_next(p, NULL); m; m = portmaps_next(p, m))
		portmap_flag(p, portmap_place(m));
	portmaps_settle_tenants(p);
	portmap_lines_settle(p, true, NULL, NULL);
	return 0;
}

static const struct assignment_kind kind = {
	.one = "a portmap",
	.many = "portmaps",
	.all = "the portmaps",
	.table_size = sizeof(struct portmaps),
	.size = sizeof(struct portmap),
	.key_size = sizeof(struct portmap_key),
	.direction_at = offsetof(struct portmap_key, direction),
	.direction_bits = 1,
	.inside = PORTMAP_IN2OUT,
	.key_of = key_of,
	.read = read_entry,
	.write = portmap_write,
	.fits = fits,
	.opened = opened,
	.count = count,
	.tenant = portmap_tenant,
	.missing = missing,
	.compare = compare,
	.stray = stray,
};
_Static_assert(sizeof(struct portmap) <= ASSIGNMENT_MAX, "has room where it is read");

int portmaps_open(struct mappings *m, struct portmaps **ret, struct error *err)
{
	*ret = (struct portmaps *)assignments_open(&kind, m, mappings_datapath(m)->portmaps, err);
	return *ret ? 0 : -ENOMEM;
}

void portmaps_close(struct portmaps *p)
{
	if (p)
		assignments_close(&p->table);
}

static void audit_filters(const struct portmaps *p, const struct portmap_key *key, bool repair,
			  struct findings *findings)
{
	char addr[ADDR_TEXT];

	if (!has_filters(key, p))
		findings_add(findings, FINDING_PORTMAP, repair && !bpf_map_delete_elem(filters_of(&p->table), key),
			     addr_format(key->addr, addr),
			     "the datapath has filters for port %u that belong to no portmap", key->port);
}

struct line_audit {
	bool repair;
	struct findings *findings;
};

static void audit_stray_line(void *arg, uint32_t addr, uint16_t port)
{
	struct line_audit *a = arg;
	char text[ADDR_TEXT];

	findings_add(a->findings, FINDING_PORTMAP, a->repair, addr_format(addr, text),
		     "the fast path has a portmap of port %u that the agent does not know, or has it twice", port);
}

size_t portmaps_audit(const struct portmaps *p, bool repair, struct findings *findings)
{
	size_t n, n_filters;
	_cleanup_free_ struct portmap_key *filters = map_keys(filters_of(&p->table), sizeof(*filters), &n_filters);

	n = assignments_audit(&p->table, repair, findings);
	for (size_t i = 0; filters && i < n_filters; i++)
		audit_filters(p, &filters[i], repair, findings);
	portmap_lines_settle(p, repair, audit_stray_line, &(struct line_audit){ repair, findings });
	return n;
}

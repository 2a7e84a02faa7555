/* SPDX-License-Identifier: BSD-2-Clause */
/* Portmaps pinned by an earlier agent, and the comparison of the map with this agent's records. */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "datapath/map_keys.h"
#include "tables/portmaps_private.h"

/* The portmap of an entry, which is half of it. */
static struct portmap portmap_of_entry(const struct portmap_key *key, const struct portmap_value *value)
{
	struct endpoint own = { key->addr, key->port }, other = { value->addr, value->port };
	bool out2in = portmap_key_direction(key) == PORTMAP_OUT2IN;
	struct portmap m = {
		.in = out2in ? other : own,
		.out = out2in ? own : other,
		.proto = portmap_key_proto(key),
		.tenant = portmap_key_tenant(key),
		.origin = value->origin,
		.peer = value->peer,
		.expires_s = value->expires_s,
	};

	memcpy(m.nonce, value->nonce, sizeof(m.nonce));
	return m;
}

static bool entry_is_valid(const struct portmap_key *key, const struct portmap_value *value)
{
	const uint8_t proto = portmap_key_proto(key);

	return (proto == IPPROTO_TCP || proto == IPPROTO_UDP) &&
	       (portmap_key_direction(key) == PORTMAP_IN2OUT || !portmap_key_tenant(key)) &&
	       value->origin < N_PORTMAP_ORIGINS;
}

/* Whether the map holds a half of a portmap, whatever else its entry contains. */
static bool map_has(const struct portmaps *p, const struct portmap *m, enum portmap_direction direction)
{
	struct portmap_key key = portmap_key_of(m, direction);
	struct portmap_value wanted = portmap_value_of(m, direction), value;

	return !bpf_map_lookup_elem(p->map, &key, &value) && value.addr == wanted.addr && value.port == wanted.port;
}

/* Fills in the filters that the datapath uses. 0; -ENOENT if they are missing. */
static int read_filters(const struct portmaps *p, struct portmap *m)
{
	struct portmap_key key = portmap_key_of(m, PORTMAP_OUT2IN);
	struct portmap_value value;
	struct portmap_filters f;

	if (bpf_map_lookup_elem(p->map, &key, &value) || !value.filtered)
		return 0;
	if (bpf_map_lookup_elem(p->filters, &key, &f) || !portmap_filters_valid(&f))
		return -ENOENT;
	m->filters = f;
	return 0;
}

/* Whether the agent knows a portmap with filters under a key. */
static bool has_filters(const void *entry, const void *arg)
{
	const struct portmap_key *key = entry;
	const struct portmaps *p = arg;
	const struct portmap *m = portmap_find(p, key->proto, (struct endpoint){ key->addr, key->port });

	return m && m->filters.n && portmap_key_direction(key) == PORTMAP_OUT2IN;
}

/* Whether the map has a portmap's entry from inside, with its tenant: another than its mapping's after a kill. */
static bool find_inside(const struct portmaps *p, struct portmap *m)
{
	m->tenant = portmap_tenant(p, m);
	if (map_has(p, m, PORTMAP_IN2OUT))
		return true;
	for (unsigned tenant = 0; tenant <= UINT8_MAX; tenant++) {
		m->tenant = (uint8_t)tenant;
		if (map_has(p, m, PORTMAP_IN2OUT))
			return true;
	}
	return false;
}

/* Whether an entry is half of a portmap that the map has, and no other entry is that half. */
static bool is_whole(const struct portmaps *p, const struct portmap_key *key, struct portmap *m)
{
	const uint8_t tenant = m->tenant;

	if (portmap_key_direction(key) == PORTMAP_OUT2IN)
		return find_inside(p, m);
	return map_has(p, m, PORTMAP_OUT2IN) && find_inside(p, m) && m->tenant == tenant;
}

static int take_over(struct portmaps *p)
{
	size_t n, halves = 0;
	_cleanup_free_ struct portmap_key *keys = map_keys(p->map, sizeof(*keys), &n);
	int r = keys ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < n; i++) {
		struct portmap_value value;
		struct portmap m;

		if (bpf_map_lookup_elem(p->map, &keys[i], &value))
			continue;
		m = portmap_of_entry(&keys[i], &value);
		if (!entry_is_valid(&keys[i], &value) || !is_whole(p, &keys[i], &m) || read_filters(p, &m)) {
			bpf_map_delete_elem(p->map, &keys[i]);
			halves++;
		} else if (portmap_key_direction(&keys[i]) == PORTMAP_OUT2IN) {
			r = portmap_store(p, &m);
		}
	}
	if (halves)
		log_warning("removed %zu incomplete portmaps left by a killed agent", halves);
	/* Filters to which no portmap refers, left by a killed agent. */
	if (!r)
		r = map_keep(p->filters, sizeof(struct portmap_key), has_filters, p);
	for (const struct portmap *m = portmaps_next(p, NULL); !r && m; m = portmaps_next(p, m))
		portmap_flag(p, portmap_place(m));
	if (!r)
		portmaps_settle_tenants(p);
	if (!r)
		portmap_lines_settle(p, true, NULL, NULL);
	return r;
}

int portmaps_open(struct mappings *m, struct portmaps **ret, struct error *err)
{
	struct portmaps *p = calloc(1, sizeof(*p));
	int r = p ? 0 : -ENOMEM;

	if (p) {
		p->m = m;
		p->map = mappings_datapath(m)->portmaps;
		p->filters = mappings_datapath(m)->portmap_filters;
		p->lease_room = datapath_lease_room(mappings_datapath(m));
		r = take_over(p);
	}
	if (r) {
		portmaps_close(p);
		return error_set(err, r, "the portmaps cannot be read: %s", strerror(-r));
	}
	*ret = p;
	return 0;
}

void portmaps_close(struct portmaps *p)
{
	if (!p)
		return;
	portmap_store_free(p);
	free(p);
}

/* Audits a portmap that the agent knows. */
static void audit_known(const struct portmaps *p, const struct portmap *m, bool repair, struct findings *findings)
{
	char out[ADDR_TEXT], in[ADDR_TEXT];
	bool repaired = repair;

	for (unsigned i = PORTMAP_IN2OUT; i <= PORTMAP_OUT2IN; i++) {
		if (map_has(p, m, i))
			continue;
		repaired = repair && !portmap_write(p, m, i);
		findings_add(findings, FINDING_PORTMAP, repaired, addr_format(m->out.addr, out),
			     "the portmap of port %u to %s:%u is missing in the datapath, or leads elsewhere",
			     m->out.port, addr_format(m->in.addr, in), m->in.port);
	}
	if (portmap_filters_differ(p, m)) {
		repaired = repair && !portmap_write_filters(p, m) && !portmap_write(p, m, PORTMAP_OUT2IN);
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

/* Audits an entry of the datapath's map. */
static void audit_entry(const struct portmaps *p, const struct portmap_key *key, bool repair, struct findings *findings)
{
	struct endpoint e = { key->addr, key->port };
	const struct portmap *known;
	char addr[ADDR_TEXT];

	known = portmap_key_direction(key) == PORTMAP_OUT2IN
			? portmap_find(p, portmap_key_proto(key), e)
			: portmap_find_inside(p, portmap_key_tenant(key), portmap_key_proto(key), e);
	if (known && (portmap_key_direction(key) == PORTMAP_OUT2IN || known->tenant == portmap_key_tenant(key)))
		return;
	findings_add(findings, FINDING_PORTMAP, repair && !bpf_map_delete_elem(p->map, key),
		     addr_format(key->addr, addr), "the datapath has a portmap of port %u that the agent does not know",
		     key->port);
}

static void audit_filters(const struct portmaps *p, const struct portmap_key *key, bool repair,
			  struct findings *findings)
{
	char addr[ADDR_TEXT];

	if (!has_filters(key, p))
		findings_add(findings, FINDING_PORTMAP, repair && !bpf_map_delete_elem(p->filters, key),
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
	_cleanup_free_ struct portmap_key *keys = map_keys(p->map, sizeof(*keys), &n);
	_cleanup_free_ struct portmap_key *filters = map_keys(p->filters, sizeof(*filters), &n_filters);

	for (const struct portmap *m = portmaps_next(p, NULL); m; m = portmaps_next(p, m))
		audit_known(p, m, repair, findings);
	for (size_t i = 0; keys && i < n; i++)
		audit_entry(p, &keys[i], repair, findings);
	for (size_t i = 0; filters && i < n_filters; i++)
		audit_filters(p, &filters[i], repair, findings);
	portmap_lines_settle(p, repair, audit_stray_line, &(struct line_audit){ repair, findings });
	return p->n;
}

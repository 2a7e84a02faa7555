/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables/mapping_hosts.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/virtual6.h"
#include "datapath/map_keys.h"

int mappings_open_hosts(struct mappings *m, struct error *err)
{
	int r = m->hosts.base ? 0 : datapath_six_make(m->d, err);

	if (r || m->hosts.base)
		return r;
	r = chunks_open(&m->hosts, m->d->hosts6, HOST6_CHUNK_SHIFT, sizeof(struct host6), MAX_HOST6_CHUNKS, err);
	m->hosts.pin_dir = m->d->pin_dir;
	m->hosts.name = CHUNK_HOST6;
	return r;
}

void mappings_close_hosts(struct mappings *m)
{
	if (m->hosts.base)
		chunks_close(&m->hosts);
}

struct address6 mapping_host(const struct mappings *m, const struct mapping *record, const struct record6 *six,
			     uint32_t in_addr, uint32_t host)
{
	uint32_t subscriber = mapping_subscriber(&record->geo, in_addr), number;
	const struct host6 *line;
	struct address6 a = { .hi = subscriber6_hi(six, subscriber) };

	if (host >> record->host_shift)
		return a;
	number = host6_number(six, record->host_shift, subscriber, host);
	if (!m->hosts.base || number >> m->hosts.shift >= m->hosts.max || !m->hosts.base[number >> m->hosts.shift])
		return a;
	line = chunks_at(&m->hosts, number);
	a.hi |= __atomic_load_n(&line->hi, __ATOMIC_ACQUIRE);
	a.lo = be64_number(__atomic_load_n(&line->lo, __ATOMIC_ACQUIRE));
	return a;
}

struct address6 mappings_host(const struct mappings *m, const struct mapping *record, uint32_t in_addr, uint32_t host)
{
	return mapping_host(m, record, &m->d->record6[record->record6 & (MAX_RECORDS6 - 1)], in_addr, host);
}

struct address6 mappings_ext6(const struct mappings *m, const struct mapping *record, uint32_t addr)
{
	const struct record6 *six = &m->d->record6[record->record6 & (MAX_RECORDS6 - 1)];
	const struct address6 prefix = { be64_number(six->nat64[0]), be64_number(six->nat64[1]) };

	return nat64_embed(&prefix, six->nat64_plen, addr);
}

bool mappings_ext6_is(const struct mappings *m, const struct address6 *addr, uint32_t *ret)
{
	for (unsigned k = 0; k < m->n_live; k++) {
		const struct mapping *record = &m->d->mapping[m->order[k].number];
		struct address6 same;

		if (!mapping_is_ipv6(record))
			continue;
		*ret = nat64_extract(m->d->record6[record->record6 & (MAX_RECORDS6 - 1)].nat64_plen, addr);
		same = mappings_ext6(m, record, *ret);
		if (address6_equal(&same, addr))
			return true;
	}
	return false;
}

unsigned mappings_hosts(const struct mappings *m, const struct mapping *record)
{
	return m->d->record6[record->record6 & (MAX_RECORDS6 - 1)].hosts;
}

static uint64_t lines_of(const struct mapping_job *t)
{
	return t->n_subscribers << t->record.host_shift;
}

/* Whether a record is one that mapping_hosts_check() lets pass, for as many subscribers. */
static bool record6_valid(const struct record6 *r, uint64_t n_subscribers)
{
	struct address6 prefix = { .hi = be64_number(r->nat64[0]), .lo = be64_number(r->nat64[1]) };
	uint64_t span;

	if (r->subscriber_plen < SUBSCRIBER_PLEN_MIN || r->subscriber_plen > SUBSCRIBER_PLEN_MAX || !r->hosts ||
	    r->hosts > HOSTS_MAX || !n_subscribers || n_subscribers & (n_subscribers - 1) ||
	    n_subscribers > 1ULL << SUBSCRIBER_BITS_MAX)
		return false;
	span = n_subscribers << (SUBSCRIBER_PLEN_MAX - r->subscriber_plen);
	return !(r->in_hi & (span - 1)) && nat64_prefix_is_valid(&prefix, r->nat64_plen) &&
	       r->lowest_mtu >= LOWEST_IPV6_MTU && r->lowest_mtu <= LOWEST_IPV6_MTU_MAX;
}

int mapping_hosts_check(const struct mapping_spec *spec)
{
	const uint32_t virtual_mask = prefix_mask(VIRTUAL_PLEN);

	if (!mapping_spec_is_ipv6(spec))
		return 0;
	return (spec->in.base & virtual_mask) == VIRTUAL_BASE && spec->in.plen <= 32 &&
			       spec->in.plen >= 32 - SUBSCRIBER_BITS_MAX &&
			       record6_valid(&spec->six, prefix_size(spec->in.plen))
		       ? 0
		       : -EINVAL;
}

int mapping_hosts_alloc(struct mapping_job *t, const struct mapping_spec *spec, struct error *err)
{
	struct mappings *m = t->m;
	uint32_t first;
	int r;

	if (!mapping_spec_is_ipv6(spec))
		return 0;
	r = mappings_open_hosts(m, err);
	if (r < 0)
		return r;
	t->six = spec->six;
	t->record.kind = MAPPING_NAT64;
	t->record.host_shift = (uint8_t)mapping_log2(spec->six.hosts);
	r = chunks_alloc(&m->hosts, lines_of(t), 1U << t->record.host_shift, &first);
	if (r == -ENOSPC)
		return r;
	if (r < 0)
		return error_set(err, r, "out of memory");
	t->six.first_host = first;
	t->hosts = (struct line_range){ .first = first, .count = lines_of(t) };
	return 0;
}

int mapping_hosts_make_step(struct mapping_job *t)
{
	return t->hosts.count ? chunks_make_step(&t->m->hosts, t->hosts.first, t->hosts.count) : 0;
}

int mapping_hosts_take(struct mapping_job *t)
{
	const struct datapath *d = t->m->d;
	const struct record6 *six;
	int r;

	if (!mapping_is_ipv6(&t->record))
		return 0;
	if (!datapath_six_has(d) || t->record.kind != MAPPING_NAT64 || t->record.record6 >= MAX_RECORDS6)
		return -ENOENT;
	six = &d->record6[t->record.record6];
	if (!record6_valid(six, t->record.geo.last_subscriber + 1ULL) ||
	    t->record.host_shift != mapping_log2(six->hosts))
		return -ENOENT;
	/* Texts of its subscribers are of these prefixes; other virtual addresses of them end with the mapping. */
	if (virtual6_claim(&(struct prefixes6){ six->in_hi, t->record.geo.last_subscriber, six->subscriber_plen },
			   t->record.geo.in_base))
		return -ENOENT;
	t->six = *six;
	if (!t->n_subscribers)
		return 0;
	r = chunks_take(&t->m->hosts, six->first_host, lines_of(t));
	if (!r)
		t->hosts = (struct line_range){ .first = six->first_host, .count = lines_of(t) };
	return r;
}

void mapping_hosts_give(struct mapping_job *t)
{
	if (t->hosts.count)
		chunks_give(&t->m->hosts, t->hosts.first, t->hosts.count);
}

bool mapping_hosts_complete(const struct mapping_job *t)
{
	return !t->hosts.count || chunks_complete(&t->m->hosts, t->hosts.first, t->hosts.count);
}

void mapping_hosts_release_unused(struct mapping_job *t)
{
	if (t->hosts.count)
		chunks_release_unused(&t->m->hosts, t->hosts.first, t->hosts.count);
}

void mapping_hosts_retire(struct mapping_job *t)
{
	if (t->hosts.count)
		chunks_retire(&t->m->hosts, t->hosts.first, t->hosts.count);
}

enum chunks_release mapping_hosts_release_step(struct mapping_job *t)
{
	enum chunks_release r;

	if (!t->hosts.count)
		return CHUNKS_RELEASED;
	r = chunks_release_step(&t->m->hosts, t->hosts.first, t->hosts.count, &t->hosts.done);
	if (r == CHUNKS_RELEASED)
		t->hosts = (struct line_range){ 0 };
	return r;
}

static struct prefix6_key key_of(const struct record6 *r)
{
	struct prefix6_key key = { .plen = r->nat64_plen };

	memcpy(key.addr, r->nat64, sizeof(key.addr));
	return key;
}

/* Whether tables are of IPv6 subscribers who have sessions there: those of mappings that drain, too. */
static bool serves_six(const struct mapping_job *t)
{
	return t && (t->stage == TABLE_LIVE || t->stage == TABLE_RETIRED) && mapping_is_ipv6(&t->record);
}

static bool has_key(const struct mapping_job *t, const struct prefix6_key *key)
{
	struct prefix6_key own;

	if (!serves_six(t))
		return false;
	own = key_of(&t->six);
	return !memcmp(&own, key, sizeof(own));
}

static int enter_prefix(const struct mappings *m, const struct record6 *r)
{
	const struct prefix6_key key = key_of(r);
	const uint32_t one = 1;

	return bpf_map_update_elem(m->d->prefixes6, &key, &one, BPF_ANY);
}

int mapping_hosts_enter(struct mapping_job *t, int number)
{
	if (!mapping_is_ipv6(&t->record))
		return 0;
	t->record.record6 = (uint32_t)number;
	t->m->d->record6[number] = t->six;
	return enter_prefix(t->m, &t->six);
}

void mapping_hosts_left(struct mappings *m, const struct mapping_job *t)
{
	struct prefix6_key key;

	if (!mapping_is_ipv6(&t->record))
		return;
	key = key_of(&t->six);
	for (unsigned number = 0; number < MAX_MAPPINGS; number++)
		if (has_key(m->table[number], &key))
			return;
	bpf_map_delete_elem(m->d->prefixes6, &key);
}

void mapping_hosts_update(struct mapping_job *t, const struct mapping_spec *spec)
{
	struct record6 *shared;

	if (!mapping_is_ipv6(&t->record) || !mapping_spec_is_ipv6(spec))
		return;
	shared = &t->m->d->record6[t->record.record6];
	t->six.hosts = spec->six.hosts;
	t->six.lowest_mtu = spec->six.lowest_mtu;
	__atomic_store_n(&shared->hosts, t->six.hosts, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->lowest_mtu, t->six.lowest_mtu, __ATOMIC_RELAXED);
}

static int find_chunks_of(struct mappings *m, const struct mapping *record, struct error *err)
{
	uint64_t n = record->geo.last_subscriber + 1ULL;

	if (!mapping_record_valid(record) || !mapping_is_ipv6(record) || record->record6 >= MAX_RECORDS6 ||
	    record->geo.out_plen == PLEN_NONE || record->host_shift > mapping_log2(HOSTS_MAX))
		return 0;
	return chunks_find(&m->hosts, m->d->record6[record->record6].first_host, n << record->host_shift, err);
}

int mapping_hosts_find(struct mappings *m, struct error *err)
{
	int r = datapath_six_has(m->d) ? mappings_open_hosts(m, err) : 0;

	if (r < 0 || !datapath_six_has(m->d))
		return r;
	r = chunks_find_all(&m->hosts, err);
	for (unsigned i = 0; r > 0 && i < MAX_MAPPINGS; i++) {
		r = find_chunks_of(m, &m->d->mapping[i], err);
		r = r < 0 ? r : 1;
	}
	return r < 0 ? r : 0;
}

/* Whether a prefix of the set of them is one of a mapping. */
static bool is_of_any(const void *key, const void *arg)
{
	const struct mappings *m = arg;

	for (unsigned number = 0; number < MAX_MAPPINGS; number++)
		if (has_key(m->table[number], key))
			return true;
	return false;
}

int mapping_hosts_settle(struct mappings *m)
{
	bool any = false;
	int r;

	if (!datapath_six_has(m->d))
		return 0;
	r = map_keep(m->d->prefixes6, sizeof(struct prefix6_key), is_of_any, m);
	for (unsigned number = 0; !r && number < MAX_MAPPINGS; number++) {
		const struct mapping_job *t = m->table[number];

		if (!serves_six(t))
			continue;
		any = true;
		r = enter_prefix(m, &t->six);
	}
	chunks_clear_unused(&m->hosts);
	if (r || any)
		return r;
	/* Of IPv4 alone, as if there had never been others. */
	mappings_close_hosts(m);
	datapath_six_drop(m->d);
	return 0;
}

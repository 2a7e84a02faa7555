/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks mappings: their records, their ranges in the tables, and both prefix indexes. */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include <detnat/binding.h>

#include "proto/words.h"
#include "base/virtual6.h"
#include "sessions/check_private.h"
#include "tables/mapping_bindings.h"
#include "tables/mapping_hosts.h"

struct index_survey {
	struct table_check *c;
	bool outside;
	uint64_t covered[MAX_MAPPINGS];
	bool strays[MAX_MAPPINGS];
};

static const char *title_of(const struct mapping_job *t, bool outside, char text[static INSIDE_TEXT])
{
	const struct geometry *g = &t->record.geo;

	return outside ? prefix_text(geometry_out(g), text) : inside_prefix_text(geometry_in(g), text);
}

/* Numbers of former mappings may appear until their grace period is over. */
static void survey_leaf(uint32_t base, unsigned plen, int tenant, unsigned number, void *arg)
{
	struct index_survey *s = arg;
	const struct mapping_job *t = number < MAX_MAPPINGS ? s->c->m->table[number] : NULL;
	char text[INSIDE_TEXT];
	const struct geometry *g;

	if (!t) {
		findings_add(s->c->findings, FINDING_INDEX, false, prefix_format(base, plen, text),
			     "the index refers to mapping %u, which does not exist", number);
		return;
	}
	g = &t->record.geo;
	if ((tenant >= 0 && tenant != t->record.tenant) ||
	    !prefix_within((struct prefix){ .base = base, .plen = (uint8_t)plen },
			   s->outside ? geometry_out(g) : geometry_in(g)))
		s->strays[number] = true;
	s->covered[number] += prefix_size(plen);
}

/* Inside addresses of a mapping without those of mappings within it. */
static uint64_t own_addresses(const struct mappings *m, unsigned number)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->n_runs; i++)
		if (m->run[i].number == number)
			n += m->run[i].last - m->run[i].first + 1;
	return n;
}

static void check_index(struct table_check *c, const struct prefix_index *x, bool outside)
{
	_cleanup_free_ struct index_survey *s = calloc(1, sizeof(*s));

	if (!s) {
		c->findings->failed = true;
		return;
	}
	s->c = c;
	s->outside = outside;
	prefix_index_walk(x, survey_leaf, s);
	for (unsigned number = 0; number < MAX_MAPPINGS; number++) {
		const struct mapping_job *t = c->m->table[number];
		char text[INSIDE_TEXT];
		uint64_t size;

		if (!t || (t->stage != TABLE_LIVE && !(outside && t->stage == TABLE_RETIRED)))
			continue;
		if (t->record.geo.out_plen == PLEN_NONE || (!outside && mapping_is_ipv6(&t->record)))
			continue;
		size = outside ? t->record.geo.last_out + 1ULL : own_addresses(c->m, number);
		if (s->covered[number] != size || s->strays[number])
			findings_add(c->findings, FINDING_INDEX, false, title_of(t, outside, text),
				     "the index maps %llu addresses to it instead of %llu%s",
				     (unsigned long long)s->covered[number], (unsigned long long)size,
				     s->strays[number] ? ", including addresses outside the prefix" : "");
	}
}

/* The next agent opens a chunk through its pin. */
static void check_chunk_pins(struct table_check *c, const struct chunks *chunks, uint32_t first, uint64_t count)
{
	for (uint64_t chunk = first >> chunks->shift; count && chunk <= (first + count - 1) >> chunks->shift; chunk++) {
		char path[PATH_MAX];
		bool repaired = false;

		if (!chunks->pin_dir || !access(chunk_pin(chunks->pin_dir, chunks->name, (uint32_t)chunk, path), F_OK))
			continue;
		if (c->repair) {
			_cleanup_close_ int fd = outer_chunk(chunks->outer, (uint32_t)chunk, NULL);

			repaired = fd >= 0 && !bpf_obj_pin(fd, path);
		}
		findings_add(c->findings, FINDING_PIN, repaired, strrchr(path, '/') + 1, "its pin in %.120s is missing",
			     chunks->pin_dir);
	}
}

static bool apart(uint64_t a, uint64_t n_a, uint64_t b, uint64_t n_b)
{
	return a + n_a <= b || b + n_b <= a;
}

static void check_ranges(struct table_check *c, const struct mapping_job *t)
{
	char text[INSIDE_TEXT];

	if ((t->n_subscribers && !chunks_complete(&c->m->subscribers, t->record.first_subscriber, t->n_subscribers)) ||
	    (t->n_buckets && !chunks_complete(&c->m->buckets, t->record.first_bucket, t->n_buckets)) ||
	    !mapping_bindings_complete(t))
		findings_add(c->findings, FINDING_MAPPING, false, title_of(t, false, text),
			     "part of its tables is missing");
	for (unsigned number = (unsigned)t->number + 1; number < MAX_MAPPINGS; number++) {
		const struct mapping_job *u = c->m->table[number];

		if (u && (!apart(t->record.first_subscriber, t->n_subscribers, u->record.first_subscriber,
				 u->n_subscribers) ||
			  !apart(t->record.first_bucket, t->n_buckets, u->record.first_bucket, u->n_buckets)))
			findings_add(c->findings, FINDING_MAPPING, false, title_of(t, false, text),
				     "it shares its tables with mapping %u", number);
	}
}

/* The second record of a mapping of IPv6 subscribers, and the lines of their hosts. */
static void check_six(struct table_check *c, const struct mapping_job *t)
{
	struct record6 *shared;
	char text[INSIDE_TEXT];

	if (!mapping_is_ipv6(&t->record))
		return;
	shared = &mappings_datapath(c->m)->record6[t->record.record6];
	if (memcmp(&t->six, shared, sizeof(t->six))) {
		if (c->repair)
			*shared = t->six;
		findings_add(c->findings, FINDING_MAPPING, c->repair, title_of(t, false, text),
			     "its second record in the tables is not what the agent wrote");
	}
	if (!mapping_hosts_complete(t))
		findings_add(c->findings, FINDING_MAPPING, false, title_of(t, false, text),
			     "part of the lines of its hosts is missing");
	else
		check_chunk_pins(c, &c->m->hosts, t->hosts.first, t->hosts.count);
}

/* The index of the inside prefixes of IPv6. */
static void check_index6(struct table_check *c)
{
	if (mappings_index6_right(c->m))
		return;
	if (c->repair)
		mappings_index6_changed(c->m);
	findings_add(c->findings, FINDING_INDEX, c->repair && mappings_index6_right(c->m), "indices6",
		     "the index of inside prefixes of IPv6 is not what the mappings say");
}

void check_mappings(struct table_check *c)
{
	for (unsigned number = 0; number < MAX_MAPPINGS; number++) {
		const struct mapping_job *t = c->m->table[number];
		char text[INSIDE_TEXT];

		if (!t || (t->stage != TABLE_LIVE && t->stage != TABLE_RETIRED))
			continue;
		c->figures.mappings++;
		if (memcmp(&t->record, &mappings_datapath(c->m)->mapping[number], sizeof(t->record))) {
			if (c->repair)
				mappings_datapath(c->m)->mapping[number] = t->record;
			findings_add(c->findings, FINDING_MAPPING, c->repair, title_of(t, false, text),
				     "its record in the tables is not what the agent wrote");
		}
		check_ranges(c, t);
		check_six(c, t);
		check_chunk_pins(c, &c->m->subscribers, t->record.first_subscriber, t->n_subscribers);
		check_chunk_pins(c, &c->m->buckets, t->record.first_bucket, t->n_buckets);
		for (size_t i = 0; i < ARRAY_SIZE(t->bindings); i++)
			if (t->bindings[i].count)
				check_chunk_pins(c, &c->m->buckets, t->bindings[i].first, t->bindings[i].count);
	}
	check_index(c, &c->m->in, false);
	check_index(c, &c->m->out, true);
	check_index6(c);
}

/* Checks a subscriber's bindings against the rules of <detnat/binding.h>. */

static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };

static uint64_t *entry_at(const struct subscriber_iterator *it, uint8_t proto, uint32_t offset)
{
	return mappings_binding(it->m, it->number, mapping_subscriber(&it->map->geo, it->in_addr), proto, offset);
}

static uint32_t home_of(const struct subscriber_iterator *it, uint64_t entry)
{
	return mapping_first_choice(&it->map->geo, binding_in_port(entry)) >> PORT_GROUP_SHIFT;
}

/* Whether the line of its first choice shows that a binding of it has strayed. */
static bool is_noted(const struct subscriber_iterator *it, uint8_t proto, uint64_t entry)
{
	const uint64_t *first = entry_at(it, proto, home_of(it, entry) << PORT_GROUP_SHIFT);

	return first && binding_flags(LOAD(*first)) & BINDING_AWAY;
}

/*
 * Whether another port, with a higher number, is bound for the same inside port; the home group has those not strayed.
 */
static bool has_second(const struct subscriber_iterator *it, uint8_t proto, uint32_t offset, uint64_t entry)
{
	uint32_t home = home_of(it, entry) << PORT_GROUP_SHIFT;
	uint32_t end = home + group_size(home, it->map->geo.ports_per_host);

	for (uint32_t at = home; at < end; at++) {
		const uint64_t *other = entry_at(it, proto, at);

		if (other && at != offset && binding_is_of(LOAD(*other), binding_in_port(entry)) &&
		    ((binding_flags(entry) & BINDING_STRAYED) || at > offset))
			return true;
	}
	return false;
}

static bool is_faulty(const struct subscriber_iterator *it, uint8_t proto, uint32_t offset, uint64_t entry,
		      enum binding_fault_kind *ret)
{
	bool strayed = binding_flags(entry) & BINDING_STRAYED;

	if (!binding_is_bound(entry))
		return false;
	*ret = BINDING_ELSEWHERE;
	if (strayed == (home_of(it, entry) == offset >> PORT_GROUP_SHIFT))
		return true;
	*ret = BINDING_SECOND;
	if (has_second(it, proto, offset, entry))
		return true;
	*ret = BINDING_NOT_NOTED;
	return strayed && !is_noted(it, proto, entry);
}

uint64_t examine_bindings(const struct subscriber_iterator *it, struct examination *ret)
{
	uint64_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (!(it->map->bindings.mapping & binding_protocol(protocols[i])))
			continue;
		for (uint32_t offset = 0; offset < it->map->geo.ports_per_host; offset++) {
			struct binding_fault f = { .proto = protocols[i], .offset = offset };
			const uint64_t *entry = entry_at(it, protocols[i], offset);

			if (!entry)
				break;
			f.entry = LOAD(*entry);
			n += binding_is_bound(f.entry);
			if (ret->n_binding_faults < FAULTS_MAX && is_faulty(it, f.proto, offset, f.entry, &f.kind))
				ret->binding_fault[ret->n_binding_faults++] = f;
		}
	}
	return n;
}

/* Stamps change while a binding is used. */
static bool same_fault(const struct binding_fault *a, const struct binding_fault *b)
{
	return a->kind == b->kind && a->proto == b->proto && a->offset == b->offset && !((a->entry ^ b->entry) >> 32);
}

static bool mend(const struct subscriber_iterator *it, const struct binding_fault *f)
{
	uint64_t *entry = entry_at(it, f->proto, f->offset), *first;

	if (f->kind != BINDING_NOT_NOTED)
		return entry && binding_change((__u64 *)entry, f->entry, binding_freed(f->entry));
	first = entry_at(it, f->proto, home_of(it, f->entry) << PORT_GROUP_SHIFT);
	if (first)
		__atomic_fetch_or(first, (uint64_t)BINDING_AWAY << 32, __ATOMIC_SEQ_CST);
	return first;
}

bool settle_bindings(struct table_check *c, const struct suspect *s, const struct subscriber_iterator *it,
		     const struct examination *now)
{
	static const char *const texts[] = {
		[BINDING_ELSEWHERE] = "bound in a group of ports where no lookup finds it",
		[BINDING_SECOND] = "bound although the inside port has another port",
		[BINDING_NOT_NOTED] = "bound in another group, which its own group does not show",
	};
	const struct geometry *g = &it->map->geo;
	bool settled = true;

	for (unsigned i = 0; i < now->n_binding_faults; i++) {
		const struct binding_fault *f = &now->binding_fault[i];
		char addr[INSIDE_TEXT];
		bool before = false;

		for (unsigned k = 0; k < s->first.n_binding_faults; k++)
			before |= same_fault(f, &s->first.binding_fault[k]);
		settled &= before;
		if (before)
			findings_add(c->findings, FINDING_BINDING, c->repair && mend(it, f),
				     inside_text(it->in_addr, addr), "%s port %u is %s: inside port %u",
				     word_text(proto_words, f->proto),
				     mapping_port_lo(g, mapping_subscriber(g, it->in_addr)) + f->offset, texts[f->kind],
				     binding_in_port(f->entry));
	}
	return settled;
}

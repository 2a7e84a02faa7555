/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks a subscriber's bindings against the rules of <detnat/binding.h>. */
#include <netinet/in.h>

#include <detnat/binding.h>

#include "proto/words.h"
#include "sessions/check_private.h"

static const uint8_t protocols[] = { IPPROTO_UDP, IPPROTO_TCP, IPPROTO_ICMP };

static uint64_t *entry_at(const struct subscriber_iterator *it, uint8_t proto, uint32_t offset)
{
	return mappings_binding(it->m, it->number, mapping_subscriber(&it->map->geo, it->in_addr), proto, offset);
}

static uint32_t home_of(const struct subscriber_iterator *it, uint64_t entry)
{
	return mapping_first_choice(&it->map->geo, binding_in_port(entry)) >> PORT_GROUP_SHIFT;
}

/* Whether the line of its first choice says that a binding of it has strayed. */
static bool is_noted(const struct subscriber_iterator *it, uint8_t proto, uint64_t entry)
{
	const uint64_t *first = entry_at(it, proto, home_of(it, entry) << PORT_GROUP_SHIFT);

	return first && binding_flags(LOAD(*first)) & BINDING_AWAY;
}

/* Whether another port, of a higher number, is bound for the same inside port; the home group has those not strayed. */
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

/* Stamps go on while a binding is used. */
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
		[BINDING_ELSEWHERE] = "bound in a group of ports in which it is not looked for",
		[BINDING_SECOND] = "bound though the inside port has another port",
		[BINDING_NOT_NOTED] = "bound in another group, and its own does not say so",
	};
	const struct geometry *g = &it->map->geo;
	bool settled = true;

	for (unsigned i = 0; i < now->n_binding_faults; i++) {
		const struct binding_fault *f = &now->binding_fault[i];
		char addr[ADDR_TEXT];
		bool before = false;

		for (unsigned k = 0; k < s->first.n_binding_faults; k++)
			before |= same_fault(f, &s->first.binding_fault[k]);
		settled &= before;
		if (before)
			findings_add(c->findings, FINDING_BINDING, c->repair && mend(it, f),
				     addr_format(it->in_addr, addr), "%s port %u is %s: inside port %u",
				     word_text(proto_words, f->proto),
				     mapping_port_lo(g, mapping_subscriber(g, it->in_addr)) + f->offset, texts[f->kind],
				     binding_in_port(f->entry));
	}
	return settled;
}

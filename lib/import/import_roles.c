// SPDX-License-Identifier: BSD-2-Clause
#include "import/import_roles.h"

#include <string.h>

#include "import/import_build.h"

/*
 * What rules say of an interface. A translation of sources has subscribers on the side that packets come from; one of
 * destinations has the internet there, unless it is for subscribers who use an outside address, so it counts only where
 * the others say nothing.
 */
struct said {
	uint32_t inside;  /* line of the first rule; 0: none */
	uint32_t outside; /* likewise */
	uint32_t inwards; /* of the first translation of destinations that it names */
};

enum leads { LEADS_OUT = 1, LEADS_IN = 2 };

struct roles {
	struct import_rules *rules;
	uint8_t *leads; /* enum leads of each chain, or-ed */
	struct said *said;
};

/* What a rule leads to, by itself or by the chain that it jumps to. */
static uint8_t rule_leads(const struct roles *o, const struct import_rule *r)
{
	if (r->action == RULE_DNAT)
		return LEADS_IN;
	if (r->action == RULE_JUMP || r->action == RULE_GOTO)
		return r->target == IMPORT_CHAIN_NONE ? 0
						      : (uint8_t)(o->leads[r->target] & (r->reached ? 3 : LEADS_IN));
	return r->action <= RULE_MASQUERADE && r->reached && !r->partial && !r->outwards ? LEADS_OUT : 0;
}

/* Chains jump to others that jump to others: as often as something is new. */
static void find_leads(struct roles *o)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < o->rules->n; i++) {
			const struct import_rule *r = &o->rules->rule[i];
			uint8_t leads = rule_leads(o, r);

			again |= (o->leads[r->chain] | leads) != o->leads[r->chain];
			o->leads[r->chain] |= leads;
		}
	}
}

static bool names(const struct roles *o, const struct import_rule *r, uint16_t name, bool leaves)
{
	for (size_t k = 0; k < r->n_via; k++) {
		const struct import_via *via = &o->rules->via[r->via + k];

		if (via->name == name && via->leaves == leaves)
			return true;
	}
	return false;
}

static void first_line(uint32_t *to, uint32_t line)
{
	if (!*to)
		*to = line;
}

/* An interface that a rule has on both sides is a hairpin, or one with both roles: no rule tells which. */
static void hear(struct roles *o, const struct import_rule *r)
{
	uint8_t leads = r->n_via ? rule_leads(o, r) : 0;

	for (size_t k = 0; k < r->n_via; k++) {
		const struct import_via *via = &o->rules->via[r->via + k];
		struct said *said = &o->said[via->name];

		if (leads & LEADS_OUT && !names(o, r, via->name, !via->leaves))
			first_line(via->leaves ? &said->outside : &said->inside, r->line);
		if (leads & LEADS_IN && !via->leaves)
			first_line(&said->inwards, r->line);
	}
}

static void decide(struct import *m, const char *name, const struct said *s)
{
	if (s->inside && s->outside)
		import_note(
			m, IMPORT_INTERFACE, s->outside,
			"packets leave by %s here, and come from it in line %u: neither inside nor outside by that; "
			"write it where it belongs, into both if subscribers and the internet are behind it",
			name, s->inside);
	else if (s->inside)
		import_names_add(m, &m->inside, name);
	else if (s->outside || s->inwards)
		import_names_add(m, &m->outside, name);
}

void import_rules_roles(struct import_rules *rules)
{
	_cleanup_free_ uint8_t *leads = calloc(rules->n_chains + 1UL, sizeof(*leads));
	_cleanup_free_ struct said *said = calloc(rules->interfaces.n + 1, sizeof(*said));
	struct roles o = { rules, leads, said };

	if (!leads || !said) {
		import_fail(rules->m, "out of memory");
		return;
	}
	find_leads(&o);
	for (size_t i = 0; i < rules->n; i++)
		hear(&o, &rules->rule[i]);
	for (size_t i = 0; i < rules->interfaces.n; i++)
		decide(rules->m, rules->interfaces.name[i], &said[i]);
}

void import_rules_via(struct import_rules *rules, struct import_rule *r, const char *name, bool leaves)
{
	size_t at;

	r->loopback |= !strcmp(name, "lo");
	import_names_add(rules->m, &rules->interfaces, name);
	at = import_names_find(&rules->interfaces, name);
	if (at == rules->interfaces.n)
		return;
	if (rules->n_via == rules->via_room) {
		size_t room = rules->via_room ? 2 * rules->via_room : 64;
		struct import_via *via = realloc(rules->via, room * sizeof(*via));

		if (!via) {
			import_fail(rules->m, "out of memory");
			return;
		}
		rules->via = via;
		rules->via_room = room;
	}
	rules->via[rules->n_via++] = (struct import_via){ (uint16_t)at, leaves };
}

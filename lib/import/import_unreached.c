// SPDX-License-Identifier: BSD-2-Clause
/*
 * A rule may have nothing left because an earlier one has all its sources, because nothing jumps to its chain, or
 * because the earlier ones are for another interface: packets that leave by a second uplink do reach it, but a
 * subscriber has one block here, and it is the first one's.
 */
#include "import/import_unreached.h"

#include "import/import_build.h"

struct unreached {
	const struct import_rules *rules;
	bool *uplink;	  /* of each interface: rules that decide have packets leave by it */
	uint32_t *by;	  /* of each chain: one more than the interface of the jumps that lead to it; 0: none */
	bool *translates; /* each chain, by itself or by one that it jumps to */
};

static bool jumps(const struct import_rule *r)
{
	return r->action == RULE_JUMP || r->action == RULE_GOTO;
}

static bool decides(const struct import_rule *r)
{
	return r->action <= RULE_MASQUERADE || jumps(r);
}

/* A jump by which other protocols alone come leads to none of the plan. */
static bool reached(const struct import_rule *r)
{
	return jumps(r) && r->protos & IMPORT_PORTS ? r->served : r->reached;
}

static bool unreached(const struct import_rule *r)
{
	return !reached(r) && !r->partial && !r->outwards && !(r->loopback && !r->n_via) && decides(r);
}

/* One more than the interface by which a rule's packets leave, if rules that are reached have another; 0: they have
 * none. */
static uint32_t other_uplink(const struct unreached *u, const struct import_rule *r)
{
	uint32_t own = 0, others = 0;

	for (size_t k = 0; k < r->n_via; k++)
		if (u->rules->via[r->via + k].leaves)
			own = u->rules->via[r->via + k].name + 1U;
	for (size_t i = 0; i < u->rules->interfaces.n; i++)
		others += u->uplink[i] && i + 1 != own;
	return own && others && !u->uplink[own - 1] ? own : 0;
}

static void find(struct unreached *u)
{
	const struct import_rules *rules = u->rules;

	for (size_t i = 0; i < rules->n; i++) {
		const struct import_rule *r = &rules->rule[i];

		u->translates[r->chain] |= r->action <= RULE_NETMAP;
		for (size_t k = 0; reached(r) && decides(r) && k < r->n_via; k++)
			u->uplink[rules->via[r->via + k].name] |= rules->via[r->via + k].leaves;
	}
	/* Chains jump to others that jump to others: as often as something is new. */
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < rules->n; i++) {
			const struct import_rule *r = &rules->rule[i];
			uint32_t by = unreached(r) ? other_uplink(u, r) : 0;

			if (!jumps(r) || r->target == IMPORT_CHAIN_NONE)
				continue;
			if (u->translates[r->target] && !u->translates[r->chain])
				again = u->translates[r->chain] = true;
			by = by ? by : u->by[r->chain];
			if (by && !u->by[r->target]) {
				u->by[r->target] = by;
				again = true;
			}
		}
	}
}

static void note(const struct unreached *u, const struct import_rule *r)
{
	uint32_t by = other_uplink(u, r);

	by = by ? by : u->by[r->chain];
	if (by)
		import_note(
			u->rules->m, IMPORT_EXCEPTION, r->line,
			"what leaves by %s is translated by this rule there, and by another interface otherwise: not "
			"kept, a subscriber has one block here, whatever the interface",
			u->rules->interfaces.name[by - 1]);
	else
		import_note(
			u->rules->m, IMPORT_UNREACHED, r->line,
			"no packet reaches this rule: earlier ones decide on all its sources, or nothing jumps to its "
			"chain");
}

/* What is not understood, and would have led to translations. */
static bool would_lead(const struct unreached *u, const struct import_rule *r)
{
	if (jumps(r))
		return r->target != IMPORT_CHAIN_NONE && u->translates[r->target];
	return r->action <= RULE_NETMAP;
}

void import_rules_unreached(struct import_rules *rules)
{
	_cleanup_free_ bool *uplink = calloc(rules->interfaces.n + 1, sizeof(*uplink));
	_cleanup_free_ bool *translates = calloc(rules->n_chains + 1UL, sizeof(*translates));
	_cleanup_free_ uint32_t *by = calloc(rules->n_chains + 1UL, sizeof(*by));
	struct unreached u = { rules, uplink, by, translates };

	if (!uplink || !translates || !by) {
		import_fail(rules->m, "out of memory");
		return;
	}
	find(&u);
	for (size_t i = 0; i < rules->n; i++) {
		const struct import_rule *r = &rules->rule[i];

		if (unreached(r) && r->action <= RULE_MASQUERADE)
			note(&u, r);
		if (r->partial && !rules->m->decisive && would_lead(&u, r))
			rules->m->decisive = r->line;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* A look at the part that an edit concerns refuses what a look at the whole refuses. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "change/mapping_tally.h"
#include "config/near.h"
#include "config/port_pairs.h"
#include "config/running_text.h"
#include "rounds.h"

static uint32_t below(uint32_t n)
{
	return (uint32_t)random() % n;
}

/* Inside addresses and outside ones from small ranges, so that they often meet. */
static struct prefix any(uint32_t base, uint32_t addresses, uint8_t shortest)
{
	uint8_t plen = (uint8_t)(shortest + below(33U - shortest));

	return (struct prefix){ .base = (base + below(addresses)) & prefix_mask(plen), .plen = plen };
}

static void change_mapping(struct config *c, struct config_mapping *m)
{
	switch (below(9)) {
	case 0:
		m->sessions_per_user = below(3) ? 100 + below(900) : 1U << 31;
		break;
	case 1:
		snprintf(m->name, sizeof(m->name), "m%u", below(12));
		break;
	case 2:
		m->until = m->until ? 0 : 4000000000;
		break;
	case 3:
		m->n_spare = below(2);
		m->spare[0] = any(0xc0000200, 256, 28);
		break;
	case 4:
		m->inbound = m->inbound == INBOUND_OPEN ? INBOUND_SESSIONS : INBOUND_OPEN;
		break;
	case 5:
		m->growth.given = !m->growth.given;
		break;
	case 6:
		m->limits.tcp = below(2);
		m->limits.given = m->limits.tcp > 0;
		break;
	case 7:
		m->independence =
			(struct config_independence){ .given = below(2), .mapping = 1, .filtering = (uint8_t)below(2) };
		break;
	default:
		m->ports.ports_per_host = below(2) ? 0 : 1U << below(12);
	}
	config_mappings_changed(c);
}

static void change_portmap(struct config *c)
{
	struct config_portmap p = { .protos = below(2) ? PORTMAP_OF_TCP : PORTMAP_OF_BOTH };

	if (c->n_portmaps && !below(3)) {
		size_t at = below((uint32_t)c->n_portmaps);

		cr_assert_eq(config_own_portmaps(c), 0);
		c->n_portmaps--;
		memmove(&c->portmaps[at], &c->portmaps[at + 1], (c->n_portmaps - at) * sizeof(p));
		return;
	}
	p.in.addr = 0x0a000000 + below(256);
	p.in.first = (uint16_t)(80 + below(3));
	p.in.last = (uint16_t)(p.in.first + below(2));
	if (below(2)) {
		p.out = p.in;
		p.out.addr = 0xc0000200 + below(16);
	}
	cr_assert_eq(config_add_portmap(c, &p), 0);
}

/* One or two edits of any kind. */
static void edit(struct config *c)
{
	for (unsigned n = 1 + below(2); n > 0; n--) {
		struct config_mapping *m = c->n_mappings ? &c->mappings[below((uint32_t)c->n_mappings)] : NULL;

		if (below(3) == 0)
			change_portmap(c);
		else if (m && below(8) == 0)
			config_del_mapping_of(c, m->tenant, m->in, m->out);
		else if (m && below(3) == 0)
			change_mapping(c, m);
		else
			config_add_mapping(c, "", any(0x0a000000, 256, 24),
					   below(8) ? any(0xc0000200, 256, 28) : PREFIX_NONE);
	}
}

/* What is counted of the part alone is what a look at all mappings counts. */
static void compare_tallies(struct config *before, const struct config *after, const struct config_part *part)
{
	const struct config_part none = { 0 };
	struct active_config active = { .config = before };
	struct mapping_tally whole = mapping_tally_of(&active, after, &none), own;

	active.tally = mapping_tally_of(&active, before, &none);
	own = mapping_tally_of(&active, after, part);
	cr_assert_eq(own.slots, whole.slots);
	cr_assert_eq(own.bindings, whole.bindings);
	cr_assert_eq(own.filtering, whole.filtering);
	cr_assert_eq(own.open, whole.open);
	cr_assert_eq(own.growth, whole.growth);
	cr_assert_eq(own.port_zero, whole.port_zero);
	cr_assert_eq(own.limits, whole.limits);
	cr_assert_eq(own.six, whole.six);
}

static void compare(struct config *before, const struct config *after, unsigned *ret_refused)
{
	struct config_part part;
	struct error whole = { 0 }, own = { 0 };
	int refused = config_validate(after, NULL, &whole);

	cr_assert_eq(config_part_of(before, after, &part), 0);
	cr_assert_eq(config_validate(part.config, NULL, &own), refused, "the whole: %s; the part: %s", whole.text,
		     own.text);
	/* Of fields with a place in a list, the place is another one. */
	cr_assert(strchr(whole.text, '[') || !strcmp(whole.text, own.text), "%s\n%s", whole.text, own.text);
	compare_tallies(before, after, &part);
	for (size_t i = 0; i < part.config->n_mappings; i++)
		cr_assert_not_null(
			config_find_mapping(after, part.config->mappings[i].in, part.config->mappings[i].out));
	config_part_free(&part);
	*ret_refused += refused != 0;
}

/* The text of an edit is the one that the whole would be written as. */
static void exchange_text(const struct config *before, const struct config *after, struct running_text *text)
{
	_cleanup_free_ char *json = config_to_json(after);
	struct running_text now;
	struct config_part part;

	cr_assert_eq(config_part_of(before, after, &part), 0);
	cr_assert_eq(running_text_of(after, text, &part, &now), 0);
	cr_assert_eq(strcmp(now.json, json), 0, "%s\n%s", now.json, json);
	cr_assert_eq(now.length, strlen(json));
	config_part_free(&part);
	running_text_free(text);
	*text = now;
}

/* What ran before becomes what runs then. */
static void follow(struct config *before, const struct config *after)
{
	_cleanup_free_ char *json = config_to_json(after), *followed = NULL;
	struct config_part part;

	cr_assert_eq(config_part_of(before, after, &part), 0);
	cr_assert(config_part_follow(before, after, &part));
	followed = config_to_json(before);
	cr_assert_str_eq(followed, json);
	config_part_free(&part);
}

Test(config_part, is_refused_when_the_whole_is)
{
	_cleanup_config_ struct config *c = config_new();
	struct running_text text = { 0 };
	unsigned refused = 0, rounds = rounds_of(4000), rich = 0;

	srandom(9);
	c->pcp.enabled = true;
	for (unsigned i = 0; i < rounds; i++) {
		_cleanup_config_ struct config *after = config_clone(c);
		struct error err;

		rich += c->n_mappings > 3 && c->n_portmaps > 3;
		edit(after);
		compare(c, after, &refused);
		if (config_validate(after, NULL, &err))
			continue;
		exchange_text(c, after, &text);
		follow(c, after);
		config_free(c);
		c = take_pointer(after);
	}
	running_text_free(&text);
	cr_assert_gt(refused, rounds / 10);
	cr_assert_lt(refused, rounds - rounds / 10);
	cr_assert_gt(rich, rounds / 10);
}

Test(config_part, has_mappings_of_lists_with_all_their_parts)
{
	static const char text[] =
		"{\"interfaces\":{\"inside\":[\"a\"],\"outside\":[\"b\"]},\"mappings\":[{\"in\":\"10.0.0.0/"
		"24\",\"out\":\"192.0.2.0/30\"},"
		"{\"in\":[\"10.0.2.0/24\",\"10.0.4.0/24\"],\"out\":\"192.0.2.8/29\",\"subscribers_per_address\":64},"
		"{\"in\":\"10.0.8.0/24\",\"out\":\"192.0.2.32/30\"}]}";
	_cleanup_config_ struct config *c = NULL;
	struct running_text of_c = { 0 };
	const struct config_part whole = { 0 };
	struct error err = { 0 };
	unsigned refused = 0;

	cr_assert_eq(config_parse(text, strlen(text), NULL, &c, &err), 0, "%s", err.text);
	cr_assert_gt(c->n_mappings, 3, "parts");
	cr_assert_eq(running_text_of(c, &of_c, &whole, &of_c), 0);
	for (size_t i = 0; i < 2 * c->n_mappings; i++) {
		_cleanup_config_ struct config *after = config_clone(c);
		struct config_mapping *m = &after->mappings[i / 2];
		struct running_text now = { 0 };

		cr_assert_eq(running_text_of(c, &now, &whole, &now), 0);
		if (i % 2) {
			m->sessions_per_user = 77;
			config_spread(after, m);
		} else {
			config_del_mapping_of(after, "", m->in, m->out);
		}
		compare(c, after, &refused);
		exchange_text(c, after, &now);
		exchange_text(after, c, &now);
		cr_assert_str_eq(now.json, of_c.json);
		running_text_free(&now);
	}
	cr_assert_eq(refused, 0);
	running_text_free(&of_c);
}

static struct config *many(void)
{
	struct config *c = config_new();

	for (uint32_t i = 0; i < 1000; i++)
		cr_assert_eq(config_add_mapping(c, "", (struct prefix){ 0x64400000 + (i << 6), 26 },
						(struct prefix){ 0xc6120000 + (i << 2), 30 }),
			     0);
	for (uint32_t i = 0; i < 5000; i++)
		cr_assert_eq(config_add_portmap(c, &(struct config_portmap){ .protos = PORTMAP_OF_TCP,
									     .in = { 0x64400001 + (i << 3), 80, 80 } }),
			     0);
	return c;
}

Test(config_part, has_what_one_change_concerns_and_no_more)
{
	_cleanup_config_ struct config *c = many(), *after = config_clone(c);
	struct config_part p;

	after->mappings[500].sessions_per_user = 77;
	cr_assert_eq(config_part_of(c, after, &p), 0);
	cr_assert_eq(p.config->n_mappings, 1);
	cr_assert_eq(p.config->n_portmaps, 8);
	cr_assert_eq(p.n_touched, 1);
	cr_assert(config_part_touches(&p, after->mappings[500].in.base + 63, UINT32_MAX));
	cr_assert_not(config_part_touches(&p, 0, after->mappings[500].in.base - 1));
	config_part_free(&p);
}

Test(config_part, has_the_portmaps_of_those_who_share_an_outside_address)
{
	_cleanup_config_ struct config *c = many(), *after = NULL;
	struct config_portmap p = { .protos = PORTMAP_OF_TCP, .in = { 0x64400003, 443, 443 } };
	unsigned refused = 0;

	/* 16 subscribers have the first address. */
	p.out = (struct port_span){ 0xc6120000, 443, 443 };
	cr_assert_eq(config_add_portmap(c, &p), 0);
	after = config_clone(c);
	p.in.addr = 0x64400007;
	cr_assert_eq(config_add_portmap(after, &p), 0);
	compare(c, after, &refused);
	cr_assert_eq(refused, 1);
}

Test(config_part, is_not_known_where_other_keys_differ_or_much_does)
{
	_cleanup_config_ struct config *c = many(), *key = config_clone(c), *much = config_clone(c);
	struct config_part p;

	key->timeouts[0]++;
	cr_assert_eq(config_part_of(c, key, &p), 1);
	for (size_t i = 0; i < 400; i++)
		much->mappings[i].sessions_per_user = 77;
	cr_assert_eq(config_part_of(c, much, &p), 1);
}

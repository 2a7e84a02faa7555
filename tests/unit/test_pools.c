/* SPDX-License-Identifier: BSD-2-Clause */
/* Edits by pool drain, pool restore and user move: which exceptions they make, and what is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/pools.h"

static struct prefix prefix(const char *text)
{
	struct prefix p;

	cr_assert_eq(prefix_parse(text, &p), 0, "%s", text);
	return p;
}

static enum pool_use not_used(struct prefix out, const char *tenant, struct prefix in, void *arg)
{
	return POOL_FREE;
}

/* One prefix that a retired mapping has. */
static enum pool_use retired(struct prefix out, const char *tenant, struct prefix in, void *arg)
{
	const struct prefix *p = arg;

	if (in.base == prefix("100.64.0.64/26").base || !prefix_overlaps(p->base, p->plen, out.base, out.plen))
		return POOL_FREE;
	return out.plen >= p->plen ? POOL_WHOLE : POOL_IN_PART;
}

static const struct pool_users none = { not_used, NULL };

/* 64 inside addresses behind each of 16 outside ones. */
static struct config *residential(void)
{
	struct config *c = config_new();

	config_add_interface(c, "eth1", DEVICE_INSIDE);
	config_add_interface(c, "eth0", DEVICE_OUTSIDE);
	config_add_mapping(c, "", prefix("100.64.0.0/22"), prefix("203.0.113.0/28"));
	strcpy(c->mappings[0].name, "residential");
	c->mappings[0].sessions_per_user = 77;
	c->mappings[0].session_slots = 64;
	c->mappings[0].drain = 60;
	c->mappings[0].spare[c->mappings[0].n_spare++] = prefix("198.51.100.0/30");
	return c;
}

/* Writes "drain-… IN OUT; …" for all but the first mapping. */
static const char *exceptions(const struct config *c)
{
	static char text[1024];
	char in[ADDR_TEXT], out[ADDR_TEXT];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 1; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s %s", i > 1 ? "; " : "", m->name,
				      prefix_text(m->in, in), prefix_text(m->out, out));
	}
	return text;
}

static void expect_valid(const struct config *c)
{
	struct error err = { "" };

	cr_expect_eq(config_validate(c, NULL, &err), 0, "%s", err.text);
}

#define EXPECT_EXCEPTIONS(c, wanted)                                          \
	do {                                                                  \
		cr_expect_str_eq(exceptions(c), wanted, "%s", exceptions(c)); \
		expect_valid(c);                                              \
	} while (0)

static int drain(struct config *c, const char *out, const char *to, struct error *err)
{
	struct prefix target = to ? prefix(to) : PREFIX_NONE;
	struct pool_edit edit;

	return pool_drain(c, prefix(out), to ? &target : NULL, 60, &none, &edit, err);
}

static void expect_refused(const char *out, const char *to, int r, const char *message)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };

	cr_expect_eq(drain(c, out, to, &err), r, "%s: %s", message, err.text);
	cr_expect_str_eq(err.text, message, "%s", err.text);
}

Test(pools, the_subscribers_of_a_drained_address_get_a_spare_one)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	struct pool_edit edit;

	cr_assert_eq(pool_drain(c, prefix("203.0.113.3/32"), NULL, 90, &none, &edit, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.3 100.64.0.192/26 198.51.100.0/32");
	cr_expect_eq(edit.addresses, 1);
	cr_expect_eq(edit.subscribers, 64);
	cr_expect_eq(edit.mappings, 1);
	cr_expect_eq(c->mappings[1].sessions_per_user, 77);
	cr_expect_eq(c->mappings[1].session_slots, 64);
	cr_expect_eq(c->mappings[1].drain, 90);
	cr_expect_eq(c->mappings[1].n_spare, 0, "the spare addresses are the mapping's alone");
	cr_expect_eq(config_mapping_slots(c, &c->mappings[1]), config_mapping_slots(c, &c->mappings[0]));
}

Test(pools, a_prefix_is_drained_by_as_few_mappings_as_fit)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };

	cr_assert_eq(drain(c, "203.0.113.4/30", NULL, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.4-30 100.64.1.0/24 198.51.100.0/30");
}

Test(pools, a_prefix_is_split_where_the_free_addresses_are)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };

	cr_assert_eq(drain(c, "203.0.113.9/32", NULL, &err), 0, "%s", err.text);
	cr_assert_eq(drain(c, "203.0.113.4/31", NULL, &err), 0, "%s", err.text);
	cr_assert_eq(drain(c, "203.0.113.1/32", NULL, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.9 100.64.2.64/26 198.51.100.0/32; "
			     "drain-203.0.113.4-31 100.64.1.0/25 198.51.100.2/31; "
			     "drain-203.0.113.1 100.64.0.64/26 198.51.100.1/32");
	cr_expect_eq(drain(c, "203.0.113.2/32", NULL, &err), -ENOSPC);
	cr_expect_str_eq(err.text,
			 "mapping residential (100.64.0.0/22) has 0 spare addresses free, and 203.0.113.2 needs 1; "
			 "name others with --to");
}

Test(pools, a_mapping_that_is_drained_already_needs_no_further_address)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	struct pool_edit edit;

	cr_assert_eq(drain(c, "203.0.113.5/32", "192.0.2.9/32", &err), 0, "%s", err.text);
	cr_assert_eq(pool_drain(c, prefix("203.0.113.4/31"), NULL, 60, &none, &edit, &err), 0, "%s", err.text);
	cr_expect_eq(edit.addresses, 1);
	cr_expect_eq(config_mapping_of_tenant(c, "", prefix("100.64.1.64/32").base)->out.base,
		     prefix("192.0.2.9/32").base, "203.0.113.5's subscribers stay where they are");
	expect_valid(c);
}

Test(pools, a_whole_pool_is_drained_in_halves)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };

	cr_assert_eq(drain(c, "203.0.113.0/28", "192.0.2.0/27", &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.0-29 100.64.0.0/23 192.0.2.0/29; "
			     "drain-203.0.113.8-29 100.64.2.0/23 192.0.2.8/29");
}

Test(pools, a_subscriber_with_an_exception_keeps_it)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	struct pool_edit edit;

	config_add_mapping(c, "", prefix("100.64.0.200/32"), prefix("192.0.2.200/32"));
	config_add_mapping(c, "", prefix("100.64.0.208/29"), prefix("192.0.2.208/32"));
	config_add_mapping(c, "", prefix("100.64.0.209/32"), prefix("192.0.2.209/32"));
	cr_assert_eq(pool_drain(c, prefix("203.0.113.3/32"), NULL, 60, &none, &edit, &err), 0, "%s", err.text);
	cr_expect_eq(edit.subscribers, 64 - 1 - 8, "%u", (unsigned)edit.subscribers);
	cr_expect_eq(config_mapping_of_tenant(c, "", prefix("100.64.0.200/32").base)->out.base,
		     prefix("192.0.2.200/32").base);
	cr_expect_eq(config_mapping_of_tenant(c, "", prefix("100.64.0.201/32").base)->out.base,
		     prefix("198.51.100.0/32").base);
	expect_valid(c);
	cr_assert_eq(pool_restore(c, prefix("203.0.113.3/32"), &edit, &err), 0, "%s", err.text);
	cr_expect_eq(edit.subscribers, 64 - 1 - 8, "%u", (unsigned)edit.subscribers);
}

Test(pools, an_address_that_cannot_be_drained_is_refused_with_figures)
{
	expect_refused("192.0.2.1/32", NULL, -ENOENT,
		       "192.0.2.1 is in no mapping's pool; `detnatctl pool list` shows them");
	expect_refused(
		"203.0.113.0/24", NULL, -EINVAL,
		"203.0.113.0/24 is larger than the pool of mapping residential (100.64.0.0/22); name addresses of one "
		"pool");
	expect_refused(
		"203.0.113.0/29", NULL, -ENOSPC,
		"mapping residential (100.64.0.0/22) has 4 spare addresses free, and 203.0.113.0/29 needs 8; name "
		"others with --to");
	expect_refused("203.0.113.0/29", "192.0.2.0/30", -ENOSPC,
		       "192.0.2.0/30 has 4 free addresses, but 203.0.113.0/29 needs 8");
	expect_refused("203.0.113.3/32", "203.0.113.3/32", -ENOSPC,
		       "203.0.113.3 has 0 free addresses, but 203.0.113.3 needs 1");
	expect_refused("203.0.113.3/32", "203.0.113.4/32", -ENOSPC,
		       "203.0.113.4 has 0 free addresses, but 203.0.113.3 needs 1");
	expect_refused("203.0.113.3/32", "100.64.0.0/10", -EINVAL,
		       "100.64.0.0/10 has inside addresses, of mapping residential (100.64.0.0/22); name outside "
		       "addresses");
}

Test(pools, a_mapping_without_spare_addresses_says_so)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };

	c->mappings[0].n_spare = 0;
	cr_expect_eq(drain(c, "203.0.113.3/32", NULL, &err), -ENOSPC);
	cr_expect_str_eq(err.text,
			 "mapping residential (100.64.0.0/22) has no spare addresses; name others with --to, or "
			 "give it `spare`");
}

Test(pools, the_only_address_of_a_pool_is_replaced_rather_than_drained)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };

	config_add_mapping(c, "", prefix("100.65.0.0/26"), prefix("192.0.2.1/32"));
	cr_expect_eq(drain(c, "192.0.2.1/32", "192.0.2.2/32", &err), -EINVAL);
	cr_expect_str_eq(err.text,
			 "192.0.2.1 is all of the pool of mapping 100.65.0.0/26; `detnatctl mapping add IN OUT "
			 "--replace --drain SECONDS` gives it another");
}

Test(pools, addresses_that_are_draining_are_not_taken)
{
	_cleanup_config_ struct config *c = residential();
	struct prefix busy = prefix("198.51.100.0/31");
	const struct pool_users users = { retired, &busy };
	struct error err = { "" };
	struct pool_edit edit;

	cr_assert_eq(pool_drain(c, prefix("203.0.113.3/32"), NULL, 60, &users, &edit, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.3 100.64.0.192/26 198.51.100.2/32");
	/* Unless it is for the same subscribers: their mapping is taken into use again. */
	cr_assert_eq(pool_drain(c, prefix("203.0.113.1/32"), NULL, 60, &users, &edit, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.3 100.64.0.192/26 198.51.100.2/32; "
			     "drain-203.0.113.1 100.64.0.64/26 198.51.100.0/32");
}

Test(pools, a_drained_address_is_out_of_use_until_it_is_restored)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	struct pool_edit edit;

	cr_assert_eq(drain(c, "203.0.113.3/32", NULL, &err), 0, "%s", err.text);
	cr_expect_eq(drain(c, "203.0.113.3/32", NULL, &err), -EALREADY);
	cr_expect_str_eq(err.text,
			 "203.0.113.3 is out of use already; `detnatctl pool restore 203.0.113.3` brings it back");
	cr_expect_eq(pool_restore_drain(c, prefix("203.0.113.3/32")), 60);
	cr_assert_eq(pool_restore(c, prefix("203.0.113.3/32"), &edit, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "");
	cr_expect_eq(edit.subscribers, 64);
	cr_expect_eq(pool_restore(c, prefix("203.0.113.3/32"), &edit, &err), -ENOENT);
	cr_expect_str_eq(err.text, "203.0.113.3 was not drained; `detnatctl pool list` shows drained addresses");
}

Test(pools, an_address_out_of_use_says_what_brings_it_back)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };

	config_add_mapping(c, "", prefix("100.64.0.64/26"), prefix("192.0.2.64/32"));
	cr_assert_eq(drain(c, "203.0.113.2/31", NULL, &err), 0, "%s", err.text);
	cr_expect_eq(drain(c, "203.0.113.2/32", NULL, &err), -EALREADY);
	cr_expect_str_eq(err.text,
			 "203.0.113.2 is out of use already; `detnatctl pool restore 203.0.113.2/31` brings it back, "
			 "with everything that was drained together");
	cr_expect_eq(drain(c, "203.0.113.1/32", NULL, &err), -EALREADY);
	cr_expect_str_eq(err.text, "203.0.113.1 is out of use already: mappings within residential (100.64.0.0/22) "
				   "have all its subscribers");
}

Test(pools, all_of_a_prefix_is_restored_and_nothing_beside_it)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	struct pool_edit edit;

	config_add_mapping(c, "", prefix("100.64.0.0/25"), prefix("192.0.2.64/32"));
	strcpy(c->mappings[1].name, "drain-by-hand");
	config_add_mapping(c, "", prefix("100.64.1.64/26"), prefix("192.0.2.65/32"));
	strcpy(c->mappings[2].name, "acme");
	config_add_mapping(c, "", prefix("100.64.1.128/26"), prefix("192.0.2.66/32"));
	strcpy(c->mappings[3].name, "drain-pipes");
	cr_assert_eq(drain(c, "203.0.113.2/31", NULL, &err), 0, "%s", err.text);
	cr_assert_eq(drain(c, "203.0.113.9/32", NULL, &err), 0, "%s", err.text);
	cr_expect_eq(pool_restore(c, prefix("203.0.113.3/32"), &edit, &err), -EINVAL);
	cr_expect_str_eq(err.text, "203.0.113.3 was drained together with the rest of 203.0.113.2/31; restore that");
	cr_assert_eq(pool_restore(c, prefix("203.0.113.0/29"), &edit, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(
		c, "drain-by-hand 100.64.0.0/25 192.0.2.64/32; acme 100.64.1.64/26 192.0.2.65/32; "
		   "drain-pipes 100.64.1.128/26 192.0.2.66/32; drain-203.0.113.9 100.64.2.64/26 198.51.100.2/32");
}

static int move(struct config *c, const char *addr, const char *out, int64_t until, const char *name, uint32_t *ret,
		struct error *err)
{
	struct user_move m = { .tenant = "", .out = prefix(out), .drain = 30, .until = until, .name = name };

	cr_assert_eq(addr_parse(addr, &m.addr), 0);
	return user_move(c, &m, &none, ret, err);
}

Test(pools, addresses_whose_ports_rest_are_told_with_the_time)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	uint32_t out;

	free(c->rests);
	c->rests = calloc(1, sizeof(*c->rests));
	c->n_rests = 1;
	c->rests[0].in = prefix("100.64.1.0/26");
	c->rests[0].out = prefix("203.0.113.4/32");
	c->rests[0].until_us = monotonic_us() + 60000000;
	cr_expect_eq(move(c, "100.64.0.1", "203.0.113.4/32", 0, "", &out, &err), -ENOSPC);
	cr_expect_str_eq(
		err.text,
		"203.0.113.4 has no free address; ports of 203.0.113.4 rest before others get them; wait 60 s");
}

Test(pools, a_subscriber_is_moved_to_the_first_free_address_and_moved_on)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	uint32_t out;

	cr_assert_eq(move(c, "100.64.0.77", "192.0.2.0/29", 4102444800, NULL, &out, &err), 0, "%s", err.text);
	cr_assert_eq(move(c, "100.64.0.78", "192.0.2.0/29", 0, "spammer", &out, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "move-100.64.0.77 100.64.0.77/32 192.0.2.0/32; spammer 100.64.0.78/32 192.0.2.1/32");
	cr_expect_eq(out, prefix("192.0.2.1/32").base);
	cr_expect_eq(c->mappings[1].until, 4102444800);
	cr_expect_eq(c->mappings[1].drain, 30);
	cr_expect_eq(c->mappings[1].sessions_per_user, 77);
	/* Once more within the same pool only changes the time. */
	cr_assert_eq(move(c, "100.64.0.77", "192.0.2.0/29", 4102444900, NULL, &out, &err), 0, "%s", err.text);
	cr_expect_eq(out, prefix("192.0.2.0/32").base);
	cr_assert_eq(move(c, "100.64.0.77", "192.0.2.4/30", 0, NULL, &out, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "spammer 100.64.0.78/32 192.0.2.1/32; move-100.64.0.77 100.64.0.77/32 192.0.2.4/32");
	/* One that was given a name is moved on, too, and keeps it. */
	cr_assert_eq(move(c, "100.64.0.78", "192.0.2.4/30", 0, NULL, &out, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "move-100.64.0.77 100.64.0.77/32 192.0.2.4/32; spammer 100.64.0.78/32 192.0.2.5/32");
	/* Not one that an operator has given something of its own. */
	c->mappings[2].sessions_per_user = 5;
	cr_expect_eq(move(c, "100.64.0.78", "192.0.2.0/30", 0, NULL, &out, &err), -EINVAL);
}

Test(pools, moves_that_cannot_be_made_are_refused)
{
	static const struct {
		const char *addr;
		const char *out;
		int r;
		const char *message;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.0/29", -ENOENT,
		  "192.0.2.1 is not an inside address of any mapping; `detnatctl mapping list` shows them" },
		{ "100.64.0.1", "203.0.113.0/28", -ENOSPC, "203.0.113.0/28 has no free address" },
		{ "100.64.0.1", "203.0.113.4/32", -ENOSPC, "203.0.113.4 has no free address" },
		{ "100.64.0.1", "100.0.0.0/8", -EINVAL,
		  "100.0.0.0/8 has inside addresses, of mapping residential (100.64.0.0/22); name outside addresses" },
		{ "100.65.0.1", "192.0.2.0/29", -EINVAL,
		  "100.65.0.1 is not translated, as mapping 100.65.0.0/24 says" },
		{ "100.66.0.1", "192.0.2.0/29", -EINVAL,
		  "100.66.0.1 has a mapping of its own, acme (100.66.0.1/32); `detnatctl mapping add 100.66.0.1/32 OUT "
		  "--replace` gives it another address" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_config_ struct config *c = residential();
		struct error err = { "" };
		uint32_t out;

		config_add_mapping(c, "", prefix("100.65.0.0/24"), PREFIX_NONE);
		config_add_mapping(c, "", prefix("100.66.0.1/32"), prefix("192.0.2.66/32"));
		strcpy(c->mappings[2].name, "acme");
		cr_expect_eq(move(c, rows[i].addr, rows[i].out, 0, NULL, &out, &err), rows[i].r, "row %zu", i);
		cr_expect_str_eq(err.text, rows[i].message, "%s", err.text);
	}
}

Test(pools, mappings_are_dropped_when_their_time_has_come)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	uint32_t out;

	cr_assert_eq(move(c, "100.64.0.77", "192.0.2.0/29", 1000, NULL, &out, &err), 0);
	cr_assert_eq(move(c, "100.64.0.78", "192.0.2.0/29", 1001, NULL, &out, &err), 0);
	cr_expect_eq(config_drop_ended(c, 999, NULL), 0);
	cr_expect_eq(config_drop_ended(c, 1000, NULL), 1);
	EXPECT_EXCEPTIONS(c, "move-100.64.0.78 100.64.0.78/32 192.0.2.1/32");
}

Test(pools, a_subscriber_that_stays_where_it_was_moved_keeps_the_address)
{
	_cleanup_config_ struct config *c = residential();
	struct prefix own = prefix("192.0.2.0/32");
	const struct pool_users users = { retired, &own };
	struct user_move m = { .tenant = "", .addr = prefix("100.64.0.77/32").base, .out = prefix("192.0.2.0/29") };
	struct error err = { "" };
	uint32_t out;

	cr_assert_eq(move(c, "100.64.0.77", "192.0.2.0/29", 0, NULL, &out, &err), 0);
	/* The tables have its mapping by now. */
	cr_assert_eq(user_move(c, &m, &users, &out, &err), 0, "%s", err.text);
	cr_expect_eq(out, own.base);
}

Test(pools, the_replacement_of_a_mapping_that_ends_ends_with_it)
{
	_cleanup_config_ struct config *c = residential();
	struct error err = { "" };
	uint32_t out;

	c->mappings[0].until = 5000;
	cr_assert_eq(drain(c, "203.0.113.3/32", NULL, &err), 0);
	cr_assert_eq(move(c, "100.64.0.1", "192.0.2.0/29", 0, NULL, &out, &err), 0);
	cr_assert_eq(move(c, "100.64.0.2", "192.0.2.0/29", 6000, NULL, &out, &err), 0);
	cr_assert_eq(move(c, "100.64.0.3", "192.0.2.0/29", 4000, NULL, &out, &err), 0);
	cr_expect_eq(config_drop_ended(c, 4000, NULL), 1);
	cr_expect_eq(config_drop_ended(c, 5000, NULL), 4);
}

/* Any number of subscribers is drained as a range. A single subscriber may go anywhere, with all ports there. */
Test(pools, mappings_whose_addresses_have_no_prefixes_behind_them)
{
	_cleanup_config_ struct config *c = residential();
	struct user_move move = { .tenant = "",
				  .addr = prefix("100.64.0.33/32").base,
				  .out = prefix("198.51.100.0/30") };
	struct error err = { "" };
	struct geometry of, g;
	uint32_t out;

	c->mappings[0].ports = (struct config_ports){ .subscribers_per_address = 65, .first_port = 2048 };
	expect_valid(c);
	cr_assert_eq(config_mapping_geometry(&c->mappings[0], &of), 0);
	cr_assert_eq(drain(c, "203.0.113.3/32", NULL, &err), 0, "%s", err.text);
	cr_assert_eq(user_move(c, &move, &none, &out, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.3 100.64.0.195-100.64.1.3 198.51.100.0/32; "
			     "move-100.64.0.33 100.64.0.33/32 198.51.100.1/32");
	expect_valid(c);
	cr_assert_eq(config_mapping_geometry(&c->mappings[1], &g), 0);
	cr_expect_eq(mapping_forward(&g, 0x64400103).port_lo, mapping_forward(&of, 0x64400103).port_lo);
	cr_expect_eq(mapping_forward(&g, 0x64400103).port_hi, mapping_forward(&of, 0x64400103).port_hi);
	cr_assert_eq(config_mapping_geometry(&c->mappings[2], &g), 0);
	cr_expect_eq(g.ratio, 1);
	cr_expect_eq(g.first_port, 2048);
	cr_expect_eq(g.ports_per_host, 65536 - 2048);
	c->mappings[0].ports = (struct config_ports){ .order = 1 };
	cr_expect_eq(drain(c, "203.0.113.5/32", NULL, &err), -EINVAL);
	cr_expect_str_eq(err.text,
			 "mapping residential (100.64.0.0/22) has netmap order, in which the subscribers of an "
			 "address do not follow each other: move them one by one with `detnatctl user move`, or "
			 "all with `detnatctl mapping add IN OUT --replace --drain SECONDS`",
			 "%s", err.text);
}

/* A drained address's subscribers keep their ports, on the new one. */
Test(pools, a_drain_keeps_the_ports_of_a_mapping)
{
	_cleanup_config_ struct config *c = residential();
	struct geometry of, g;
	struct error err = { "" };

	c->mappings[0].ports = (struct config_ports){ .ports_per_host = 1000, .first_port = 1026, .block_pitch = 1003 };
	cr_assert_eq(config_mapping_geometry(&c->mappings[0], &of), 0);
	cr_assert_eq(of.ratio, 64);
	cr_assert_eq(drain(c, "203.0.113.3/32", NULL, &err), 0, "%s", err.text);
	EXPECT_EXCEPTIONS(c, "drain-203.0.113.3 100.64.0.192/26 198.51.100.0/32");
	cr_assert_eq(config_mapping_geometry(&c->mappings[1], &g), 0);
	cr_expect_eq(mapping_forward(&g, 0x644000c5).port_lo, mapping_forward(&of, 0x644000c5).port_lo);
	cr_expect_eq(mapping_forward(&g, 0x644000c5).port_hi, mapping_forward(&of, 0x644000c5).port_hi);
}

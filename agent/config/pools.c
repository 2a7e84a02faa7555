/* SPDX-License-Identifier: BSD-2-Clause */
#include "config/pools.h"

#include <errno.h>
#include <string.h>

#include "base/virtual6.h"
#include "config/free_addresses.h"
#include "config/port_pairs.h"

/* As an operator types it: a single address without the length 32. */
static const char *range_format(struct prefix p, char text[static ADDR_TEXT])
{
	return p.plen == 32 ? addr_format(p.base, text) : prefix_text(p, text);
}

static int find_at(const struct config *c, struct prefix out)
{
	for (size_t i = 0; i < c->n_mappings; i++)
		if (!prefix_is_none(c->mappings[i].out) && prefix_within(out, c->mappings[i].out))
			return (int)i;
	return -1;
}

const struct config_mapping *pool_find(const struct config *c, struct prefix out)
{
	int number = find_at(c, out);

	return number < 0 ? NULL : &c->mappings[number];
}

/* R of a mapping that is translated. */
static uint32_t ratio_of(const struct config_mapping *m)
{
	struct geometry g;

	return config_mapping_geometry(m, &g) ? 1 : g.ratio;
}

/*
 * The inside addresses behind outside ones of a mapping; they are consecutive, as blocks are given out in order. The
 * last addresses of a pool may have none: PREFIX_NONE.
 */
static struct prefix inside_of(const struct config_mapping *m, struct prefix out)
{
	uint64_t ratio = ratio_of(m), first = m->in.base + (out.base - m->out.base) * ratio;
	uint64_t last = first + prefix_count(out) * ratio - 1;

	if (first > prefix_last(m->in))
		return PREFIX_NONE;
	return prefix_of((uint32_t)first, last < prefix_last(m->in) ? (uint32_t)last : prefix_last(m->in));
}

static struct prefix outside_of(const struct config_mapping *m, struct prefix in)
{
	uint32_t ratio = ratio_of(m);

	return prefix_of(m->out.base + (in.base - m->in.base) / ratio,
			 m->out.base + (prefix_last(in) - m->in.base) / ratio);
}

/* Whether the addresses of a mapping are an exception of another: those of two tenants have nothing to do with each
 * other. */
static bool is_within(const struct config_mapping *m, const struct config_mapping *of)
{
	return config_same_tenant(m, of) && prefix_inside(m->in, of->in);
}

/* Whether all of a part of a mapping belongs to a single mapping within it. */
static bool is_excepted(const struct config *c, const struct config_mapping *m, struct prefix in)
{
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *other = &c->mappings[i];

		if (is_within(other, m) && prefix_within(in, other->in))
			return true;
	}
	return prefix_is_none(in);
}

/* The number of outside addresses of a prefix or range that still have subscribers. */
static uint64_t count_used(const struct config *c, const struct config_mapping *m, struct prefix out)
{
	struct prefix in = inside_of(m, out);
	uint32_t ratio = ratio_of(m), middle;
	bool any = false;

	if (is_excepted(c, m, in))
		return 0;
	for (size_t i = 0; i < c->n_mappings && !any; i++)
		any = is_within(&c->mappings[i], m) && prefix_within(c->mappings[i].in, in) &&
		      prefix_count(c->mappings[i].in) >= ratio;
	if (prefix_count(out) == 1)
		return 1;
	if (!any && prefix_is_none(inside_of(m, prefix_of(prefix_last(out), prefix_last(out)))) == false)
		return prefix_count(out);
	middle = out.base + (prefix_last(out) - out.base) / 2;
	return count_used(c, m, prefix_of(out.base, middle)) +
	       count_used(c, m, prefix_of(middle + 1, prefix_last(out)));
}

/* The number of inside addresses of a mapping that are in no mapping within it. */
static uint64_t count_subscribers(const struct config *c, const struct config_mapping *m, struct prefix in)
{
	uint32_t middle;
	bool any = false;

	if (is_excepted(c, m, in))
		return 0;
	for (size_t i = 0; i < c->n_mappings && !any; i++)
		any = is_within(&c->mappings[i], m) && prefixes_overlap(c->mappings[i].in, in);
	if (!any)
		return prefix_count(in);
	middle = in.base + (prefix_last(in) - in.base) / 2;
	return count_subscribers(c, m, prefix_of(in.base, middle)) +
	       count_subscribers(c, m, prefix_of(middle + 1, prefix_last(in)));
}

/* Refuses netmap order, in which the subscribers of an outside address do not follow each other. */
static int check_order(const struct config *c, const struct config_mapping *m, struct error *err)
{
	char title[MAPPING_TITLE];
	struct geometry g;

	if (config_mapping_geometry(m, &g) || !(g.flags & MAPPING_NETMAP))
		return 0;
	return error_set(
		err, -EINVAL,
		"mapping %s has netmap order, in which the subscribers of an address do not follow each other: "
		"move them one by one with `detnatctl user move`, or all with `detnatctl mapping add IN OUT --replace "
		"--drain SECONDS`",
		config_mapping_title(c, m->tenant, m->in, m->out, title));
}

/* Refuses inside addresses where outside ones are expected. */
static int check_outside(const struct config *c, struct prefix out, struct error *err)
{
	char text[ADDR_TEXT], title[MAPPING_TITLE];

	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		if (prefixes_overlap(out, m->in))
			return error_set(err, -EINVAL, "%s has inside addresses, of mapping %s; name outside addresses",
					 range_format(out, text),
					 config_mapping_title(c, m->tenant, m->in, m->out, title));
	}
	return 0;
}

/* "drain-203.0.113.36", or "drain-203.0.113.32-28". */
static void drain_name(struct prefix out, char name[static LABEL_TEXT])
{
	char addr[ADDR_TEXT];

	addr_format(out.base, addr);
	if (out.plen == 32)
		snprintf(name, LABEL_TEXT, POOL_DRAIN_NAME "%s", addr);
	else
		snprintf(name, LABEL_TEXT, POOL_DRAIN_NAME "%s-%u", addr, out.plen);
}

/* Adds a mapping like another one, with the same end, without the members that belong to the other alone. */
static struct config_mapping *add_like(struct config *c, const struct config_mapping *like, struct prefix in,
				       struct prefix out, uint32_t drain)
{
	struct config_mapping m = *like;

	if (config_add_mapping(c, like->tenant, in, out))
		return NULL;
	m.in = in;
	m.out = out;
	m.part = 0;
	m.lists = NULL;
	m.figures = (struct config_ports){ 0 };
	m.drain = drain;
	m.n_spare = 0;
	m.name[0] = m.comment[0] = '\0';
	m.line = m.in_line = m.out_line = m.name_line = m.independence_line = m.growth_line = m.limits_line =
		m.spare_line = 0;
	c->mappings[c->n_mappings - 1] = m;
	config_mappings_changed(c);
	return &c->mappings[c->n_mappings - 1];
}

/* Gives a drain the blocks of the mapping that it is for, where the addresses alone would not. */
static void keep_ports(const struct config_mapping *of, struct config_mapping *m)
{
	struct geometry g, own;

	if (config_mapping_geometry(of, &g) ||
	    (!config_mapping_geometry(m, &own) && own.ratio == g.ratio && own.first_port == g.first_port &&
	     own.pitch == g.pitch && own.ports_per_host == g.ports_per_host))
		return;
	m->ports = (struct config_ports){ .subscribers_per_address = g.ratio,
					  .ports_per_host = g.ports_per_host,
					  .first_port = g.first_port ? g.first_port : PORTS_FROM_0,
					  .block_pitch = g.pitch };
}

static void keep_blocks(const struct config_mapping *of, struct config_mapping *m)
{
	struct error why;

	keep_ports(of, m);
	if (m->growth.given && config_growth_check(m, &why))
		m->growth = (struct config_growth){ 0 };
}

/* One drain under way. of: a copy, as adding a mapping moves the list. */
struct draining {
	struct config *config;
	struct config_mapping of;
	struct address_source source;
	uint32_t drain;
	struct pool_edit *edit;
};

/* Moves the subscribers of outside addresses to others, in as few exceptions as fit. -ENOSPC without a message. */
static int drain_part(struct draining *d, struct prefix out, struct error *err)
{
	struct prefix in = inside_of(&d->of, out), to;
	struct config_mapping *m;
	int r;

	if (is_excepted(d->config, &d->of, in))
		return 0;
	/* A mapping within another has fewer addresses than the other. */
	if (!prefix_equal(out, d->of.out) && !(config_is_ipv6(&d->of) && prefix_is_range(in)) &&
	    find_free_prefix(d->config, &d->source, in, out.plen, &to)) {
		m = add_like(d->config, &d->of, in, to, d->drain);
		if (!m)
			return error_set(err, -ENOMEM, "out of memory");
		keep_blocks(&d->of, m);
		drain_name(out, m->name);
		config_mappings_changed(d->config);
		d->edit->mappings++;
		return 0;
	}
	if (out.plen == 32)
		return -ENOSPC;
	r = drain_part(d, prefix_half(out, 0), err);
	return r ? r : drain_part(d, prefix_half(out, 1), err);
}

/* Finds the mapping whose pool contains all the addresses and still uses some of them. */
static int find_pool(const struct config *c, struct prefix out, struct config_mapping *ret, struct error *err)
{
	char text[ADDR_TEXT], title[MAPPING_TITLE];
	int number = find_at(c, out);

	range_format(out, text);
	for (size_t i = 0; number < 0 && i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		if (prefixes_overlap(m->out, out))
			return error_set(err, -EINVAL,
					 "%s is larger than the pool of mapping %s; name addresses of one pool", text,
					 config_mapping_title(c, m->tenant, m->in, m->out, title));
	}
	if (number < 0)
		return error_set(err, -ENOENT, "%s is in no mapping's pool; `detnatctl pool list` shows them", text);
	if (config_is_ipv6(&c->mappings[number]) &&
	    ratio_of(&c->mappings[number]) & (ratio_of(&c->mappings[number]) - 1))
		return error_set(err, -EINVAL,
				 "%s is of %u IPv6 subscribers an address, which are no prefix together: move them one "
				 "by one with `detnatctl user move`",
				 text, ratio_of(&c->mappings[number]));
	*ret = c->mappings[number];
	return 0;
}

/* Why addresses that nobody has are not free: "; ports of ... rest ..." for the longest rest within p, or "". */
#define REST_NOTE (ADDR_TEXT + 64)
static const char *rest_note(const struct config *c, struct prefix p, char text[static REST_NOTE])
{
	unsigned longest = 0;
	char rests[ADDR_TEXT];

	*text = '\0';
	for (size_t i = 0; i < c->n_rests; i++) {
		unsigned left = prefixes_overlap(c->rests[i].out, p) ? config_rest_left(&c->rests[i]) : 0;

		if (left <= longest)
			continue;
		longest = left;
		snprintf(text, REST_NOTE, "; ports of %s rest before others get them; wait %u s",
			 range_format(c->rests[i].out, rests), left);
	}
	return text;
}

static int check_source(const struct draining *d, struct prefix out, const struct prefix *to, struct error *err)
{
	uint64_t needed = count_used(d->config, &d->of, out), free = 0;
	char text[ADDR_TEXT], from[ADDR_TEXT], title[MAPPING_TITLE], rest[REST_NOTE];

	for (uint32_t i = 0; i < d->source.n; i++)
		free += count_free_addresses(d->config, &d->source, d->source.from[i], inside_of(&d->of, out));
	if (free >= needed)
		return 0;
	range_format(out, text);
	config_mapping_title(d->config, d->of.tenant, d->of.in, d->of.out, title);
	if (to)
		return error_set(err, -ENOSPC, "%s has %llu free addresses, but %s needs %llu%s",
				 range_format(*to, from), (unsigned long long)free, text, (unsigned long long)needed,
				 rest_note(d->config, *to, rest));
	if (!d->source.n)
		return error_set(err, -ENOSPC,
				 "mapping %s has no spare addresses; name others with --to, or give it `spare`", title);
	return error_set(err, -ENOSPC,
			 "mapping %s has %llu spare addresses free, and %s needs %llu; name others with --to", title,
			 (unsigned long long)free, text, (unsigned long long)needed);
}

/* Advises how to bring addresses without subscribers back, if a drain took these. */
static int refuse_unused(const struct config *c, const struct config_mapping *of, struct prefix out, struct error *err)
{
	char text[ADDR_TEXT], drained[ADDR_TEXT], title[MAPPING_TITLE];

	range_format(out, text);
	for (size_t i = 0; i < c->n_mappings; i++) {
		const struct config_mapping *m = &c->mappings[i];

		if (!pool_is_drain(c, m, of) || !prefixes_overlap(outside_of(of, m->in), out))
			continue;
		if (!prefix_within(outside_of(of, m->in), out))
			return error_set(err, -EALREADY,
					 "%s is out of use already; `detnatctl pool restore %s` brings it back, with "
					 "everything that was drained together",
					 text, range_format(outside_of(of, m->in), drained));
		return error_set(err, -EALREADY, "%s is out of use already; `detnatctl pool restore %s` brings it back",
				 text, text);
	}
	return error_set(err, -EALREADY, "%s is out of use already: mappings within %s have all its subscribers", text,
			 config_mapping_title(c, of->tenant, of->in, of->out, title));
}

int pool_drain(struct config *c, struct prefix out, const struct prefix *to, uint32_t drain,
	       const struct pool_users *users, struct pool_edit *ret, struct error *err)
{
	struct draining d = { .config = c, .drain = drain, .edit = ret };
	char text[ADDR_TEXT], title[MAPPING_TITLE];
	int r = find_pool(c, out, &d.of, err);

	if (r)
		return r;
	config_name_portmap_tenants(c, d.of.in);
	r = check_order(c, &d.of, err);
	if (r)
		return r;
	*ret = (struct pool_edit){ .addresses = count_used(c, &d.of, out) };
	ret->subscribers = count_subscribers(c, &d.of, inside_of(&d.of, out));
	range_format(out, text);
	config_mapping_title(c, d.of.tenant, d.of.in, d.of.out, title);
	if (!ret->addresses)
		return refuse_unused(c, &d.of, out, err);
	if (to && check_outside(c, *to, err))
		return -EINVAL;
	if (out.plen == 32 && prefix_equal(out, d.of.out))
		return error_set(err, -EINVAL,
				 "%s is all of the pool of mapping %s; `detnatctl mapping add IN OUT --replace --drain "
				 "SECONDS` gives it another",
				 text, title);
	d.source = (struct address_source){ to ? to : d.of.spare, to ? 1 : d.of.n_spare, out, d.of.tenant, users };
	r = check_source(&d, out, to, err);
	if (r)
		return r;
	r = drain_part(&d, out, err);
	return r == -ENOSPC ? error_set(err, r, "too few addresses are free for %s", text) : r;
}

int pool_restore(struct config *c, struct prefix out, struct pool_edit *ret, struct error *err)
{
	char text[ADDR_TEXT], with[ADDR_TEXT];
	struct config_mapping of;
	int r = find_pool(c, out, &of, err);

	if (r)
		return r;
	config_name_portmap_tenants(c, of.in);
	r = check_order(c, &of, err);
	if (r)
		return r;
	*ret = (struct pool_edit){ 0 };
	range_format(out, text);
	for (size_t i = c->n_mappings; i > 0; i--) {
		const struct config_mapping m = c->mappings[i - 1];
		struct prefix drained = PREFIX_NONE;

		if (pool_is_drain(c, &m, &of))
			drained = outside_of(&of, m.in);
		if (!prefixes_overlap(drained, out))
			continue;
		if (!prefix_within(drained, out))
			return error_set(err, -EINVAL, "%s was drained together with the rest of %s; restore that",
					 text, range_format(drained, with));
		ret->mappings++;
		ret->addresses += prefix_count(drained);
		ret->subscribers += count_subscribers(c, &m, m.in);
		config_del_mapping_of(c, m.tenant, m.in, m.out);
	}
	if (!ret->mappings)
		return error_set(err, -ENOENT, "%s was not drained; `detnatctl pool list` shows drained addresses",
				 text);
	return 0;
}

uint32_t pool_restore_drain(const struct config *c, struct prefix out)
{
	const struct config_mapping *of = pool_find(c, out);
	uint32_t longest = 0;
	struct error why;

	if (of && check_order(c, of, &why))
		return 0;
	for (size_t i = 0; of && i < c->n_mappings; i++)
		if (pool_is_drain(c, &c->mappings[i], of) && prefixes_overlap(outside_of(of, c->mappings[i].in), out) &&
		    c->mappings[i].drain > longest)
			longest = c->mappings[i].drain;
	return longest;
}

/* The mapping of a subscriber, and the one to which it was moved before; -errno with err. */
static int find_home(struct config *c, const char *tenant, uint32_t addr, struct config_mapping *ret_home,
		     struct config_mapping *ret_moved, struct error *err)
{
	const struct config_mapping *m = config_mapping_of_tenant(c, tenant, addr);
	bool moved = m && pool_is_move(c, m);
	char text[INSIDE_TEXT], in[INSIDE_TEXT], title[MAPPING_TITLE];

	inside_text(addr, text);
	if (moved) {
		*ret_moved = *m;
		m = config_find_around(c, m->tenant, m->in);
	}
	if (!m)
		return error_set(err, -ENOENT,
				 "%s is not an inside address of any mapping; `detnatctl mapping list` shows them",
				 text);
	config_mapping_title(c, m->tenant, m->in, m->out, title);
	if (prefix_is_none(m->out))
		return error_set(err, -EINVAL, "%s is not translated, as mapping %s says", text, title);
	if (m->in.plen == 32)
		return error_set(err, -EINVAL,
				 "%s has a mapping of its own, %s; `detnatctl mapping add %s OUT --replace` gives it "
				 "another address",
				 text, title, inside_prefix_text(m->in, in));
	*ret_home = *m;
	return moved;
}

/* The key `first_port` that a subscriber of a mapping keeps. */
static uint32_t first_port_of(const struct config_mapping *m)
{
	uint32_t port = m->figures.subscribers_per_address ? m->figures.first_port : m->ports.first_port;

	return port == MAPPING_FIRST_PORT && m->figures.subscribers_per_address ? 0 : port;
}

/* "10.0.0.1", or "2001-db8-4000-300" of 2001:db8:4000:300::/56, as a label has no colons. */
static void move_name(uint32_t addr, char ret[static INSIDE_TEXT])
{
	struct prefixes6 p;

	if (virtual6_prefixes((struct prefix){ addr, 32, 0 }, &p))
		snprintf(ret, INSIDE_TEXT, "%x-%x-%x-%x", (unsigned)(p.hi >> 48), (unsigned)(p.hi >> 32 & 0xffff),
			 (unsigned)(p.hi >> 16 & 0xffff), (unsigned)(p.hi & 0xffff));
	else
		addr_format(addr, ret);
}

int user_move(struct config *c, const struct user_move *move, const struct pool_users *users, uint32_t *ret_out,
	      struct error *err)
{
	const struct address_source source = { &move->out, 1, PREFIX_NONE, move->tenant, users };
	const struct prefix in = { move->addr, 32 };
	char text[INSIDE_TEXT], label[LABEL_TEXT], rest[REST_NOTE];
	struct config_mapping home, moved, *m;
	struct prefix to;
	int r = find_home(c, move->tenant, move->addr, &home, &moved, err);

	if (r < 0)
		return r;
	config_name_portmap_tenants(c, in);
	if (check_outside(c, move->out, err))
		return -EINVAL;
	if (r > 0)
		config_del_mapping_of(c, moved.tenant, moved.in, moved.out);
	if (r > 0 && prefix_within(moved.out, move->out)) {
		to = moved.out;
	} else if (!find_free_prefix(c, &source, in, 32, &to)) {
		return error_set(err, -ENOSPC, "%s has no free address%s", range_format(move->out, text),
				 rest_note(c, move->out, rest));
	}
	m = add_like(c, &home, in, to, move->drain);
	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	/* Alone on an address, a subscriber has all its ports from the first one on. */
	m->ports = (struct config_ports){ .first_port = first_port_of(&home) };
	m->growth = (struct config_growth){ 0 };
	move_name(move->addr, text);
	snprintf(label, sizeof(label), USER_MOVE_NAME "%.40s", text);
	/* Another tenant may have the address, too. */
	if (config_find_named(c, label))
		snprintf(label, sizeof(label), USER_MOVE_NAME "%.19s-%.38s", text, move->tenant);
	snprintf(m->name, sizeof(m->name), "%s", move->name && *move->name ? move->name : r > 0 ? moved.name : label);
	config_mappings_changed(c);
	/* Not beyond the end of the mapping from which the subscriber comes. */
	if (move->until && (!home.until || move->until < home.until))
		m->until = move->until;
	*ret_out = to.base;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The addresses of a mapping: `in` and `out`, each a prefix, a range or a list of these, and `exclude`. Lists are cut
 * into records of one range each, and written as they were read.
 */
#include <errno.h>
#include <string.h>

#include "base/virtual6.h"
#include "config/fields.h"
#include "plan/plan.h"

#define EXAMPLES "an IPv4 prefix such as \"10.0.0.0/18\", a range such as \"10.0.0.1-10.0.0.254\", or a list of these"

/* The keys of which a list is kept as it was written. */
static const char *const list_keys[] = { "in", "out", "exclude" };

static void in_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, EXAMPLES);
}

static void out_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, EXAMPLES ", or null");
}

static void exclude_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "a list of addresses, ranges and prefixes");
}

/* Checks an element of a list; a lone address is one only in `exclude`. */
static int address_read(struct reader *r, const cJSON *json, bool alone)
{
	struct prefix p;
	uint32_t addr;

	if (cJSON_IsString(json) &&
	    (!range_parse(json->valuestring, &p) || (alone && !addr_parse(json->valuestring, &addr))))
		return 0;
	reader_refuse(r, json,
		      alone ? "must be an address, or a range or prefix such as \"203.0.113.0-203.0.113.7\""
			    : "must be a prefix such as \"10.0.0.0/18\", or a range such as \"10.0.0.1-10.0.0.254\"");
	return -EBADMSG;
}

static int list_read(struct reader *r, const cJSON *json, bool alone)
{
	const cJSON *element;
	size_t i = 0;

	if (!json->child) {
		reader_refuse(r, json, "is an empty list: leave the key out, or name addresses");
		return -EBADMSG;
	}
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, i++);

		if (address_read(r, element, alone))
			return -EBADMSG;
		json_path_cut(&r->path, before);
	}
	return 0;
}

/* Whether a value of `in` is of IPv6. */
static bool is_ipv6(const cJSON *json)
{
	return cJSON_IsString(json) && strchr(json->valuestring, ':');
}

static bool is_inside(const struct field *f)
{
	return f->type == &field_in;
}

/* Refuses what is no prefix of IPv6; config_place() gives it virtual addresses once all keys of the mapping are known.
 */
static int prefix6_read(struct reader *r, const cJSON *json)
{
	struct address6 addr;
	unsigned plen;

	if (is_ipv6(json) && !prefix6_parse(json->valuestring, &addr, &plen))
		return 0;
	reader_refuse(r, json,
		      is_ipv6(json) ? "must be an IPv6 prefix such as \"2001:db8:4000::/36\""
				    : "must be an IPv6 prefix, as the first of the list is");
	return -EBADMSG;
}

static int list6_read(struct reader *r, const cJSON *json)
{
	const cJSON *element;
	size_t i = 0;

	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, i++);

		if (prefix6_read(r, element))
			return -EBADMSG;
		json_path_cut(&r->path, before);
	}
	return 0;
}

/* Of a list, config_cut_lists() makes the ranges later. */
static int in_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct prefix *p = value;

	if (is_inside(f) && (is_ipv6(json) || (cJSON_IsArray(json) && is_ipv6(json->child)))) {
		*p = (struct prefix){ 0 };
		return is_ipv6(json) ? prefix6_read(r, json) : list6_read(r, json);
	}

	if (cJSON_IsString(json))
		return range_parse(json->valuestring, p);
	if (!cJSON_IsArray(json))
		return -EINVAL;
	*p = (struct prefix){ 0 };
	return list_read(r, json, false);
}

static int out_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	if (!cJSON_IsNull(json))
		return in_read(r, json, f, value);
	*(struct prefix *)value = PREFIX_NONE;
	return 0;
}

static int exclude_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return cJSON_IsArray(json) ? list_read(r, json, true) : -EINVAL;
}

static bool in_valid(const struct field *f, const void *value)
{
	const struct prefix *p = value;

	if (prefix_is_range(*p))
		return p->last > p->base && mapping_plen(p->base, p->last - p->base) == PLEN_RANGE;
	return p->plen <= 32 && !(p->base & ~prefix_mask(p->plen)) && !p->last;
}

static bool out_valid(const struct field *f, const void *value)
{
	return prefix_equal(*(const struct prefix *)value, PREFIX_NONE) || in_valid(f, value);
}

/* Adds a key as it was written. Returns whether the mapping has lists. */
static bool written(cJSON *object, const struct config_mapping *m, const char *key, int *ret)
{
	_cleanup_json_ cJSON *lists = m->lists ? cJSON_Parse(m->lists) : NULL;
	cJSON *json = cJSON_DetachItemFromObjectCaseSensitive(lists, key);

	*ret = m->lists && !lists ? -ENOMEM : json ? json_add(object, key, json) : 0;
	return m->lists;
}

static int prefix_write(cJSON *object, const char *key, struct prefix p)
{
	char text[INSIDE_TEXT];

	return json_add(object, key,
			prefix_is_none(p) ? cJSON_CreateNull() : cJSON_CreateString(inside_prefix_text(p, text)));
}

static int in_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_mapping *m = (const void *)((const char *)value - offsetof(struct config_mapping, in));
	int r;

	return written(object, m, f->name, &r) ? r : prefix_write(object, f->name, m->in);
}

static int out_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_mapping *m = (const void *)((const char *)value - offsetof(struct config_mapping, out));
	int r;

	return written(object, m, f->name, &r) ? r : prefix_write(object, f->name, m->out);
}

static int exclude_write(cJSON *object, const struct field *f, const void *value)
{
	int r = 0;

	written(object, value, f->name, &r);
	return r;
}

const struct field_type field_in = { in_expected, in_read, in_valid, in_write };
const struct field_type field_out = { out_expected, out_read, out_valid, out_write };
const struct field_type field_exclude = { exclude_expected, exclude_read, NULL, exclude_write };

static int add_text(const char *text, const struct config_mapping *m, struct plan_addresses *a, struct error *err)
{
	if (strchr(text, ':'))
		return config_add_virtual(text, m->six.subscriber_plen, a, err);
	return plan_addresses_read(text, a, err);
}

/* Appends the elements of a list, or the one range that stands in its place. */
static int add_addresses(const cJSON *json, const struct config_mapping *m, struct plan_addresses *a, struct error *err)
{
	const cJSON *element;
	int r = 0;

	if (cJSON_IsString(json))
		return add_text(json->valuestring, m, a, err);
	cJSON_ArrayForEach (element, json)
		if (!r)
			r = add_text(element->valuestring, m, a, err);
	return r;
}

static int plan_of(const cJSON *element, const struct config_mapping *m, struct plan_mapping *ret, struct error *err)
{
	struct plan_addresses *to[] = { &ret->in, &ret->out, &ret->exclude };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(to) && !r; i++)
		r = add_addresses(cJSON_GetObjectItemCaseSensitive(element, list_keys[i]), m, to[i], err);
	ret->subscribers_per_address = m->ports.subscribers_per_address;
	ret->ports_per_host = m->ports.ports_per_host;
	ret->block_pitch = m->ports.block_pitch;
	ret->first_port = config_first_port(&m->ports);
	ret->order = m->ports.order;
	ret->grows = m->growth.given;
	ret->apart = config_is_ipv6(m);
	return r;
}

static char *keep_lists(const cJSON *element)
{
	_cleanup_json_ cJSON *lists = cJSON_CreateObject();

	for (size_t i = 0; i < ARRAY_SIZE(list_keys); i++) {
		const cJSON *json = cJSON_GetObjectItemCaseSensitive(element, list_keys[i]);

		if (json && json_add(lists, list_keys[i], cJSON_Duplicate(json, true)))
			return NULL;
	}
	return cJSON_PrintUnformatted(lists);
}

static bool has_lists(const cJSON *element)
{
	for (size_t i = 0; i < ARRAY_SIZE(list_keys); i++)
		if (cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(element, list_keys[i])))
			return true;
	return false;
}

static struct config_ports figures_of(const struct geometry *g)
{
	if (!g->ports_per_host)
		return (struct config_ports){ 0 };
	return (struct config_ports){ .subscribers_per_address = g->ratio,
				      .ports_per_host = g->ports_per_host,
				      .first_port = g->first_port ? g->first_port : PORTS_FROM_0,
				      .block_pitch = g->pitch,
				      .order = g->flags & MAPPING_NETMAP ? PLAN_NETMAP : PLAN_SEQUENTIAL };
}

/* Replaces the last mapping by the parts that it was cut into. */
static int take_parts(struct config *c, const struct geometry *geo, size_t n)
{
	struct config_mapping *more = reallocarray(c->mappings, c->n_mappings + n, sizeof(*more)), *first;

	if (!more)
		return -ENOMEM;
	c->mappings = more;
	first = &more[c->n_mappings - 1];
	for (size_t i = 0; i < n; i++) {
		first[i] = first[0];
		first[i].in = geometry_in(&geo[i]);
		first[i].out = geometry_out(&geo[i]);
		first[i].part = (unsigned)i;
		first[i].figures = figures_of(&geo[i]);
		if (i)
			first[i].lists = NULL;
	}
	c->n_mappings += n - 1;
	return 0;
}

int config_cut_lists(struct reader *r, const cJSON *element)
{
	struct config_mapping *m = &r->config->mappings[r->config->n_mappings - 1];
	_cleanup_plan_mapping_ struct plan_mapping wanted = PLAN_MAPPING;
	_cleanup_free_ struct geometry *geo = NULL;
	struct error why;
	size_t n = 0;
	int ret;

	if (!has_lists(element))
		return 0;
	ret = plan_of(element, m, &wanted, &why);
	if (!ret)
		ret = plan_expand(&wanted, &geo, &n, &why);
	if (ret == -EINVAL)
		return reader_refuse(r, element, "%s", why.text);
	if (!ret && r->config->n_mappings - 1 + n > CONFIG_MAX_MAPPINGS)
		return reader_refuse(r, element, "more than %u mappings; each range of a list counts",
				     CONFIG_MAX_MAPPINGS);
	m->lists = ret ? NULL : keep_lists(element);
	if (!m->lists || take_parts(r->config, geo, n))
		return reader_no_memory(r);
	return 0;
}

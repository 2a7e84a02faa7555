/* SPDX-License-Identifier: BSD-2-Clause */
/* The spare addresses of a mapping, and the time of its end: read, written, checked. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/timestamp.h"
#include "config/fields.h"
#include "config/near.h"
#include "config/port_pairs.h"

static const struct field spare_element = { "", &field_prefix, .size = sizeof(struct prefix) };

static int spare_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_mapping *m = value;
	const cJSON *element;
	int ret = expect_array(r, json, f->max, "prefixes");

	if (ret < 0)
		return ret;
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, m->n_spare);

		ret = field_read(r, element, &spare_element, &m->spare[m->n_spare]);
		if (ret < 0)
			return ret;
		m->n_spare++;
		json_path_cut(&r->path, before);
	}
	return 0;
}

static int spare_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_mapping *m = value;
	_cleanup_json_ cJSON *list = m->n_spare ? cJSON_CreateArray() : NULL;
	char text[ADDR_TEXT];

	if (!m->n_spare)
		return 0;
	for (uint32_t i = 0; i < m->n_spare; i++)
		if (json_append(list, cJSON_CreateString(prefix_text(m->spare[i], text))))
			return -ENOMEM;
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_spare = { .read = spare_read, .write = spare_write };

static void time_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "a time of RFC 3339, such as \"2026-01-31T10:00:00Z\"");
}

static int time_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	int64_t t;

	if (!cJSON_IsString(json) || time_parse(json->valuestring, &t) || t <= 0)
		return -EINVAL;
	*(int64_t *)value = t;
	return 0;
}

static bool time_valid(const struct field *f, const void *value)
{
	const int64_t *t = value;

	return *t >= 0 && *t <= TIME_MAX;
}

static int time_write(cJSON *object, const struct field *f, const void *value)
{
	const int64_t *t = value;
	char text[TIME_TEXT];

	return *t ? json_add(object, f->name, cJSON_CreateString(time_format(*t, text))) : 0;
}

const struct field_type field_time = { time_expected, time_read, time_valid, time_write };

/* A spare prefix and the context of its messages. */
struct spare {
	const struct config *config;
	const char *name; /* of the file */
	const struct config_mapping *of;
	uint32_t number;
	struct error *err;
};

static struct prefix spare_prefix(const struct spare *s)
{
	return s->of->spare[s->number];
}

static int refuse(const struct spare *s, struct prefix other, const struct config_mapping *of, const char *what)
{
	struct prefix p = spare_prefix(s);
	char path[48], text[ADDR_TEXT], other_text[ADDR_TEXT], title[MAPPING_TITLE];

	snprintf(path, sizeof(path), "mappings[%zu].spare[%u]", config_mapping_number(s->config, s->of), s->number);
	return config_refuse(s->err, -EINVAL, s->name, s->of->spare_line, s->name ? path : "",
			     "%s overlaps %s, %s of %s", prefix_text(p, text), prefix_text(other, other_text), what,
			     config_mapping_title(s->config, of->tenant, of->in, of->out, title));
}

/* Whether a mapping lies within one of the parts of another. */
static bool is_exception_of(const struct config *c, const struct config_mapping *m, const struct config_mapping *of)
{
	size_t n = config_parts(c, of);

	for (size_t i = 0; i < n; i++)
		if (config_same_tenant(m, of) && prefix_inside(m->in, of[i].in))
			return true;
	return false;
}

/* Checks a spare prefix against one mapping; the mapping's own exceptions may use it. */
static int check_against(const struct spare *s, const struct config_mapping *m)
{
	struct prefix p = spare_prefix(s);
	bool taken = m != s->of && is_exception_of(s->config, m, s->of) && prefix_within(m->out, p);

	if (prefixes_overlap(p, m->in))
		return refuse(s, m->in, m, "the inside range");
	if (prefixes_overlap(p, m->out) && !taken)
		return refuse(s, m->out, m, "the outside range");
	if (m > s->of || m->part)
		return 0;
	for (uint32_t i = 0; i < (m == s->of ? s->number : m->n_spare); i++)
		if (prefixes_overlap(p, m->spare[i]))
			return refuse(s, m->spare[i], m, "spare addresses");
	return 0;
}

static int by_base(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

/* Whether any two spare prefixes overlap; true, too, if memory is short. */
static bool spares_overlap(const struct config *c)
{
	_cleanup_free_ struct prefix *all = calloc(c->n_mappings * CONFIG_MAX_SPARE + 1, sizeof(*all));
	bool overlap = !all;
	size_t n = 0;

	for (size_t i = 0; all && i < c->n_mappings; i++)
		for (uint32_t k = 0; !c->mappings[i].part && k < c->mappings[i].n_spare; k++)
			all[n++] = c->mappings[i].spare[k];
	if (all)
		qsort(all, n, sizeof(*all), by_base);
	/* Prefixes of one length or of several: the first that overlaps another one is beside it. */
	for (size_t i = 1; i < n && !overlap; i++)
		overlap = prefixes_overlap(all[i - 1], all[i]);
	return overlap;
}

/* Whether a spare prefix overlaps a range of a mapping that may not have it. */
static bool is_taken(const struct spare *s)
{
	struct prefix p = spare_prefix(s);
	const struct config_mapping *m;
	struct near n = near_begin(s->config, NEAR_IN, p);

	if (near_next(&n))
		return true;
	for (n = near_begin(s->config, NEAR_OUT, p); (m = near_next(&n));)
		if (m == s->of || !is_exception_of(s->config, m, s->of) || !prefix_within(m->out, p))
			return true;
	return false;
}

/* Looks for the mapping that a spare prefix collides with, if there may be one. */
static int check_one(const struct spare *s, bool overlap)
{
	int r = 0;

	if (!overlap && !is_taken(s))
		return 0;
	for (size_t i = 0; i < s->config->n_mappings && !r; i++)
		r = check_against(s, &s->config->mappings[i]);
	return r;
}

int validate_spare(const struct config *c, const char *name, struct error *err)
{
	struct spare s = { .config = c, .name = name, .err = err };
	bool overlap = spares_overlap(c);

	for (s.of = c->mappings; s.of < c->mappings + c->n_mappings; s.of++) {
		if (s.of->part)
			continue;
		if (s.of->n_spare && prefix_is_none(s.of->out)) {
			char path[48];

			snprintf(path, sizeof(path), "mappings[%zu].spare", config_mapping_number(c, s.of));
			return config_refuse(err, -EINVAL, name, s.of->spare_line, name ? path : "",
					     "is of no use where nothing is translated");
		}
		for (s.number = 0; s.number < s.of->n_spare; s.number++) {
			int r = check_one(&s, overlap);

			if (r)
				return r;
		}
	}
	return 0;
}

/* Whether, once a mapping has ended, another one with sessions has its subscribers. */
static bool is_succeeded(const struct config *c, const struct config_mapping *m)
{
	while (m && m->until)
		m = config_find_around(c, m->tenant, m->in);
	return m && config_mapping_slots(c, m);
}

/* Refuses a portmap that would be invalid once its mapping has ended, so that the mapping could not end. */
static int check_portmap_until(const struct config *c, size_t number, const char *name, struct error *err)
{
	const struct config_portmap *p = &c->portmaps[number];
	const struct config_mapping *m = config_mapping_of_portmap(c, p);
	char path[48], addr[ADDR_TEXT], out[ADDR_TEXT], until[TIME_TEXT];

	if (!m || !m->until || (!p->out.addr && is_succeeded(c, m)))
		return 0;
	addr_format(p->in.addr, addr);
	time_format(m->until, until);
	snprintf(path, sizeof(path), "portmaps[%zu].%s", number, p->out.addr ? "out" : "in");
	if (p->out.addr)
		return config_refuse(err, -EINVAL, name, p->out_line, name ? path : "",
				     "%s has %s only until %s; a portmap without `out` would go with it", addr,
				     addr_format(p->out.addr, out), until);
	return config_refuse(err, -EINVAL, name, p->in_line, name ? path : "",
			     "%s is a subscriber only until %s; omit the portmap, or `until` of its mapping", addr,
			     until);
}

/* The same for a mapping that a list names. */
static int check_named_until(const struct config *c, const char *label, const char *list, uint32_t number,
			     const char *name, struct error *err)
{
	const struct config_mapping *m = config_find_named(c, label);
	char path[40], until[TIME_TEXT];

	if (!m || !m->until)
		return 0;
	snprintf(path, sizeof(path), "%s.mappings[%u]", list, number);
	return config_refuse(err, -EINVAL, name, config_line(c, path), path,
			     "%s exists only until %s; name mappings that stay", label, time_format(m->until, until));
}

int validate_until(const struct config *c, const char *name, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < c->n_portmaps && !r; i++)
		r = check_portmap_until(c, i, name, err);
	for (uint32_t i = 0; c->pcp.enabled && i < c->pcp.n_mappings && !r; i++)
		r = check_named_until(c, c->pcp.mappings[i], "pcp", i, name, err);
	for (uint32_t i = 0; c->replication.enabled && i < c->replication.n_mappings && !r; i++)
		r = check_named_until(c, c->replication.mappings[i], "replication", i, name, err);
	return r;
}

size_t config_drop_ended(struct config *c, int64_t now, const char *name)
{
	size_t n = 0;

	for (size_t i = c->n_mappings; i > 0; i--) {
		const struct config_mapping m = c->mappings[i - 1];
		char title[MAPPING_TITLE], until[TIME_TEXT];

		/* The first part takes the others with it. */
		if (m.part || !m.until || m.until > now)
			continue;
		log_info("%s%smapping %s ended at %s", name ? name : "", name ? ": " : "",
			 config_mapping_title(c, m.tenant, m.in, m.out, title), time_format(m.until, until));
		config_del_mapping_of(c, m.tenant, m.in, m.out);
		n++;
	}
	return n;
}

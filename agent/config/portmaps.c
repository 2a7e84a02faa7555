/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of portmaps: read, written, edited. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"
#include "config/port_pairs.h"

static int portmaps_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config *c = value;
	const cJSON *element;
	int ret = expect_array(r, json, MAX_PORTMAPS, "portmaps");

	if (ret < 0)
		return ret;
	c->portmaps = calloc((size_t)cJSON_GetArraySize(json) + 1, sizeof(*c->portmaps));
	if (!c->portmaps)
		return reader_no_memory(r);
	cJSON_ArrayForEach (element, json) {
		struct config_portmap *m = &c->portmaps[c->n_portmaps];
		size_t before = json_path_add_index(&r->path, c->n_portmaps);

		ret = fields_read(r, element, f->fields, m);
		if (ret < 0)
			return ret;
		m->line = json_line(element);
		m->in_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "in"));
		if (m->out.addr)
			m->out_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "out"));
		c->n_portmaps++;
		json_path_cut(&r->path, before);
	}
	return 0;
}

static int portmaps_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config *c = value;

	return records_write(object, f, c->portmaps, sizeof(*c->portmaps), c->n_portmaps);
}

const struct field_type field_portmaps = { .read = portmaps_read, .write = portmaps_write };

void config_name_portmap_tenants(struct config *c, struct prefix in)
{
	for (size_t i = 0; c->n_tenants && i < c->n_portmaps; i++) {
		const struct config_portmap *m = &c->portmaps[i];
		const struct config_mapping *two[2] = { NULL, NULL }, *mapping;

		if (*m->tenant || !prefix_holds(in, m->in.addr))
			continue;
		mapping = config_mapping_of_portmap(c, m);
		if (!mapping || (config_mapping_of_pair(c, m->in.addr, 0, two), !two[0]))
			continue;
		if (config_own_portmaps(c))
			return;
		snprintf(c->portmaps[i].tenant, LABEL_TEXT, "%s", mapping->tenant);
	}
}

int config_add_portmap(struct config *c, const struct config_portmap *m)
{
	struct config_portmap *more =
		config_own_portmaps(c) ? NULL : reallocarray(c->portmaps, c->n_portmaps + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	c->portmaps = more;
	more[c->n_portmaps++] = *m;
	return 0;
}

static int remove_at(struct config *c, size_t number)
{
	if (config_own_portmaps(c))
		return -ENOMEM;
	c->n_portmaps--;
	memmove(&c->portmaps[number], &c->portmaps[number + 1], (c->n_portmaps - number) * sizeof(*c->portmaps));
	return 0;
}

/* Lists the portmaps of a name as `portmap del` takes them. */
static void name_all(const struct config *c, const char *name, struct error *err)
{
	const char *before = "";

	for (size_t i = 0; i < c->n_portmaps; i++) {
		size_t n = strlen(err->text);
		char out[PORTMAP_OUT_TEXT];

		if (strcmp(c->portmaps[i].name, name) != 0)
			continue;
		snprintf(err->text + n, sizeof(err->text) - n, "%s%s", before,
			 portmap_out_format(c, &c->portmaps[i], out));
		before = ", ";
	}
}

int config_del_portmap_named(struct config *c, const char *name, struct error *err)
{
	size_t n = 0, found = 0;

	for (size_t i = 0; i < c->n_portmaps; i++) {
		if (strcmp(c->portmaps[i].name, name) != 0)
			continue;
		found = i;
		n++;
	}
	if (!n)
		return error_set(err, -ENOENT, "there is no portmap named %s; `detnatctl portmap list` shows them",
				 name);
	if (n > 1) {
		error_set(err, 0, "%zu portmaps are named %s; name one by its protocol and outside port: ", n, name);
		name_all(c, name, err);
		return -EEXIST;
	}
	return remove_at(c, found) ? error_set(err, -ENOMEM, "out of memory") : 0;
}

/* Adds the ports from..to of a portmap, counted from its first, for some protocols. */
static int add_part(struct config *c, const struct config_portmap *of, uint8_t protos, size_t from, size_t to)
{
	struct config_portmap part = *of;

	if (!protos)
		return 0;
	part.protos = protos;
	part.in.first = (uint16_t)(of->in.first + from);
	part.in.last = (uint16_t)(of->in.first + to);
	if (of->out.addr) {
		part.out.first = (uint16_t)(of->out.first + from);
		part.out.last = (uint16_t)(of->out.first + to);
	}
	part.line = part.in_line = part.out_line = 0;
	return config_add_portmap(c, &part);
}

static bool is_within(const struct config *c, const struct config_portmap *m, size_t port, struct port_span out)
{
	struct endpoint e = config_portmap_out(c, m, port);

	return e.addr == out.addr && e.port >= out.first && e.port <= out.last;
}

/* Replaces a portmap by its parts without the removed ports. */
static int split(struct config *c, size_t number, uint8_t protos, struct port_span out)
{
	struct config_portmap m = c->portmaps[number];
	size_t n = m.in.last - m.in.first + 1U, from = 0;
	int r = remove_at(c, number);

	for (size_t port = 1; !r && port <= n; port++) {
		bool taken = is_within(c, &m, from, out);

		if (port < n && is_within(c, &m, port, out) == taken)
			continue;
		r = add_part(c, &m, taken ? m.protos & (uint8_t)~protos : m.protos, from, port - 1);
		from = port;
	}
	return r;
}

static bool has_any(const struct config *c, const struct config_portmap *m, uint8_t protos, struct port_span out)
{
	for (size_t port = 0; m->protos & protos && port <= (size_t)m->in.last - m->in.first; port++)
		if (is_within(c, m, port, out))
			return true;
	return false;
}

int config_del_portmap(struct config *c, uint8_t protos, struct port_span out)
{
	bool found = false;

	/* The remaining parts come last and have none of these ports. */
	for (size_t i = c->n_portmaps; i > 0; i--) {
		int r;

		if (!has_any(c, &c->portmaps[i - 1], protos, out))
			continue;
		found = true;
		r = split(c, i - 1, protos, out);
		if (r)
			return r;
	}
	return found ? 0 : -ENOENT;
}

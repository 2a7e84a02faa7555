/* SPDX-License-Identifier: BSD-2-Clause */
/* Tenants: their interfaces, VRFs and numbers. */
#include <errno.h>
#include <string.h>

#include "base/interface_pattern.h"
#include "config/fields.h"

const struct config_tenant *config_find_tenant(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_tenants; i++)
		if (!strcmp(c->tenants[i].name, name))
			return &c->tenants[i];
	return NULL;
}

const struct config_tenant *config_tenant(const struct config *c, uint8_t id)
{
	for (size_t i = 0; id && i < c->n_tenants; i++)
		if (c->tenants[i].id == id)
			return &c->tenants[i];
	return NULL;
}

const char *tenant_name(const struct config *c, uint8_t id)
{
	const struct config_tenant *t = config_tenant(c, id);

	return t ? t->name : "";
}

uint8_t config_mapping_tenant(const struct config *c, const struct config_mapping *m)
{
	const struct config_tenant *t = *m->tenant ? config_find_tenant(c, m->tenant) : NULL;

	return t ? t->id : 0;
}

const struct config_tenant *config_interface_tenant(const struct config *c, const struct config_interface *i)
{
	return i->inside_of && i->inside_of <= c->n_tenants ? &c->tenants[i->inside_of - 1] : NULL;
}

bool config_interface_is_outside_of(const struct config *c, const struct config_interface *i,
				    const struct config_tenant *t)
{
	size_t place = (size_t)(t - c->tenants);

	return i->outside_of[place / 64] & 1ULL << place % 64;
}

/* Whether a tenant's packets are routed by a table of its own. */
static bool has_vrf(const struct config *c, const char *tenant)
{
	const struct config_tenant *t = config_find_tenant(c, tenant);

	return t && *t->vrf;
}

bool config_tenants_apart(const struct config *c, const char *a, const char *b)
{
	return has_vrf(c, a) || has_vrf(c, b);
}

/* Edits. */

int config_add_tenant_interface(struct config *c, const struct config_tenant *t, const char *name, uint8_t role)
{
	size_t place = (size_t)(t - c->tenants);
	const struct config_interface *known = config_find_interface(c, name);
	struct config_interface *i;
	int r;

	if (known && role & DEVICE_INSIDE && known->inside_of)
		return known->inside_of == place + 1 ? -EEXIST : -EBUSY;
	if (known && role & DEVICE_OUTSIDE && config_interface_is_outside_of(c, known, t))
		return -EEXIST;
	r = config_add_interface(c, name, role);
	if (r && r != -EEXIST)
		return r;
	i = config_find_interface(c, name);
	if (role & DEVICE_INSIDE)
		i->inside_of = (uint8_t)(place + 1);
	if (role & DEVICE_OUTSIDE)
		i->outside_of[place / 64] |= 1ULL << place % 64;
	return 0;
}

int config_del_tenant_interface(struct config *c, const struct config_tenant *t, const char *name, uint8_t role)
{
	size_t place = (size_t)(t - c->tenants);
	struct config_interface *i = config_find_interface(c, name);
	uint64_t left = 0;

	if (!i || !(i->roles & role) || (role & DEVICE_INSIDE && i->inside_of != place + 1) ||
	    (role & DEVICE_OUTSIDE && !config_interface_is_outside_of(c, i, t)))
		return -ENOENT;
	if (role & DEVICE_INSIDE) {
		int r = config_del_interface(c, name, DEVICE_INSIDE);

		if (r || !(role & DEVICE_OUTSIDE))
			return r;
		i = config_find_interface(c, name);
	}
	i->outside_of[place / 64] &= ~(1ULL << place % 64);
	for (size_t k = 0; k < ARRAY_SIZE(i->outside_of); k++)
		left |= i->outside_of[k];
	return left ? 0 : config_del_interface(c, name, DEVICE_OUTSIDE);
}

/* Numbers. */

static void take(bool *taken, const struct config *c)
{
	for (size_t i = 0; c && i < c->n_tenants; i++)
		taken[c->tenants[i].id] = true;
}

/* A number that neither configuration has, so that no table takes one tenant for another; else one of a former one. */
static uint8_t free_number(const bool *taken, const bool *former)
{
	for (unsigned id = 1; id <= CONFIG_MAX_TENANTS; id++)
		if (!taken[id] && !former[id])
			return (uint8_t)id;
	for (unsigned id = 1; id <= CONFIG_MAX_TENANTS; id++)
		if (!taken[id])
			return (uint8_t)id;
	return 0;
}

void config_number_tenants(struct config *c, const struct config *before)
{
	bool taken[CONFIG_MAX_TENANTS + 1] = { 0 }, former[CONFIG_MAX_TENANTS + 1] = { 0 };

	take(taken, c);
	take(former, before);
	c->ipfix.tenants = c->n_tenants > 0;
	for (size_t i = 0; i < c->n_tenants; i++) {
		const struct config_tenant *t = before ? config_find_tenant(before, c->tenants[i].name) : NULL;

		if (c->tenants[i].id || !t || taken[t->id])
			continue;
		c->tenants[i].id = t->id;
		taken[t->id] = true;
	}
	for (size_t i = 0; i < c->n_tenants; i++) {
		if (c->tenants[i].id)
			continue;
		c->tenants[i].id = free_number(taken, former);
		taken[c->tenants[i].id] = true;
	}
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct config_tenant *t = config_interface_tenant(c, &c->interfaces[i]);

		c->interfaces[i].tenant = t ? t->id : 0;
		snprintf(c->interfaces[i].vrf, IFNAMSIZ, "%s", t ? t->vrf : "");
	}
}

/* Read and written. */

static int top_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	r->config->interfaces_given = true;
	return fields_read(r, json, f->fields, value);
}

static int top_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config *c = value;
	_cleanup_json_ cJSON *json = cJSON_CreateObject();

	if (c->n_tenants)
		return 0;
	if (!json || fields_write(json, f->fields, value))
		return -ENOMEM;
	return json_add(object, f->name, take_pointer(json));
}

const struct field_type field_top_interfaces = { .read = top_read, .write = top_write };

static int tenant_interfaces_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	int ret;

	r->in_tenant = true;
	ret = fields_read(r, json, f->fields, r->config);
	r->in_tenant = false;
	return ret;
}

/* tenants_write() adds them: they belong to the configuration. */
static int tenant_interfaces_write(cJSON *object, const struct field *f, const void *value)
{
	return 0;
}

const struct field_type field_tenant_interfaces = { .read = tenant_interfaces_read, .write = tenant_interfaces_write };

static int tenants_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config *c = value;
	const cJSON *element;
	int ret = expect_array(r, json, CONFIG_MAX_TENANTS, "tenants");

	if (ret < 0)
		return ret;
	c->tenants = calloc((size_t)cJSON_GetArraySize(json) + 1, sizeof(*c->tenants));
	if (!c->tenants)
		return reader_no_memory(r);
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, c->n_tenants);

		ret = fields_read(r, element, f->fields, &c->tenants[c->n_tenants]);
		if (ret < 0)
			return ret;
		c->tenants[c->n_tenants++].line = json_line(element);
		json_path_cut(&r->path, before);
	}
	return 0;
}

static bool is_in(const struct config *c, const struct config_interface *i, const struct config_tenant *t, uint8_t role)
{
	return role == DEVICE_INSIDE ? config_interface_tenant(c, i) == t : config_interface_is_outside_of(c, i, t);
}

static int add_list(cJSON *object, const struct config *c, const struct config_tenant *t, const char *name,
		    uint8_t role)
{
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_interfaces; i++)
		if (is_in(c, &c->interfaces[i], t, role) && interface_append(list, &c->interfaces[i]))
			return -ENOMEM;
	return json_add(object, name, take_pointer(list));
}

static cJSON *tenant_json(const struct field *f, const struct config *c, const struct config_tenant *t)
{
	_cleanup_json_ cJSON *json = cJSON_CreateObject(), *interfaces = cJSON_CreateObject();

	if (!json || !interfaces || fields_write(json, f->fields, t) ||
	    add_list(interfaces, c, t, "inside", DEVICE_INSIDE) ||
	    add_list(interfaces, c, t, "outside", DEVICE_OUTSIDE) ||
	    json_add(json, "interfaces", take_pointer(interfaces)))
		return NULL;
	return take_pointer(json);
}

static int tenants_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config *c = value;
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!c->n_tenants)
		return 0;
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_tenants; i++)
		if (json_append(list, tenant_json(f, c, &c->tenants[i])))
			return -ENOMEM;
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_tenants = { .read = tenants_read, .write = tenants_write };

/* Rules. */

static int __attribute__((format(printf, 5, 6)))
refuse_tenant(const struct config *c, size_t number, const char *name, struct error *err, const char *format, ...)
{
	char path[32], text[192];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "tenants[%zu]", number);
	return config_refuse(err, -EINVAL, name, c->tenants[number].line, path, "%s", text);
}

int config_check_numbers(const struct config *c, const struct config *running, const char *name, struct error *err)
{
	for (size_t i = 0; running && i < c->n_tenants; i++) {
		const char *was = tenant_name(running, c->tenants[i].id);

		if (!*was || !strcmp(was, c->tenants[i].name))
			continue;
		refuse_tenant(c, i, name, err,
			      "%u is the id of the tenant %s so far: write another id, or first reload a configuration "
			      "without %s",
			      c->tenants[i].id, was, was);
		return -EBUSY;
	}
	return 0;
}

/* What an earlier tenant has already. */
static int validate_unique(const struct config *c, size_t number, const char *name, struct error *err)
{
	const struct config_tenant *t = &c->tenants[number];

	for (size_t i = 0; i < number; i++) {
		const struct config_tenant *other = &c->tenants[i];

		if (!strcmp(other->name, t->name))
			return refuse_tenant(c, number, name, err, "%s is the name of tenants[%zu] already", t->name,
					     i);
		if (t->id && other->id == t->id)
			return refuse_tenant(c, number, name, err, "%u is the id of the tenant %s already", t->id,
					     other->name);
		if (*t->vrf && !strcmp(other->vrf, t->vrf))
			return refuse_tenant(c, number, name, err,
					     "%s is the VRF of the tenant %s already: a tenant may have many "
					     "interfaces, and a VRF has one tenant",
					     t->vrf, other->name);
	}
	return 0;
}

static int validate_mapping(const struct config *c, const struct config_mapping *m, const char *name, struct error *err)
{
	char path[48];

	if (c->n_tenants ? *m->tenant && config_find_tenant(c, m->tenant) : !*m->tenant)
		return 0;
	snprintf(path, sizeof(path), "mappings[%zu].tenant", config_mapping_number(c, m));
	if (!name)
		*path = '\0';
	if (!c->n_tenants && *m->tenant)
		return config_refuse(err, -EINVAL, name, m->line, path,
				     "there is no tenant %s: `tenants` lists them, and there is none", m->tenant);
	if (c->n_tenants && !*m->tenant)
		return config_refuse(err, -EINVAL, name, m->line, path,
				     "is missing: where there are tenants, every mapping belongs to one");
	return config_refuse(err, -EINVAL, name, m->line, path, "there is no tenant %s: `tenants` lists them",
			     m->tenant);
}

/* Of packets that come from anywhere, the tenant is not known. */
static int validate_any(const struct config *c, const char *name, struct error *err)
{
	for (size_t i = 0; i < c->n_interfaces; i++)
		if (c->interfaces[i].inside_of && interface_is_any(c->interfaces[i].name))
			return refuse_tenant(c, c->interfaces[i].inside_of - 1U, name, err,
					     "\"*\" is of no tenant: name its inside interfaces, or write a pattern "
					     "that no other tenant's interfaces match");
	return 0;
}

/* What comes in there would be of the one tenant, and go to the other. */
static int validate_both(const struct config *c, const char *name, struct error *err)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct config_interface *f = &c->interfaces[i];
		const struct config_tenant *of = config_interface_tenant(c, f);

		for (size_t k = 0; of && k < c->n_tenants; k++)
			if (&c->tenants[k] != of && config_interface_is_outside_of(c, f, &c->tenants[k]))
				return refuse_tenant(c, k, name, err,
						     "%s is an inside interface of the tenant %s, so it cannot be an "
						     "outside one of another",
						     f->name, of->name);
	}
	return 0;
}

int validate_tenants(const struct config *c, const char *name, struct error *err)
{
	int r = 0;

	if (c->n_tenants && c->interfaces_given)
		return config_refuse(err, -EINVAL, name, c->tenants[0].line, "tenants",
				     "each tenant has its own interfaces: leave `interfaces` at the top out");
	for (size_t i = 0; !r && i < c->n_tenants; i++)
		r = validate_unique(c, i, name, err);
	if (!r)
		r = validate_any(c, name, err);
	if (!r)
		r = validate_both(c, name, err);
	for (size_t i = 0; !r && i < c->n_mappings; i++)
		if (!c->mappings[i].part)
			r = validate_mapping(c, &c->mappings[i], name, err);
	return r;
}

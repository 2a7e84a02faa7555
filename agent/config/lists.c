/* SPDX-License-Identifier: BSD-2-Clause */
/* Values that consist of others: objects, and the lists of interfaces, mappings, prefixes and events. */
#include <errno.h>
#include <string.h>

#include "config/fields.h"

int expect_array(struct reader *r, const cJSON *json, size_t max, const char *of_what)
{
	size_t i = 0;
	const cJSON *element;

	if (!cJSON_IsArray(json))
		return reader_refuse(r, json, "must be a list of %s", of_what);
	cJSON_ArrayForEach (element, json) {
		if (i == max) {
			json_path_add_index(&r->path, i);
			return reader_refuse(r, element, "more than %zu %s", max, of_what);
		}
		i++;
	}
	return 0;
}

/* The flag that says whether the object is present; NULL: it always is. */
static bool *object_enabled(const struct field *f, const void *value)
{
	return f->enabled < 0 ? NULL : (bool *)((uintptr_t)value - f->offset + (size_t)f->enabled);
}

static int object_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	int ret = fields_read(r, json, f->fields, value);

	if (ret == 0 && object_enabled(f, value))
		*object_enabled(f, value) = true;
	return ret;
}

static int object_write(cJSON *object, const struct field *f, const void *value)
{
	if (object_enabled(f, value) && !*object_enabled(f, value))
		return 0;

	_cleanup_json_ cJSON *json = cJSON_CreateObject();

	if (!json || fields_write(json, f->fields, value) < 0)
		return -ENOMEM;
	return json_add(object, f->name, take_pointer(json));
}

const struct field_type field_object = { .read = object_read, .write = object_write };

/* A name, or an object with it. */
#define OWN_KEY(member)                                                \
	static uint32_t own_##member(const struct config_interface *i) \
	{                                                              \
		return i->member;                                      \
	}

OWN_KEY(xdp_mode)
OWN_KEY(xdp_dispatcher)
OWN_KEY(xdp_priority)

/* What an interface in both lists has once. */
static const struct {
	const char *name;
	uint32_t (*get)(const struct config_interface *i);
} own_keys[] = {
	{ "xdp_mode", own_xdp_mode },
	{ "xdp_dispatcher", own_xdp_dispatcher },
	{ "xdp_priority", own_xdp_priority },
};

/* The place of the tenant whose interfaces are being read; -1: they are those of the top. */
static int reading_tenant(const struct reader *r)
{
	return r->in_tenant ? (int)r->config->n_tenants : -1;
}

static bool has_tenant(const struct config_interface *i, unsigned place)
{
	return i->outside_of[place / 64] & 1ULL << place % 64;
}

/* Tenants may have outside interfaces in common. */
static bool tenants_share(const struct reader *r, const struct config_interface *known, uint8_t role)
{
	int place = reading_tenant(r);

	return role == DEVICE_OUTSIDE && place >= 0 && !has_tenant(known, (unsigned)place);
}

static void note_tenant(const struct reader *r, struct config_interface *i, uint8_t role)
{
	int place = reading_tenant(r);

	if (place < 0)
		return;
	if (role == DEVICE_INSIDE)
		i->inside_of = (uint8_t)(place + 1);
	else
		i->outside_of[place / 64] |= 1ULL << place % 64;
}

static int already_inside(struct reader *r, const cJSON *json, const struct config_interface *known, uint8_t role)
{
	if (r->config->n_tenants && reading_tenant(r) < 0)
		return reader_refuse(r, json,
				     "%s is an interface of a tenant already: leave `interfaces` at the top out",
				     known->name);
	if (role == DEVICE_INSIDE && known->inside_of && known->inside_of - 1 != reading_tenant(r))
		return reader_refuse(r, json,
				     "%s is an inside interface of the tenant %s already: only outside interfaces may "
				     "be shared",
				     known->name, r->config->tenants[known->inside_of - 1].name);
	return reader_refuse(r, json, "%s is in this list already", known->name);
}

static int interface_read(struct reader *r, const cJSON *json, uint8_t role, unsigned position)
{
	struct config *c = r->config;
	struct config_interface i = { 0 }, *known;

	if (cJSON_IsObject(json)) {
		int ret = fields_read(r, json, &config_interface_fields, &i);

		if (ret)
			return ret;
	} else if (cJSON_IsString(json) && interface_name_valid(json->valuestring)) {
		snprintf(i.name, sizeof(i.name), "%s", json->valuestring);
	} else {
		return reader_refuse(r, json, "must be the name of an interface, 1 to %d characters", IFNAMSIZ - 1);
	}
	known = config_find_interface(c, i.name);
	if (known && known->roles & role && !tenants_share(r, known, role))
		return already_inside(r, json, known, role);
	for (size_t k = 0; known && k < ARRAY_SIZE(own_keys); k++)
		if (own_keys[k].get(&i) && own_keys[k].get(known) && own_keys[k].get(&i) != own_keys[k].get(known))
			return reader_refuse(r, json, "%s has another '%s' in the other list", known->name,
					     own_keys[k].name);
	if (!(known && known->roles & role) && config_add_interface(c, i.name, role) < 0)
		return reader_no_memory(r);
	if (!known || role == DEVICE_INSIDE) {
		known = config_find_interface(c, i.name);
		known->line = json_line(json);
		known->position = position;
	}
	known = config_find_interface(c, i.name);
	note_tenant(r, known, role);
	if (i.xdp_mode)
		known->xdp_mode = i.xdp_mode;
	if (i.xdp_dispatcher)
		known->xdp_dispatcher = i.xdp_dispatcher;
	if (i.xdp_priority)
		known->xdp_priority = i.xdp_priority;
	return 0;
}

static int interfaces_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	unsigned position = 0;
	const cJSON *element;
	int ret = expect_array(r, json, CONFIG_MAX_INTERFACES, "names of interfaces");

	if (ret < 0)
		return ret;
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, position);

		ret = interface_read(r, element, (uint8_t)f->min, position++);
		if (ret < 0)
			return ret;
		json_path_cut(&r->path, before);
	}
	return 0;
}

int interface_append(cJSON *list, const struct config_interface *i)
{
	bool keys = i->xdp_mode || i->xdp_dispatcher || i->xdp_priority;
	_cleanup_json_ cJSON *json = keys ? cJSON_CreateObject() : cJSON_CreateString(i->name);

	if (!json || (keys && fields_write(json, &config_interface_fields, i)))
		return -ENOMEM;
	return json_append(list, take_pointer(json));
}

static int interfaces_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config *c = value;
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct config_interface *interface = &c->interfaces[i];

		if (interface->roles & f->min && interface_append(list, interface))
			return -ENOMEM;
	}
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_interfaces = { .read = interfaces_read, .write = interfaces_write };

/* The place for the next mapping, all zeros; NULL: out of memory. */
static struct config_mapping *next_mapping(struct config *c)
{
	struct config_mapping *more = reallocarray(c->mappings, c->n_mappings + 1, sizeof(*more));

	if (!more)
		return NULL;
	c->mappings = more;
	more[c->n_mappings] = (struct config_mapping){ 0 };
	return &more[c->n_mappings];
}

static int mappings_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config *c = value;
	const cJSON *element;
	size_t number = 0;
	int ret = expect_array(r, json, CONFIG_MAX_MAPPINGS, "mappings");

	if (ret < 0)
		return ret;
	config_place_prefixes(json);
	cJSON_ArrayForEach (element, json) {
		struct config_mapping *m = next_mapping(c);
		size_t before = json_path_add_index(&r->path, number++);

		if (!m)
			return reader_no_memory(r);
		ret = fields_read(r, element, f->fields, m);
		if (ret < 0)
			return ret;
		m->line = json_line(element);
		m->in_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "in"));
		m->out_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "out"));
		if (m->independence.given)
			m->independence_line =
				json_line(cJSON_GetObjectItemCaseSensitive(element, "endpoint_independent"));
		if (m->growth.given)
			m->growth_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "growth"));
		if (m->limits.given)
			m->limits_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "limits"));
		if (*m->name)
			m->name_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "name"));
		if (m->n_spare)
			m->spare_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "spare"));
		if (m->six.subscriber_plen)
			m->subscriber_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "subscriber_plen"));
		if (m->six.nat64_plen)
			m->nat64_line = json_line(cJSON_GetObjectItemCaseSensitive(element, "nat64_prefix"));
		c->n_mappings++;
		ret = config_place(r, element);
		if (!ret)
			ret = config_cut_lists(r, element);
		if (ret)
			return ret;
		json_path_cut(&r->path, before);
	}
	return 0;
}

int records_write(cJSON *object, const struct field *f, const void *records, size_t size, size_t n)
{
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		cJSON *element = cJSON_CreateObject();

		if (json_append(list, element) ||
		    fields_write(element, f->fields, (const char *)records + i * size) < 0)
			return -ENOMEM;
	}
	return json_add(object, f->name, take_pointer(list));
}

static int mappings_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config *c = value;
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_mappings; i++) {
		cJSON *element = c->mappings[i].part ? NULL : cJSON_CreateObject();

		if (c->mappings[i].part)
			continue;
		if (json_append(list, element) || fields_write(element, f->fields, &c->mappings[i]) < 0)
			return -ENOMEM;
	}
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_mappings = { .read = mappings_read, .write = mappings_write };

static const struct field bypass_element = { "", &field_prefix, .size = sizeof(struct prefix) };

static int bypass_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config *c = value;
	const cJSON *element;
	int ret = expect_array(r, json, MAX_BYPASS, "prefixes");

	if (ret < 0)
		return ret;
	c->bypass = calloc((size_t)cJSON_GetArraySize(json) + 1, sizeof(*c->bypass));
	if (!c->bypass)
		return reader_no_memory(r);
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, c->n_bypass);

		ret = field_read(r, element, &bypass_element, &c->bypass[c->n_bypass]);
		if (ret < 0)
			return ret;
		c->n_bypass++;
		json_path_cut(&r->path, before);
	}
	return 0;
}

static int bypass_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config *c = value;
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_bypass; i++) {
		char text[ADDR_TEXT];

		if (json_append(list, cJSON_CreateString(prefix_text(c->bypass[i], text))))
			return -ENOMEM;
	}
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_bypass = { .read = bypass_read, .write = bypass_write };

/* Events and protocols: one bit for each word. */

static int bits_read(struct reader *r, const cJSON *json, const struct field *f, const char *of_what, void *value)
{
	const struct field element_field = { "", &field_word, .size = sizeof(uint32_t), .words = f->words };
	uint32_t bits = 0;
	size_t i = 0;
	const cJSON *element;

	if (!cJSON_IsArray(json))
		return reader_refuse(r, json, "must be a list of %s", of_what);
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, i++);
		uint32_t number;
		int ret = field_read(r, element, &element_field, &number);

		if (ret < 0)
			return ret;
		bits |= number;
		json_path_cut(&r->path, before);
	}
	number_store(value, f->size, bits);
	return 0;
}

static int events_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return bits_read(r, json, f, "events", value);
}

static int protocols_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	return bits_read(r, json, f, "protocols", value);
}

static int bits_write(cJSON *object, const struct field *f, const void *value)
{
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!list)
		return -ENOMEM;
	for (const struct word *word = f->words; word->text; word++)
		if (number_load(value, f->size) & word->number && json_append(list, cJSON_CreateString(word->text)))
			return -ENOMEM;
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_events = { .read = events_read, .write = bits_write };
const struct field_type field_protocols = { .read = protocols_read, .write = bits_write };

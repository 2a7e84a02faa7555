/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a configuration. detnatctl links this, and with it all of this room but load.c. */
#include <errno.h>

#include "config/fields.h"
#include <detnat/portmaps.h>

/*
 * What the lists of a configuration can have, as values of JSON: portmaps with all keys, mappings with all keys and
 * their lists (each range of `in`, `out` and `exclude` counts as a mapping), interfaces with all keys on both sides,
 * names of mappings in two lists, tenants, sources of leases, and single keys.
 */
#define VALUES_OF_PORTMAP   6U
#define VALUES_OF_MAPPING   (1U + 20U + 8U + 4U + 5U + CONFIG_MAX_SPARE + 3U)
#define VALUES_OF_INTERFACE 10U
#define VALUES_OF_TENANT    8U
#define SINGLE_VALUES	    4096U
_Static_assert(MAX_PORTMAPS *VALUES_OF_PORTMAP + CONFIG_MAX_MAPPINGS * (VALUES_OF_MAPPING + 2U) +
			       CONFIG_MAX_INTERFACES * VALUES_OF_INTERFACE + CONFIG_MAX_TENANTS * VALUES_OF_TENANT +
			       SINGLE_VALUES <=
		       JSON_MAX_VALUES,
	       "whatever the limits of the lists allow can be read");

/* The line of a key of the document, or 0. */
static unsigned line_of(const cJSON *json, const char *key)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);

	return value ? json_line(value) : 0;
}

int config_parse(const char *text, size_t size, const char *name, struct config **ret, struct error *err)
{
	_cleanup_config_ struct config *c = config_new();
	_cleanup_json_ cJSON *json = NULL;
	struct reader reader = { .name = name, .config = c, .err = err };
	struct json_fault fault;
	int r;

	if (!c)
		return reader_no_memory(&reader);
	r = json_read(text, size, &json, &fault);
	if (r == -ENOMEM)
		return reader_no_memory(&reader);
	if (r < 0)
		return config_refuse(err, r, name, fault.line, fault.path.text, "%s", fault.text);

	r = fields_read(&reader, json, &config_fields, c);
	if (r < 0)
		return r;
	if (!c->interfaces_given && !c->n_tenants)
		return config_refuse(err, -EINVAL, name, json_line(json), "interfaces", "this key is missing");
	c->beyond_line = line_of(json, "overflow_sessions");
	c->control_socket_line = line_of(json, "control_socket");
	c->pin_path_line = line_of(json, "pin_path");
	c->state_dir_line = line_of(json, "state_dir");
	if (config_lines_read(c, json))
		return reader_no_memory(&reader);
	r = config_validate(c, name, err);
	if (r < 0)
		return r;
	*ret = take_pointer(c);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON schema of the configuration (draft 2020-12), made from the tables of keys. */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/fields.h"
#include "proto/label.h"

#define OCTET	  "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define ADDR	  OCTET "(\\." OCTET "){3}"
#define PREFIX	  "^" ADDR "/(3[0-2]|[12]?[0-9])$"
#define RANGE	  "^" ADDR "-" ADDR "$"
#define ONE_OF	  "^" ADDR "(/(3[0-2]|[12]?[0-9])|-" ADDR ")$"
#define ADDRESSES "^" ADDR "(/(3[0-2]|[12]?[0-9])|-" ADDR ")?$"
#define PREFIX6	  "^[0-9a-fA-F:]*:[0-9a-fA-F:]*/([1-5]?[0-9]|6[0-4])$"
#define NAT64	  "^[0-9a-fA-F:]*:[0-9a-fA-F:]*/(32|40|48|56|64|96)$"
#define INTERFACE "^[^/: \\t]{1,15}$"
#define LABEL	  "^[A-Za-z0-9._][A-Za-z0-9._-]{0,62}$"
#define ENDPOINT  "^" ADDR ":[0-9]{1,5}$"
#define TIME	  "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}.*)?$"
#define SPAN	  "^" ADDR ":[0-9]{1,5}(-[0-9]{1,5})?$"

/* Longest path of a key, such as mappings.endpoint_independent.inbound_sessions. */
#define PATH_TEXT 128

/* For editors: the first sentences about a key in the manual page. */
static const struct description {
	const char *path, *text;
} descriptions[] = {
#define DESCRIPTION(path, text) { path, text },
#include "config/descriptions.def"
#undef DESCRIPTION
};

/* above: path of the object, "" for the configuration; defaults: NULL where there are none. */
static cJSON *object_schema(const struct fields *t, const void *defaults, const char *above);

static cJSON *of_type(const char *type)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "type", type);
	return json;
}

static cJSON *number_schema(const struct field *f)
{
	cJSON *json = of_type("integer");

	cJSON_AddNumberToObject(json, "minimum", f->min);
	cJSON_AddNumberToObject(json, "maximum", f->max);
	return json;
}

static cJSON *string_schema(const char *pattern, unsigned max)
{
	cJSON *json = of_type("string");

	if (pattern)
		cJSON_AddStringToObject(json, "pattern", pattern);
	if (max)
		cJSON_AddNumberToObject(json, "maxLength", max);
	return json;
}

static cJSON *words_schema(const struct field *f)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "enum");

	for (const struct word *word = f->words; word->text; word++)
		cJSON_AddItemToArray(list, cJSON_CreateString(word->text));
	return json;
}

static cJSON *list_schema(cJSON *items, unsigned min, unsigned max)
{
	cJSON *json = of_type("array");

	cJSON_AddItemToObject(json, "items", items);
	if (min)
		cJSON_AddNumberToObject(json, "minItems", min);
	if (max)
		cJSON_AddNumberToObject(json, "maxItems", max);
	return json;
}

/* A word or numbers. */
static cJSON *word_or(const char *word, cJSON *numbers)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "anyOf");
	cJSON *constant = cJSON_CreateObject();

	cJSON_AddStringToObject(constant, "const", word);
	cJSON_AddItemToArray(list, constant);
	cJSON_AddItemToArray(list, numbers);
	return json;
}

static cJSON *or_null(cJSON *other)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "anyOf");

	cJSON_AddItemToArray(list, other);
	cJSON_AddItemToArray(list, of_type("null"));
	return json;
}

/* A prefix, a range, or a list of these; inside, also prefixes of IPv6. */
static cJSON *ranges_schema(bool outside)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "anyOf");

	cJSON_AddItemToArray(list, string_schema(PREFIX, 0));
	cJSON_AddItemToArray(list, string_schema(RANGE, 0));
	cJSON_AddItemToArray(list, list_schema(string_schema(ONE_OF, 0), 1, 0));
	if (outside) {
		cJSON_AddItemToArray(list, of_type("null"));
		return json;
	}
	cJSON_AddItemToArray(list, string_schema(PREFIX6, 0));
	cJSON_AddItemToArray(list, list_schema(string_schema(PREFIX6, 0), 1, 0));
	return json;
}

static cJSON *slots_schema(const struct field *f)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "enum");

	for (uint32_t slots = f->min; slots <= f->max; slots *= 2)
		cJSON_AddItemToArray(list, cJSON_CreateNumber(slots));
	return word_or("auto", json);
}

/* 0 or min..max, or the word. */
static cJSON *mss_schema(const struct field *f)
{
	cJSON *json = word_or("mtu", number_schema(f)), *off = cJSON_CreateObject();

	cJSON_AddNumberToObject(off, "const", 0);
	cJSON_AddItemToArray(cJSON_GetObjectItem(json, "anyOf"), off);
	return json;
}

static cJSON *collectors_schema(void)
{
	static const char pattern[] = "^((tcp|udp):)?" ADDR ":[0-9]{1,5}$";
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "anyOf");

	cJSON_AddItemToArray(list, string_schema(pattern, 0));
	cJSON_AddItemToArray(list, list_schema(string_schema(pattern, 0), 1, MAX_COLLECTORS));
	return json;
}

static cJSON *third_party_schema(void)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "anyOf"), *off = cJSON_CreateObject();

	cJSON_AddFalseToObject(off, "const");
	cJSON_AddItemToArray(list, off);
	cJSON_AddItemToArray(list, list_schema(string_schema(PREFIX, 0), 1, PCP_MAX_THIRD_PARTY));
	return json;
}

/* NULL: an unknown type. */
static cJSON *single_schema(const struct field *f)
{
	if (f->type == &field_number || f->type == &field_quota || f->type == &field_own_number)
		return number_schema(f);
	if (f->type == &field_bool)
		return of_type("boolean");
	if (f->type == &field_interface || f->type == &field_vrf)
		return string_schema(INTERFACE, 0);
	if (f->type == &field_word || f->type == &field_choice || f->type == &field_own_word)
		return words_schema(f);
	if (f->type == &field_path)
		return string_schema("^/", f->max);
	if (f->type == &field_slots || f->type == &field_mapping_slots)
		return slots_schema(f);
	if (f->type == &field_auto)
		return word_or("auto", number_schema(f));
	if (f->type == &field_mss)
		return mss_schema(f);
	if (f->type == &field_endpoint || f->type == &field_source)
		return string_schema(ENDPOINT, 0);
	if (f->type == &field_prefix)
		return string_schema(PREFIX, 0);
	if (f->type == &field_in || f->type == &field_out)
		return ranges_schema(f->type == &field_out);
	if (f->type == &field_nat64)
		return string_schema(NAT64, 0);
	if (f->type == &field_exclude)
		return list_schema(string_schema(ADDRESSES, 0), 1, 0);
	if (f->type == &field_first_port)
		return number_schema(f);
	if (f->type == &field_span)
		return string_schema(SPAN, 0);
	if (f->type == &field_time)
		return string_schema(TIME, 0);
	if (f->type == &field_optional_path)
		return string_schema("^/", (unsigned)f->size - 1);
	if (f->type == &field_days)
		return string_schema("^[0-9]", 0);
	if (f->type == &field_label)
		return string_schema(LABEL, 0);
	return f->type == &field_comment ? string_schema(NULL, COMMENT_TEXT - 1) : NULL;
}

/* A name, or an object with it. */
static cJSON *interface_schema(void)
{
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "anyOf");

	cJSON_AddItemToArray(list, string_schema(INTERFACE, 0));
	cJSON_AddItemToArray(list, object_schema(&config_interface_fields, NULL, ""));
	return json;
}

static cJSON *field_schema(const struct field *f, const void *defaults, const char *path)
{
	if (f->type == &field_object)
		return object_schema(f->fields, defaults && f->enabled < 0 ? (const char *)defaults + f->offset : NULL,
				     path);
	if (f->type == &field_events || f->type == &field_protocols)
		return list_schema(words_schema(f), 0, 0);
	if (f->type == &field_collectors)
		return collectors_schema();
	if (f->type == &field_syslog)
		return string_schema("^(/dev/log|(udp:)?" ADDR ":[0-9]{1,5})$", 0);
	if (f->type == &field_top_interfaces || f->type == &field_tenant_interfaces)
		return object_schema(f->fields, NULL, f->type == &field_top_interfaces ? path : "interfaces");
	if (f->type == &field_tenants)
		return list_schema(object_schema(f->fields, NULL, path), 0, CONFIG_MAX_TENANTS);
	if (f->type == &field_interfaces)
		return list_schema(interface_schema(), 0, CONFIG_MAX_INTERFACES);
	if (f->type == &field_mappings)
		return list_schema(object_schema(f->fields, NULL, path), 0, CONFIG_MAX_MAPPINGS);
	if (f->type == &field_portmaps)
		return list_schema(object_schema(f->fields, NULL, path), 0, MAX_PORTMAPS);
	if (f->type == &field_spare)
		return list_schema(string_schema(PREFIX, 0), 0, CONFIG_MAX_SPARE);
	if (f->type == &field_bypass)
		return list_schema(string_schema(PREFIX, 0), 0, MAX_BYPASS);
	if (f->type == &field_pcp_listen)
		return list_schema(string_schema("^" ADDR "$", 0), 1, PCP_MAX_LISTEN);
	if (f->type == &field_pcp_mappings)
		return list_schema(string_schema(LABEL, 0), 1, PCP_MAX_MAPPINGS);
	if (f->type == &field_pcp_third_party)
		return third_party_schema();
	if (f->type == &field_peers)
		return list_schema(string_schema(ENDPOINT, 0), 1, REPLICATION_MAX_PEERS);
	if (f->type == &field_lease_sources)
		return list_schema(object_schema(f->fields, NULL, path), 0, CONFIG_MAX_LEASE_SOURCES);
	if (f->type == &field_clients)
		return list_schema(object_schema(f->fields, NULL, path), 0, CONFIG_MAX_RADIUS_CLIENTS);
	if (f->type == &field_key_file)
		return or_null(string_schema("^/", REPLICATION_KEY_FILE - 1));
	if (f->type == &field_owned_mappings)
		return word_or("all", list_schema(string_schema(LABEL, 0), 1, REPLICATION_MAX_MAPPINGS));
	return single_schema(f);
}

/* The default of a single value, for editors. */
static void add_default(cJSON *schema, const struct field *f, const void *defaults)
{
	_cleanup_json_ cJSON *usual = cJSON_CreateObject();

	if (!defaults || f->required || f->type == &field_object || f->type == &field_interfaces ||
	    f->type == &field_top_interfaces || f->type->write(usual, f, (const char *)defaults + f->offset) ||
	    !usual->child)
		return;
	cJSON_AddItemToObject(schema, "default", cJSON_DetachItemViaPointer(usual, usual->child));
}

static void add_description(cJSON *schema, const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(descriptions); i++)
		if (!strcmp(descriptions[i].path, path))
			cJSON_AddStringToObject(schema, "description", descriptions[i].text);
}

static cJSON *object_schema(const struct fields *t, const void *defaults, const char *above)
{
	cJSON *json = of_type("object"), *properties = cJSON_AddObjectToObject(json, "properties");
	cJSON *required = cJSON_CreateArray();

	for (size_t i = 0; i < t->n; i++) {
		const struct field *f = &t->field[i];
		char path[PATH_TEXT];
		cJSON *schema;

		snprintf(path, sizeof(path), "%s%s%s", above, *above ? "." : "", f->name);
		schema = field_schema(f, defaults, path);
		add_description(schema, path);
		add_default(schema, f, defaults);
		cJSON_AddItemToObject(properties, f->name, schema);
		if (f->required)
			cJSON_AddItemToArray(required, cJSON_CreateString(f->name));
	}
	if (required->child)
		cJSON_AddItemToObject(json, "required", required);
	else
		cJSON_Delete(required);
	cJSON_AddFalseToObject(json, "additionalProperties");
	return json;
}

/* The interfaces are at the top, or those of each tenant. */
static void require_interfaces(cJSON *json)
{
	static const char *const keys[] = { "interfaces", "tenants" };
	cJSON *list = json ? cJSON_AddArrayToObject(json, "anyOf") : NULL;

	for (size_t i = 0; list && i < ARRAY_SIZE(keys); i++) {
		cJSON *choice = cJSON_CreateObject();

		cJSON_AddItemToArray(cJSON_AddArrayToObject(choice, "required"), cJSON_CreateString(keys[i]));
		cJSON_AddItemToArray(list, choice);
	}
}

char *config_schema(void)
{
	_cleanup_config_ struct config *defaults = config_new();
	_cleanup_json_ cJSON *json = defaults ? object_schema(&config_fields, defaults, "") : NULL;

	if (!json)
		return NULL;
	require_interfaces(json);
	cJSON_AddItemToObject(json, "title", cJSON_CreateString("configuration of detnat-agent, see detnat.json(5)"));
	cJSON_AddItemToObject(json, "$schema", cJSON_CreateString("https://json-schema.org/draft/2020-12/schema"));
	return cJSON_Print(json);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The lists of `pcp`: addresses to listen at, names of mappings, prefixes of those who act for others. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "config/fields.h"

/* Reads an element of a list into place n of its array. 0 or -errno with the message set. */
typedef int (*element_read)(struct reader *r, const cJSON *json, struct config_pcp *pcp, uint32_t n);

static int list_read(struct reader *r, const cJSON *json, struct config_pcp *pcp, element_read read, uint32_t max,
		     const char *of_what, uint32_t *ret_n)
{
	const cJSON *element;
	uint32_t n = 0;

	if (!cJSON_IsArray(json) || !json->child)
		return reader_refuse(r, json, "must be a list of %s", of_what);
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, n);
		int ret;

		if (n == max)
			return reader_refuse(r, element, "more than %u %s", max, of_what);
		ret = read(r, element, pcp, n);
		if (ret < 0)
			return ret;
		n++;
		json_path_cut(&r->path, before);
	}
	*ret_n = n;
	return 0;
}

static int already_there(struct reader *r, const cJSON *json)
{
	return reader_refuse(r, json, "stands in this list already");
}

static int address_read(struct reader *r, const cJSON *json, struct config_pcp *pcp, uint32_t n)
{
	uint32_t addr;

	if (!cJSON_IsString(json) || addr_parse(json->valuestring, &addr))
		return reader_refuse(r, json, "must be an IPv4 address such as \"100.64.0.1\"");
	for (uint32_t i = 0; i < n; i++)
		if (pcp->listen[i] == addr)
			return already_there(r, json);
	pcp->listen[n] = addr;
	return 0;
}

static int listen_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_pcp *pcp = value;

	return list_read(r, json, pcp, address_read, PCP_MAX_LISTEN, "addresses", &pcp->n_listen);
}

static int listen_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_pcp *pcp = value;
	_cleanup_json_ cJSON *list = cJSON_CreateArray();
	char text[ADDR_TEXT];

	for (uint32_t i = 0; list && i < pcp->n_listen; i++)
		if (json_append(list, cJSON_CreateString(addr_format(pcp->listen[i], text))))
			return -ENOMEM;
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_pcp_listen = { .read = listen_read, .write = listen_write };

static int mapping_read(struct reader *r, const cJSON *json, struct config_pcp *pcp, uint32_t n)
{
	if (!cJSON_IsString(json) || !label_valid(json->valuestring))
		return reader_refuse(r, json, "must be the name of a mapping");
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(pcp->mappings[i], json->valuestring))
			return already_there(r, json);
	snprintf(pcp->mappings[n], LABEL_TEXT, "%s", json->valuestring);
	return 0;
}

static int mappings_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_pcp *pcp = value;

	return list_read(r, json, pcp, mapping_read, PCP_MAX_MAPPINGS, "names of mappings", &pcp->n_mappings);
}

/* Left out if all mappings are served. */
static int mappings_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_pcp *pcp = value;
	_cleanup_json_ cJSON *list = cJSON_CreateArray();

	if (!pcp->n_mappings)
		return list ? 0 : -ENOMEM;
	for (uint32_t i = 0; list && i < pcp->n_mappings; i++)
		if (json_append(list, cJSON_CreateString(pcp->mappings[i])))
			return -ENOMEM;
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_pcp_mappings = { .read = mappings_read, .write = mappings_write };

static int prefix_read(struct reader *r, const cJSON *json, struct config_pcp *pcp, uint32_t n)
{
	static const struct field element = { "", &field_prefix, .size = sizeof(struct prefix) };
	int ret = field_read(r, json, &element, &pcp->third_party[n]);

	for (uint32_t i = 0; !ret && i < n; i++)
		if (pcp->third_party[i].base == pcp->third_party[n].base &&
		    pcp->third_party[i].plen == pcp->third_party[n].plen)
			return already_there(r, json);
	return ret;
}

static int third_party_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_pcp *pcp = value;

	if (cJSON_IsFalse(json)) {
		pcp->n_third_party = 0;
		return 0;
	}
	if (cJSON_IsTrue(json))
		return reader_refuse(r, json,
				     "must be false, or the list of prefixes of hosts that may open ports for others; "
				     "true would let every subscriber do that");
	return list_read(r, json, pcp, prefix_read, PCP_MAX_THIRD_PARTY, "prefixes, or false", &pcp->n_third_party);
}

static int third_party_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_pcp *pcp = value;
	_cleanup_json_ cJSON *list = NULL;
	char text[ADDR_TEXT];

	if (!pcp->n_third_party)
		return json_add(object, f->name, cJSON_CreateFalse());
	list = cJSON_CreateArray();
	for (uint32_t i = 0; list && i < pcp->n_third_party; i++)
		if (json_append(list, cJSON_CreateString(
					      prefix_format(pcp->third_party[i].base, pcp->third_party[i].plen, text))))
			return -ENOMEM;
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_pcp_third_party = { .read = third_party_read, .write = third_party_write };

/* Why an address is none to listen at; NULL: it may be one. */
static const char *listen_problem(const struct config *c, uint32_t addr)
{
	if (!addr || addr >> 28 >= 14 || addr >> 24 == 127)
		return "is not an address of an inside interface";
	for (size_t i = 0; i < c->n_mappings; i++)
		if (prefix_contains(c->mappings[i].out.base, c->mappings[i].out.plen, addr))
			return "is a pool address; write the gateway's own address on an inside interface";
	return NULL;
}

int validate_pcp(const struct config *c, const char *name, struct error *err)
{
	const struct config_pcp *pcp = &c->pcp;
	char path[40], text[ADDR_TEXT];

	if (!pcp->enabled)
		return 0;
	for (uint32_t i = 0; i < pcp->n_listen; i++) {
		const char *problem = listen_problem(c, pcp->listen[i]);

		snprintf(path, sizeof(path), "pcp.listen[%u]", i);
		if (problem)
			return config_refuse(err, -EINVAL, name, 0, path, "%s %s", addr_format(pcp->listen[i], text),
					     problem);
	}
	for (uint32_t i = 0; i < pcp->n_mappings; i++) {
		snprintf(path, sizeof(path), "pcp.mappings[%u]", i);
		if (!config_find_named(c, pcp->mappings[i]))
			return config_refuse(err, -EINVAL, name, 0, path, "no mapping has the name %s",
					     pcp->mappings[i]);
	}
	if (pcp->lifetime_min > pcp->lifetime_max)
		return config_refuse(err, -EINVAL, name, 0, "pcp.lifetime", "min, %u, is above max, %u",
				     pcp->lifetime_min, pcp->lifetime_max);
	return 0;
}

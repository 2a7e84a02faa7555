/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lists of `pcp`: addresses to listen on, names of mappings, prefixes of hosts that act for others. Which mappings
 * the server serves, and their maximum number of leases.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "config/fields.h"
#include "config/pools.h"

/* The most without `max_leases`: of 8192 subscribers each may have its 32. */
#define AUTO_MAX_LEASES 262144U

static int address_read(struct reader *r, const cJSON *json, void *array, uint32_t n)
{
	uint32_t *listen = array, addr;

	if (!cJSON_IsString(json) || addr_parse(json->valuestring, &addr))
		return reader_refuse(r, json, "must be an IPv4 address such as \"100.64.0.1\"");
	for (uint32_t i = 0; i < n; i++)
		if (listen[i] == addr)
			return element_repeated(r, json);
	listen[n] = addr;
	return 0;
}

static int listen_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_pcp *pcp = value;

	return elements_read(r, json, pcp->listen, address_read, PCP_MAX_LISTEN, "addresses", &pcp->n_listen);
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

static int mappings_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_pcp *pcp = value;

	return elements_read(r, json, pcp->mappings, element_mapping_read, PCP_MAX_MAPPINGS, "names of mappings",
			     &pcp->n_mappings);
}

/* Omitted if all mappings are served. */
static int mappings_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_pcp *pcp = value;

	return pcp->n_mappings ? json_add(object, f->name, element_mappings_write(pcp->mappings, pcp->n_mappings)) : 0;
}

const struct field_type field_pcp_mappings = { .read = mappings_read, .write = mappings_write };

static int prefix_read(struct reader *r, const cJSON *json, void *array, uint32_t n)
{
	static const struct field element = { "", &field_prefix, .size = sizeof(struct prefix) };
	struct prefix *p = array;
	int ret = field_read(r, json, &element, &p[n]);

	for (uint32_t i = 0; !ret && i < n; i++)
		if (prefix_equal(p[i], p[n]))
			return element_repeated(r, json);
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
	return elements_read(r, json, pcp->third_party, prefix_read, PCP_MAX_THIRD_PARTY, "prefixes, or false",
			     &pcp->n_third_party);
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
		if (json_append(list, cJSON_CreateString(prefix_text(pcp->third_party[i], text))))
			return -ENOMEM;
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_pcp_third_party = { .read = third_party_read, .write = third_party_write };

/* Why the server cannot listen on an address; NULL: it can. */
static const char *listen_problem(const struct config *c, uint32_t addr)
{
	if (!addr || addr >> 28 >= 14 || addr >> 24 == 127)
		return "is not an address of an inside interface";
	if (pool_find(c, (struct prefix){ .base = addr, .plen = 32 }))
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
			return config_refuse(err, -EINVAL, name, config_line(c, path), path, "%s %s",
					     addr_format(pcp->listen[i], text), problem);
	}
	for (uint32_t i = 0; i < pcp->n_mappings; i++) {
		const struct config_mapping *m = config_find_named(c, pcp->mappings[i]);

		snprintf(path, sizeof(path), "pcp.mappings[%u]", i);
		if (!m)
			return config_refuse(err, -EINVAL, name, config_line(c, path), path,
					     "no mapping has the name %s", pcp->mappings[i]);
		if (prefix_is_none(m->out))
			return config_refuse(err, -EINVAL, name, config_line(c, path), path,
					     "%s is not translated: its subscribers have no ports to open",
					     pcp->mappings[i]);
	}
	if (pcp->lifetime_min > pcp->lifetime_max)
		return config_refuse(err, -EINVAL, name, config_line(c, "pcp.lifetime"), "pcp.lifetime",
				     "min, %u, is above max, %u", pcp->lifetime_min, pcp->lifetime_max);
	return 0;
}

bool config_pcp_serves(const struct config *c, const struct config_mapping *m)
{
	const struct config_pcp *pcp = &c->pcp;

	if (!pcp->enabled || prefix_is_none(m->out))
		return false;
	for (uint32_t i = 0; i < pcp->n_mappings; i++)
		if (!strcmp(pcp->mappings[i], m->name) || !strcmp(pcp->mappings[i], pool_home(c, m)->name))
			return true;
	return !pcp->n_mappings;
}

/* Whether the subscribers of a mapping also belong to a served one around it. */
static bool is_within_served(const struct config *c, const struct config_mapping *m)
{
	for (m = config_find_around(c, m->tenant, m->in); m; m = config_find_around(c, m->tenant, m->in))
		if (config_pcp_serves(c, m))
			return true;
	return false;
}

uint64_t config_pcp_subscribers(const struct config *c)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->n_mappings; i++)
		if (config_pcp_serves(c, &c->mappings[i]) && !is_within_served(c, &c->mappings[i]))
			n += prefix_count(c->mappings[i].in);
	return n;
}

uint32_t config_pcp_leases(const struct config *c)
{
	uint64_t n = config_pcp_subscribers(c) * c->pcp.max_per_subscriber;

	if (c->pcp.max_leases)
		return c->pcp.max_leases;
	return n < MIN_LEASES ? MIN_LEASES : n > AUTO_MAX_LEASES ? AUTO_MAX_LEASES : (uint32_t)n;
}

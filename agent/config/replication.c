/* SPDX-License-Identifier: BSD-2-Clause */
/* The special values of `replication`, and how they must fit each other. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "config/fields.h"
#include "config/pools.h"

static bool same(struct endpoint a, struct endpoint b)
{
	return a.addr == b.addr && a.port == b.port;
}

static int peer_read(struct reader *r, const cJSON *json, void *array, uint32_t n)
{
	struct endpoint *peers = array;

	if (!cJSON_IsString(json) || endpoint_parse(json->valuestring, &peers[n]) || !peers[n].port)
		return reader_refuse(r, json, "must be the address and port of a gateway such as \"192.0.2.2:9470\"");
	for (uint32_t i = 0; i < n; i++)
		if (same(peers[i], peers[n]))
			return element_repeated(r, json);
	return 0;
}

static int peers_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_replication *c = value;

	return elements_read(r, json, c->peers, peer_read, REPLICATION_MAX_PEERS, "gateways", &c->n_peers);
}

static int peers_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_replication *c = value;
	_cleanup_json_ cJSON *list = cJSON_CreateArray();
	char text[ADDR_TEXT + 8], addr[ADDR_TEXT];

	for (uint32_t i = 0; list && i < c->n_peers; i++) {
		snprintf(text, sizeof(text), "%s:%u", addr_format(c->peers[i].addr, addr), c->peers[i].port);
		if (json_append(list, cJSON_CreateString(text)))
			return -ENOMEM;
	}
	return json_add(object, f->name, take_pointer(list));
}

const struct field_type field_peers = { .read = peers_read, .write = peers_write };

static int owned_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_replication *c = value;

	if (cJSON_IsString(json) && !strcmp(json->valuestring, "all")) {
		c->n_mappings = 0;
		return 0;
	}
	return elements_read(r, json, c->mappings, element_mapping_read, REPLICATION_MAX_MAPPINGS,
			     "names of mappings, or \"all\"", &c->n_mappings);
}

static int owned_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_replication *c = value;

	return json_add(object, f->name,
			c->n_mappings ? element_mappings_write(c->mappings, c->n_mappings) : cJSON_CreateString("all"));
}

const struct field_type field_owned_mappings = { .read = owned_read, .write = owned_write };

/* Why an address cannot be a gateway's; NULL: it can. */
static const char *address_problem(const struct config *c, uint32_t addr)
{
	if (!addr || addr >> 28 >= 14)
		return "is not an address of a single gateway";
	if (pool_find(c, (struct prefix){ .base = addr, .plen = 32 }))
		return "is a pool address; write one of the gateway's own addresses";
	return NULL;
}

static int refuse_address(const struct config *c, uint32_t addr, const char *path, const char *name, struct error *err)
{
	const char *problem = address_problem(c, addr);
	char text[ADDR_TEXT];

	return problem ? config_refuse(err, -EINVAL, name, config_line(c, path), path, "%s %s", addr_format(addr, text),
				       problem)
		       : 0;
}

static int validate_owned(const struct config *c, uint32_t number, const char *name, struct error *err)
{
	const char *label = c->replication.mappings[number];
	const struct config_mapping *m = config_find_named(c, label);
	char path[40];

	snprintf(path, sizeof(path), "replication.mappings[%u]", number);
	if (!m)
		return config_refuse(err, -EINVAL, name, config_line(c, path), path, "no mapping has the name %s",
				     label);
	if (!config_mapping_slots(c, m))
		return config_refuse(err, -EINVAL, name, config_line(c, path), path,
				     "%s has no sessions to copy; leave it out", label);
	return 0;
}

int validate_replication(const struct config *c, const char *name, struct error *err)
{
	const struct config_replication *x = &c->replication;
	char path[40];
	int r;

	if (!x->enabled)
		return 0;
	r = refuse_address(c, x->listen.addr, "replication.listen", name, err);
	for (uint32_t i = 0; !r && i < x->n_peers; i++) {
		snprintf(path, sizeof(path), "replication.peers[%u]", i);
		r = same(x->peers[i], x->listen) ? config_refuse(err, -EINVAL, name, config_line(c, path), path,
								 "is this gateway itself, as in replication.listen")
						 : refuse_address(c, x->peers[i].addr, path, name, err);
	}
	for (uint32_t i = 0; !r && i < x->n_mappings; i++)
		r = validate_owned(c, i, name, err);
	return r;
}

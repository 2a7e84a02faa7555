/* SPDX-License-Identifier: BSD-2-Clause */
/* The values of `leases` and `lease_retention`, and how they must fit each other. */
#include <errno.h>
#include <string.h>

#include "base/duration.h"
#include "config/fields.h"
#include "config/pools.h"

const char *config_lease_secret(const struct config_lease_source *s, uint32_t n, const char **ret_key)
{
	*ret_key = "clients[].secret_file";
	if (n < s->n_clients)
		return s->client[n].secret_file;
	n -= s->n_clients;
	*ret_key = "secret_file";
	if (*s->secret_file && !n--)
		return s->secret_file;
	*ret_key = "forward_secret_file";
	return *s->forward_secret_file && !n ? s->forward_secret_file : NULL;
}

static void days_expected(const struct field *f, char *text, size_t size)
{
	snprintf(text, size, "a number of whole days such as \"180d\" or \"26w\", from %ud to %ud", f->min, f->max);
}

static int days_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	uint64_t seconds;

	if (!cJSON_IsString(json) || duration_parse(json->valuestring, &seconds) || seconds % DAY_S ||
	    seconds / DAY_S < f->min || seconds / DAY_S > f->max)
		return -EINVAL;
	*(uint32_t *)value = (uint32_t)(seconds / DAY_S);
	return 0;
}

static bool days_valid(const struct field *f, const void *value)
{
	return *(const uint32_t *)value <= f->max;
}

static int days_write(cJSON *object, const struct field *f, const void *value)
{
	uint32_t days = *(const uint32_t *)value;
	char text[16];

	snprintf(text, sizeof(text), "%ud", days);
	return days ? json_add(object, f->name, cJSON_CreateString(text)) : 0;
}

const struct field_type field_days = { days_expected, days_read, days_valid, days_write };

static int clients_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_lease_source *s = value;
	const cJSON *element;
	int ret = expect_array(r, json, CONFIG_MAX_RADIUS_CLIENTS, "clients");

	s->n_clients = 0;
	if (ret < 0)
		return ret;
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, s->n_clients);

		ret = fields_read(r, element, f->fields, &s->client[s->n_clients]);
		if (ret < 0)
			return ret;
		s->n_clients++;
		json_path_cut(&r->path, before);
	}
	return 0;
}

static int clients_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_lease_source *s = value;

	return s->n_clients ? records_write(object, f, s->client, sizeof(*s->client), s->n_clients) : 0;
}

const struct field_type field_clients = { .read = clients_read, .write = clients_write };

static int sources_read(struct reader *r, const cJSON *json, const struct field *f, void *value)
{
	struct config_leases *c = value;
	const cJSON *element;
	int ret = expect_array(r, json, CONFIG_MAX_LEASE_SOURCES, "sources of leases");

	c->n = 0;
	if (ret < 0)
		return ret;
	cJSON_ArrayForEach (element, json) {
		size_t before = json_path_add_index(&r->path, c->n);

		ret = fields_read(r, element, f->fields, &c->source[c->n]);
		if (ret < 0)
			return ret;
		c->n++;
		json_path_cut(&r->path, before);
	}
	return 0;
}

static int sources_write(cJSON *object, const struct field *f, const void *value)
{
	const struct config_leases *c = value;

	return records_write(object, f, c->source, sizeof(*c->source), c->n);
}

const struct field_type field_lease_sources = { .read = sources_read, .write = sources_write };

static int refuse(const struct config *c, uint32_t number, const char *key, const char *name, struct error *err,
		  const char *why)
{
	char path[64], element[24];

	snprintf(element, sizeof(element), "leases[%u]", number);
	snprintf(path, sizeof(path), "%s%s%s", element, *key ? "." : "", key);
	return config_refuse(err, -EINVAL, name, config_line(c, config_line(c, path) ? path : element), path, "%s",
			     why);
}

/* Why the agent cannot listen at an address; NULL: it can. */
static const char *listen_problem(const struct config *c, struct endpoint at)
{
	if (!at.addr || at.addr >> 28 >= 14)
		return "must be one address of this gateway, the one that the access servers send to";
	if (pool_find(c, (struct prefix){ .base = at.addr, .plen = 32 }))
		return "is a pool address; write one of the gateway's own addresses";
	return NULL;
}

static int validate_clients(const struct config *c, uint32_t n, const char *name, struct error *err)
{
	const struct config_lease_source *s = &c->leases.source[n];
	char key[40];

	for (uint32_t i = 0; i < s->n_clients; i++) {
		snprintf(key, sizeof(key), "clients[%u].%s", i, *s->client[i].secret_file ? "prefix" : "secret_file");
		if (!*s->client[i].secret_file)
			return refuse(c, n, key, name, err, "this key is missing");
		for (uint32_t j = 0; j < i; j++)
			if (prefix_equal(s->client[i].from, s->client[j].from))
				return refuse(c, n, key, name, err, "is in this list already");
	}
	if (!*s->secret_file && !s->n_clients)
		return refuse(c, n, "secret_file", name, err, "this key is missing");
	if (*s->forward_secret_file && !s->forward.port)
		return refuse(c, n, "forward_secret_file", name, err, "is for 'forward'");
	if (s->forward.port && !*s->forward_secret_file && !*s->secret_file)
		return refuse(c, n, "forward_secret_file", name, err,
			      "this key is missing: the secret of the server at 'forward'");
	return 0;
}

static int validate_radius(const struct config *c, uint32_t n, const char *name, struct error *err)
{
	const struct config_lease_source *s = &c->leases.source[n];
	const char *why = listen_problem(c, s->listen);

	if (*s->path)
		return refuse(c, n, "path", name, err, "is for the other types; radius has 'listen'");
	if (!s->listen.port)
		return refuse(c, n, "listen", name, err, "this key is missing");
	if (why)
		return refuse(c, n, "listen", name, err, why);
	if (s->forward.port && s->passive)
		return refuse(c, n, "forward", name, err, "is for \"active\"; a passive listener has copies only");
	if (s->forward.port && (!s->forward.addr || s->forward.addr >> 28 >= 14))
		return refuse(c, n, "forward", name, err, "is not the address of a server");
	if (s->forward.port && endpoint_equal(s->forward, s->listen))
		return refuse(c, n, "forward", name, err, "is the agent itself, as in 'listen'");
	for (uint32_t i = 0; i < n; i++)
		if (c->leases.source[i].type == SOURCE_RADIUS && endpoint_equal(c->leases.source[i].listen, s->listen))
			return refuse(c, n, "listen", name, err, "is in this list already");
	return validate_clients(c, n, name, err);
}

static int validate_file(const struct config *c, uint32_t n, const char *name, struct error *err)
{
	static const char other[] = "is for type \"radius\"; the other types have 'path'";
	const struct config_lease_source *s = &c->leases.source[n];

	if (s->listen.port)
		return refuse(c, n, "listen", name, err, other);
	if (s->forward.port)
		return refuse(c, n, "forward", name, err, other);
	if (*s->secret_file)
		return refuse(c, n, "secret_file", name, err, other);
	if (s->n_clients || *s->forward_secret_file)
		return refuse(c, n, s->n_clients ? "clients" : "forward_secret_file", name, err, other);
	if (s->passive)
		return refuse(c, n, "mode", name, err, other);
	if (!*s->path)
		return refuse(c, n, "path", name, err, "this key is missing");
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(c->leases.source[i].path, s->path))
			return refuse(c, n, "path", name, err, "is in this list already");
	return 0;
}

int validate_leases(const struct config *c, const char *name, struct error *err)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < c->leases.n; i++)
		if (*c->leases.source[i].tenant && !config_find_tenant(c, c->leases.source[i].tenant))
			r = refuse(c, i, "tenant", name, err, "there is no such tenant: `tenants` lists them");
	for (uint32_t i = 0; !r && i < c->leases.n; i++)
		r = c->leases.source[i].type == SOURCE_RADIUS ? validate_radius(c, i, name, err)
							      : validate_file(c, i, name, err);
	return r;
}

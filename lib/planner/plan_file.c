// SPDX-License-Identifier: BSD-2-Clause
#include "planner/plan_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/base.h"
#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/text.h"
#include "proto/defaults.h"

#include <detnat/binding_layout.h>

#define MAX_FILE (16U << 20)

void plan_file_free(struct plan_file *f)
{
	free(f->part);
	free(f->tenant);
	*f = (struct plan_file){ 0 };
}

/* The whole file; the caller frees it. */
static int read_whole(const char *path, char **ret, size_t *ret_size, struct error *err)
{
	bool standard = !strcmp(path, "-");
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = malloc(MAX_FILE + 1);
	size_t size = 0;
	ssize_t n = 1;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	while (text && size <= MAX_FILE && (n = read(fd, text + size, MAX_FILE + 1 - size)) > 0)
		size += (size_t)n;
	if (!standard)
		close(fd);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	if (n < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (size > MAX_FILE)
		return error_set(err, -EFBIG, "%s is no configuration: it is larger than %u MiB", path, MAX_FILE >> 20);
	*ret = take_pointer(text);
	*ret_size = size;
	return 0;
}

struct defaults {
	uint32_t slots, quota;
	uint8_t bindings;
};

static uint32_t number_of(const cJSON *object, const char *key, uint32_t otherwise)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);

	return cJSON_IsNumber(value) && value->valuedouble >= 1 && value->valuedouble <= UINT32_MAX
		       ? (uint32_t)value->valuedouble
		       : otherwise;
}

/* The protocols of "endpoint_independent": { "mapping": [...] }. */
static uint8_t protocols_of(const cJSON *object, uint8_t otherwise)
{
	const cJSON *independent = cJSON_GetObjectItemCaseSensitive(object, "endpoint_independent"),
		    *words = cJSON_GetObjectItemCaseSensitive(independent, "mapping"), *word;
	uint8_t protocols = 0;

	if (!words)
		return otherwise;
	cJSON_ArrayForEach (word, words) {
		const char *text = cJSON_GetStringValue(word);

		protocols |= !text		     ? 0
			     : !strcmp(text, "udp")  ? BINDING_UDP
			     : !strcmp(text, "tcp")  ? BINDING_TCP
			     : !strcmp(text, "icmp") ? BINDING_ICMP
						     : 0;
	}
	return protocols;
}

/* The virtual addresses of the subscribers of an IPv6 prefix. */
static int add_prefix6(const cJSON *json, const char *text, struct plan_addresses *ret, struct error *err)
{
	struct prefixes6 p;
	struct prefix in;
	int r;

	if (prefixes6_parse(text, number_of(json, "subscriber_plen", 0), &p))
		return error_set(err, -EINVAL, "%s is no IPv6 prefix of subscribers of \"subscriber_plen\"",
				 QUOTED(text));
	r = virtual6_place(&p, &in);
	if (r == -ENOSPC)
		return error_set(err, -EINVAL, "%s does not fit: the prefixes have more than 2^28 subscribers",
				 QUOTED(text));
	return r ? error_set(err, r, "out of memory")
		 : plan_addresses_add(ret, (struct plan_range){ in.base, prefix_last(in), true });
}

static int add_text(const cJSON *json, const char *text, struct plan_addresses *ret, struct error *err)
{
	return strchr(text, ':') ? add_prefix6(json, text, ret, err) : plan_addresses_read(text, ret, err);
}

/* A text, or an array of texts. */
static int addresses_of(const cJSON *json, const char *key, struct plan_addresses *ret, struct error *err)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key), *text;
	int r = 0;

	if (cJSON_IsString(value))
		return add_text(json, value->valuestring, ret, err);
	if (!cJSON_IsArray(value))
		return error_set(err, -EINVAL, "%s must be a prefix, a range, or a list of them", QUOTED(key));
	cJSON_ArrayForEach (text, value) {
		if (!r && !cJSON_IsString(text))
			r = error_set(err, -EINVAL, "%s must be a prefix, a range, or a list of them", QUOTED(key));
		else if (!r)
			r = add_text(json, text->valuestring, ret, err);
	}
	return r;
}

static int geometry_of(const cJSON *json, struct plan_mapping *m, struct error *err)
{
	const char *order = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "order"));
	const cJSON *first = cJSON_GetObjectItemCaseSensitive(json, "first_port");
	int r = addresses_of(json, "in", &m->in, err);

	if (!r && !cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "out")))
		r = addresses_of(json, "out", &m->out, err);
	if (!r && cJSON_HasObjectItem(json, "exclude"))
		r = addresses_of(json, "exclude", &m->exclude, err);
	if (r)
		return r;
	if (order && strcmp(order, "netmap") != 0 && strcmp(order, "sequential") != 0)
		return error_set(err, -EINVAL, "\"order\" must be \"sequential\" or \"netmap\"");
	if (first && (!cJSON_IsNumber(first) || first->valuedouble < 0 || first->valuedouble > 65535))
		return error_set(err, -EINVAL, "\"first_port\" must be a number from 0 to 65535");
	m->order = order && !strcmp(order, "netmap") ? PLAN_NETMAP : PLAN_SEQUENTIAL;
	m->first_port = first ? (uint32_t)first->valuedouble : m->first_port;
	m->subscribers_per_address = number_of(json, "subscribers_per_address", 0);
	m->ports_per_host = number_of(json, "ports_per_host", 0);
	m->block_pitch = number_of(json, "block_pitch", 0);
	m->grows = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, "growth"));
	return 0;
}

static struct growth_layout growth_of(const cJSON *json)
{
	const cJSON *growth = cJSON_GetObjectItemCaseSensitive(json, "growth");

	if (!cJSON_IsObject(growth))
		return (struct growth_layout){ 0 };
	return (struct growth_layout){ (uint16_t)number_of(growth, "block", DEFAULT_GROWTH_BLOCK),
				       (uint16_t)number_of(growth, "max_blocks", DEFAULT_GROWTH_MAX_BLOCKS) };
}

/* The part of a record. */
static struct file_part part_of(const cJSON *json, const struct defaults *d, const struct plan_part *part)
{
	const struct geometry *g = &part->geo;
	struct file_part p = {
		.tenant = part->tenant, .in_first = g->in_base, .in_last = g->in_base + g->last_subscriber, .geo = *g
	};

	inside_prefix_text(geometry_in(g), p.in);
	p.none = !g->ports_per_host;
	if (p.none) {
		snprintf(p.out, sizeof(p.out), "none");
		return p;
	}
	p.out_first = g->out_base;
	p.out_last = g->out_base + g->last_out;
	plan_range_format(p.out_first, p.out_last, p.out);
	p.ratio = g->ratio;
	p.ports = g->ports_per_host;
	p.pitch = g->pitch;
	p.port_lo = g->lowest_port;
	p.port_hi = g->first_port + g->pitch * (g->ratio - 1U) + g->ports_per_host - 1U;
	p.slots = number_of(json, "session_slots", d->slots ? d->slots : slots_for_ports(p.ports));
	p.quota = number_of(json, "sessions_per_user", d->quota);
	p.bindings = protocols_of(json, d->bindings);
	p.growth = growth_of(json);
	p.hosts = virtual6_is(p.in_first) ? number_of(json, "hosts_per_subscriber", HOSTS_DEFAULT_NAT64) : 0;
	return p;
}

/* The number of the mapping's tenant, which is new at its first mapping. */
static int tenant_of(const cJSON *json, struct plan_file *f, uint32_t *ret, struct error *err)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "tenant");
	const char *name = value ? cJSON_GetStringValue(value) : "";
	char(*more)[LABEL_TEXT];

	if (!name || strlen(name) >= LABEL_TEXT)
		return error_set(err, -EINVAL, "\"tenant\" must be the name of a tenant");
	for (*ret = 0; *ret < f->n_tenants; ++*ret)
		if (!strcmp(f->tenant[*ret], name))
			return 0;
	if (f->n_tenants > PLAN_FILE_MAX_TENANTS)
		return error_set(err, -EINVAL, "more than %u tenants", PLAN_FILE_MAX_TENANTS);
	more = reallocarray(f->tenant, f->n_tenants + 1, sizeof(*more));
	if (!more)
		return error_set(err, -ENOMEM, "out of memory");
	f->tenant = more;
	snprintf(f->tenant[f->n_tenants++], LABEL_TEXT, "%s", name);
	return 0;
}

/* Adds the parts of a mapping; `plan` finds what overlaps. */
static int mapping_read(const cJSON *json, const struct defaults *d, struct plan *plan, struct plan_file *f,
			struct error *err)
{
	struct plan_mapping m = PLAN_MAPPING;
	size_t before = plan->n;
	struct file_part *more;
	int r = geometry_of(json, &m, err);

	r = r ? r : tenant_of(json, f, &m.tenant, err);
	r = r ? r : plan_add(plan, &m, err);
	plan_mapping_free(&m);
	if (r)
		return r;
	more = reallocarray(f->part, plan->n + 1, sizeof(*more));
	if (!more)
		return error_set(err, -ENOMEM, "out of memory");
	f->part = more;
	for (size_t i = before; i < plan->n; i++)
		f->part[f->n++] = part_of(json, d, &plan->part[i]);
	return 0;
}

static int mappings_read(const cJSON *config, const char *name, struct plan_file *ret, struct error *err)
{
	const cJSON *mappings = cJSON_GetObjectItemCaseSensitive(config, "mappings"), *mapping;
	const struct defaults d = {
		.slots = number_of(config, "session_slots", 0),
		.quota = number_of(config, "sessions_per_user", 1000),
		.bindings = protocols_of(config, 0),
	};
	_cleanup_plan_ struct plan plan = { 0 };
	struct plan_file f = { .tenant = calloc(1, sizeof(*f.tenant)), .n_tenants = 1 };
	unsigned n = 0;

	if (!f.tenant)
		return error_set(err, -ENOMEM, "out of memory");
	cJSON_ArrayForEach (mapping, mappings) {
		struct error why;
		int r = mapping_read(mapping, &d, &plan, &f, &why);

		if (r) {
			plan_file_free(&f);
			return error_set(err, r, "%.120s:%u: mappings[%u]: %.320s", name, json_line(mapping), n,
					 why.text);
		}
		n++;
	}
	*ret = f;
	return 0;
}

int plan_file_read(const char *path, plan_file_check check, struct plan_file *ret, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ cJSON *config = NULL;
	struct json_fault fault;
	size_t size = 0;
	int r = read_whole(path, &text, &size, err);

	if (r)
		return r;
	r = json_read(text, size, &config, &fault);
	if (r == -EINVAL)
		return error_set(err, r, "%s:%u: %s", path, fault.line, fault.text);
	if (r)
		return error_set(err, r, "out of memory");
	if (!cJSON_IsObject(config))
		return error_set(err, -EINVAL, "%s: a configuration is an object, as in detnat.json(5)", path);
	r = check ? check(text, size, path, err) : 0;
	if (r)
		return r;
	return mappings_read(config, path, ret, err);
}

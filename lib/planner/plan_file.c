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
#include "proto/defaults.h"

#include <detnat/binding_layout.h>

#define MAX_FILE (16U << 20)

void plan_file_free(struct plan_file *f)
{
	free(f->part);
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

/* The protocols of "endpoint_independent_mapping", an array of words. */
static uint8_t protocols_of(const cJSON *object, uint8_t otherwise)
{
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "endpoint_independent_mapping"), *word;
	uint8_t protocols = 0;

	if (!value)
		return otherwise;
	cJSON_ArrayForEach (word, value) {
		const char *text = cJSON_GetStringValue(word);

		protocols |= !text			? 0
			     : !strcmp(text, "udp")	? BINDING_UDP
			     : !strcmp(text, "tcp")	? BINDING_TCP
			     : !strcmp(text, "icmp") ? BINDING_ICMP
							: 0;
	}
	return protocols;
}

static int mapping_read(const cJSON *json, const struct defaults *d, struct plan_part *ret, const char **ret_why)
{
	const cJSON *in = cJSON_GetObjectItemCaseSensitive(json, "in"),
		    *out = cJSON_GetObjectItemCaseSensitive(json, "out");
	const char *in_text = cJSON_GetStringValue(in), *out_text = cJSON_GetStringValue(out);
	struct prefix in_prefix, out_prefix;
	struct plan_part p = { .none = cJSON_IsNull(out) };

	*ret_why = "\"in\" and \"out\" must be prefixes";
	if (!in_text || prefix_parse(in_text, &in_prefix) || (!p.none && (!out_text || prefix_parse(out_text, &out_prefix))))
		return -EINVAL;
	p.in_first = in_prefix.base;
	p.in_last = in_prefix.base | ~prefix_mask(in_prefix.plen);
	snprintf(p.in, sizeof(p.in), "%s", in_text);
	snprintf(p.out, sizeof(p.out), "%s", p.none ? "none" : out_text);
	*ret_why = "the outside range is larger than the inside range, or a subscriber would get no port";
	if (!p.none && mapping_geometry(in_prefix.base, in_prefix.plen, out_prefix.base, out_prefix.plen, &p.geo))
		return -EINVAL;
	if (!p.none) {
		p.out_first = out_prefix.base;
		p.out_last = out_prefix.base | ~prefix_mask(out_prefix.plen);
		p.ratio = 1U << (out_prefix.plen - in_prefix.plen);
		p.ports = p.geo.ports_per_host;
		p.port_lo = MAPPING_FIRST_PORT;
		p.port_hi = p.port_lo + p.ratio * p.ports - 1;
		p.slots = number_of(json, "session_slots", d->slots ? d->slots : slots_for_ports(p.ports));
		p.quota = number_of(json, "sessions_per_user", d->quota);
		p.bindings = protocols_of(json, d->bindings);
	}
	*ret = p;
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
	struct plan_file f = { .part = calloc((size_t)cJSON_GetArraySize(mappings) + 1, sizeof(*f.part)) };
	const char *why;

	if (!f.part)
		return error_set(err, -ENOMEM, "out of memory");
	cJSON_ArrayForEach (mapping, mappings) {
		if (mapping_read(mapping, &d, &f.part[f.n], &why)) {
			error_set(err, -EINVAL, "%s:%u: mappings[%zu]: %s", name, json_line(mapping), f.n, why);
			plan_file_free(&f);
			return -EINVAL;
		}
		f.n++;
	}
	*ret = f;
	return 0;
}

int plan_file_read(const char *path, struct plan_file *ret, struct error *err)
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
	return mappings_read(config, path, ret, err);
}

const struct plan_part *plan_file_part(const struct plan_file *f, uint32_t in_addr)
{
	const struct plan_part *best = NULL;

	for (size_t i = 0; i < f->n; i++) {
		const struct plan_part *p = &f->part[i];

		if (in_addr >= p->in_first && in_addr <= p->in_last &&
		    (!best || p->in_last - p->in_first < best->in_last - best->in_first))
			best = p;
	}
	return best && !best->none ? best : NULL;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The addresses at which another part may begin, sorted. */
static size_t bounds_of(const struct plan_file *f, uint64_t *bound)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		bound[n++] = f->part[i].in_first;
		bound[n++] = f->part[i].in_last + 1ULL;
	}
	return n;
}

/* Compares the addresses from one to another, which are of one part each. */
static void compare_run(const struct plan_part *before, const struct plan_part *after, uint64_t from, uint64_t to,
			plan_changed changed, void *arg, struct plan_changes *c)
{
	for (uint64_t at = from; at < to; at++) {
		struct port_block was = before ? mapping_forward(&before->geo, (uint32_t)at) : (struct port_block){ 0 };
		struct port_block is = after ? mapping_forward(&after->geo, (uint32_t)at) : (struct port_block){ 0 };

		c->subscribers++;
		if (!before)
			c->added++;
		else if (!after)
			c->removed++;
		else if (was.out_addr != is.out_addr)
			c->moved++;
		else if (was.port_lo != is.port_lo || was.port_hi != is.port_hi)
			c->shifted++;
		else {
			c->kept++;
			continue;
		}
		if (changed)
			changed(arg, (uint32_t)at, &was, &is);
	}
}

int plan_file_compare(const struct plan_file *before, const struct plan_file *after, plan_changed changed, void *arg,
		      struct plan_changes *ret)
{
	_cleanup_free_ uint64_t *bound = calloc(2 * (before->n + after->n) + 1, sizeof(*bound));
	struct plan_changes c = { 0 };
	size_t n;

	if (!bound)
		return -ENOMEM;
	n = bounds_of(before, bound);
	n += bounds_of(after, bound + n);
	qsort(bound, n, sizeof(*bound), by_number);
	for (size_t i = 0; i + 1 < n; i++) {
		const struct plan_part *was, *is;

		if (bound[i] == bound[i + 1])
			continue;
		was = plan_file_part(before, (uint32_t)bound[i]);
		is = plan_file_part(after, (uint32_t)bound[i]);
		if (was || is)
			compare_run(was, is, bound[i], bound[i + 1], changed, arg, &c);
	}
	*ret = c;
	return 0;
}

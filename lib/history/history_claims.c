/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads claims, and answers from them. */
#include "history/history_claims.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/whole_file.h"
#include "base/json_text.h"
#include "base/search.h"
#include "history/history_gaps.h"

void history_claims_free(struct history_claims *c)
{
	for (size_t i = 0; i < c->n; i++) {
		plan_free(&c->claim[i].plan);
		free(c->claim[i].block);
	}
	free(c->claim);
	*c = (struct history_claims){ 0 };
}

/* A whole number up to 65535; `absent` if there is none. false: it is something else. */
static bool read_number(const cJSON *json, const char *key, uint32_t absent, uint32_t *ret)
{
	uint16_t number;

	*ret = absent;
	if (!cJSON_GetObjectItemCaseSensitive(json, key))
		return true;
	if (!json_u16(json, key, &number))
		return false;
	*ret = number;
	return true;
}

static bool read_origin(const cJSON *json, struct claim_origin *ret)
{
	const char *source = json_text(json, "source", NULL), *sha = json_text(json, "sha256", NULL);
	const char *from = json_text(json, "from", NULL), *time = json_text(json, "time", NULL);

	if (!source || strlen(source) >= sizeof(ret->source) || !sha || strlen(sha) != HASH_TEXT - 1 || !from ||
	    time_parse(from, &ret->from) || !time || time_parse(time, &ret->time))
		return false;
	snprintf(ret->source, sizeof(ret->source), "%s", source);
	memcpy(ret->sha256, sha, HASH_TEXT);
	return true;
}

/* The claim with this name, which begins with the line if it is new; NULL: out of memory. */
static struct history_claim *claim_of(struct history_claims *c, const char *id, const struct claim_origin *origin)
{
	/* Lines of an import follow each other. */
	if (c->n && !strcmp(c->claim[c->n - 1].id, id))
		return &c->claim[c->n - 1];
	if (history_grow(&c->claim, c->n, sizeof(*c->claim)))
		return NULL;
	c->claim[c->n] = (struct history_claim){ .origin = *origin };
	snprintf(c->claim[c->n].id, CLAIM_ID_TEXT, "%s", id);
	return &c->claim[c->n++];
}

static int read_addresses(const cJSON *json, const char *key, struct plan_addresses *ret, struct error *err)
{
	const char *text = json_text(json, key, NULL);

	if (!text && cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, key)))
		return 0;
	return text ? plan_addresses_read(text, ret, err) : -EINVAL;
}

static int read_mapping(const cJSON *json, struct plan *plan, struct error *err)
{
	struct plan_mapping m = PLAN_MAPPING;
	const char *order = json_text(json, "order", NULL);
	int r = read_addresses(json, "in", &m.in, err);

	r = r ? r : read_addresses(json, "out", &m.out, err);
	if (!r && (!m.in.n || !read_number(json, "subscribers_per_address", 0, &m.subscribers_per_address) ||
		   !read_number(json, "ports_per_host", 0, &m.ports_per_host) ||
		   !read_number(json, "block_pitch", 0, &m.block_pitch) ||
		   !read_number(json, "first_port", MAPPING_FIRST_PORT, &m.first_port) ||
		   (order && strcmp(order, "netmap") && strcmp(order, "sequential"))))
		r = -EINVAL;
	m.order = order && !strcmp(order, "netmap") ? PLAN_NETMAP : PLAN_SEQUENTIAL;
	r = r ? r : plan_add(plan, &m, err);
	plan_mapping_free(&m);
	return r;
}

static bool read_block(const cJSON *json, uint32_t out, struct claim_block *ret)
{
	const char *in = json_text(json, "in", NULL);
	uint32_t lo, hi;

	if (!in || addr_parse(in, &ret->in) || !read_number(json, "port_lo", 0, &lo) ||
	    !read_number(json, "port_hi", 0, &hi) || hi < lo || !hi)
		return false;
	ret->out = out;
	ret->lo = (uint16_t)lo;
	ret->hi = (uint16_t)hi;
	return true;
}

/* Blocks are in order, so that a file that is not what was written is noticed. */
static bool goes_on(const struct history_claim *to, struct claim_block b)
{
	const struct claim_block *last = to->n_blocks ? &to->block[to->n_blocks - 1] : NULL;

	return !last || last->out < b.out || (last->out == b.out && last->hi < b.lo);
}

static int read_blocks(const cJSON *json, const cJSON *list, struct history_claim *to)
{
	const char *out = json_text(json, "out", NULL);
	const cJSON *item;
	uint32_t addr;

	if (!out || addr_parse(out, &addr))
		return -EINVAL;
	cJSON_ArrayForEach (item, list) {
		struct claim_block b;

		if (!read_block(item, addr, &b) || to->n_blocks == CLAIMS_MAX_BLOCKS || !goes_on(to, b))
			return -EINVAL;
		if (history_grow(&to->block, to->n_blocks, sizeof(*to->block)))
			return -ENOMEM;
		to->block[to->n_blocks++] = b;
	}
	return 0;
}

/* Takes a record into the claim that it is a part of. 0, -EINVAL or -ENOMEM. */
static int take(struct history_claims *c, const cJSON *json, struct error *err)
{
	const char *event = json_text(json, "event", NULL), *id = json_text(json, "claim", NULL);
	const cJSON *blocks = cJSON_GetObjectItemCaseSensitive(json, "blocks");
	struct claim_origin origin;
	struct history_claim *to;

	if (!event || strcmp(event, "claim") || !id || strlen(id) != CLAIM_ID_TEXT - 1 || !read_origin(json, &origin))
		return -EINVAL;
	to = claim_of(c, id, &origin);
	if (!to)
		return -ENOMEM;
	return cJSON_IsArray(blocks) ? read_blocks(json, blocks, to) : read_mapping(json, &to->plan, err);
}

static void note_damage(struct history_claims *c, const char *text)
{
	if (!c->damaged++) {
		c->first_damage = c->lines;
		snprintf(c->damage, sizeof(c->damage), "%.*s", (int)sizeof(c->damage) - 1, text);
	}
}

static int take_line(struct history_claims *c, const char *line, size_t size)
{
	const char *prev = c->lines ? c->hash : HASH_NONE;
	struct error err = { "is no claim" };
	cJSON *json;
	int r = chain_check(line, size, prev, c->hash);

	c->lines++;
	if (r) {
		note_damage(c, r == -EINVAL ? "has no checksum" : "or the one before it was changed or removed");
		return 0;
	}
	json = memchr(line, '\0', size) ? NULL : cJSON_ParseWithLength(line, size);
	r = cJSON_IsObject(json) ? take(c, json, &err) : -EINVAL;
	cJSON_Delete(json);
	if (r == -ENOMEM)
		return r;
	if (r)
		note_damage(c, err.text);
	return 0;
}

int history_claims_feed(struct history_claims *c, const char *text, size_t size)
{
	const char *at = text, *end = text + size, *newline;
	int r = 0;

	while (!r && at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		r = take_line(c, at, (size_t)(newline - at));
		at = newline + 1;
	}
	if (!r && at < end) {
		c->lines++;
		note_damage(c, "is incomplete");
	}
	return r;
}

static bool ends_before(const struct claim_block *b, struct endpoint out)
{
	return b->out < out.addr || (b->out == out.addr && b->hi < out.port);
}

/* Where the covering claim has the port. 0, -EADDRNOTAVAIL, -ENOENT: it does not have the address, or -ENOMEM. */
static int find(struct history_claim *c, struct endpoint out, struct claim_answer *ret)
{
	size_t low = count_while(i, c->n_blocks, ends_before(&c->block[i], out));
	struct plan_place place;
	bool covers;
	int r;

	covers = (low < c->n_blocks && c->block[low].out == out.addr) || (low && c->block[low - 1].out == out.addr);
	if (low < c->n_blocks && c->block[low].out == out.addr && c->block[low].lo <= out.port && out.port) {
		const struct claim_block *b = &c->block[low];

		ret->in_addr = b->in;
		ret->in = (struct plan_range){ b->in, b->in, true };
		ret->out = (struct plan_range){ b->out, b->out, true };
		return 0;
	}
	r = plan_reverse(&c->plan, out.addr, out.port, &place, NULL);
	if (r)
		return r == -ENOENT && covers ? -EADDRNOTAVAIL : r;
	const struct geometry *g = &place.part->geo;

	ret->in_addr = place.in_addr;
	ret->in = (struct plan_range){ g->in_base, g->in_base + g->last_subscriber, false };
	ret->out = (struct plan_range){ g->out_base, g->out_base + g->last_out, false };
	return 0;
}

int history_claims_ask(struct history_claims *c, struct endpoint out, int64_t t, struct claim_answer *ret)
{
	const struct history_claim *best = NULL;

	for (size_t i = 0; i < c->n; i++) {
		struct history_claim *claim = &c->claim[i];
		struct claim_answer a = { .claim = claim };
		int r;

		if (claim->origin.from > t || (best && claim->origin.from < best->origin.from))
			continue;
		r = find(claim, out, &a);
		if (r == -ENOMEM)
			return r;
		if (r == -ENOENT)
			continue;
		a.held = !r;
		*ret = a;
		best = claim;
	}
	return best ? 0 : -ENOENT;
}

int history_claims_read(const char *dir, struct history_claims *ret, struct error *err)
{
	_cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = dir_fd < 0 ? -1 : file_open(dir_fd, CLAIMS_FILE);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = fd < 0 ? -errno : file_read(fd, CLAIMS_MAX_SIZE, &text, &size);

	*ret = (struct history_claims){ 0 };
	if (r == -ENOENT)
		return 0;
	r = r ? r : history_claims_feed(ret, text, size);
	if (r) {
		history_claims_free(ret);
		return error_set(err, r, "%.200s/" CLAIMS_FILE " cannot be read: %s", dir, file_why(r));
	}
	return 0;
}

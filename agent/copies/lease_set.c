/* SPDX-License-Identifier: BSD-2-Clause */
#include "copies/lease_set.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "copies/copying_private.h"
#include "datapath/map_keys.h"
#include "datapath/pinned.h"

#define NEWS_MIN 64U

static uint64_t hash(const void *entry)
{
	const struct known_lease *k = entry;

	return HASH_OF((uint64_t)k->out.addr << 24 | (uint64_t)k->out.port << 8 | k->proto);
}

static bool same(const void *a, const void *b)
{
	const struct known_lease *x = a, *y = b;

	return x->proto == y->proto && endpoint_equal(x->out, y->out);
}

const struct hash_type known_leases = { sizeof(struct known_lease), MAX_LEASES + LEASES_ENDED_MAX, hash, same };

void lease_set_free(struct lease_set *s)
{
	hash_free(&s->table);
	free(s->news);
	*s = (struct lease_set){ 0 };
}

struct known_lease *lease_set_find(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	const struct known_lease like = { .proto = proto, .out = out };

	return hash_find(&known_leases, &s->table, &like);
}

struct known_lease *lease_set_add(struct lease_set *s, uint8_t proto, struct endpoint out)
{
	const struct known_lease like = { .proto = proto, .out = out };
	struct known_lease *k = lease_set_find(s, proto, out);

	return k ? k : hash_add(&known_leases, &s->table, &like);
}

static uint32_t content_of(const struct portmap *m)
{
	uint64_t digest = 0, words[2] = { 0 };

	memcpy(words, m->nonce, sizeof(m->nonce));
	digest = digest_add(digest_add(digest, words[0]), words[1]);
	for (uint32_t i = 0; i < m->filters.n; i++) {
		const struct portmap_filter *f = &m->filters.filter[i];

		digest = digest_add(digest, (uint64_t)f->addr << 32 | (uint64_t)f->port << 8 | f->plen);
	}
	return (uint32_t)digest;
}

bool lease_is(const struct known_lease *k, const struct portmap *m)
{
	return m->origin == PORTMAP_PCP && endpoint_equal(k->in, m->in) && k->until_s == m->expires_s &&
	       k->content == content_of(m);
}

static void note_due(struct lease_set *s, uint64_t until_s)
{
	if (until_s < s->due_s)
		s->due_s = until_s;
}

void lease_set_live(struct lease_set *s, struct known_lease *k, const struct portmap *m, uint64_t stamp)
{
	s->n_ended -= k->ended;
	k->ended = false;
	k->in = m->in;
	k->until_s = m->expires_s;
	k->content = content_of(m);
	k->stamp = stamp;
	note_due(s, k->until_s);
}

void lease_set_ended(struct lease_set *s, struct known_lease *k, uint64_t stamp)
{
	s->n_ended += !k->ended;
	k->ended = true;
	k->stamp = stamp;
	note_due(s, k->until_s);
}

bool lease_set_tell(struct lease_set *s, struct known_lease *k)
{
	if (k->news)
		return true;
	if (s->n_news == s->room_news) {
		uint32_t room = s->room_news ? 2 * s->room_news : NEWS_MIN;
		uint32_t *news = realloc(s->news, room * sizeof(*news));

		if (!news)
			return false;
		s->news = news;
		s->room_news = room;
	}
	s->news[s->n_news++] = k->entry.number;
	k->news = true;
	return true;
}

struct known_lease *lease_set_excess(struct lease_set *s)
{
	if (s->n_ended < LEASES_ENDED_MAX)
		return NULL;
	for (;;) {
		struct known_lease *k = hash_get(&known_leases, &s->table, s->hand++ % s->table.end);

		if (k && k->ended)
			return k;
	}
}

void lease_set_del(struct lease_set *s, struct known_lease *k)
{
	s->n_ended -= k->ended;
	k->news = false;
	hash_del(&known_leases, &s->table, k);
}

struct value {
	uint64_t stamp;
	uint64_t until_s;
	uint32_t content;
	uint32_t in_addr;
	uint16_t in_port;
	uint16_t ended;
	uint32_t reserved;
};
_Static_assert(sizeof(struct value) == 32, "no hidden padding");

static const struct pinned_map stamps_map = {
	.name = "lease_stamps",
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(struct portmap_key),
	.value_size = sizeof(struct value),
	.entries = MIN_LEASES + LEASES_ENDED_MAX,
};

int lease_stamps_open(const char *pin_dir, uint32_t leases)
{
	struct pinned_map map = stamps_map;

	map.entries = leases + LEASES_ENDED_MAX;
	/* A map that cannot grow lacks room for some stamps: those are lost at a restart. */
	pinned_map_fit(pin_dir, map.name, map.entries);
	return pinned_map_open(pin_dir, &map);
}

int lease_stamps_make(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);

	return bpf_map_create(stamps_map.type, stamps_map.name, stamps_map.key_size, stamps_map.value_size,
			      stamps_map.entries, &opts);
}

static struct portmap_key key_of(const struct known_lease *k)
{
	return (struct portmap_key){ .addr = k->out.addr, .port = k->out.port, .proto = k->proto };
}

int lease_stamps_put(int map, const struct known_lease *k)
{
	const struct portmap_key key = key_of(k);
	const struct value v = {
		.stamp = k->stamp,
		.until_s = k->until_s,
		.content = k->content,
		.in_addr = k->in.addr,
		.in_port = k->in.port,
		.ended = k->ended,
	};

	return map < 0 ? 0 : bpf_map_update_elem(map, &key, &v, BPF_ANY);
}

int lease_stamps_del(int map, const struct known_lease *k)
{
	const struct portmap_key key = key_of(k);
	int r = map < 0 ? 0 : bpf_map_delete_elem(map, &key);

	return r == -ENOENT ? 0 : r;
}

int lease_stamps_read(int map, struct lease_set *s)
{
	size_t n;
	_cleanup_free_ struct portmap_key *keys = map_keys(map, sizeof(*keys), &n);

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct portmap_key *key = &keys[i];
		struct known_lease *k;
		struct value v;

		if (bpf_map_lookup_elem(map, key, &v) || v.stamp > ACT_STAMP_MAX)
			continue;
		k = lease_set_add(s, key->proto, (struct endpoint){ key->addr, key->port });
		if (!k)
			return -ENOMEM;
		k->in = (struct endpoint){ v.in_addr, v.in_port };
		k->stamp = v.stamp;
		k->until_s = v.until_s;
		k->content = v.content;
		if (v.ended)
			lease_set_ended(s, k, v.stamp);
	}
	s->due_s = 0;
	return 0;
}

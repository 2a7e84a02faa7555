/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables whose records 1.0.0 has otherwise: whether it can have what is in them, and copies of them. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include <detnat/drains.h>
#include <detnat/extents.h>

#include "datapath/hand_back_private.h"
#include "datapath/map_keys.h"

static bool in_use(const struct mapping *m)
{
	return mapping_record_valid(m) && m->geo.in_plen;
}

/* What 1.0.0 does not know of a mapping, or NULL. */
static const char *strange(const struct mapping *m, unsigned number)
{
	const struct geometry *g = &m->geo;

	if (number >= FORMER_MAPPINGS)
		return "one of more than 1024";
	if (g->flags & MAPPING_IPV6)
		return "subscribers of IPv6";
	if (m->tenant)
		return "'tenant'";
	if (m->growth.block)
		return "'growth'";
	if (m->limited)
		return "'limits'";
	if (g->in_plen > 32 || (g->out_plen > 32 && g->out_plen != PLEN_NONE))
		return "a range that is no prefix";
	if (g->out_plen != PLEN_NONE && mapping_layout(g))
		return "keys for its ports, or \"netmap\"";
	return NULL;
}

/* Adds to a list of what stands in the way. */
static void __attribute__((format(printf, 2, 3))) add(struct error *list, const char *format, ...)
{
	size_t length = strlen(list->text), room = sizeof(list->text) - length;
	va_list ap;

	if (length)
		length += (size_t)snprintf(list->text + length, room, "; ");
	if (length >= sizeof(list->text))
		return;
	va_start(ap, format);
	vsnprintf(list->text + length, sizeof(list->text) - length, format, ap);
	va_end(ap);
}

static void judge_mappings(const struct datapath *d, struct error *list)
{
	for (unsigned i = 0; i < MAX_MAPPINGS; i++) {
		struct in_addr base = { htonl(d->mapping[i].geo.in_base) };
		const char *what = in_use(&d->mapping[i]) ? strange(&d->mapping[i], i) : NULL;
		char text[INET_ADDRSTRLEN];

		if (what)
			add(list, "the mapping that begins at %s has %s", inet_ntop(AF_INET, &base, text, sizeof(text)),
			    what);
	}
}

static bool index_fits(const struct index_node *node)
{
	for (size_t i = 0; i < INDEX_NODES; i++)
		for (size_t k = 0; k < ARRAY_SIZE(node->entry); k++) {
			uint16_t entry = node[i].entry[k];

			if (entry &&
			    (i >= FORMER_NODES ||
			     (entry & INDEX_LEAF ? (entry & ~INDEX_LEAF) >= FORMER_MAPPINGS : entry >= FORMER_NODES)))
				return false;
		}
	return true;
}

static bool drains_fit(const struct datapath *d)
{
	size_t n;
	_cleanup_free_ struct drain_key *keys = map_keys(d->drains, sizeof(*keys), &n);
	struct drain_entry entry;

	for (size_t k = 0; keys && k < n; k++)
		for (uint32_t i = 0;
		     !bpf_map_lookup_elem(d->drains, &keys[k], &entry) && i < entry.n && i < DRAIN_DEPTH; i++)
			if (entry.from[i].plen > 32)
				return false;
	return true;
}

static bool has_entries(int map)
{
	uint8_t key[64];

	return map >= 0 && !bpf_map_get_next_key(map, NULL, key);
}

int hand_back_judge(const struct datapath *d, struct error *err)
{
	struct error list = { 0 };

	judge_mappings(d, &list);
	if (has_entries(d->grants))
		add(&list, "blocks are granted to subscribers (detnatctl grant list)");
	if (!drains_fit(d))
		add(&list, "a range that is no prefix drains");
	if (!*list.text && (!index_fits(d->in_nodes) || !index_fits(d->out_nodes)))
		add(&list, "there are more mappings than its indexes have room for");
	return *list.text ? error_set(err, -EXDEV, "1.0.0 cannot take over: %s", list.text) : 0;
}

/* Makes an array of one value, fills it in, and pins it. */
struct table {
	const char *pin;
	size_t size;
	void (*fill)(const struct datapath *d, void *to);
};

static void fill_index(const struct index_node *from, void *to)
{
	memcpy(to, from, sizeof(struct former_index_table));
}

static void fill_in_index(const struct datapath *d, void *to)
{
	fill_index(d->in_nodes, to);
}

static void fill_out_index(const struct datapath *d, void *to)
{
	fill_index(d->out_nodes, to);
}

static void fill_mapping(const struct mapping *from, struct former_mapping *to)
{
	const struct geometry *g = &from->geo;

	*to = (struct former_mapping){
		.geo = { .in_base = g->in_base,
			 .out_base = g->out_base,
			 .in_plen = g->in_plen,
			 .out_plen = g->out_plen,
			 .flags = g->flags },
		.bindings = from->bindings,
		.first_bucket = from->first_bucket,
		.first_subscriber = from->first_subscriber,
		.sessions_per_user = from->sessions_per_user,
		.bucket_shift = from->bucket_shift,
	};
	if (g->out_plen != PLEN_NONE) {
		to->geo.ratio_shift = g->ratio_shift;
		to->geo.ports_per_host = g->ports_per_host;
		to->geo.ports_inverse = (1ULL << 32) / g->ports_per_host + 1;
	}
	memcpy(to->timeout_ticks, from->timeout_ticks, sizeof(to->timeout_ticks));
}

static void fill_mappings(const struct datapath *d, void *to)
{
	struct former_mapping_table *table = to;

	_Static_assert(sizeof(table->globals) == sizeof(*d->global), "they are the same");
	for (unsigned i = 0; i < FORMER_MAPPINGS; i++)
		if (in_use(&d->mapping[i]))
			fill_mapping(&d->mapping[i], &table->mapping[i]);
	memcpy(&table->globals, d->global, sizeof(table->globals));
}

static void fill_devices(const struct datapath *d, void *to)
{
	struct former_device_table *table = to;

	_Static_assert(sizeof(struct former_device) == sizeof(struct device) &&
			       offsetof(struct former_device, pad) == offsetof(struct device, tenant),
		       "1.0.0 has no tenants and VRFs");
	for (unsigned i = 0; i < MAX_IFINDEX && i < FORMER_IFINDEX; i++) {
		memcpy(&table->device[i], &d->device[i], sizeof(table->device[i]));
		memset(table->device[i].pad, 0, sizeof(table->device[i].pad));
		table->device[i].flags &= (uint8_t)~DEVICE_VRF;
	}
}

static int make(const struct hand_back *h, const struct table *t, void **ret_memory)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, t->pin, 4, (uint32_t)t->size, 1, &opts);
	char path[PATH_MAX + 32];
	void *memory;

	if (fd < 0)
		return fd;
	memory = mmap(NULL, t->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	t->fill(h->datapath, memory);
	*ret_memory = memory;
	snprintf(path, sizeof(path), "%s/%s", h->pin_dir, t->pin);
	return bpf_obj_pin(fd, path);
}

/*
 * Entries of the hash of 1.0.0 for that many sessions: two each, a quarter more, and those that the kernel's free lists
 * withhold, 128 per core for 512 cores. A core with an empty list evicts an entry, even if other lists are full.
 */
static uint32_t hash_entries(uint32_t sessions)
{
	return sessions * 2 + sessions / 2 + 65536;
}

static int make_hash(struct hand_back *h)
{
	uint32_t entries = hash_entries((uint32_t)datapath_extent_buckets(h->datapath) * 2);
	char path[PATH_MAX + 32];

	/* Twice the entries of sessions in extents, as some are opened meanwhile. */
	if (h->datapath->pool)
		entries += (uint32_t)__atomic_load_n(&h->datapath->pool->used, __ATOMIC_ACQUIRE) * BUCKET_SLOTS * 2 * 2;
	h->hash = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, PIN_HASH, sizeof(struct former_overflow_key),
				 sizeof(struct former_overflow_session), entries, NULL);
	if (h->hash < 0)
		return h->hash;
	snprintf(path, sizeof(path), "%s/" PIN_HASH, h->pin_dir);
	return bpf_obj_pin(h->hash, path);
}

int hand_back_copy_tables(struct hand_back *h)
{
	static const struct table tables[] = {
		{ "in_index", sizeof(struct former_index_table), fill_in_index },
		{ "out_index", sizeof(struct former_index_table), fill_out_index },
		{ "devices", sizeof(struct former_device_table), fill_devices },
		{ "mappings", sizeof(struct former_mapping_table), fill_mappings },
	};
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(tables); i++) {
		void *memory = NULL;

		r = make(h, &tables[i], &memory);
		if (memory && tables[i].fill == fill_mappings)
			h->table = memory;
		else if (memory)
			munmap(memory, tables[i].size);
	}
	return r ? r : make_hash(h);
}

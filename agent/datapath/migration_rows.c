/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of each pinned map when a datapath of another layout is taken over. A map without a row, or whose
 * records differ and cannot be copied, is not passed over: unless it is empty, the takeover is refused. Types tell
 * whether records differ; a map whose row names none gets another name when its records change.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "datapath/bpffs.h"
#include "datapath/migration_private.h"
#include "datapath/pinned.h"

/*
 * In the order in which they are copied. All this is done before the programs are exchanged, so at no moment do
 * programs run on a map that lacks what the former one had.
 */
const struct migration_row migration_rows[] = {
	{ "mappings", MIGRATION_COPIED, .copy = migration_table_copy },
	{ "in_index",
	  MIGRATION_SHARED_OR_COPIED,
	  { "index_table" },
	  .fits = migration_index_fits,
	  .copy = migration_index_copy },
	{ "out_index",
	  MIGRATION_SHARED_OR_COPIED,
	  { "index_table" },
	  .fits = migration_index_fits,
	  .copy = migration_index_copy },
	{ "buckets", MIGRATION_SHARED, { "bucket_chunk", "slot" }, .copy = migration_buckets_pin },
	{ "subscribers",
	  MIGRATION_SHARED_OR_COPIED,
	  { "subscriber_chunk", "subscriber" },
	  .fits = migration_subscribers_fit,
	  .copy = migration_subscribers_copy },
	/* Into extents. */
	{ PIN_HASH, MIGRATION_COPIED, .fits = migration_beyond_fits, .copy = migration_beyond_copy },
	{ "devices",
	  MIGRATION_SHARED_OR_COPIED,
	  { "device_table" },
	  .fits = migration_devices_fit,
	  .copy = migration_devices_copy },
	/* Each layout's lead to its own second stage; frames to an interface that is not there are dropped. */
	{ "ports", MIGRATION_COPIED, .copy = migration_ports_copy },
	{ "counters", MIGRATION_COPIED, .copy = migration_counters_copy },
	/* Marks the copy as complete. */
	{ PIN_RUNNING, MIGRATION_COPIED, .copy = migration_running_copy },

	{ "vlans", MIGRATION_SHARED, { "vlan_key" } },
	{ "drains", MIGRATION_SHARED, { "drain_key", "drain_entry", "drain_from" } },
	{ "portmaps", MIGRATION_SHARED, { "portmap_key", "portmap_value" }, .sized = true },
	{ "portmap_filters", MIGRATION_SHARED, { "portmap_key", "portmap_filters" }, .sized = true },
	/* Made anew by each start. */
	{ "portmap_lines", MIGRATION_REBUILT },
	/* 1.0.0 has none. Their places are in the records of subscribers. */
	{ PIN_EXTENTS, MIGRATION_SHARED, { "bucket", "slot" }, .sized = true },
	{ "extent_pool", MIGRATION_SHARED, { "extent_pool" } },
	{ "grants", MIGRATION_SHARED, { "grant_key", "grant_value" }, .sized = true },
	{ "grant_bindings", MIGRATION_SHARED, { "grant_binding_key", "grant_binding" }, .sized = true },
	{ "fragments", MIGRATION_SHARED, { "fragment_key", "fragment" } },
	{ "early_fragments", MIGRATION_SHARED, { "early_fragment" } },
	{ "transmissions", MIGRATION_SHARED, { "transmission" } },
	{ "routed_flows", MIGRATION_SHARED, { "routed_flow" } },
	{ "routed_until", MIGRATION_SHARED },
	{ "route_mtus", MIGRATION_SHARED, { "prefix_key" } },

	/* From the records of mappings: tables/mappings_open.c. */
	{ "untranslated", MIGRATION_SHARED_OR_REBUILT, { "tenant_prefix_key" } },
	/* Programs. Interfaces jump through another map only once they have the programs that do. */
	{ "entries", MIGRATION_SHARED_OR_REBUILT, .key_size = 4, .value_size = 4, .entries = N_ENTRIES },
	{ "tc_entries", MIGRATION_SHARED_OR_REBUILT, .key_size = 4, .value_size = 4, .entries = N_ENTRIES },
	{ "redirect_entries", MIGRATION_SHARED_OR_REBUILT, .key_size = 4, .value_size = 4, .entries = N_ENTRIES },
	{ "stage2_entries", MIGRATION_REBUILT },
	/* Frames that are between the stages end in the former second one. */
	{ "stage_control", MIGRATION_REBUILT },
	{ "namespace", MIGRATION_REBUILT },
	{ "types", MIGRATION_REBUILT },

	/* Maps that only the agent uses. */
	{ "history", MIGRATION_SHARED, .key_size = 4, .value_size = 80 },
	{ "interfaces", MIGRATION_SHARED, .key_size = 4, .value_size = 16 },
	{ "peers", MIGRATION_SHARED, .key_size = 4, .value_size = 8 },
	{ "spoken", MIGRATION_SHARED, .key_size = 4, .value_size = 4 },
	{ "lease_stamps", MIGRATION_SHARED, { "portmap_key" }, .key_size = 8, .value_size = 32 },
	{ "pcp", MIGRATION_SHARED, { "portmap_key", "portmap_value" }, .key_size = 4, .value_size = 8 },

	/* Reports, on which nothing depends. */
	{ "events", MIGRATION_SHARED_OR_EMPTY },
	{ "unsolicited_syns", MIGRATION_SHARED_OR_EMPTY },
	/* Hints: the next packet notes its next hop again, and the sweep finds the sessions that are not listed. */
	{ "next_hops_used", MIGRATION_SHARED_OR_EMPTY, { "next_hop_address", "next_hop_use" } },
	{ PIN_HASH_LISTS, MIGRATION_EMPTY },
	/* Of an offer to 1.0.0 (datapath/hand_back.h), which is undone before. */
	{ PIN_COUNTED, MIGRATION_EMPTY },
	/* A count of this moment. */
	{ "stage_drops", MIGRATION_EMPTY },
	{ NULL },
};

const struct migration_row *migration_row_of(const char *pin)
{
	for (const struct migration_row *row = migration_rows; row->pin; row++)
		if (!strcmp(row->pin, pin))
			return row;
	return NULL;
}

static bool may_be_shared(const struct migration_row *row)
{
	return row->way == MIGRATION_SHARED || row->way == MIGRATION_SHARED_OR_COPIED ||
	       row->way == MIGRATION_SHARED_OR_REBUILT || row->way == MIGRATION_SHARED_OR_EMPTY;
}

static bool types_fit(const struct migration *m, const struct migration_row *row)
{
	for (size_t i = 0; i < ARRAY_SIZE(row->types) && row->types[i]; i++)
		if (!layout_fits(m->from, m->to, row->types[i]))
			return false;
	return true;
}

/* Whether the programs and the agent can use a map as the one that they would make. */
static bool is_made_alike(const struct migration *m, const struct migration_row *row, const struct bpf_map_info *info)
{
	const struct bpf_map *own = bpf_object__find_map_by_name(m->own.object, row->pin);

	if (own)
		return info->type == bpf_map__type(own) && info->key_size == bpf_map__key_size(own) &&
		       info->value_size == bpf_map__value_size(own) && info->map_flags == bpf_map__map_flags(own) &&
		       (row->sized || info->max_entries == bpf_map__max_entries(own));
	return (!row->key_size || (info->key_size == row->key_size && info->value_size == row->value_size)) &&
	       (!row->entries || info->max_entries == row->entries);
}

static bool shares(const struct migration *m, const struct migration_row *row, int map)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	return may_be_shared(row) && !bpf_obj_get_info_by_fd(map, &info, &size) && is_made_alike(m, row, &info) &&
	       types_fit(m, row);
}

bool migration_shares(const struct migration *m, const struct migration_row *row)
{
	_cleanup_close_ int map = migration_pin(m->pin_dir, row->pin);

	return map >= 0 && shares(m, row, map);
}

/* Whether a map without entries is of a kind that can be: then nothing is lost with it. */
static bool is_empty(int map, const struct bpf_map_info *info)
{
	uint8_t key[512];

	return (info->type == BPF_MAP_TYPE_HASH || info->type == BPF_MAP_TYPE_LRU_HASH ||
		info->type == BPF_MAP_TYPE_LPM_TRIE) &&
	       info->key_size <= sizeof(key) && bpf_map_get_next_key(map, NULL, key) == -ENOENT;
}

/* Whether a pin's name has a number at its end, or is what a kill has left of a change of another pin. */
static bool is_of_another(const char *name)
{
	static const char *const changes[] = { "_new", "_next" };
	size_t length = strlen(name);

	if (pinned_number(name, CHUNK_SUBSCRIBER) >= 0 || pinned_number(name, CHUNK_BUCKET) >= 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (length > strlen(changes[i]) && !strcmp(name + length - strlen(changes[i]), changes[i]))
			return true;
	return false;
}

/* Pins are programs and links, too. */
static bool is_map(int fd)
{
	char path[64], object[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, object, sizeof(object) - 1) > 0 && strstr(object, "bpf-map");
}

/* Whether nothing is lost of a map of the old layout. */
static bool is_kept(const struct migration *m, const char *name, int map)
{
	const struct migration_row *row = migration_row_of(name);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(map, &info, &size))
		return false;
	if (!row)
		return info.type == BPF_MAP_TYPE_PROG_ARRAY || is_empty(map, &info);
	if (row->way == MIGRATION_SHARED || row->way == MIGRATION_SHARED_OR_COPIED || row->fits)
		return shares(m, row, map) || (row->fits && row->fits(m)) || is_empty(map, &info);
	return true;
}

struct verdict {
	const struct migration *m;
	char lost[200]; /* names of maps */
};

static int visit(const char *name, void *arg)
{
	struct verdict *v = arg;
	size_t length = strlen(v->lost);
	_cleanup_close_ int fd = migration_pin(v->m->pin_dir, name);

	if (fd < 0 || !is_map(fd) || is_of_another(name) || is_kept(v->m, name, fd))
		return 0;
	snprintf(v->lost + length, sizeof(v->lost) - length, "%s\"%s\"", length ? ", " : "", name);
	return 0;
}

int migration_judge(const struct migration *m, struct error *err)
{
	struct verdict v = { .m = m };

	directory_visit(m->pin_dir, visit, &v);
	return *v.lost ? error_set(err, -EXDEV, "this agent does not know the records of its maps %s", v.lost) : 0;
}

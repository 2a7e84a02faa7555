/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peer_numbers.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/fnv.h"
#include "datapath/pinned.h"

struct place {
	uint32_t addr; /* 0: never used */
	uint16_t port;
	uint16_t tables; /* from peer_numbers_note(); 0: unknown, from earlier agents */
};

static const struct pinned_map numbers_map = {
	.name = "peers",
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(uint32_t),
	.value_size = sizeof(struct place),
	.entries = REPLICATION_MAX_PEERS,
};

/* One entry: peers, by bit of their numbers. */
static const struct pinned_map spoken_map = {
	.name = "spoken",
	.type = BPF_MAP_TYPE_ARRAY,
	.key_size = sizeof(uint32_t),
	.value_size = sizeof(uint32_t),
	.entries = 1,
};

static bool is_at(const struct place *p, struct endpoint e)
{
	return p->addr == e.addr && p->port == e.port;
}

static bool is_wanted(const struct config_replication *c, const struct place *p)
{
	for (uint32_t i = 0; i < c->n_peers; i++)
		if (is_at(p, c->peers[i]))
			return true;
	return false;
}

/* The place of a peer: its own, else an unused one, else that of a former peer. */
static uint32_t find(const struct place *places, const struct config_replication *c, struct endpoint e)
{
	uint32_t vacant = REPLICATION_MAX_PEERS, left = REPLICATION_MAX_PEERS;

	for (uint32_t i = 0; i < REPLICATION_MAX_PEERS; i++) {
		if (is_at(&places[i], e))
			return i;
		if (!places[i].addr && vacant == REPLICATION_MAX_PEERS)
			vacant = i;
		if (!is_wanted(c, &places[i]) && left == REPLICATION_MAX_PEERS)
			left = i;
	}
	return vacant < REPLICATION_MAX_PEERS ? vacant : left;
}

static uint32_t spoken_for(const char *pin_dir)
{
	_cleanup_close_ int fd = pinned_map_find(pin_dir, &spoken_map);
	const uint32_t at = 0;
	uint32_t peers;

	return fd < 0 || bpf_map_lookup_elem(fd, &at, &peers) ? 0 : peers;
}

int peer_numbers(const char *pin_dir, const struct config_replication *c,
		 struct peer_number ret[static REPLICATION_MAX_PEERS])
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &numbers_map);
	struct place places[REPLICATION_MAX_PEERS] = { 0 };
	uint32_t spoken = spoken_for(pin_dir);
	int r = fd < 0 ? fd : 0;

	for (uint32_t i = 0; !r && i < REPLICATION_MAX_PEERS; i++)
		r = bpf_map_lookup_elem(fd, &i, &places[i]);
	for (uint32_t i = 0; i < c->n_peers; i++) {
		uint32_t at = find(places, c, c->peers[i]);

		if (!is_at(&places[at], c->peers[i])) {
			places[at] = (struct place){ c->peers[i].addr, c->peers[i].port, 0 };
			spoken &= ~(1U << (at + 1));
		}
		ret[i] = (struct peer_number){ .number = (uint8_t)(at + 1),
					       .tables = places[at].tables,
					       .spoken = spoken >> (at + 1) & 1 };
	}
	for (uint32_t i = 0; !r && i < REPLICATION_MAX_PEERS; i++)
		r = bpf_map_update_elem(fd, &i, &places[i], BPF_ANY);
	return r;
}

int peer_numbers_note(const char *pin_dir, unsigned number, uint16_t tables)
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &numbers_map);
	const uint32_t at = number - 1;
	struct place place;
	int r = fd < 0 ? fd : bpf_map_lookup_elem(fd, &at, &place);

	if (r || place.tables == tables)
		return r;
	place.tables = tables;
	return bpf_map_update_elem(fd, &at, &place, BPF_ANY);
}

int peer_numbers_speak(const char *pin_dir, uint8_t peers)
{
	_cleanup_close_ int fd = pinned_map_open(pin_dir, &spoken_map);
	const uint32_t at = 0, value = peers;

	return fd < 0 ? fd : bpf_map_update_elem(fd, &at, &value, BPF_ANY);
}

#define BOOT_ID 36U

uint64_t tables_identity(const struct datapath *d)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	char boot[BOOT_ID] = { 0 };
	uint64_t hash;

	if (fd < 0 || read(fd, boot, sizeof(boot)) != (ssize_t)sizeof(boot) ||
	    bpf_obj_get_info_by_fd(d->buckets, &info, &size))
		return 1;
	hash = fnv1a(fnv1a(FNV1A_BEGIN, boot, sizeof(boot)), &info.id, sizeof(info.id));
	return hash ? hash : 1;
}

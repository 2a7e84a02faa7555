/* SPDX-License-Identifier: BSD-2-Clause */
/* What tables cost, and what memory the machine has left. */
#include <stdlib.h>
#include <string.h>

#include "host/memory.h"
#include "tables/mapping_tables.h"

uint64_t mappings_memory(struct prefix in, uint32_t session_slots)
{
	return prefix_size(in.plen) * sizeof(struct subscriber) + mappings_slot_memory(in, session_slots);
}

uint64_t mappings_slot_memory(struct prefix in, uint32_t session_slots)
{
	return prefix_size(in.plen) * session_slots * sizeof(struct slot);
}

/* The number after a word in a file of /proc; false if it is not there. */
static bool proc_number(const char *path, const char *word, uint64_t *ret)
{
	FILE *f = fopen(path, "re");
	bool found = false;
	char line[256];

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		found = !strncmp(line, word, strlen(word));
		if (found)
			*ret = strtoull(line + strlen(word), NULL, 10);
	}
	fclose(f);
	return found;
}

uint64_t memory_available(void)
{
	return memory_free("");
}

/* The memory of a map, according to the kernel. */
static uint64_t map_memory(int fd)
{
	uint64_t octets;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return fd >= 0 && proc_number(path, "memlock:", &octets) ? octets : 0;
}

uint64_t mappings_table_memory(const struct mappings *m)
{
	const struct datapath *d = m->d;
	const int fixed[] = { d->in_index, d->out_index, d->mappings, d->subscribers, d->buckets,
			      d->overflow, d->devices,	 d->counters, d->events };
	uint64_t sum = chunks_memory(&m->subscribers) + chunks_memory(&m->buckets);

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		sum += map_memory(fixed[i]);
	return sum;
}

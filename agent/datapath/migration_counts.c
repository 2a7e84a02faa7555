/* SPDX-License-Identifier: BSD-2-Clause */
/* Copies the counters, the table of mappings with its counts, and the running configuration. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/migration_private.h"
#include "datapath/running.h"

/* The old counters of each core, matched by name; *ret_sum is their sum. The caller frees the result. */
static struct counters *read_counters(const struct migration *m, struct counters *ret_sum)
{
	int cores = libbpf_num_possible_cpus();
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info), zero = 0, step;
	struct counters *values;

	*ret_sum = (struct counters){ 0 };
	if (cores < 1 || m->counters < 0 || bpf_obj_get_info_by_fd(m->counters, &info, &size))
		return NULL;
	step = (info.value_size + 7) & ~7U;
	values = calloc((size_t)cores, sizeof(*values));

	_cleanup_free_ uint8_t *old = calloc((size_t)cores, step);

	if (!values || !old || bpf_map_lookup_elem(m->counters, &zero, old)) {
		free(values);
		return NULL;
	}
	for (int i = 0; i < cores; i++) {
		layout_copy(m->from, m->to, "counters", old + (size_t)i * step, &values[i]);
		for (unsigned k = 0; k < N_REASONS; k++)
			((uint64_t *)ret_sum)[k] += ((uint64_t *)&values[i])[k];
	}
	return values;
}

int migration_counters_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	_cleanup_free_ struct counters *values = read_counters(m, &m->counted);
	uint32_t zero = 0;

	if (values)
		bpf_map_update_elem(d->counters, &zero, values, BPF_ANY);
	return 0;
}

void migration_counters_bring_over(const struct datapath *d, struct migration *m)
{
	struct counters now;
	_cleanup_free_ struct counters *values = read_counters(m, &now);

	for (unsigned k = 0; values && k < N_REASONS; k++) {
		uint64_t more = ((uint64_t *)&now)[k] - ((uint64_t *)&m->counted)[k];

		if (more && more <= UINT32_MAX)
			datapath_count(d, (enum reason)k, (uint32_t)more);
	}
	m->counted = now;
}

/* Datagrams whose fragments are under way, as the old programs count them; 0 if their table is not shared. */
static int64_t read_datagrams(const struct datapath *d, const struct migration *m)
{
	struct layout_member limits, of;

	if (!migration_is_shared(d, m, "fragments") || layout_find(m->from, "mapping_table", "limits", &limits) ||
	    layout_find(m->from, "shared_limits", "datagrams", &of) || of.size != sizeof(int64_t))
		return 0;
	return __atomic_load_n((int64_t *)((uint8_t *)m->table + limits.offset + of.offset), __ATOMIC_RELAXED);
}

void migration_datagrams_bring_over(const struct datapath *d, struct migration *m)
{
	int64_t now = read_datagrams(d, m);

	__atomic_fetch_add(&d->table->limits.datagrams, now - m->datagrams, __ATOMIC_ACQ_REL);
	m->datagrams = now;
}

void migration_counts_resume(const struct datapath *d, struct migration *m)
{
	free(read_counters(m, &m->counted));
	m->datagrams = read_datagrams(d, m);
}

int migration_table_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	int r = migration_copy_mappings(m, d->table);

	/* Rate limits start afresh. */
	d->table->limits = (struct shared_limits){ 0 };
	migration_datagrams_bring_over(d, m);
	return r;
}

int migration_running_copy(struct datapath *d, struct migration *m, const struct migration_row *row)
{
	_cleanup_close_ int fd = migration_pin(m->pin_dir, row->pin);
	_cleanup_free_ char *json = NULL;
	struct error err = { "" };
	uint64_t hash;
	size_t size;
	void *memory = migration_mmap(fd, &size);
	int r;

	if (!memory)
		return errno_or(EIO);
	r = running_load_from(memory, size, &json, &hash);
	munmap(memory, size);
	if (!r)
		r = running_reserve(d, strlen(json), &err);
	return r ? r : running_save_to(d->running_state, d->running_size, json, strlen(json), hash, &err);
}

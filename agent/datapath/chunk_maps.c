/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/chunk_maps.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "datapath/pinned.h"

#define STACK_SIZE (64U << 10)

static void *apply(void *arg)
{
	struct outer_change *change = arg;

	change->r = change->fd < 0 ? bpf_map_delete_elem(change->outer, &change->index)
				   : bpf_map_update_elem(change->outer, &change->index, &change->fd, BPF_ANY);
	return NULL;
}

void outer_apply(struct outer_change *changes, unsigned n)
{
	pthread_t threads[CHUNKS_BATCH];
	unsigned n_threads = 0;
	sigset_t all, saved;
	pthread_attr_t attr;

	if (!n)
		return;
	/* Signals are handled by the thread of the event loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	while (n_threads + 1 < n && n_threads < CHUNKS_BATCH &&
	       !pthread_create(&threads[n_threads], &attr, apply, &changes[n_threads]))
		n_threads++;
	pthread_attr_destroy(&attr);
	/* The last change, and those for which no thread could be started. */
	for (unsigned i = n_threads; i < n; i++)
		apply(&changes[i]);
	for (unsigned i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

const char *chunk_pin(const char *pin_dir, const char *name, uint32_t chunk, char text[static PATH_MAX])
{
	snprintf(text, PATH_MAX, "%s/%s_%u", pin_dir, name, chunk);
	return text;
}

int outer_chunk(int outer, uint32_t chunk, const char *path)
{
	uint32_t id;
	int r = bpf_map_lookup_elem(outer, &chunk, &id);

	return r < 0 ? r : pinned_map(path, id);
}

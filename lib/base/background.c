/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/background.h"

#include <signal.h>

#define STACK_SIZE (256U << 10)

int thread_start(pthread_t *ret, size_t stack_size, void *(*function)(void *arg), void *arg)
{
	sigset_t all, saved;
	pthread_attr_t attr;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, stack_size);
	r = -pthread_create(ret, &attr, function, arg);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return r;
}

static void *run(void *arg)
{
	struct background *b = arg;

	b->run(b->arg);
	atomic_store(&b->ended, true);
	return NULL;
}

void background_start(struct background *b, void (*function)(void *arg), void *arg)
{
	b->run = function;
	b->arg = arg;
	atomic_store(&b->ended, false);
	b->started = !thread_start(&b->thread, STACK_SIZE, run, b);
	if (!b->started)
		function(arg);
}

bool background_busy(struct background *b)
{
	if (b->started && atomic_load(&b->ended))
		background_wait(b);
	return b->started;
}

void background_wait(struct background *b)
{
	if (b->started)
		pthread_join(b->thread, NULL);
	b->started = false;
}

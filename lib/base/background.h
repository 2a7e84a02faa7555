/* SPDX-License-Identifier: BSD-2-Clause */
/* A function that takes long, in a thread of its own, while the event loop goes on. One at a time. */
#ifndef DETNAT_BACKGROUND_H
#define DETNAT_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Zeroed to begin with. */
struct background {
	pthread_t thread;
	bool started; /* and not seen to have ended */
	atomic_bool ended;
	void (*run)(void *arg);
	void *arg;
};

/*
 * Has run(arg) called in a thread, which gets no signals; where none can be had it is called at once. What it touches
 * is the thread's until background_busy() says false. Nothing may be under way already.
 */
void background_start(struct background *b, void (*run)(void *arg), void *arg);

/* Whether it goes on still. */
bool background_busy(struct background *b);

/* Waits for the end. */
void background_wait(struct background *b);

#endif

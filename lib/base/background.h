/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads beside the event loop: one that runs a slow function, one at a time, or one for the caller's own work. */
#ifndef DETNAT_BACKGROUND_H
#define DETNAT_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Starts a thread that gets no signals, as the event loop handles them. 0, or -errno of pthread_create(). */
int thread_start(pthread_t *ret, size_t stack_size, void *(*run)(void *arg), void *arg);

/* Zero-initialised. */
struct background {
	pthread_t thread;
	bool started; /* started, and not yet joined */
	atomic_bool ended;
	void (*run)(void *arg);
	void *arg;
};

/*
 * Calls run(arg) in a thread that gets no signals, or at once if no thread can be made. Data that it uses belongs to
 * the thread until background_busy() is false. Nothing may be running already.
 */
void background_start(struct background *b, void (*run)(void *arg), void *arg);

/* Whether the function is still running. */
bool background_busy(struct background *b);

/* Waits until it has returned. */
void background_wait(struct background *b);

#endif

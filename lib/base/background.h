/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a slow function in a thread of its own while the event loop continues. One at a time. */
#ifndef DETNAT_BACKGROUND_H
#define DETNAT_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

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

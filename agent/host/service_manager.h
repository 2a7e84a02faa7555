/* SPDX-License-Identifier: BSD-2-Clause */
/* Notifications to the service manager (sd_notify protocol); without NOTIFY_SOCKET they do nothing. */
#ifndef DETNAT_SERVICE_MANAGER_H
#define DETNAT_SERVICE_MANAGER_H

#include <stdint.h>

#include "base/address.h"

/* Sends assignments such as "READY=1", separated by newlines. 0, even without a listener, or -errno. */
int notify_send(const char *state);

int notify_ready(void);
int notify_reloading(void); /* with the time stamp that Type=notify-reload asks for */
int notify_stopping(void);
int notify_watchdog(void);

/* Interval at which the manager expects signs of life, in microseconds; 0: not at all. */
uint64_t notify_watchdog_interval_us(void);

/*
 * Sockets on which the service manager listens for the agent (sd_listen_fds(3)): from boot on and between runs of the
 * agent, so that no other program can take the port.
 */

/*
 * Returns a non-blocking duplicate of the socket that listens there, or -ENOENT. The original is kept for later calls.
 */
int listeners_find(struct endpoint at);

#endif

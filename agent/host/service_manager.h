/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service manager is told (sd_notify protocol): nothing happens where NOTIFY_SOCKET is not set. */
#ifndef DETNAT_SERVICE_MANAGER_H
#define DETNAT_SERVICE_MANAGER_H

#include <stdint.h>

/* Sends assignments such as "READY=1", separated by newlines. 0, also where nobody listens, or -errno. */
int notify_send(const char *state);

int notify_ready(void);
int notify_reloading(void); /* with the time stamp that Type=notify-reload asks for */
int notify_stopping(void);
int notify_watchdog(void);

/* Interval at which the manager wants to hear of this process, in microseconds; 0: not at all. */
uint64_t notify_watchdog_interval_us(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Notifications to the service manager (sd_notify protocol); without NOTIFY_SOCKET they do nothing. */
#ifndef DETNAT_NOTIFY_H
#define DETNAT_NOTIFY_H

#include <stdint.h>

/* Sends assignments such as "READY=1", separated by newlines. 0, also without a service manager, or -errno. */
int notify_send(const char *state);

int notify_ready(void);
int notify_reloading(void); /* with the time stamp that Type=notify-reload requires */
int notify_stopping(void);
int notify_watchdog(void);

/* The service manager's watchdog interval in microseconds; 0: none. */
uint64_t notify_watchdog_interval_us(void);

#endif

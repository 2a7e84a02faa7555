/* SPDX-License-Identifier: BSD-2-Clause */
/* The one core of the benchmark, and what all cores of the machine have worked. */
#ifndef DETNAT_BENCH_E2E_CLOCK_H
#define DETNAT_BENCH_E2E_CLOCK_H

#include <stdint.h>

/* Pins the process to the last core that it may use and puts it before all others there; the core's number. */
int core_pin(void);

/* Nanoseconds that ksoftirqd has run on that core so far: in the sender's stead, where the sender waited meanwhile. */
uint64_t core_softirqd_ns(void);

/* Seconds that all cores have worked so far, interrupts among them, in hundredths; not idle, nor waiting for disks. */
double cores_busy_s(void);

#endif

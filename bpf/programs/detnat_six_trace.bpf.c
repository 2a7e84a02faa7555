// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracing build of the programs for IPv6 subscribers: see trace_points.h. */
#define TRACE
#include "programs/detnat_six.bpf.c"

#include "trace/trace_begin.h"

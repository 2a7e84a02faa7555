// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracing build of the tc programs: see trace_points.h. */
#define TRACE
#include "programs/detnat_tc.bpf.c"

#include "trace/trace_begin.h"

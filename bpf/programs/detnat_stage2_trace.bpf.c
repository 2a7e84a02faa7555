// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracing build of stage 2: see trace_points.h. */
#define TRACE
#include "programs/detnat_stage2.bpf.c"

#include "trace/trace_stages.h"

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracing build of the XDP programs with stages: see trace_points.h. */
#define TRACE
#include "programs/detnat_xdp_staged.bpf.c"

#include "trace/trace_begin.h"
#include "trace/trace_stages.h"

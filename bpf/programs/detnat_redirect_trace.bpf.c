// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tracing build of the programs at tc ingress that send packets themselves: see trace_points.h. */
#define TRACE
#include "programs/detnat_redirect.bpf.c"

#include "trace/trace_begin.h"

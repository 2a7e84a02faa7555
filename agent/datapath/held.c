/* SPDX-License-Identifier: BSD-2-Clause */
#include "datapath/held.h"

#include <bpf/bpf.h>

#include "datapath/datapath_private.h"

static bool knows(int program, const struct session_question *of)
{
	struct session_question question = *of;
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &question, .ctx_size_in = sizeof(question));

	return bpf_prog_test_run_opts(program, &run) || run.retval;
}

bool datapath_session_held(const struct datapath *d, const struct session_question *of)
{
	return knows(d->session_held, of) ||
	       (d->build && d->build->session_held_six >= 0 && knows(d->build->session_held_six, of));
}

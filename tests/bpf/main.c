// SPDX-License-Identifier: BSD-2-Clause
/* Criterion's own main(), but for one word where every test would fail for the same reason. */
#include <stdio.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "kept_objects.h"

int main(int argc, char **argv)
{
	struct criterion_test_set *tests;
	int status = 0;

	if (geteuid() != 0) {
		fputs("tests/bpf: needs root, for namespaces and BPF programs\n", stderr);
		return 1;
	}
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true)) {
		kept_begin(argv);
		status = !criterion_run_all_tests(tests);
	}
	criterion_finalize(tests);
	return status;
}

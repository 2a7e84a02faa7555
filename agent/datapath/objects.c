/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads libbpf's objects quietly; if a load fails, prints all messages of libbpf and the verifier. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "datapath/datapath_private.h"

static unsigned log_libbpf;
/* Per thread: programs are loaded in a thread of their own. */
static __thread FILE *captured;

static int log_libbpf_text(const char *format, va_list ap)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	else
		log_lines(LOG_LEVEL_DEBUG, text);
	return 0;
}

/* Outside a load, libbpf's messages add nothing to its return values. */
static int print(enum libbpf_print_level level, const char *format, va_list ap)
{
	if (log_libbpf > (level == LIBBPF_DEBUG))
		return log_libbpf_text(format, ap);
	return captured && level != LIBBPF_DEBUG ? vfprintf(captured, format, ap) : 0;
}

void datapath_log_libbpf(unsigned verbosity)
{
	log_libbpf = verbosity;
	libbpf_set_print(print);
}

void object_set_types(const struct bpf_object *o)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, o) if (bpf_program__type(p) == BPF_PROG_TYPE_XDP &&
					       bpf_program__expected_attach_type(p) == BPF_XDP)
		bpf_program__set_expected_attach_type(p, 0);
}

int object_load(struct bpf_object *o, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r;

	object_set_types(o);
	captured = open_memstream(&text, &size);
	r = bpf_object__load(o);
	if (captured)
		fclose(captured);
	captured = NULL;
	if (!r)
		return 0;
	if (size)
		fwrite(text, 1, size, stderr);
	return error_set(err, r, "the kernel refused the BPF object %s: %s; see its messages above",
			 bpf_object__name(o), strerror(-r));
}

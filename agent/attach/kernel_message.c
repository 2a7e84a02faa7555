/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/kernel_message.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static libbpf_print_fn_t print_otherwise;
/* Per thread: another thread may be loading programs, whose messages are not captured here. */
static __thread bool listening;
static char kernel_message[256];

static int listen_to_libbpf(enum libbpf_print_level level, const char *format, va_list ap)
{
	static const char mark[] = "Kernel error message: ";
	char line[512];
	char *text;

	if (!listening)
		return print_otherwise ? print_otherwise(level, format, ap) : 0;
	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, ap);
	text = strstr(line, mark);
	if (text) {
		snprintf(kernel_message, sizeof(kernel_message), "%.255s", text + strlen(mark));
		kernel_message[strcspn(kernel_message, "\n")] = '\0';
	}
	return 0;
}

void kernel_message_begin(void)
{
	libbpf_print_fn_t before = libbpf_set_print(listen_to_libbpf);

	/* The function stays set; resetting it could undo what another thread has set meanwhile. */
	if (before != listen_to_libbpf)
		print_otherwise = before;
	kernel_message[0] = '\0';
	listening = true;
}

const char *kernel_message_end(void)
{
	listening = false;
	return kernel_message;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel says when it refuses an XDP program, as libbpf reports it. */
#ifndef DETNAT_KERNEL_MESSAGE_H
#define DETNAT_KERNEL_MESSAGE_H

/*
 * Between the two, libbpf prints nothing for this thread, and the kernel's own message about a refusal is kept. The
 * text is valid until the next call; it is empty if the kernel gave none.
 */
void kernel_message_begin(void);
const char *kernel_message_end(void);

#endif

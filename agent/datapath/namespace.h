/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network namespace of the pins. Interface indexes mean nothing in another namespace, and the programs are attached
 * to this one's interfaces: an agent started elsewhere would mistake them for leftovers, detach the wrong programs and
 * wipe the records. So the pins record their namespace, by inode and cookie, and the boot.
 */
#ifndef DETNAT_NAMESPACE_H
#define DETNAT_NAMESPACE_H

#include <stdbool.h>

#include "base/base.h"

/*
 * 0 if the pins under the pin path, of any layout, belong to this process's network namespace or do not record one;
 * also if their namespace is gone, and then *ret_gone is set. -EXDEV if they belong to another namespace that exists,
 * or may exist out of sight; err names the namespace and the remedy.
 */
int namespace_check(const char *pin_path, bool *ret_gone, struct error *err);

/* Records this process's network namespace as that of the pins in a layout's directory. 0 or -errno. */
int namespace_claim(const char *pin_dir);

#endif

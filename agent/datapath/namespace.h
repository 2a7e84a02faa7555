/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network namespace that pins belong to. Interface indexes mean nothing in another one, and the programs stand on
 * its interfaces: an agent there would take them for leftovers, detach strangers' and wipe the records. So the pins
 * remember their namespace, by inode and cookie, and the boot.
 */
#ifndef DETNAT_NAMESPACE_H
#define DETNAT_NAMESPACE_H

#include <stdbool.h>

#include "base/base.h"

/*
 * 0 where what is pinned under the pin path, of whatever layout, is of this process's network namespace, or does not
 * say; or of one that is gone, then *ret_gone is set. -EXDEV with err, naming the namespace and what to do, where it is
 * of another that lives, or that may live and cannot be seen from here.
 */
int namespace_check(const char *pin_path, bool *ret_gone, struct error *err);

/* Enters this process's network namespace as that of the pins in a directory of a layout. 0 or -errno. */
int namespace_claim(const char *pin_dir);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_IMPORT_ROLES_H
#define DETNAT_IMPORT_ROLES_H

#include "import/import_rules.h"

/*
 * Which interfaces are inside and outside, by the rules that translate and the jumps that lead to them, once they have
 * been walked: no other rule says so, as it may be about management, or about what comes from outside.
 */
void import_rules_roles(struct import_rules *rules);

#endif

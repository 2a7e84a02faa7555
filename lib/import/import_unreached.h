/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DETNAT_IMPORT_UNREACHED_H
#define DETNAT_IMPORT_UNREACHED_H

#include "import/import_rules.h"

/*
 * After the walk: names the rules that translate and have nothing left to translate, with the reason, and finds the
 * rule that decides where there is no plan.
 */
void import_rules_unreached(struct import_rules *rules);

#endif

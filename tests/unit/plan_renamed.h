/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of the plan that plan_apart.c has: the library has the real ones. */
#ifndef DETNAT_TEST_PLAN_RENAMED_H
#define DETNAT_TEST_PLAN_RENAMED_H

#define plan_new	     tested_plan_new
#define plan_new_with	     tested_plan_new_with
#define plan_check	     tested_plan_check
#define plan_step	     tested_plan_step
#define change_plan_free     tested_plan_free
#define plan_commit	     tested_plan_commit
#define plan_record	     tested_plan_record
#define plan_is_as_recorded  tested_plan_is_as_recorded
#define plan_drains	     tested_plan_drains
#define plan_end_drains	     tested_plan_end_drains
#define plan_holds	     tested_plan_holds
#define plan_hold	     tested_plan_hold
#define plan_guard_holds     tested_plan_guard_holds
#define plan_set_tenants     tested_plan_set_tenants
#define plan_restore_tenants tested_plan_restore_tenants
#include "change/change_plan_private.h"

#endif

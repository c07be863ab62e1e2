/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_CURRENT_H
#define _ASM_LIB_CURRENT_H

#ifndef __ASSEMBLY__

struct task_struct;

/* One CPU, so a variable will do. Changed by __switch_to() alone. */
extern struct task_struct *lib_current;

#define get_current() lib_current
#define current lib_current

#endif

#endif

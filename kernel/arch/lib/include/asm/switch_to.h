/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_LIB_SWITCH_TO_H
#define _ASM_LIB_SWITCH_TO_H

struct task_struct;

struct task_struct *__switch_to(struct task_struct *from,
				struct task_struct *to);

#define switch_to(prev, next, last)                                            \
	do {                                                                   \
		(last) = __switch_to((prev), (next));                          \
	} while (0)

#endif

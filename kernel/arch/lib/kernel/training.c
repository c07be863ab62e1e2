// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the counters of a kernel in training are. Whoever trains it reads them
 * from the outside (dev/train.py): nothing is written, merged or reset here.
 */
#include <linux/types.h>

extern const void *const __start_lib_profile[], *const __stop_lib_profile[];

/* The compiler's records, one for each object: where they begin and end. */
extern const void *const *const lib_training[];
const void *const *const lib_training[] = { __start_lib_profile,
					    __stop_lib_profile };

/* Named in every record as what adds two sets of counters; never called. */
void __gcov_merge_add(s64 *counters, unsigned int count);
void __gcov_merge_add(s64 *counters, unsigned int count)
{
}

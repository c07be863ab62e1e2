/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory. A library task's is this process's own: an access is a plain
 * load or store that may fault, with an entry in the exception table. Nothing
 * else in the port dereferences a user address: a task whose memory is
 * elsewhere will need other code behind raw_copy_*_user(), and only there.
 */
#ifndef _ASM_LIB_UACCESS_H
#define _ASM_LIB_UACCESS_H

#include <linux/string.h>
#include <asm/current.h>
#include <asm/processor.h>

/* Any address may be tried; the exception table catches what is not there. */
static inline int __access_ok(const void __user *ptr, unsigned long bytes)
{
	return bytes <= TASK_SIZE_MAX &&
	       (unsigned long)ptr <= TASK_SIZE_MAX - bytes;
}
#define __access_ok __access_ok

#include <asm-generic/access_ok.h>

/* All return the number of bytes that were not done. */
unsigned long lib_user_copy(void *to, const void *from, unsigned long bytes);
unsigned long lib_user_clear(void *to, unsigned long bytes);

#define LIB_EXTABLE(from, to)                                                  \
	".pushsection __lib_extable, \"a\"\n"                                     \
	".balign 4\n"                                                          \
	".long (" #from ") - .\n"                                              \
	".long (" #to ") - .\n"                                                \
	".popsection\n"

#define LIB_MOVE(mov, type, reg, to, from, failed)                             \
	do {                                                                   \
		unsigned long __tmp;                                           \
                                                                               \
		asm volatile("1:	" mov " %[src], %" reg "[tmp]\n"       \
			     "2:	" mov " %" reg "[tmp], %[dst]\n"       \
			     "3:\n"                                            \
			     ".pushsection .text.unlikely, \"ax\"\n"           \
			     "4:	movl $1, %[err]\n"                     \
			     "	jmp 3b\n"                                      \
			     ".popsection\n" LIB_EXTABLE(1b, 4b)               \
				     LIB_EXTABLE(2b, 4b)                       \
			     : [dst] "=m"(*(type *)(to)), [tmp] "=&r"(__tmp),  \
			       [err] "+r"(failed)                              \
			     : [src] "m"(*(const type *)(from)));              \
	} while (0)

/* A constant small size becomes two instructions. */
static __always_inline unsigned long
lib_user_move(void *to, const void *from, unsigned long bytes)
{
	int failed = 0;

	if (!__builtin_constant_p(bytes))
		return lib_user_copy(to, from, bytes);
	switch (bytes) {
	case 1:
		LIB_MOVE("movb", u8, "b", to, from, failed);
		return failed ? bytes : 0;
	case 2:
		LIB_MOVE("movw", u16, "w", to, from, failed);
		return failed ? bytes : 0;
	case 4:
		LIB_MOVE("movl", u32, "k", to, from, failed);
		return failed ? bytes : 0;
	case 8:
		LIB_MOVE("movq", u64, "q", to, from, failed);
		return failed ? bytes : 0;
	}
	return lib_user_copy(to, from, bytes);
}

static __always_inline __must_check unsigned long
raw_copy_from_user(void *to, const void __user *from, unsigned long bytes)
{
	return lib_user_move(to, (const void __force *)from, bytes);
}

static __always_inline __must_check unsigned long
raw_copy_to_user(void __user *to, const void *from, unsigned long bytes)
{
	return lib_user_move((void __force *)to, from, bytes);
}

#define INLINE_COPY_FROM_USER
#define INLINE_COPY_TO_USER

static __always_inline __must_check unsigned long
__clear_user(void __user *to, unsigned long bytes)
{
	return lib_user_clear((void __force *)to, bytes);
}
#define __clear_user __clear_user

#define __get_kernel_nofault(to, from, type, label)                            \
	do {                                                                   \
		if (lib_user_move((to), (from), sizeof(type)))                 \
			goto label;                                            \
	} while (0)

#define __put_kernel_nofault(to, from, type, label)                            \
	do {                                                                   \
		if (lib_user_move((to), (from), sizeof(type)))                 \
			goto label;                                            \
	} while (0)

#include <asm-generic/uaccess.h>

#endif

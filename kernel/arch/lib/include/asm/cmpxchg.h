/* SPDX-License-Identifier: GPL-2.0-only */
/* Plain C, for the reason that atomic.h gives. */
#ifndef _ASM_LIB_CMPXCHG_H
#define _ASM_LIB_CMPXCHG_H

#include <linux/compiler.h>

#define arch_xchg(ptr, new)                                                    \
	({                                                                     \
		__typeof__(ptr) __xp = (ptr);                                  \
		__typeof__(*__xp) __xnew = (__typeof__(*__xp))(new);           \
		__typeof__(*__xp) __xold = *(volatile __typeof__(*__xp) *)__xp; \
                                                                               \
		*(volatile __typeof__(*__xp) *)__xp = __xnew;                  \
		__xold;                                                        \
	})

#define arch_cmpxchg(ptr, old, new)                                            \
	({                                                                     \
		__typeof__(ptr) __cp = (ptr);                                  \
		__typeof__(*__cp) __c_old = (__typeof__(*__cp))(old);           \
		__typeof__(*__cp) __c_new = (__typeof__(*__cp))(new);           \
		__typeof__(*__cp) __c_was = *(volatile __typeof__(*__cp) *)__cp; \
                                                                               \
		if (__c_was == __c_old)                                          \
			*(volatile __typeof__(*__cp) *)__cp = __c_new;          \
		__c_was;                                                        \
	})

#define arch_cmpxchg_local arch_cmpxchg
#define arch_cmpxchg64 arch_cmpxchg
#define arch_cmpxchg64_local arch_cmpxchg

#endif

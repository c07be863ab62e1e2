/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_LIB_SIGCONTEXT_H
#define _UAPI_ASM_LIB_SIGCONTEXT_H

#include <asm/ptrace.h>

/* Signal frames are never built: a library task runs no handlers. */
struct sigcontext {
	struct user_pt_regs regs;
};

#endif

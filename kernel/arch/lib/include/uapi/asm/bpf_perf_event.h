/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_LIB_BPF_PERF_EVENT_H
#define _UAPI_ASM_LIB_BPF_PERF_EVENT_H

#include <asm/ptrace.h>

#endif

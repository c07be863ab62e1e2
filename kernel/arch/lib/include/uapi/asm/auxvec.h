/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_LIB_AUXVEC_H
#define _UAPI_ASM_LIB_AUXVEC_H

/* No program is ever loaded: no auxiliary vector of our own. */
#define AT_VECTOR_SIZE_ARCH 0

#endif

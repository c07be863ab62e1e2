/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* Programs see the layout that x86-64 has: its own header, not a copy. */
#include "../../../../x86/include/uapi/asm/stat.h"

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the file of Linux's FAT that makes up short names (aliases) of long ones.
 * It is compiled with "-include" of this one (arch/lib/Makefile).
 *
 * After NAME~1 to NAME~9 Linux takes what "jiffies" happens to be as a number
 * that is likely to be free, as Windows takes a random one, and goes on in steps
 * of eleven, through the whole directory for each. Here many files are created
 * in one jiffy, under the virtual clock all of them: the next number is hardly
 * ever free, and a file more has to try as many as there are. So that file gets
 * numbers that are random indeed, from the kernel's seed where it has one.
 *
 * Nothing that may read jiffies must be included after this.
 */
#ifndef _ASM_LIB_FAT_ALIAS_H
#define _ASM_LIB_FAT_ALIAS_H

#include <linux/module.h>
#include <linux/ctype.h>
#include <linux/slab.h>
#include <linux/namei.h>
#include <linux/kernel.h>
#include <linux/iversion.h>
#include <linux/buffer_head.h>
#include <linux/nls.h>
#include <linux/hash.h>
#include <linux/ratelimit.h>
#include <linux/msdos_fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/jiffies.h>
#include <linux/random.h>

#define jiffies get_random_u32()

#endif

// SPDX-License-Identifier: GPL-2.0-only
/* The kernel log goes to the host, record by record, as /dev/kmsg shows it. */
#include <linux/console.h>
#include <linux/init.h>
#include <asm/lib.h>

static void lib_console_write(struct console *console, const char *text,
			      unsigned int bytes)
{
	lib_cpu.ops->console(lib_cpu.host, text, bytes);
}

static struct console lib_console = {
	.name = "host",
	.write = lib_console_write,
	.flags = CON_PRINTBUFFER | CON_ENABLED | CON_ANYTIME | CON_EXTENDED,
	.index = -1,
};

static int __init lib_console_init(void)
{
	register_console(&lib_console);
	return 0;
}
console_initcall(lib_console_init);

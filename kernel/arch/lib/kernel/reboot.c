// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways out for good. The fiber that gets here never goes on: the host
 * throws the whole kernel away.
 */
#include <linux/init.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
#include <linux/string.h>
#include <asm/lib.h>

static int lib_note_panic(struct notifier_block *block, unsigned long event,
			  void *message)
{
	lib_report_death(NULL);
	strscpy(lib_cpu.message, message, sizeof(lib_cpu.message));
	return NOTIFY_DONE;
}

static struct notifier_block lib_panic_block = {
	.notifier_call = lib_note_panic,
	.priority = INT_MAX,
};

/* Early, so that a panic of the boot is reported as well. */
void __init lib_watch_panics(void)
{
	atomic_notifier_chain_register(&panic_notifier_list, &lib_panic_block);
}

void __noreturn lib_stop(void)
{
	for (;;)
		lib_leave(lib_dying ? LL_EXIT_DEAD : LL_EXIT_HALT);
}

void machine_restart(char *command)
{
	lib_stop();
}

void machine_halt(void)
{
	lib_stop();
}

void machine_power_off(void)
{
	lib_stop();
}

void (*pm_power_off)(void);
EXPORT_SYMBOL(pm_power_off);

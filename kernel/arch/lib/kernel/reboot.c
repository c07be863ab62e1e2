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

static bool lib_panicked;

static int lib_note_panic(struct notifier_block *block, unsigned long event,
			  void *message)
{
	lib_panicked = true;
	strscpy(lib_cpu.message, message, sizeof(lib_cpu.message));
	return NOTIFY_DONE;
}

static struct notifier_block lib_panic_block = {
	.notifier_call = lib_note_panic,
	.priority = INT_MAX,
};

static int __init lib_reboot_init(void)
{
	atomic_notifier_chain_register(&panic_notifier_list, &lib_panic_block);
	return 0;
}
early_initcall(lib_reboot_init);

static void __noreturn lib_stop(void)
{
	for (;;)
		lib_leave(lib_panicked ? LL_EXIT_DEAD : LL_EXIT_HALT);
}

void machine_restart(char *command)
{
	/* panic() before early initcalls: the notifier is not there yet. */
	if (system_state < SYSTEM_RUNNING)
		lib_panicked = true;
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

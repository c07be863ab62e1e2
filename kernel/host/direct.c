// SPDX-License-Identifier: GPL-2.0-only
/* The kernels of this process as a table: host.h, with nothing added. */
#include "side.h"

static bool host_direct_gone(struct host_kernel *kernel)
{
	(void)kernel;
	return false;
}

static u64 host_direct_allocate(struct host_kernel *kernel, u64 bytes)
{
	(void)kernel;
	(void)bytes;
	return 0;
}

static void host_direct_free(struct host_kernel *kernel, u64 address)
{
	(void)kernel;
	(void)address;
}

static void host_direct_call(struct host_process *process, s64 nr,
			     const u64 args[6], const struct host_spans *spans,
			     struct host_result *result)
{
	(void)spans;
	host_process_call(process, nr, args, result);
}

static int host_direct_snapshot(struct host_kernel *kernel,
				struct host_snapshot **taken)
{
	return host_kernel_snapshot(kernel, NULL, taken);
}

static void host_direct_drop(struct host_kernel *kernel,
			     struct host_snapshot *snapshot)
{
	(void)kernel;
	host_snapshot_free(snapshot);
}

static int host_direct_injected(struct host_kernel *kernel,
				u64 counts[HOST_INJECTIONS])
{
	host_kernel_injected(kernel, counts);
	return 0;
}

const struct host_side host_direct = {
	.open = host_kernel_open,
	.close = host_kernel_close,
	.release = host_kernel_release,
	.syscalls = host_kernel_syscalls,
	.dead = host_kernel_dead,
	.report = host_kernel_report,
	.gone = host_direct_gone,
	.abort = host_kernel_abort,
	.init = host_kernel_init,
	.now = host_kernel_now,
	.text = host_kernel_text,
	.window = host_kernel_user_window,
	.log = host_kernel_log,
	.log_pending = host_kernel_log_pending,
	.statistics = host_kernel_statistics,
	.allocate = host_direct_allocate,
	.free = host_direct_free,
	.call = host_direct_call,
	.list = host_list,
	.walk = host_walk,
	.pid = host_process_pid,
	.spawn = host_process_spawn,
	.let_go = host_process_release,
	.switches = host_measure_switches,
	.attach_fd = host_disk_attach_fd,
	.attach_memory = host_disk_attach_memory,
	.attach_foreign = host_disk_attach_foreign,
	.detach = host_disk_detach,
	.index = host_disk_index,
	.bytes = host_disk_bytes,
	.changes = host_disk_changes,
	.resize = host_disk_resize,
	.undo_begin = host_disk_undo_begin,
	.undo_end = host_disk_undo_end,
	.forget = host_disk_forget,
	.snapshot = host_direct_snapshot,
	.restore = host_kernel_restore,
	.drop = host_direct_drop,
	.snapshot_bytes = host_snapshot_bytes,
	.inject = host_kernel_inject,
	.injected = host_direct_injected,
};

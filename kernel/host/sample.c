// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sampler: the same questions at equal steps of virtual time, asked by a
 * task that no thread has, and the answers kept until they are taken.
 *
 * A question is a message for a netlink socket of the kernel; its answer is all
 * that can be received there afterwards. Both are bytes to the host side.
 *
 * When the kernel is idle and the next thing that can happen in it is behind
 * the next sample, the runner stops the clock there first (host_run()). So a
 * sample sees the network as it is at that instant, whatever program waits in
 * whatever call, and the programs do not notice: no timer is set, nobody is
 * woken. Its calls are charged to the clock, as all are.
 *
 * To the kernel a sample is progress, and a wait that nothing can end is found
 * by there being none for hours. So a call that waits for as long is not sampled
 * any more.
 *
 * An answer that has to be waited for (another task may hold a lock of the
 * kernel's) leaves the sample incomplete; it is counted and forgotten.
 *
 * Only the runner samples. `lock` is for who takes the answers meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "runner.h"
#include "sample.h"

/* In front of an answer, whose bytes are padded to eight. */
struct host_answer {
	u64 time; /* ns, of the virtual clock */
	u32 question;
	u32 bytes;
};

struct host_sampler {
	struct host_kernel *kernel;
	pthread_mutex_t lock;
	struct host_task *task; /* NULL: to be made */
	struct host_wait wait;
	bool active;
	bool under_way; /* a call that did not end in its sample */
	bool stale; /* something of an earlier sample may still be received */
	u64 next, step;
	u32 nr_questions;
	struct host_question *questions; /* and their messages behind them */
	char *answers;
	u64 bytes, room, most;
	u64 last; /* where the last sample begins */
	u64 missed;
};

/* ---- calls ------------------------------------------------------------ */

/* -EINPROGRESS: it is not over yet. -EOWNERDEAD: the kernel is dead. */
static s64 host_sampler_call(struct host_sampler *sampler, s64 nr, int fd,
			     const void *memory, u64 bytes, u64 flags)
{
	struct host_wait *wait = &sampler->wait;
	u64 args[6] = { fd, (u64)memory, bytes, flags };

	host_fill(wait, sampler->task, nr, args,
		  HOST_CALL_UNINTERRUPTED | HOST_CALL_UNATTENDED);
	__atomic_store_n(&wait->state, WAIT_QUEUED, __ATOMIC_RELEASE);
	switch (host_run_aside(sampler->kernel, wait)) {
	case LL_EXIT_DONE:
		return wait->call.result;
	case LL_EXIT_IDLE:
		sampler->under_way = true;
		return -EINPROGRESS;
	default:
		return -EOWNERDEAD;
	}
}

static bool host_sampler_has_room(struct host_sampler *sampler, u64 bytes)
{
	u64 room = sampler->room ? sampler->room : SAMPLE_FIRST_BYTES;
	char *answers;

	while (room < sampler->bytes + bytes)
		room *= 2;
	if (room == sampler->room)
		return true;
	answers = room > sampler->most ? NULL : realloc(sampler->answers, room);
	if (!answers)
		return false;
	sampler->answers = answers;
	sampler->room = room;
	return true;
}

/* All that is there now, behind what was kept before. The number of bytes, or -errno. */
static s64 host_sampler_receive(struct host_sampler *sampler, int fd, u64 start)
{
	s64 got, bytes = 0;

	for (;;) {
		if (!host_sampler_has_room(sampler,
					   start - sampler->bytes + bytes +
						   SAMPLE_ANSWER_BYTES))
			return -ENOSPC;
		got = host_sampler_call(sampler, SYS_recvfrom, fd,
					sampler->answers + start + bytes,
					SAMPLE_ANSWER_BYTES, MSG_DONTWAIT);
		if (got == -EAGAIN)
			return bytes;
		if (got < 0)
			return got;
		bytes += got;
	}
}

static s64 host_sampler_ask(struct host_sampler *sampler, u32 number, u64 time)
{
	const struct host_question *question = &sampler->questions[number];
	struct host_answer answer = { .time = time, .question = number };
	u64 start = sampler->bytes + sizeof(answer);
	s64 result;

	if (sampler->stale) {
		result = host_sampler_receive(sampler, question->fd, start);
		if (result < 0)
			return result;
	}
	result = host_sampler_call(sampler, SYS_sendto, question->fd,
				   question->message, question->bytes,
				   MSG_DONTWAIT);
	if (result < 0)
		return result;
	result = host_sampler_receive(sampler, question->fd, start);
	if (result < 0)
		return result;
	answer.bytes = result;
	memcpy(sampler->answers + sampler->bytes, &answer, sizeof(answer));
	sampler->bytes = (start + result + 7) & ~7ULL;
	return 0;
}

/* ---- samples ---------------------------------------------------------- */

/* Can calls be made now? */
static bool host_sampler_is_ready(struct host_sampler *sampler)
{
	if (!sampler->task->task)
		return false; /* somebody has ended it */
	if (!sampler->under_way)
		return true;
	if (load(&sampler->wait.state) != WAIT_FINISHED)
		return false;
	sampler->under_way = false;
	return true;
}

static s64 host_sampler_go(struct host_sampler *sampler, u64 time)
{
	u64 before = sampler->bytes;
	s64 result = 0;
	u32 number;

	for (number = 0; number < sampler->nr_questions && !result; number++)
		result = host_sampler_ask(sampler, number, time);
	if (!result) {
		sampler->last = before;
		sampler->stale = false;
		return 0;
	}
	sampler->bytes = before;
	sampler->stale = true;
	sampler->missed++;
	if (result == -ENOSPC)
		sampler->active = false;
	return result;
}

enum host_sample host_sample(struct host_kernel *kernel, struct host_wait *wait)
{
	struct host_sampler *sampler = kernel->sampler;
	struct ll_cpu *cpu = kernel->cpu;
	struct ll_call *runner = cpu->runner;
	u64 time = sampler->next;
	s64 result = 0;

	if (!wait->sampled_since)
		wait->sampled_since = cpu->virtual_now;
	/* When nothing can ever happen, nor can anything be seen. */
	if (!__atomic_load_n(&sampler->active, __ATOMIC_RELAXED) ||
	    cpu->idle_until == LL_FOREVER || cpu->idle_until < time ||
	    cpu->virtual_now - wait->sampled_since > SAMPLE_PATIENCE_NS ||
	    load(&cpu->attention))
		return SAMPLE_NOTHING;
	pthread_mutex_lock(&sampler->lock);
	if (cpu->virtual_now < time)
		cpu->virtual_now = time;
	/* What has passed meanwhile, as in calls that were charged for, is not made up for. */
	while (sampler->next <= cpu->virtual_now)
		sampler->next += sampler->step;
	/* So that the end of the caller's own call, if it comes now, is noticed. */
	__atomic_store_n(&wait->state, WAIT_RUNNER, __ATOMIC_RELAXED);
	if (host_sampler_is_ready(sampler))
		result = host_sampler_go(sampler, time);
	else
		sampler->missed++;
	cpu->runner = runner;
	pthread_mutex_unlock(&sampler->lock);
	if (result == -EOWNERDEAD)
		return SAMPLE_DIED;
	return load(&wait->state) == WAIT_FINISHED ? SAMPLE_OVER : SAMPLE_TAKEN;
}

/* ---- beginning and ending --------------------------------------------- */

static struct host_sampler *host_sampler_of(struct host_kernel *kernel)
{
	struct host_sampler *sampler = kernel->sampler;

	if (!sampler) {
		sampler = calloc(1, sizeof(*sampler));
		if (!sampler)
			return NULL;
		sampler->kernel = kernel;
		pthread_mutex_init(&sampler->lock, NULL);
	}
	return sampler;
}

static int host_sampler_keep(struct host_sampler *sampler,
			     const struct host_question *questions, u32 count)
{
	struct host_question *kept;
	u64 bytes = count * sizeof(*kept);
	char *message;
	u32 number;

	for (number = 0; number < count; number++)
		bytes += questions[number].bytes;
	kept = malloc(bytes ? bytes : 1);
	if (!kept)
		return -ENOMEM;
	message = (char *)(kept + count);
	for (number = 0; number < count; number++) {
		kept[number] = questions[number];
		memcpy(message, questions[number].message,
		       questions[number].bytes);
		kept[number].message = message;
		message += questions[number].bytes;
	}
	free(sampler->questions);
	sampler->questions = kept;
	sampler->nr_questions = count;
	return 0;
}

int host_sampler_start(struct host_kernel *kernel, u64 first, u64 step,
		       u64 most, const struct host_question *questions,
		       u32 count)
{
	struct host_sampler *sampler = host_sampler_of(kernel);
	struct host_result result = { 0 };
	struct host_task *executor;
	int error;

	if (!sampler)
		return -ENOMEM;
	if (sampler->active || sampler->under_way)
		return -EBUSY;
	if (kernel->cpu->clock != LL_CLOCK_VIRTUAL || kernel->group || !step)
		return -EINVAL;
	if (!sampler->task) {
		executor = host_find_task(kernel->init, &result);
		if (executor)
			host_spawn_task(kernel, executor, LL_SPAWN_THREAD,
					HOST_CALL_UNINTERRUPTED, &sampler->task,
					&result);
		if (!sampler->task)
			return result.value < 0 ? result.value : -EAGAIN;
	}
	error = host_sampler_keep(sampler, questions, count);
	if (error)
		return error;
	sampler->next = first;
	sampler->step = step;
	sampler->most = most;
	sampler->missed = 0;
	sampler->stale = false;
	kernel->sampler = sampler;
	__atomic_store_n(&sampler->active, true, __ATOMIC_RELEASE);
	return 0;
}

u64 host_sampler_take(struct host_kernel *kernel, bool stop, void **answers,
		      u64 *missed, u64 *last)
{
	struct host_sampler *sampler = kernel->sampler;
	u64 bytes;

	*answers = NULL;
	*missed = *last = 0;
	if (!sampler)
		return 0;
	pthread_mutex_lock(&sampler->lock);
	*answers = sampler->answers;
	*missed = sampler->missed;
	*last = sampler->last;
	bytes = sampler->bytes;
	sampler->answers = NULL;
	sampler->bytes = sampler->room = sampler->missed = sampler->last = 0;
	if (stop)
		__atomic_store_n(&sampler->active, false, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&sampler->lock);
	return bytes;
}

bool host_sampler_is_active(struct host_kernel *kernel)
{
	return kernel->sampler &&
	       (kernel->sampler->active || kernel->sampler->under_way);
}

void host_sampler_restored(struct host_kernel *kernel)
{
	if (kernel->sampler)
		kernel->sampler->task = NULL;
}

void host_sampler_exit(struct host_kernel *kernel)
{
	struct host_sampler *sampler = kernel->sampler;

	if (!sampler)
		return;
	kernel->sampler = NULL;
	pthread_mutex_destroy(&sampler->lock);
	free(sampler->questions);
	free(sampler->answers);
	free(sampler);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The program that runs libslirp, which speaks for a network of its own to the
 * Internet and to this machine, by ordinary sockets and with no rights.
 *
 * It is a process of its own because libslirp does not survive all frames. Those
 * that a router would drop anyway do not come through the door (door.h); should it
 * die all the same, it is begun anew (keeper.h), a few times, and the end of this
 * program after that is to the kernel a cable that has been pulled out.
 *
 *	_slirp FRAMES CONTROL MTU LOOPBACK ADDRESSES4 [ADDRESSES6]
 *
 * FRAMES and CONTROL are sockets of packets. Ethernet frames come and go on the
 * one. On the other it says "ready", or what is wrong, and from then on answers
 * "forward udp|tcp ADDRESS PORT ADDRESS PORT" by an errno in digits; its end is the
 * end of the program. ADDRESSES are network/length,host,name server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "door.h"
#include "keeper.h"
#include "library.h"

#define SLIRP_FRAME_BYTES (128 << 10)
#define SLIRP_TEXT_BYTES 512
#define SLIRP_TIMERS 4
#define SLIRP_LONGEST_WAIT_MS 1000
/* Frames that are taken before its sockets are looked at again. */
#define SLIRP_BURST 64

struct slirp_timer {
	void (*function)(void *);
	void *argument;
	int64_t expires_ms; /* 0: not */
};

struct slirp {
	struct slirp_library library;
	struct slirp_config config;
	struct keeper *keeper;
	void *slirp;
	int frames, control;
	struct pollfd *fds;
	int nr_fds, room;
	bool failed; /* there was no memory for them */
	struct slirp_timer timers[SLIRP_TIMERS];
	unsigned char frame[SLIRP_FRAME_BYTES];
};

/* ---- what libslirp calls ---------------------------------------------- */

static ssize_t slirp_send(const void *frame, size_t bytes, void *opaque)
{
	struct slirp *slirp = opaque;

	/*
	 * The pump at the other end always reads; when it is gone so are we soon,
	 * and libslirp need not complain on the standard error.
	 */
	send(slirp->frames, frame, bytes, MSG_NOSIGNAL);
	return bytes;
}

/* What the network sends may be wrong; nothing follows from it. */
static void slirp_guest_error(const char *text, void *opaque)
{
	(void)text;
	(void)opaque;
}

static int64_t slirp_clock(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void *slirp_timer_new(void (*function)(void *), void *argument,
			     void *opaque)
{
	struct slirp *slirp = opaque;
	int at;

	for (at = 0; at < SLIRP_TIMERS; at++)
		if (!slirp->timers[at].function) {
			slirp->timers[at].function = function;
			slirp->timers[at].argument = argument;
			return &slirp->timers[at];
		}
	return NULL;
}

static void slirp_timer_free(void *timer, void *opaque)
{
	(void)opaque;
	memset(timer, 0, sizeof(struct slirp_timer));
}

static void slirp_timer_mod(void *timer, int64_t milliseconds, void *opaque)
{
	(void)opaque;
	((struct slirp_timer *)timer)->expires_ms = milliseconds;
}

/* All descriptors are asked for before every wait. */
static void slirp_register(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

/* It calls this on its own thread, which looks at everything afterwards. */
static void slirp_notify(void *opaque)
{
	(void)opaque;
}

static const struct slirp_callbacks slirp_callbacks = {
	.send_packet = slirp_send,
	.guest_error = slirp_guest_error,
	.clock_get_ns = slirp_clock,
	.timer_new = slirp_timer_new,
	.timer_free = slirp_timer_free,
	.timer_mod = slirp_timer_mod,
	.register_poll_fd = slirp_register,
	.unregister_poll_fd = slirp_register,
	.notify = slirp_notify,
};

/* ---- waiting ------------------------------------------------------- */

static int slirp_add_fd(int fd, int events, void *opaque)
{
	struct slirp *slirp = opaque;
	struct pollfd *fds = slirp->fds;
	short wanted = 0;

	if (slirp->nr_fds == slirp->room) {
		fds = realloc(fds, 2 * slirp->room * sizeof(*fds));
		if (!fds) {
			slirp->failed = true;
			return -1;
		}
		slirp->fds = fds;
		slirp->room *= 2;
	}
	if (events & SLIRP_POLL_IN)
		wanted |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		wanted |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		wanted |= POLLPRI;
	fds[slirp->nr_fds] = (struct pollfd){ .fd = fd, .events = wanted };
	return slirp->nr_fds++;
}

static int slirp_look(int index, void *opaque)
{
	struct slirp *slirp = opaque;
	short found = index < 0 ? 0 : slirp->fds[index].revents;
	int events = 0;

	/*
	 * It takes an error for something to be read, and asserts that there is
	 * room for that, which there may not be where it only wants to write: then
	 * let it find the error by writing.
	 */
	if (index >= 0 && found && !(slirp->fds[index].events & POLLIN))
		return SLIRP_POLL_OUT;
	if (found & POLLIN)
		events |= SLIRP_POLL_IN;
	if (found & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (found & POLLPRI)
		events |= SLIRP_POLL_PRI;
	if (found & POLLERR)
		events |= SLIRP_POLL_ERR;
	if (found & POLLHUP)
		events |= SLIRP_POLL_HUP;
	return events;
}

static void slirp_run_timers(struct slirp *slirp)
{
	int64_t now = slirp_clock(slirp) / 1000000;
	struct slirp_timer *timer;
	int at;

	for (at = 0; at < SLIRP_TIMERS; at++) {
		timer = &slirp->timers[at];
		if (timer->function && timer->expires_ms &&
		    timer->expires_ms <= now) {
			timer->expires_ms = 0;
			timer->function(timer->argument);
		}
	}
}

static void slirp_take_frames(struct slirp *slirp)
{
	int64_t now = slirp_clock(slirp) / 1000000;
	struct door_frame frame;
	int burst;

	for (burst = 0; burst < SLIRP_BURST; burst++) {
		frame.data = slirp->frame;
		frame.bytes = recv(slirp->frames, slirp->frame,
				   SLIRP_FRAME_BYTES, MSG_DONTWAIT);
		if (frame.bytes <= 0)
			break;
		keeper_step();
		if (door_pass(&slirp->config, &frame, now))
			slirp->library.input(slirp->slirp, frame.data,
					     frame.bytes);
	}
}

/* ---- what is wanted of it ---------------------------------------------- */

static void slirp_say(struct slirp *slirp, const char *text)
{
	/* If nobody hears it there is nobody to tell. */
	if (send(slirp->control, text, strlen(text), MSG_NOSIGNAL) < 0)
		exit(1);
}

static int slirp_open(struct slirp *slirp, const struct keeper_forward *to)
{
	errno = 0;
	if (!slirp->library.forward(slirp->slirp, to->udp, to->host,
				    to->host_port, to->guest, to->guest_port))
		return 0;
	return errno ? errno : EADDRINUSE;
}

static int slirp_forward(struct slirp *slirp, const char *request)
{
	struct keeper *keeper = slirp->keeper;
	char protocol[4], here[64], there[64];
	struct keeper_forward to;
	int error;

	if (sscanf(request, "forward %3s %63s %d %63s %d", protocol, here,
		   &to.host_port, there, &to.guest_port) != 5 ||
	    !inet_aton(here, &to.host) || !inet_aton(there, &to.guest))
		return EINVAL;
	if (keeper->nr_forwards == KEEPER_FORWARDS)
		return ENOSPC;
	to.udp = !strcmp(protocol, "udp");
	error = slirp_open(slirp, &to);
	if (!error)
		keeper->forwards[keeper->nr_forwards++] = to;
	return error;
}

/* What another life has opened; a port that is taken meanwhile stays closed. */
static void slirp_forward_again(struct slirp *slirp)
{
	int at;

	for (at = 0; at < slirp->keeper->nr_forwards; at++)
		slirp_open(slirp, &slirp->keeper->forwards[at]);
}

/* False when the other side is gone. */
static bool slirp_serve(struct slirp *slirp)
{
	char text[SLIRP_TEXT_BYTES];
	ssize_t bytes =
		recv(slirp->control, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (bytes < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!bytes)
		return false;
	text[bytes] = 0;
	snprintf(text, sizeof(text), "%d", slirp_forward(slirp, text));
	slirp_say(slirp, text);
	return true;
}

static void slirp_loop(struct slirp *slirp)
{
	int count;

	do {
		uint32_t timeout = SLIRP_LONGEST_WAIT_MS;

		keeper_step();
		slirp->nr_fds = 0;
		slirp->failed = false;
		slirp_add_fd(slirp->frames, SLIRP_POLL_IN, slirp);
		slirp_add_fd(slirp->control, SLIRP_POLL_IN, slirp);
		slirp->library.fill(slirp->slirp, &timeout, slirp_add_fd,
				    slirp);
		count = poll(slirp->fds, slirp->nr_fds, (int)timeout);
		slirp->library.poll(slirp->slirp, count < 0 || slirp->failed,
				    slirp_look, slirp);
		slirp_run_timers(slirp);
		slirp_take_frames(slirp);
	} while (slirp_serve(slirp));
}

/* ---- the beginning ------------------------------------------------------ */

static const char *slirp_find(struct slirp_library *library)
{
	const struct {
		const char *name;
		void **place;
	} functions[] = {
		{ "slirp_new", (void **)&library->create },
		{ "slirp_pollfds_fill", (void **)&library->fill },
		{ "slirp_pollfds_poll", (void **)&library->poll },
		{ "slirp_input", (void **)&library->input },
		{ "slirp_add_hostfwd", (void **)&library->forward },
	};
	size_t at;

	library->handle = dlopen(SLIRP_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library->handle)
		return dlerror();
	for (at = 0; at < sizeof(functions) / sizeof(functions[0]); at++) {
		*functions[at].place =
			dlsym(library->handle, functions[at].name);
		if (!*functions[at].place)
			return dlerror();
	}
	return NULL;
}

static bool slirp_addresses4(const char *text, struct slirp_config *config)
{
	char network[64], host[64], server[64];
	int length;

	config->in_enabled = true;
	if (sscanf(text, "%63[^/]/%d,%63[^,],%63s", network, &length, host,
		   server) != 4 ||
	    length < 1 || length > 31)
		return false;
	config->vnetmask.s_addr = htonl(~0U << (32 - length));
	return inet_aton(network, &config->vnetwork) &&
	       inet_aton(host, &config->vhost) &&
	       inet_aton(server, &config->vnameserver);
}

static bool slirp_addresses6(const char *text, struct slirp_config *config)
{
	char network[64], host[64], server[64];
	int length;

	config->in6_enabled = true;
	if (sscanf(text, "%63[^/]/%d,%63[^,],%63s", network, &length, host,
		   server) != 4)
		return false;
	config->vprefix_len = length;
	return inet_pton(AF_INET6, network, &config->vprefix_addr6) == 1 &&
	       inet_pton(AF_INET6, host, &config->vhost6) == 1 &&
	       inet_pton(AF_INET6, server, &config->vnameserver6) == 1;
}

static bool slirp_configure(int argc, char **argv, struct slirp_config *config)
{
	if (argc != 6 && argc != 7)
		return false;
	config->version = SLIRP_CONFIG_VERSION;
	config->if_mtu = config->if_mru = atoi(argv[3]);
	config->disable_host_loopback = !atoi(argv[4]);
	return slirp_addresses4(argv[5], config) &&
	       (argc == 6 || slirp_addresses6(argv[6], config));
}

/* It needs nothing, and ends with its parent, also with a killed one. */
static void slirp_settle(void)
{
	struct rlimit files;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	signal(SIGINT, SIG_IGN); /* which is for the parent */
	/* libslirp writes to sockets that others have closed. */
	signal(SIGPIPE, SIG_IGN);
	/* Every flow of UDP is a socket, for minutes. */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static const char *slirp_begin(struct slirp *slirp)
{
	const char *text;

	slirp->fds = calloc(slirp->room, sizeof(*slirp->fds));
	if (!slirp->fds)
		return "no memory";
	text = slirp_find(&slirp->library);
	if (text)
		return text;
	slirp->slirp = slirp->library.create(&slirp->config, &slirp_callbacks,
					     slirp);
	return slirp->slirp ? NULL : "libslirp did not begin";
}

int main(int argc, char **argv)
{
	static struct slirp slirp = { .room = 64 };
	const char *text;

	slirp_settle();
	if (!slirp_configure(argc, argv, &slirp.config)) {
		fprintf(stderr, "this program is begun by liblinux\n");
		return 2;
	}
	slirp.frames = atoi(argv[1]);
	slirp.control = atoi(argv[2]);
	slirp.keeper = keeper_begin();
	text = slirp.keeper ? slirp_begin(&slirp) : "no memory";
	if (text) {
		slirp_say(&slirp, text);
		return 1;
	}
	if (!slirp.keeper->ready)
		slirp_say(&slirp, "ready");
	slirp.keeper->ready = true;
	slirp_forward_again(&slirp);
	slirp_loop(&slirp);
	return 0;
}

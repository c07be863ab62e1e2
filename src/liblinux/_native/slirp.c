// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slirp: a thread that runs libslirp, which speaks for a network of its own to
 * the Internet and to this machine, by ordinary sockets and with no rights.
 *
 * Frames for the network go straight into its TAP device; those from it come on a
 * socket of packets, into which a pump writes, since this thread waits for sockets.
 * All functions of an instance are called on its thread, or before it begins;
 * what others want of it is put down under `lock`, and it is roused.
 */
#include "native.h"
#include "slirp.h"
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLIRP_FRAME_BYTES (128 << 10)
#define SLIRP_TIMERS 4
#define SLIRP_LONGEST_WAIT_MS 1000
/* Frames that are taken before its sockets are looked at again. */
#define SLIRP_BURST 64

struct native_timer {
	void (*function)(void *);
	void *argument;
	int64_t expires_ms; /* 0: not */
};

/* A port of this machine that leads to one of the network. */
struct native_forward {
	int udp, host_port, guest_port, result;
	struct in_addr host_address, guest_address;
	bool done;
};

struct native_slirp {
	PyObject_HEAD struct slirp_library library;
	void *slirp;
	struct native_process *process; /* that has the TAP device */
	int tap;
	uint64_t frames, bytes, dropped;
	pthread_t thread;
	bool running, stopping;
	int fd; /* where frames come from; ours */
	int event; /* rouses the thread */
	unsigned char *frame;
	struct pollfd *fds;
	int nr_fds, room;
	bool failed; /* there was no memory for them */
	struct native_timer timers[SLIRP_TIMERS];
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct native_forward *wanted;
};

/* ---- what libslirp calls ---------------------------------------------- */

static ssize_t slirp_send(const void *frame, size_t bytes, void *opaque)
{
	struct native_slirp *slirp = opaque;

	if (host_pump_put(slirp->process->host, slirp->tap, frame, bytes)) {
		__atomic_fetch_add(&slirp->dropped, 1, __ATOMIC_RELAXED);
		return -1;
	}
	__atomic_fetch_add(&slirp->frames, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&slirp->bytes, bytes, __ATOMIC_RELAXED);
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
	struct native_slirp *slirp = opaque;
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
	memset(timer, 0, sizeof(struct native_timer));
}

static void slirp_timer_mod(void *timer, int64_t milliseconds, void *opaque)
{
	(void)opaque;
	((struct native_timer *)timer)->expires_ms = milliseconds;
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

/* ---- its thread ------------------------------------------------------- */

static int slirp_add_fd(int fd, int events, void *opaque)
{
	struct native_slirp *slirp = opaque;
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
	struct native_slirp *slirp = opaque;
	short found = index < 0 ? 0 : slirp->fds[index].revents;
	int events = 0;

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

static void slirp_run_timers(struct native_slirp *slirp)
{
	int64_t now = slirp_clock(slirp) / 1000000;
	struct native_timer *timer;
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

static void slirp_take_frames(struct native_slirp *slirp)
{
	ssize_t bytes;
	int burst;

	for (burst = 0; burst < SLIRP_BURST; burst++) {
		bytes = recv(slirp->fd, slirp->frame, SLIRP_FRAME_BYTES,
			     MSG_DONTWAIT);
		if (bytes <= 0)
			break;
		slirp->library.input(slirp->slirp, slirp->frame, bytes);
	}
}

static void slirp_answer(struct native_slirp *slirp)
{
	struct native_forward *wanted;
	uint64_t count;

	if (read(slirp->event, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&slirp->lock);
	wanted = slirp->wanted;
	if (wanted && !wanted->done) {
		errno = 0;
		wanted->result = slirp->library.forward(
			slirp->slirp, wanted->udp, wanted->host_address,
			wanted->host_port, wanted->guest_address,
			wanted->guest_port);
		if (wanted->result)
			wanted->result = errno ? -errno : -EADDRINUSE;
		wanted->done = true;
		pthread_cond_broadcast(&slirp->answered);
	}
	pthread_mutex_unlock(&slirp->lock);
}

static void *slirp_main(void *argument)
{
	struct native_slirp *slirp = argument;
	int count;

	while (!__atomic_load_n(&slirp->stopping, __ATOMIC_ACQUIRE)) {
		uint32_t timeout = SLIRP_LONGEST_WAIT_MS;

		slirp->nr_fds = 0;
		slirp->failed = false;
		slirp_add_fd(slirp->fd, SLIRP_POLL_IN, slirp);
		slirp_add_fd(slirp->event, SLIRP_POLL_IN, slirp);
		slirp->library.fill(slirp->slirp, &timeout, slirp_add_fd,
				    slirp);
		count = poll(slirp->fds, slirp->nr_fds, (int)timeout);
		slirp->library.poll(slirp->slirp, count < 0 || slirp->failed,
				    slirp_look, slirp);
		slirp_run_timers(slirp);
		slirp_take_frames(slirp);
		slirp_answer(slirp);
	}
	return NULL;
}

/* ---- the object ------------------------------------------------------- */

static bool slirp_find(struct slirp_library *library)
{
	const struct {
		const char *name;
		void **place;
	} functions[] = {
		{ "slirp_new", (void **)&library->create },
		{ "slirp_cleanup", (void **)&library->cleanup },
		{ "slirp_pollfds_fill", (void **)&library->fill },
		{ "slirp_pollfds_poll", (void **)&library->poll },
		{ "slirp_input", (void **)&library->input },
		{ "slirp_add_hostfwd", (void **)&library->forward },
	};
	size_t at;

	library->handle = dlopen(SLIRP_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library->handle) {
		PyErr_Format(PyExc_FileNotFoundError,
			     "the way to the Internet is libslirp, which is not "
			     "there (%s); install it: apt-get install libslirp0",
			     dlerror());
		return false;
	}
	for (at = 0; at < sizeof(functions) / sizeof(functions[0]); at++) {
		*functions[at].place =
			dlsym(library->handle, functions[at].name);
		if (!*functions[at].place) {
			PyErr_Format(PyExc_ImportError,
				     SLIRP_LIBRARY " has no %s; version 4.1 "
						   "or later is needed",
				     functions[at].name);
			return false;
		}
	}
	return true;
}

static bool slirp_bytes(const Py_buffer *from, void *to, size_t bytes)
{
	if (from->len != (Py_ssize_t)bytes) {
		PyErr_Format(PyExc_ValueError,
			     "a packed address has %zu bytes, not %zd", bytes,
			     from->len);
		return false;
	}
	memcpy(to, from->buf, bytes);
	return true;
}

enum { SLIRP_ADDRESSES_4 = 4, SLIRP_ADDRESSES = 7 };

static bool slirp_configure(PyObject *args, struct slirp_config *config,
			    int *fd)
{
	Py_buffer packed[SLIRP_ADDRESSES] = { 0 };
	void *places[SLIRP_ADDRESSES] = {
		&config->vnetwork,    &config->vnetmask,      &config->vhost,
		&config->vnameserver, &config->vprefix_addr6, &config->vhost6,
		&config->vnameserver6
	};
	unsigned char prefix;
	Py_ssize_t mtu;
	bool right = true;
	int loopback, at;

	if (!PyArg_ParseTuple(args, "iny*y*y*y*y*by*y*p:Slirp", fd, &mtu,
			      &packed[0], &packed[1], &packed[2], &packed[3],
			      &packed[4], &prefix, &packed[5], &packed[6],
			      &loopback))
		return false;
	for (at = 0; at < SLIRP_ADDRESSES; at++) {
		size_t bytes = at < SLIRP_ADDRESSES_4 ? 4 : 16;

		/* No network of IPv6 is an empty one. */
		if (right && (at < SLIRP_ADDRESSES_4 || packed[4].len))
			right = slirp_bytes(&packed[at], places[at], bytes);
	}
	config->version = SLIRP_CONFIG_VERSION;
	config->in_enabled = true;
	config->in6_enabled = packed[4].len > 0;
	config->vprefix_len = prefix;
	config->if_mtu = config->if_mru = mtu;
	config->disable_host_loopback = !loopback;
	for (at = 0; at < SLIRP_ADDRESSES; at++)
		PyBuffer_Release(&packed[at]);
	return right;
}

static int slirp_begin(struct native_slirp *slirp)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	/* But for those that say that the thread itself has done something. */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&slirp->thread, NULL, slirp_main, slirp);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	slirp->running = !error;
	return error;
}

static int native_slirp_init(PyObject *self, PyObject *args, PyObject *keywords)
{
	struct native_slirp *slirp = (struct native_slirp *)self;
	struct slirp_config config = { 0 };
	int fd, error = ENOMEM; /* which is all that may be missing */

	if (slirp->room || (keywords && PyDict_GET_SIZE(keywords))) {
		PyErr_SetString(PyExc_TypeError,
				"Slirp() is one thread, and takes no keywords");
		return -1;
	}
	slirp->fd = slirp->event = -1;
	slirp->room = 64;
	pthread_mutex_init(&slirp->lock, NULL);
	pthread_cond_init(&slirp->answered, NULL);
	if (!slirp_configure(args, &config, &fd) || !slirp_find(&slirp->library))
		return -1;
	slirp->fds = calloc(slirp->room, sizeof(*slirp->fds));
	slirp->frame = malloc(SLIRP_FRAME_BYTES);
	slirp->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	slirp->fd = dup(fd);
	if (slirp->fds && slirp->frame && slirp->event >= 0 && slirp->fd >= 0)
		slirp->slirp = slirp->library.create(&config, &slirp_callbacks,
						     slirp);
	if (slirp->slirp)
		return 0;
	errno = error;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

static PyObject *native_slirp_start(PyObject *self, PyObject *args)
{
	struct native_slirp *slirp = (struct native_slirp *)self;
	struct native_process *process;
	int error;

	if (!PyArg_ParseTuple(args, "O!i:start",
			      native_module_of(self)->process_type, &process,
			      &slirp->tap))
		return NULL;
	if (slirp->process) {
		PyErr_SetString(PyExc_RuntimeError, "it has been started");
		return NULL;
	}
	if (!native_check_process(process))
		return NULL;
	slirp->process =
		(struct native_process *)Py_NewRef((PyObject *)process);
	error = slirp_begin(slirp);
	if (!native_check_code(NULL, -error))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *native_slirp_statistics(PyObject *self, PyObject *unused)
{
	struct native_slirp *slirp = (struct native_slirp *)self;

	(void)unused;
	return Py_BuildValue("KKKi",
			     __atomic_load_n(&slirp->frames, __ATOMIC_RELAXED),
			     __atomic_load_n(&slirp->bytes, __ATOMIC_RELAXED),
			     __atomic_load_n(&slirp->dropped, __ATOMIC_RELAXED),
			     0);
}

static void slirp_rouse(struct native_slirp *slirp)
{
	uint64_t one = 1;

	/* Full, it has been roused already. */
	if (write(slirp->event, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

static PyObject *native_slirp_stop(PyObject *self, PyObject *unused)
{
	struct native_slirp *slirp = (struct native_slirp *)self;
	PyThreadState *thread;

	(void)unused;
	if (slirp->running) {
		slirp->running = false;
		__atomic_store_n(&slirp->stopping, true, __ATOMIC_RELEASE);
		thread = PyEval_SaveThread();
		slirp_rouse(slirp);
		pthread_join(slirp->thread, NULL);
		PyEval_RestoreThread(thread);
	}
	Py_RETURN_NONE;
}

static PyObject *native_slirp_forward(PyObject *self, PyObject *args)
{
	struct native_slirp *slirp = (struct native_slirp *)self;
	struct native_forward wanted = { 0 };
	Py_buffer host, guest;
	PyThreadState *thread;
	bool right;

	if (!PyArg_ParseTuple(args, "py*iy*i:forward", &wanted.udp, &host,
			      &wanted.host_port, &guest, &wanted.guest_port))
		return NULL;
	right = slirp_bytes(&host, &wanted.host_address, 4) &&
		slirp_bytes(&guest, &wanted.guest_address, 4);
	PyBuffer_Release(&host);
	PyBuffer_Release(&guest);
	if (!right)
		return NULL;
	if (!slirp->running) {
		PyErr_SetString(PyExc_ValueError, "it has been stopped");
		return NULL;
	}
	thread = PyEval_SaveThread();
	pthread_mutex_lock(&slirp->lock);
	while (slirp->wanted)
		pthread_cond_wait(&slirp->answered, &slirp->lock);
	slirp->wanted = &wanted;
	slirp_rouse(slirp);
	while (!wanted.done)
		pthread_cond_wait(&slirp->answered, &slirp->lock);
	slirp->wanted = NULL;
	pthread_cond_broadcast(&slirp->answered);
	pthread_mutex_unlock(&slirp->lock);
	PyEval_RestoreThread(thread);
	if (!native_check_code(NULL, wanted.result))
		return NULL;
	Py_RETURN_NONE;
}

static void native_slirp_free(PyObject *self)
{
	struct native_slirp *slirp = (struct native_slirp *)self;

	PyObject_GC_UnTrack(self);
	Py_XDECREF(native_slirp_stop(self, NULL));
	if (slirp->slirp)
		slirp->library.cleanup(slirp->slirp);
	if (slirp->room && slirp->fd >= 0)
		close(slirp->fd);
	if (slirp->room && slirp->event >= 0)
		close(slirp->event);
	Py_CLEAR(slirp->process);
	/* The library stays: unloading code is trouble, and a second one wants it. */
	free(slirp->fds);
	free(slirp->frame);
	native_free(self);
}

static int native_slirp_visit(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct native_slirp *)self)->process);
	return 0;
}

static PyMethodDef native_slirp_methods[] = {
	{ "forward", native_slirp_forward, METH_VARARGS,
	  "forward(udp, host_address, host_port, guest_address, guest_port, /)\n--\n\nLet a port of this machine lead to one of the network." },
	{ "start", native_slirp_start, METH_VARARGS,
	  "start(process, tap, /)\n--\n\nBegin, with a TAP device of a process." },
	{ "statistics", native_slirp_statistics, METH_NOARGS,
	  "statistics()\n--\n\nOf frames to the network, as of Pump." },
	{ "stop", native_slirp_stop, METH_NOARGS,
	  "stop()\n--\n\nEnd it and wait for its end. Twice does nothing." },
	{ 0 },
};

static PyType_Slot native_slirp_slots[] = {
	{ Py_tp_doc, "libslirp, on a thread of its own." },
	{ Py_tp_init, native_slirp_init },
	{ Py_tp_dealloc, native_slirp_free },
	{ Py_tp_traverse, native_slirp_visit },
	{ Py_tp_methods, native_slirp_methods },
	{ 0 },
};

PyType_Spec native_slirp_spec = {
	.name = "liblinux._native.Slirp",
	.basicsize = sizeof(struct native_slirp),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.slots = native_slirp_slots,
};

// SPDX-License-Identifier: GPL-2.0-only
/*
 * survey() and copy() of the module: trees of the host or of a kernel, walked
 * and copied (kernel/host/copy.h) without the GIL and without Python objects
 * for what is in them. An end is a Process, or None for the host.
 *
 * With isolated kernels: what a listing says is checked when it is made
 * (walk.c), names by the copy itself.
 */
#include "copy.h"
#include "listing.h"

/* `given` is a Process or None; false with an exception. */
static bool native_end(PyObject *module, PyObject *given, struct host_end *end,
		       struct native_process **process)
{
	struct native_module *state = PyModule_GetState(module);

	*process = NULL;
	if (given == Py_None)
		return true;
	if (!Py_IS_TYPE(given, state->process_type)) {
		PyErr_Format(PyExc_TypeError,
			     "an end is a Process or None, not %.100s",
			     Py_TYPE(given)->tp_name);
		return false;
	}
	*process = (struct native_process *)given;
	if (!native_check_process(*process))
		return false;
	end->side = (*process)->kernel->side;
	end->process = (*process)->host;
	return true;
}

/* ---- survey ---------------------------------------------------------- */

static void native_survey_run(struct native_process *process, const char *path,
			      struct host_walk *walk)
{
	struct native_crossing crossing;

	if (process) {
		native_enter(process->kernel, &crossing);
		process->kernel->side->walk(process->host, path, walk);
		native_leave(process->kernel, &crossing);
	} else {
		Py_BEGIN_ALLOW_THREADS host_walk(NULL, path, walk);
		Py_END_ALLOW_THREADS
	}
}

PyObject *native_survey(PyObject *module, PyObject *args)
{
	struct native_module *state = PyModule_GetState(module);
	struct native_patience patience = { 0 };
	struct host_walk walk = { .stop = native_stop,
				  .stop_argument = &patience,
				  .with_top = true };
	struct native_process *process;
	struct host_end end = { 0 };
	PyObject *given, *answer = NULL;
	const char *path;
	int follow_mounts;
	unsigned long long most;

	if (!PyArg_ParseTuple(args, "OypK:survey", &given, &path,
			      &follow_mounts, &most) ||
	    !native_end(module, given, &end, &process))
		return NULL;
	walk.follow_mounts = follow_mounts;
	walk.most = most;
	native_survey_run(process, path, &walk);
	if (native_walk_came(process ? process->kernel : NULL, &walk))
		answer = native_walk_answer(state, &walk);
	host_walk_free(&walk);
	return answer;
}

/* ---- copy ------------------------------------------------------------ */

/* Buffers of the caller, for as long as the copy runs. */
struct native_copy_buffers {
	Py_buffer notes, indices, links, counter;
};

static void native_copy_release(struct native_copy_buffers *buffers)
{
	Py_buffer *all = &buffers->notes;

	for (size_t at = 0; at < sizeof(*buffers) / sizeof(*all); at++)
		PyBuffer_Release(&all[at]);
}

/* Are all sizes what the copy will use? */
static bool native_copy_check(struct host_copy *copy,
			      struct native_copy_buffers *buffers)
{
	size_t count = (size_t)buffers->indices.len / sizeof(s64);

	copy->notes = buffers->notes.buf;
	copy->indices = buffers->indices.buf;
	copy->links = buffers->links.len ? buffers->links.buf : NULL;
	copy->counter = buffers->counter.buf;
	copy->count = count;
	if ((size_t)buffers->notes.len !=
		    copy->nr_entries * sizeof(struct host_copy_note) ||
	    (size_t)buffers->counter.len != sizeof(u64) ||
	    (copy->links && buffers->links.len != buffers->indices.len)) {
		PyErr_SetString(PyExc_ValueError,
				"a buffer of copy() has the wrong size");
		return false;
	}
	for (size_t at = 0; at < count; at++)
		if ((u64)copy->indices[at] >= copy->nr_entries) {
			PyErr_SetString(PyExc_IndexError,
					"there is no such entry");
			return false;
		}
	return true;
}

static void native_copy_run(struct native_process *from,
			    struct native_process *to, struct host_copy *copy)
{
	PyThreadState *thread;

	if (from)
		from->kernel->inside++;
	if (to)
		to->kernel->inside++;
	thread = PyEval_SaveThread();
	host_copy_run(copy);
	PyEval_RestoreThread(thread);
	if (from)
		from->kernel->inside--;
	if (to)
		to->kernel->inside--;
}

static const char *native_array(const struct host_array *array)
{
	return array->data ? array->data : "";
}

static PyObject *native_copy_answer(struct native_process *from,
				    struct native_process *to,
				    struct host_copy *copy)
{
	if (!native_check(from ? from->kernel : NULL, &copy->from.end.result) ||
	    !native_check(to ? to->kernel : NULL, &copy->to.end.result))
		return NULL;
	if (copy->out_of_memory)
		return PyErr_NoMemory();
	return Py_BuildValue("niy#y#", (Py_ssize_t)copy->done, copy->fatal,
			     native_array(&copy->problems),
			     (Py_ssize_t)copy->problems.bytes,
			     native_array(&copy->texts),
			     (Py_ssize_t)copy->texts.bytes);
}

PyObject *native_copy(PyObject *module, PyObject *args)
{
	struct native_patience patience = { 0 };
	struct host_copy copy = { .stop = native_stop,
				  .stop_argument = &patience };
	struct native_copy_buffers buffers = { 0 };
	struct native_process *from, *to;
	PyObject *listing, *from_given, *to_given, *answer = NULL;
	int pass, sparse, existing, exact;
	unsigned long long most;

	if (!PyArg_ParseTuple(args, "O(Oiyyi)(Oiyyi)w*y*y*w*(iIIiipKLy):copy",
			      &listing, &from_given, &copy.from.dir,
			      &copy.from.dir_path, &copy.from.name,
			      &copy.from.top, &to_given, &copy.to.dir,
			      &copy.to.dir_path, &copy.to.name, &copy.to.top,
			      &buffers.notes, &buffers.indices, &buffers.links,
			      &buffers.counter, &pass, &copy.keep,
			      &copy.mode_mask, &sparse, &existing, &exact,
			      &most, &copy.newest, &copy.temporary))
		return NULL;
	copy.pass = (enum host_copy_pass)pass;
	copy.sparse = (enum host_copy_sparse)sparse;
	copy.existing = (enum host_copy_existing)existing;
	copy.exact = exact;
	copy.most = most;
	if (native_end(module, from_given, &copy.from.end, &from) &&
	    native_end(module, to_given, &copy.to.end, &to) &&
	    native_listing_parts(module, listing, &copy.entries,
				 &copy.nr_entries, &copy.paths) &&
	    native_copy_check(&copy, &buffers)) {
		native_copy_run(from, to, &copy);
		answer = native_copy_answer(from, to, &copy);
	}
	host_copy_free(&copy);
	native_copy_release(&buffers);
	return answer;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks, and what they are made of.
 *
 * A backing is what the kernel holds on to: a descriptor, a buffer or a Python
 * object. It belongs to the Kernel and lives until the disk is detached or the
 * kernel closed, whether or not somebody still has the Disk object.
 */
#include "backing.h"
#include <fcntl.h>
#include <unistd.h>

/* ---- backings -------------------------------------------------------- */

static void native_backing_free(struct native_backing *backing)
{
	struct native_disk *disk = backing->disk;

	if (disk) {
		disk->backing = NULL;
		Py_XSETREF(disk->error, Py_XNewRef(backing->error));
	}
	if (backing->fd >= 0)
		close(backing->fd);
	if (backing->buffer.obj)
		PyBuffer_Release(&backing->buffer);
	Py_CLEAR(backing->object);
	Py_CLEAR(backing->error);
	PyMem_Free(backing);
}

void native_backings_free(struct native_kernel *kernel)
{
	while (kernel->backings) {
		struct native_backing *backing = kernel->backings;

		kernel->backings = backing->next;
		native_backing_free(backing);
	}
}

int native_backings_visit(struct native_kernel *kernel, visitproc visit,
			  void *arg)
{
	for (struct native_backing *backing = kernel->backings; backing;
	     backing = backing->next) {
		Py_VISIT(backing->buffer.obj);
		Py_VISIT(backing->object);
		Py_VISIT(backing->error);
	}
	return 0;
}

PyObject *native_backings_take_error(struct native_kernel *kernel)
{
	struct native_backing *found = NULL;
	PyObject *error;

	for (struct native_backing *backing = kernel->backings; backing;
	     backing = backing->next)
		if (backing->error)
			found = backing;
	if (!found)
		return NULL;
	error = found->error;
	found->error = NULL;
	return error;
}

static void native_backing_remove(struct native_kernel *kernel,
				  struct native_backing *backing)
{
	struct native_backing **link = &kernel->backings;

	while (*link && *link != backing)
		link = &(*link)->next;
	if (*link)
		*link = backing->next;
	native_backing_free(backing);
}

static struct native_backing *native_backing_new(struct native_kernel *kernel)
{
	struct native_backing *backing;

	if (!native_check_open(kernel))
		return NULL;
	backing = PyMem_Calloc(1, sizeof(*backing));
	if (!backing) {
		PyErr_NoMemory();
		return NULL;
	}
	backing->fd = -1;
	backing->next = kernel->backings;
	kernel->backings = backing;
	return backing;
}

/* ---- attaching ------------------------------------------------------- */

struct native_attachment {
	u64 size;
	unsigned int sector;
	int readonly, overlay; /* -1 when absent */
	int rotating, discard;
};

/* "|$" makes keywords optional; these two are not. */
static bool native_check_attachment(const struct native_attachment *what)
{
	if (what->readonly >= 0 && what->overlay >= 0)
		return true;
	PyErr_SetString(PyExc_TypeError,
			"readonly and overlay of a disk must be given");
	return false;
}

static int native_attach_host(const struct host_side *side,
			      struct host_kernel *host,
			      struct native_backing *backing,
			      const struct native_attachment *what)
{
	u32 flags = (what->readonly ? HOST_DISK_READONLY : 0) |
		    (what->overlay ? HOST_DISK_OVERLAY : 0) |
		    (what->rotating ? HOST_DISK_ROTATING : 0) |
		    (what->discard ? HOST_DISK_DISCARD : 0);

	if (backing->fd >= 0)
		return side->attach_fd(host, backing->fd, what->size,
				       what->sector, flags, &backing->host);
	if (backing->buffer.obj)
		return side->attach_memory(host, backing->buffer.buf,
					   what->size, what->sector, flags,
					   &backing->host);
	return side->attach_foreign(host, backing, what->size, what->sector,
				    flags, &backing->host);
}

/* The Disk object of a backing that has all but its host's disk. */
static PyObject *native_attach(struct native_kernel *kernel,
			       struct native_backing *backing,
			       const struct native_attachment *what)
{
	PyTypeObject *type = native_module_of((PyObject *)kernel)->disk_type;
	struct native_disk *disk =
		(struct native_disk *)type->tp_alloc(type, 0);
	struct native_crossing crossing;
	int code;

	if (!disk) {
		native_backing_remove(kernel, backing);
		return NULL;
	}
	disk->kernel = (struct native_kernel *)Py_NewRef((PyObject *)kernel);
	disk->size = what->size;
	disk->backing = backing;
	backing->disk = disk;
	native_enter(kernel, &crossing);
	code = native_attach_host(kernel->side, kernel->host, backing, what);
	native_leave(kernel, &crossing);
	if (code < 0) {
		native_check_code(kernel, code);
		native_backing_remove(kernel, backing);
		Py_DECREF(disk);
		return NULL;
	}
	disk->index = kernel->side->index(backing->host);
	if (!native_check_code(kernel, 0)) { /* it is attached all the same */
		Py_DECREF(disk);
		return NULL;
	}
	return (PyObject *)disk;
}

PyObject *native_attach_fd(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = { "fd",	    "size",	"sector", "readonly",
				 "overlay", "rotating", NULL };
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_attachment what = { .readonly = -1, .overlay = -1 };
	struct native_backing *backing;
	unsigned long long size;
	int fd;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "iKI|$ppp:attach_fd",
					 names, &fd, &size, &what.sector,
					 &what.readonly, &what.overlay,
					 &what.rotating) ||
	    !native_check_attachment(&what))
		return NULL;
	what.size = size;
	backing = native_backing_new(kernel);
	if (!backing)
		return NULL;
	backing->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (backing->fd < 0) {
		PyErr_SetFromErrno(PyExc_OSError);
		native_backing_remove(kernel, backing);
		return NULL;
	}
	return native_attach(kernel, backing, &what);
}

PyObject *native_attach_buffer(PyObject *self, PyObject *args,
			       PyObject *keywords)
{
	static char *names[] = { "buffer", "sector", "readonly", "overlay",
				 NULL };
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_attachment what = { .readonly = -1, .overlay = -1 };
	struct native_backing *backing;
	PyObject *buffer;
	int flags;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "OI|$pp:attach_buffer",
					 names, &buffer, &what.sector,
					 &what.readonly, &what.overlay) ||
	    !native_check_attachment(&what))
		return NULL;
	backing = native_backing_new(kernel);
	if (!backing)
		return NULL;
	flags = what.readonly || what.overlay ? PyBUF_SIMPLE : PyBUF_WRITABLE;
	if (PyObject_GetBuffer(buffer, &backing->buffer, flags) < 0) {
		backing->buffer.obj = NULL;
		native_backing_remove(kernel, backing);
		return NULL;
	}
	what.size = (u64)backing->buffer.len;
	return native_attach(kernel, backing, &what);
}

PyObject *native_attach_object(PyObject *self, PyObject *args,
			       PyObject *keywords)
{
	static char *names[] = { "obj",	    "size",    "sector", "readonly",
				 "overlay", "discard", NULL };
	struct native_kernel *kernel = (struct native_kernel *)self;
	struct native_attachment what = { .readonly = -1, .overlay = -1 };
	struct native_backing *backing;
	unsigned long long size;
	PyObject *object;

	if (!PyArg_ParseTupleAndKeywords(
		    args, keywords, "OKI|$ppp:attach_object", names, &object,
		    &size, &what.sector, &what.readonly, &what.overlay,
		    &what.discard) ||
	    !native_check_attachment(&what))
		return NULL;
	what.size = size;
	backing = native_backing_new(kernel);
	if (!backing)
		return NULL;
	backing->object = Py_NewRef(object);
	return native_attach(kernel, backing, &what);
}

/* ---- the Disk object ------------------------------------------------- */

static struct native_backing *native_disk_backing(PyObject *self)
{
	struct native_disk *disk = (struct native_disk *)self;

	if (!native_check_open(disk->kernel))
		return NULL;
	if (!disk->backing)
		PyErr_SetString(PyExc_ValueError,
				"the disk is detached; attach its image again");
	return disk->backing;
}

static PyObject *native_disk_changes(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = ((struct native_disk *)self)->kernel;
	struct native_backing *backing = native_disk_backing(self);
	struct native_crossing crossing;
	u64 changes;

	(void)unused;
	if (!backing)
		return NULL;
	native_enter(kernel, &crossing);
	changes = kernel->side->changes(backing->host);
	native_leave(kernel, &crossing);
	if (!native_check_code(kernel, 0))
		return NULL;
	return PyLong_FromUnsignedLongLong(changes);
}

static PyObject *native_disk_detach(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = ((struct native_disk *)self)->kernel;
	struct native_backing *backing = native_disk_backing(self);
	struct native_crossing crossing;
	int code;

	(void)unused;
	if (!backing)
		return NULL;
	if (backing->busy) /* another thread resizes or detaches it */
		return native_os_error(kernel, EBUSY);
	backing->busy++;
	native_enter(kernel, &crossing);
	code = kernel->side->detach(backing->host);
	native_leave(kernel, &crossing);
	backing->busy--;
	if (code >= 0)
		native_backing_remove(kernel, backing);
	if (!native_check_code(kernel, code))
		return NULL;
	Py_RETURN_NONE;
}

/* Restoring a snapshot may have changed it. It outlives the device. */
static PyObject *native_disk_size(PyObject *self, void *unused)
{
	struct native_disk *disk = (struct native_disk *)self;

	(void)unused;
	if (disk->kernel->host && disk->backing)
		disk->size = disk->kernel->side->bytes(disk->backing->host);
	return PyLong_FromUnsignedLongLong(disk->size);
}

static PyObject *native_disk_forget(PyObject *self, PyObject *unused)
{
	struct native_kernel *kernel = ((struct native_disk *)self)->kernel;
	struct native_backing *backing = native_disk_backing(self);
	struct native_crossing crossing;

	(void)unused;
	if (!backing)
		return NULL;
	if (backing->busy)
		return native_os_error(kernel, EBUSY);
	backing->busy++;
	native_enter(kernel, &crossing);
	kernel->side->forget(backing->host);
	native_leave(kernel, &crossing);
	backing->busy--;
	native_backing_remove(kernel, backing);
	Py_RETURN_NONE;
}

static PyObject *native_disk_resize(PyObject *self, PyObject *size_object)
{
	struct native_disk *disk = (struct native_disk *)self;
	struct native_backing *backing = native_disk_backing(self);
	struct native_crossing crossing;
	unsigned long long size;
	int code;

	if (!backing)
		return NULL;
	size = PyLong_AsUnsignedLongLong(size_object);
	if (size == ~0ULL && PyErr_Occurred())
		return NULL;
	if (backing->buffer.obj && size > (u64)backing->buffer.len) {
		PyErr_SetString(
			PyExc_ValueError,
			"a disk of memory cannot grow beyond its buffer");
		return NULL;
	}
	if (backing->busy)
		return native_os_error(disk->kernel, EBUSY);
	backing->busy++;
	native_enter(disk->kernel, &crossing);
	code = disk->kernel->side->resize(backing->host, size);
	native_leave(disk->kernel, &crossing);
	backing->busy--;
	if (!native_check_code(disk->kernel, code))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *native_disk_undo_begin(PyObject *self, PyObject *args)
{
	struct native_kernel *kernel = ((struct native_disk *)self)->kernel;
	struct native_backing *backing = native_disk_backing(self);
	unsigned long long start, bytes;
	struct native_crossing crossing;
	int code;

	if (!backing || !PyArg_ParseTuple(args, "KK", &start, &bytes))
		return NULL;
	backing->busy++;
	native_enter(kernel, &crossing);
	code = kernel->side->undo_begin(backing->host, start, bytes);
	native_leave(kernel, &crossing);
	backing->busy--;
	if (!native_check_code(kernel, code))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *native_disk_undo_end(PyObject *self, PyObject *args)
{
	struct native_kernel *kernel = ((struct native_disk *)self)->kernel;
	struct native_backing *backing = native_disk_backing(self);
	struct native_crossing crossing;
	int restore, code;

	if (!backing || !PyArg_ParseTuple(args, "p", &restore))
		return NULL;
	backing->busy++;
	native_enter(kernel, &crossing);
	code = kernel->side->undo_end(backing->host, restore);
	native_leave(kernel, &crossing);
	backing->busy--;
	if (!native_check_code(kernel, code))
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *native_disk_error(PyObject *self, PyObject *unused)
{
	struct native_disk *disk = (struct native_disk *)self;
	PyObject **place = disk->backing ? &disk->backing->error : &disk->error;
	PyObject *error = *place;

	(void)unused;
	if (!error)
		Py_RETURN_NONE;
	*place = NULL;
	return error;
}

/* a, b, ..., z, aa, ab, ... as Linux counts disks. */
static PyObject *native_disk_name(PyObject *self, void *unused)
{
	char name[16];
	char *start = name + sizeof(name) - 1;
	s64 index = ((struct native_disk *)self)->index;

	(void)unused;
	*start = 0;
	do {
		*--start = (char)('a' + index % 26);
		index = index / 26 - 1;
	} while (index >= 0);
	return PyUnicode_FromFormat("ld%s", start);
}

static void native_disk_free(PyObject *self)
{
	struct native_disk *disk = (struct native_disk *)self;

	PyObject_GC_UnTrack(self);
	if (disk->weak_references)
		PyObject_ClearWeakRefs(self);
	if (disk->backing)
		disk->backing->disk = NULL;
	Py_CLEAR(disk->error);
	Py_CLEAR(disk->kernel);
	native_free(self);
}

static int native_disk_visit(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct native_disk *)self)->kernel);
	Py_VISIT(((struct native_disk *)self)->error);
	return 0;
}

/* An exception may refer to the frame that refers to us. */
static int native_disk_clear(PyObject *self)
{
	Py_CLEAR(((struct native_disk *)self)->error);
	return 0;
}

static PyMethodDef native_disk_methods[] = {
	{ "changes", native_disk_changes, METH_NOARGS,
	  "changes()\n--\n\nBytes that an overlay holds." },
	{ "detach", native_disk_detach, METH_NOARGS,
	  "detach()\n--\n\nRemove the device; OSError (EBUSY) when it is in use." },
	{ "forget", native_disk_forget, METH_NOARGS,
	  "forget()\n--\n\nIt came after the snapshot that was put back." },
	{ "resize", native_disk_resize, METH_O,
	  "resize(size, /)\n--\n\nThe backing has another size, in bytes." },
	{ "undo_begin", native_disk_undo_begin, METH_VARARGS,
	  "undo_begin(start, bytes, /)\n--\n\nKeep what is changed there from now on." },
	{ "undo_end", native_disk_undo_end, METH_VARARGS,
	  "undo_end(restore, /)\n--\n\nPut it back, or not." },
	{ "error", native_disk_error, METH_NOARGS,
	  "error()\n--\n\nTake the exception of the object, or None." },
	{ 0 },
};

static PyGetSetDef native_disk_attributes[] = {
	{ "size", native_disk_size, NULL, "In bytes.", NULL },
	{ "name", native_disk_name, NULL, "The kernel's name, as \"lda\".",
	  NULL },
	{ 0 },
};

static PyMemberDef native_disk_members[] = {
	{ "index", T_UINT, offsetof(struct native_disk, index), READONLY,
	  "0 for lda, 1 for ldb, ..." },
	{ "kernel", T_OBJECT_EX, offsetof(struct native_disk, kernel), READONLY,
	  "The kernel it is attached to." },
	{ "__weaklistoffset__", T_PYSSIZET,
	  offsetof(struct native_disk, weak_references), READONLY, NULL },
	{ 0 },
};

static PyType_Slot native_disk_slots[] = {
	{ Py_tp_doc, "A block device of a kernel; made by Kernel.attach_*()." },
	{ Py_tp_dealloc, native_disk_free },
	{ Py_tp_traverse, native_disk_visit },
	{ Py_tp_clear, native_disk_clear },
	{ Py_tp_methods, native_disk_methods },
	{ Py_tp_getset, native_disk_attributes },
	{ Py_tp_members, native_disk_members },
	{ 0 },
};

PyType_Spec native_disk_spec = {
	.name = "liblinux._native.Disk",
	.basicsize = sizeof(struct native_disk),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = native_disk_slots,
};

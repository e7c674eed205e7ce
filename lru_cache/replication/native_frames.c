/* Frames, in C: `FrameReader` and `encode_frames`, with the contract of python_frames.py.

Bytes in, bytes out: nothing here knows what is in a body, nor where the bytes come from and go to. Foreign code runs
only where a chunk of a class of its own is given up; so a reader is whole before it gives one up. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdint.h>
#include <string.h>

#include "../native_module.h"

#ifdef Py_GIL_DISABLED
#error "the global interpreter lock is what makes a reader's steps whole; without it the one in Python is taken"
#endif

#define HEADER_BYTES 4
#define LARGEST_LIMIT_BYTES UINT32_MAX

typedef struct {
    PyTypeObject *reader_type;
    PyObject *need_data, *protocol_error;
} State;

static uint32_t
header_of(const char *data)
{
    const uint8_t *at = (const uint8_t *)data;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void
write_header(char *data, uint32_t length)
{
    uint8_t *at = (uint8_t *)data;
    at[0] = (uint8_t)(length >> 24);
    at[1] = (uint8_t)(length >> 16);
    at[2] = (uint8_t)(length >> 8);
    at[3] = (uint8_t)length;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static PyObject *
encode_frames(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *bodies;
    Py_ssize_t limit, room = 0;
    if (!PyArg_ParseTuple(args, "O!n:encode_frames", &PyList_Type, &bodies, &limit)) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(bodies); i++) {
        PyObject *body = PyList_GET_ITEM(bodies, i);
        if (!PyBytes_Check(body)) {
            PyErr_Format(PyExc_TypeError, "a frame's body must be bytes, not %s", Py_TYPE(body)->tp_name);
            return NULL;
        }
        Py_ssize_t length = PyBytes_GET_SIZE(body);
        if (length < 1 || length > limit || (uint64_t)length > LARGEST_LIMIT_BYTES) {
            PyErr_Format(PyExc_ValueError, "a frame's body must have 1 to %zd bytes, this one has %zd", limit, length);
            return NULL;
        }
        room += HEADER_BYTES + length;
    }
    PyObject *frames = PyBytes_FromStringAndSize(NULL, room);
    if (frames == NULL) {
        return NULL;
    }
    char *at = PyBytes_AS_STRING(frames);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(bodies); i++) {
        PyObject *body = PyList_GET_ITEM(bodies, i);
        Py_ssize_t length = PyBytes_GET_SIZE(body);
        write_header(at, (uint32_t)length);
        memcpy(at + HEADER_BYTES, PyBytes_AS_STRING(body), (size_t)length);
        at += HEADER_BYTES + length;
    }
    return frames;
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    int64_t limit;
    PyObject *buffer;  /* bytes; a bytearray only for a frame that came in several chunks; NULL: nothing */
    Py_ssize_t start;  /* of what was not taken yet */
    PyObject *refusal; /* why the stream is broken, once it is */
} FrameReader;

static const char *
bytes_of(const FrameReader *self, Py_ssize_t *length)
{
    if (self->buffer == NULL) {
        *length = 0;
        return NULL;
    }
    if (PyBytes_Check(self->buffer)) {
        *length = PyBytes_GET_SIZE(self->buffer) - self->start;
        return PyBytes_AS_STRING(self->buffer) + self->start;
    }
    *length = PyByteArray_GET_SIZE(self->buffer) - self->start;
    return PyByteArray_AS_STRING(self->buffer) + self->start;
}

static void
drop(FrameReader *self)
{
    self->start = 0;
    Py_CLEAR(self->buffer);
}

static int
is_broken(FrameReader *self, State *state)
{
    if (self->refusal == NULL) {
        return 0;
    }
    PyErr_SetObject(state->protocol_error, self->refusal);
    return 1;
}

static int
set_limit(FrameReader *self, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "a reader has a limit");
        return -1;
    }
    int overflow;
    long long limit = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (limit == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (overflow != 0 || limit < 1 || limit > (long long)LARGEST_LIMIT_BYTES) {
        PyErr_Format(PyExc_ValueError, "limit must be 1 to %lu bytes, got %R", (unsigned long)LARGEST_LIMIT_BYTES,
                     value);
        return -1;
    }
    self->limit = limit;
    return 0;
}

static PyObject *
get_limit(FrameReader *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(self->limit);
}

static PyObject *
get_buffered(FrameReader *self, void *Py_UNUSED(closure))
{
    Py_ssize_t length;
    bytes_of(self, &length);
    return PyLong_FromSsize_t(length);
}

static PyObject *
reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", NULL};
    PyObject *limit;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:FrameReader", names, &limit)) {
        return NULL;
    }
    FrameReader *self = (FrameReader *)type->tp_alloc(type, 0);
    if (self != NULL && set_limit(self, limit, NULL) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
reader_dealloc(FrameReader *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->buffer);
    Py_XDECREF(self->refusal);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

/* Once for each chunk and not for each frame: what stays behind the taken ones moves, a frame's worth at most. */
static int
append(FrameReader *self, PyObject *chunk)
{
    Py_ssize_t left, more = PyBytes_GET_SIZE(chunk);
    const char *data = bytes_of(self, &left);
    if (PyBytes_Check(self->buffer)) {
        PyObject *joined = PyByteArray_FromStringAndSize(NULL, left + more);
        if (joined == NULL) {
            return -1;
        }
        memcpy(PyByteArray_AS_STRING(joined), data, (size_t)left);
        memcpy(PyByteArray_AS_STRING(joined) + left, PyBytes_AS_STRING(chunk), (size_t)more);
        self->start = 0;
        Py_SETREF(self->buffer, joined);
        return 0;
    }
    char *begin = PyByteArray_AS_STRING(self->buffer);
    if (self->start > 0) {
        memmove(begin, begin + self->start, (size_t)left);
    }
    if (PyByteArray_Resize(self->buffer, left + more) < 0) {
        memmove(begin + self->start, begin, (size_t)left); /* it is as it was */
        return -1;
    }
    self->start = 0;
    memcpy(PyByteArray_AS_STRING(self->buffer) + left, PyBytes_AS_STRING(chunk), (size_t)more);
    return 0;
}

static PyObject *
reader_receive(FrameReader *self, PyObject *chunk)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (state == NULL || is_broken(self, state)) {
        return NULL;
    }
    if (!PyBytes_Check(chunk)) {
        PyErr_Format(PyExc_TypeError, "a chunk must be bytes, not %s", Py_TYPE(chunk)->tp_name);
        return NULL;
    }
    Py_ssize_t left;
    bytes_of(self, &left);
    if (left == 0) {
        self->start = 0;
        Py_XSETREF(self->buffer, Py_NewRef(chunk));
    }
    else if (append(self, chunk) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
refuse(FrameReader *self, State *state, uint32_t length)
{
    self->refusal = PyUnicode_FromFormat("a frame of %lu bytes, where 1 to %lld are allowed", (unsigned long)length,
                                         (long long)self->limit);
    if (self->refusal != NULL) {
        drop(self);
        is_broken(self, state);
    }
    return -1;
}

/* 1: taken; 0: not here yet; -1: an exception. */
static int
take_frame(FrameReader *self, State *state, PyObject **body)
{
    if (is_broken(self, state)) {
        return -1;
    }
    Py_ssize_t here;
    const char *data = bytes_of(self, &here);
    if (here < HEADER_BYTES) {
        return 0;
    }
    uint32_t length = header_of(data);
    if (length == 0 || length > self->limit) {
        return refuse(self, state, length);
    }
    if ((uint64_t)(here - HEADER_BYTES) < length) {
        return 0;
    }
    *body = PyBytes_FromStringAndSize(data + HEADER_BYTES, (Py_ssize_t)length);
    if (*body == NULL) {
        return -1;
    }
    self->start += HEADER_BYTES + (Py_ssize_t)length;
    if (here == HEADER_BYTES + (Py_ssize_t)length) {
        drop(self);
    }
    return 1;
}

static PyObject *
reader_next_frame(FrameReader *self, PyObject *Py_UNUSED(ignored))
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *body;
    int taken = state == NULL ? -1 : take_frame(self, state, &body);
    return taken < 0 ? NULL : taken > 0 ? body : Py_NewRef(state->need_data);
}

static PyObject *
reader_iternext(FrameReader *self)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *body;
    return state != NULL && take_frame(self, state, &body) > 0 ? body : NULL;
}

static PyObject *
reader_repr(FrameReader *self)
{
    if (self->refusal != NULL) {
        return PyUnicode_FromFormat("<FrameReader limit=%lld, broken>", (long long)self->limit);
    }
    Py_ssize_t length;
    bytes_of(self, &length);
    return PyUnicode_FromFormat("<FrameReader limit=%lld, %zd bytes buffered>", (long long)self->limit, length);
}

static PyMethodDef reader_methods[] = {
    {"receive", (PyCFunction)reader_receive, METH_O, "Take in what arrived, however it was cut."},
    {"next_frame", (PyCFunction)reader_next_frame, METH_NOARGS, "The next complete body, or `NEED_DATA`."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef reader_attributes[] = {
    {"limit", (getter)get_limit, (setter)set_limit, "The longest body accepted, in bytes.", NULL},
    {"buffered", (getter)get_buffered, NULL, "How many bytes wait here: none between frames.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_doc, "FrameReader(limit)\n--\n\nCuts what arrives into bodies."},
    {Py_tp_new, reader_new},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_repr, reader_repr},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, reader_iternext},
    {Py_tp_methods, reader_methods},
    {Py_tp_getset, reader_attributes},
    {0, NULL},
};

/* It holds bytes and texts alone, so the garbage collector need not know it. */
static PyType_Spec reader_spec = {
    .name = "lru_cache.replication.native_frames.FrameReader",
    .basicsize = sizeof(FrameReader),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = reader_slots,
};

/* -- the module ---------------------------------------------------------------------------------------------------- */

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    if ((state->need_data = imported("lru_cache.replication.python_frames", "NEED_DATA")) == NULL ||
        (state->protocol_error = imported("lru_cache.errors", "ProtocolError")) == NULL ||
        (state->reader_type = add_type(module, &reader_spec)) == NULL) {
        return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state != NULL) {
        Py_VISIT(state->reader_type);
        Py_VISIT(state->need_data);
        Py_VISIT(state->protocol_error);
    }
    return 0;
}

/* Only in the end: while a reader exists, its type holds the module, and so this state. */
static void
module_free(void *module)
{
    State *state = PyModule_GetState((PyObject *)module);
    if (state != NULL) {
        Py_CLEAR(state->reader_type);
        Py_CLEAR(state->need_data);
        Py_CLEAR(state->protocol_error);
    }
}

static PyMethodDef module_methods[] = {
    {"encode_frames", encode_frames, METH_VARARGS,
     "encode_frames($module, bodies, limit, /)\n--\n\nThe frames of these bodies, one behind the other."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = MODULE_SLOTS(module_exec);

static struct PyModuleDef native_frames_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native_frames",
    .m_doc = "Frames, in C.",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit_native_frames(void)
{
    return PyModuleDef_Init(&native_frames_module);
}

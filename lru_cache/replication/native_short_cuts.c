/* Replication's short cuts, in C: `Stamp`, `Batch` and `ShortCuts`, with the contract of python_short_cuts.py.

The rules are replica.py's, and it is the reference. Here is only what nearly every event is: a value that replaces an
older one or none, with nothing buried, refused, in flight or concurrent. Whatever is not that plain is handed to the
replica, as it would be without this file. It must not know links or sockets. Who calls holds the cache's lock, but for
`write`, which takes it.

Foreign code runs where the store compares keys, and where a reference is given up. It may call the cache from within,
since the lock is reentrant; so everything that is used afterwards is held by a reference of ours. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdint.h>
#include <string.h>

#include "../native_module.h"

#ifdef Py_GIL_DISABLED
#error "the short cuts rely on the global interpreter lock; without it the replica does everything"
#endif

#define MAXIMUM_EVENTS 64
#define MOST_NODES (2 * MAXIMUM_EVENTS) /* of one batch; a message that lists more is left to the replica */
#define MAXIMUM_HOPS 32
#define NODE_BYTES 8
#define MAXIMUM_KEY_BYTES 65536
#define MAXIMUM_TIME INT64_MAX
#define MAXIMUM_LIFE_MS ((int64_t)1 << 53)
#define COUNTER_BITS 16
#define MOST_MILLISECONDS 5e13 /* of a clock: until the year 3554, so that a few spans more are still a time */
#define NO_LIFE (-1)

enum { EVENTS = 2, SEEN };
enum { SET, INVALIDATE, LOAD, TOUCH, KINDS };
enum { KEEP, PUT_OFF, FAILED };

/* The names of attributes and methods that are used here. */
#define NAMES(name)                                                                                                   \
    name(seen) name(heard) name(neighbours) name(_limit_reached) name(tell) name(_news) name(append) name(_clock)     \
    name(forgotten) name(floor) name(_shelf) name(_store) name(_loading) name(gone) name(find) name(put) name(remove) \
    name(key) name(version) name(deadline) name(left) name(popitem) name(last) name(_add_events) name(_merge)         \
    name(_hear) name(_hear_all) name(acquire) name(release) name(_remark_seen) name(_departed) name(_heard_at)        \
    name(move_to_end) name(_require_present) name(node) name(hold) name(counts) name(applied) name(repeated)

#define DECLARE(name) PyObject *name;
typedef struct {
    NAMES(DECLARE)
} Names;

/* Fields that their Python classes keep in slots, which are read where they lie: to look an attribute up costs a lone
   write, which runs on cold caches, a microsecond. */
#define FIELDS(field)                                                                                                 \
    field(clock, _last) field(clock, _offset)                                                                         \
    field(news, count) field(news, _keys)                                                                             \
    field(outbox, _items) field(outbox, _limit) field(outbox, _remarks_waiting) field(outbox, overflowed)             \
    field(outbox, told)                                                                                               \
    field(neighbour, ahead_allowed) field(neighbour, greeted) field(neighbour, half_trip) field(neighbour, outbox)    \
    field(neighbour, resync) field(neighbour, seen) field(neighbour, seen_changed) field(neighbour, value_limit)      \
    field(forgotten, _beside) field(forgotten, _changed_at) field(forgotten, _graves) field(forgotten, base)          \
    field(forgotten, capacity) field(forgotten, changes) field(forgotten, collected) field(forgotten, floors)

#define DECLARE_FIELD(owner, name) Py_ssize_t name;
typedef struct {
    FIELDS(DECLARE_FIELD)
} Offsets;

typedef struct {
    PyTypeObject *stamp_type, *batch_type, *short_cuts_type;
    PyTypeObject *version_type, *event_type, *telling_type; /* of Python: named tuples */
    PyTypeObject *clock_type, *news_type, *outbox_type, *neighbour_type, *forgotten_type; /* and classes with slots */
    PyObject *nothing;                                      /* the Version that is older than all */
    PyObject *kinds[KINDS];
    PyObject *replaced;    /* of RemovalCause */
    PyObject *decode_key, *encode_key, *encode_value, *bucket_of;
    PyObject *zero, *never_fresh, *forever, *last_is_false;
    Names name;
    Offsets at;
} State;

/* -- versions ------------------------------------------------------------------------------------------------------ */

/* A version without its tuple. */
typedef struct {
    int64_t time;
    PyObject *node; /* bytes */
} Age;

static int
bytes_order(PyObject *one, PyObject *other)
{
    if (one == other) {
        return 0;
    }
    Py_ssize_t length = PyBytes_GET_SIZE(one), other_length = PyBytes_GET_SIZE(other);
    int order = memcmp(PyBytes_AS_STRING(one), PyBytes_AS_STRING(other),
                       (size_t)(length < other_length ? length : other_length));
    return order != 0 ? order : (length > other_length) - (length < other_length);
}

/* As tuples compare: below, at or above zero. */
static inline int
age_order(Age one, Age other)
{
    return one.time != other.time ? (one.time > other.time) - (one.time < other.time)
                                  : bytes_order(one.node, other.node);
}

/* Borrowed from the tuple. */
static int
age_from(PyObject *version, Age *age)
{
    if (!PyTuple_Check(version) || PyTuple_GET_SIZE(version) != 2 || !PyLong_Check(PyTuple_GET_ITEM(version, 0)) ||
        !PyBytes_Check(PyTuple_GET_ITEM(version, 1))) {
        PyErr_SetString(PyExc_TypeError, "a Version is needed");
        return -1;
    }
    age->time = PyLong_AsLongLong(PyTuple_GET_ITEM(version, 0));
    age->node = PyTuple_GET_ITEM(version, 1);
    return age->time == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
version_from(State *state, Age age)
{
    PyObject *time = PyLong_FromLongLong(age.time);
    PyObject *version = time == NULL ? NULL : state->version_type->tp_alloc(state->version_type, 2);
    if (version == NULL) {
        Py_XDECREF(time);
        return NULL;
    }
    Py_INCREF(age.node);
    PyTuple_SET_ITEM(version, 0, time);
    PyTuple_SET_ITEM(version, 1, age.node);
    PyObject_GC_UnTrack(version); /* a number and bytes: there may be as many as graves, and no circles through them */
    return version;
}

/* -- Stamp --------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *key, *payload; /* bytes; payload: or None */
    Age version, told, life_version;
    char is_set;
} Stamp;

/* Takes over nothing: all arguments are borrowed. */
static PyObject *
new_stamp(State *state, PyObject *key, Age version, int is_set, PyObject *payload, Age told)
{
    Stamp *stamp = PyObject_New(Stamp, state->stamp_type);
    if (stamp == NULL) {
        return NULL;
    }
    Py_INCREF(key);
    Py_INCREF(payload);
    Py_INCREF(version.node);
    Py_INCREF(told.node);
    Py_INCREF(version.node);
    stamp->key = key;
    stamp->payload = payload;
    stamp->version = stamp->life_version = version;
    stamp->told = told;
    stamp->is_set = (char)is_set;
    return (PyObject *)stamp;
}

static PyObject *
stamp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"key", "version", "is_set", "payload", "told", NULL};
    State *state = PyType_GetModuleState(type);
    PyObject *key, *version, *payload, *told = NULL;
    Age age, told_age;
    int is_set;
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "SOpO|O:Stamp", names, &key, &version, &is_set,
                                                      &payload, &told)) {
        return NULL;
    }
    if (payload != Py_None && !PyBytes_Check(payload)) {
        PyErr_SetString(PyExc_TypeError, "a payload is bytes or None");
        return NULL;
    }
    told = told == NULL || told == state->nothing ? version : told;
    if (age_from(version, &age) < 0 || age_from(told, &told_age) < 0) {
        return NULL;
    }
    return new_stamp(state, key, age, is_set, payload, told_age);
}

static void
stamp_dealloc(PyObject *object)
{
    Stamp *stamp = (Stamp *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_DECREF(stamp->key);
    Py_DECREF(stamp->payload);
    Py_DECREF(stamp->version.node);
    Py_DECREF(stamp->told.node);
    Py_DECREF(stamp->life_version.node);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyObject *
stamp_get(PyObject *object, void *closure)
{
    Age *age = (Age *)((char *)object + (size_t)closure);
    State *state = PyType_GetModuleState(Py_TYPE(object));
    return state == NULL ? NULL : version_from(state, *age);
}

static int
stamp_set_life_version(PyObject *object, PyObject *version, void *Py_UNUSED(closure))
{
    Stamp *stamp = (Stamp *)object;
    Age age;
    if (version == NULL) {
        PyErr_SetString(PyExc_AttributeError, "a stamp has a life_version");
        return -1;
    }
    if (age_from(version, &age) < 0) {
        return -1;
    }
    PyObject *before = stamp->life_version.node;
    Py_INCREF(age.node);
    stamp->life_version = age;
    Py_DECREF(before);
    return 0;
}

static PyObject *
stamp_repr(PyObject *object)
{
    Stamp *stamp = (Stamp *)object;
    PyObject *version = stamp_get(object, (void *)offsetof(Stamp, version));
    PyObject *text = version == NULL ? NULL : PyUnicode_FromFormat("Stamp(%s, %R, %R)", stamp->is_set ? "SET" : "LOAD",
                                                                   stamp->key, version);
    Py_XDECREF(version);
    return text;
}

static PyMemberDef stamp_members[] = {
    {"key", T_OBJECT, offsetof(Stamp, key), READONLY, "The encoded key."},
    {"payload", T_OBJECT, offsetof(Stamp, payload), READONLY, "The encoded value; None: a load that cannot be told."},
    {"is_set", T_BOOL, offsetof(Stamp, is_set), READONLY, "Else it is a load: a copy, which may always be dropped."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef stamp_attributes[] = {
    {"version", stamp_get, NULL, "When it was written, and by whom.", (void *)offsetof(Stamp, version)},
    {"told", stamp_get, NULL, "What `seen` counts.", (void *)offsetof(Stamp, told)},
    {"life_version", stamp_get, stamp_set_life_version, "Newer than the version if it was touched since.",
     (void *)offsetof(Stamp, life_version)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot stamp_slots[] = {
    {Py_tp_doc, "Stamp(key, version, is_set, payload, told=NOTHING)\n--\n\n"
                "What replication knows of a value that the store holds."},
    {Py_tp_new, stamp_new},
    {Py_tp_dealloc, stamp_dealloc},
    {Py_tp_repr, stamp_repr},
    {Py_tp_members, stamp_members},
    {Py_tp_getset, stamp_attributes},
    {0, NULL},
};

/* It holds bytes and None alone, so the garbage collector need not know it: a million of them cost it nothing. */
static PyType_Spec stamp_spec = {
    .name = "lru_cache.replication.native_short_cuts.Stamp",
    .basicsize = sizeof(Stamp),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = stamp_slots,
};

/* -- Batch --------------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject *key, *payload; /* payload NULL: none */
    Age version, other;      /* other.node NULL: none */
    int64_t life;            /* milliseconds, or NO_LIFE */
    uint8_t kind, hops;
} Told;

typedef struct {
    PyObject_HEAD
    Py_ssize_t limit;
    Py_ssize_t bytes;
    int count;
    char has_room;
    PyObject *bodies; /* a list */
    Told events[MAXIMUM_EVENTS];
} Batch;

static PyObject *
new_batch(PyTypeObject *type, Py_ssize_t limit)
{
    PyObject *bodies = PyList_New(0);
    Batch *batch = bodies == NULL ? NULL : PyObject_New(Batch, type);
    if (batch == NULL) {
        Py_XDECREF(bodies);
        return NULL;
    }
    batch->limit = limit;
    batch->bytes = 0;
    batch->count = 0;
    batch->has_room = 1;
    batch->bodies = bodies;
    return (PyObject *)batch;
}

static PyObject *
batch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"value_limit", NULL};
    Py_ssize_t limit;
    return PyArg_ParseTupleAndKeywords(args, kwargs, "n:Batch", names, &limit) ? new_batch(type, limit) : NULL;
}

static void
batch_empty(Batch *batch)
{
    while (batch->count > 0) {
        Told *told = &batch->events[--batch->count];
        Py_DECREF(told->key);
        Py_XDECREF(told->payload);
        Py_DECREF(told->version.node);
        Py_XDECREF(told->other.node);
    }
}

static void
batch_dealloc(PyObject *object)
{
    Batch *batch = (Batch *)object;
    PyTypeObject *type = Py_TYPE(object);
    batch_empty(batch);
    Py_DECREF(batch->bodies);
    PyObject_Free(object);
    Py_DECREF(type);
}

/* msgpack, written: each of these also counts, where there is nowhere to write to yet. */

typedef struct {
    uint8_t *at; /* NULL while counting */
    size_t bytes;
} Writer;

static inline void
write_bytes(Writer *writer, const void *data, size_t length)
{
    if (writer->at != NULL) {
        memcpy(writer->at + writer->bytes, data, length);
    }
    writer->bytes += length;
}

static inline void
write_header(Writer *writer, uint8_t first, uint64_t number, int bytes)
{
    uint8_t data[9] = {first};
    for (int i = 0; i < bytes; i++) {
        data[1 + i] = (uint8_t)(number >> 8 * (bytes - 1 - i));
    }
    write_bytes(writer, data, 1 + (size_t)bytes);
}

static inline void
write_array(Writer *writer, size_t length)
{
    if (length < 16) {
        write_header(writer, (uint8_t)(0x90 | length), 0, 0);
    }
    else {
        write_header(writer, 0xdc, length, 2); /* none is longer than 65,535 */
    }
}

static inline void
write_bin_header(Writer *writer, size_t length)
{
    int bytes = length < 256 ? 1 : length < 65536 ? 2 : 4;
    write_header(writer, bytes == 1 ? 0xc4 : bytes == 2 ? 0xc5 : 0xc6, length, bytes);
}

static inline void
write_bin(Writer *writer, const void *data, size_t length)
{
    write_bin_header(writer, length);
    write_bytes(writer, data, length);
}

static inline void
write_number(Writer *writer, uint64_t number)
{
    if (number < 128) {
        write_header(writer, (uint8_t)number, 0, 0);
    }
    else {
        int bytes = number < 256 ? 1 : number < 65536 ? 2 : number <= UINT32_MAX ? 4 : 8;
        write_header(writer, bytes == 1 ? 0xcc : bytes == 2 ? 0xcd : bytes == 4 ? 0xce : 0xcf, number, bytes);
    }
}

static inline void
write_nil(Writer *writer)
{
    write_header(writer, 0xc0, 0, 0);
}

/* The number of a node among those that are listed, in the order in which they first appear. */
static int
number_of(PyObject *node, PyObject **nodes, int *count)
{
    for (int i = 0; i < *count; i++) {
        if (bytes_order(node, nodes[i]) == 0) {
            return i;
        }
    }
    nodes[*count] = node;
    return (*count)++;
}

typedef struct {
    PyObject *nodes[MOST_NODES];
    int node_count;
    int others;
    uint8_t kinds[MAXIMUM_EVENTS], hops[MAXIMUM_EVENTS], origins[MAXIMUM_EVENTS], other_origins[MAXIMUM_EVENTS];
} Columns;

static void
write_events(Writer *writer, const Batch *batch, const Columns *columns)
{
    size_t count = (size_t)batch->count;
    write_array(writer, 10);
    write_number(writer, EVENTS);
    write_array(writer, (size_t)columns->node_count);
    for (int i = 0; i < columns->node_count; i++) {
        write_bin(writer, PyBytes_AS_STRING(columns->nodes[i]), (size_t)PyBytes_GET_SIZE(columns->nodes[i]));
    }
    write_bin(writer, columns->kinds, count);
    write_bin(writer, columns->hops, count);
    write_bin(writer, columns->origins, count);
    write_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        write_number(writer, (uint64_t)batch->events[i].version.time);
    }
    write_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        PyObject *key = batch->events[i].key;
        write_bin(writer, PyBytes_AS_STRING(key), (size_t)PyBytes_GET_SIZE(key));
    }
    write_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        PyObject *payload = batch->events[i].payload;
        if (payload == NULL) {
            write_nil(writer);
        }
        else {
            write_bin(writer, PyBytes_AS_STRING(payload), (size_t)PyBytes_GET_SIZE(payload));
        }
    }
    write_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        if (batch->events[i].life == NO_LIFE) {
            write_nil(writer);
        }
        else {
            write_number(writer, (uint64_t)batch->events[i].life);
        }
    }
    write_array(writer, 2 * (size_t)columns->others);
    for (size_t i = 0; i < count; i++) {
        if (batch->events[i].other.node != NULL) {
            write_number(writer, (uint64_t)batch->events[i].other.time);
            write_number(writer, columns->other_origins[i]);
        }
    }
}

/* Make a message of the events, and begin anew. */
static int
batch_flush(Batch *batch)
{
    Columns columns;
    columns.node_count = columns.others = 0;
    for (int i = 0; i < batch->count; i++) {
        const Told *told = &batch->events[i];
        columns.kinds[i] = told->kind;
        columns.hops[i] = told->hops;
        columns.origins[i] = (uint8_t)number_of(told->version.node, columns.nodes, &columns.node_count);
    }
    for (int i = 0; i < batch->count; i++) {
        PyObject *node = batch->events[i].other.node;
        if (node != NULL) {
            columns.other_origins[i] = (uint8_t)number_of(node, columns.nodes, &columns.node_count);
            columns.others++;
        }
    }
    Writer writer = {NULL, 0};
    write_events(&writer, batch, &columns);
    PyObject *body = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)writer.bytes);
    if (body == NULL) {
        return -1;
    }
    writer = (Writer){(uint8_t *)PyBytes_AS_STRING(body), 0};
    write_events(&writer, batch, &columns);
    batch_empty(batch);
    int status = PyList_Append(batch->bodies, body);
    Py_DECREF(body);
    return status;
}

/* Borrows all. */
static int
batch_take(Batch *batch, const Told *told)
{
    Py_ssize_t own = PyBytes_GET_SIZE(told->key) + (told->payload != NULL ? PyBytes_GET_SIZE(told->payload) : 0);
    if (batch->count > 0 && (batch->count == MAXIMUM_EVENTS || batch->bytes + own > batch->limit)) {
        if (batch_flush(batch) < 0) {
            return -1;
        }
        batch->bytes = 0;
    }
    Py_INCREF(told->key);
    Py_XINCREF(told->payload);
    Py_INCREF(told->version.node);
    Py_XINCREF(told->other.node);
    batch->events[batch->count++] = *told;
    batch->bytes += own;
    int is_first = PyList_GET_SIZE(batch->bodies) == 0;
    batch->has_room = batch->count < MAXIMUM_EVENTS && batch->bytes < batch->limit && is_first;
    return 0;
}

static PyObject *
batch_add(Batch *batch, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyType_GetModuleState(Py_TYPE(batch));
    if (state == NULL || nargs < 4 || nargs > 7) {
        PyErr_SetString(PyExc_TypeError, "add() takes a kind, key, version and hops, and a payload, life and version");
        return NULL;
    }
    Told told = {.key = args[1], .life = NO_LIFE};
    long kind = PyLong_AsLong(args[0]), hops = PyLong_AsLong(args[3]);
    if (PyErr_Occurred() || age_from(args[2], &told.version) < 0) {
        return NULL;
    }
    if (nargs > 4 && args[4] != Py_None) {
        told.payload = args[4];
    }
    if (!PyBytes_Check(told.key) || (told.payload != NULL && !PyBytes_Check(told.payload)) || kind < 0 || kind > 255 ||
        hops < 0 || hops > 255 || told.version.time < 0) {
        PyErr_SetString(PyExc_TypeError, "add() takes bytes for key and payload, and small numbers for kind and hops");
        return NULL;
    }
    told.kind = (uint8_t)kind;
    told.hops = (uint8_t)hops;
    if (nargs > 5 && args[5] != Py_None) {
        told.life = PyLong_AsLongLong(args[5]);
        if (told.life < 0) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "a life is not negative");
            }
            return NULL;
        }
    }
    if (nargs > 6 && args[6] != state->nothing && age_from(args[6], &told.other) < 0) {
        return NULL;
    }
    if (batch_take(batch, &told) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
batch_bodies(Batch *batch, PyObject *Py_UNUSED(ignored))
{
    if (batch->count > 0 && batch_flush(batch) < 0) {
        return NULL;
    }
    Py_INCREF(batch->bodies);
    return batch->bodies;
}

static PyMethodDef batch_methods[] = {
    {"add", (PyCFunction)(void (*)(void))batch_add, METH_FASTCALL, "Take an event."},
    {"bodies", (PyCFunction)batch_bodies, METH_NOARGS, "All of it, as messages."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef batch_members[] = {
    {"has_room", T_BOOL, offsetof(Batch, has_room), READONLY, "Whether it should take more."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot batch_slots[] = {
    {Py_tp_doc, "Batch(value_limit)\n--\n\nEvents on their way into messages."},
    {Py_tp_new, batch_new},
    {Py_tp_dealloc, batch_dealloc},
    {Py_tp_methods, batch_methods},
    {Py_tp_members, batch_members},
    {0, NULL},
};

static PyType_Spec batch_spec = {
    .name = "lru_cache.replication.native_short_cuts.Batch",
    .basicsize = sizeof(Batch),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = batch_slots,
};

/* -- ShortCuts ----------------------------------------------------------------------------------------------------- */

/* What of the replica never becomes another object. */
typedef struct {
    PyObject_HEAD
    PyObject *replica;
    PyObject *seen, *heard, *neighbours, *counts; /* three dicts, and an object */
    PyObject *clock, *news, *note_key; /* note_key: a method of the news' ring of keys */
    PyObject *forgotten, *graves, *beside;
    int64_t most_graves;
    PyObject *shelf, *store, *find, *put, *loading; /* find, put: methods of the store */
    PyObject *departed, *heard_at; /* a dict, and an ordered one */
    PyObject *last_node; /* of what came; so that values of one node share its bytes */
    int64_t hold;
    /* For whole writes, once they are allowed: */
    PyObject *acquire, *release, *monotonic; /* methods of the lock and the clock */
    PyObject *after; /* called when a write is told, and the lock is free again; or NULL */
    double life;
    Py_ssize_t longest_value;
} ShortCuts;

/* What lies in a slot of an object of the right type: borrowed. */
static PyObject *
field(PyObject *object, Py_ssize_t offset)
{
    PyObject *value = *(PyObject **)((char *)object + offset);
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "a field that the short cuts need is not set");
    }
    return value;
}

static void
set_field(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    PyObject **place = (PyObject **)((char *)object + offset), *before = *place;
    Py_INCREF(value);
    *place = value;
    Py_XDECREF(before);
}

static int
as_number(PyObject *value, int64_t *number)
{
    if (value == NULL) {
        return -1;
    }
    *number = PyLong_AsLongLong(value);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
as_double(PyObject *value, double *number)
{
    if (value == NULL) {
        return -1;
    }
    *number = PyFloat_AsDouble(value);
    return *number == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int
number_field(PyObject *object, Py_ssize_t offset, int64_t *number)
{
    PyObject *value = Py_XNewRef(field(object, offset)); /* what is no number may run code of its own to become one */
    int status = as_number(value, number);
    Py_XDECREF(value);
    return status;
}

static int
set_number_field(PyObject *object, Py_ssize_t offset, int64_t number)
{
    PyObject *value = PyLong_FromLongLong(number);
    if (value == NULL) {
        return -1;
    }
    set_field(object, offset, value);
    Py_DECREF(value);
    return 0;
}

static int
add_to_field(PyObject *object, Py_ssize_t offset, int64_t more)
{
    int64_t number;
    return number_field(object, offset, &number) < 0 ? -1 : set_number_field(object, offset, number + more);
}

static int
double_field(PyObject *object, Py_ssize_t offset, double *number)
{
    PyObject *value = Py_XNewRef(field(object, offset));
    int status = as_double(value, number);
    Py_XDECREF(value);
    return status;
}

/* A reference of its own, since whoever asks goes on to run foreign code. */
static PyObject *
dict_field(PyObject *object, Py_ssize_t offset)
{
    PyObject *value = field(object, offset);
    if (value != NULL && !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "a field that the short cuts need must be a dict");
        return NULL;
    }
    return Py_XNewRef(value);
}

static int
must_be(PyObject *object, PyTypeObject *type)
{
    if (PyObject_TypeCheck(object, type)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "the short cuts need a %s, not a %s", type->tp_name, Py_TYPE(object)->tp_name);
    return -1;
}

/* Likewise one that is ordered: what is not may not be written to as if it were. */
static PyObject *
ordered_field(PyObject *object, Py_ssize_t offset)
{
    PyObject *value = field(object, offset);
    return value == NULL || must_be(value, &PyODict_Type) < 0 ? NULL : Py_NewRef(value);
}

static int
number_attribute(PyObject *object, PyObject *name, int64_t *number)
{
    PyObject *value = PyObject_GetAttr(object, name);
    int status = as_number(value, number);
    Py_XDECREF(value);
    return status;
}

static int
add_to_attribute(PyObject *object, PyObject *name, int64_t more)
{
    int64_t number;
    if (more == 0) {
        return 0;
    }
    PyObject *sum = number_attribute(object, name, &number) < 0 ? NULL : PyLong_FromLongLong(number + more);
    int status = sum == NULL ? -1 : PyObject_SetAttr(object, name, sum);
    Py_XDECREF(sum);
    return status;
}

static int
double_attribute(PyObject *object, PyObject *name, double *number)
{
    PyObject *value = PyObject_GetAttr(object, name);
    int status = as_double(value, number);
    Py_XDECREF(value);
    return status;
}

static PyObject *
part_of(PyObject *object, PyObject *name, PyTypeObject *type)
{
    PyObject *part = PyObject_GetAttr(object, name);
    if (part != NULL && must_be(part, type) < 0) {
        Py_CLEAR(part);
    }
    return part;
}

static PyObject *
dict_attribute(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    if (value != NULL && !PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%U must be a dict", name);
        Py_CLEAR(value);
    }
    return value;
}

static int
short_cuts_take_parts(ShortCuts *self, State *state)
{
    Names *name = &state->name;
    Offsets *at = &state->at;
    PyObject *news_keys; /* borrowed */
    return (self->seen = dict_attribute(self->replica, name->seen)) != NULL &&
                   (self->heard = dict_attribute(self->replica, name->heard)) != NULL &&
                   (self->departed = dict_attribute(self->replica, name->_departed)) != NULL &&
                   (self->heard_at = part_of(self->replica, name->_heard_at, &PyODict_Type)) != NULL &&
                   (self->neighbours = dict_attribute(self->replica, name->neighbours)) != NULL &&
                   (self->counts = PyObject_GetAttr(self->replica, name->counts)) != NULL &&
                   (self->clock = part_of(self->replica, name->_clock, state->clock_type)) != NULL &&
                   (self->news = part_of(self->replica, name->_news, state->news_type)) != NULL &&
                   (news_keys = field(self->news, at->_keys)) != NULL &&
                   (self->note_key = PyObject_GetAttr(news_keys, name->append)) != NULL &&
                   (self->forgotten = part_of(self->replica, name->forgotten, state->forgotten_type)) != NULL &&
                   (self->graves = ordered_field(self->forgotten, at->_graves)) != NULL &&
                   (self->beside = dict_field(self->forgotten, at->_beside)) != NULL &&
                   number_field(self->forgotten, at->capacity, &self->most_graves) == 0 &&
                   (self->shelf = PyObject_GetAttr(self->replica, name->_shelf)) != NULL &&
                   (self->store = PyObject_GetAttr(self->shelf, name->_store)) != NULL &&
                   (self->find = PyObject_GetAttr(self->store, name->find)) != NULL &&
                   (self->put = PyObject_GetAttr(self->store, name->put)) != NULL &&
                   (self->loading = dict_attribute(self->shelf, name->_loading)) != NULL &&
                   number_attribute(self->replica, name->hold, &self->hold) == 0
               ? 0
               : -1;
}

static PyObject *
short_cuts_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"replica", NULL};
    State *state = PyType_GetModuleState(type);
    PyObject *replica;
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "O:ShortCuts", names, &replica)) {
        return NULL;
    }
    ShortCuts *self = (ShortCuts *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    Py_INCREF(replica);
    self->replica = replica;
    if (short_cuts_take_parts(self, state) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int
short_cuts_traverse(PyObject *object, visitproc visit, void *arg)
{
    ShortCuts *self = (ShortCuts *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->replica);
    Py_VISIT(self->seen);
    Py_VISIT(self->heard);
    Py_VISIT(self->departed);
    Py_VISIT(self->heard_at);
    Py_VISIT(self->neighbours);
    Py_VISIT(self->counts);
    Py_VISIT(self->clock);
    Py_VISIT(self->news);
    Py_VISIT(self->note_key);
    Py_VISIT(self->forgotten);
    Py_VISIT(self->graves);
    Py_VISIT(self->beside);
    Py_VISIT(self->shelf);
    Py_VISIT(self->store);
    Py_VISIT(self->find);
    Py_VISIT(self->put);
    Py_VISIT(self->loading);
    Py_VISIT(self->acquire);
    Py_VISIT(self->release);
    Py_VISIT(self->monotonic);
    Py_VISIT(self->after);
    return 0;
}

/* The replica alone: it is what holds us, and a finalizer may still call us, who then find everything else. */
static int
short_cuts_clear(PyObject *object)
{
    ShortCuts *self = (ShortCuts *)object;
    PyObject *replica = self->replica;
    Py_INCREF(Py_None);
    self->replica = Py_None;
    Py_XDECREF(replica);
    Py_CLEAR(self->after);
    return 0;
}

static void
short_cuts_dealloc(PyObject *object)
{
    ShortCuts *self = (ShortCuts *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_CLEAR(self->replica);
    Py_CLEAR(self->seen);
    Py_CLEAR(self->heard);
    Py_CLEAR(self->departed);
    Py_CLEAR(self->heard_at);
    Py_CLEAR(self->neighbours);
    Py_CLEAR(self->counts);
    Py_CLEAR(self->clock);
    Py_CLEAR(self->news);
    Py_CLEAR(self->note_key);
    Py_CLEAR(self->forgotten);
    Py_CLEAR(self->graves);
    Py_CLEAR(self->beside);
    Py_CLEAR(self->shelf);
    Py_CLEAR(self->store);
    Py_CLEAR(self->find);
    Py_CLEAR(self->put);
    Py_CLEAR(self->loading);
    Py_CLEAR(self->last_node);
    Py_CLEAR(self->acquire);
    Py_CLEAR(self->release);
    Py_CLEAR(self->monotonic);
    Py_CLEAR(self->after);
    type->tp_free(object);
    Py_DECREF(type);
}

/* The time that it is, as HybridClock.present says. */
static int
present(ShortCuts *self, State *state, double now, int64_t *time)
{
    double offset;
    if (double_field(self->clock, state->at._offset, &offset) < 0) {
        return -1;
    }
    double milliseconds = (now + offset) * 1000;
    if (!(milliseconds > -MOST_MILLISECONDS && milliseconds < MOST_MILLISECONDS)) {
        PyErr_SetString(PyExc_OverflowError, "a clock beyond all years");
        return -1;
    }
    *time = (int64_t)milliseconds * ((int64_t)1 << COUNTER_BITS);
    return 0;
}

/* -- telling: Replica._tell and Outbox.tell ------------------------------------------------------------------------ */

/* A reference of its own. */
static PyObject *
outbox_of(State *state, PyObject *neighbour)
{
    PyObject *outbox = field(neighbour, state->at.outbox);
    return outbox == NULL || must_be(outbox, state->outbox_type) < 0 ? NULL : Py_NewRef(outbox);
}

/* It has overflowed: what is not told is to be told of by a resync. */
static int
note_dropped(State *state, PyObject *outbox, PyObject *telling)
{
    int64_t told, number;
    if (number_field(outbox, state->at.told, &told) < 0 || as_number(PyTuple_GET_ITEM(telling, 2), &number) < 0) {
        return -1;
    }
    return number > told ? 0 : set_number_field(outbox, state->at.told, number - 1);
}

static int
put_into_outbox(State *state, PyObject *neighbour, PyObject *key, PyObject *telling)
{
    int status = -1;
    PyObject *items = NULL, *answer = NULL;
    PyObject *outbox = outbox_of(state, neighbour);
    if (outbox == NULL) {
        return -1;
    }
    if (field(outbox, state->at.overflowed) == Py_True) {
        status = note_dropped(state, outbox, telling);
        goto done;
    }
    items = ordered_field(outbox, state->at._items);
    if (items == NULL) {
        goto done;
    }
    if (PyDict_GetItemWithError(items, key) != NULL) {
        answer = PyObject_CallMethodObjArgs(outbox, state->name.tell, key, telling, NULL);
        status = answer == NULL ? -1 : 0;
        goto done;
    }
    int64_t limit;
    if (PyErr_Occurred() || PyODict_SetItem(items, key, telling) < 0 ||
        number_field(outbox, state->at._limit, &limit) < 0) {
        goto done;
    }
    if (PyDict_GET_SIZE(items) > limit) {
        answer = PyObject_CallMethodNoArgs(outbox, state->name._limit_reached);
        status = answer == NULL ? -1 : 0;
        goto done;
    }
    status = 0;
done:
    Py_XDECREF(answer);
    Py_XDECREF(items);
    Py_DECREF(outbox);
    return status;
}

/* Whether a neighbour is told news now: 1 or 0, or -1. */
static int
hears(State *state, PyObject *neighbour)
{
    PyObject *seen = must_be(neighbour, state->neighbour_type) < 0 ? NULL : field(neighbour, state->at.seen);
    return seen == NULL ? -1 : seen != Py_None;
}

static PyObject *
new_telling(ShortCuts *self, State *state, PyObject *authority, int64_t hops)
{
    int64_t count;
    if (number_field(self->news, state->at.count, &count) < 0 ||
        set_number_field(self->news, state->at.count, count + 1) < 0) {
        return NULL;
    }
    PyObject *hops_object = PyLong_FromLongLong(hops), *number = PyLong_FromLongLong(count + 1);
    PyObject *also = PyTuple_New(0);
    PyObject *telling = state->telling_type->tp_alloc(state->telling_type, 5);
    if (hops_object == NULL || number == NULL || also == NULL || telling == NULL) {
        Py_XDECREF(hops_object);
        Py_XDECREF(number);
        Py_XDECREF(also);
        Py_XDECREF(telling);
        return NULL;
    }
    Py_INCREF(authority);
    Py_INCREF(Py_False);
    PyTuple_SET_ITEM(telling, 0, authority);
    PyTuple_SET_ITEM(telling, 1, hops_object);
    PyTuple_SET_ITEM(telling, 2, number);
    PyTuple_SET_ITEM(telling, 3, Py_False);
    PyTuple_SET_ITEM(telling, 4, also);
    return telling;
}

/* News of a key for all neighbours but the one that it came from (or NULL). */
static int
tell(ShortCuts *self, State *state, PyObject *key, PyObject *authority, PyObject *source, int64_t hops)
{
    Py_ssize_t neighbours = PyDict_GET_SIZE(self->neighbours);
    if (hops >= MAXIMUM_HOPS || neighbours == 0 || (neighbours == 1 && source != NULL)) {
        return 0;
    }
    PyObject *telling = NULL, *link, *neighbour;
    Py_ssize_t position = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(self->neighbours, &position, &link, &neighbour)) {
        if (neighbour == source) {
            continue;
        }
        Py_INCREF(neighbour);
        int is_told = hears(state, neighbour);
        if (is_told > 0 && telling == NULL) {
            PyObject *added = PyObject_CallOneArg(self->note_key, key);
            telling = added == NULL ? NULL : new_telling(self, state, authority, hops);
            Py_XDECREF(added);
        }
        if (is_told < 0 || (is_told > 0 && (telling == NULL || put_into_outbox(state, neighbour, key, telling) < 0))) {
            status = -1;
        }
        Py_DECREF(neighbour);
    }
    Py_XDECREF(telling);
    return status;
}

/* -- believing: Replica._take_events ------------------------------------------------------------------------------- */

typedef struct {
    const uint8_t *at, *end;
} Reader;

/* Each returns whether it was there. */

static int
read_big_endian(Reader *reader, int bytes, uint64_t *number)
{
    if (reader->end - reader->at < bytes) {
        return 0;
    }
    *number = 0;
    for (int i = 0; i < bytes; i++) {
        *number = *number << 8 | *reader->at++;
    }
    return 1;
}

static inline int
read_byte(Reader *reader, uint8_t *byte)
{
    if (reader->at == reader->end) {
        return 0;
    }
    *byte = *reader->at++;
    return 1;
}

static int
read_array(Reader *reader, uint64_t *length)
{
    uint8_t first;
    if (!read_byte(reader, &first)) {
        return 0;
    }
    if ((first & 0xf0) == 0x90) {
        *length = first & 0x0f;
        return 1;
    }
    return first == 0xdc ? read_big_endian(reader, 2, length) : 0;
}

static int
read_bin(Reader *reader, const uint8_t **data, uint64_t *length)
{
    uint8_t first;
    if (!read_byte(reader, &first) || first < 0xc4 || first > 0xc6 ||
        !read_big_endian(reader, 1 << (first - 0xc4), length) || (uint64_t)(reader->end - reader->at) < *length) {
        return 0;
    }
    *data = reader->at;
    reader->at += *length;
    return 1;
}

static int
read_number(Reader *reader, uint64_t limit, int64_t *number)
{
    uint8_t first;
    uint64_t value;
    if (!read_byte(reader, &first)) {
        return 0;
    }
    if (first < 128) {
        value = first;
    }
    else if (first < 0xcc || first > 0xcf || !read_big_endian(reader, 1 << (first - 0xcc), &value)) {
        return 0;
    }
    *number = (int64_t)value;
    return value <= limit;
}

static int
read_nil(Reader *reader)
{
    if (reader->at == reader->end || *reader->at != 0xc0) {
        return 0;
    }
    reader->at++;
    return 1;
}

typedef struct {
    const uint8_t *data;
    uint64_t length;
} Piece;

/* A message of events, its columns side by side. Points into the message. */
typedef struct {
    uint64_t node_count, count;
    Piece nodes[MOST_NODES], keys[MAXIMUM_EVENTS], payloads[MAXIMUM_EVENTS]; /* a payload's data NULL: none */
    const uint8_t *kinds, *hops, *origins;
    int64_t times[MAXIMUM_EVENTS], lives[MAXIMUM_EVENTS], other_times[MAXIMUM_EVENTS];
    int64_t other_origins[MAXIMUM_EVENTS]; /* of kinds from LOAD on */
} Message;

static int
read_small_column(Reader *reader, uint64_t count, const uint8_t **column)
{
    uint64_t length;
    return read_bin(reader, column, &length) && length == count;
}

static int
read_others(Reader *reader, Message *message)
{
    uint64_t length, others = 0;
    for (uint64_t i = 0; i < message->count; i++) {
        others += message->kinds[i] >= LOAD;
    }
    if (!read_array(reader, &length) || length != 2 * others) {
        return 0;
    }
    for (uint64_t i = 0; i < message->count; i++) {
        if (message->kinds[i] >= LOAD && (!read_number(reader, MAXIMUM_TIME, &message->other_times[i]) ||
                                          !read_number(reader, message->node_count - 1, &message->other_origins[i]))) {
            return 0;
        }
    }
    return 1;
}

/* Whether this is a message of events that are written as we write them. Others may be right as well, or wrong: to
   tell is not our business. */
static int
read_message(Reader *reader, Message *message)
{
    uint64_t length;
    int64_t type;
    if (!read_array(reader, &length) || length != 10 || !read_number(reader, 255, &type) || type != EVENTS ||
        !read_array(reader, &message->node_count) || message->node_count > MOST_NODES) {
        return 0;
    }
    for (uint64_t i = 0; i < message->node_count; i++) {
        Piece *node = &message->nodes[i];
        if (!read_bin(reader, &node->data, &node->length) || node->length != NODE_BYTES) {
            return 0;
        }
    }
    if (!read_bin(reader, &message->kinds, &message->count) || message->count == 0 ||
        message->count > MAXIMUM_EVENTS || !read_small_column(reader, message->count, &message->hops) ||
        !read_small_column(reader, message->count, &message->origins)) {
        return 0;
    }
    if (!read_array(reader, &length) || length != message->count) {
        return 0;
    }
    for (uint64_t i = 0; i < message->count; i++) {
        if (message->kinds[i] >= KINDS || message->origins[i] >= message->node_count ||
            !read_number(reader, MAXIMUM_TIME, &message->times[i])) {
            return 0;
        }
    }
    if (!read_array(reader, &length) || length != message->count) {
        return 0;
    }
    for (uint64_t i = 0; i < message->count; i++) {
        Piece *key = &message->keys[i];
        if (!read_bin(reader, &key->data, &key->length) || key->length == 0 || key->length > MAXIMUM_KEY_BYTES) {
            return 0;
        }
    }
    if (!read_array(reader, &length) || length != message->count) {
        return 0;
    }
    for (uint64_t i = 0; i < message->count; i++) {
        Piece *payload = &message->payloads[i];
        int has_value = message->kinds[i] == SET || message->kinds[i] == LOAD;
        payload->data = NULL;
        if (has_value ? !read_bin(reader, &payload->data, &payload->length) : !read_nil(reader)) {
            return 0;
        }
    }
    if (!read_array(reader, &length) || length != message->count) {
        return 0;
    }
    for (uint64_t i = 0; i < message->count; i++) {
        message->lives[i] = NO_LIFE;
        if (!read_nil(reader) && !read_number(reader, MAXIMUM_LIFE_MS, &message->lives[i])) {
            return 0;
        }
    }
    return read_others(reader, message) && reader->at == reader->end;
}

/* Nodes as bytes, each the same object as far as that is easy. */
static int
make_nodes(ShortCuts *self, const Message *message, PyObject **nodes)
{
    for (uint64_t i = 0; i < message->node_count; i++) {
        PyObject *node = self->last_node;
        if (node != NULL && memcmp(PyBytes_AS_STRING(node), message->nodes[i].data, NODE_BYTES) == 0) {
            Py_INCREF(node);
        }
        else {
            node = PyBytes_FromStringAndSize((const char *)message->nodes[i].data, NODE_BYTES);
            if (node == NULL) {
                while (i > 0) {
                    Py_DECREF(nodes[--i]);
                }
                return -1;
            }
            Py_INCREF(node);
            Py_XSETREF(self->last_node, node);
        }
        nodes[i] = node;
    }
    return 0;
}

/* Take note of how far a node is: as Replica._hear, for one that is known and here. */
static int
hear_one(ShortCuts *self, State *state, Age age, PyObject *now_object)
{
    int64_t last, known_time;
    PyObject *known = PyDict_GetItemWithError(self->heard, age.node);
    PyObject *at = known == NULL ? NULL : PyDict_GetItemWithError(self->heard_at, age.node);
    if (at == NULL || PyDict_GET_SIZE(self->departed) > 0) {
        PyObject *version = PyErr_Occurred() ? NULL : version_from(state, age);
        PyObject *answer = version == NULL ? NULL
                                           : PyObject_CallMethodObjArgs(self->replica, state->name._hear, version,
                                                                        now_object, NULL);
        Py_XDECREF(version);
        Py_XDECREF(answer);
        return answer == NULL ? -1 : 0;
    }
    known_time = PyLong_AsLongLong(known);
    if ((known_time == -1 && PyErr_Occurred()) || number_field(self->clock, state->at._last, &last) < 0 ||
        (age.time > last && set_number_field(self->clock, state->at._last, age.time) < 0)) {
        return -1;
    }
    if (age.time <= known_time) {
        return 0;
    }
    PyObject *time = PyLong_FromLongLong(age.time);
    PyObject *moved = NULL;
    if (time != NULL && PyDict_SetItem(self->heard, age.node, time) == 0 &&
        PyODict_SetItem(self->heard_at, age.node, now_object) == 0) {
        moved = PyObject_CallMethodOneArg(self->heard_at, state->name.move_to_end, age.node);
    }
    Py_XDECREF(time);
    Py_XDECREF(moved);
    return moved == NULL ? -1 : 0;
}

/* Refuse times from the future, and take note of how far each node is: as the beginning of Replica._take_events. */
static int
hear(ShortCuts *self, State *state, const Message *message, PyObject **nodes, PyObject *source, PyObject *now_object,
     double now)
{
    int64_t newest = 0, allowed, time;
    for (uint64_t i = 0; i < message->count; i++) {
        newest = message->times[i] > newest ? message->times[i] : newest;
        if (message->kinds[i] >= LOAD && message->other_times[i] > newest) {
            newest = message->other_times[i];
        }
    }
    if (present(self, state, now, &time) < 0 || number_field(source, state->at.ahead_allowed, &allowed) < 0) {
        return -1;
    }
    PyObject *answer;
    if (newest > time + allowed) {
        PyObject *newest_object = PyLong_FromLongLong(newest);
        answer = newest_object == NULL ? NULL
                                       : PyObject_CallMethodObjArgs(self->replica, state->name._require_present,
                                                                    newest_object, source, now_object, NULL);
        Py_XDECREF(newest_object);
        if (answer == NULL) {
            return -1;
        }
        Py_DECREF(answer);
    }
    int is_of_one = 1;
    for (uint64_t i = 0; i < message->count; i++) {
        is_of_one &= message->origins[i] == message->origins[0] &&
                     (message->kinds[i] < LOAD || message->other_origins[i] == message->origins[0]);
    }
    if (is_of_one) {
        return hear_one(self, state, (Age){newest, nodes[message->origins[0]]}, now_object);
    }
    PyObject *versions = PyList_New(0);
    for (uint64_t i = 0; versions != NULL && i < message->count; i++) {
        for (int other = 0; versions != NULL && other <= (message->kinds[i] >= LOAD); other++) {
            Age age = other ? (Age){message->other_times[i], nodes[message->other_origins[i]]}
                            : (Age){message->times[i], nodes[message->origins[i]]};
            PyObject *version = version_from(state, age);
            if (version == NULL || PyList_Append(versions, version) < 0) {
                Py_CLEAR(versions);
            }
            Py_XDECREF(version);
        }
    }
    answer = versions == NULL ? NULL
                              : PyObject_CallMethodObjArgs(self->replica, state->name._hear_all, versions, now_object,
                                                           NULL);
    Py_XDECREF(versions);
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

/* A key of the most usual kinds. NULL without an exception: decode_key knows. */
static PyObject *
plain_key(const uint8_t *data, uint64_t length)
{
    uint8_t first = data[0];
    const uint8_t *text = NULL;
    uint64_t text_length = 0;
    if ((first & 0xe0) == 0xa0 && length == 1 + (uint64_t)(first & 0x1f)) {
        text = data + 1;
        text_length = length - 1;
    }
    else if (first == 0xd9 && length >= 2 && length == 2 + (uint64_t)data[1] && data[1] >= 32) {
        text = data + 2;
        text_length = length - 2;
    }
    if (text != NULL) {
        PyObject *key = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)text_length, NULL);
        if (key == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            PyErr_Clear(); /* decode_key says it in its own way */
        }
        return key;
    }
    if (first < 128 && length == 1) {
        return PyLong_FromLong(first);
    }
    static const uint64_t least[] = {128, 256, 65536, (uint64_t)UINT32_MAX + 1};
    if (first >= 0xcc && first <= 0xcf) {
        Reader reader = {data + 1, data + length};
        uint64_t number;
        if (read_big_endian(&reader, 1 << (first - 0xcc), &number) && reader.at == reader.end &&
            number >= least[first - 0xcc]) {
            return PyLong_FromUnsignedLongLong(number);
        }
    }
    return NULL;
}

static PyObject *
name_of(State *state, PyObject *key)
{
    PyObject *name = plain_key((const uint8_t *)PyBytes_AS_STRING(key), (uint64_t)PyBytes_GET_SIZE(key));
    return name != NULL || PyErr_Occurred() ? name : PyObject_CallOneArg(state->decode_key, key);
}

/* The newest time forgotten in this key's bucket. */
static int
floor_of(ShortCuts *self, State *state, PyObject *key, int64_t *floor)
{
    PyObject *floors = dict_field(self->forgotten, state->at.floors);
    if (floors == NULL) {
        return -1;
    }
    Py_ssize_t count = PyDict_GET_SIZE(floors);
    Py_DECREF(floors);
    if (count == 0) {
        return number_field(self->forgotten, state->at.base, floor);
    }
    PyObject *answer = PyObject_CallMethodOneArg(self->forgotten, state->name.floor, key);
    if (answer == NULL) {
        return -1;
    }
    *floor = PyLong_AsLongLong(answer);
    Py_DECREF(answer);
    return *floor == -1 && PyErr_Occurred() ? -1 : 0;
}

/* An event as it is applied. Owns what it points to. */
typedef struct {
    PyObject *key, *payload, *name, *entry, *stamp; /* entry, stamp: what is held; NULL: nothing */
    Age version, other;                             /* nodes borrowed */
    double deadline;
} Arrival;

/* Whether a load may have seen the newer write and not the older one: Replica._are_near. */
static int
are_near(const ShortCuts *self, Age older, Age newer)
{
    return older.time > newer.time - self->hold && bytes_order(older.node, newer.node) != 0;
}

/* Whether a set goes in without further ado: `Replica._merge_set` for what has no grave and was not superseded. */
static int
judge_set(ShortCuts *self, State *state, const Arrival *arrival)
{
    if (arrival->entry == NULL) {
        int64_t floor;
        if (floor_of(self, state, arrival->key, &floor) < 0) {
            return FAILED;
        }
        return arrival->version.time > floor ? KEEP : PUT_OFF;
    }
    const Stamp *held = (const Stamp *)arrival->stamp;
    if (held == NULL || !held->is_set || age_order(arrival->version, held->version) <= 0) {
        return PUT_OFF;
    }
    /* Of two that are near the older is to be remembered, too. */
    return are_near(self, held->version, arrival->version) ? PUT_OFF : KEEP;
}

/* Likewise for a load: `Replica._merge_load` for what is not held. */
static int
judge_load(ShortCuts *self, State *state, const Arrival *arrival)
{
    int64_t floor;
    if (arrival->entry != NULL) {
        return PUT_OFF;
    }
    if (floor_of(self, state, arrival->key, &floor) < 0) {
        return FAILED;
    }
    return arrival->version.time > floor + self->hold ? KEEP : PUT_OFF;
}

/* What is held for its name: the entry, and its stamp if it has one. */
static int
look_up(ShortCuts *self, State *state, Arrival *arrival)
{
    arrival->entry = PyObject_CallOneArg(self->find, arrival->name);
    if (arrival->entry == NULL) {
        return -1;
    }
    if (arrival->entry == Py_None) {
        Py_CLEAR(arrival->entry);
        return 0;
    }
    arrival->stamp = PyObject_GetAttr(arrival->entry, state->name.version);
    if (arrival->stamp == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(arrival->stamp, state->stamp_type)) {
        Py_CLEAR(arrival->stamp);
    }
    return 0;
}

/* The first of an ordered dict, taken out. */
static int
pop_first(State *state, PyObject *items, PyObject **key, PyObject **item)
{
    PyObject *stack[] = {items, Py_False};
    PyObject *pair = PyObject_VectorcallMethod(state->name.popitem, stack, 1, state->last_is_false);
    if (pair == NULL || !PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        Py_XDECREF(pair);
        return -1;
    }
    *key = Py_NewRef(PyTuple_GET_ITEM(pair, 0));
    *item = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    Py_DECREF(pair);
    return 0;
}

static int
drop(PyObject *dict, PyObject *key)
{
    if (PyDict_DelItem(dict, key) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
            return -1;
        }
        PyErr_Clear();
    }
    return 0;
}

/* A grave goes into the floor of its bucket: Forgotten._collect. */
static int
collect(ShortCuts *self, State *state)
{
    PyObject *key, *version, *floors = NULL, *changed_at = NULL, *bucket = NULL, *number = NULL;
    Age age;
    int64_t floor, changes;
    int status = -1;
    if (pop_first(state, self->graves, &key, &version) < 0) {
        return -1;
    }
    if (age_from(version, &age) < 0 || (PyDict_GET_SIZE(self->beside) > 0 && drop(self->beside, key) < 0) ||
        (floors = dict_field(self->forgotten, state->at.floors)) == NULL ||
        (changed_at = dict_field(self->forgotten, state->at._changed_at)) == NULL ||
        (bucket = PyObject_CallOneArg(state->bucket_of, key)) == NULL) {
        goto done;
    }
    PyObject *known = PyDict_GetItemWithError(floors, bucket);
    floor = known != NULL ? PyLong_AsLongLong(known) : 0;
    if (PyErr_Occurred() || (known == NULL && number_field(self->forgotten, state->at.base, &floor) < 0) ||
        number_field(self->forgotten, state->at.changes, &changes) < 0) {
        goto done;
    }
    if (age.time > floor) {
        if (PyDict_SetItem(floors, bucket, PyTuple_GET_ITEM(version, 0)) < 0) {
            goto done;
        }
        known = version;
        changes++; /* once for the floor that rises, and once for what it stands for */
    }
    if (known != NULL) {
        number = PyLong_FromLongLong(++changes);
        if (number == NULL || PyDict_SetItem(changed_at, bucket, number) < 0) {
            goto done;
        }
        set_field(self->forgotten, state->at.changes, number);
    }
    status = add_to_field(self->forgotten, state->at.collected, 1);
done:
    Py_XDECREF(number);
    Py_XDECREF(bucket);
    Py_XDECREF(changed_at);
    Py_XDECREF(floors);
    Py_DECREF(key);
    Py_DECREF(version);
    return status;
}

/* Remember the age of a set whose key has no grave: Forgotten.bury. */
static int
bury(ShortCuts *self, State *state, PyObject *key, PyObject *version)
{
    int status = PyODict_SetItem(self->graves, key, version);
    while (status == 0 && PyDict_GET_SIZE(self->graves) > self->most_graves) {
        status = collect(self, state);
    }
    return status;
}

/* Whether what left was only a value whose key is now absent and has no grave, which then it gets: Replica.left. */
static int
left_plainly(ShortCuts *self, State *state, PyObject *each)
{
    const Stamp *stamp = (const Stamp *)PyTuple_GET_ITEM(each, 2);
    if (!Py_IS_TYPE(stamp, state->stamp_type) || !stamp->is_set) {
        return 1;
    }
    PyObject *version = version_from(state, stamp->version); /* before all that, since a finalizer may bury as well */
    PyObject *held = version == NULL ? NULL : PyObject_CallOneArg(self->find, PyTuple_GET_ITEM(each, 0));
    if (held == NULL) {
        Py_XDECREF(version);
        return -1;
    }
    Py_DECREF(held);
    int has_grave = PyDict_Contains(self->graves, stamp->key); /* not before that, which may run a key's own code */
    int done = has_grave < 0 ? -1 : !has_grave && held == Py_None;
    if (done > 0 && bury(self, state, stamp->key, version) < 0) {
        done = -1;
    }
    Py_DECREF(version);
    return done;
}

/* What is known of the age of what left the store. */
static int
left(ShortCuts *self, State *state, PyObject *gone)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(gone); i++) {
        PyObject *each = PyList_GET_ITEM(gone, i);
        int done = left_plainly(self, state, each);
        if (done == 0) {
            PyObject *one = PyTuple_Pack(1, each);
            PyObject *answer = one == NULL ? NULL : PyObject_CallMethodOneArg(self->replica, state->name.left, one);
            Py_XDECREF(one);
            Py_XDECREF(answer);
            done = answer == NULL ? -1 : 1;
        }
        if (done < 0) {
            return -1;
        }
    }
    return 0;
}

/* What left the store: remember it for who tells, and what is known of its age. Steals `gone`, a list. */
static int
let_go(ShortCuts *self, State *state, PyObject *gone)
{
    if (gone == NULL) {
        return -1;
    }
    int status = 0;
    if (PyList_Check(gone) && PyList_GET_SIZE(gone) > 0) {
        PyObject *all = PyObject_GetAttr(self->shelf, state->name.gone);
        status = all == NULL || !PyList_Check(all)
                     ? -1
                     : PyList_SetSlice(all, PyList_GET_SIZE(all), PyList_GET_SIZE(all), gone);
        Py_XDECREF(all);
        status = status < 0 ? -1 : left(self, state, gone);
    }
    Py_DECREF(gone);
    return status;
}

/* As Shelf.keep: in an entry of its own. What it replaces is a set whose age the new one's says enough of. */
static int
keep(ShortCuts *self, State *state, Arrival *arrival, PyObject *stamp, PyObject *now_object)
{
    if (arrival->entry != NULL) {
        PyObject *name = PyObject_GetAttr(arrival->entry, state->name.key);
        if (name == NULL) {
            return -1;
        }
        Py_SETREF(arrival->name, name);
        PyObject *removed = PyObject_CallMethodObjArgs(self->store, state->name.remove, arrival->entry,
                                                       state->replaced, now_object, NULL);
        PyObject *all = removed == NULL ? NULL : PyObject_GetAttr(self->shelf, state->name.gone);
        int status = all == NULL || !PyList_Check(all) ? -1 : removed == Py_None ? 0 : PyList_Append(all, removed);
        Py_XDECREF(all);
        Py_XDECREF(removed);
        if (status < 0) {
            return -1;
        }
    }
    PyObject *deadline = arrival->deadline == Py_HUGE_VAL ? Py_NewRef(state->forever)
                                                          : PyFloat_FromDouble(arrival->deadline);
    if (deadline == NULL) {
        return -1;
    }
    PyObject *stack[] = {arrival->name, arrival->payload, now_object, deadline, state->never_fresh, stamp};
    PyObject *gone = PyObject_Vectorcall(self->put, stack, 6, NULL);
    Py_DECREF(deadline);
    return let_go(self, state, gone);
}

/* Apply a set or a load, if it is plain. */
static int
apply(ShortCuts *self, State *state, int kind, int hops, Arrival *arrival, PyObject *source, PyObject *now_object)
{
    PyObject *version = version_from(state, arrival->version);
    arrival->name = version == NULL ? NULL : name_of(state, arrival->key);
    if (arrival->name == NULL || look_up(self, state, arrival) < 0) {
        Py_XDECREF(version);
        return FAILED;
    }
    /* Not before that: a finalizer or a key's own code may have written, or begun to load. */
    int has_grave = PyDict_Contains(self->graves, arrival->key);
    int verdict = has_grave < 0 ? FAILED : PUT_OFF;
    if (has_grave == 0 && PyDict_GET_SIZE(self->loading) == 0) {
        verdict = kind == SET ? judge_set(self, state, arrival) : judge_load(self, state, arrival);
    }
    if (verdict != KEEP) {
        Py_DECREF(version);
        return verdict;
    }
    PyObject *stamp = new_stamp(state, arrival->key, arrival->version, kind == SET, arrival->payload,
                                kind == SET ? arrival->version : arrival->other);
    int status = stamp == NULL ? -1 : keep(self, state, arrival, stamp, now_object);
    if (status == 0) {
        PyObject *authority = kind == SET ? version : state->nothing;
        status = tell(self, state, arrival->key, authority, source, hops);
    }
    Py_XDECREF(stamp);
    Py_DECREF(version);
    return status < 0 ? FAILED : KEEP;
}

static void
let_arrival_go(Arrival *arrival)
{
    Py_XDECREF(arrival->key);
    Py_XDECREF(arrival->payload);
    Py_XDECREF(arrival->name);
    Py_XDECREF(arrival->entry);
    Py_XDECREF(arrival->stamp);
}

/* Whether everything of this node up to this time is known here already. */
static int
is_repeat(ShortCuts *self, int64_t time, PyObject *node)
{
    PyObject *seen = PyDict_GetItemWithError(self->seen, node);
    if (seen == NULL) {
        return PyErr_Occurred() ? -1 : time <= 0;
    }
    int64_t known = PyLong_AsLongLong(seen);
    return known == -1 && PyErr_Occurred() ? -1 : time <= known;
}

/* Let the replica merge it, by all its rules. */
static int
merge(ShortCuts *self, State *state, const Message *message, uint64_t i, PyObject **nodes, const Arrival *arrival,
      PyObject *source, PyObject *now_object)
{
    PyObject *event = state->event_type->tp_alloc(state->event_type, 7);
    if (event == NULL) {
        return -1;
    }
    PyTuple_SET_ITEM(event, 0, Py_NewRef(state->kinds[message->kinds[i]]));
    PyTuple_SET_ITEM(event, 1, Py_NewRef(arrival->key));
    PyTuple_SET_ITEM(event, 2, version_from(state, arrival->version));
    PyTuple_SET_ITEM(event, 3, PyLong_FromLong(message->hops[i]));
    PyTuple_SET_ITEM(event, 4, Py_NewRef(arrival->payload != NULL ? arrival->payload : Py_None));
    PyTuple_SET_ITEM(event, 5, message->lives[i] == NO_LIFE ? Py_NewRef(Py_None)
                                                            : PyLong_FromLongLong(message->lives[i]));
    PyTuple_SET_ITEM(event, 6, message->kinds[i] < LOAD
                                   ? Py_NewRef(state->nothing)
                                   : version_from(state, (Age){message->other_times[i],
                                                               nodes[message->other_origins[i]]}));
    PyObject *answer = NULL;
    if (!PyErr_Occurred()) {
        answer = PyObject_CallMethodObjArgs(self->replica, state->name._merge, event, source, now_object, NULL);
    }
    Py_DECREF(event);
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

static int
take_event(ShortCuts *self, State *state, const Message *message, uint64_t i, PyObject **nodes, PyObject *source,
           PyObject *now_object, double now, double half_trip, int64_t *applied, int64_t *repeated)
{
    int kind = message->kinds[i];
    Arrival arrival = {.version = {message->times[i], nodes[message->origins[i]]}};
    if (kind >= LOAD) {
        arrival.other = (Age){message->other_times[i], nodes[message->other_origins[i]]};
    }
    Age told = kind == LOAD ? arrival.other : arrival.version;
    if (kind != TOUCH) {
        int repeat = is_repeat(self, told.time, told.node);
        if (repeat != 0) {
            *repeated += repeat > 0;
            return repeat < 0 ? -1 : 0;
        }
    }
    const Piece *key = &message->keys[i], *payload = &message->payloads[i];
    arrival.key = PyBytes_FromStringAndSize((const char *)key->data, (Py_ssize_t)key->length);
    if (arrival.key != NULL && payload->data != NULL) {
        arrival.payload = PyBytes_FromStringAndSize((const char *)payload->data, (Py_ssize_t)payload->length);
    }
    int outcome = arrival.key == NULL || (payload->data != NULL && arrival.payload == NULL) ? FAILED : PUT_OFF;
    if (outcome == PUT_OFF && (kind == SET || kind == LOAD)) {
        arrival.deadline = message->lives[i] == NO_LIFE ? Py_HUGE_VAL
                                                        : now + (double)message->lives[i] / 1000 - half_trip;
        if (arrival.deadline > now) {
            outcome = apply(self, state, kind, message->hops[i], &arrival, source, now_object);
        }
    }
    if (outcome == KEEP) {
        ++*applied;
    }
    else if (outcome == PUT_OFF) {
        outcome = merge(self, state, message, i, nodes, &arrival, source, now_object) < 0 ? FAILED : KEEP;
    }
    let_arrival_go(&arrival);
    return outcome == FAILED ? -1 : 0;
}

static int
take_events(ShortCuts *self, State *state, const Message *message, PyObject **nodes, PyObject *source,
            PyObject *now_object)
{
    double now = PyFloat_AsDouble(now_object), half_trip;
    if ((now == -1.0 && PyErr_Occurred()) || hear(self, state, message, nodes, source, now_object, now) < 0 ||
        double_field(source, state->at.half_trip, &half_trip) < 0) {
        return -1;
    }
    int64_t applied = 0, repeated = 0;
    int status = 0;
    for (uint64_t i = 0; status == 0 && i < message->count; i++) {
        status = take_event(self, state, message, i, nodes, source, now_object, now, half_trip, &applied, &repeated);
    }
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    if (add_to_attribute(self->counts, state->name.applied, applied) < 0 ||
        add_to_attribute(self->counts, state->name.repeated, repeated) < 0) {
        status = -1;
    }
    if (kind != NULL) {
        PyErr_Restore(kind, value, trace);
    }
    return status;
}

static PyObject *
short_cuts_take(ShortCuts *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (state == NULL || nargs != 3 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "take() needs a message, the neighbour that it came from, and the time");
        return NULL;
    }
    if (must_be(args[1], state->neighbour_type) < 0) {
        return NULL;
    }
    Message message;
    PyObject *nodes[MOST_NODES];
    Reader reader = {(const uint8_t *)PyBytes_AS_STRING(args[0]), NULL};
    reader.end = reader.at + PyBytes_GET_SIZE(args[0]);
    if (!read_message(&reader, &message)) {
        Py_RETURN_FALSE;
    }
    if (make_nodes(self, &message, nodes) < 0) {
        return NULL;
    }
    int status = take_events(self, state, &message, nodes, args[1], args[2]);
    for (uint64_t i = 0; i < message.node_count; i++) {
        Py_DECREF(nodes[i]);
    }
    if (status < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

/* -- sending: Replica._drain_outbox -------------------------------------------------------------------------------- */

/* Add a set that is held as it was told: KEEP; PUT_OFF: the replica knows what is to be said. */
static int
add_plain(ShortCuts *self, State *state, Batch *batch, PyObject *key, PyObject *telling, Py_ssize_t value_limit,
          double now)
{
    Age authority;
    if (PyTuple_GET_SIZE(telling) != 5 || age_from(PyTuple_GET_ITEM(telling, 0), &authority) < 0) {
        return FAILED;
    }
    long hops = PyLong_AsLong(PyTuple_GET_ITEM(telling, 1));
    if (hops == -1 && PyErr_Occurred()) {
        return FAILED;
    }
    PyObject *also = PyTuple_GET_ITEM(telling, 4);
    int has_grave = PyDict_Contains(self->graves, key);
    if (has_grave != 0 || PyTuple_GET_ITEM(telling, 3) != Py_False || PyTuple_GET_SIZE(also) != 0) {
        return has_grave < 0 ? FAILED : PUT_OFF;
    }
    Arrival held = {.key = NULL};
    int outcome = FAILED;
    held.name = name_of(state, key);
    if (held.name == NULL || look_up(self, state, &held) < 0) {
        goto done;
    }
    outcome = PUT_OFF;
    Stamp *stamp = (Stamp *)held.stamp;
    if (stamp == NULL || !stamp->is_set || stamp->payload == Py_None || age_order(stamp->version, authority) != 0 ||
        PyBytes_GET_SIZE(stamp->payload) > value_limit || age_order(stamp->life_version, stamp->version) != 0) {
        goto done;
    }
    double deadline;
    if (double_attribute(held.entry, state->name.deadline, &deadline) < 0) {
        outcome = FAILED;
        goto done;
    }
    Told told = {.key = stamp->key, .payload = stamp->payload, .version = stamp->version, .life = NO_LIFE,
                 .kind = SET, .hops = (uint8_t)(hops + 1)};
    if (deadline != Py_HUGE_VAL) {
        double life = (deadline - now) * 1000;
        if (!(life >= 1 && life < (double)MAXIMUM_LIFE_MS)) {
            goto done;
        }
        told.life = (int64_t)life;
    }
    outcome = batch_take(batch, &told) < 0 ? FAILED : KEEP;
done:
    let_arrival_go(&held);
    return outcome;
}

/* Add what is to be said of a key. */
static int
add(ShortCuts *self, State *state, Batch *batch, PyObject *neighbour, PyObject *key, PyObject *telling,
    int64_t value_limit, PyObject *now_object, double now)
{
    int outcome = PyBytes_Check(key) ? add_plain(self, state, batch, key, telling, (Py_ssize_t)value_limit, now)
                                     : PUT_OFF;
    if (outcome == PUT_OFF) {
        PyObject *stack[] = {self->replica, (PyObject *)batch, neighbour, key, telling, now_object};
        PyObject *answer = PyObject_VectorcallMethod(state->name._add_events, stack, 6, NULL);
        outcome = answer == NULL ? FAILED : KEEP;
        Py_XDECREF(answer);
    }
    return outcome == FAILED ? -1 : 0;
}

static PyObject *
drain(ShortCuts *self, State *state, Batch *batch, PyObject *neighbour, PyObject *outbox, PyObject *items,
      PyObject *now_object)
{
    double now = PyFloat_AsDouble(now_object);
    int64_t value_limit;
    if ((now == -1.0 && PyErr_Occurred()) || number_field(neighbour, state->at.value_limit, &value_limit) < 0) {
        return NULL;
    }
    while (batch->has_room && PyDict_GET_SIZE(items) > 0) {
        PyObject *key, *item;
        if (pop_first(state, items, &key, &item) < 0) {
            return NULL;
        }
        if (!Py_IS_TYPE(item, state->telling_type)) {
            int is_seen = PyObject_RichCompareBool(key, state->zero, Py_EQ);
            Py_DECREF(key);
            if (is_seen < 0 || (!is_seen && add_to_field(outbox, state->at._remarks_waiting, -1) < 0)) {
                Py_CLEAR(item);
            }
            return item;
        }
        int status = add(self, state, batch, neighbour, key, item, value_limit, now_object, now);
        Py_DECREF(key);
        Py_DECREF(item);
        if (status < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
short_cuts_drain(ShortCuts *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (state == NULL || nargs != 3 || !Py_IS_TYPE(args[0], state->batch_type)) {
        PyErr_SetString(PyExc_TypeError, "drain() needs a batch, a neighbour, and the time");
        return NULL;
    }
    if (must_be(args[1], state->neighbour_type) < 0) {
        return NULL;
    }
    PyObject *outbox = outbox_of(state, args[1]);
    PyObject *items = outbox == NULL ? NULL : ordered_field(outbox, state->at._items);
    PyObject *remark = items == NULL ? NULL : drain(self, state, (Batch *)args[0], args[1], outbox, items, args[2]);
    Py_XDECREF(items);
    Py_XDECREF(outbox);
    return remark;
}

/* -- sending alone: Replica.to_send for who has just written ------------------------------------------------------ */

#define FEW_NODES 16

/* The message of what was seen of these nodes: NULL without an exception if they are many. */
static PyObject *
seen_message(ShortCuts *self, PyObject *changed)
{
    PyObject *nodes[FEW_NODES], *iterator, *node;
    int64_t times[FEW_NODES];
    size_t count = 0;
    iterator = PyObject_GetIter(changed);
    /* Counted after that, for which the garbage collector may run, and a finalizer that writes. */
    if (iterator == NULL || PySet_GET_SIZE(changed) > FEW_NODES) {
        Py_XDECREF(iterator);
        return NULL;
    }
    while (count < FEW_NODES && (node = PyIter_Next(iterator)) != NULL) {
        PyObject *time = PyDict_GetItemWithError(self->seen, node);
        if (time != NULL) {
            nodes[count] = node;
            times[count++] = PyLong_AsLongLong(time);
        }
        Py_DECREF(node); /* `changed` holds it, and nobody else runs meanwhile */
    }
    Py_DECREF(iterator);
    if (PyErr_Occurred()) {
        return NULL;
    }
    uint8_t room[16 + FEW_NODES * (2 + NODE_BYTES + 9)];
    Writer writer = {room, 0};
    write_array(&writer, 3);
    write_number(&writer, SEEN);
    write_header(&writer, 0xc2, 0, 0); /* not the whole of it */
    write_array(&writer, 2 * count);
    for (size_t i = 0; i < count; i++) {
        if (PyBytes_GET_SIZE(nodes[i]) != NODE_BYTES || times[i] < 0) {
            return NULL;
        }
        write_bin(&writer, PyBytes_AS_STRING(nodes[i]), NODE_BYTES);
        write_number(&writer, (uint64_t)times[i]);
    }
    return PyBytes_FromStringAndSize((const char *)room, (Py_ssize_t)writer.bytes);
}

/* The nodes of which our `seen` has risen since the neighbour was told: a set, and a reference of its own. */
static PyObject *
changes_of(State *state, PyObject *neighbour)
{
    PyObject *changed = must_be(neighbour, state->neighbour_type) < 0 ? NULL : field(neighbour, state->at.seen_changed);
    return changed == NULL || must_be(changed, &PySet_Type) < 0 ? NULL : Py_NewRef(changed);
}

/* Whether a neighbour is told what is new and nothing else: 1 or 0, or -1. */
static int
is_up_to_date(State *state, PyObject *neighbour, PyObject *outbox)
{
    int hearing = hears(state, neighbour);
    PyObject *greeted = hearing < 0 ? NULL : field(neighbour, state->at.greeted);
    PyObject *resync = greeted == NULL ? NULL : field(neighbour, state->at.resync);
    PyObject *overflowed = resync == NULL ? NULL : field(outbox, state->at.overflowed);
    return overflowed == NULL ? -1 : hearing && greeted == Py_True && overflowed == Py_False && resync == Py_None;
}

/* Put what was seen behind the news, if it has changed and no such remark waits there. */
static int
remark_seen(ShortCuts *self, State *state, PyObject *neighbour, PyObject *outbox, PyObject *items)
{
    PyObject *changed = changes_of(state, neighbour);
    if (changed == NULL) {
        return -1;
    }
    int status = PySet_GET_SIZE(changed) == 0 ? 1 : PyDict_Contains(items, state->zero);
    if (status == 0) {
        PyObject *message = seen_message(self, changed); /* for which a finalizer may run, and write too much */
        int up_to_date = message == NULL ? 0 : is_up_to_date(state, neighbour, outbox);
        if (up_to_date > 0) {
            status = PyODict_SetItem(items, state->zero, message) < 0 || PySet_Clear(changed) < 0 ? -1 : 0;
        }
        else if (message == NULL && !PyErr_Occurred()) {
            PyObject *answer = PyObject_CallMethodOneArg(self->replica, state->name._remark_seen, neighbour);
            status = answer == NULL ? -1 : 0;
            Py_XDECREF(answer);
        }
        Py_XDECREF(message);
    }
    Py_DECREF(changed);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *
messages_for_all(ShortCuts *self, State *state, PyObject *neighbour, PyObject *outbox, PyObject *items,
                 PyObject *now_object)
{
    int64_t value_limit;
    if (number_field(neighbour, state->at.value_limit, &value_limit) < 0 ||
        remark_seen(self, state, neighbour, outbox, items) < 0) {
        return NULL;
    }
    PyObject *batch = new_batch(state->batch_type, (Py_ssize_t)value_limit);
    PyObject *remark = batch == NULL ? NULL : drain(self, state, (Batch *)batch, neighbour, outbox, items, now_object);
    PyObject *bodies = remark == NULL ? NULL : batch_bodies((Batch *)batch, NULL);
    if (bodies != NULL && remark != Py_None && PyList_Append(bodies, remark) < 0) {
        Py_CLEAR(bodies);
    }
    Py_XDECREF(remark);
    Py_XDECREF(batch);
    return bodies;
}

/* Add what was seen, which is behind the news if there are none left. If there are, it stays for later. */
static int
add_seen(ShortCuts *self, State *state, PyObject *neighbour, PyObject *outbox, PyObject *items, PyObject *bodies)
{
    PyObject *changed = changes_of(state, neighbour);
    if (changed == NULL) {
        return -1;
    }
    if (PySet_GET_SIZE(changed) == 0) {
        Py_DECREF(changed);
        return 0;
    }
    PyObject *message = seen_message(self, changed); /* for which a finalizer may run, and write: look after it */
    int status = message == NULL && PyErr_Occurred() ? -1 : 0;
    int up_to_date = status < 0 ? -1 : is_up_to_date(state, neighbour, outbox);
    if (message != NULL && up_to_date > 0 && PyDict_GET_SIZE(items) == 0) {
        status = PyList_Append(bodies, message) < 0 || PySet_Clear(changed) < 0 ? -1 : 0;
    }
    Py_XDECREF(message);
    Py_DECREF(changed);
    return up_to_date < 0 ? -1 : status;
}

/* The messages for the only news that there is. */
static PyObject *
messages_for_one(ShortCuts *self, State *state, PyObject *neighbour, PyObject *outbox, PyObject *items, PyObject *key,
                 PyObject *telling, PyObject *now_object)
{
    int64_t value_limit;
    double now = PyFloat_AsDouble(now_object);
    PyObject *bodies = NULL, *batch = NULL;
    Py_INCREF(key);
    Py_INCREF(telling);
    if ((now == -1.0 && PyErr_Occurred()) || number_field(neighbour, state->at.value_limit, &value_limit) < 0 ||
        PyODict_DelItem(items, key) < 0) {
        goto done;
    }
    batch = new_batch(state->batch_type, (Py_ssize_t)value_limit);
    if (batch == NULL ||
        add(self, state, (Batch *)batch, neighbour, key, telling, value_limit, now_object, now) < 0) {
        goto done;
    }
    bodies = batch_bodies((Batch *)batch, NULL);
    if (bodies != NULL && add_seen(self, state, neighbour, outbox, items, bodies) < 0) {
        Py_CLEAR(bodies);
    }
done:
    Py_XDECREF(batch);
    Py_DECREF(telling);
    Py_DECREF(key);
    return bodies;
}

static PyObject *
messages_for(ShortCuts *self, State *state, PyObject *neighbour, PyObject *outbox, PyObject *items,
             PyObject *now_object)
{
    PyObject *key, *item;
    Py_ssize_t position = 0;
    if (PyDict_GET_SIZE(items) == 1 && PyDict_Next(items, &position, &key, &item) &&
        Py_IS_TYPE(item, state->telling_type)) {
        return messages_for_one(self, state, neighbour, outbox, items, key, item, now_object);
    }
    return messages_for_all(self, state, neighbour, outbox, items, now_object);
}

static PyObject *
short_cuts_alone(ShortCuts *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (state == NULL || nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "alone() needs a link and the time");
        return NULL;
    }
    PyObject *neighbour = PyDict_GetItemWithError(self->neighbours, args[0]);
    if (neighbour == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    Py_INCREF(neighbour);
    PyObject *bodies = NULL;
    PyObject *outbox = must_be(neighbour, state->neighbour_type) < 0 ? NULL : outbox_of(state, neighbour);
    PyObject *items = outbox == NULL ? NULL : ordered_field(outbox, state->at._items);
    int plain = items == NULL ? -1 : is_up_to_date(state, neighbour, outbox);
    if (plain == 0) {
        bodies = Py_NewRef(Py_None);
    }
    else if (plain > 0) {
        bodies = messages_for(self, state, neighbour, outbox, items, args[1]);
    }
    Py_XDECREF(items);
    Py_XDECREF(outbox);
    Py_DECREF(neighbour);
    return bodies;
}

/* -- writing: Replica.set ------------------------------------------------------------------------------------------ */

static int
note_change(State *state, PyObject *neighbours, PyObject *node)
{
    PyObject *link, *neighbour;
    Py_ssize_t position = 0;
    int status = 0;
    while (status == 0 && PyDict_Next(neighbours, &position, &link, &neighbour)) {
        Py_INCREF(neighbour);
        PyObject *changed = changes_of(state, neighbour);
        status = changed == NULL ? -1 : PySet_Add(changed, node);
        Py_XDECREF(changed);
        Py_DECREF(neighbour);
    }
    return status;
}

/* A new time of ours, as Replica._write takes it: noted wherever it is to be, before an object is made for which the
   garbage collector may run, and with it a finalizer that writes as well. */
static int
tick(ShortCuts *self, State *state, PyObject *node, double now, int64_t *time)
{
    int64_t last;
    if (present(self, state, now, time) < 0 || number_field(self->clock, state->at._last, &last) < 0) {
        return -1;
    }
    *time = *time > last ? *time : last + 1;
    PyObject *number = PyLong_FromLongLong(*time);
    if (number == NULL) {
        return -1;
    }
    set_field(self->clock, state->at._last, number);
    int status = PyDict_SetItem(self->seen, node, number) < 0 || PyDict_SetItem(self->heard, node, number) < 0
                     ? -1
                     : note_change(state, self->neighbours, node);
    Py_DECREF(number);
    return status;
}

/* A value was told: the stamp to keep it with. */
static PyObject *
stamp_of_set(ShortCuts *self, State *state, PyObject *key, PyObject *payload, double now)
{
    Age age = {.node = PyObject_GetAttr(self->replica, state->name.node)};
    if (age.node == NULL) {
        return NULL;
    }
    PyObject *stamp = NULL, *version = NULL;
    if (tick(self, state, age.node, now, &age.time) < 0 || (version = version_from(state, age)) == NULL) {
        goto done;
    }
    int has_grave = PyDict_Contains(self->graves, key);
    if (has_grave > 0) {
        PyObject *answer = PyObject_CallMethod(self->forgotten, "exhume", "OO", key, version);
        has_grave = answer == NULL ? -1 : 1;
        Py_XDECREF(answer);
    }
    if (has_grave < 0 || tell(self, state, key, version, NULL, 0) < 0) {
        goto done;
    }
    stamp = new_stamp(state, key, age, 1, payload, age);
done:
    Py_XDECREF(version);
    Py_DECREF(age.node);
    return stamp;
}

static PyObject *
short_cuts_set(ShortCuts *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (state == NULL || nargs != 3 || !PyBytes_Check(args[0]) || !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "set() needs a key and a value, encoded, and the time");
        return NULL;
    }
    double now = PyFloat_AsDouble(args[2]);
    return now == -1.0 && PyErr_Occurred() ? NULL : stamp_of_set(self, state, args[0], args[1], now);
}

/* -- writing, all of it: LRUCacheDistributed._set ------------------------------------------------------------------ */

static PyObject *
encoded(const uint8_t *header, size_t header_length, const void *data, size_t length)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(header_length + length));
    if (bytes != NULL) {
        memcpy(PyBytes_AS_STRING(bytes), header, header_length);
        memcpy(PyBytes_AS_STRING(bytes) + header_length, data, length);
    }
    return bytes;
}

static PyObject *
encoded_text(const char *text, size_t length)
{
    uint8_t header[5];
    Writer writer = {header, 0};
    if (length < 32) {
        write_header(&writer, (uint8_t)(0xa0 | length), 0, 0);
    }
    else {
        int bytes = length < 256 ? 1 : length < 65536 ? 2 : 4;
        write_header(&writer, bytes == 1 ? 0xd9 : bytes == 2 ? 0xda : 0xdb, length, bytes);
    }
    return encoded(header, writer.bytes, text, length);
}

/* The bytes of a text. NULL without an exception: it has none, and who refuses that says why. */
static PyObject *
encode_text(PyObject *text)
{
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        return encoded_text(PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text));
    }
    PyObject *bytes = PyUnicode_AsUTF8String(text);
    if (bytes == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear();
        }
        return NULL;
    }
    PyObject *all = encoded_text(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return all;
}

/* As encode_key and encode_value write them. */
static PyObject *
encode_key(State *state, PyObject *key)
{
    PyObject *bytes = PyUnicode_CheckExact(key) && PyUnicode_GET_LENGTH(key) < 1024 ? encode_text(key) : NULL;
    return bytes != NULL || PyErr_Occurred() ? bytes : PyObject_CallOneArg(state->encode_key, key);
}

static PyObject *
encode_value(State *state, PyObject *value)
{
    PyObject *bytes = NULL;
    if (PyUnicode_CheckExact(value)) {
        bytes = PyUnicode_GET_LENGTH(value) < UINT32_MAX / 4 ? encode_text(value) : NULL;
    }
    else if (PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) < UINT32_MAX) {
        uint8_t header[5];
        Writer writer = {header, 0};
        size_t length = (size_t)PyBytes_GET_SIZE(value);
        write_bin_header(&writer, length);
        bytes = encoded(header, writer.bytes, PyBytes_AS_STRING(value), length);
    }
    return bytes != NULL || PyErr_Occurred() ? bytes : PyObject_CallOneArg(state->encode_value, value);
}

/* Whether what left is only the value that a set has replaced, and its age needs no memory of its own. */
static int
left_nothing(ShortCuts *self, State *state, PyObject *gone, const Stamp *by)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(gone); i++) {
        PyObject *each = PyList_GET_ITEM(gone, i);
        PyObject *stamp = PyTuple_GET_ITEM(each, 2);
        if (!Py_IS_TYPE(stamp, state->stamp_type) || !((Stamp *)stamp)->is_set) {
            continue;
        }
        Age age = ((Stamp *)stamp)->version;
        if (PyTuple_GET_ITEM(each, 3) != state->replaced || are_near(self, age, by->version) ||
            age_order(age, by->version) >= 0) {
            return 0;
        }
    }
    return 1;
}

/* With the lock held. What left, which is to be let go when it is not; None: nothing is kept, since there are loads to
   be fenced, which the cache does. */
static PyObject *
put_locked(ShortCuts *self, State *state, PyObject *key, PyObject *value, PyObject *name, PyObject *payload)
{
    PyObject *gone = NULL, *stamp = NULL, *deadline = NULL;
    PyObject *now_object = PyObject_CallNoArgs(self->monotonic);
    double now = now_object == NULL ? -1.0 : PyFloat_AsDouble(now_object);
    if (now == -1.0 && PyErr_Occurred()) {
        goto done;
    }
    if (PyDict_GET_SIZE(self->loading) > 0) {
        gone = Py_NewRef(Py_None);
        goto done;
    }
    stamp = stamp_of_set(self, state, name, payload, now);
    deadline = stamp == NULL ? NULL : PyFloat_FromDouble(now + self->life);
    if (deadline == NULL) {
        goto done;
    }
    PyObject *stack[] = {key, value, now_object, deadline, deadline, stamp};
    gone = PyObject_Vectorcall(self->put, stack, 6, NULL);
    if (gone != NULL && PyList_Check(gone) && !left_nothing(self, state, gone, (Stamp *)stamp) &&
        left(self, state, gone) < 0) {
        Py_CLEAR(gone);
    }
done:
    Py_XDECREF(deadline);
    Py_XDECREF(stamp);
    Py_XDECREF(now_object);
    return gone;
}

static int
unlock(ShortCuts *self)
{
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    PyObject *answer = PyObject_CallNoArgs(self->release);
    if (kind != NULL) {
        PyErr_Restore(kind, value, trace);
    }
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

/* 1: done; 0: not by this short cut, and nothing has changed; -1: an exception. */
static int
write_whole(ShortCuts *self, State *state, PyObject *key, PyObject *value)
{
    int outcome = -1;
    PyObject *gone = NULL, *locked, *payload = NULL, *name = encode_key(state, key);
    if (name == NULL || (payload = encode_value(state, value)) == NULL) {
        goto done;
    }
    if (PyBytes_GET_SIZE(payload) > self->longest_value) {
        outcome = 0;
        goto done;
    }
    locked = PyObject_CallNoArgs(self->acquire);
    if (locked == NULL) {
        goto done;
    }
    Py_DECREF(locked);
    gone = put_locked(self, state, key, value, name, payload);
    if (unlock(self) < 0 || gone == NULL) {
        goto done;
    }
    if (gone == Py_None) {
        outcome = 0;
        goto done;
    }
    PyObject *after = self->after;
    if (after == NULL) {
        outcome = 1;
        goto done;
    }
    Py_INCREF(after);
    PyObject *answer = PyObject_CallNoArgs(after);
    Py_DECREF(after);
    Py_XDECREF(answer);
    outcome = answer == NULL ? -1 : 1;
done:
    Py_XDECREF(gone);
    Py_XDECREF(payload);
    Py_XDECREF(name);
    return outcome;
}

static PyObject *
short_cuts_write(ShortCuts *self, PyObject *const *args, Py_ssize_t nargs)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    if (state == NULL || nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "write() needs a key and a value");
        return NULL;
    }
    int outcome = self->after == NULL ? 0 : write_whole(self, state, args[0], args[1]);
    return outcome < 0 ? NULL : PyBool_FromLong(outcome);
}

static PyObject *
short_cuts_allow_writes(ShortCuts *self, PyObject *args)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *lock, *monotonic, *after;
    double life;
    Py_ssize_t longest;
    if (state == NULL || !PyArg_ParseTuple(args, "OOdnO:allow_writes", &lock, &monotonic, &life, &longest, &after)) {
        return NULL;
    }
    PyObject *acquire = PyObject_GetAttr(lock, state->name.acquire);
    PyObject *release = acquire == NULL ? NULL : PyObject_GetAttr(lock, state->name.release);
    if (release == NULL) {
        Py_XDECREF(acquire);
        return NULL;
    }
    Py_XSETREF(self->acquire, acquire);
    Py_XSETREF(self->release, release);
    Py_XSETREF(self->monotonic, Py_NewRef(monotonic));
    Py_XSETREF(self->after, Py_NewRef(after));
    self->life = life;
    self->longest_value = longest;
    return PyObject_GetAttrString((PyObject *)self, "write");
}

static PyMethodDef short_cuts_methods[] = {
    {"take", (PyCFunction)(void (*)(void))short_cuts_take, METH_FASTCALL,
     "take($self, body, source, now, /)\n--\n\n"
     "Take in a message of events. False: it is another, or not written plainly."},
    {"drain", (PyCFunction)(void (*)(void))short_cuts_drain, METH_FASTCALL,
     "drain($self, batch, neighbour, now, /)\n--\n\n"
     "Move news from the outbox into a batch, up to a remark: that, or None."},
    {"alone", (PyCFunction)(void (*)(void))short_cuts_alone, METH_FASTCALL,
     "alone($self, link, now, /)\n--\n\n"
     "The next messages for a link, for who has just written; None if to make them may take its time."},
    {"set", (PyCFunction)(void (*)(void))short_cuts_set, METH_FASTCALL,
     "set($self, key, payload, now, /)\n--\n\nA value was told: the stamp to keep it with."},
    {"write", (PyCFunction)(void (*)(void))short_cuts_write, METH_FASTCALL, NULL},
    {"allow_writes", (PyCFunction)short_cuts_allow_writes, METH_VARARGS,
     "allow_writes($self, lock, monotonic, life, longest_value, after, /)\n--\n\n"
     "What a cache's plain set may call with a key and a value: it keeps and tells them, if it returns True."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot short_cuts_slots[] = {
    {Py_tp_doc, "ShortCuts(replica)\n--\n\nA replica's rules for what is plain, in C."},
    {Py_tp_new, short_cuts_new},
    {Py_tp_traverse, short_cuts_traverse},
    {Py_tp_clear, short_cuts_clear},
    {Py_tp_dealloc, short_cuts_dealloc},
    {Py_tp_methods, short_cuts_methods},
    {0, NULL},
};

static PyType_Spec short_cuts_spec = {
    .name = "lru_cache.replication.native_short_cuts.ShortCuts",
    .basicsize = sizeof(ShortCuts),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = short_cuts_slots,
};

/* -- the module ---------------------------------------------------------------------------------------------------- */

static PyTypeObject *
imported_tuple(const char *module_name, const char *name)
{
    PyObject *type = imported(module_name, name);
    if (type != NULL && (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type))) {
        PyErr_Format(PyExc_TypeError, "%s must be a named tuple", name);
        Py_CLEAR(type);
    }
    return (PyTypeObject *)type;
}

static int
take_field(PyTypeObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    if (descriptor == NULL) {
        return -1;
    }
    const PyMemberDef *member = Py_IS_TYPE(descriptor, &PyMemberDescr_Type)
                                    ? ((PyMemberDescrObject *)descriptor)->d_member
                                    : NULL;
    Py_DECREF(descriptor); /* the type's, as is what it points to */
    if (member == NULL || member->type != T_OBJECT_EX) {
        PyErr_Format(PyExc_TypeError, "%s must have a slot for %s", type->tp_name, name);
        return -1;
    }
    *offset = member->offset;
    return 0;
}

static PyTypeObject *
imported_class(const char *module_name, const char *name)
{
    PyObject *type = imported(module_name, name);
    if (type != NULL && !PyType_Check(type)) {
        PyErr_Format(PyExc_TypeError, "%s must be a class", name);
        Py_CLEAR(type);
    }
    return (PyTypeObject *)type;
}

static int
take_fields(State *state)
{
    if ((state->clock_type = imported_class("lru_cache.replication.version", "HybridClock")) == NULL ||
        (state->news_type = imported_class("lru_cache.replication.news", "News")) == NULL ||
        (state->outbox_type = imported_class("lru_cache.replication.outbox", "Outbox")) == NULL ||
        (state->neighbour_type = imported_class("lru_cache.replication.neighbour", "Neighbour")) == NULL ||
        (state->forgotten_type = imported_class("lru_cache.replication.forgetting", "Forgotten")) == NULL) {
        return -1;
    }
#define TAKE_FIELD(owner, name)                                                    \
    if (take_field(state->owner##_type, #name, &state->at.name) < 0) {            \
        return -1;                                                                 \
    }
    FIELDS(TAKE_FIELD)
    return 0;
}

static int
take_kinds(State *state)
{
    static const char *const names[] = {"SET", "INVALIDATE", "LOAD", "TOUCH"};
    PyObject *kind = imported("lru_cache.replication.messages", "Kind");
    int status = kind == NULL ? -1 : 0;
    for (int i = 0; status == 0 && i < KINDS; i++) {
        state->kinds[i] = PyObject_GetAttrString(kind, names[i]);
        status = state->kinds[i] == NULL ? -1 : 0;
    }
    Py_XDECREF(kind);
    return status;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
#define TAKE_NAME(text)                                                            \
    if ((state->name.text = PyUnicode_InternFromString(#text)) == NULL) {         \
        return -1;                                                                 \
    }
    NAMES(TAKE_NAME)
    PyObject *causes = imported("lru_cache.store.removal", "RemovalCause");
    state->replaced = causes == NULL ? NULL : PyObject_GetAttrString(causes, "REPLACED");
    Py_XDECREF(causes);
    if (state->replaced == NULL || take_kinds(state) < 0 || take_fields(state) < 0 ||
        (state->version_type = imported_tuple("lru_cache.replication.version", "Version")) == NULL ||
        (state->event_type = imported_tuple("lru_cache.replication.messages", "Event")) == NULL ||
        (state->telling_type = imported_tuple("lru_cache.replication.outbox", "Telling")) == NULL ||
        (state->nothing = imported("lru_cache.replication.version", "NOTHING")) == NULL ||
        (state->decode_key = imported("lru_cache.replication.encoding", "decode_key")) == NULL ||
        (state->bucket_of = imported("lru_cache.replication.forgetting", "bucket_of")) == NULL ||
        (state->encode_key = imported("lru_cache.replication.encoding", "encode_key")) == NULL ||
        (state->encode_value = imported("lru_cache.replication.encoding", "encode_value")) == NULL ||
        (state->zero = PyLong_FromLong(0)) == NULL ||
        (state->never_fresh = PyFloat_FromDouble(-Py_HUGE_VAL)) == NULL ||
        (state->forever = PyFloat_FromDouble(Py_HUGE_VAL)) == NULL ||
        (state->last_is_false = PyTuple_Pack(1, state->name.last)) == NULL) {
        return -1;
    }
    if ((state->stamp_type = add_type(module, &stamp_spec)) == NULL ||
        (state->batch_type = add_type(module, &batch_spec)) == NULL ||
        (state->short_cuts_type = add_type(module, &short_cuts_spec)) == NULL) {
        return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state == NULL) {
        return 0;
    }
    Py_VISIT(state->stamp_type);
    Py_VISIT(state->batch_type);
    Py_VISIT(state->short_cuts_type);
    Py_VISIT(state->version_type);
    Py_VISIT(state->event_type);
    Py_VISIT(state->telling_type);
    Py_VISIT(state->clock_type);
    Py_VISIT(state->news_type);
    Py_VISIT(state->outbox_type);
    Py_VISIT(state->neighbour_type);
    Py_VISIT(state->forgotten_type);
    Py_VISIT(state->nothing);
    Py_VISIT(state->replaced);
    Py_VISIT(state->decode_key);
    Py_VISIT(state->encode_key);
    Py_VISIT(state->bucket_of);
    Py_VISIT(state->encode_value);
    return 0;
}

/* Only in the end: while an object of ours exists, its type holds the module, and so this state. */
static void
module_free(void *module)
{
    State *state = PyModule_GetState((PyObject *)module);
    if (state == NULL) {
        return;
    }
    Py_CLEAR(state->stamp_type);
    Py_CLEAR(state->batch_type);
    Py_CLEAR(state->short_cuts_type);
    Py_CLEAR(state->version_type);
    Py_CLEAR(state->event_type);
    Py_CLEAR(state->telling_type);
    Py_CLEAR(state->clock_type);
    Py_CLEAR(state->news_type);
    Py_CLEAR(state->outbox_type);
    Py_CLEAR(state->neighbour_type);
    Py_CLEAR(state->forgotten_type);
    Py_CLEAR(state->nothing);
    for (int i = 0; i < KINDS; i++) {
        Py_CLEAR(state->kinds[i]);
    }
    Py_CLEAR(state->replaced);
    Py_CLEAR(state->decode_key);
    Py_CLEAR(state->encode_key);
    Py_CLEAR(state->bucket_of);
    Py_CLEAR(state->encode_value);
    Py_CLEAR(state->zero);
    Py_CLEAR(state->never_fresh);
    Py_CLEAR(state->forever);
    Py_CLEAR(state->last_is_false);
#define DROP_NAME(text) Py_CLEAR(state->name.text);
    NAMES(DROP_NAME)
}

static PyModuleDef_Slot module_slots[] = MODULE_SLOTS(module_exec);

static struct PyModuleDef native_short_cuts_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native_short_cuts",
    .m_doc = "Replication's short cuts, in C. The rules are replica's.",
    .m_size = sizeof(State),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit_native_short_cuts(void)
{
    return PyModuleDef_Init(&native_short_cuts_module);
}

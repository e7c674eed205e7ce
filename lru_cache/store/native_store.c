/* Keeping, in C: `Store`, `Entry`, `ReadPath` and `Lock`, with the contract of python_store.py, which is the reference.

It must not know loaders, listeners or the network. It reads a clock only for a cache that was given the system's.

Three things are to be known before changing a line.

Foreign code runs where a key is hashed or compared, where a clock of the user's own is asked, where a reference is
given up, and (before Python 3.12) where an object is made that the garbage collector knows. There, and only there, may
another thread or a finalizer come in and call us. So every change is one stretch without any of these: what it needs is
looked up and allocated before, what leaves is moved into a `Leaver` and let go after. `Store.changes` counts changes of
the index; a look-up that ran foreign code and finds another count than before knows nothing and begins again.

An entry is a `Node` in one array, found through an index of cells with open addressing, and linked by numbers of
nodes (slots) that stay valid when the array moves. Slot 0 is nobody: the end of each list. Removing compares no keys.

An `Entry` is a handle that is made when somebody asks for one. While its node is in the store it holds nothing itself;
when the node leaves, what it had becomes the handle's. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) /* the sanitizer knows nothing of what is mapped */
#include <sys/mman.h>
#define ARRAYS_ARE_MAPPED 1
#else
#define ARRAYS_ARE_MAPPED 0
#endif

#include "../native_module.h"

#ifdef Py_GIL_DISABLED
#error "the native store relies on the global interpreter lock; without it the Python store stands in"
#endif

#if defined(__GNUC__) || defined(__clang__)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define RARE __attribute__((cold, noinline)) /* kept out of the way of what runs all the time */
#define INLINE inline __attribute__((always_inline))
#else
#define LIKELY(condition) (condition)
#define UNLIKELY(condition) (condition)
#define RARE
#define INLINE inline
#endif

#define REAPED_PER_WRITE 16
#define MOVED_PER_DATING 2   /* out of the lane, for one that comes: it must not wait behind a few long lives */
#define FEWEST_SLOTS 8
#define MOST_SLOTS 0x7ffffff0u
#define SPARSE_SLOTS 32768u  /* up to here the index fits into a processor's cache even if half of it is empty */
#define SLOTS_INDEXED_AT_ONCE 16384u /* 0.2 ms; a larger index is filled by those who insert, a few cells each */
#define CELLS_MOVED_PER_INSERT 8  /* done long before the next one: an index has twice as many cells as slots at most */
#define MAPPED_BYTES 1048576u /* an array of as many is mapped: the kernel moves it without copying; 24 MB take 8 ms to copy */
#define LARGEST_CROWD 64     /* of keys with one hash: who asks how many there are need not know more than that */
#define PASSED_PER_LENGTH 4096 /* of the entries that len() finds to have expired: 1 ms at most */
#define MOST_RESTARTS 10000  /* of one look-up: a key that changes the cache whenever it is compared never ends */
/* The coarse clock is as late as its last tick: a few milliseconds, or as long as a virtual machine is denied the
   processor that ticks. An entry that has more than this left is served by it; others are measured exactly. */
#define COARSE_CLOCK_MARGIN 1.0
#define COARSEST_TICK 0.05
/* A life of this many seconds or more begins at the last tick: it ends that much too early, and never too late. */
#define COARSE_CLOCK_LIFE 60.0
/* So many misses of the short cut in turn may pass before one looks whether something is due. */
#define MISSES_PER_LOOK 16

typedef uint32_t Slot;
#define NOBODY ((Slot)0)
#define MOVED 0xffffffffu /* of a cell: what was here is in the larger index */
#define UNDATED 0xffffffffu
#define IN_HEAP 0xfffffffeu
#define CONTAINER 0x80000000u
#define PASSED 0x40000000u
#define FLAGS (CONTAINER | PASSED)

/* What a hit reads and writes stands first: within 32 bytes, so that it is mostly one line of memory. */
typedef struct {
    PyObject *key; /* NULL: free */
    PyObject *value;
    double fresh_until; /* before this a look-up is a plain hit; the deadline too, where there are no extras */
    Slot older, newer;  /* the order of use; of a free node, `newer` is the next free one */
    uint32_t before;    /* in the lane: the slot before it; in the heap: its position there */
    uint32_t after;     /* in the lane: the slot after it; or IN_HEAP, or UNDATED */
    uint32_t hash;
    uint32_t handle;    /* its number in `handles` plus one, or 0; and the bits CONTAINER and PASSED */
} Node;

/* What a plain local cache has no need of. Allocated for all nodes when the first of them needs it. */
typedef struct {
    double deadline;
    double retry_at;
    PyObject *version; /* NULL: None */
} Extra;

typedef struct {
    uint32_t hash;
    Slot slot;
} Cell;

typedef struct {
    double time;
    Slot slot;
} Ticket;

/* What a cache has in Python behind what it inherits in C, by its own name and by that under which it is put aside. */
enum { SET_AT_LENGTH, PEEK_AT_LENGTH, GET_ITEM_AT_LENGTH, SET_ITEM_AT_LENGTH, DELETE_ITEM_AT_LENGTH,
       CONTAINS_AT_LENGTH, LENGTH_AT_LENGTH, INVALIDATE_AT_LENGTH, POP_AT_LENGTH, TOUCH_AT_LENGTH, ADD_AT_LENGTH,
       AT_LENGTH };
static const char *const SHORT_NAMES[] = {"set", "peek", "__getitem__", "__setitem__", "__delitem__", "__contains__",
                                          "__len__", "invalidate", "pop", "touch", "add"};
static const char *const NAMES_AT_LENGTH[] = {"_set_at_length", "_peek_at_length", "_get_item_at_length",
                                              "_set_item_at_length", "_delete_item_at_length", "_contains_at_length",
                                              "_length_at_length", "_invalidate_at_length", "_pop_at_length",
                                              "_touch_at_length", "_add_at_length"};

typedef struct {
    PyTypeObject *store_type;
    PyTypeObject *entry_type;
    PyTypeObject *walk_type;
    PyTypeObject *cleared_type;
    PyTypeObject *lock_type;
    PyTypeObject *read_path_type;
    PyObject *evicted, *expired, *replaced, *invalidated, *cleared; /* of RemovalCause */
    PyObject *monotonic;                                           /* time.monotonic */
    PyObject *miss_name;
    PyObject *at_length[AT_LENGTH]; /* NAMES_AT_LENGTH */
    int coarse_clock;
} State;

typedef struct Store {
    PyObject_HEAD
    State *state;
    PyObject *module; /* holds the state to the end, also where a collection takes type and module with us */
    Node *nodes;
    Extra *extras;
    Cell *cells;
    Ticket *heap;
    uintptr_t *handles; /* an Entry *, borrowed; or the next free number plus one, shifted, with the last bit set */
    uint32_t cell_count;
    Cell *former_cells; /* the smaller index, whose cells are not all moved yet; or NULL */
    uint32_t former_count, former_at;
    uint32_t slots;       /* usable ones: 1 to this */
    uint32_t unused;      /* the first that was never used */
    Slot free;            /* the first that was used and is free */
    uint32_t heap_length, heap_room;
    uint32_t handle_room, handle_free; /* `handle_free`: number plus one */
    uint32_t handle_count;
    Py_ssize_t size;
    Py_ssize_t capacity;
    PyObject *capacity_object; /* as it was given: it may be larger than any memory */
    Py_ssize_t containers;     /* nodes that hold what the garbage collector has to see */
    Py_ssize_t passed;         /* nodes with the bit PASSED: the lane's first, up to and with `last_passed` */
    Slot last_passed;
    struct Walk *walks;        /* in progress, borrowed: each takes itself out */
    uint64_t changes;
    uint64_t evictions, expirations;
    double retention;
    double earliest; /* nothing is due before this; a bound, made exact by who finds nothing */
} Store;

typedef struct {
    PyObject_HEAD
    Store *store; /* NULL once it has left: then the rest is its own */
    Slot slot;
    uint32_t number;
    PyObject *key, *value, *version;
    double deadline, fresh_until, retry_at;
} Entry;

/* A walk through the entries, in progress for as long as it likes. */
typedef struct Walk {
    PyObject_HEAD
    Store *store; /* NULL once it is over */
    struct Walk *sibling;
    Slot next;               /* in the order of use; who unlinks that one moves this on */
    Py_ssize_t steps_left;   /* along the order of use */
    uint64_t *given;         /* a bit for each slot that was in use when it began: nothing to give there (any more) */
    uint32_t slots;          /* so many; those above came later */
    uint32_t word;           /* the sweep: where in `given` it is */
    Py_ssize_t remaining;    /* entries that are still to be given */
} Walk;

/* What left the store and is not told or let go yet. Owns key, value and version. */
typedef struct {
    PyObject *key, *value, *version;
    PyObject *cause; /* borrowed */
} Leaver;

/* -- cells: from hash to slot ------------------------------------------------------------------------------------- */

static inline uint32_t
mixed(Py_hash_t hash)
{
    /* Hashes of ints are the ints: multiplying spreads neighbours over all cells. */
    return (uint32_t)(((uint64_t)hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static inline uint32_t
home_of(uint32_t hash, uint32_t cell_count)
{
    return (uint32_t)(((uint64_t)hash * cell_count) >> 32);
}

static uint32_t
cells_for(uint32_t slots)
{
    return slots <= SPARSE_SLOTS ? 2 * slots : slots + slots / 2;
}

static inline void
fill_cell(Cell *cells, uint32_t cell_count, uint32_t hash, Slot slot)
{
    uint32_t at = home_of(hash, cell_count);
    while (cells[at].slot != NOBODY) {
        at = at + 1 == cell_count ? 0 : at + 1;
    }
    cells[at].hash = hash;
    cells[at].slot = slot;
}

/* Take a slot out of the smaller index, where it may be as long as that is not empty: 1 if it was there. Nothing comes
   into that one any more, so a mark can stand for what left. */
static RARE int
empty_former_cell(Store *store, Slot slot)
{
    uint32_t at = home_of(store->nodes[slot].hash, store->former_count);
    while (store->former_cells[at].slot != NOBODY) {
        if (store->former_cells[at].slot == slot) {
            store->former_cells[at].slot = MOVED;
            return 1;
        }
        at = at + 1 == store->former_count ? 0 : at + 1;
    }
    return 0;
}

/* Move so many cells more from the smaller index into the larger. */
static RARE void
move_cells(Store *store, uint32_t count)
{
    for (; count > 0 && store->former_cells != NULL; count--) {
        Cell *cell = &store->former_cells[store->former_at++];
        if (cell->slot != NOBODY && cell->slot != MOVED) {
            fill_cell(store->cells, store->cell_count, cell->hash, cell->slot);
            cell->slot = MOVED;
        }
        if (store->former_at == store->former_count) {
            PyMem_Free(store->former_cells);
            store->former_cells = NULL;
        }
    }
}

static void
empty_cell(Store *store, Slot slot)
{
    if (UNLIKELY(store->former_cells != NULL) && empty_former_cell(store, slot)) {
        return;
    }
    Cell *cells = store->cells;
    uint32_t cell_count = store->cell_count;
    uint32_t hole = home_of(store->nodes[slot].hash, cell_count);
    while (cells[hole].slot != slot) {
        hole = hole + 1 == cell_count ? 0 : hole + 1;
    }
    /* Those behind it move up, unless that were before their home; so a look-up may stop at the first empty cell. */
    for (uint32_t at = hole + 1 == cell_count ? 0 : hole + 1; cells[at].slot != NOBODY;
         at = at + 1 == cell_count ? 0 : at + 1) {
        uint32_t home = home_of(cells[at].hash, cell_count);
        int stays = hole <= at ? hole < home && home <= at : hole < home || home <= at;
        if (!stays) {
            cells[hole] = cells[at];
            hole = at;
        }
    }
    cells[hole].slot = NOBODY;
}

enum { ERROR = -1, ABSENT = 0, FOUND = 1, DISTURBED = 2 };

/* Look a key up in an index. DISTURBED: foreign code changed it meanwhile, so nothing is known. */
static INLINE int
seek_in(Store *store, const Cell *cells, uint32_t cell_count, PyObject *key, uint32_t hash, Slot *slot)
{
    uint32_t at = home_of(hash, cell_count);
    for (;;) {
        Cell cell = cells[at];
        if (cell.slot == NOBODY) {
            return ABSENT;
        }
        if (cell.hash == hash && LIKELY(cell.slot != MOVED)) {
            PyObject *candidate = store->nodes[cell.slot].key;
            *slot = cell.slot;
            if (candidate == key) {
                return FOUND;
            }
            if (PyUnicode_CheckExact(candidate) && PyUnicode_CheckExact(key)) {
                int order = PyUnicode_Compare(candidate, key);
                if (order == 0) {
                    return FOUND;
                }
                if (UNLIKELY(order == -1 && PyErr_Occurred())) {
                    return ERROR;
                }
            }
            else {
                uint64_t changes = store->changes;
                Py_INCREF(candidate);
                int equal = PyObject_RichCompareBool(candidate, key, Py_EQ);
                Py_DECREF(candidate);
                if (equal < 0) {
                    return ERROR;
                }
                if (store->changes != changes) {
                    return DISTURBED;
                }
                if (equal) {
                    return FOUND;
                }
            }
        }
        at = at + 1 == cell_count ? 0 : at + 1;
    }
}

static RARE int
seek_in_former(Store *store, PyObject *key, uint32_t hash, Slot *slot)
{
    return seek_in(store, store->former_cells, store->former_count, key, hash, slot);
}

static INLINE int
seek(Store *store, PyObject *key, uint32_t hash, Slot *slot)
{
    int outcome = seek_in(store, store->cells, store->cell_count, key, hash, slot);
    if (outcome == ABSENT && UNLIKELY(store->former_cells != NULL)) {
        outcome = seek_in_former(store, key, hash, slot);
    }
    return outcome;
}

static int
seek_undisturbed(Store *store, PyObject *key, uint32_t hash, Slot *slot)
{
    for (int restarts = 0; restarts < MOST_RESTARTS; restarts++) {
        int outcome = seek(store, key, hash, slot);
        if (outcome != DISTURBED) {
            return outcome;
        }
    }
    PyErr_SetString(PyExc_RuntimeError, "a key changes the cache whenever it is compared");
    return ERROR;
}

static inline int
hash_of(PyObject *key, uint32_t *hash)
{
    Py_hash_t own = -1;
    if (PyUnicode_CheckExact(key)) {
        own = ((PyASCIIObject *)key)->hash;
    }
    if (own == -1) {
        own = PyObject_Hash(key);
        if (own == -1) {
            return -1;
        }
    }
    *hash = mixed(own);
    return 0;
}

/* -- order of use -------------------------------------------------------------------------------------------------- */

static inline void
link_newest(Node *nodes, Slot slot)
{
    Slot newest = nodes[NOBODY].older;
    nodes[slot].older = newest;
    nodes[slot].newer = NOBODY;
    nodes[newest].newer = slot;
    nodes[NOBODY].older = slot;
}

/* Whose turn it was steps aside for the next one. */
static RARE void
step_over(Store *store, Slot slot)
{
    for (Walk *walk = store->walks; walk != NULL; walk = walk->sibling) {
        if (walk->next == slot) {
            walk->next = store->nodes[slot].newer;
        }
    }
}

static inline void
unlink_use(Store *store, Slot slot)
{
    Node *nodes = store->nodes;
    if (UNLIKELY(store->walks != NULL)) {
        step_over(store, slot);
    }
    Slot older = nodes[slot].older, newer = nodes[slot].newer;
    nodes[older].newer = newer;
    nodes[newer].older = older;
}

static inline void
make_newest(Store *store, Slot slot)
{
    if (store->nodes[NOBODY].older != slot) {
        unlink_use(store, slot);
        link_newest(store->nodes, slot);
    }
}

static inline Slot
oldest(Store *store)
{
    return store->nodes[NOBODY].newer;
}

/* -- deadlines ----------------------------------------------------------------------------------------------------- */

/* Entries that end stand in the lane, a list in order of their deadlines, as long as each comes in at its end: that is
   what entries with one life for all do, and it costs a few links. Who comes in with an earlier deadline moves the last
   few to the heap, so that one long life does not close the lane; if that is not enough, it goes to the heap itself.

   How many have passed is kept, so that nobody has to count them again: the lane begins with those that `pass_time` has
   found to have passed, which have the bit PASSED; it takes those of the heap into the lane. Each entry passes once. */

static inline double
deadline_of(const Store *store, Slot slot)
{
    return store->extras != NULL ? store->extras[slot].deadline : store->nodes[slot].fresh_until;
}

static inline void
place_ticket(Store *store, uint32_t position, Ticket ticket)
{
    store->heap[position] = ticket;
    store->nodes[ticket.slot].before = position;
}

static void
sift_up(Store *store, uint32_t position, Ticket ticket)
{
    while (position > 0) {
        uint32_t parent = (position - 1) / 2;
        if (!(ticket.time < store->heap[parent].time)) {
            break;
        }
        place_ticket(store, position, store->heap[parent]);
        position = parent;
    }
    place_ticket(store, position, ticket);
}

static void
sift_down(Store *store, uint32_t position, Ticket ticket)
{
    uint32_t length = store->heap_length;
    for (;;) {
        uint64_t child = 2 * (uint64_t)position + 1;
        if (child >= length) {
            break;
        }
        if (child + 1 < length && store->heap[child + 1].time < store->heap[child].time) {
            child++;
        }
        if (!(store->heap[child].time < ticket.time)) {
            break;
        }
        place_ticket(store, position, store->heap[child]);
        position = (uint32_t)child;
    }
    place_ticket(store, position, ticket);
}

static void
enter_heap(Store *store, Slot slot, double deadline)
{
    Ticket ticket = {deadline, slot};
    assert(store->heap_length < store->heap_room);
    store->nodes[slot].after = IN_HEAP;
    sift_up(store, store->heap_length++, ticket);
}

static void
leave_heap(Store *store, uint32_t position)
{
    Ticket last = store->heap[--store->heap_length];
    if (position == store->heap_length) {
        return;
    }
    if (position > 0 && last.time < store->heap[(position - 1) / 2].time) {
        sift_up(store, position, last);
    }
    else {
        sift_down(store, position, last);
    }
}

static inline void
undate(Store *store, Slot slot)
{
    Node *node = &store->nodes[slot];
    if (node->after == UNDATED) {
        return;
    }
    if (UNLIKELY((node->handle & PASSED) != 0)) {
        store->last_passed = store->last_passed == slot ? node->before : store->last_passed;
        node->handle &= ~PASSED;
        store->passed--;
    }
    if (node->after == IN_HEAP) {
        leave_heap(store, node->before);
    }
    else {
        store->nodes[node->before].after = node->after;
        store->nodes[node->after].before = node->before;
    }
    node->after = UNDATED;
}

/* Before a `date`: room for all that it may move, so that it cannot fail. */
static int
prepare_date(Store *store, double deadline)
{
    Slot last = store->nodes[NOBODY].before;
    if (LIKELY(last == NOBODY || deadline_of(store, last) <= deadline)) {
        return 0;
    }
    uint64_t needed = (uint64_t)store->heap_length + MOVED_PER_DATING + 1;
    if (needed > store->heap_room) {
        uint64_t room = needed + store->heap_length / 2 + FEWEST_SLOTS;
        Ticket *heap = PyMem_Realloc(store->heap, (size_t)room * sizeof(Ticket));
        if (heap == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        store->heap = heap;
        store->heap_room = (uint32_t)room;
    }
    return 0;
}

/* Enter an undated node where it stands until its deadline. Prepared for. */
static inline void
date(Store *store, Slot slot, double deadline)
{
    Node *nodes = store->nodes;
    if (deadline == Py_HUGE_VAL) {
        return;
    }
    for (int moved = 0; moved <= MOVED_PER_DATING; moved++) {
        Slot last = nodes[NOBODY].before;
        if (LIKELY(last == NOBODY || deadline_of(store, last) <= deadline)) {
            nodes[slot].before = last;
            nodes[slot].after = NOBODY;
            nodes[last].after = slot;
            nodes[NOBODY].before = slot;
            break;
        }
        if (moved == MOVED_PER_DATING) {
            enter_heap(store, slot, deadline);
            break;
        }
        undate(store, last);
        enter_heap(store, last, deadline_of(store, last));
    }
    if (deadline + store->retention < store->earliest) {
        store->earliest = deadline + store->retention;
    }
}

/* The entry that is due first, and when its deadline is; NOBODY if none ever is. */
static Slot
first_due(const Store *store, double *deadline)
{
    Slot slot = store->nodes[NOBODY].after;
    if (slot != NOBODY) {
        *deadline = deadline_of(store, slot);
    }
    if (store->heap_length > 0 && (slot == NOBODY || store->heap[0].time < *deadline)) {
        slot = store->heap[0].slot;
        *deadline = store->heap[0].time;
    }
    return slot;
}

/* The next entry whose life and retention have passed, or NOBODY. */
static inline Slot
next_due(Store *store, double now)
{
    if (LIKELY(store->earliest > now)) {
        return NOBODY;
    }
    double deadline = Py_HUGE_VAL;
    Slot slot = first_due(store, &deadline);
    if (slot != NOBODY && deadline + store->retention <= now) {
        return slot;
    }
    store->earliest = slot == NOBODY ? Py_HUGE_VAL : deadline + store->retention;
    return NOBODY;
}

/* The heap's first goes into the lane, behind those that have passed. */
static Slot
move_into_lane(Store *store)
{
    Node *nodes = store->nodes;
    Slot slot = store->heap[0].slot, before = store->last_passed, after = nodes[before].after;
    leave_heap(store, 0);
    nodes[slot].before = before;
    nodes[slot].after = after;
    nodes[before].after = slot;
    nodes[after].before = slot;
    return slot;
}

/* Mark those that have passed by `now`, in at most so many steps: 1; 0 if that is not all. Time may go back, too: who
   asks for it may have been overtaken by another thread. */
static int
pass_time(Store *store, double now, Py_ssize_t steps)
{
    for (; steps > 0; steps--) {
        Slot last = store->last_passed, next = store->nodes[last].after;
        double heap_first = store->heap_length > 0 ? store->heap[0].time : Py_HUGE_VAL;
        if (last != NOBODY && (deadline_of(store, last) > now || deadline_of(store, last) > heap_first)) {
            store->last_passed = store->nodes[last].before;
            store->nodes[last].handle &= ~PASSED;
            store->passed--;
            continue;
        }
        if (heap_first <= now && (next == NOBODY || heap_first < deadline_of(store, next))) {
            next = move_into_lane(store);
        }
        else if (next == NOBODY || !(deadline_of(store, next) <= now)) {
            return 1;
        }
        store->nodes[next].handle |= PASSED;
        store->last_passed = next;
        store->passed++;
    }
    return 0;
}

/* -- memory -------------------------------------------------------------------------------------------------------- */

/* What stands before an array of nodes or extras. */
typedef union {
    size_t bytes; /* of all, with this */
    double alignment[2];
} ArrayHead;

/* An array of so many bytes with what is in another, which is then gone; NULL, with that as it was, for want of memory. */
static void *
resize_array(void *array, size_t bytes)
{
    ArrayHead *head = array != NULL ? (ArrayHead *)array - 1 : NULL;
    size_t before = head != NULL ? head->bytes : 0;
    bytes += sizeof(ArrayHead);
#if ARRAYS_ARE_MAPPED
    if (bytes >= MAPPED_BYTES) {
        void *mapped;
        if (before >= MAPPED_BYTES) {
            mapped = mremap(head, before, bytes, MREMAP_MAYMOVE);
        } else {
            mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (mapped != MAP_FAILED && head != NULL) {
                memcpy(mapped, head, before);
                PyMem_Free(head);
            }
        }
        if (mapped == MAP_FAILED) {
            return NULL;
        }
        head = mapped;
        head->bytes = bytes;
        return head + 1;
    }
#endif
    head = PyMem_Realloc(head, bytes);
    if (head == NULL) {
        return NULL;
    }
    head->bytes = bytes;
    return head + 1;
}

static void
free_array(void *array)
{
    if (array == NULL) {
        return;
    }
    ArrayHead *head = (ArrayHead *)array - 1;
#if ARRAYS_ARE_MAPPED
    if (head->bytes >= MAPPED_BYTES) {
        munmap(head, head->bytes);
        return;
    }
#endif
    PyMem_Free(head);
}

static void
reset_nodes(Store *store)
{
    memset(&store->nodes[NOBODY], 0, sizeof(Node));
    store->nodes[NOBODY].fresh_until = -Py_HUGE_VAL;
    store->unused = 1;
    store->free = NOBODY;
    store->size = 0;
    store->containers = 0;
    store->passed = 0;
    store->last_passed = NOBODY;
    store->heap_length = 0;
    store->earliest = Py_HUGE_VAL;
}

/* Let there be so many slots, with an index to match. All or nothing. Each insertion fills a bit of a large index, for
   to fill one for a million entries at once takes 20 ms. */
static int
resize(Store *store, uint32_t slots)
{
    move_cells(store, store->former_count); /* the rest of the one before, of which there should be none */
    uint32_t cell_count = cells_for(slots);
    Cell *cells = PyMem_Calloc(cell_count, sizeof(Cell));
    if (cells == NULL) {
        goto fail;
    }
    Node *nodes = resize_array(store->nodes, ((size_t)slots + 1) * sizeof(Node));
    if (nodes == NULL) {
        goto fail;
    }
    store->nodes = nodes;
    if (store->extras != NULL) {
        Extra *extras = resize_array(store->extras, ((size_t)slots + 1) * sizeof(Extra));
        if (extras == NULL) {
            goto fail;
        }
        store->extras = extras;
    }
    store->former_cells = store->cells;
    store->former_count = store->cell_count;
    store->former_at = 0;
    store->cells = cells;
    store->cell_count = cell_count;
    store->slots = slots;
    if (slots <= SLOTS_INDEXED_AT_ONCE) {
        move_cells(store, store->former_count);
    }
    store->changes++;
    return 0;
fail:
    PyMem_Free(cells);
    PyErr_NoMemory();
    return -1;
}

static inline int
make_room(Store *store)
{
    if (LIKELY(store->free != NOBODY || store->unused <= store->slots)) {
        return 0;
    }
    uint64_t slots = 2 * (uint64_t)store->slots;
    if ((uint64_t)store->capacity < slots) {
        slots = (uint64_t)store->capacity;
    }
    if (slots > MOST_SLOTS) {
        slots = MOST_SLOTS;
    }
    if (slots <= store->slots) {
        PyErr_NoMemory();
        return -1;
    }
    return resize(store, (uint32_t)slots);
}

static int
need_extras(Store *store)
{
    if (store->extras != NULL) {
        return 0;
    }
    Extra *extras = resize_array(NULL, ((size_t)store->slots + 1) * sizeof(Extra));
    if (extras == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Slot slot = 0; slot < store->unused; slot++) {
        extras[slot] = (Extra){store->nodes[slot].fresh_until, -Py_HUGE_VAL, NULL};
    }
    store->extras = extras;
    return 0;
}

static inline int
may_contain(PyObject *object)
{
    return PyType_IS_GC(Py_TYPE(object)) && PyObject_IS_GC(object) &&
           (!PyTuple_CheckExact(object) || PyObject_GC_IsTracked(object));
}

/* Keep in mind whether the garbage collector has to see it. What does not contain anything, as texts and numbers, is
   never shown to it: a million of them cost it nothing. */
static void
note_container(Store *store, Slot slot)
{
    Node *node = &store->nodes[slot];
    PyObject *version = store->extras != NULL ? store->extras[slot].version : NULL;
    int contains = may_contain(node->value) || may_contain(node->key) || (version != NULL && may_contain(version));
    int contained = (node->handle & CONTAINER) != 0;
    if (contains != contained) {
        node->handle ^= CONTAINER;
        store->containers += contains ? 1 : -1;
    }
}

/* -- handles ------------------------------------------------------------------------------------------------------- */

static int
need_handles(Store *store, size_t more)
{
    size_t needed = (size_t)store->handle_count + more;
    if (needed <= store->handle_room) {
        return 0;
    }
    size_t room = needed + needed / 2 + 4;
    uintptr_t *handles = room < PASSED ? PyMem_Realloc(store->handles, room * sizeof(uintptr_t)) : NULL;
    if (handles == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t number = store->handle_room; number < room; number++) {
        handles[number] = ((uintptr_t)store->handle_free << 1) | 1;
        store->handle_free = (uint32_t)number + 1;
    }
    store->handles = handles;
    store->handle_room = (uint32_t)room;
    return 0;
}

static inline Entry *
handle_of(const Store *store, Slot slot)
{
    uint32_t number = store->nodes[slot].handle & ~FLAGS;
    return number == 0 ? NULL : (Entry *)store->handles[number - 1];
}

/* Make a blank handle stand for a node. There is room for it. */
static void
attach(Store *store, Slot slot, Entry *entry)
{
    uint32_t number = store->handle_free - 1;
    assert(store->handle_free != 0);
    store->handle_free = (uint32_t)(store->handles[number] >> 1);
    store->handles[number] = (uintptr_t)entry;
    store->handle_count++;
    store->nodes[slot].handle |= number + 1;
    Py_INCREF(store);
    entry->store = store;
    entry->slot = slot;
    entry->number = number;
}

static void
forget_handle(Store *store, Entry *entry)
{
    store->nodes[entry->slot].handle &= FLAGS;
    store->handles[entry->number] = ((uintptr_t)store->handle_free << 1) | 1;
    store->handle_free = entry->number + 1;
    store->handle_count--;
    entry->store = NULL;
}

/* The node leaves: what it has is the handle's own from now on. Who calls holds the store. */
static void
detach(Store *store, Slot slot)
{
    Entry *entry = handle_of(store, slot);
    if (entry == NULL) {
        return;
    }
    Node *node = &store->nodes[slot];
    PyObject *version = store->extras != NULL ? store->extras[slot].version : NULL;
    Py_INCREF(node->key);
    Py_INCREF(node->value);
    Py_XINCREF(version);
    entry->key = node->key;
    entry->value = node->value;
    entry->version = version;
    entry->deadline = deadline_of(store, slot);
    entry->retry_at = store->extras != NULL ? store->extras[slot].retry_at : -Py_HUGE_VAL;
    entry->fresh_until = -Py_HUGE_VAL;
    forget_handle(store, entry);
    Py_DECREF(store); /* never the last one */
}

/* -- walks: what they must know of coming and leaving ----------------------------------------------------------------- */

static inline int
is_to_give(const Walk *walk, Slot slot)
{
    return slot < walk->slots && !(walk->given[slot / 64] >> slot % 64 & 1);
}

static inline void
mark_given(Walk *walk, Slot slot)
{
    walk->given[slot / 64] |= UINT64_C(1) << slot % 64;
}

static RARE void
note_leaving(Store *store, Slot slot)
{
    for (Walk *walk = store->walks; walk != NULL; walk = walk->sibling) {
        walk->remaining -= is_to_give(walk, slot);
    }
}

/* What comes is not given, or a key that leaves and comes back could be given twice. But one that comes into the place
   of its equal, which has just left it, inherits that one's turn: so does a value that another node has replaced. */
static RARE void
note_coming(Store *store, Slot slot, uint32_t hash)
{
    for (Walk *walk = store->walks; walk != NULL; walk = walk->sibling) {
        if (!is_to_give(walk, slot)) {
            continue;
        }
        if (store->nodes[slot].hash == hash) {
            walk->remaining++;
        }
        else {
            mark_given(walk, slot);
        }
    }
}

/* -- coming and leaving -------------------------------------------------------------------------------------------- */

/* What takes an entry whose life has ended already has come too late to be the cause. */
static inline PyObject *
true_cause(Store *store, Slot slot, PyObject *cause, double now)
{
    if (deadline_of(store, slot) <= now) {
        store->expirations++;
        return store->state->expired;
    }
    if (cause == store->state->evicted) {
        store->evictions++;
    }
    return cause;
}

static void
take_out(Store *store, Slot slot, PyObject *cause, double now, Leaver *leaver)
{
    Node *node = &store->nodes[slot];
    leaver->cause = true_cause(store, slot, cause, now);
    detach(store, slot);
    leaver->key = node->key;
    leaver->value = node->value;
    leaver->version = NULL;
    if (store->extras != NULL) {
        leaver->version = store->extras[slot].version;
        store->extras[slot].version = NULL;
    }
    if (UNLIKELY(store->walks != NULL)) {
        note_leaving(store, slot);
    }
    empty_cell(store, slot);
    unlink_use(store, slot);
    undate(store, slot);
    store->containers -= (node->handle & CONTAINER) != 0;
    node->key = NULL;
    node->value = NULL;
    node->handle = 0;
    node->newer = store->free;
    store->free = slot;
    store->size--;
    store->changes++;
}

static void
release(Leaver *leaver)
{
    PyObject *key = leaver->key, *value = leaver->value, *version = leaver->version;
    Py_XDECREF(value);
    Py_XDECREF(version);
    Py_XDECREF(key);
}

/* Key, value, version, cause. Takes over what the leaver owns, also if it fails. */
static PyObject *
gone_tuple(Leaver *leaver)
{
    PyObject *gone = PyTuple_New(4);
    if (gone == NULL) {
        release(leaver);
        return NULL;
    }
    if (leaver->version == NULL) {
        Py_INCREF(Py_None);
        leaver->version = Py_None;
    }
    Py_INCREF(leaver->cause);
    PyTuple_SET_ITEM(gone, 0, leaver->key);
    PyTuple_SET_ITEM(gone, 1, leaver->value);
    PyTuple_SET_ITEM(gone, 2, leaver->version);
    PyTuple_SET_ITEM(gone, 3, leaver->cause);
    return gone;
}

static int
append_gone(PyObject *list, Leaver *leaver)
{
    PyObject *gone = gone_tuple(leaver);
    if (gone == NULL) {
        return -1;
    }
    int status = PyList_Append(list, gone);
    Py_DECREF(gone);
    return status;
}

/* What one `put` made leave. The last of them is what it replaced, if anything. */
typedef struct {
    Py_ssize_t count;
    Leaver *leavers;
    Leaver usual[REAPED_PER_WRITE + 2];
} Leaving;

static inline void
release_all(Leaving *leaving)
{
    for (Py_ssize_t i = 0; i < leaving->count; i++) {
        release(&leaving->leavers[i]);
    }
    if (UNLIKELY(leaving->leavers != leaving->usual)) {
        PyMem_Free(leaving->leavers);
    }
}

static PyObject *
gone_list(Leaving *leaving)
{
    PyObject *list = PyList_New(leaving->count);
    Py_ssize_t told = 0;
    for (; list != NULL && told < leaving->count; told++) {
        PyObject *gone = gone_tuple(&leaving->leavers[told]);
        if (gone == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, told, gone);
        }
    }
    for (; told < leaving->count; told++) {
        release(&leaving->leavers[told]);
    }
    if (leaving->leavers != leaving->usual) {
        PyMem_Free(leaving->leavers);
    }
    return list;
}

typedef struct {
    PyObject *key, *value, *version; /* borrowed; version NULL: None */
    uint32_t hash;
    int is_told; /* whether somebody wants to know what leaves */
    double now, deadline, fresh_until;
} Arrival;

static inline void
replace(Store *store, Slot slot, const Arrival *arrival, Leaver *leaver)
{
    Node *node = &store->nodes[slot];
    leaver->cause = true_cause(store, slot, store->state->replaced, arrival->now);
    if (arrival->is_told) {
        Py_INCREF(node->key);
    }
    leaver->key = arrival->is_told ? node->key : NULL;
    leaver->value = node->value;
    leaver->version = NULL;
    Py_INCREF(arrival->value);
    node->value = arrival->value;
    undate(store, slot);
    if (store->extras != NULL) {
        leaver->version = store->extras[slot].version;
    }
    make_newest(store, slot);
}

/* For a walk: the place that an equal of what arrives has just left becomes the first that is free. What one write drops
   may have been put before it. */
static RARE void
prefer_place_of_equal(Store *store, uint32_t hash)
{
    Slot *link = &store->free;
    for (int looked = 0; looked <= REAPED_PER_WRITE && *link != NOBODY; looked++) {
        Slot slot = *link;
        if (store->nodes[slot].hash == hash) {
            *link = store->nodes[slot].newer;
            store->nodes[slot].newer = store->free;
            store->free = slot;
            return;
        }
        link = &store->nodes[slot].newer;
    }
}

static Slot
insert(Store *store, const Arrival *arrival)
{
    if (UNLIKELY(store->walks != NULL)) {
        prefer_place_of_equal(store, arrival->hash);
    }
    Slot slot = store->free;
    if (slot != NOBODY) {
        store->free = store->nodes[slot].newer;
    }
    else {
        slot = store->unused++;
    }
    if (UNLIKELY(store->walks != NULL)) {
        note_coming(store, slot, arrival->hash);
    }
    Node *node = &store->nodes[slot];
    Py_INCREF(arrival->key);
    Py_INCREF(arrival->value);
    node->key = arrival->key;
    node->value = arrival->value;
    node->hash = arrival->hash;
    node->handle = 0;
    node->after = UNDATED;
    fill_cell(store->cells, store->cell_count, arrival->hash, slot);
    if (UNLIKELY(store->former_cells != NULL)) {
        move_cells(store, CELLS_MOVED_PER_INSERT);
    }
    link_newest(store->nodes, slot);
    store->size++;
    store->changes++;
    return slot;
}

/* Keep what arrives, at the slot where its key was found, if it was. Runs no foreign code; failing changes nothing. */
static inline int
put_at(Store *store, Slot slot, const Arrival *arrival, Leaving *leaving)
{
    Py_ssize_t excess = store->size - store->capacity;
    leaving->count = 0;
    leaving->leavers = leaving->usual;
    if (UNLIKELY(arrival->version != NULL || arrival->fresh_until != arrival->deadline) && need_extras(store) < 0) {
        return -1;
    }
    if (prepare_date(store, arrival->deadline) < 0) {
        return -1;
    }
    if (slot == NOBODY && excess < 0 && make_room(store) < 0) {
        return -1;
    }
    if (UNLIKELY(excess > 0)) { /* the capacity was made smaller */
        size_t bytes = ((size_t)excess + REAPED_PER_WRITE + 2) * sizeof(Leaver);
        leaving->leavers = PyMem_Malloc(bytes);
        if (leaving->leavers == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    Slot due;
    while (leaving->count < REAPED_PER_WRITE && (due = next_due(store, arrival->now)) != NOBODY) {
        slot = due == slot ? NOBODY : slot;
        take_out(store, due, store->state->expired, arrival->now, &leaving->leavers[leaving->count++]);
    }
    if (slot != NOBODY) {
        replace(store, slot, arrival, &leaving->leavers[leaving->count++]);
    }
    else {
        while (store->size >= store->capacity) {
            take_out(store, oldest(store), store->state->evicted, arrival->now, &leaving->leavers[leaving->count++]);
        }
        slot = insert(store, arrival);
    }
    store->nodes[slot].fresh_until = arrival->fresh_until;
    if (store->extras != NULL) {
        Py_XINCREF(arrival->version);
        store->extras[slot] = (Extra){arrival->deadline, -Py_HUGE_VAL, arrival->version};
    }
    if (UNLIKELY((store->nodes[slot].handle & CONTAINER) != 0 || PyType_IS_GC(Py_TYPE(arrival->value)) ||
                 PyType_IS_GC(Py_TYPE(arrival->key)) || arrival->version != NULL)) {
        note_container(store, slot);
    }
    date(store, slot, arrival->deadline);
    return 0;
}

/* -- Entry --------------------------------------------------------------------------------------------------------- */

static Entry *
new_handle(State *state)
{
    Entry *entry = PyObject_GC_New(Entry, state->entry_type);
    if (entry != NULL) {
        entry->store = NULL;
        entry->slot = NOBODY;
        entry->number = 0;
        entry->key = entry->value = entry->version = NULL;
        entry->deadline = entry->fresh_until = entry->retry_at = -Py_HUGE_VAL;
    }
    return entry;
}

static int
entry_traverse(PyObject *object, visitproc visit, void *arg)
{
    Entry *entry = (Entry *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(entry->store);
    Py_VISIT(entry->key);
    Py_VISIT(entry->value);
    Py_VISIT(entry->version);
    return 0;
}

static int
entry_clear(PyObject *object)
{
    Entry *entry = (Entry *)object;
    Store *store = entry->store;
    if (store != NULL) {
        forget_handle(store, entry);
        Py_DECREF(store);
    }
    Py_CLEAR(entry->value);
    Py_CLEAR(entry->version);
    Py_CLEAR(entry->key);
    return 0;
}

static void
entry_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    entry_clear(object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *
or_none(PyObject *object)
{
    object = object == NULL ? Py_None : object;
    Py_INCREF(object);
    return object;
}

static PyObject *
entry_get_key(Entry *entry, void *Py_UNUSED(closure))
{
    return or_none(entry->store != NULL ? entry->store->nodes[entry->slot].key : entry->key);
}

static PyObject *
entry_get_value(Entry *entry, void *Py_UNUSED(closure))
{
    return or_none(entry->store != NULL ? entry->store->nodes[entry->slot].value : entry->value);
}

static PyObject *
entry_get_version(Entry *entry, void *Py_UNUSED(closure))
{
    if (entry->store == NULL) {
        return or_none(entry->version);
    }
    return or_none(entry->store->extras != NULL ? entry->store->extras[entry->slot].version : NULL);
}

static PyObject *
entry_get_deadline(Entry *entry, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(entry->store != NULL ? deadline_of(entry->store, entry->slot) : entry->deadline);
}

static PyObject *
entry_get_fresh_until(Entry *entry, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(entry->store != NULL ? entry->store->nodes[entry->slot].fresh_until
                                                   : entry->fresh_until);
}

static PyObject *
entry_get_retry_at(Entry *entry, void *Py_UNUSED(closure))
{
    if (entry->store == NULL) {
        return PyFloat_FromDouble(entry->retry_at);
    }
    return PyFloat_FromDouble(entry->store->extras != NULL ? entry->store->extras[entry->slot].retry_at
                                                           : -Py_HUGE_VAL);
}

static int
number_from(PyObject *object, double *number)
{
    *number = PyFloat_AsDouble(object);
    return *number == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int
limit_from(PyObject *object, Py_ssize_t *limit)
{
    *limit = PyNumber_AsSsize_t(object, NULL);
    if (*limit == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (*limit < 1) {
        PyErr_SetString(PyExc_ValueError, "limit must be at least 1");
        return -1;
    }
    return 0;
}

static int
refuse_deletion(PyObject *value)
{
    if (value != NULL) {
        return 0;
    }
    PyErr_SetString(PyExc_AttributeError, "an entry's attributes cannot be deleted");
    return -1;
}

static int
entry_set_value(Entry *entry, PyObject *value, void *Py_UNUSED(closure))
{
    if (refuse_deletion(value) < 0) {
        return -1;
    }
    PyObject **place = entry->store != NULL ? &entry->store->nodes[entry->slot].value : &entry->value;
    PyObject *before = *place;
    Py_INCREF(value);
    *place = value;
    if (entry->store != NULL) {
        note_container(entry->store, entry->slot);
    }
    Py_XDECREF(before);
    return 0;
}

static int
entry_set_version(Entry *entry, PyObject *version, void *Py_UNUSED(closure))
{
    if (refuse_deletion(version) < 0) {
        return -1;
    }
    if (version == Py_None) {
        version = NULL;
    }
    Store *store = entry->store;
    if (store != NULL && store->extras == NULL) {
        if (version == NULL) {
            return 0;
        }
        if (need_extras(store) < 0) {
            return -1;
        }
    }
    PyObject **place = store != NULL ? &store->extras[entry->slot].version : &entry->version;
    PyObject *before = *place;
    Py_XINCREF(version);
    *place = version;
    if (store != NULL) {
        note_container(store, entry->slot);
    }
    Py_XDECREF(before);
    return 0;
}

/* Give a node another end to its life. */
static int
redate(Store *store, Slot slot, double deadline, double fresh_until)
{
    if ((deadline != fresh_until && need_extras(store) < 0) || prepare_date(store, deadline) < 0) {
        return -1;
    }
    undate(store, slot);
    store->nodes[slot].fresh_until = fresh_until;
    if (store->extras != NULL) {
        store->extras[slot].deadline = deadline;
    }
    date(store, slot, deadline);
    return 0;
}

static int
entry_set_deadline(Entry *entry, PyObject *object, void *Py_UNUSED(closure))
{
    double number;
    if (refuse_deletion(object) < 0 || number_from(object, &number) < 0) {
        return -1;
    }
    if (entry->store != NULL) {
        return redate(entry->store, entry->slot, number, entry->store->nodes[entry->slot].fresh_until);
    }
    entry->deadline = number;
    return 0;
}

static int
entry_set_fresh_until(Entry *entry, PyObject *object, void *Py_UNUSED(closure))
{
    double number;
    if (refuse_deletion(object) < 0 || number_from(object, &number) < 0) {
        return -1;
    }
    Store *store = entry->store;
    if (store == NULL) {
        entry->fresh_until = number;
        return 0;
    }
    if (number != deadline_of(store, entry->slot) && need_extras(store) < 0) {
        return -1;
    }
    store->nodes[entry->slot].fresh_until = number;
    return 0;
}

static int
entry_set_retry_at(Entry *entry, PyObject *object, void *Py_UNUSED(closure))
{
    double number;
    if (refuse_deletion(object) < 0 || number_from(object, &number) < 0) {
        return -1;
    }
    if (entry->store == NULL) {
        entry->retry_at = number;
        return 0;
    }
    if (need_extras(entry->store) < 0) {
        return -1;
    }
    entry->store->extras[entry->slot].retry_at = number;
    return 0;
}

static PyObject *
entry_repr(PyObject *object)
{
    Entry *entry = (Entry *)object;
    PyObject *key = entry_get_key(entry, NULL), *value = entry_get_value(entry, NULL);
    PyObject *deadline = entry_get_deadline(entry, NULL), *fresh_until = entry_get_fresh_until(entry, NULL);
    PyObject *text = NULL;
    if (deadline != NULL && fresh_until != NULL) {
        text = PyUnicode_FromFormat("Entry(%R, %R, deadline=%R, fresh_until=%R)", key, value, deadline, fresh_until);
    }
    Py_DECREF(key);
    Py_DECREF(value);
    Py_XDECREF(deadline);
    Py_XDECREF(fresh_until);
    return text;
}

static PyGetSetDef entry_attributes[] = {
    {"key", (getter)entry_get_key, NULL, "its key", NULL},
    {"value", (getter)entry_get_value, (setter)entry_set_value, "its value", NULL},
    {"version", (getter)entry_get_version, (setter)entry_set_version, "opaque here", NULL},
    {"deadline", (getter)entry_get_deadline, (setter)entry_set_deadline,
     "its life ends here; it may be retained longer", NULL},
    {"fresh_until", (getter)entry_get_fresh_until, (setter)entry_set_fresh_until,
     "before this a look-up is a plain hit; after it, somebody has to think", NULL},
    {"retry_at", (getter)entry_get_retry_at, (setter)entry_set_retry_at,
     "after a failed load: do not ask the loader before this", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef entry_methods[] = {
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot entry_slots[] = {
    {Py_tp_doc, "One key with its value: a handle on a place in the store, or on what was there until it left."},
    {Py_tp_traverse, entry_traverse},
    {Py_tp_clear, entry_clear},
    {Py_tp_dealloc, entry_dealloc},
    {Py_tp_repr, entry_repr},
    {Py_tp_getset, entry_attributes},
    {Py_tp_methods, entry_methods},
    {0, NULL},
};

static PyType_Spec entry_spec = {
    .name = "lru_cache.store.native_store.Entry",
    .basicsize = sizeof(Entry),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = entry_slots,
};

/* -- Walk ---------------------------------------------------------------------------------------------------------- */

/* A list of so many blank handles, so that filling it in runs no foreign code. */
static PyObject *
blank_entries(Store *store, Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        Entry *entry = new_handle(store->state);
        if (entry == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, (PyObject *)entry);
        }
    }
    return list;
}

/* Let the blank handle at this place of a list be that of a node, unless somebody holds one of it already. */
static void
fill_in(Store *store, PyObject *list, Py_ssize_t place, Slot slot)
{
    PyObject *blank = PyList_GET_ITEM(list, place);
    Entry *entry = handle_of(store, slot);
    if (entry == NULL) {
        attach(store, slot, (Entry *)blank);
        PyObject_GC_Track(blank);
        return;
    }
    Py_INCREF(entry);
    PyList_SET_ITEM(list, place, (PyObject *)entry);
    Py_DECREF(blank); /* of which nobody knows: nothing is run by this */
}

/* Take what stayed blank from a list's end. */
static PyObject *
shortened(PyObject *list, Py_ssize_t length)
{
    if (length < PyList_GET_SIZE(list) && PyList_SetSlice(list, length, PyList_GET_SIZE(list), NULL) < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* Where the walk goes next; NOBODY if it is over.

   It follows the order of use; what is used meanwhile moves behind all others, and is met there. That alone might never
   end, nor meet one that is used before each of its steps: so its steps are counted, and at their end it goes through
   the slots for those that it has not met. */
static Slot
next_of_walk(Walk *walk)
{
    const Node *nodes = walk->store->nodes;
    while (walk->remaining > 0 && walk->steps_left > 0 && walk->next != NOBODY) {
        Slot slot = walk->next;
        walk->next = nodes[slot].newer;
        walk->steps_left--;
        if (is_to_give(walk, slot)) {
            mark_given(walk, slot);
            walk->remaining--;
            return slot;
        }
    }
    for (; walk->remaining > 0 && walk->word <= walk->slots / 64; walk->word++) {
        for (uint32_t bit = 0; ~walk->given[walk->word] != 0 && bit < 64; bit++) {
            Slot slot = walk->word * 64 + bit;
            if (!is_to_give(walk, slot)) {
                continue;
            }
            mark_given(walk, slot);
            if (nodes[slot].key != NULL) {
                walk->remaining--;
                return slot;
            }
        }
    }
    return NOBODY;
}

static void
end_walk(Walk *walk)
{
    Store *store = walk->store;
    if (store == NULL) {
        return;
    }
    Walk **place = &store->walks;
    while (*place != walk) {
        place = &(*place)->sibling;
    }
    *place = walk->sibling;
    walk->store = NULL;
    PyMem_Free(walk->given);
    walk->given = NULL;
    Py_DECREF(store);
}

static PyObject *
walk_next(Walk *walk, PyObject *limit_object)
{
    Py_ssize_t limit, length = 0;
    if (limit_from(limit_object, &limit) < 0) {
        return NULL;
    }
    Store *store = walk->store;
    if (store == NULL) {
        return PyList_New(0);
    }
    limit = limit < walk->remaining ? limit : walk->remaining;
    Py_INCREF(store);
    PyObject *list = blank_entries(store, limit); /* which may run foreign code, and that this walk */
    if (list != NULL && need_handles(store, (size_t)limit) < 0) {
        Py_CLEAR(list);
    }
    Slot slot;
    while (list != NULL && walk->store != NULL && length < limit && (slot = next_of_walk(walk)) != NOBODY) {
        fill_in(store, list, length++, slot);
    }
    if (list != NULL && length == 0) {
        end_walk(walk);
    }
    Py_DECREF(store);
    return list == NULL ? NULL : shortened(list, length);
}

static int
walk_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((Walk *)object)->store);
    return 0;
}

static int
walk_clear(PyObject *object)
{
    end_walk((Walk *)object);
    return 0;
}

static void
walk_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    end_walk((Walk *)object);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef walk_methods[] = {
    {"next", (PyCFunction)walk_next, METH_O,
     "next($self, limit, /)\n--\n\nThe next entries, at most so many; empty when it is over."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot walk_slots[] = {
    {Py_tp_doc, "A walk through a store's entries, a few at a time, whatever happens to the store meanwhile."},
    {Py_tp_traverse, walk_traverse},
    {Py_tp_clear, walk_clear},
    {Py_tp_dealloc, walk_dealloc},
    {Py_tp_methods, walk_methods},
    {0, NULL},
};

static PyType_Spec walk_spec = {
    .name = "lru_cache.store.native_store.Walk",
    .basicsize = sizeof(Walk),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = walk_slots,
};

/* -- Cleared ------------------------------------------------------------------------------------------------------- */

/* What a store had when it was cleared, in the arrays that it had it in. What is taken out is moved away before anything
   foreign can run, so whoever comes in finds the rest. */
typedef struct {
    PyObject_HEAD
    Store *store; /* whose state and counters are used */
    Node *nodes;
    Extra *extras;
    Cell *cells;  /* these three only to be freed */
    Cell *former_cells;
    Ticket *heap;
    Slot first;   /* the least recently used that is left */
    Py_ssize_t size, containers;
    double now;
} Cleared;

static Cleared *
new_cleared(Store *store)
{
    Cleared *cleared = PyObject_GC_New(Cleared, store->state->cleared_type);
    if (cleared != NULL) {
        Py_INCREF(store);
        cleared->store = store;
        cleared->nodes = NULL;
        cleared->extras = NULL;
        cleared->cells = NULL;
        cleared->former_cells = NULL;
        cleared->heap = NULL;
        cleared->first = NOBODY;
        cleared->size = cleared->containers = 0;
        cleared->now = 0.0;
    }
    return cleared;
}

/* Take out the least recently used of what is left: 1; 0 if that is nothing. */
static int
take_cleared(Cleared *cleared, Leaver *leaver)
{
    if (cleared->cells != NULL) {
        PyMem_Free(cleared->cells);
        PyMem_Free(cleared->former_cells);
        PyMem_Free(cleared->heap);
        cleared->cells = NULL;
        cleared->former_cells = NULL;
        cleared->heap = NULL;
    }
    if (cleared->size == 0) {
        free_array(cleared->nodes);
        free_array(cleared->extras);
        cleared->nodes = NULL;
        cleared->extras = NULL;
        return 0;
    }
    Store *store = cleared->store;
    Node *node = &cleared->nodes[cleared->first];
    Extra *extra = cleared->extras != NULL ? &cleared->extras[cleared->first] : NULL;
    leaver->key = node->key;
    leaver->value = node->value;
    leaver->version = extra != NULL ? extra->version : NULL;
    leaver->cause = store->state->cleared;
    if ((extra != NULL ? extra->deadline : node->fresh_until) <= cleared->now) {
        leaver->cause = store->state->expired;
        store->expirations++;
    }
    cleared->first = node->newer;
    cleared->size--;
    cleared->containers -= (node->handle & CONTAINER) != 0;
    return 1;
}

static PyObject *
cleared_next(Cleared *cleared, PyObject *limit_object)
{
    Py_ssize_t limit;
    if (limit_from(limit_object, &limit) < 0) {
        return NULL;
    }
    Leaver leaver;
    PyObject *list = PyList_New(0);
    while (list != NULL && PyList_GET_SIZE(list) < limit && take_cleared(cleared, &leaver)) {
        if (append_gone(list, &leaver) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
cleared_drop(Cleared *cleared, PyObject *limit_object)
{
    Py_ssize_t limit;
    if (limit_from(limit_object, &limit) < 0) {
        return NULL;
    }
    Leaver leaver;
    for (; limit > 0 && take_cleared(cleared, &leaver); limit--) {
        release(&leaver);
    }
    return PyBool_FromLong(cleared->size > 0);
}

static Py_ssize_t
cleared_length(PyObject *object)
{
    return ((Cleared *)object)->size;
}

static int
cleared_traverse(PyObject *object, visitproc visit, void *arg)
{
    Cleared *cleared = (Cleared *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(cleared->store);
    if (cleared->containers == 0) {
        return 0;
    }
    Slot slot = cleared->first;
    for (Py_ssize_t left = cleared->size; left > 0; left--, slot = cleared->nodes[slot].newer) {
        if (cleared->nodes[slot].handle & CONTAINER) {
            Py_VISIT(cleared->nodes[slot].key);
            Py_VISIT(cleared->nodes[slot].value);
            if (cleared->extras != NULL) {
                Py_VISIT(cleared->extras[slot].version);
            }
        }
    }
    return 0;
}

static int
cleared_clear(PyObject *object)
{
    Leaver leaver;
    while (take_cleared((Cleared *)object, &leaver)) {
        release(&leaver);
    }
    return 0;
}

static void
cleared_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    cleared_clear(object);
    Py_DECREF(((Cleared *)object)->store);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyMethodDef cleared_methods[] = {
    {"next", (PyCFunction)cleared_next, METH_O,
     "next($self, limit, /)\n--\n\nTake out the next, least recently used first and at most so many: what left; empty "
     "at the end."},
    {"drop", (PyCFunction)cleared_drop, METH_O,
     "drop($self, limit, /)\n--\n\nLet go of the next, at most so many. Whether there are more."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot cleared_slots[] = {
    {Py_tp_doc, "What was in a store when it was cleared, to be told of or let go, a few at a time."},
    {Py_tp_traverse, cleared_traverse},
    {Py_tp_clear, cleared_clear},
    {Py_tp_dealloc, cleared_dealloc},
    {Py_tp_methods, cleared_methods},
    {Py_sq_length, cleared_length},
    {0, NULL},
};

static PyType_Spec cleared_spec = {
    .name = "lru_cache.store.native_store.Cleared",
    .basicsize = sizeof(Cleared),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cleared_slots,
};

/* -- Store: the methods -------------------------------------------------------------------------------------------- */

static struct PyModuleDef native_store_module;

/* The module that made this type, or one of its bases. Borrowed. */
static PyObject *
module_of(PyTypeObject *type)
{
    for (; type != NULL; type = type->tp_base) {
        if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
            PyObject *module = ((PyHeapTypeObject *)type)->ht_module;
            if (module != NULL && PyModule_Check(module) && PyModule_GetDef(module) == &native_store_module) {
                return module;
            }
        }
    }
    PyErr_SetString(PyExc_SystemError, "a type of the native store without its module");
    return NULL;
}

static State *
state_of(PyTypeObject *type)
{
    PyObject *module = module_of(type);
    return module == NULL ? NULL : PyModule_GetState(module);
}

static int
set_capacity(Store *store, PyObject *object, void *Py_UNUSED(closure))
{
    if (object == NULL || !PyLong_Check(object)) {
        PyErr_SetString(PyExc_TypeError, "capacity must be an int");
        return -1;
    }
    int overflow;
    long long capacity = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (capacity == -1 && overflow == 0 && PyErr_Occurred()) {
        return -1;
    }
    if (overflow < 0 || (overflow == 0 && capacity < 1)) {
        PyErr_SetString(PyExc_ValueError, "capacity must be at least 1");
        return -1;
    }
    store->capacity = overflow > 0 || capacity > PY_SSIZE_T_MAX / 4 ? PY_SSIZE_T_MAX / 4 : (Py_ssize_t)capacity;
    PyObject *before = store->capacity_object;
    Py_INCREF(object);
    store->capacity_object = object;
    Py_XDECREF(before);
    return 0;
}

static PyObject *
get_capacity(Store *store, void *Py_UNUSED(closure))
{
    return or_none(store->capacity_object);
}

static PyObject *
get_evictions(Store *store, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(store->evictions);
}

static PyObject *
get_expirations(Store *store, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(store->expirations);
}

static PyObject *
store_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"capacity", "retention", NULL};
    PyObject *capacity;
    double retention = 0.0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|d:Store", names, &capacity, &retention)) {
        return NULL;
    }
    PyObject *module = module_of(type);
    Store *store = module == NULL ? NULL : (Store *)type->tp_alloc(type, 0);
    if (store == NULL) {
        return NULL;
    }
    Py_INCREF(module);
    store->module = module;
    store->state = PyModule_GetState(module);
    store->retention = retention;
    if (set_capacity(store, capacity, NULL) < 0) {
        Py_DECREF(store);
        return NULL;
    }
    store->unused = 1;
    if (resize(store, store->capacity < FEWEST_SLOTS ? (uint32_t)store->capacity : FEWEST_SLOTS) < 0) {
        Py_DECREF(store);
        return NULL;
    }
    reset_nodes(store);
    return (PyObject *)store;
}

static int
store_traverse(PyObject *object, visitproc visit, void *arg)
{
    Store *store = (Store *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(store->module);
    if (store->containers == 0) {
        return 0;
    }
    for (Slot slot = 1; slot < store->unused; slot++) {
        Node *node = &store->nodes[slot];
        if (node->handle & CONTAINER) {
            Py_VISIT(node->key);
            Py_VISIT(node->value);
            if (store->extras != NULL) {
                Py_VISIT(store->extras[slot].version);
            }
        }
    }
    return 0;
}

static int
store_clear_references(PyObject *object)
{
    Store *store = (Store *)object;
    Leaver leaver;
    while (store->nodes != NULL && store->size > 0) {
        take_out(store, oldest(store), store->state->cleared, -Py_HUGE_VAL, &leaver);
        release(&leaver);
    }
    return 0;
}

static void
store_dealloc(PyObject *object)
{
    Store *store = (Store *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    store_clear_references(object); /* no handle is left: each holds the store */
    Py_CLEAR(store->capacity_object);
    Py_CLEAR(store->module);
    free_array(store->nodes);
    free_array(store->extras);
    PyMem_Free(store->cells);
    PyMem_Free(store->former_cells);
    PyMem_Free(store->heap);
    PyMem_Free(store->handles);
    type->tp_free(object);
    Py_DECREF(type);
}

static Py_ssize_t
store_length(PyObject *object)
{
    return ((Store *)object)->size;
}

static PyObject *
store_count(Store *store, PyObject *now_object)
{
    double now;
    if (number_from(now_object, &now) < 0) {
        return NULL;
    }
    pass_time(store, now, PY_SSIZE_T_MAX);
    return PyLong_FromSsize_t(store->size - store->passed);
}

static PyObject *
store_pass_time(Store *store, PyObject *const *args, Py_ssize_t nargs)
{
    double now;
    Py_ssize_t limit;
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "pass_time() takes the time and a limit");
        return NULL;
    }
    if (number_from(args[0], &now) < 0 || limit_from(args[1], &limit) < 0) {
        return NULL;
    }
    return PyBool_FromLong(pass_time(store, now, limit));
}

static PyObject *
store_has_due(Store *store, PyObject *now_object)
{
    double now;
    if (number_from(now_object, &now) < 0) {
        return NULL;
    }
    return PyBool_FromLong(next_due(store, now) != NOBODY);
}

static long
count_hash(const Cell *cells, uint32_t cell_count, uint32_t hash)
{
    long found = 0;
    for (uint32_t at = home_of(hash, cell_count); found < LARGEST_CROWD && cells[at].slot != NOBODY;
         at = at + 1 == cell_count ? 0 : at + 1) {
        found += cells[at].hash == hash && cells[at].slot != MOVED;
    }
    return found;
}

static PyObject *
store_crowd(Store *store, PyObject *key)
{
    uint32_t hash;
    long crowd;
    if (hash_of(key, &hash) < 0) {
        return NULL;
    }
    crowd = count_hash(store->cells, store->cell_count, hash);
    if (store->former_cells != NULL) {
        crowd += count_hash(store->former_cells, store->former_count, hash);
    }
    return PyLong_FromLong(crowd < LARGEST_CROWD ? crowd : LARGEST_CROWD);
}

static PyObject *
store_find(Store *store, PyObject *key)
{
    uint32_t hash;
    Slot slot;
    if (hash_of(key, &hash) < 0) {
        return NULL;
    }
    for (;;) {
        int outcome = seek_undisturbed(store, key, hash, &slot);
        if (outcome == ERROR) {
            return NULL;
        }
        if (outcome == ABSENT) {
            Py_RETURN_NONE;
        }
        Entry *entry = handle_of(store, slot);
        if (entry != NULL) {
            Py_INCREF(entry);
            return (PyObject *)entry;
        }
        uint64_t changes = store->changes;
        entry = new_handle(store->state); /* which may run the garbage collector, and that anything */
        if (entry == NULL) {
            return NULL;
        }
        if (store->changes != changes || handle_of(store, slot) != NULL) {
            Py_DECREF(entry);
            continue;
        }
        if (need_handles(store, 1) < 0) {
            Py_DECREF(entry);
            return NULL;
        }
        attach(store, slot, entry);
        PyObject_GC_Track(entry);
        return (PyObject *)entry;
    }
}

static int
check_entry(Store *store, PyObject *object)
{
    if (Py_IS_TYPE(object, store->state->entry_type)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "an Entry is needed, not %.200s", Py_TYPE(object)->tp_name);
    return -1;
}

static PyObject *
store_use(Store *store, PyObject *object)
{
    if (check_entry(store, object) < 0) {
        return NULL;
    }
    if (((Entry *)object)->store == store) {
        make_newest(store, ((Entry *)object)->slot);
    }
    Py_RETURN_NONE;
}

static PyObject *
store_entries(Store *store, PyObject *Py_UNUSED(ignored))
{
    PyObject *list;
    for (;;) {
        list = blank_entries(store, store->size);
        if (list == NULL || PyList_GET_SIZE(list) >= store->size) {
            break;
        }
        Py_DECREF(list); /* it has grown meanwhile */
    }
    if (list == NULL || need_handles(store, (size_t)store->size) < 0) {
        Py_XDECREF(list);
        return NULL;
    }
    Py_ssize_t length = 0;
    for (Slot slot = oldest(store); slot != NOBODY; slot = store->nodes[slot].newer) {
        fill_in(store, list, length++, slot);
    }
    return shortened(list, length);
}

static PyObject *
store_walk(Store *store, PyObject *Py_UNUSED(ignored))
{
    Walk *walk = PyObject_GC_New(Walk, store->state->walk_type);
    if (walk == NULL) {
        return NULL;
    }
    walk->store = NULL;
    walk->slots = store->unused;
    walk->given = PyMem_Calloc(walk->slots / 64 + 1, sizeof(uint64_t));
    if (walk->given == NULL) {
        Py_DECREF(walk);
        return PyErr_NoMemory();
    }
    mark_given(walk, NOBODY);
    walk->next = oldest(store);
    walk->remaining = store->size;
    walk->steps_left = 2 * store->size; /* more than that is spent on those who are used all the time */
    walk->word = 0;
    walk->sibling = store->walks;
    store->walks = walk;
    Py_INCREF(store);
    walk->store = store;
    PyObject_GC_Track(walk);
    return (PyObject *)walk;
}

/* Tell by name what was given, for methods that are called too often for a tuple and a dict of arguments. */
static int
gather(const char *method, const char *const *names, Py_ssize_t count, Py_ssize_t required, Py_ssize_t positional,
       PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames, PyObject **found)
{
    if (nargs > positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd positional arguments (%zd given)", method, positional,
                     nargs);
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        found[i] = args[i];
    }
    for (Py_ssize_t k = 0; kwnames != NULL && k < PyTuple_GET_SIZE(kwnames); k++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, k);
        Py_ssize_t i = 0;
        while (i < count && PyUnicode_CompareWithASCIIString(name, names[i]) != 0) {
            i++;
        }
        if (i == count) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", method, name);
            return -1;
        }
        if (i < nargs) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", method, name);
            return -1;
        }
        found[i] = args[nargs + k];
    }
    for (Py_ssize_t i = 0; i < required; i++) {
        if (found[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%s'", method, names[i]);
            return -1;
        }
    }
    return 0;
}

static int
optional_double(PyObject *object, double *number)
{
    if (object == NULL || object == Py_None) {
        return 0;
    }
    *number = PyFloat_AsDouble(object);
    return *number == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *
store_put(Store *store, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"key", "value", "now", "deadline", "fresh_until", "version"};
    PyObject *given[6] = {NULL};
    Arrival arrival = {.deadline = Py_HUGE_VAL, .is_told = 1};
    Leaving leaving;
    Slot slot = NOBODY;
    if (gather("put", names, 6, 3, 6, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    arrival.key = given[0];
    arrival.value = given[1];
    arrival.version = given[5] == Py_None ? NULL : given[5];
    if (optional_double(given[2], &arrival.now) < 0 || optional_double(given[3], &arrival.deadline) < 0) {
        return NULL;
    }
    arrival.fresh_until = arrival.deadline;
    if (optional_double(given[4], &arrival.fresh_until) < 0 || hash_of(arrival.key, &arrival.hash) < 0) {
        return NULL;
    }
    int outcome = seek_undisturbed(store, arrival.key, arrival.hash, &slot);
    if (outcome == ERROR || put_at(store, outcome == FOUND ? slot : NOBODY, &arrival, &leaving) < 0) {
        return NULL;
    }
    return gone_list(&leaving);
}

static PyObject *
store_prolong(Store *store, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "prolong() takes an entry, a deadline and a fresh_until");
        return NULL;
    }
    Entry *entry = (Entry *)args[0];
    double deadline, fresh_until;
    if (check_entry(store, args[0]) < 0 || number_from(args[1], &deadline) < 0 ||
        number_from(args[2], &fresh_until) < 0) {
        return NULL;
    }
    if (entry->store != store) {
        entry->deadline = deadline;
        entry->retry_at = -Py_HUGE_VAL;
        Py_RETURN_NONE;
    }
    if (redate(store, entry->slot, deadline, fresh_until) < 0) {
        return NULL;
    }
    if (store->extras != NULL) {
        store->extras[entry->slot].retry_at = -Py_HUGE_VAL;
    }
    Py_RETURN_NONE;
}

static PyObject *
store_remove(Store *store, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "remove() takes an entry, a cause and the time");
        return NULL;
    }
    Entry *entry = (Entry *)args[0];
    double now;
    if (check_entry(store, args[0]) < 0 || number_from(args[2], &now) < 0) {
        return NULL;
    }
    if (entry->store != store) {
        Py_RETURN_NONE;
    }
    Leaver leaver;
    take_out(store, entry->slot, args[1], now, &leaver);
    return gone_tuple(&leaver);
}

static PyObject *
store_pop_oldest(Store *store, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"now", "limit", NULL};
    double now;
    Py_ssize_t limit = REAPED_PER_WRITE;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "d|n:pop_oldest", names, &now, &limit)) {
        return NULL;
    }
    PyObject *list = PyList_New(0);
    while (list != NULL && store->size > 0 && PyList_GET_SIZE(list) < limit) {
        Leaver leaver;
        take_out(store, oldest(store), store->state->invalidated, now, &leaver);
        int lived = leaver.cause == store->state->invalidated;
        if (append_gone(list, &leaver) < 0) {
            Py_CLEAR(list);
        }
        else if (lived) {
            break;
        }
    }
    return list;
}

static PyObject *
store_reap(Store *store, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"now", "limit", NULL};
    double now;
    PyObject *limit_object = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "d|O:reap", names, &now, &limit_object)) {
        return NULL;
    }
    Py_ssize_t limit = store->size;
    if (limit_object != Py_None) {
        limit = PyNumber_AsSsize_t(limit_object, NULL);
        if (limit == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    PyObject *list = PyList_New(0);
    Slot due;
    while (list != NULL && PyList_GET_SIZE(list) < limit && (due = next_due(store, now)) != NOBODY) {
        Leaver leaver;
        take_out(store, due, store->state->expired, now, &leaver);
        if (append_gone(list, &leaver) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* Every handle takes over what it stands for. In proportion to how many of them somebody holds, and once held. */
static void
detach_all(Store *store)
{
    for (uint32_t number = 0; store->handle_count > 0; number++) {
        if (!(store->handles[number] & 1)) {
            detach(store, ((Entry *)store->handles[number])->slot);
        }
    }
    PyMem_Free(store->handles);
    store->handles = NULL;
    store->handle_room = store->handle_free = 0;
}

static PyObject *
store_clear(Store *store, PyObject *now_object)
{
    double now;
    if (number_from(now_object, &now) < 0) {
        return NULL;
    }
    Cleared *cleared = new_cleared(store); /* which may run foreign code; from here on there is none */
    if (cleared == NULL) {
        return NULL;
    }
    uint32_t slots = store->capacity < FEWEST_SLOTS ? (uint32_t)store->capacity : FEWEST_SLOTS;
    Node *nodes = resize_array(NULL, (slots + 1) * sizeof(Node));
    Cell *cells = PyMem_Calloc(cells_for(slots), sizeof(Cell));
    if (nodes == NULL || cells == NULL) {
        free_array(nodes);
        PyMem_Free(cells);
        Py_DECREF(cleared);
        return PyErr_NoMemory();
    }
    detach_all(store);
    cleared->nodes = store->nodes;
    cleared->extras = store->extras;
    cleared->cells = store->cells;
    cleared->former_cells = store->former_cells;
    cleared->heap = store->heap;
    cleared->first = oldest(store);
    cleared->size = store->size;
    cleared->containers = store->containers;
    cleared->now = now;
    for (Walk *walk = store->walks; walk != NULL; walk = walk->sibling) {
        walk->next = NOBODY;
        walk->slots = 0;
        walk->remaining = 0;
    }
    store->nodes = nodes;
    store->extras = NULL;
    store->cells = cells;
    store->cell_count = cells_for(slots);
    store->former_cells = NULL;
    store->heap = NULL;
    store->heap_room = 0;
    store->slots = slots;
    reset_nodes(store);
    store->changes++;
    PyObject_GC_Track(cleared);
    return (PyObject *)cleared;
}

static PyObject *
store_sizeof(Store *store, PyObject *Py_UNUSED(ignored))
{
    size_t bytes = sizeof(Store) + ((size_t)store->slots + 1) * sizeof(Node) + store->cell_count * sizeof(Cell) +
                   store->heap_room * sizeof(Ticket) + store->handle_room * sizeof(uintptr_t);
    if (store->former_cells != NULL) {
        bytes += store->former_count * sizeof(Cell);
    }
    if (store->extras != NULL) {
        bytes += ((size_t)store->slots + 1) * sizeof(Extra);
    }
    return PyLong_FromSize_t(bytes);
}

/* -- Store: a check of all that must hold whenever foreign code can run -------------------------------------------- */

static const char *
flaw_in_order(const Store *store)
{
    Py_ssize_t length = 0;
    for (Slot slot = store->nodes[NOBODY].newer; slot != NOBODY; slot = store->nodes[slot].newer) {
        if (slot >= store->unused || store->nodes[slot].key == NULL || store->nodes[slot].value == NULL) {
            return "a free node stands in the order of use";
        }
        if (store->nodes[store->nodes[slot].newer].older != slot || ++length > store->size) {
            return "the order of use is broken";
        }
    }
    return length == store->size ? NULL : "the order of use has not as many as the size says";
}

static const char *
flaw_in_index(const Store *store, const Cell *cells, uint32_t cell_count, Py_ssize_t *filled)
{
    for (uint32_t at = 0; at < cell_count; at++) {
        Cell cell = cells[at];
        if (cell.slot == NOBODY || (cell.slot == MOVED && cells == store->former_cells)) {
            continue;
        }
        ++*filled;
        if (cell.slot >= store->unused || store->nodes[cell.slot].key == NULL) {
            return "a cell leads to a free node";
        }
        if (store->nodes[cell.slot].hash != cell.hash) {
            return "a cell has another hash than its node";
        }
        uint32_t on = home_of(cell.hash, cell_count);
        for (; on != at; on = on + 1 == cell_count ? 0 : on + 1) {
            if (cells[on].slot == NOBODY) {
                return "a cell cannot be reached from its home";
            }
        }
    }
    return NULL;
}

static const char *
flaw_in_cells(const Store *store)
{
    Py_ssize_t filled = 0;
    const char *flaw = flaw_in_index(store, store->cells, store->cell_count, &filled);
    if (flaw == NULL && store->former_cells != NULL) {
        flaw = flaw_in_index(store, store->former_cells, store->former_count, &filled);
    }
    return flaw != NULL || filled == store->size ? flaw : "there are not as many cells as nodes";
}

static const char *
flaw_in_dates(const Store *store)
{
    Py_ssize_t dated = 0, endless = 0, passed = 0;
    int all_passed = 1;
    double before = -Py_HUGE_VAL;
    for (Slot slot = store->nodes[NOBODY].after; slot != NOBODY; slot = store->nodes[slot].after, dated++) {
        if (store->nodes[slot].after == IN_HEAP || store->nodes[slot].after == UNDATED || dated > store->size ||
            store->nodes[store->nodes[slot].after].before != slot || deadline_of(store, slot) < before) {
            return "the lane is broken";
        }
        before = deadline_of(store, slot);
        if ((store->nodes[slot].handle & PASSED) == 0) {
            all_passed = 0;
        }
        else if (!all_passed || ++passed > store->passed || (passed == store->passed && slot != store->last_passed)) {
            return "those that have passed are not the lane's first";
        }
    }
    if (passed != store->passed || (passed == 0 && store->last_passed != NOBODY)) {
        return "those that have passed are miscounted";
    }
    for (uint32_t position = 0; position < store->heap_length; position++, dated++) {
        Ticket ticket = store->heap[position];
        if (store->nodes[ticket.slot].after != IN_HEAP || (store->nodes[ticket.slot].handle & PASSED) || store->nodes[ticket.slot].before != position ||
            ticket.time != deadline_of(store, ticket.slot) ||
            (position > 0 && ticket.time < store->heap[(position - 1) / 2].time)) {
            return "the heap is broken";
        }
    }
    for (Slot slot = store->nodes[NOBODY].newer; slot != NOBODY; slot = store->nodes[slot].newer) {
        double deadline = deadline_of(store, slot);
        endless += deadline == Py_HUGE_VAL;
        int is_dated = store->nodes[slot].after != UNDATED;
        if (is_dated ? deadline + store->retention < store->earliest : deadline != Py_HUGE_VAL) {
            return "an entry is due and nobody knows";
        }
    }
    return dated + endless == store->size ? NULL : "something is dated that is not there";
}

static const char *
flaw_in_handles(const Store *store)
{
    Py_ssize_t handled = 0, containers = 0;
    for (Slot slot = store->nodes[NOBODY].newer; slot != NOBODY; slot = store->nodes[slot].newer) {
        Entry *entry = handle_of(store, slot);
        containers += (store->nodes[slot].handle & CONTAINER) != 0;
        if (entry != NULL) {
            handled++;
            if (entry->store != store || entry->slot != slot) {
                return "a handle stands for another node";
            }
        }
    }
    if (containers != store->containers) {
        return "the containers are miscounted";
    }
    return handled == store->handle_count ? NULL : "a handle stands for a node that has left";
}

static const char *
flaw_in_walks(const Store *store)
{
    for (const Walk *walk = store->walks; walk != NULL; walk = walk->sibling) {
        Py_ssize_t to_give = 0;
        for (Slot slot = 1; slot < walk->slots; slot++) {
            to_give += is_to_give(walk, slot) && store->nodes[slot].key != NULL;
        }
        if (walk->store != store || to_give != walk->remaining) {
            return "a walk has miscounted what it has to give";
        }
        if (walk->next >= store->unused || (walk->next != NOBODY && store->nodes[walk->next].key == NULL)) {
            return "a walk goes to a free node";
        }
    }
    return NULL;
}

static PyObject *
store_check(Store *store, PyObject *Py_UNUSED(ignored))
{
    const char *flaw = flaw_in_order(store);
    flaw = flaw != NULL ? flaw : flaw_in_cells(store);
    flaw = flaw != NULL ? flaw : flaw_in_dates(store);
    flaw = flaw != NULL ? flaw : flaw_in_handles(store);
    flaw = flaw != NULL ? flaw : flaw_in_walks(store);
    if (flaw != NULL) {
        PyErr_SetString(PyExc_AssertionError, flaw);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef store_methods[] = {
    {"count", (PyCFunction)store_count, METH_O, "count($self, now, /)\n--\n\nThe entries whose life has not ended."},
    {"pass_time", (PyCFunction)(void (*)(void))store_pass_time, METH_FASTCALL,
     "pass_time($self, now, limit, /)\n--\n\nNote whose life has ended, at most so many. Whether that is all, so that "
     "`count` costs nothing."},
    {"has_due", (PyCFunction)store_has_due, METH_O,
     "has_due($self, now, /)\n--\n\nWhether there may be something to reap."},
    {"crowd", (PyCFunction)store_crowd, METH_O,
     "crowd($self, key, /)\n--\n\nHow many entries have this key's hash, itself included; no more than 64 are counted."},
    {"find", (PyCFunction)store_find, METH_O,
     "find($self, key, /)\n--\n\nThe entry for a key, whatever its age. Not a use."},
    {"use", (PyCFunction)store_use, METH_O, "use($self, entry, /)\n--\n\nMake it the most recently used."},
    {"entries", (PyCFunction)store_entries, METH_NOARGS,
     "entries($self)\n--\n\nA snapshot, least recently used first."},
    {"walk", (PyCFunction)store_walk, METH_NOARGS,
     "walk($self)\n--\n\nGo through the entries, a few at a time, least recently used first."},
    {"put", (PyCFunction)(void (*)(void))store_put, METH_FASTCALL | METH_KEYWORDS,
     "put($self, key, value, now, deadline=..., fresh_until=None, version=None)\n--\n\n"
     "Keep a value as the most recently used; whatever has expired or finds no room leaves."},
    {"prolong", (PyCFunction)(void (*)(void))store_prolong, METH_FASTCALL,
     "prolong($self, entry, deadline, fresh_until, /)\n--\n\nGive an entry another end to its life."},
    {"remove", (PyCFunction)(void (*)(void))store_remove, METH_FASTCALL,
     "remove($self, entry, cause, now, /)\n--\n\nTake an entry out. None if it has left already."},
    {"pop_oldest", (PyCFunction)(void (*)(void))store_pop_oldest, METH_VARARGS | METH_KEYWORDS,
     "pop_oldest($self, now, limit=16)\n--\n\nTake out the least recently used entry that lives, as invalidated."},
    {"reap", (PyCFunction)(void (*)(void))store_reap, METH_VARARGS | METH_KEYWORDS,
     "reap($self, now, limit=None)\n--\n\nDrop entries whose life and retention have passed."},
    {"clear", (PyCFunction)store_clear, METH_O,
     "clear($self, now, /)\n--\n\nDrop everything at once, and return it to be told of or let go."},
    {"_check", (PyCFunction)store_check, METH_NOARGS,
     "_check($self)\n--\n\nRaise AssertionError if the store is not whole. For tests: it looks at everything."},
    {"__sizeof__", (PyCFunction)store_sizeof, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef store_attributes[] = {
    {"capacity", (getter)get_capacity, (setter)set_capacity, "how many entries it holds at most", NULL},
    {"evictions", (getter)get_evictions, NULL, "how many left for want of room", NULL},
    {"expirations", (getter)get_expirations, NULL, "how many left since their life had ended", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot store_slots[] = {
    {Py_tp_doc, "Store(capacity, retention=0.0)\n--\n\n"
                "At most `capacity` entries, the least recently used leaving first. What leaves is returned."},
    {Py_tp_new, store_new},
    {Py_tp_traverse, store_traverse},
    {Py_tp_clear, store_clear_references},
    {Py_tp_dealloc, store_dealloc},
    {Py_tp_methods, store_methods},
    {Py_tp_getset, store_attributes},
    {Py_sq_length, store_length},
    {0, NULL},
};

static PyType_Spec store_spec = {
    .name = "lru_cache.store.native_store.Store",
    .basicsize = sizeof(Store),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = store_slots,
};

/* -- Lock: reentrant, as threading.RLock; what it adds is that C code can see whether it is held ------------------- */

/* All but `turn` is guarded by the interpreter lock: taking it when it is free is one step, and so is giving it back.
   Who finds it held waits for `turn`, which stays locked and is opened for one at a time. Who comes through may find
   the lock taken by a third, and waits again: whoever holds it by then opens `turn` once more. */
typedef struct {
    PyObject_HEAD
    PyThread_type_lock turn;
    unsigned long owner;
    Py_ssize_t depth;   /* 0: free */
    Py_ssize_t waiting;
    int opened;         /* `turn` is open, for one who has not come through yet */
} Lock;

static PyObject *
lock_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    Lock *lock = (Lock *)type->tp_alloc(type, 0);
    if (lock == NULL) {
        return NULL;
    }
    lock->turn = PyThread_allocate_lock();
    if (lock->turn == NULL) {
        Py_DECREF(lock);
        return PyErr_NoMemory();
    }
    PyThread_acquire_lock(lock->turn, NOWAIT_LOCK);
    return (PyObject *)lock;
}

static void
lock_dealloc(PyObject *object)
{
    Lock *lock = (Lock *)object;
    PyTypeObject *type = Py_TYPE(object);
    if (lock->turn != NULL) {
        PyThread_acquire_lock(lock->turn, NOWAIT_LOCK);
        PyThread_release_lock(lock->turn);
        PyThread_free_lock(lock->turn);
    }
    type->tp_free(object);
    Py_DECREF(type);
}

static inline int
lock_try(Lock *lock)
{
    unsigned long me = PyThread_get_thread_ident();
    if (lock->depth != 0 && lock->owner != me) {
        return 0;
    }
    lock->owner = me;
    lock->depth++;
    return 1;
}

static int
called_now(PyObject *monotonic, double *now)
{
    PyObject *object = PyObject_CallNoArgs(monotonic);
    if (object == NULL) {
        return -1;
    }
    *now = PyFloat_AsDouble(object);
    Py_DECREF(object);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

static int
monotonic_now(double *now)
{
    PyObject *module = PyImport_ImportModule("time");
    PyObject *monotonic = module == NULL ? NULL : PyObject_GetAttrString(module, "monotonic");
    int status = monotonic == NULL ? -1 : called_now(monotonic, now);
    Py_XDECREF(monotonic);
    Py_XDECREF(module);
    return status;
}

/* Wait until it is ours: 1; until `end` has passed: 0; until a signal handler raised: -1. */
static int
lock_wait(Lock *lock, double end)
{
    while (!lock_try(lock)) {
        PY_TIMEOUT_T microseconds = -1;
        if (end != Py_HUGE_VAL) {
            double now;
            if (monotonic_now(&now) < 0) {
                return -1;
            }
            if (now >= end) {
                return 0;
            }
            if (lock_try(lock)) {
                return 1;
            }
            microseconds = (PY_TIMEOUT_T)((end - now) * 1e6) + 1;
        }
        PyLockStatus status;
        lock->waiting++;
        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(lock->turn, microseconds, 1);
        Py_END_ALLOW_THREADS
        lock->waiting--;
        if (status == PY_LOCK_ACQUIRED) {
            lock->opened = 0;
        }
        else if (status == PY_LOCK_INTR && Py_MakePendingCalls() < 0) {
            return -1;
        }
    }
    return 1;
}

static PyObject *
lock_acquire(Lock *lock, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"blocking", "timeout"};
    PyObject *given[2] = {NULL};
    if (gather("acquire", names, 2, 0, 2, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    int blocking = given[0] == NULL ? 1 : PyObject_IsTrue(given[0]);
    double timeout = given[1] == NULL ? -1.0 : PyFloat_AsDouble(given[1]);
    if (blocking < 0 || (timeout == -1.0 && PyErr_Occurred())) {
        return NULL;
    }
    if ((timeout != -1.0 && !blocking) || (timeout < 0 && timeout != -1.0) || isnan(timeout)) {
        PyErr_SetString(PyExc_ValueError, blocking ? "timeout must be positive, or -1 for none"
                                                   : "a timeout needs blocking");
        return NULL;
    }
    if (lock_try(lock)) {
        Py_RETURN_TRUE;
    }
    if (!blocking) {
        Py_RETURN_FALSE;
    }
    double end = Py_HUGE_VAL;
    if (timeout != -1.0 && timeout * 1e6 < (double)PY_TIMEOUT_MAX / 2) {
        if (monotonic_now(&end) < 0) {
            return NULL;
        }
        end += timeout;
    }
    int outcome = lock_wait(lock, end);
    return outcome < 0 ? NULL : PyBool_FromLong(outcome);
}

static PyObject *
lock_enter(Lock *lock, PyObject *Py_UNUSED(ignored))
{
    if (UNLIKELY(!lock_try(lock)) && lock_wait(lock, Py_HUGE_VAL) < 0) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

static PyObject *
lock_release(Lock *lock, PyObject *Py_UNUSED(ignored))
{
    if (lock->depth == 0 || lock->owner != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError, "cannot release a lock that is not one's own");
        return NULL;
    }
    if (--lock->depth == 0 && lock->waiting > 0 && !lock->opened) {
        lock->opened = 1;
        PyThread_release_lock(lock->turn);
    }
    Py_RETURN_NONE;
}

static PyObject *
lock_exit(Lock *lock, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    return lock_release(lock, NULL);
}

static PyObject *
lock_is_owned(Lock *lock, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(lock->depth != 0 && lock->owner == PyThread_get_thread_ident());
}

static PyObject *
lock_at_fork_reinit(Lock *lock, PyObject *Py_UNUSED(ignored))
{
    PyThread_type_lock turn = PyThread_allocate_lock(); /* the old one is in an unknown state, and is left alone */
    if (turn == NULL) {
        return PyErr_NoMemory();
    }
    PyThread_acquire_lock(turn, NOWAIT_LOCK);
    lock->turn = turn;
    lock->owner = 0;
    lock->depth = lock->waiting = 0;
    lock->opened = 0;
    Py_RETURN_NONE;
}

static PyObject *
lock_repr(PyObject *object)
{
    Lock *lock = (Lock *)object;
    return PyUnicode_FromFormat("<%s Lock depth=%zd at %p>", lock->depth ? "locked" : "unlocked", lock->depth, object);
}

static PyMethodDef lock_methods[] = {
    {"acquire", (PyCFunction)(void (*)(void))lock_acquire, METH_FASTCALL | METH_KEYWORDS,
     "acquire($self, blocking=True, timeout=-1)\n--\n\nTake it; whether that was possible."},
    {"release", (PyCFunction)lock_release, METH_NOARGS, "release($self)\n--\n\nGive it back."},
    {"__enter__", (PyCFunction)lock_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))lock_exit, METH_FASTCALL, NULL},
    {"_is_owned", (PyCFunction)lock_is_owned, METH_NOARGS, NULL},
    {"_at_fork_reinit", (PyCFunction)lock_at_fork_reinit, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, "Lock()\n--\n\nReentrant, as threading.RLock is."},
    {Py_tp_new, lock_new},
    {Py_tp_dealloc, lock_dealloc},
    {Py_tp_repr, lock_repr},
    {Py_tp_methods, lock_methods},
    {0, NULL},
};

static PyType_Spec lock_spec = {
    .name = "lru_cache.store.native_store.Lock",
    .basicsize = sizeof(Lock),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = lock_slots,
};

/* -- ReadPath: the look-up, and the short cuts --------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Store *store;
    PyObject *monotonic;
    int is_system_clock;
    int answers_misses;     /* a miss is the default, and has no other consequence */
    enum { WRITE_AT_LENGTH, WRITE_HERE, WRITE_BY_CALL } way; /* what a plain write does */
    uint64_t hits, misses;  /* misses: those that were answered here */
    uint64_t invalidations; /* those that were done here */
    double life;            /* WRITE_HERE: of what is kept */
    PyObject *write;        /* WRITE_BY_CALL: keeps the key and the value that it is called with, if it returns True */
    Lock *lock;             /* held by nobody: no locked step is in progress */
    PyObject *loading;      /* a dict, empty: no load is in progress that a write would have to fence */
    PyObject *missing;      /* stands for a value that was not given */
} ReadPath;

static int
read_path_init(PyObject *object, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"store", "monotonic", NULL};
    ReadPath *self = (ReadPath *)object;
    PyObject *store, *monotonic;
    State *state = state_of(Py_TYPE(object));
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "O!O:ReadPath", names, state->store_type, &store,
                                                      &monotonic)) {
        return -1;
    }
    if (self->store != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "a cache is made once");
        return -1;
    }
    Py_INCREF(store);
    Py_INCREF(monotonic);
    self->store = (Store *)store;
    self->monotonic = monotonic;
#ifdef __linux__
    self->is_system_clock = monotonic == state->monotonic;
#endif
    return 0;
}

static int
read_path_traverse(PyObject *object, visitproc visit, void *arg)
{
    ReadPath *self = (ReadPath *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->store);
    Py_VISIT(self->monotonic);
    Py_VISIT(self->lock);
    Py_VISIT(self->loading);
    Py_VISIT(self->missing);
    Py_VISIT(self->write);
    return 0;
}

/* The store stays until the end, as a finalizer may still look something up; the collector empties it by itself. */
static int
read_path_clear(PyObject *object)
{
    ReadPath *self = (ReadPath *)object;
    PyObject *monotonic = self->monotonic;
    if (monotonic != NULL) {
        Py_INCREF(self->store->state->monotonic);
        self->monotonic = self->store->state->monotonic;
        Py_DECREF(monotonic);
    }
    if (self->way == WRITE_BY_CALL) {
        self->way = WRITE_AT_LENGTH;
    }
    Py_CLEAR(self->write);
    return 0;
}

static void
read_path_dealloc(PyObject *object)
{
    ReadPath *self = (ReadPath *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    Py_CLEAR(self->store);
    Py_CLEAR(self->monotonic);
    Py_CLEAR(self->lock);
    Py_CLEAR(self->loading);
    Py_CLEAR(self->missing);
    Py_CLEAR(self->write);
    type->tp_free(object);
    Py_DECREF(type);
}

static int
is_made(ReadPath *self)
{
    if (LIKELY(self->store != NULL)) {
        return 1;
    }
    PyErr_SetString(PyExc_RuntimeError, "the cache was not made: __init__ was not called");
    return 0;
}

/* The time by the cache's clock, exactly. One that is not the system's is foreign code. */
static inline int
exact_now(ReadPath *self, double *now)
{
#ifdef __linux__
    if (LIKELY(self->is_system_clock)) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        *now = (double)((int64_t)time.tv_sec * 1000000000 + time.tv_nsec) / 1e9; /* as time.monotonic does it */
        return 0;
    }
#endif
    return called_now(self->monotonic, now);
}

/* The time from which a life is to be counted. */
static inline int
now_for_life(ReadPath *self, double *now)
{
#ifdef __linux__
    if (LIKELY(self->is_system_clock && self->life >= COARSE_CLOCK_LIFE && self->store->state->coarse_clock)) {
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
        *now = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
        return 0;
    }
#endif
    return exact_now(self, now);
}

/* Whether it is earlier than `moment`: 1 or 0, or -1 for an exception. */
static inline int
is_before(ReadPath *self, double moment)
{
    double now;
#ifdef __linux__
    if (LIKELY(self->is_system_clock)) {
        if (moment == Py_HUGE_VAL || moment == -Py_HUGE_VAL) {
            return moment > 0;
        }
        if (LIKELY(self->store->state->coarse_clock)) {
            struct timespec time;
            clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
            if (LIKELY((double)time.tv_sec + (double)time.tv_nsec * 1e-9 + COARSE_CLOCK_MARGIN < moment)) {
                return 1;
            }
        }
    }
#endif
    if (exact_now(self, &now) < 0) {
        return -1;
    }
    return now < moment;
}

static PyObject *
miss(ReadPath *self, PyObject *key, PyObject *default_value, PyObject *load)
{
    PyObject *stack[] = {NULL, (PyObject *)self, key, default_value, load};
    PyObject *name = self->store->state->miss_name;
    return PyObject_VectorcallMethod(name, stack + 1, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
}

/* What is held for a key and fresh, if there is such a thing: `value`, or NULL. `is_use`: it counts as a hit. */
static INLINE int
look_for(ReadPath *self, PyObject *key, int is_use, PyObject **value)
{
    uint32_t hash;
    Slot slot;
    Store *store = self->store;
    *value = NULL;
    if (UNLIKELY(!is_made(self)) || UNLIKELY(hash_of(key, &hash) < 0)) {
        return ERROR;
    }
    int outcome = seek(store, key, hash, &slot);
    if (LIKELY(outcome == FOUND)) {
        uint64_t changes = store->changes;
        double fresh_until = store->nodes[slot].fresh_until;
        int fresh = is_before(self, fresh_until);
        if (UNLIKELY(fresh < 0)) {
            return ERROR;
        }
        /* Unless the entry was changed from within a clock of the user's own, or while that let others run. */
        if (LIKELY(fresh && store->changes == changes && store->nodes[slot].fresh_until == fresh_until)) {
            *value = store->nodes[slot].value;
            if (is_use) {
                make_newest(store, slot);
                self->hits++;
            }
            Py_INCREF(*value);
        }
    }
    return outcome;
}

static PyObject *
look_up(ReadPath *self, PyObject *key, PyObject *default_value, PyObject *load)
{
    PyObject *value;
    int outcome = look_for(self, key, 1, &value);
    if (LIKELY(value != NULL) || outcome == ERROR) {
        return value;
    }
    if (outcome == ABSENT && self->answers_misses && load == Py_None) {
        int looks = !self->is_system_clock || self->misses % MISSES_PER_LOOK == 0;
        int nothing_due = looks ? is_before(self, self->store->earliest) : 1;
        if (nothing_due < 0) {
            return NULL;
        }
        if (nothing_due) {
            self->misses++;
            Py_INCREF(default_value);
            return default_value;
        }
    }
    return miss(self, key, default_value, load);
}

static PyObject *
read_path_get(ReadPath *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (LIKELY(nargs == 1 && kwnames == NULL)) {
        return look_up(self, args[0], Py_None, Py_None);
    }
    static const char *const names[] = {"key", "default", "load"};
    PyObject *given[3] = {NULL, Py_None, Py_None};
    if (gather("get", names, 3, 1, 2, args, nargs, kwnames, given) < 0) {
        return NULL;
    }
    return look_up(self, given[0], given[1], given[2]);
}

/* The value of a plain hit; else what stands for none. */
static PyObject *
read_path_hit(ReadPath *self, PyObject *key)
{
    PyObject *value;
    if (LIKELY(look_for(self, key, 1, &value) != ERROR) && value == NULL) {
        value = self->missing != NULL ? self->missing : Py_None;
        Py_INCREF(value);
    }
    return value;
}

/* What the method in Python answers that does all of it. */
static PyObject *
at_length(ReadPath *self, int which, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *method = is_made(self) ? PyObject_GetAttr((PyObject *)self, self->store->state->at_length[which]) : NULL;
    PyObject *answer = method == NULL ? NULL : PyObject_Vectorcall(method, args, (size_t)nargs, kwnames);
    Py_XDECREF(method);
    return answer;
}

/* cache[key] */
static PyObject *
read_path_get_item(ReadPath *self, PyObject *key)
{
    PyObject *value;
    if (LIKELY(look_for(self, key, 1, &value) != ERROR) && UNLIKELY(value == NULL)) {
        value = at_length(self, GET_ITEM_AT_LENGTH, &key, 1, NULL);
    }
    return value;
}

static PyObject *
read_path_peek(ReadPath *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (LIKELY((nargs == 1 || nargs == 2) && kwnames == NULL)) {
        PyObject *value;
        int outcome = look_for(self, args[0], 0, &value);
        if (LIKELY(value != NULL) || outcome == ERROR) {
            return value;
        }
        if (outcome == ABSENT) {
            value = nargs == 2 ? args[1] : Py_None;
            Py_INCREF(value);
            return value;
        }
    }
    return at_length(self, PEEK_AT_LENGTH, args, nargs, kwnames);
}

/* -- writes without the lock

   A plain cache's `set`, `add`, `touch`, `invalidate` and `pop` need no lock, and are as good as with it:

   1. Nobody holds the lock and no load is running, as `is_undisturbed` finds.
   2. The key is hashed and compared, and a clock of the user's own asked: foreign code, so others may come in.
   3. It is looked again whether 1 still holds. If not, the method in Python does all of it, which waits for the lock.
   4. From there to the end of the change there is no foreign code: no other thread, and no call from within.
   5. What left is let go, which may be foreign code; by then the change is complete. */

static inline int
is_undisturbed(ReadPath *self)
{
    return self->lock->depth == 0 && PyDict_GET_SIZE(self->loading) == 0;
}

/* Steps 1 to 3: FOUND or ABSENT, and from here on there is no foreign code; DISTURBED: not by this way. */
static inline int
seek_to_write(ReadPath *self, PyObject *key, uint32_t *hash, double *now, Slot *slot)
{
    if (UNLIKELY(self->way != WRITE_HERE || !is_undisturbed(self))) {
        return DISTURBED;
    }
    if (hash_of(key, hash) < 0 || now_for_life(self, now) < 0) {
        return ERROR;
    }
    int outcome = seek(self->store, key, *hash, slot);
    return outcome == ERROR || LIKELY(is_undisturbed(self)) ? outcome : DISTURBED;
}

/* Whether an entry's life has not ended. A coarse `now` is made exact if that matters. */
static inline int
is_alive(ReadPath *self, Slot slot, double *now)
{
    double deadline = deadline_of(self->store, slot);
    if (UNLIKELY(self->is_system_clock && !(deadline > *now + COARSE_CLOCK_MARGIN))) {
        exact_now(self, now);
    }
    return *now < deadline;
}

/* Step 4 and 5 of a `set` or `add`, at the slot where the key was found, or NOBODY: 1, or -1 for an exception. */
static inline int
put_here(ReadPath *self, Slot slot, Arrival *arrival)
{
    Leaving leaving;
    arrival->deadline = arrival->fresh_until = arrival->now + self->life;
    if (UNLIKELY(put_at(self->store, slot, arrival, &leaving) < 0)) {
        return -1;
    }
    release_all(&leaving);
    return 1;
}

/* The same for a cache whose writes are more than a put, such as a replicated one: 1 if the callable that it gave has
   kept them; 0 if that could not; -1 for an exception. */
static int
write_by_call(ReadPath *self, PyObject *const *args)
{
    PyObject *write = self->write;
    Py_INCREF(write);
    PyObject *answer = PyObject_Vectorcall(write, args, 2, NULL);
    Py_DECREF(write);
    if (answer == NULL) {
        return -1;
    }
    Py_DECREF(answer);
    return answer == Py_True;
}

/* Keep a key and a value in the one way that this cache has for it: 1; 0 if that cannot be done, and nothing has
   changed; -1 for an exception. */
static inline int
set_shortly(ReadPath *self, PyObject *const *args)
{
    Arrival arrival = {.key = args[0], .value = args[1]};
    Slot slot = NOBODY;
    if (UNLIKELY(self->way != WRITE_HERE || args[1] == self->missing)) {
        return self->way == WRITE_BY_CALL && args[1] != self->missing ? write_by_call(self, args) : 0;
    }
    int outcome = seek_to_write(self, args[0], &arrival.hash, &arrival.now, &slot);
    if (UNLIKELY(outcome == ERROR || outcome == DISTURBED)) {
        return outcome == ERROR ? -1 : 0;
    }
    return put_here(self, outcome == FOUND ? slot : NOBODY, &arrival);
}

static PyObject *
read_path_set(ReadPath *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (LIKELY(nargs == 2 && kwnames == NULL)) {
        int outcome = set_shortly(self, args);
        if (LIKELY(outcome > 0)) {
            Py_INCREF(args[1]);
            return args[1];
        }
        if (outcome < 0) {
            return NULL;
        }
    }
    return at_length(self, SET_AT_LENGTH, args, nargs, kwnames);
}

static PyObject *
read_path_add(ReadPath *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (LIKELY(nargs == 2 && kwnames == NULL)) {
        Arrival arrival = {.key = args[0], .value = args[1]};
        Slot slot = NOBODY;
        int outcome = seek_to_write(self, args[0], &arrival.hash, &arrival.now, &slot);
        if (outcome == ERROR) {
            return NULL;
        }
        if (outcome == FOUND && is_alive(self, slot, &arrival.now)) {
            Py_RETURN_FALSE;
        }
        if (LIKELY(outcome != DISTURBED)) {
            if (put_here(self, outcome == FOUND ? slot : NOBODY, &arrival) < 0) {
                return NULL;
            }
            Py_RETURN_TRUE;
        }
    }
    return at_length(self, ADD_AT_LENGTH, args, nargs, kwnames);
}

static PyObject *
read_path_touch(ReadPath *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (LIKELY(nargs == 1 && kwnames == NULL)) {
        Store *store = self->store;
        uint32_t hash;
        double now;
        Slot slot = NOBODY;
        int outcome = seek_to_write(self, args[0], &hash, &now, &slot);
        if (outcome == ERROR) {
            return NULL;
        }
        if (outcome == ABSENT || (outcome == FOUND && !is_alive(self, slot, &now))) {
            Py_RETURN_FALSE;
        }
        if (LIKELY(outcome == FOUND)) {
            if (redate(store, slot, now + self->life, now + self->life) < 0) {
                return NULL;
            }
            if (store->extras != NULL) {
                store->extras[slot].retry_at = -Py_HUGE_VAL;
            }
            make_newest(store, slot);
            Py_RETURN_TRUE;
        }
    }
    return at_length(self, TOUCH_AT_LENGTH, args, nargs, kwnames);
}

/* Invalidate a key: FOUND, and `leaver` has what lived; ABSENT, and it has what had expired, if anything; DISTURBED:
   not by this way; ERROR. */
static inline int
invalidate_shortly(ReadPath *self, PyObject *key, Leaver *leaver)
{
    uint32_t hash;
    double now;
    Slot slot;
    leaver->key = leaver->value = leaver->version = NULL;
    int outcome = seek_to_write(self, key, &hash, &now, &slot);
    if (outcome == FOUND) {
        outcome = is_alive(self, slot, &now) ? FOUND : ABSENT;
        take_out(self->store, slot, self->store->state->invalidated, now, leaver);
    }
    self->invalidations += outcome == FOUND || outcome == ABSENT;
    return outcome;
}

static PyObject *
read_path_invalidate(ReadPath *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (LIKELY(nargs == 1 && kwnames == NULL)) {
        Leaver leaver;
        int outcome = invalidate_shortly(self, args[0], &leaver);
        if (outcome == ERROR) {
            return NULL;
        }
        if (LIKELY(outcome != DISTURBED)) {
            release(&leaver);
            return PyBool_FromLong(outcome == FOUND);
        }
    }
    return at_length(self, INVALIDATE_AT_LENGTH, args, nargs, kwnames);
}

static PyObject *
read_path_pop(ReadPath *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (UNLIKELY((nargs != 1 && nargs != 2) || kwnames != NULL || (nargs == 2 && args[1] == self->missing))) {
        return at_length(self, POP_AT_LENGTH, args, nargs, kwnames);
    }
    Leaver leaver;
    PyObject *value = NULL;
    int outcome = invalidate_shortly(self, args[0], &leaver);
    if (outcome == DISTURBED) {
        return at_length(self, POP_AT_LENGTH, args, nargs, kwnames);
    }
    if (outcome == FOUND) {
        value = leaver.value;
        leaver.value = NULL;
    }
    else if (outcome == ABSENT && nargs == 2) {
        value = args[1];
        Py_INCREF(value);
    }
    release(&leaver);
    if (outcome == ABSENT && nargs == 1) {
        PyObject *arguments = PyTuple_Pack(1, args[0]); /* else a key that is a tuple would be taken for all of them */
        if (arguments != NULL) {
            PyErr_SetObject(PyExc_KeyError, arguments);
            Py_DECREF(arguments);
        }
    }
    return value;
}

/* cache[key] = value, and del cache[key], for which `value` is NULL. */
static int
read_path_set_item(ReadPath *self, PyObject *key, PyObject *value)
{
    PyObject *args[] = {key, value};
    int outcome = value == NULL ? 0 : set_shortly(self, args);
    if (LIKELY(outcome != 0)) {
        return outcome > 0 ? 0 : -1;
    }
    PyObject *answer = value == NULL ? at_length(self, DELETE_ITEM_AT_LENGTH, args, 1, NULL)
                                     : at_length(self, SET_ITEM_AT_LENGTH, args, 2, NULL);
    Py_XDECREF(answer);
    return answer == NULL ? -1 : 0;
}

/* key in cache */
static int
read_path_contains(ReadPath *self, PyObject *key)
{
    PyObject *value;
    int outcome = look_for(self, key, 0, &value);
    if (LIKELY(value != NULL)) {
        Py_DECREF(value);
        return 1;
    }
    if (outcome == ABSENT || outcome == ERROR) {
        return outcome == ABSENT ? 0 : -1;
    }
    PyObject *answer = at_length(self, CONTAINS_AT_LENGTH, &key, 1, NULL);
    int contains = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    return contains;
}

/* len(cache) */
static Py_ssize_t
read_path_length(ReadPath *self)
{
    double now;
    if (!is_made(self) || exact_now(self, &now) < 0) {
        return -1;
    }
    if (LIKELY(pass_time(self->store, now, PASSED_PER_LENGTH))) {
        return self->store->size - self->store->passed;
    }
    PyObject *answer = at_length(self, LENGTH_AT_LENGTH, NULL, 0, NULL);
    Py_ssize_t length = answer == NULL ? -1 : PyLong_AsSsize_t(answer);
    Py_XDECREF(answer);
    return length;
}

static PyObject *
read_path_count_hit(ReadPath *self, PyObject *Py_UNUSED(ignored))
{
    self->hits++;
    Py_RETURN_NONE;
}

static PyObject *
read_path_count_hits(ReadPath *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(self->hits);
}

static PyObject *
read_path_count_short_misses(ReadPath *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(self->misses);
}

static PyObject *
read_path_count_short_invalidations(ReadPath *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(self->invalidations);
}

static PyObject *
read_path_allow_short_cuts(ReadPath *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"lock", "loading", "missing", "misses", "life", "write", NULL};
    PyObject *lock, *loading, *missing, *life, *write = Py_None;
    int misses;
    double seconds = -1.0;
    if (!is_made(self) || !PyArg_ParseTupleAndKeywords(args, kwargs, "OO!OpO|O:_allow_short_cuts", names, &lock,
                                                       &PyDict_Type, &loading, &missing, &misses, &life, &write)) {
        return NULL;
    }
    if (optional_double(life, &seconds) < 0) {
        return NULL;
    }
    self->answers_misses = misses;
    self->way = WRITE_AT_LENGTH;
    Py_INCREF(missing);
    Py_XSETREF(self->missing, missing);
    if (!Py_IS_TYPE(lock, self->store->state->lock_type)) {
        Py_RETURN_NONE;
    }
    self->life = seconds;
    Py_INCREF(lock);
    Py_XSETREF(self->lock, (Lock *)lock);
    Py_INCREF(loading);
    Py_XSETREF(self->loading, loading);
    Py_INCREF(write);
    Py_XSETREF(self->write, write);
    self->way = write != Py_None ? WRITE_BY_CALL : life != Py_None ? WRITE_HERE : WRITE_AT_LENGTH;
    Py_RETURN_NONE;
}

#define GET_DOCUMENTATION \
    "get($self, key, default=None, *, load=None)\n--\n\n" \
    "Return the value of a key; on a miss what the loader answers, which is then kept; else `default`."
#define SET_DOCUMENTATION \
    "set($self, key, value=..., *, expire_at=None, expiration_time=...)\n--\n\n" \
    "Keep a value and return it. Without a value: invalidate the key and load it anew.\n\n" \
    "It lives for `expiration_time` (None: for ever), or until `expire_at`, or as long as the cache's entries do."

#define PEEK_DOCUMENTATION \
    "peek($self, key, default=None)\n--\n\n" \
    "Return the value if it is held. Neither loads nor counts as a use."

#define ADD_DOCUMENTATION \
    "add($self, key, value, *, expire_at=None, expiration_time=...)\n--\n\n" \
    "Keep a value unless one is held for this key. Whether it was kept."
#define TOUCH_DOCUMENTATION \
    "touch($self, key, expiration_time=...)\n--\n\n" \
    "Begin the life of an entry anew, as one use of it, and leave the value. False if none is held."
#define INVALIDATE_DOCUMENTATION \
    "invalidate($self, key)\n--\n\n" \
    "The value of this key no longer holds: drop it, and whatever is being loaded for it. True if one was held."
#define POP_DOCUMENTATION \
    "pop($self, key, default=...)\n--\n\n" \
    "Invalidate a key and return what it held; else `default`, or KeyError without one."
#define SHORT_METHOD(name, function, documentation) \
    {name, (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS, documentation}

static PyMethodDef get_method = SHORT_METHOD("get", read_path_get, GET_DOCUMENTATION);
/* What a cache gets from `with_short_cuts`. */
static PyMethodDef short_methods[] = {
    SHORT_METHOD("set", read_path_set, SET_DOCUMENTATION),
    SHORT_METHOD("add", read_path_add, ADD_DOCUMENTATION),
    SHORT_METHOD("touch", read_path_touch, TOUCH_DOCUMENTATION),
    SHORT_METHOD("invalidate", read_path_invalidate, INVALIDATE_DOCUMENTATION),
    SHORT_METHOD("pop", read_path_pop, POP_DOCUMENTATION),
    SHORT_METHOD("peek", read_path_peek, PEEK_DOCUMENTATION),
    {NULL, NULL, 0, NULL},
};

/* How a class comes by these methods:

   1. `LRUCache` is written in Python, and inherits from ReadPath.
   2. Its decorator, `with_short_cuts`, puts its Python methods aside under the names in NAMES_AT_LENGTH, gives it those
      above in their place, and takes its `__getitem__` and the like away, so that ReadPath's slots are inherited.
   3. Each subclass is given the same methods once more, by `__init_subclass__`: the interpreter specializes the call of a
      C method only where the object is exactly of the class that the descriptor belongs to, and then a hit costs a
      fifth less. A method that the subclass, or a class between, has in its own way is left alone.
   4. A subclass with a `get` of its own has `cache[key]` answered by that. */

static int
give_method(PyTypeObject *type, PyMethodDef *method)
{
    PyObject *descriptor = PyDescr_NewMethod(type, method);
    if (descriptor == NULL) {
        return -1;
    }
    int status = PyObject_SetAttrString((PyObject *)type, method->ml_name, descriptor);
    Py_DECREF(descriptor);
    return status;
}

/* What a class has under a name: NULL without an exception if that is nothing. */
static PyObject *
attribute_of(PyTypeObject *type, const char *name)
{
    PyObject *found = PyObject_GetAttrString((PyObject *)type, name);
    if (found == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
    }
    return found;
}

/* Step 3 for one method: 1 if the class inherits just that and was given its own; 0 if it has somebody else's. */
static int
pass_on(PyTypeObject *type, PyMethodDef *method)
{
    PyObject *found = attribute_of(type, method->ml_name);
    if (found == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int is_ours = Py_IS_TYPE(found, &PyMethodDescr_Type) &&
                  ((PyMethodDescrObject *)found)->d_method->ml_meth == method->ml_meth;
    Py_DECREF(found);
    return is_ours && give_method(type, method) < 0 ? -1 : is_ours;
}

/* Step 4, unless the class has a `__getitem__` of its own, too. */
static int
let_get_answer_items(State *state, PyTypeObject *type)
{
    PyObject *inherited = attribute_of(state->read_path_type, "__getitem__");
    PyObject *found = inherited == NULL ? NULL : attribute_of(type, "__getitem__");
    PyObject *by_get = found == inherited && found != NULL ? attribute_of(type, NAMES_AT_LENGTH[GET_ITEM_AT_LENGTH])
                                                           : NULL;
    int status = by_get != NULL ? PyObject_SetAttrString((PyObject *)type, "__getitem__", by_get) : 0;
    Py_XDECREF(by_get);
    Py_XDECREF(found);
    Py_XDECREF(inherited);
    return PyErr_Occurred() ? -1 : status;
}

/* Steps 3 and 4. First what `super().__init_subclass__()` would do. */
static PyObject *
read_path_init_subclass(PyObject *class, PyObject *args, PyObject *kwargs)
{
    State *state = state_of((PyTypeObject *)class);
    if (state == NULL) {
        return NULL;
    }
    PyObject *super = (PyObject *)&PySuper_Type;
    PyObject *next = PyObject_CallFunctionObjArgs(super, (PyObject *)state->read_path_type, class, NULL);
    PyObject *method = next == NULL ? NULL : PyObject_GetAttrString(next, "__init_subclass__");
    PyObject *answer = method == NULL ? NULL : PyObject_Call(method, args, kwargs);
    Py_XDECREF(method);
    Py_XDECREF(next);
    if (answer == NULL) {
        return NULL;
    }
    Py_DECREF(answer);
    PyTypeObject *type = (PyTypeObject *)class;
    int has_our_get = pass_on(type, &get_method);
    if (has_our_get < 0 || (!has_our_get && let_get_answer_items(state, type) < 0)) {
        return NULL;
    }
    for (PyMethodDef *method = short_methods; method->ml_name != NULL; method++) {
        if (pass_on(type, method) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef read_path_methods[] = {
    {"get", (PyCFunction)(void (*)(void))read_path_get, METH_FASTCALL | METH_KEYWORDS, GET_DOCUMENTATION},
    {"_hit", (PyCFunction)read_path_hit, METH_O, NULL},
    {"_count_hit", (PyCFunction)read_path_count_hit, METH_NOARGS, NULL},
    {"_count_hits", (PyCFunction)read_path_count_hits, METH_NOARGS, NULL},
    {"_count_short_misses", (PyCFunction)read_path_count_short_misses, METH_NOARGS, NULL},
    {"_allow_short_cuts", (PyCFunction)(void (*)(void))read_path_allow_short_cuts, METH_VARARGS | METH_KEYWORDS, NULL},
    {"_count_short_invalidations", (PyCFunction)read_path_count_short_invalidations, METH_NOARGS, NULL},
    {"__init_subclass__", (PyCFunction)(void (*)(void))read_path_init_subclass,
     METH_VARARGS | METH_KEYWORDS | METH_CLASS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef read_path_members[] = {
    {"_store", T_OBJECT_EX, offsetof(ReadPath, store), READONLY, NULL},
    {"_monotonic", T_OBJECT_EX, offsetof(ReadPath, monotonic), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot read_path_slots[] = {
    {Py_tp_doc, "ReadPath(store, monotonic)\n--\n\nThe hit: `get` for a cache that keeps its entries in a store."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, read_path_init},
    {Py_tp_traverse, read_path_traverse},
    {Py_tp_clear, read_path_clear},
    {Py_tp_dealloc, read_path_dealloc},
    {Py_tp_methods, read_path_methods},
    {Py_tp_members, read_path_members},
    {Py_mp_length, read_path_length},
    {Py_mp_subscript, read_path_get_item},
    {Py_mp_ass_subscript, read_path_set_item},
    {Py_sq_contains, read_path_contains},
    {0, NULL},
};

static PyType_Spec read_path_spec = {
    .name = "lru_cache.store.native_store.ReadPath",
    .basicsize = sizeof(ReadPath),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = read_path_slots,
};

/* -- the module ---------------------------------------------------------------------------------------------------- */

/* Step 2. */
static PyObject *
with_short_cuts(PyObject *module, PyObject *class)
{
    State *state = PyModule_GetState(module);
    if (!PyType_Check(class) || !PyType_IsSubtype((PyTypeObject *)class, state->read_path_type)) {
        PyErr_SetString(PyExc_TypeError, "a class that is a ReadPath is needed");
        return NULL;
    }
    for (int which = 0; which < AT_LENGTH; which++) {
        PyObject *method = PyObject_GetAttrString(class, SHORT_NAMES[which]);
        if (method == NULL) {
            return NULL;
        }
        int status = PyObject_SetAttr(class, state->at_length[which], method);
        Py_DECREF(method);
        if (status < 0 || PyObject_DelAttrString(class, SHORT_NAMES[which]) < 0) {
            return NULL;
        }
    }
    for (PyMethodDef *method = short_methods; method->ml_name != NULL; method++) {
        if (give_method((PyTypeObject *)class, method) < 0) {
            return NULL;
        }
    }
    Py_INCREF(class);
    return class;
}

static int
take_causes(State *state)
{
    PyObject *causes = imported("lru_cache.store.removal", "RemovalCause");
    int status = -1;
    if (causes != NULL) {
        state->evicted = PyObject_GetAttrString(causes, "EVICTED");
        state->expired = PyObject_GetAttrString(causes, "EXPIRED");
        state->replaced = PyObject_GetAttrString(causes, "REPLACED");
        state->invalidated = PyObject_GetAttrString(causes, "INVALIDATED");
        state->cleared = PyObject_GetAttrString(causes, "CLEARED");
        status = state->evicted && state->expired && state->replaced && state->invalidated && state->cleared ? 0 : -1;
    }
    Py_XDECREF(causes);
    return status;
}

static int
take_clock(State *state)
{
    state->monotonic = imported("time", "monotonic");
#ifdef __linux__
    struct timespec tick;
    state->coarse_clock = clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0 &&
                          (double)tick.tv_sec + (double)tick.tv_nsec * 1e-9 <= COARSEST_TICK;
#endif
    return state->monotonic == NULL ? -1 : 0;
}

static int
module_exec(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->miss_name = PyUnicode_InternFromString("_miss");
    if (state->miss_name == NULL) {
        return -1;
    }
    for (int which = 0; which < AT_LENGTH; which++) {
        state->at_length[which] = PyUnicode_InternFromString(NAMES_AT_LENGTH[which]);
        if (state->at_length[which] == NULL) {
            return -1;
        }
    }
    if (take_causes(state) < 0 || take_clock(state) < 0) {
        return -1;
    }
    if ((state->entry_type = add_type(module, &entry_spec)) == NULL ||
        (state->store_type = add_type(module, &store_spec)) == NULL ||
        (state->walk_type = add_type(module, &walk_spec)) == NULL ||
        (state->cleared_type = add_type(module, &cleared_spec)) == NULL ||
        (state->lock_type = add_type(module, &lock_spec)) == NULL ||
        (state->read_path_type = add_type(module, &read_path_spec)) == NULL) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "REAPED_PER_WRITE", REAPED_PER_WRITE);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    if (state == NULL) {
        return 0;
    }
    Py_VISIT(state->store_type);
    Py_VISIT(state->entry_type);
    Py_VISIT(state->walk_type);
    Py_VISIT(state->cleared_type);
    Py_VISIT(state->lock_type);
    Py_VISIT(state->read_path_type);
    Py_VISIT(state->evicted);
    Py_VISIT(state->expired);
    Py_VISIT(state->replaced);
    Py_VISIT(state->invalidated);
    Py_VISIT(state->cleared);
    Py_VISIT(state->monotonic);
    return 0;
}

/* Only in the end: while a cache exists, its type holds the module, and so this state. */
static void
module_free(void *module)
{
    State *state = PyModule_GetState((PyObject *)module);
    if (state == NULL) {
        return;
    }
    Py_CLEAR(state->store_type);
    Py_CLEAR(state->entry_type);
    Py_CLEAR(state->walk_type);
    Py_CLEAR(state->cleared_type);
    Py_CLEAR(state->lock_type);
    Py_CLEAR(state->read_path_type);
    Py_CLEAR(state->evicted);
    Py_CLEAR(state->expired);
    Py_CLEAR(state->replaced);
    Py_CLEAR(state->invalidated);
    Py_CLEAR(state->cleared);
    Py_CLEAR(state->monotonic);
    Py_CLEAR(state->miss_name);
    for (int which = 0; which < AT_LENGTH; which++) {
        Py_CLEAR(state->at_length[which]);
    }
}

static PyMethodDef module_functions[] = {
    {"with_short_cuts", with_short_cuts, METH_O,
     "with_short_cuts($module, class, /)\n--\n\n"
     "Decorate a cache: its look-ups and plain writes run no Python frame where that is possible."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = MODULE_SLOTS(module_exec);

static struct PyModuleDef native_store_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "native_store",
    .m_doc = "Keeping, in C. The contract is python_store's.",
    .m_size = sizeof(State),
    .m_methods = module_functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit_native_store(void)
{
    return PyModuleDef_Init(&native_store_module);
}

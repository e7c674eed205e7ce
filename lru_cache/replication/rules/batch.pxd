import cython
from libc.stdint cimport int64_t
from .event cimport Event, event_of
from .version cimport Version
from .wire cimport pack_events

cdef int _MOST_EVENTS
cdef double _SHARED_SECONDS


@cython.final
cdef class Batch:
    cdef int64_t _limit, _bytes
    cdef list _bodies, _events
    cdef readonly int64_t count
    cdef readonly bint has_room
    cdef public bint is_for_all
    cpdef begin(self, int64_t value_limit)
    @cython.locals(size=int64_t, count=Py_ssize_t)
    cpdef add(self, int kind, bytes key, Version version, int hops, bytes payload=*, int64_t life=*, Version other=*)
    cpdef list bodies(self)
    @cython.locals(events=list, body=bytes)
    cdef _flush(self)


@cython.locals(batch=Batch)
cpdef Batch batch_of(int64_t value_limit)


@cython.final
cdef class Shared:
    cdef list notices, bodies
    cdef bint is_full
    cdef int64_t _limit, count
    cdef double _until
    cdef bint serves(self, int64_t value_limit, double now)


@cython.locals(shared=Shared)
cpdef Shared shared_of(list notices, list bodies, int64_t count, bint is_full, int64_t value_limit, double now)

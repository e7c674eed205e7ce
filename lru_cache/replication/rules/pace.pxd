import cython
from libc.stdint cimport int64_t

cdef int _NOTHING, _SEND, _SEND_BATCHES, _WAKE, _BURST_WRITES
cdef double _NEVER


@cython.final
cdef class Pace:
    cdef public double burst_seconds, wrote_at, hurried_at, linger_until, seen_at, idle_at
    cdef public int64_t hurried
    cdef public bint has_links, is_left, is_attended
    @cython.locals(before=double)
    cpdef int wrote(self, double now) except -1
    cpdef int leave(self) except -1
    @cython.locals(until=double)
    cpdef bint is_rest_due(self, double now) except -1
    cpdef seen_rose(self, int waiting, double now)

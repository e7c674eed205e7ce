import cython
from libc.stdint cimport int64_t
from .believing cimport Believer
from .neighbour cimport Neighbour
from .version cimport HybridClock, Version
from .wire cimport read_events

cdef int _COUNTER_BITS


cdef class LogNeighbour(Believer):
    cdef Neighbour _log
    @cython.locals(log=Neighbour, latest=int64_t, events=list)
    cpdef bint consume(self, bytes body, int64_t appended, double age, bint with_seen, bint own, double now) except -1
    @cython.locals(log=Neighbour, upto=int64_t, is_told=bint)
    cpdef lost(self, int64_t appended, double now)
    @cython.locals(log=Neighbour)
    cpdef retell(self, bint announced)
    @cython.locals(ahead=int64_t)
    cpdef int64_t valid_from(self) except? -1
    cdef _note_way(self, bytes node, int64_t time, Neighbour source, bint is_applied, double now)
    cdef bint _has_log(self) except -1
    cdef bint _has_seen_for(self, Neighbour neighbour) except -1
    @cython.locals(log=Neighbour, follows_news=bint)
    cdef _seen_changed(self, bytes node, int64_t time)

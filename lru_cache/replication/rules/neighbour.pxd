import cython
from libc.stdint cimport int64_t
from .outbox cimport Outbox
from .trees cimport Branch
from .version cimport Version


@cython.final
cdef class Neighbour:
    cdef readonly object link
    cdef readonly bytes node
    cdef readonly int64_t capacity
    cdef public int64_t value_limit
    cdef readonly bytes dialled_by
    cdef public double half_trip
    cdef public int64_t ahead_allowed
    cdef public dict seen
    cdef readonly Outbox outbox
    cdef readonly Branch branch
    cdef public object resync
    cdef public int64_t own_seen
    cdef public set seen_changed
    cdef public dict rests_on
    cdef public bint seen_follows_news, rests
    cdef public int64_t changes_told
    cdef public bint greeted, has_caught_up
    cpdef bint covers(self, Version version) except -1

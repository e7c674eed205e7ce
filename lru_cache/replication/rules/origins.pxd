import cython
from libc.stdint cimport int64_t
from .version cimport Version


@cython.final
cdef class Origins:
    cdef readonly bytes node
    cdef public int64_t own_time
    cdef readonly dict seen, heard
    cdef int64_t _limit
    cdef object _heard_at
    cdef readonly dict _departed
    cdef list _forgotten
    cpdef int64_t seen_of(self, bytes node) except? -1
    @cython.locals(node=bytes, time=int64_t)
    cpdef bint hear(self, Version version, int64_t present, int64_t silence, double now) except -1
    cpdef forget(self, bytes node)
    cpdef list pop_forgotten(self)

import cython
from libc.stdint cimport int64_t
from .version cimport Version


@cython.final
cdef class Event:
    cdef readonly int kind
    cdef readonly int hops
    cdef readonly bytes key
    cdef readonly bytes payload
    cdef readonly Version version
    cdef readonly Version other
    cdef readonly int64_t life


@cython.locals(event=Event)
cpdef Event event_of(int kind, bytes key, Version version, int hops, bytes payload, int64_t life, Version other)

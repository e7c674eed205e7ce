import cython
from libc.stdint cimport int64_t
from .version cimport Version


@cython.final
cdef class Stamp:
    cdef readonly bytes key
    cdef readonly bytes payload
    cdef readonly Version version
    cdef readonly Version told
    cdef public Version life_version
    cdef public double deadline
    cdef public int64_t held_in
    cdef readonly bint is_set


@cython.locals(stamp=Stamp)
cpdef Stamp stamp_of(bytes key, Version version, bint is_set, bytes payload, Version told)
@cython.locals(stamp=object)
cpdef Stamp stamp_in(object entry)

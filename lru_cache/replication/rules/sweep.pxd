import cython
from libc.stdint cimport int64_t
from .stamp cimport Stamp
from .store_view cimport StoreView


@cython.final
cdef class Sweep:
    cdef readonly bint is_pending
    cdef StoreView _store
    cdef int64_t _hold
    cdef Py_ssize_t _slice
    cdef dict _raised
    cdef object _everywhere, _walk
    cdef bint _loads, _again
    cdef double _begin_at
    cpdef bint dooms(self, object stamp) except -1
    cpdef bint is_due(self, double now) except -1
    cpdef object next_slice(self, double now)
    cpdef end_slice(self)
    cdef bint _is_below(self, Stamp stamp, object reach) except -1

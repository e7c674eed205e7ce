import cython
from libc.stdint cimport int64_t


@cython.final
cdef class RecentKeys:
    cdef readonly int64_t count
    cdef readonly object _keys
    cdef readonly object _hops
    cdef object _append, _append_hops
    @cython.locals(number=int64_t)
    cpdef int64_t add(self, bytes key, int hops=*) except? -1
    @cython.locals(missed=int64_t, now=int64_t)
    cpdef dict since(self, int64_t count)

import cython
from libc.stdint cimport int64_t


@cython.final
cdef class RecentKeys:
    cdef readonly int64_t count
    cdef readonly object _keys
    cdef object _append
    @cython.locals(number=int64_t)
    cpdef int64_t add(self, bytes key) except? -1
    @cython.locals(missed=int64_t)
    cpdef list since(self, int64_t count)

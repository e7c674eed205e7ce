import cython
from libc.stdint cimport int64_t


@cython.final
cdef class Version:
    cdef readonly int64_t time
    cdef readonly bytes node
    cpdef bint after(self, Version other)


@cython.locals(version=Version)
cpdef Version version_of(int64_t time, bytes node)


@cython.final
cdef class HybridClock:
    cdef int64_t _last
    cdef double _offset
    cdef readonly double lead
    cpdef anchor(self, double now, double wall)
    cpdef keep_pace(self, double seconds)
    cpdef double drift(self, double now, double wall)
    @cython.locals(milliseconds=int64_t)
    cpdef int64_t present(self, double now) except? -1
    @cython.locals(present=int64_t)
    cpdef int64_t tick(self, double now) except? -1
    cpdef bint is_ahead(self, int64_t time)
    cpdef restart(self)
    cpdef hear(self, int64_t time)

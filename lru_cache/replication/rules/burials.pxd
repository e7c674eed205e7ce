import cython
from libc.stdint cimport int64_t
from .version cimport Version


@cython.final
cdef class Grave:
    cdef readonly bytes key
    cdef readonly Version version
    cdef int64_t chunk
    cdef readonly bint is_open


@cython.locals(grave=Grave)
cpdef Grave grave_of(bytes key, Version version)


@cython.final
cdef class Chunk:
    cdef list graves
    cdef Py_ssize_t start, open


@cython.final
cdef class Burials:
    cdef Py_ssize_t _chunk
    cdef dict _chunks
    cdef int64_t _first, _last
    @cython.locals(chunk=Chunk)
    cpdef add(self, Grave grave)
    @cython.locals(chunk=Chunk, count=Py_ssize_t, each=Grave)
    cpdef remove(self, Grave grave)
    @cython.locals(chunk=Chunk, grave=Grave)
    cpdef Grave pop_oldest(self)
    @cython.locals(chunk=Chunk, grave=Grave)
    cpdef tuple slice(self, int64_t number)

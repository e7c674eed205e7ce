import cython
from libc.stdint cimport int64_t

cdef int _OBJECT_CODE
cdef int64_t _MOST_BYTES
cdef int _KEPT, _LEAST_BYTES


@cython.final
cdef class ShortWay:
    cdef object _encode_any, _decode_any
    cdef _Told _last
    cdef int64_t _most_bytes
    cdef dict _of_type, _of_name
    cdef _know(self, _Told told)
    @cython.locals(told=_Told, start=bytes, length=Py_ssize_t)
    cpdef bytes encode(self, object value)
    @cython.locals(told=_Told, view='const unsigned char*', length=Py_ssize_t, at=Py_ssize_t)
    cpdef object decode(self, bytes data)
    @cython.locals(told=_Told, found=_Told, view='const unsigned char*', first=int, end=Py_ssize_t)
    cdef _Told _told_at(self, bytes data, Py_ssize_t length, Py_ssize_t at)


@cython.final
cdef class _Told:
    cdef object codec, decode, encode, type, values
    cdef bytes head, name
    cdef list starts
    @cython.locals(start=bytes)
    cdef bytes start_of(self, Py_ssize_t length)


@cython.locals(view='const unsigned char*', first=int)
cdef Py_ssize_t _object_start(bytes data, Py_ssize_t length)
@cython.locals(view='const unsigned char*', left=Py_ssize_t)
cdef Py_ssize_t _binary_start(bytes data, Py_ssize_t length, Py_ssize_t at)
@cython.locals(count=Py_ssize_t, i=Py_ssize_t, view='const unsigned char*', sought='const unsigned char*')
cdef bint _stands_at(bytes data, Py_ssize_t length, Py_ssize_t at, bytes head)
@cython.locals(view='const unsigned char*', number=int64_t)
cdef int64_t _number_at(bytes data, Py_ssize_t at)

import cython
from libc.stdint cimport int64_t

cdef int _HEADER_BYTES
cdef Py_ssize_t _ROOM_BYTES
cdef bytearray _ROOM

cpdef bytes encode_frame(bytes body, int64_t limit)
@cython.locals(body=bytes, length=int64_t, size=int64_t, parts=list)
cpdef bytes encode_frames(list bodies, int64_t limit)
@cython.locals(room='unsigned char*', header=bytes)
cdef bytes _header(int64_t length)
cdef void _put_header(unsigned char *room, Py_ssize_t at, int64_t length) noexcept
@cython.locals(frames=bytes, body=bytes, room='unsigned char*', view='const unsigned char*', at=Py_ssize_t, length=Py_ssize_t, i=Py_ssize_t)
cdef bytes _put_together(list bodies)


cdef class FrameReader:
    cdef int64_t _limit
    cdef object _buffer
    cdef Py_ssize_t _start
    cdef bytes _body
    cdef str _refusal
    @cython.locals(buffer=bytes, view='const unsigned char*', start=Py_ssize_t, begun=Py_ssize_t, length=int64_t, lacks=int64_t)
    cdef bint _complete(self, bytes chunk) except -1
    @cython.locals(buffer=bytes, body=bytes, view='const unsigned char*', start=Py_ssize_t, length=int64_t, end=Py_ssize_t)
    cpdef object next_frame(self)
    @cython.locals(length=int64_t, end=Py_ssize_t)
    cdef object _next_of_several(self, Py_ssize_t start)
    cdef int64_t _checked(self, int64_t length) except -1

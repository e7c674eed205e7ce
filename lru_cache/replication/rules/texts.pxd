import cython

cdef list _HEADERS
cdef bytearray _ROOM
cdef int _LONGEST

@cython.locals(length=Py_ssize_t, first=int, view='const unsigned char*')
cpdef object key_of(bytes data, object decode)
@cython.locals(data=bytes)
cpdef bytes bytes_of_key(object key, object encode)
@cython.locals(length=Py_ssize_t, data=bytes, view='const unsigned char*', room='unsigned char*', at=Py_ssize_t, i=Py_ssize_t)
cpdef bytes bytes_of_text(str text)

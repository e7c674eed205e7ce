import cython
from libc.stdint cimport int64_t
from .pace cimport Pace
from .replica cimport Replica
from .stamp cimport Stamp
from .store_view cimport StoreView
from .texts cimport bytes_of_text


@cython.final
cdef class Writer:
    cdef Replica _replica
    cdef StoreView _store
    cdef Pace _pace
    cdef object _acquire, _release, _monotonic, _system_monotonic, _act, _encode
    cdef bint _is_system_clock
    cdef double _life
    cdef int64_t _longest_value
    cdef dict _loading
    @cython.locals(name=bytes, known=bytes, payload=bytes, now=double, deadline=double, stamp=Stamp, gone=list, act=int)
    cpdef bint write(self, object key, object value) except -1

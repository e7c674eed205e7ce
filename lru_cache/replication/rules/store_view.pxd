import cython
from libc.stdint cimport int64_t
from .stamp cimport Stamp
from .texts cimport bytes_of_key, key_of

cdef object _REPLACED, _REMOTE, _NEVER_FRESH
cdef int _CROWD


@cython.final
cdef class StoreView:
    cdef object _store, _encode_key, _decode_key, _fence, _find, _put, _remove
    cdef readonly dict _loading
    cdef int64_t _generation
    cdef list _gone
    cdef object _others
    cdef bytes _prefix
    cdef dict _versions
    cdef readonly bint has_met_versions
    cpdef object find(self, bytes key)
    cpdef object find_named(self, object name)
    @cython.locals(key=bytes)
    cpdef bytes bytes_of(self, object name)
    cpdef object name_of(self, bytes key)
    cpdef bytes key_of_all(self, bytes key)
    @cython.locals(ours=bytes)
    cpdef bytes key_meant(self, bytes key)
    cpdef list others_meant(self, bytes key)
    @cython.locals(prefix=bytes, count=Py_ssize_t)
    cdef _count_version(self, object name, Py_ssize_t change)
    cdef object _store_of(self, object entry)
    @cython.locals(gone=list)
    cpdef list reap_others(self, double now)
    cpdef bint has_others(self) except -1
    @cython.locals(gone=list)
    cdef list _keep_other(self, object held, object name, Stamp stamp, double now, double deadline)
    cpdef bint is_crowded(self, object name) except -1
    @cython.locals(left=list, gone=list)
    cpdef list keep(self, object held, object name, Stamp stamp, double now, double deadline)
    cpdef list put(self, object name, object value, Stamp stamp, double now, double deadline, double fresh_until)
    cpdef note_held(self, Stamp stamp, double deadline)
    cpdef bint is_held(self, Stamp stamp)
    cpdef all_left(self)
    @cython.locals(removed=tuple, left=Stamp)
    cpdef drop(self, object entry, double now)
    cpdef prolong(self, object entry, double deadline)
    cpdef list pop_gone(self)
    cpdef fence(self, object name)

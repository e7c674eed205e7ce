import cython
from libc.stdint cimport int64_t
from .burials cimport Burials, Grave, grave_of
from .version cimport Version, version_of

cdef int _MASK


@cython.final
cdef class Forgotten:
    cdef int64_t _base_changed_at
    cdef public int64_t _hold, base, changes, collected, capacity
    cdef int64_t _latest, _error, _present
    cdef bint _is_lowering
    cdef bytes _lowered_by
    cdef dict _changed_at
    cdef readonly dict _graves, _beside
    cdef readonly dict floors
    cdef Burials _burials
    @cython.locals(grave=Grave)
    cpdef Version grave(self, bytes key)
    cpdef tuple slice(self, int64_t number)
    @cython.locals(grave=Grave)
    cpdef list graves(self)
    cpdef int64_t floor(self, bytes key) except? -1
    @cython.locals(found=list, grave=Version)
    cpdef list versions(self, bytes key)
    @cython.locals(grave=Version)
    cpdef bint knows(self, bytes key, Version version) except -1
    @cython.locals(grave=Grave, old=Grave, before=Version, graves=dict)
    cpdef bury(self, bytes key, Version version)
    @cython.locals(grave=Grave, graves=dict)
    cpdef exhume(self, bytes key, Version version)
    cpdef raise_floor(self, object bucket, int64_t time)
    cpdef changed(self, object bucket)
    cpdef raise_all(self, int64_t time)
    cpdef bint is_misdated(self, Version version) except -1
    cpdef Version lowered(self, Version version)
    @cython.locals(version=Version)
    cpdef lower(self, Grave grave)
    @cython.locals(other=Version)
    cdef _record_beside(self, bytes key, Version before, Version version, Version newest)
    @cython.locals(grave=Grave, key=bytes)
    cdef _collect(self)

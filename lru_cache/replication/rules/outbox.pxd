import cython
from libc.stdint cimport int64_t
from .stamp cimport Stamp
from .version cimport Version

cdef int _ALSO_LIMIT, _TIDY_AFTER
cdef int64_t _NOTHING_DROPPED


@cython.final
cdef class Notice:
    cdef readonly bytes key
    cdef readonly Version authority
    cdef readonly int hops
    cdef readonly bint valueless
    cdef readonly int64_t number
    cdef readonly tuple also
    cdef readonly Stamp stamp
    @cython.locals(one=Version, other=Version, newest=Version, older=Version)
    cpdef Notice joined(self, Notice later)


@cython.locals(notice=Notice)
cpdef Notice notice_of(bytes key, Version authority, int hops, int64_t number, Stamp stamp)


@cython.final
cdef class Outbox:
    cdef public int64_t _limit
    cdef readonly dict _notices
    cdef list _queue
    cdef Py_ssize_t _first
    cdef tuple _seen
    cdef Py_ssize_t _messages
    cdef readonly bint overflowed
    cdef readonly bint message_dropped
    cdef public bint thinned
    cdef readonly int64_t last_kept
    cpdef bint has_any(self)
    cpdef bint has_seen(self)
    @cython.locals(waiting=Notice, joined=Notice)
    cpdef add(self, Notice notice)
    cpdef add_message(self, bytes message)
    cpdef add_seen(self, bytes message)
    @cython.locals(queue=list, first=Py_ssize_t, item=object, message=tuple)
    cpdef object pop(self)
    @cython.locals(first=Py_ssize_t, after=Py_ssize_t, i=Py_ssize_t, notice=Notice)
    cpdef bint begins_with(self, list notices, bint ends) except -1
    cpdef drop_first(self, Py_ssize_t count)
    cpdef bytes pop_message(self)
    @cython.locals(notices=dict)
    cpdef overflow(self)
    cpdef restart(self)
    cdef _clear(self)

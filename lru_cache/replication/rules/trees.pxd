import cython
from libc.stdint cimport int64_t

cdef double _NEVER


@cython.final
cdef class Branch:
    cdef readonly dict pruned, cut, grafted, ahead, repeats, regrafted, rested
    cdef public dict grafts, asked, rumours, passed, needs, said, said_on
    cdef public bint said_rests
    cpdef bint has_words(self) except -1
    cpdef end_grafts(self)
    cpdef forget(self, bytes node)


@cython.final
cdef class Trees:
    cdef readonly dict asked, first, kept, orphans
    cdef public double due, rumours_at
    cdef double _graft_seconds, _longer_since
    cdef dict _news, _marks, _rumoured, _awaited
    @cython.locals(time=object)
    cpdef int64_t latest(self, bytes node) except? -2
    cpdef bint note_news(self, bytes node, int64_t time) except -1
    @cython.locals(time=int64_t, marks=list)
    cpdef mark(self, bytes node, int64_t number)
    @cython.locals(latest=int64_t)
    cpdef int64_t number_before(self, bytes node, int64_t seen, int64_t number) except? -2
    cpdef forget(self, bytes node)
    cpdef rumour(self, bytes node, double now)
    cpdef list pop_rumours(self)
    cpdef keep(self, bytes node, Branch branch)
    @cython.locals(left=int64_t)
    cpdef tell(self, bytes node, Branch branch)
    cpdef lose(self, object neighbour, Branch branch)
    @cython.locals(due=double)
    cpdef wait_for(self, bytes node, double now)
    cpdef double graft_seconds(self, double now) except? -1
    @cython.locals(before=double)
    cpdef note_answer(self, bytes node, object neighbour, bint is_first, double now)
    cpdef list pop_late(self, double now)

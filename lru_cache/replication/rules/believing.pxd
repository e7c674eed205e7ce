import cython
from libc.stdint cimport int64_t
from .event cimport Event
from .neighbour cimport Neighbour
from .stamp cimport Stamp, stamp_in, stamp_of
from .telling cimport Teller
from .trees cimport Branch, Trees
from .version cimport Version, version_of

cdef int _SET, _INVALIDATE, _LOAD, _TOUCH
cdef double _FOREVER
cdef object _REPLACED

@cython.locals(event=Event, version=Version, newest=Version)
cdef Version _newest_of(list events)
@cython.locals(event=Event, version=Version)
cdef bint _are_of(bytes node, list events) except -1
@cython.locals(event=Event, told=Version, latest=dict)
cdef dict _latest_of(list events)


cdef class Believer(Teller):
    cdef _require_present(self, int64_t newest, Neighbour neighbour, double now)
    @cython.locals(i=Py_ssize_t)
    cdef _require_all_present(self, list times, Neighbour neighbour, double now)
    @cython.locals(event=Event, newest=Version, seen=int64_t, told=Version, applied=int64_t)
    cdef _receive_events(self, list events, Neighbour source, double now)
    @cython.locals(trees=Trees, branch=Branch, is_first=bint)
    cdef _note_way(self, bytes node, int64_t time, Neighbour source, bint is_applied, double now)
    @cython.locals(theirs=dict, ahead=dict, i=Py_ssize_t, node=bytes, time=int64_t)
    cdef _receive_reached(self, list seen, list news, Neighbour source, double now)
    @cython.locals(first=Neighbour, branch=Branch)
    cdef _prune(self, bytes node, Neighbour source, double now)
    @cython.locals(event=Event, version=Version, newest=dict)
    cdef _hear_all(self, list events, double now)
    @cython.locals(is_known=bint)
    cdef bint _hear(self, Version version, double now) except -1
    @cython.locals(held=int64_t, grave=int64_t)
    cdef int64_t _authority(self, bytes key, Stamp stamp) except? -1
    @cython.locals(told=Version)
    cdef _merge(self, Event event, Neighbour source, double now)
    @cython.locals(kind=int, applied=bint, stamp=Stamp, has_met_versions=bint)
    cdef _merge_news(self, Event event, Neighbour source, double now)
    @cython.locals(kept=Stamp, deadline=double)
    cdef bint _merge_load(self, Event event, object name, object entry, Stamp stamp, Neighbour source, double now) except -1
    cdef bint _merge_touch(self, Event event, object _name, object entry, Stamp stamp, Neighbour source, double now) except -1
    @cython.locals(key=bytes, version=Version, newest=Version)
    cdef bint _merge_invalidate(self, Event event, object name, object entry, Stamp stamp, Neighbour source, double now) except -1
    @cython.locals(key=bytes, stamp=Stamp, newest=Version)
    cdef _invalidate_in_versions(self, bytes told, Version version, double now)
    @cython.locals(stamp=Stamp)
    cdef _drop_others(self, bytes told, Version version, double now)
    @cython.locals(key=bytes, grave=Version, of_none=Version, start=Py_ssize_t)
    cdef bint _is_dead_in_all_versions(self, Event event) except -1
    @cython.locals(key=bytes, version=Version, held=Version, grave=Version, deadline=double, kept=Stamp, is_past=bint)
    cdef bint _merge_set(self, Event event, object name, object entry, Stamp stamp, Neighbour source, double now) except -1
    cdef Version _held_set(self, Stamp stamp)
    @cython.locals(held=Version, grave=Version)
    cdef Version _newest_write(self, bytes key, Stamp stamp)
    cdef bint _outlives(self, Stamp stamp, Version version) except -1
    cdef bint _is_concurrent(self, bytes key, Version version, Version newest) except -1
    cdef bint _are_near(self, Version older, Version newer) except -1
    cdef _drop_unless_newer(self, object entry, Stamp stamp, Version version, double now)
    cdef bint _drop_load_before(self, object entry, Stamp stamp, Version version, double now) except -1
    cdef bint _safely_after(self, Stamp load, Version version) except -1
    cdef double _deadline(self, Event event, Neighbour source, double now) except? -1
    @cython.locals(gone=list)
    cdef _keep(self, object entry, object name, Stamp stamp, double deadline, double now)
    cdef _bury_unless_newer(self, Stamp stamp, Version newer)
    @cython.locals(each=tuple, old=Stamp)
    cpdef left(self, object gone)
    @cython.locals(each=tuple, old=Stamp)
    cpdef left_for(self, object gone, Stamp stamp)
    @cython.locals(theirs=dict, i=Py_ssize_t, node=bytes, time=int64_t, branch=Branch)
    cdef _receive_seen(self, list times, bint rests, dict on, Neighbour source, double now)
    @cython.locals(neighbour=Neighbour, is_ours=bint, has_risen=bint, i=Py_ssize_t, node=bytes, time=int64_t)
    cdef _take_seen(self, list times, bint rests, dict on, double now)

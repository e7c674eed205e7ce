import cython
from libc.stdint cimport int64_t
from .log_neighbour cimport LogNeighbour
from .neighbour cimport Neighbour
from .stamp cimport Stamp, stamp_in, stamp_of
from .version cimport Version
from .wire cimport read_events, read_reached, read_seen


@cython.final
cdef class Replica(LogNeighbour):
    @cython.locals(version=Version, stamp=Stamp)
    cpdef Stamp set(self, bytes key, bytes payload, double now)
    @cython.locals(stamp=Stamp, version=Version, told=bytes, stamps=list, versions=list, each=Stamp)
    cdef _hear_held(self, bytes key)
    @cython.locals(version=Version, told=bytes)
    cpdef invalidate(self, bytes key, double now)
    @cython.locals(stamp=Stamp)
    cpdef touch(self, object entry, double now)
    @cython.locals(held=Stamp, told=Version, stamp=Stamp)
    cpdef Stamp keep_load(self, bytes key, bytes payload, Version began, double now)
    @cython.locals(neighbour=Neighbour, events=list, times=list, reached=tuple)
    cpdef object received(self, object link, bytes body, double now)

import cython
from libc.stdint cimport int64_t
from .event cimport Event
from .version cimport Version, version_of

cdef int _EVENTS, _SEEN, _REACHED, _SET, _LOAD, _TOUCH, _MOST_EVENTS, _MOST_NODES, _LONGEST_KEY, _NODE, _MOST_SEEN
cdef int64_t _LONGEST_LIFE, _LATEST, _FOUR_BYTES
cdef Py_ssize_t _FIXED_BYTES, _ROOM_BYTES
cdef bytearray _ROOM, _LENGTH_BYTES, _FOLLOWING


@cython.final
cdef class Reader:
    cdef bytes _data
    cdef const unsigned char *_view
    cdef Py_ssize_t _at, _end, start
    cdef int64_t length, extensions
    @cython.locals(first=int)
    cdef int64_t array(self)
    @cython.locals(first=int, value=int64_t)
    cdef int64_t number(self, int64_t limit)
    @cython.locals(first=int, length=int64_t)
    cdef bint binary(self)
    cdef bint is_next(self, int byte)
    cdef bytes taken(self)
    @cython.locals(first=int, length=int64_t)
    cdef int64_t skip(self)
    cdef int byte_at(self, Py_ssize_t place)
    cdef bint is_over(self)
    cdef int _byte(self)
    @cython.locals(value=int64_t, i=Py_ssize_t)
    cdef int64_t _big_endian(self, int count)


@cython.locals(reader=Reader, nodes=list, count=int64_t, events=list)
cpdef list read_events(bytes data, bytes last_node)
@cython.locals(listed=int64_t, nodes=list, node=bytes)
cdef list _read_nodes(Reader reader, bytes last_node)
@cython.locals(kinds=Py_ssize_t, hops=Py_ssize_t, origins=Py_ssize_t, listed=Py_ssize_t, events=list, i=Py_ssize_t, kind=int, origin=int64_t, time=int64_t, event=Event)
cdef list _read_versions(Reader reader, Py_ssize_t count, list nodes)
@cython.locals(i=Py_ssize_t, event=Event)
cdef bint _read_keys(Reader reader, list events, Py_ssize_t count) except -1
@cython.locals(i=Py_ssize_t, event=Event)
cdef bint _read_values(Reader reader, list events, Py_ssize_t count) except -1
@cython.locals(i=Py_ssize_t, event=Event, time=int64_t)
cdef bint _read_lives(Reader reader, list events, Py_ssize_t count) except -1
@cython.locals(i=Py_ssize_t, event=Event, time=int64_t, origin=int64_t, others=Py_ssize_t)
cdef bint _read_others(Reader reader, list events, Py_ssize_t count, list nodes) except -1
@cython.locals(reader=Reader, found=list)
cpdef list read_seen(bytes data)
@cython.locals(reader=Reader, seen=list, news=list)
cpdef tuple read_reached(bytes data)
@cython.locals(count=int64_t, found=list, time=int64_t)
cdef list _read_times(Reader reader)
@cython.locals(reader=Reader, outer=list, left=int64_t, members=int64_t)
cpdef bint is_shallow(bytes data, int64_t depth, int64_t extensions) except -1

@cython.locals(count=Py_ssize_t, nodes=list, others=Py_ssize_t, i=Py_ssize_t, event=Event, room='unsigned char*', at=Py_ssize_t)
cpdef bytes pack_events(list events)
@cython.locals(size=Py_ssize_t, event=Event)
cdef Py_ssize_t _size_of(list events) except -1
@cython.locals(others=Py_ssize_t, last=bytes, event=Event, version=Version)
cdef Py_ssize_t _list_nodes(list events, list nodes) except -1
@cython.locals(count=Py_ssize_t, room='unsigned char*')
cpdef bytes pack_seen(list nodes, list times)
@cython.locals(room='unsigned char*')
cpdef bytes pack_reached(list nodes, list times, list late_nodes, list late_times)
@cython.locals(count=Py_ssize_t, i=Py_ssize_t)
cdef Py_ssize_t _put_times(unsigned char *room, Py_ssize_t at, list nodes, list times)
@cython.locals(i=Py_ssize_t)
cdef Py_ssize_t _put_nodes(unsigned char *room, Py_ssize_t at, list nodes) except -1
@cython.locals(count=Py_ssize_t, kinds=Py_ssize_t, hops=Py_ssize_t, origins=Py_ssize_t, last=bytes, number=Py_ssize_t, i=Py_ssize_t, event=Event, version=Version)
cdef Py_ssize_t _put_small_columns(unsigned char *room, Py_ssize_t at, list events, list nodes) except -1
@cython.locals(count=Py_ssize_t, i=Py_ssize_t, event=Event)
cdef Py_ssize_t _put_times_and_keys(unsigned char *room, Py_ssize_t at, list events) except -1
@cython.locals(count=Py_ssize_t, i=Py_ssize_t, event=Event)
cdef Py_ssize_t _put_values_and_lives(unsigned char *room, Py_ssize_t at, list events) except -1
@cython.locals(code=int, count=int, i=int)
cdef Py_ssize_t _put_number(unsigned char *room, Py_ssize_t at, int64_t number) noexcept
cdef Py_ssize_t _put_array(unsigned char *room, Py_ssize_t at, Py_ssize_t length) noexcept
@cython.locals(length=Py_ssize_t, view='const unsigned char*', i=Py_ssize_t)
cdef Py_ssize_t _put_binary(unsigned char *room, Py_ssize_t at, bytes data) except -1
@cython.locals(made=bytes)
cdef bytes _made(unsigned char *room, Py_ssize_t length)
@cython.locals(i=Py_ssize_t, each=bytes)
cdef Py_ssize_t _number_of(list nodes, bytes node) except -1

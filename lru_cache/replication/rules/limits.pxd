import cython
from libc.stdint cimport int64_t


@cython.final
cdef class Counts:
    cdef public int64_t applied, repeated, refused, resyncs, overflows, dropped_by_floors, loads_left_out, told, too_large, prunes, grafts

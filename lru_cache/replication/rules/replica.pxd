import cython
from libc.stdint cimport int64_t
from .batch cimport Batch, Shared, batch_of, shared_of
from .event cimport Event
from .forgetting cimport Forgotten
from .neighbour cimport Neighbour
from .origins cimport Origins
from .outbox cimport Notice, Outbox, notice_of
from .recent_keys cimport RecentKeys
from .stamp cimport Stamp, stamp_of
from .store_view cimport StoreView
from .sweep cimport Sweep
from .texts cimport key_of
from .version cimport HybridClock, Version, version_of
from .wire cimport pack_seen, read_events, read_seen

cdef int _SET, _INVALIDATE, _LOAD, _TOUCH, _MOST_HOPS, _NO_END
cdef double _FOREVER, _LONGEST_LIFE
cdef object _REPLACED

@cython.locals(stamp=object)
cpdef Stamp stamp_in(object entry)
@cython.locals(body=bytes)
cdef bytes _seen_message(list nodes, list times)


@cython.final
cdef class Counts:
    cdef public int64_t applied, repeated, refused, resyncs, overflows, dropped_by_floors, loads_left_out, too_large


@cython.final
cdef class Replica:
    cdef readonly object limits
    cdef readonly Counts counts
    cdef readonly dict neighbours
    cdef public int64_t hold
    cdef readonly Forgotten forgotten
    cdef readonly Origins origins
    cdef tuple _links
    cdef readonly StoreView _store
    cdef Sweep _sweep
    cdef RecentKeys _recent
    cdef readonly HybridClock _clock
    cdef list _repairs
    cdef bint _must_redate
    cdef int64_t _silence, _news_time, _forgot_nodes_at, _anchored_at, _collected_before, _announcements
    cdef object _announced
    cdef bytes _last_node, _own_seen
    cdef int64_t _own_seen_time
    cdef set _fresh_origins
    cdef Shared _shared
    cdef object __weakref__

    @cython.locals(version=Version, stamp=Stamp)
    cpdef Stamp set(self, bytes key, bytes payload, double now)
    @cython.locals(version=Version)
    cpdef invalidate(self, bytes key, double now)
    @cython.locals(stamp=Stamp)
    cpdef touch(self, object entry, double now)
    @cython.locals(held=Stamp, told=Version, stamp=Stamp)
    cpdef Stamp keep_load(self, bytes key, bytes payload, Version began, double now)
    @cython.locals(each=tuple, stamp=object, left=Stamp)
    cpdef left(self, object gone)
    @cython.locals(each=tuple)
    cpdef left_for(self, object gone, Stamp stamp)
    cpdef bint has_work(self, double now) except -1
    cpdef bint work(self, double now) except -1
    cdef _drop_doomed(self, object entry, object stamp, double now)
    cdef object _held(self, object name, double now)
    @cython.locals(neighbour=Neighbour, events=list, times=list)
    cpdef object received(self, object link, bytes body, double now)
    @cython.locals(neighbour=Neighbour, bodies=list, turn=list)
    cpdef list to_send(self, object link, double now, int64_t budget)
    @cython.locals(neighbour=Neighbour)
    cpdef list to_send_at_once(self, object link, double now)
    @cython.locals(neighbour=Neighbour)
    cpdef bint has_to_send(self, object link) except -1
    @cython.locals(neighbour=Neighbour)
    cpdef bint has_news(self, object link) except -1
    @cython.locals(neighbour=Neighbour)
    cpdef int seen_waits(self, object link) except -1
    @cython.locals(outbox=Outbox)
    cdef bint _has_news_for(self, Neighbour neighbour) except -1
    cdef bint _has_seen_for(self, Neighbour neighbour) except -1
    cpdef bint is_calm_to(self, Neighbour neighbour) except -1
    @cython.locals(time=int64_t)
    cdef Version _write(self, double now)
    @cython.locals(version=Version)
    cdef Version _write_news(self, double now)
    @cython.locals(neighbour=Neighbour, notice=Notice, outbox=Outbox)
    cdef _queue(self, bytes key, Version authority, Neighbour source, int hops, Stamp stamp)
    @cython.locals(bodies=list)
    cdef list _turn(self, Neighbour neighbour, double now)
    @cython.locals(batch=Batch, outbox=Outbox, shared=Shared, taken=list, bodies=list, message=bytes)
    cdef list _drain_outbox(self, Neighbour neighbour, double now)
    @cython.locals(batch=Batch)
    cdef list _drain_resync(self, Neighbour neighbour, object resync, double now)
    @cython.locals(stamp=Stamp)
    cdef _add_notice(self, Batch batch, Neighbour neighbour, Notice notice, double now)
    @cython.locals(stamp=Stamp)
    cdef _add_events(self, Batch batch, Neighbour neighbour, Notice notice, double now)
    @cython.locals(version=Version, is_all=bint)
    cdef _add_held(self, Batch batch, Neighbour neighbour, Notice notice, Stamp stamp, double deadline, double now)
    @cython.locals(version=Version, dead=dict)
    cdef _add_dead(self, Batch batch, Notice notice, Version told)
    @cython.locals(payload=bytes, milliseconds=double, is_touched=bint, life=int64_t, kind=int, other=Version)
    cdef bint _add_value(self, Batch batch, Neighbour neighbour, Stamp stamp, double deadline, int hops, double now) except -1
    @cython.locals(own_time=int64_t, is_own_new=bint, changed=set, nodes=list, times=list, known=dict)
    cdef _queue_seen(self, Neighbour neighbour)
    cdef bytes _own_seen_message(self, int64_t own_time)
    @cython.locals(neighbour=Neighbour, follows_news=bint, is_awaited=bint, theirs=dict)
    cdef _seen_changed(self, bytes node, int64_t time)
    cdef _require_present(self, int64_t newest, Neighbour neighbour, double now)
    @cython.locals(i=Py_ssize_t)
    cdef _require_all_present(self, list times, Neighbour neighbour, double now)
    @cython.locals(event=Event, version=Version, newest=Version, other=Version, is_of_one=bint, seen=int64_t, told=Version)
    cdef _receive_events(self, list events, Neighbour source, double now)
    @cython.locals(event=Event, version=Version, newest=dict)
    cdef _hear_all(self, list events, double now)
    @cython.locals(is_known=bint)
    cdef bint _hear(self, Version version, double now) except -1
    @cython.locals(held=int64_t, grave=int64_t)
    cdef int64_t _authority(self, bytes key, Stamp stamp) except? -1
    @cython.locals(told=Version)
    cdef _merge(self, Event event, Neighbour source, double now)
    @cython.locals(kind=int, applied=bint, stamp=Stamp)
    cdef _merge_news(self, Event event, Neighbour source, double now)
    @cython.locals(kept=Stamp, deadline=double)
    cdef bint _merge_load(self, Event event, object name, object entry, Stamp stamp, Neighbour source, double now) except -1
    cdef bint _merge_touch(self, Event event, object _name, object entry, Stamp stamp, Neighbour source, double now) except -1
    @cython.locals(key=bytes, version=Version, newest=Version, held=Version, grave=Version)
    cdef bint _merge_invalidate(self, Event event, object name, object entry, Stamp stamp, Neighbour source, double now) except -1
    @cython.locals(key=bytes, version=Version, held=Version, grave=Version, deadline=double, kept=Stamp, is_past=bint)
    cdef bint _merge_set(self, Event event, object name, object entry, Stamp stamp, Neighbour source, double now) except -1
    cdef bint _has_passed(self, Stamp load, Version version, bytes payload) except -1
    cdef Version _held_set(self, Stamp stamp)
    cdef bint _is_concurrent(self, bytes key, Version version, Version newest) except -1
    cdef bint _are_near(self, Version older, Version newer) except -1
    cdef _drop_unless_newer(self, object entry, Stamp stamp, Version version, double now)
    cdef bint _drop_load_before(self, object entry, Stamp stamp, Version version, Neighbour source, int hops, double now) except -1
    cdef bint _safely_after(self, Stamp load, Version version) except -1
    cdef double _deadline(self, Event event, Neighbour source, double now) except? -1
    @cython.locals(gone=list)
    cdef _keep(self, object entry, object name, Stamp stamp, double deadline, double now)
    cdef _bury_unless_newer(self, Stamp stamp, Version newer)
    @cython.locals(theirs=dict, i=Py_ssize_t, node=bytes, time=int64_t)
    cdef _receive_seen(self, list times, Neighbour source, double now)

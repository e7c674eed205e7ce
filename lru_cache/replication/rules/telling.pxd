import cython
from libc.stdint cimport int64_t
from .batch cimport Batch, Shared, batch_of, shared_of
from .forgetting cimport Forgotten
from .limits cimport Counts
from .neighbour cimport Neighbour
from .origins cimport Origins
from .outbox cimport Notice, Outbox, notice_of
from .recent_keys cimport RecentKeys
from .stamp cimport Stamp, stamp_in
from .store_view cimport StoreView
from .sweep cimport Sweep
from .trees cimport Branch, Trees
from .version cimport HybridClock, Version, version_of
from .wire cimport pack_reached, pack_seen

cdef int _SET, _INVALIDATE, _LOAD, _TOUCH, _MOST_HOPS, _NO_END
cdef double _FOREVER, _LONGEST_LIFE

@cython.locals(body=bytes)
cdef bytes _seen_message(list nodes, list times, dict on)


cdef class Teller:
    cdef readonly object limits
    cdef readonly Counts counts
    cdef readonly dict neighbours
    cdef public int64_t hold
    cdef readonly Forgotten forgotten
    cdef readonly Origins origins
    cdef tuple _links
    cdef dict _eager, _needy
    cdef readonly Trees _trees
    cdef readonly StoreView _store
    cdef Sweep _sweep
    cdef RecentKeys _recent
    cdef readonly HybridClock _clock
    cdef list _repairs
    cdef bint _must_redate
    cdef int64_t _silence, _news_time, _forgot_nodes_at, _anchored_at, _collected_before, _announcements, _wrong_since, _right_base, _base_at_anchor
    cdef object _announced, _outdated
    cdef bytes _last_node, _own_seen
    cdef int64_t _own_seen_time
    cdef set _fresh_origins
    cdef Shared _shared
    cdef object __weakref__

    cpdef bint has_work(self, double now) except -1
    cpdef bint work(self, double now) except -1
    cdef _drop_doomed(self, object entry, object stamp, double now)
    cdef object _held(self, object name, double now)
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
    @cython.locals(outbox=Outbox, branch=Branch)
    cdef bint _has_news_for(self, Neighbour neighbour) except -1
    cdef bint _has_seen_for(self, Neighbour neighbour) except -1
    @cython.locals(pruned=dict)
    cdef bint _keeps(self, bytes node, Neighbour neighbour) except -1
    cpdef bint is_calm_to(self, Neighbour neighbour) except -1
    @cython.locals(time=int64_t)
    cdef Version _write(self, double now)
    @cython.locals(version=Version)
    cdef Version _write_news(self, double now)
    @cython.locals(neighbour=Neighbour, notice=Notice, outbox=Outbox, links=tuple)
    cdef _queue(self, bytes key, Version authority, bytes origin, Neighbour source, int hops, Stamp stamp)
    @cython.locals(n=Neighbour, links=tuple)
    cdef tuple _eager_links(self, bytes origin)
    @cython.locals(bodies=list)
    cdef list _turn(self, Neighbour neighbour, double now)
    @cython.locals(batch=Batch, outbox=Outbox, shared=Shared, taken=list, bodies=list, message=bytes)
    cdef list _drain_outbox(self, Neighbour neighbour, double now)
    @cython.locals(batch=Batch)
    cdef list _drain_resync(self, Neighbour neighbour, object resync, double now)
    @cython.locals(empty=int)
    cdef list _fill_from_resync(self, Batch batch, Neighbour neighbour, object resync, double now)
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
    @cython.locals(own_time=int64_t, is_own_new=bint, changed=set, nodes=list, times=list, known=dict, branch=Branch, outbox=Outbox)
    cdef _queue_seen(self, Neighbour neighbour)
    cdef bytes _own_seen_message(self, int64_t own_time)
    @cython.locals(neighbour=Neighbour, follows_news=bint, theirs=dict)
    cdef _seen_changed(self, bytes node, int64_t time)
    @cython.locals(branch=Branch, bodies=list, theirs=dict)
    cdef list _words_of(self, Neighbour neighbour)
    @cython.locals(neighbour=Neighbour)
    cdef _tend(self, double now)
    @cython.locals(neighbour=Neighbour, branch=Branch, time=int64_t, theirs=dict)
    cdef _spread_rumours(self)

"""Serve random requests from slow stores through the cache, and print how long each took.

Only the wiring is here; what is wired lives in `workload/`, and the cache in `lru_cache/`.
"""

import dataclasses
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from lru_cache import AddressError, LRUCacheDistributed
from workload import cluster_report, report, stacks
from workload.cluster import ClusterResult, NodeResult
from workload.command_line import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_MISUSED,
    EXIT_OUTPUT_CLOSED,
    Options,
    parse,
)
from workload.control import Channel
from workload.database import IN_MEMORY, DatabaseError
from workload.journal import Journal, Load
from workload.nodes import NodeError, Nodes
from workload.output import Output, OutputClosedError, OutputError
from workload.parent import Parent
from workload.place import ALONE, Place
from workload.progress import Progress
from workload.scenarios import key_names, random_keys
from workload.screen import Screen
from workload.sources import Get
from workload.stacks import Setting, Stack
from workload.summary import Summary, Tally
from workload.workers import Answer, Workers

LINK_SECONDS = 5.0  # to wait for those that are to be joined; after that it goes on without them
FALLBACK_SIZE = os.terminal_size((80, 24))  # of a terminal that no longer says how large it is
OTHERS_SECONDS = 60.0  # to wait for those that somebody else starts


class RequestError(Exception):
    """A request failed, and the run with it."""


class PlaceError(Exception):
    """The others that were to be waited for did not come."""


_FAILURES = (AddressError, DatabaseError, NodeError, OutputError, PlaceError, RequestError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    options = parse(arguments)
    output = Output(sys.stdout, f"node{options.number} " if options.number else "")
    try:
        if options.number:
            return run_as_node(options, output)
        return run_nodes(options, output) if options.nodes else run(options, output)
    except _FAILURES as error:
        status = _status(error)
        is_told = status == EXIT_OUTPUT_CLOSED or options.number  # a node has told it to who started it
        return status if is_told else _complain(_said(error), status)
    except KeyboardInterrupt:  # before or after the requests; among them, serve() makes it a partial summary
        return EXIT_INTERRUPTED if options.number else _complain("interrupted", EXIT_INTERRUPTED)
    finally:
        if output.is_broken:
            output.abandon()


def run(options: Options, output: Output) -> int:
    """Serve what the options ask for, write the results, and return the exit status."""

    def new_front(setting: Setting, load: Get) -> LRUCacheDistributed[str, str | None]:
        return take_place(new_cache(setting, load, options.place), options.place)

    served = [stacks.with_front(options.setting, new_front)]
    if options.compare:
        served = [stacks.database_alone(options.setting), stacks.with_remote_cache(options.setting), *served]
    summaries: dict[str, Summary] = {}
    for opened in served:
        with opened as stack:
            summaries[stack.name] = summary = serve(stack, options, output)
        if not summary.complete:
            break
    output.write_line(_report(options, summaries))
    return 0 if all(summary.complete for summary in summaries.values()) else EXIT_INTERRUPTED


def run_nodes(options: Options, output: Output) -> int:
    """Start nodes, have them serve what the options ask for, write what they did, and return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        path = options.setting.database_path
        setting = dataclasses.replace(
            options.setting, database_path=str(Path(folder) / "shared.db") if path == IN_MEMORY else path
        )
        with stacks.database_alone(setting):
            pass  # what is wrong with the database is found here, once
        with Nodes(options, __file__, setting.database_path) as nodes:
            nodes.start()
            interrupted = False
            try:
                nodes.begin()
                nodes.wait()
            except KeyboardInterrupt:
                interrupted = True
                signal.signal(signal.SIGINT, signal.SIG_DFL)  # for whoever cannot wait: a second one ends it at once
                nodes.stop()
                nodes.wait()
    results = tuple(
        NodeResult(number, Summary(**done["summary"]), tuple(Load(*load) for load in done["loads"]))
        for number, done in nodes.results.items()
    )
    result = ClusterResult(results, complete=not interrupted and not nodes.errors)
    write = cluster_report.cluster_json if options.json else cluster_report.cluster_text
    output.write_line(("\n" if options.prints_requests else "") + write(options, result))
    if interrupted:
        return EXIT_INTERRUPTED
    return max((_complain(_said(error), _status(error)) for error in nodes.errors), default=0)


def run_as_node(options: Options, output: Output) -> int:
    """Serve as one of the nodes that another process has started, and tell that one what came of it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job would not have
    logging.basicConfig(format=f"node{options.number} %(message)s")
    with closing(Channel(socket.socket(fileno=options.control))) as channel:
        try:
            return _run_as_node(options, output, channel)
        except _FAILURES as error:
            channel.send(failed=_said(error), status=_status(error))
            raise


def _run_as_node(options: Options, output: Output, channel: Channel) -> int:
    parent = Parent(channel)
    place = Place("127.0.0.1:0", **parent.next())
    journal = Journal()

    def new_front(setting: Setting, load: Get) -> LRUCacheDistributed[str, str | None]:
        cache = new_cache(setting, journal.noting(load), place)
        channel.send(address=_shown(cache.local_address))
        others = parent.next()["count"]
        if others:
            cache.wait_connected(others, LINK_SECONDS)
        channel.send(linked=_linked(cache))
        parent.next()  # to begin
        return cache

    with stacks.with_front(options.setting, new_front) as stack:
        summary = serve(stack, options, output)
        loads = [dataclasses.astuple(load) for load in journal.loads]
        channel.send(done={"summary": dataclasses.asdict(summary), "loads": loads})
        parent.release()
    return 0 if summary.complete else EXIT_INTERRUPTED


def serve(stack: Stack, options: Options, output: Output) -> Summary:
    """Make all requests of this stack. Raises what failed; an interrupted run has a summary too."""
    tally = Tally()
    progress = Progress(None if options.prints_requests or options.number else sys.stderr, options.total)
    screen = new_screen(options, output)

    def on_answer(answer: Answer) -> None:
        tally.add(answer)
        if options.prints_requests:
            screen.write_line(report.request_line(answer))

    def show() -> None:
        progress.show(stack.name, tally.requests)
        screen.refresh(report.so_far(options.total, tally, stack.database.reads, stack.remote_cache.calls))

    workers = Workers(_sequences(options), get=stack.get, holds=stack.holds, on_answer=on_answer, stop=stack.stop)
    complete = True
    began = time.perf_counter()
    try:
        workers.run(on_tick=show)
    except KeyboardInterrupt:
        complete = False
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # for whoever cannot wait: a second one ends it at once
    finally:
        workers.dismiss()
        progress.clear()
        screen.clear()
    total_seconds = time.perf_counter() - began
    _raise_failure(workers.error)
    return tally.summary(
        database_reads=stack.database.reads,
        database_writes=stack.database.writes,
        cache_calls=stack.remote_cache.calls,
        total_seconds=total_seconds,
        complete=complete,
    )


def new_screen(options: Options, output: Output) -> Screen:
    """Make what the requests' lines are written to: at a terminal the figures so far stay in view below them."""
    watched = options.prints_requests and not options.number and output.terminal_size() is not None
    return Screen(output, (lambda: output.terminal_size() or FALLBACK_SIZE) if watched else None)


def new_cache(setting: Setting, load: Get, place: Place = ALONE) -> LRUCacheDistributed[str, str | None]:
    """Make the cache in front of the stores. This is the one place that chooses which cache that is."""
    return LRUCacheDistributed[str, str | None](
        load_callback=load,
        maximum_capacity=setting.keys + setting.missing,
        expiration_time=setting.scenario.expiration_time,
        local_address=place.listen,
        remote_address=list(place.join) or None,
        secret=place.secrets or None,
    )


def take_place(cache: LRUCacheDistributed[str, str | None], place: Place) -> LRUCacheDistributed[str, str | None]:
    """Return the cache once it is linked with those that it is to begin with."""
    with ExitStack() as unless_it_is:
        unless_it_is.callback(cache.close)
        if place.listen:
            _complain(f"listening on {_shown(cache.local_address)}", 0)
        if place.join and not place.wait_for:
            cache.wait_connected(len(place.join), LINK_SECONDS)  # a note of its own says who does not answer
        if place.wait_for and not cache.wait_connected(place.wait_for, OTHERS_SECONDS):
            raise PlaceError(
                f"--wait {place.wait_for}: only {_linked(cache)} others were linked within {OTHERS_SECONDS:g} s"
            )
        unless_it_is.pop_all()
    return cache


def _linked(cache: LRUCacheDistributed[str, str | None]) -> int:
    return sum(peer.state == "connected" for peer in cache.peers())


def _shown(address: tuple[str, int] | str | None) -> str:
    if not isinstance(address, tuple):
        return str(address)
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _sequences(options: Options) -> list[Iterator[str]]:
    names = key_names(options.setting.keys + options.setting.missing)
    threads = range(1, options.threads + 1)
    return [random_keys(names, options.requests, options.random_seed, thread) for thread in threads]


def _raise_failure(error: Exception | None) -> None:
    if isinstance(error, OutputError):
        raise error
    if isinstance(error, DatabaseError):
        raise RequestError(f"a request failed: {error}") from error
    if error is not None:
        raise RequestError(f"a request failed: {type(error).__name__}: {error}") from error


def _report(options: Options, summaries: dict[str, Summary]) -> str:
    if options.compare:
        write = report.comparison_json if options.json else report.comparison_text
        return write(options, summaries)
    (summary,) = summaries.values()
    if options.json:
        return report.summary_json(options, summary)
    return ("\n" if options.prints_requests else "") + report.summary_text(options, summary)


def _status(error: Exception) -> int:
    if isinstance(error, AddressError | DatabaseError):  # the latter on opening; in a request it is a RequestError
        return EXIT_MISUSED
    if isinstance(error, NodeError) and error.status in (EXIT_MISUSED, EXIT_OUTPUT_CLOSED):
        return error.status
    return EXIT_OUTPUT_CLOSED if isinstance(error, OutputClosedError) else EXIT_FAILED


def _said(error: Exception) -> str:
    if isinstance(error, AddressError):  # which speaks of the cache's arguments
        said = error.strerror or str(error)
        said = said.replace("write (host, port), ", "write ")  # which nobody can write on a command line
        return said.replace("local_address", "--listen").replace("remote_address", "--join")
    return str(error)


def _complain(line: str, status: int) -> int:
    if sys.stderr is not None:  # print() would take that for standard output
        print(f"main.py: {' '.join(line.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Serve random requests from slow stores through the cache, and print how long each took.

Only the wiring is here; what is wired lives in `workload/`, and the cache in `lru_cache/`.
"""

import signal
import sys
import time
from collections.abc import Iterator, Sequence

from lru_cache import LRUCache
from workload import report, ways
from workload.command_line import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_MISUSED,
    EXIT_OUTPUT_CLOSED,
    Options,
    parse,
)
from workload.database import DatabaseError
from workload.output import Output, OutputClosedError, OutputError
from workload.progress import Progress
from workload.scenarios import key_names, random_keys
from workload.sources import Get
from workload.summary import Summary, Tally
from workload.ways import Front, Setting, Way
from workload.workers import Answer, Workers


class RequestError(Exception):
    """A request failed, and the run with it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    options = parse(arguments)
    output = Output(sys.stdout)
    try:
        return run(options, output)
    except DatabaseError as error:  # on opening; one that fails in a request is a RequestError
        return _complain(error, EXIT_MISUSED)
    except RequestError as error:
        return _complain(error, EXIT_FAILED)
    except OutputError as error:
        output.abandon()
        return EXIT_OUTPUT_CLOSED if isinstance(error, OutputClosedError) else _complain(error, EXIT_FAILED)
    except KeyboardInterrupt:  # before or after the requests; among them, serve() makes it a partial summary
        return _complain("interrupted", EXIT_INTERRUPTED)


def run(options: Options, output: Output) -> int:
    """Serve what the options ask for, write the results, and return the exit status."""
    served = [ways.with_front(options.setting, new_cache)]
    if options.compare:
        served = [ways.database_alone(options.setting), ways.with_remote_cache(options.setting), *served]
    summaries: dict[str, Summary] = {}
    for opened in served:
        with opened as way:
            summaries[way.name] = summary = serve(way, options, output)
        if not summary.complete:
            break
    output.write_line(_report(options, summaries))
    return 0 if all(summary.complete for summary in summaries.values()) else EXIT_INTERRUPTED


def serve(way: Way, options: Options, output: Output) -> Summary:
    """Make all requests in this way. Raises what failed; an interrupted run has a summary too."""
    tally = Tally()
    progress = Progress(None if options.prints_requests else sys.stderr, options.total)

    def on_answer(answer: Answer) -> None:
        tally.add(answer)
        if options.prints_requests:
            output.write_line(report.request_line(answer))

    workers = Workers(_sequences(options), get=way.get, holds=way.holds, on_answer=on_answer, stop=way.stop)
    complete = True
    began = time.perf_counter()
    try:
        workers.run(on_tick=lambda: progress.show(way.name, tally.requests))
    except KeyboardInterrupt:
        complete = False
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # for whoever cannot wait: a second one ends it at once
    finally:
        workers.dismiss()
        progress.clear()
    total_seconds = time.perf_counter() - began
    _raise_failure(workers.error)
    return tally.summary(
        database_reads=way.database.reads,
        database_writes=way.database.writes,
        cache_calls=way.remote_cache.calls,
        total_seconds=total_seconds,
        complete=complete,
    )


def new_cache(setting: Setting, load: Get) -> Front:
    """Make the cache in front of the stores. This is the one place that chooses which cache that is."""
    return LRUCache[str, str | None](
        load_callback=load,
        maximum_capacity=setting.keys + setting.missing,
        expiration_time=setting.scenario.expiration_time,
    )


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


def _complain(error: Exception | str, status: int) -> int:
    if sys.stderr is not None:  # print() would take that for standard output
        print(f"main.py: {' '.join(str(error).split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

"""The workers make every request once, and whatever goes wrong ends the run instead of hanging it."""

import threading

import pytest

from workload.stop import Stop, Stopped
from workload.workers import Answer, Workers


def value_of(key):
    return f"value of {key}"


def holds_nothing(key):
    return False


def served(sequences, *, get=value_of, holds=holds_nothing, on_answer=None, stop=None):
    """Run workers to their end; return their answers and their error."""
    answers = []
    workers = Workers(sequences, get=get, holds=holds, on_answer=on_answer or answers.append, stop=stop or Stop())
    workers.run()
    assert workers.dismiss(grace_seconds=60)
    return answers, workers.error


def test_every_key_of_every_thread_is_asked_for():
    answers, _ = served([["a", "b"], ["c"]])
    assert sorted((answer.thread, answer.key) for answer in answers) == [(1, "a"), (1, "b"), (2, "c")]


def test_the_requests_of_a_thread_come_in_order():
    answers, _ = served([["a", "b", "c", "a"]])
    assert [answer.key for answer in answers] == ["a", "b", "c", "a"]


def test_an_answer_has_the_value():
    answers, _ = served([["a"]])
    assert answers[0].value == "value of a"


def test_an_answer_tells_whether_the_key_was_held_before():
    held = set()
    answers, _ = served([["a", "a"]], get=held.add, holds=held.__contains__)
    assert [answer.cached for answer in answers] == [False, True]


def test_an_answers_time_is_that_of_the_request_alone(monkeypatch):
    """One clock for all: it moves in `holds`, in `get` and in `on_answer`, and only the second counts."""
    now = [0.0]

    def pass_time(seconds, result):
        now[0] += seconds
        return result

    monkeypatch.setattr("workload.workers.time.perf_counter", lambda: now[0])
    answers = []
    served(
        [["a"]],
        holds=lambda key: pass_time(10, result=False),
        get=lambda key: pass_time(1, result="value"),
        on_answer=lambda answer: pass_time(100, answers.append(answer)),
    )
    assert answers == [Answer(1, "a", "value", 1.0, cached=False)]


def test_all_threads_work_at_the_same_time():
    everyone = threading.Barrier(10)
    answers, error = served([["a"]] * 10, get=lambda key: str(everyone.wait(timeout=30)))
    assert (len(answers), error) == (10, None)


def test_a_run_without_failure_has_no_error():
    assert served([["a"]])[1] is None


def test_a_failing_request_is_the_error():
    failure = ValueError("no")

    def failing(key):
        raise failure

    assert served([["a"]], get=failing)[1] is failure


def test_a_failing_answer_is_the_error():
    def failing(answer):
        raise OSError

    assert isinstance(served([["a"]], on_answer=failing)[1], OSError)


def test_a_failure_ends_the_sleep_of_the_others():
    """The failing one waits until the other is about to sleep for eleven days."""
    stop, about_to_sleep = Stop(), threading.Event()

    def get(key):
        if key == "fails":
            about_to_sleep.wait()
            raise ValueError
        about_to_sleep.set()
        stop.sleep(1_000_000)

    answers, error = served([["sleeps"], ["fails"]], get=get, stop=stop)
    assert answers == []
    assert isinstance(error, ValueError)


def test_a_failure_keeps_the_others_from_their_next_request():
    stop, begun = Stop(), threading.Event()

    def get(key):
        if key == "fails":
            begun.wait()
            raise ValueError
        begun.set()
        with pytest.raises(Stopped):
            stop.sleep(1_000_000)

    answers, _ = served([["last", "never"], ["fails"]], get=get, stop=stop)
    assert [answer.key for answer in answers] == ["last"]


def test_what_fails_after_the_stop_is_no_error():
    stop = Stop()

    def get(key):
        stop.set()
        raise ValueError

    assert served([["a"]], get=get, stop=stop)[1] is None


def test_a_machine_without_threads_left_is_an_error(monkeypatch):
    def failing(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", failing)
    assert str(served([["a"]])[1]) == "can't start new thread"


def test_a_machine_with_threads_for_some_lets_nobody_wait_for_ever(monkeypatch):
    start = threading.Thread.start

    def only_the_first(thread):
        if thread.name != "worker-1":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", only_the_first)
    assert isinstance(served([["a"], ["b"]])[1], RuntimeError)


def test_a_worker_that_does_not_come_back_is_not_waited_for():
    stop, inside, leave = Stop(), threading.Event(), threading.Event()

    def get(key):
        inside.set()
        leave.wait()

    workers = Workers([["a"]], get=get, holds=holds_nothing, on_answer=lambda answer: None, stop=stop)
    ending = threading.Thread(target=lambda: (inside.wait(), stop.set()))
    ending.start()
    workers.run()
    assert not workers.dismiss(grace_seconds=0)
    leave.set()
    assert workers.dismiss(grace_seconds=60)
    ending.join()


def test_whoever_waits_gets_ticks():
    ticks, ticked = [], threading.Event()

    def tick():
        ticks.append(1)
        ticked.set()

    workers = Workers(
        [["a"]],
        get=lambda key: str(ticked.wait(timeout=30)),
        holds=holds_nothing,
        on_answer=lambda answer: None,
        stop=Stop(),
    )
    workers.run(tick)
    workers.dismiss()
    assert ticks


@pytest.mark.parametrize("threads", [1, 50])
def test_workers_that_were_never_run_can_be_dismissed(threads):
    workers = Workers([["a"]] * threads, get=value_of, holds=holds_nothing, on_answer=lambda answer: None, stop=Stop())
    assert workers.dismiss()

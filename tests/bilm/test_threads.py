import multiprocessing
import os
import subprocess
import sys
import threading

import pytest
import torch

from spacy_elmo.bilm import threads
from spacy_elmo.bilm.threads import side_by_side

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def n_threads():
    """Two of PyTorch's threads, and pools of this test's own."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    threads._pool.cache_clear()
    yield
    threads._pool.cache_clear()
    torch.set_num_threads(before)


def meet():
    """Tasks that end only if both run at the same time."""
    barrier = threading.Barrier(2, timeout=20)
    return [lambda: (barrier.wait(), threading.get_ident())[1]] * 2


def who():
    return threading.get_ident()


def test_two_tasks_run_at_the_same_time_in_other_threads():
    with torch.no_grad():
        one, other = side_by_side(meet(), CPU)
    assert len({one, other, who()}) == 3


def test_results_are_in_order():
    slow = threading.Event()
    tasks = [lambda: slow.wait(20), lambda: slow.set() or "second"]
    with torch.no_grad():
        assert side_by_side(tasks, CPU) == [True, "second"]
        assert side_by_side([lambda i=i: i for i in range(7)], CPU) == list(range(7))
        assert side_by_side([], CPU) == []


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_tasks_run_in_the_callers_mode(mode):
    """Else they couldn't write to the caller's tensors."""
    with mode():
        written = torch.zeros(2)
        side_by_side([lambda: written[0].add_(1), lambda: written[1].add_(2)], CPU)
        assert written.tolist() == [1, 2]
        modes = side_by_side([torch.is_inference_mode_enabled, torch.is_grad_enabled], CPU)
        assert modes == [mode is torch.inference_mode, False]


def test_with_gradients_tasks_run_where_they_are():
    """Gradients are recorded only by a thread that has them turned on."""
    x = torch.ones(2, requires_grad=True)
    results = side_by_side([lambda: (who(), 2 * x), lambda: (who(), 3 * x)], CPU)
    assert [ident for ident, _ in results] == [who()] * 2
    sum(y.sum() for _, y in results).backward()
    assert x.grad.tolist() == [5, 5]


def test_with_one_thread_or_on_another_device_tasks_run_where_they_are():
    with torch.no_grad():
        assert side_by_side([who, who], torch.device("meta")) == [who()] * 2
        torch.set_num_threads(1)
        assert side_by_side([who, who], CPU) == [who()] * 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_tasks_record_no_gradients(mode):
    x = torch.ones(2, requires_grad=True)
    with mode():
        results = side_by_side([lambda: 2 * x, lambda: 3 * x], CPU)
    assert not any(y.requires_grad for y in results)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("n", [2, 3, 8])
def test_tasks_share_the_threads(n):
    torch.set_num_threads(n)
    barrier = threading.Barrier(2, timeout=20)
    with torch.no_grad():
        shares = side_by_side([lambda: (barrier.wait(), torch.get_num_threads())[1]] * 2, CPU)
    assert shares == [n // 2] * 2


def test_other_threads_keep_their_number():
    """The caller's, and those that are started later."""
    torch.set_num_threads(4)
    with torch.no_grad():
        side_by_side(meet(), CPU)
    assert torch.get_num_threads() == 4
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [4]


def test_both_threads_are_there_from_the_start():
    """One that starts later would change the number that new threads get."""
    for _ in range(20):
        threads._pool.cache_clear()
        assert len(threads._pool(2)._threads) == 2


def test_the_number_of_threads_may_change():
    shares = []
    with torch.no_grad():
        for n in (2, 4, 1, 2, 6):
            torch.set_num_threads(n)
            shares.append(side_by_side([torch.get_num_threads] * 2, CPU))
            assert torch.get_num_threads() == n
    assert shares == [[1, 1], [2, 2], [1, 1], [1, 1], [3, 3]]


@pytest.mark.parametrize("error", [KeyError("word"), RuntimeError("no memory")])
@pytest.mark.parametrize("position", [0, 1])
def test_an_error_of_a_task_reaches_the_caller(error, position):
    runs = []

    def fail():
        runs.append(1)
        raise error

    tasks = [lambda: 1, lambda: 1]
    tasks[position] = fail
    with torch.no_grad():
        with pytest.raises(type(error)) as caught:
            side_by_side(tasks, CPU)
        assert caught.value is error
        assert runs == [1]
        assert len(side_by_side(meet(), CPU)) == 2  # the threads are still there


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_runs_tasks_and_ends():
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work():
        sender.send((side_by_side([who, who], CPU), torch.get_num_threads()))

    with torch.no_grad():
        side_by_side(meet(), CPU)
        child = context.Process(target=work)
        child.start()
    try:
        assert receiver.poll(20), "the child hangs"
        idents, n_threads = receiver.recv()
        assert len(set(idents)) == 1 and n_threads == 1
        child.join(20)
        assert child.exitcode == 0
    finally:
        child.kill()
        child.join()
    with torch.no_grad():
        assert len(set(side_by_side(meet(), CPU))) == 2  # the parent has kept its own


AFTER_THE_END = """
import threading, torch
from spacy_elmo.bilm.threads import side_by_side

def work():
    threading.main_thread().join()
    with torch.no_grad():
        print(side_by_side([lambda: 1, lambda: 2], torch.device("cpu")))

torch.set_num_threads(2)
threading.Thread(target=work).start()
"""


@pytest.mark.slow
def test_a_thread_may_outlive_the_main_thread(tmp_path):
    """Then Python starts nothing in other threads."""
    script = tmp_path / "script.py"
    script.write_text(AFTER_THE_END)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout == "[1, 2]\n", done.stderr

"""Making things ahead of the one who wants them, in threads, in order, never more than a few.

    tickets ─▶ worker ─┐
    tickets ─▶ worker ─┴─▶ finished ─▶ put in order ─▶ consumer ─▶ a new ticket for every thing taken

A thing to make is a Job: parts that may run on any threads at once, then one `finish` on the thread that did the last
part. So all workers share the first batch instead of each making its own, and it is there soonest. The consumer hands
out a job's tickets only when it takes an earlier result: that alone bounds what is made ahead.

Both queues are `queue.SimpleQueue`, which is C, and whose waiting Ctrl-C interrupts.
"""

import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar, final

__all__ = ["Ahead", "Job"]

T = TypeVar("T")


class Job(ABC, Generic[T]):
    """One thing to make."""

    parts: int  # at least 1

    @abstractmethod
    def part(self, j: int) -> None:
        """Do part `j` of 0..parts-1; runs once for each, on any thread."""

    @abstractmethod
    def finish(self) -> T:
        """Runs once, after every part."""

    def run(self) -> T:
        """The whole job on this thread."""
        for j in range(self.parts):
            self.part(j)
        return self.finish()


@final
class Ahead(Iterator[T]):
    """The results of `jobs(0)`, `jobs(1)`, … `jobs(count - 1)`, made by `workers` threads up to `prefetch` ahead.

    `jobs` itself is called by the consumer, in order, so it may keep state. An error in a job is raised when its turn
    comes, and ends the iteration. The threads end with the last result, with an error, with `close()`, when the
    iterator is dropped, and before the interpreter exits: each finishes the part it is at, and starts no other.

    Where the system allows no more threads, those there are make all of it; without any, the consumer does.
    """

    def __init__(self, jobs: Callable[[int], Job[T]], count: int, workers: int, prefetch: int) -> None:
        if workers < 1 or prefetch < 1:
            raise ValueError(f"{workers} workers, {prefetch} ahead: nobody would make what is waited for")
        self._jobs = jobs
        self._count = count
        self._ordered = 0  # jobs whose tickets are out
        self._taken = 0
        self._early: dict[int, T | _Failure] = {}  # finished before their turn
        shop = _Shop[T]()
        self._shop = shop
        threads = self._threads = list[threading.Thread]()
        # The threads hold the shop, not this iterator, so dropping it is noticed; at exit the finalizer runs while
        # threads can still be joined, which is why daemon threads never meet a dying interpreter.
        self._close = weakref.finalize(self, shop.close, threads)
        for i in range(workers):
            thread = threading.Thread(target=shop.work, name=f"striate-loader-{i}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system allows no more: those there are do the work, or whoever waits for it
                break
            threads.append(thread)
        for _ in range(min(prefetch, count)):
            self._order()

    def __next__(self) -> T:
        turn = self._taken
        if turn == self._count or not self._close.alive:
            self.close()
            raise StopIteration
        while turn not in self._early:
            while not self._threads and self._shop.finished.empty():
                ticket = self._shop.tickets.get()
                assert ticket is not None  # which only threads are sent
                self._shop.do(*ticket)
            number, result = self._shop.finished.get()
            self._early[number] = result
        result = self._early.pop(turn)
        if isinstance(result, _Failure):
            self.close()
            try:
                raise result.error
            finally:
                del result  # the error's traceback would hold this frame, and this frame the error
        self._taken += 1
        if self._ordered < self._count:
            self._order()
        elif self._taken == self._count:
            self.close()
        return result

    def close(self) -> None:
        """End the threads and wait until they have ended; the iteration is over. Calling it again does nothing."""
        self._close()
        self._early.clear()

    def _order(self) -> None:
        number = self._ordered
        started = _Started(number, self._jobs(number))
        self._ordered += 1
        for j in range(started.job.parts):
            self._shop.tickets.put((started, j))


@final
class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


@final
class _Started(Generic[T]):
    """A job some of whose parts may be done."""

    def __init__(self, number: int, job: Job[T]) -> None:
        self.number = number
        self.job = job
        self._left = job.parts
        self._errors: dict[int, BaseException] = {}
        self._lock = threading.Lock()

    def part(self, j: int) -> T | _Failure | None:
        """Do part `j`; the last one returns the result, or the error of the first part that failed."""
        error: BaseException | None = None
        try:
            self.job.part(j)
        except BaseException as raised:  # whatever it is, it belongs to the consumer
            error = raised
        with self._lock:
            self._left -= 1
            if error is not None:
                self._errors[j] = error
            if self._left:
                return None
        if self._errors:
            return _Failure(self._errors[min(self._errors)])
        try:
            return self.job.finish()
        except BaseException as raised:
            return _Failure(raised)


@final
class _Shop(Generic[T]):
    """What the threads share."""

    def __init__(self) -> None:
        self.tickets: SimpleQueue[tuple[_Started[T], int] | None] = SimpleQueue()  # None: go home
        self.finished: SimpleQueue[tuple[int, T | _Failure]] = SimpleQueue()
        self._closed = False

    def work(self) -> None:
        while (ticket := self.tickets.get()) is not None and not self._closed:
            self.do(*ticket)
            del ticket  # or an idle thread would keep its last batch alive

    def do(self, started: _Started[T], j: int) -> None:
        """Part `j`, and what came of it where that was the last."""
        result = started.part(j)
        if result is not None:
            self.finished.put((started.number, result))

    def close(self, threads: list[threading.Thread]) -> None:
        self._closed = True
        for _ in threads:
            self.tickets.put(None)
        for thread in threads:
            if thread is not threading.current_thread():  # a worker's own garbage collection may be what drops us
                thread.join()

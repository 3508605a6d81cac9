"""Workers in parallel: one validator process a thread, results in the order of the tasks."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from pipechaos.validate.worker import Worker, WorkerSpec

__all__ = ["Pool"]

T = TypeVar("T")
R = TypeVar("R")


class Pool:
    """A fixed number of worker processes that are killed and replaced one by one when they hang or die.

    Parameters
    ----------
    spec
        Which validators each worker loads.
    jobs
        How many workers.
    limit_seconds
        Limit of one validation.
    """

    def __init__(self, spec: WorkerSpec, jobs: int, limit_seconds: float) -> None:
        self._workers = [Worker(spec, limit_seconds=limit_seconds) for _ in range(max(1, jobs))]
        self._free: queue.SimpleQueue[Worker] = queue.SimpleQueue()

    def __enter__(self) -> Pool:
        with ThreadPoolExecutor(max_workers=len(self._workers)) as threads:  # loading validators takes seconds
            started = [threads.submit(worker.start) for worker in self._workers]
        try:
            for future, worker in zip(started, self._workers, strict=True):
                future.result()
                self._free.put(worker)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for worker in self._workers:
            worker.close()

    @property
    def first(self) -> Worker:
        """One worker, to ask what the validators are."""
        return self._workers[0]

    def map(self, work: Callable[[Worker, T], R], tasks: Sequence[T]) -> Generator[R, None, None]:
        """Do tasks on free workers; yield results in the order of the tasks."""

        def one(task: T) -> R:
            worker = self._free.get()
            try:
                return work(worker, task)
            finally:
                self._free.put(worker)

        with ThreadPoolExecutor(max_workers=len(self._workers)) as threads:
            waiting = [threads.submit(one, task) for task in tasks]
            try:
                for future in waiting:
                    yield future.result()
            finally:
                for future in waiting:
                    future.cancel()
                if not all(future.done() for future in waiting):  # ended early: nobody waits for what still runs
                    for worker in self._workers:
                        worker.abandon()

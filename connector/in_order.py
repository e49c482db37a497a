"""Work done ahead by a few threads, given back in order: polars and hashing let go of Python's lock, so threads do."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

_END = object()
Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(work: Callable[[Given], Made], items: Iterable[Given], *, workers: int) -> Iterator[Made]:
    """Apply ``work`` to each item, ``workers`` of them at once, and give the results in the items' order.

    At most one item more than there are workers is read ahead, which bounds the memory. What ``work`` or the reading
    raises is raised here; what was begun is waited for.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="transform") as pool:
        under_way: deque[Future[Made]] = deque()
        for item in items:
            under_way.append(pool.submit(work, item))
            if len(under_way) > workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def ahead(items: Generator[Given]) -> Generator[Given]:
    """Take the next item in a thread of its own while the last one is worked on.

    All of the generator runs there, its end too: a database connection belongs to the thread that opened it.
    """
    wanted: SimpleQueue[bool] = SimpleQueue()
    given: SimpleQueue[tuple[object, BaseException | None]] = SimpleQueue()

    def take() -> None:
        try:
            while wanted.get():
                given.put((next(items, _END), None))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the item was wanted
            given.put((_END, error))
        finally:
            items.close()

    # No pool: this generator may be left to the garbage collector, and a pool's thread may be gone by then.
    thread = threading.Thread(target=take, name="ahead", daemon=True)
    thread.start()
    try:
        wanted.put(True)
        item, error = given.get()
        while item is not _END:
            wanted.put(True)
            yield cast("Given", item)
            item, error = given.get()
        if error is not None:
            raise error
    finally:
        error = None  # an error that held this frame, which held the error, would live until garbage is looked for
        wanted.put(False)
        if threading.current_thread() is not thread:
            thread.join()

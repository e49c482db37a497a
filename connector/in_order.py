"""Work done ahead by a few threads, given back in order: polars and hashing let go of Python's lock, so threads do."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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

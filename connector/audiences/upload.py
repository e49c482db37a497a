"""One upload session: batches go out in parallel, the last one last, every answer is read.

Source of the rules: meta-graph-api.md §2.1. A 200 means received; the session's own count is compared at the end,
because ``num_received`` and ``num_invalid_entries`` are totals of the session, not of a batch.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from connector.audiences.answers import read_int
from connector.audiences.arrival import REPLACE_FINISHED, rows_arrived
from connector.audiences.bisection import Sent, send_in_parts
from connector.audiences.request import Body, Call
from connector.errors import InterruptedRunError, RejectedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from connector.audiences.answers import JsonObject
    from connector.audiences.batch import Batch
    from connector.audiences.graph import Graph

Operation = Literal["add", "remove", "replace"]
SESSION_SECONDS = 3600.0  # Meta discards what comes later than 90 minutes: begin anew long before
REPEATS = 5  # of the first batch of a replacement, which is never sent again unasked
REPLACE_SECONDS = 5100.0  # a replacement cannot begin anew: stop five minutes before Meta closes it
MOST_BYTES = 128_000_000
LEAST_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class Receipt:
    """Meta's answer to one request. ``received`` and ``invalid`` are the session's totals at that moment."""

    seq: int
    session_id: int
    rows: int
    size: int
    received: int
    invalid: int
    retried: int

    def counts(self) -> dict[str, int]:
        """Give what the state keeps of it."""
        return {
            "seq": self.seq, "session_id": self.session_id, "rows": self.rows, "bytes": self.size, "retried": self.retried,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished session came to, in rows. ``refused`` are those left out because Meta refuses any batch with them."""

    rows: int
    received: int
    invalid: int
    refused: int = 0

    @property
    def missing(self) -> int:
        """Rows sent that Meta's session total does not hold. A repeated request can count twice, never less."""
        return max(0, self.rows - self.received)


class Upload:
    """Sends batches in one session. Use once.

    Args:
        operation: ``add``, ``remove``, or ``replace`` (the whole audience, atomically; meta-graph-api.md §2.3).
        in_flight: Requests under way at once; the pace may allow fewer.
        most_bytes: Size of all bodies under way together; two may be under way however large they are.
        on_receipt: Called in the calling thread for every acknowledged request.
        on_rows: Called in the calling thread with the number of rows, from the first on, that are all settled.
        on_refused: Called in the calling thread, before ``on_rows``, with the places (from 0) of rows that Meta refuses.
        before_batch: Called in the calling thread before each batch leaves; raise there to stop between batches.
    """

    def __init__(  # noqa: PLR0913 - settings, all by name
        self,
        graph: Graph,
        audience_id: str,
        *,
        account: str,
        operation: Operation,
        in_flight: int,
        most_bytes: int = MOST_BYTES,
        on_receipt: Callable[[Receipt], None],
        on_rows: Callable[[int], None] = lambda _: None,
        on_refused: Callable[[list[int]], None] = lambda _: None,
        before_batch: Callable[[], None] = lambda: None,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graph = graph
        self._audience_id = audience_id
        self._path = f"{audience_id}/{'usersreplace' if operation == 'replace' else 'users'}"
        self._account = account
        self._operation = operation
        self._in_flight = in_flight
        self._most_bytes, self._largest = most_bytes, 1
        self._on_receipt = on_receipt
        self._on_rows = on_rows
        self._on_refused = on_refused
        self._before_batch = before_batch
        self._stop = stop or threading.Event()
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Semaphore(
            os.cpu_count() or 1
        )  # a body takes three times its size while it is written
        self._session = _Session(_session_id(), clock())
        self._totals: dict[int, tuple[int, int]] = {}  # received and invalid of each session
        self._rows = self._refused = self._repeated = 0
        self._begins = [0]  # the place of each batch's first row
        self._pending: dict[Future[Sent], int] = {}
        self._done: list[int | None] = []  # rows of each batch once it is settled
        self._settled = self._settled_rows = 0  # batches from the first on, without a gap, and their rows
        self._accepted: Batch | None = None  # one row that Meta took, to close a session with
        self._closed = False

    def send(self, batches: Iterable[Batch]) -> Outcome:
        """Send every batch; returns when all are acknowledged.

        Raises:
            InterruptedRunError: ``stop`` was set; requests under way were waited for and are acknowledged.
            ConnectorError: what Meta answered to a batch, after those under way are acknowledged.
        """
        with ThreadPoolExecutor(self._in_flight, thread_name_prefix="upload") as pool:
            try:
                for batch, last in _with_last(batches):
                    self._before_batch()
                    self._wait_for_room(last=last)
                    self._check_stop()
                    self._pending[pool.submit(self._send, batch, last=last)] = len(self._done)
                    self._done.append(None)
                    self._begins.append(self._begins[-1] + len(batch))
                while self._pending:
                    self._settle()
                self._close()
            except BaseException:
                self._abandon()
                raise
        received, invalid = (sum(total[place] for total in self._totals.values()) for place in (0, 1))
        return Outcome(self._rows, received - self._repeated, invalid, self._refused)

    def _close(self) -> None:
        """Close the session with a row it has already, where the rows that should have closed it were refused."""
        if self._closed or not self._refused or self._accepted is None:
            return
        receipt = replace(self._post(self._accepted, last=True), rows=0)
        self._repeated = 1
        self._count(receipt)

    def _wait_for_room(self, *, last: bool) -> None:
        """The last batch goes alone and last; the first one of a replace starts it and goes alone too."""
        while self._pending:
            starts = self._operation == "replace" and len(self._done) == 1
            # One more than the pace lets run: it is ready when a slot is free, and no heap of batches waits for one.
            room = max(LEAST_IN_FLIGHT, self._most_bytes // self._largest)
            most = min(self._in_flight, self._graph.pace.in_flight(self._account) + 1, room)
            if not (last or starts or len(self._pending) >= most):
                return
            self._settle()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise InterruptedRunError("stopped between batches", hint="Run the same command again to go on.")

    def _settle(self) -> None:
        """Wait until something is answered and acknowledge it; the first failure is raised."""
        failed: BaseException | None = None
        for future in wait(self._pending, return_when=FIRST_COMPLETED).done:
            index = self._pending.pop(future)
            error = future.exception()
            if error is None:
                self._acknowledge(index, future.result())
            failed = failed or error
        if failed is not None:
            raise failed

    def _abandon(self) -> None:
        """After a failure: drop what has not begun, wait for what is under way and keep every good answer."""
        for future in self._pending:
            future.cancel()
        wait(self._pending)
        for future, index in list(self._pending.items()):
            if not future.cancelled() and future.exception() is None:
                self._acknowledge(index, future.result())
        self._pending.clear()

    def _acknowledge(self, index: int, sent: Sent) -> None:
        for receipt in sent.receipts:
            self._count(receipt)
        if sent.refused:
            self._refused += len(sent.refused)
            self._on_refused([self._begins[index] + place for place in sent.refused])
        self._done[index] = sent.rows
        while self._settled < len(self._done) and (rows := self._done[self._settled]) is not None:
            self._settled += 1
            self._settled_rows += rows
        self._on_rows(self._settled_rows)

    def _count(self, receipt: Receipt) -> None:
        self._rows += receipt.rows
        received, invalid = self._totals.get(receipt.session_id, (0, 0))
        self._totals[receipt.session_id] = (max(received, receipt.received), max(invalid, receipt.invalid))
        self._on_receipt(receipt)

    def _send(self, batch: Batch, *, last: bool) -> Sent:
        """Send one batch, in parts if need be. When nothing at all was accepted yet, a refusal is not about single rows."""
        sent = send_in_parts(batch, self._post, last=last)
        if sent.refusal is not None and self._accepted is None:
            raise sent.refusal
        return sent

    def _post(self, batch: Batch, *, last: bool) -> Receipt:
        size = 0
        number: tuple[int, int] | None = None

        def body() -> tuple[bytes, ...]:  # made after all waiting, so that it never goes into a session that is too old
            nonlocal size, number
            # Where the last batch may have arrived, its session is closed: adding and removing go on in a new one.
            number = self._numbered(number, anew=last and call.uncertain)
            with self._writing:
                finished = batch.body({"session_id": number[0], "batch_seq": number[1], "last_batch_flag": last})
            size = sum(map(len, finished))
            self._largest = max(self._largest, size)
            return finished

        call = Call()
        while True:
            starts = self._operation == "replace" and self._accepted is None
            try:
                answer = self._request(body, call, twice=not starts)
                break
            except RejectedError:
                self._give_back(number)
                raise
            except TransientError as error:
                session = number[0] if number is not None else 0
                arrived = self._arrived(error, session, batch, starts=starts, last=last and call.uncertain)
                if arrived is not None:
                    answer = arrived
                    break
                if error.fault is not None and error.fault.smaller:
                    self._give_back(number)
                if not starts or not _may_repeat(error, call):
                    raise
                self._graph.pace.pause(self._graph.pace.back_off(call.retried), self._account)
        self._accepted = self._accepted or batch.first()
        self._closed |= last
        session_id, seq = number or (0, 0)
        return Receipt(
            seq=seq,
            session_id=session_id,
            rows=len(batch),
            size=size,
            received=read_int(answer, "num_received") or 0,
            invalid=read_int(answer, "num_invalid_entries") or 0,
            retried=call.retried,
        )

    def _request(self, body: Callable[[], Body], call: Call, *, twice: bool) -> JsonObject:
        if self._operation == "remove":
            return self._graph.delete(self._path, body=body, account=self._account, call=call)
        return self._graph.post(self._path, body=body, account=self._account, idempotent=twice, call=call)

    def _arrived(
        self, error: TransientError, session_id: int, batch: Batch, *, starts: bool, last: bool
    ) -> JsonObject | None:
        """Find out whether the batch that begins or ends a replacement has arrived although its answer was lost."""
        fault = error.fault
        if self._operation != "replace" or fault is None:
            return None
        ends = last and fault.subcode == REPLACE_FINISHED
        if not ends and not (starts and fault.received and fault.code != 2650):
            return None
        rows = rows_arrived(self._graph, self._audience_id, session_id, account=self._account)
        return {"num_received": rows} if ends or rows >= len(batch) else None

    def _numbered(self, before: tuple[int, int] | None, *, anew: bool = False) -> tuple[int, int]:
        """Give a request its session and number; again the same ones while that session is young enough."""
        with self._lock:
            age = self._clock() - self._session.started
            if self._operation == "replace":
                if age > REPLACE_SECONDS:
                    raise TransientError(
                        "Meta's 90 minutes for a replacement are over, and not everyone is sent",
                        code="replace.window",
                        hint="Meta takes what arrived as the whole audience. Go on with --mode mirror, which has no such limit.",
                    )
            elif age > SESSION_SECONDS or (anew and before is not None and before[0] == self._session.id):
                self._session = _Session(_session_id(), self._clock())
            if before is not None and before[0] == self._session.id:
                return before
            if self._session.free:
                return self._session.id, self._session.free.pop(0)
            self._session.seq += 1
            return self._session.id, self._session.seq

    def _give_back(self, number: tuple[int, int] | None) -> None:
        """Let the next request have the number of a refused one: a replacement begins with number 1, and with no other."""
        with self._lock:
            if number is not None and number[0] == self._session.id:
                self._session.free.append(number[1])


def _may_repeat(error: TransientError, call: Call) -> bool:
    """Say whether a first batch that has not arrived is worth sending again: no word of Meta's on replacements was against it."""
    fault = error.fault
    return fault is not None and fault.received and not fault.smaller and fault.code != 2650 and call.retried < REPEATS


@dataclass(slots=True)
class _Session:
    """Meta's upload session: closed by its last batch, or by itself 90 minutes after the first."""

    id: int
    started: float
    seq: int = 0
    free: list[int] = field(default_factory=list)


def _session_id() -> int:
    """Draw an id under 2^53, so that no JSON parser on the way rounds it."""
    return secrets.randbelow(2**53 - 1) + 1


def _with_last(batches: Iterable[Batch]) -> Iterator[tuple[Batch, bool]]:
    """Tell for each batch whether it is the last, by holding one back."""
    held: Batch | None = None
    for batch in batches:
        if held is not None:
            yield held, False
        held = batch
    if held is not None:
        yield held, True

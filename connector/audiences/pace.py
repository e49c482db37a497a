"""How fast one may call Meta: usage headers and throttles to a pace that all workers of an ad account share.

Owns the waits, the number of calls in flight and the words about them. Must not know HTTP: headers come in as a mapping.
The rule is meta-graph-api.md, 7: from 75 % of any usage value slow down, from 95 % stop until reset, after a throttle stop
all for the longest of what Meta names and a full-jitter back-off.
"""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from connector.audiences.usage import Usage, merge_usage, read_usage, retry_after
from connector.errors import ConnectorError, GraphFault, InterruptedRunError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Reason = Literal["throttled", "usage", "slow", "retry"]

SLOW: Final = 75.0
STOP: Final = 95.0
# 95 % and no reset named: the quotas are rolling, so look again with a single call after this many seconds.
_UNNAMED_STOP: Final = 60.0
_SPACING: Final = (0.25, 15.0)
# A server that throttles and names nothing is left alone for a second at least, whatever the dice say.
_SHORTEST_STOP: Final = 1.0
# Meta leaves the headers out at low volume: what was said so long ago says nothing now. Its score limit decays in 300 s.
_STALE: Final = 300.0
# How soon a call that waits for a free slot notices a stop event, in seconds.
_GLANCE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause of all calls of one account (``retry``: of one call): why, how many seconds, and until when (UTC)."""

    reason: Reason
    seconds: float
    until: datetime
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """Who is told of waits, and the event that ends them; where it says nothing, the pace's own counts."""

    on_wait: Callable[[Wait], None] | None = None
    stop: threading.Event | None = None


@dataclass(slots=True)
class _Lane:
    """The state of one ad account; all of it is guarded by the pace's lock."""

    limit: int
    running: int = 0
    usage: float = 0.0
    seen: float = -math.inf
    stopped_until: float = -math.inf
    reason: Reason = "throttled"
    last_start: float = -math.inf
    throttles: int = 0
    limited: bool | None = None
    # Parallelism: the best mean latency of a round, this round's, the largest body, and whether the fast rise is over.
    best: float = math.inf
    largest: int = 0
    round: list[float] = field(default_factory=list)
    steady: bool = False


def _share(limit: int, usage: float) -> int:
    """Calls in flight at that usage: half of the limit from 75 %, falling to one at 95 %."""
    if usage < SLOW:
        return limit
    return max(1, math.floor(limit * (STOP - usage) / (STOP - SLOW) / 2))


def _spacing(usage: float) -> float:
    """Seconds between two starts: nothing below 75 %, then from a quarter of a second to 15 s at 95 %."""
    if usage < SLOW:
        return 0.0
    least, most = _SPACING
    return least * math.pow(most / least, min(1.0, (usage - SLOW) / (STOP - SLOW)))


_OWN: Final = Patience()


class Pace:
    """One pace for all workers of a run; thread-safe.

    Args:
        max_wait: Seconds that may be waited in all (wall time; workers that wait together count once).
        start: Calls in flight per ad account at first.
        most: Calls in flight per ad account at most; reached only while latency holds.
        base: Back-off base in seconds.
        cap: Longest back-off in seconds; a wait that Meta names may be longer.
        clock: Seconds from anywhere, never going back.
        now: The time of day, for messages.
        sleep: Replaces waiting on the stop event.
        rng: A number from 0 to 1.
        on_wait: Told once of each pause of a second or more.
        stop: Set it and every waiting call raises ``InterruptedRunError``.
    """

    def __init__(  # noqa: PLR0913 - settings with defaults, all by name
        self,
        *,
        max_wait: float = 7200.0,
        start: int = 4,
        most: int = 16,
        base: float = 5.0,
        cap: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
        rng: Callable[[], float] = random.random,
        on_wait: Callable[[Wait], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.max_wait = max_wait
        self._start, self._most = max(1, min(start, most)), max(1, most)
        self._base, self._cap = base, cap
        self._clock, self._now, self._rng = clock, now, rng
        self.stop = stop
        self._patience = Patience(on_wait, stop or threading.Event())
        self._sleep = sleep
        self._room = threading.Condition()
        self._lanes: dict[str | None, _Lane] = {}
        self._waited = 0.0
        self._waited_to = -math.inf
        self._told_to = -math.inf

    @property
    def waited(self) -> float:
        """Seconds waited so far because of Meta's limits; workers that waited together count once."""
        with self._room:
            return self._waited

    def in_flight(self, account: str | None = None) -> int:
        """Say how many calls of that ad account may run at once now."""
        with self._room:
            return self._allowed(account)

    def limited(self, account: str | None = None) -> bool:
        """Say whether Meta's headers told that the app has Limited access: some 20 writes in five minutes."""
        with self._room:
            return bool(self._lane(account).limited)

    def delay(self, account: str | None = None) -> float:
        """Say how many seconds the next call of that ad account would have to wait now; 0 when it may start."""
        with self._room:
            return max(0.0, self._due(account)[0] - self._clock())

    @contextmanager
    def slot(
        self,
        account: str | None = None,
        *,
        after: ConnectorError | None = None,
        patience: Patience = _OWN,
    ) -> Iterator[None]:
        """Wait until a call of that ad account may start, and count it as in flight.

        Args:
            account: The ad account, with or without ``act_``; ``None`` obeys only what concerns the whole app.
            after: The refusal that this call got before, for the error if waiting is given up.
            patience: Whose wait it is, when it is not the pace's own.

        Raises:
            TransientError: The wait would go beyond ``max_wait``; the message says when to try again.
            InterruptedRunError: The stop event was set.
        """
        lane = self._enter(account, after, patience)
        try:
            yield
        finally:
            with self._room:
                lane.running -= 1
                self._room.notify_all()

    def _enter(self, account: str | None, after: ConnectorError | None, patience: Patience) -> _Lane:
        while True:
            self.check_stop(patience)
            with self._room:
                due, reason = self._due(account)
                seconds = due - self._clock()
                lane = self._lane(account)
                if seconds <= 0 and lane.running < self._allowed(account):
                    lane.running += 1
                    lane.last_start = self._lane(None).last_start = self._clock()
                    return lane
                if seconds <= 0:
                    self._room.wait(_GLANCE)
                    continue
                self._spend(seconds, after)
            self._rest(Wait(reason, seconds, self._time_after(seconds), account), patience)

    def observe(
        self, headers: Mapping[str, str], account: str | None = None, *, seconds: float | None = None, size: int = 0
    ) -> None:
        """Take in the headers of an answer that was no throttle.

        Args:
            headers: The answer's headers, names in lower case or a case-blind mapping.
            account: The ad account of the call.
            seconds: How long an upload took; ``None`` for calls whose latency says nothing.
            size: Bytes of the upload.
        """
        with self._room:
            now = self._clock()
            for key, usage in self._usages(headers, account).items():
                lane = self._note(key, usage, now)
                if usage.percent >= STOP:
                    self._halt(lane, now + (usage.named or _UNNAMED_STOP), "usage")
            lane = self._lane(account)
            if seconds is not None and now - seconds >= lane.stopped_until:
                lane.throttles = 0
                self._adapt(lane, seconds, size)
            self._room.notify_all()

    def throttled(self, headers: Mapping[str, str], account: str | None = None) -> None:
        """Stop all calls of that ad account (``None``: of the app) after a throttle.

        Args:
            headers: The refusal's headers: the longest wait they name counts, whatever the percentages say.
            account: The ad account of the call.
        """
        with self._room:
            now = self._clock()
            lane = self._lane(account)
            usages = self._usages(headers, account)
            named = max([retry_after(headers, self._now()), *(usage.named for usage in usages.values())])
            if now >= lane.stopped_until:  # others of the same burst prolong the stop, they do not double it again
                named = max(named, _SHORTEST_STOP, self.back_off(lane.throttles))
                lane.throttles += 1
                lane.limit = max(1, lane.limit // 2)
                lane.steady = True
            for key, usage in usages.items():
                self._note(key, usage, now)
            self._halt(lane, now + named, "throttled")

    def back_off(self, tries: int) -> float:
        """Roll a full-jitter back-off in seconds for the attempt after ``tries`` failed ones, counted from 0."""
        return self._rng() * min(self._cap, self._base * 2.0 ** min(tries, 30))

    def pause(self, seconds: float, account: str | None = None, *, patience: Patience = _OWN) -> None:
        """Make one call wait, for a retry; other calls go on.

        Raises:
            InterruptedRunError: The stop event was set.
        """
        self._rest(Wait("retry", seconds, self._time_after(seconds), account), patience)

    def check_stop(self, patience: Patience = _OWN) -> None:
        """Raise ``InterruptedRunError`` when a stop event is set."""
        for stop in (patience.stop, self._patience.stop):
            if stop is not None and stop.is_set():
                raise InterruptedRunError("Stopped by hand.", hint="Run the same command again: it goes on from here.")

    def _rest(self, wait: Wait, patience: Patience) -> None:
        tell = patience.on_wait or self._patience.on_wait
        if tell is not None and wait.seconds >= 1.0 and self._is_news(wait):
            tell(wait)
        stop = patience.stop or self._patience.stop
        if self._sleep is not None:
            self._sleep(wait.seconds)
        elif stop is not None:
            stop.wait(wait.seconds)
        self.check_stop(patience)

    def _is_news(self, wait: Wait) -> bool:
        """Sixteen workers that wait for the same moment are one piece of news."""
        if wait.reason == "retry":
            return True
        with self._room:
            end = self._clock() + wait.seconds
            news = end > self._told_to + 1.0
            self._told_to = max(self._told_to, end)
            return news

    def names_wait(self, headers: Mapping[str, str]) -> bool:
        """Say whether an answer carries ``Retry-After``, which replaces our own back-off."""
        return retry_after(headers, self._now()) > 0

    def _spend(self, seconds: float, after: ConnectorError | None) -> None:
        now = self._clock()
        more = now + seconds - max(now, self._waited_to)
        if self._waited + max(0.0, more) > self.max_wait:
            raise self._too_long(seconds, after)
        self._waited += max(0.0, more)
        self._waited_to = max(self._waited_to, now + seconds)

    def _too_long(self, seconds: float, after: ConnectorError | None) -> TransientError:
        until = f"{self._time_after(seconds):%Y-%m-%d %H:%M} UTC"
        return TransientError(
            f"Meta's limits ask for a wait until {until}; that is beyond the {self.max_wait / 60:.0f} minutes this run may wait.",
            code="graph.throttled",
            hint=f"Run the same command after {until}, or with a longer --max-wait: nothing is lost.",
            fbtrace_id=after.fbtrace_id if after else None,
            fault=after.fault if after and after.fault else GraphFault(None, received=False),
        )

    def _time_after(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._now() + min(seconds, 1e9), tz=UTC)

    def _lane(self, account: str | None) -> _Lane:
        key = account.removeprefix("act_") if account else None
        return self._lanes.setdefault(key, _Lane(limit=self._start))

    def _due(self, account: str | None) -> tuple[float, Reason]:
        """When the next call may start, and what it waits for."""
        due: list[tuple[float, Reason]] = []
        for lane in (self._lane(None), self._lane(account)):
            due.append((lane.stopped_until, lane.reason))
            due.append((lane.last_start + _spacing(self._used(lane)), "slow"))
        return max(due, key=lambda one: one[0])

    def _allowed(self, account: str | None) -> int:
        lane = self._lane(account)
        return _share(lane.limit, max(self._used(lane), self._used(self._lane(None))))

    def _used(self, lane: _Lane) -> float:
        return lane.usage if self._clock() - lane.seen <= _STALE else 0.0

    def _usages(self, headers: Mapping[str, str], account: str | None) -> dict[str | None, Usage]:
        """Usage by lane: a business's number, which is no lane of ours, concerns the account of the call."""
        own = account.removeprefix("act_") if account else None
        usages: dict[str | None, Usage] = {}
        for key, usage in read_usage(headers).items():
            merge_usage(usages, key if key is None or key in self._lanes else own, usage)
        return usages

    def _note(self, account: str | None, usage: Usage, now: float) -> _Lane:
        lane = self._lane(account)
        lane.usage, lane.seen = usage.percent, now
        lane.limited = lane.limited if usage.limited is None else usage.limited
        return lane

    def _halt(self, lane: _Lane, until: float, reason: Reason) -> None:
        if until > lane.stopped_until:
            lane.stopped_until, lane.reason = until, reason

    def _adapt(self, lane: _Lane, seconds: float, size: int) -> None:
        """Raise the limit while latency holds: by one an answer at first, later by one a round; lower it when it doubles.

        The measure is the best mean of a round, not the best answer, which may be luck; and never drifts upwards, or it
        would take the queue that we cause ourselves for normal. A round is as many answers as calls in flight.
        """
        if size * 2 < lane.largest:  # the last, short batch says nothing
            return
        if size > lane.largest * 2:
            lane.best = math.inf
            lane.round.clear()
        lane.largest = max(lane.largest, size)
        lane.round.append(seconds)
        if not lane.steady and seconds <= 1.5 * lane.best < math.inf:
            lane.limit = min(self._most, lane.limit + 1)
        if len(lane.round) < lane.limit:
            return
        mean = sum(lane.round) / len(lane.round)
        lane.round.clear()
        lane.best = min(lane.best, mean)
        if mean > 2.0 * lane.best:
            lane.steady = True
            lane.limit = max(min(self._start, lane.limit), lane.limit - 1)
        elif lane.steady and mean <= 1.5 * lane.best:
            lane.limit = min(self._most, lane.limit + 1)

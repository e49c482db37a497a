"""Meta's Graph API: one wire, one pace, attempts until it is said and done, refusals as our errors.

Must not know what a call means: paths and bodies come in finished, JSON goes out.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from connector.audiences.address import address_of, checked_path, checked_version, read_link, read_origin
from connector.audiences.answers import JsonObject, read_int, read_object, read_objects, read_text
from connector.audiences.credentials import credentials
from connector.audiences.failures import Failure, read_answer
from connector.audiences.pace import Pace, Patience, Wait
from connector.audiences.request import Body, Call, Request
from connector.audiences.wire import Pieces, Wire
from connector.errors import ConnectorError, RejectedError, TransientError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator, Mapping

    from pydantic import SecretStr

    from connector.audiences.graph_errors import Retry
    from connector.audiences.wire import Transport

    # What one request came to, and the headers of the answer.
    _Answer: TypeAlias = tuple[JsonObject | Failure, Mapping[str, str]]

_HEADERS: Final = (("Accept", "application/json"), ("Accept-Encoding", "gzip"), ("User-Agent", "audience-connector"))
LAG_SECONDS: Final = 3.0  # what was made a moment ago may not be known everywhere yet: asked for again so much later,
_LAG_TRIES: Final = 2  # and so often


class Graph:
    """A connection to the Graph API; thread-safe; close it, or use it as a context manager.

    Args:
        url: ``https://…``; plain ``http`` is accepted for loopback only.
        version: For example ``v25.0``.
        token: Sent in the Authorization header; ``None`` for the calls of a login, which carry none.
        app_secret: When given, every call carries ``appsecret_proof``.
        pace: The pace to share; by default one of its own.
        connections: Sockets at most.
        retries: How often a failed request is sent again at most, throttles not counted: those are bounded by the pace.
        read_timeout: Seconds without a byte of the answer.
        on_wait: Told of each wait of these calls, in the thread that waits; by default the pace's own.
        stop: Set it and these calls, when they wait or begin, raise ``InterruptedRunError``, and those under way are cut
            after a moment's grace; by default the pace's own.
        fresh: Ids of objects made a moment ago: when Meta does not know one yet, it is asked a second time.
        transport: Replaces the network, for tests.

    Raises:
        ConfigError: The URL, the version, the token or a proxy of the environment is not usable.
    """

    def __init__(  # noqa: PLR0913 - settings with defaults, all by name
        self,
        url: str,
        version: str,
        token: SecretStr | None,
        *,
        app_secret: SecretStr | None = None,
        pace: Pace | None = None,
        connections: int = 16,
        retries: int = 5,
        read_timeout: float = 120.0,
        on_wait: Callable[[Wait], None] | None = None,
        stop: threading.Event | None = None,
        fresh: Collection[str] = (),
        transport: Transport | None = None,
    ) -> None:
        self._origin = read_origin(url)
        self._version = checked_version(version)
        self._credentials = credentials(token, app_secret)
        self.pace = pace or Pace(most=connections)
        self._patience = Patience(on_wait, stop)
        self._retries = retries
        self._fresh = fresh
        self._wire = Wire(
            self._origin,
            connections=connections,
            read_timeout=read_timeout,
            stop=stop or self.pace.stop,
            transport=transport,
        )
        self._on_headers: Callable[[Mapping[str, str]], None] | None = None

    def __repr__(self) -> str:
        return f"Graph({self._origin}/{self._version})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let answers under way arrive, for ten seconds at most, then close the connections; later calls fail."""
        self._wire.close()

    @property
    def token(self) -> SecretStr | None:
        """The token it calls with."""
        return self._credentials.token

    def sibling(
        self,
        *,
        token: SecretStr | None = None,
        app_secret: SecretStr | None = None,
        on_headers: Callable[[Mapping[str, str]], None] | None = None,
    ) -> Graph:
        """Make a Graph with the same sockets, pace and patience; closing either closes both.

        Args:
            token: Whom it calls as, with ``app_secret`` as when a Graph is made; without it as this one does.
            app_secret: See ``token``.
            on_headers: Told the headers of each answer, in the thread that called.
        """
        sibling = copy.copy(self)
        if token is not None:
            sibling._credentials = credentials(token, app_secret)  # noqa: SLF001  of its own class
        sibling._on_headers = on_headers  # noqa: SLF001
        return sibling

    def get(
        self, path: str, /, *, account: str | None = None, call: Call | None = None, **params: object
    ) -> JsonObject:
        """Read a node or an edge.

        Args:
            path: ``act_1/customaudiences``, without the version.
            account: The ad account whose pace counts; by default the one the path begins with.
            call: Filled with what became of the call.
            **params: Query parameters; lists and mappings become JSON, ``None`` is left out.

        Raises:
            AccessError, RejectedError, TransientError: As the table in ``graph_errors`` says.
            InterruptedRunError: The stop event was set.
        """
        return self._send(Request("GET", path, params, None, account, True, False, call or Call()))

    def pages(self, path: str, /, *, account: str | None = None, **params: object) -> Iterator[JsonObject]:
        """Read the items of an edge over all its pages.

        Pages are asked for by cursor; a ``next`` link is followed only on our own origin. A page that Meta finds too large
        is asked for again at half the size. Errors as for ``get``.
        """
        while True:
            try:
                page = self._send(Request("GET", path, params, None, account, True, True, Call()))
            except TransientError as problem:
                size = read_int(params, "limit") or 25
                if problem.fault is None or not problem.fault.smaller or size <= 1:
                    raise
                params["limit"] = size // 2
                continue
            yield from read_objects(page, "data")
            following = self._following(page, path)
            if following is None:
                return
            path, more = following
            if all(params.get(name) == value for name, value in more.items()):
                raise RejectedError(f"{path}: Meta names the same page again.", code="graph.paging")
            params |= more

    def post(
        self,
        path: str,
        /,
        *,
        body: Body | Callable[[], Body] | None = None,
        account: str | None = None,
        idempotent: bool = False,
        call: Call | None = None,
        **params: object,
    ) -> JsonObject:
        """Write.

        Args:
            path: ``120211/users``, without the version.
            body: Finished JSON, in one piece or several, sent as it stands; or a function that makes it, called before each
                attempt, after all waiting. Without it ``params`` are the JSON body.
            account: The ad account whose pace counts; by default the one the path begins with.
            idempotent: Carrying it out twice does no harm, so it may be sent again when an answer is lost. Otherwise such a
                failure is raised with ``fault.received`` true: look before you send it again.
            call: Filled with what became of the call.
            **params: Parameters; beside a body they go into the query.

        Errors as for ``get``.
        """
        divisible = body is not None
        if body is None:
            body, params = json.dumps({k: v for k, v in params.items() if v is not None}).encode(), {}
        return self._send(Request("POST", path, params, body, account, idempotent, divisible, call or Call()))

    def delete(
        self,
        path: str,
        /,
        *,
        body: Body | Callable[[], Body] | None = None,
        account: str | None = None,
        call: Call | None = None,
        **params: object,
    ) -> JsonObject:
        """Delete a node, or what ``body`` or ``params`` say from an edge; arguments and errors as for ``post``."""
        return self._send(Request("DELETE", path, params, body, account, True, body is not None, call or Call()))

    def _send(self, request: Request) -> JsonObject:
        checked_path(request.path)
        account = request.account or next(iter(re.findall(r"\Aact_\d+", request.path)), None)
        tries = lags = 0
        rested = 0.0
        last: ConnectorError | None = None
        while True:
            with self.pace.slot(account, after=last, patience=self._patience):
                outcome, headers = self._exchange(request, account)
            if isinstance(outcome, dict):
                return outcome
            if self._wire.cut:
                self.pace.check_stop(self._patience)
            call, secrets = request.call, self._credentials.secrets
            last = outcome.error(
                request.path, account=account, secrets=secrets, attempts=call.attempts, uncertain=call.uncertain
            )
            if outcome.may_lag and request.path.partition("/")[0] in self._fresh and lags < _LAG_TRIES:
                lags += 1
                self.pace.pause(LAG_SECONDS, account, patience=self._patience)
                continue
            again = self._again(outcome, request, tries)
            if again == "no":
                raise last
            if again == "yes":
                tries += 1
                call.uncertain |= outcome.fault.received
            if again == "delayed" or self.pace.names_wait(headers):
                call.throttled += 1
                # Code 4 is the app's limit: every account has to wait.
                self.pace.throttled(headers, None if outcome.fault.code == 4 else account)
            else:
                rest = self.pace.back_off(tries - 1)
                rested += rest
                if rested > self.pace.max_wait:
                    raise last
                self.pace.pause(rest, account, patience=self._patience)

    def _again(self, failure: Failure, request: Request, tries: int) -> Retry:
        """Say whether to send that request again: a throttle was certainly not carried out, other failures may have been."""
        rule = failure.rule
        if rule.retry == "delayed":
            return "delayed"
        if rule.retry != "yes" or (failure.fault.received and not request.idempotent):
            return "no"
        # A large body that fails twice for what may be its size goes back to the caller, who can send less.
        most = 1 if rule.smaller and request.divisible else min(rule.times, self._retries)
        return "yes" if tries < most else "no"

    def _exchange(self, request: Request, account: str | None) -> _Answer:
        """Send one request and read its answer, once."""
        body = request.body() if callable(request.body) else request.body
        has_body, pieces = body is not None, Pieces(b"" if body is None else body)
        del body
        url = address_of(self._origin, self._version, request.path, {**request.params, **self._credentials.params})
        headers = {"Host": self._origin.netloc, **dict(_HEADERS), **self._credentials.headers}
        if has_body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(pieces.length)}
        request.call.attempts += 1
        answer = self._wire.exchange(request.method, url, headers, pieces)
        if isinstance(answer, Failure):
            return answer, {}
        request.call.seconds = answer.seconds
        if self._on_headers is not None:
            self._on_headers(answer.headers)
        outcome = read_answer(answer.content, answer.status, address_length=len(url))
        if isinstance(outcome, dict):
            upload = request.call.seconds if request.divisible and has_body else None
            self.pace.observe(answer.headers, account, seconds=upload, size=pieces.length)
        return outcome, answer.headers

    def _following(self, page: JsonObject, path: str) -> tuple[str, dict[str, str]] | None:
        """Where the next page is: a path and parameters, or nothing."""
        paging = read_object(page, "paging")
        link = read_text(paging, "next")
        if link is None:
            return None
        after = read_text(read_object(paging, "cursors"), "after")
        if after is not None:
            return path, {"after": after}
        following = read_link(link, self._origin)
        if following is None:
            raise RejectedError(f"{path}: the next page is said to be on another host.", code="graph.foreign_link")
        return following

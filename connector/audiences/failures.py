"""One call that failed: what Meta's answer says of it, and the error people get to see.

Owns the reading of the error envelope. ``error.message`` is never read, and what Meta writes for people is shown only after
``redact``. Must not know how a request is sent.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connector.audiences.graph_errors import (
    EMPTY,
    HTML,
    THROTTLED,
    TOO_LARGE,
    TRUNCATED,
    URL_TOO_LONG,
    Rule,
    by_status,
    rule_for,
)
from connector.audiences.redaction import redact
from connector.errors import ConnectorError, GraphFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connector.audiences.answers import JsonObject


@dataclass(frozen=True, slots=True)
class Failure:
    """One call that did not succeed: the row it fell under, Meta's codes, and what Meta writes for people (unredacted)."""

    rule: Rule
    fault: GraphFault
    fbtrace_id: str | None = None
    texts: tuple[str, ...] = ()

    @property
    def may_lag(self) -> bool:
        """Whether the object may be too young for Meta to know it everywhere (meta-graph-api.md, 8 and 10)."""
        return self.fault.code == 803 or (self.fault.code, self.fault.subcode) == (100, 33)

    def error(
        self, where: str, *, account: str | None, secrets: Iterable[str], attempts: int = 1, uncertain: bool = False
    ) -> ConnectorError:
        """Build the error to raise: our sentence, then Meta's words, then the trace id; never the request.

        Args:
            where: The path of the call, ids and edge only.
            account: The ad account for the terms link, with or without ``act_``.
            secrets: Texts that must not appear, whatever Meta wrote.
            attempts: How often the call was made.
            uncertain: An earlier attempt may have been carried out, whatever became of the last.
        """
        shown = [redact(text, secrets) for text in dict.fromkeys(self.texts)]
        message = f"{where}: {self.rule.says}" + (f" ({attempts} attempts)" if attempts > 1 else "") + "."
        if shown:
            message += f" Meta says: {' – '.join(shown)}"
        # A row of code 1 is about size only when it comes again (meta-graph-api.md, 8).
        smaller = self.fault.smaller or (self.rule.smaller and attempts > 1)
        return self.rule.error(
            message,
            code=self.rule.word,
            hint=self.rule.hint.replace("{account}", (account or "").removeprefix("act_")),
            fbtrace_id=self.fbtrace_id,
            fault=replace(self.fault, smaller=smaller, received=self.fault.received or uncertain),
        )


def read_answer(content: bytes, status: int, *, address_length: int = 0) -> JsonObject | Failure:
    """Read an answer as an object: a bare ``true`` becomes ``success``, a bare list ``data``."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return unreadable(content, status, address_length=address_length)
    failure = refusal_in(answer, status)
    if failure is not None:
        return failure
    if isinstance(answer, dict):
        return answer
    if isinstance(answer, bool):
        return {"success": answer}
    return {"data": answer} if isinstance(answer, list) else broken(TRUNCATED, status=status)


def refusal_in(answer: object, status: int) -> Failure | None:
    """Read Meta's error envelope; nothing when the answer is no refusal.

    The body decides, the status only where the body is silent.
    """
    envelope = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(envelope, dict):
        return None if status < 400 else broken(by_status(status), status=status)
    code, subcode = _number(envelope.get("code")), _number(envelope.get("error_subcode"))
    transient = envelope.get("is_transient") is True
    rule = by_status(status) if code is None else rule_for(code, subcode, is_transient=transient, status=status)
    trace = envelope.get("fbtrace_id")
    texts = (envelope.get("error_user_title"), envelope.get("error_user_msg"))
    return Failure(
        rule,
        GraphFault(code, subcode, status=status, is_transient=transient, smaller=rule is TOO_LARGE),
        fbtrace_id=trace if isinstance(trace, str) and re.fullmatch(r"[\w-]{1,64}", trace, re.ASCII) else None,
        texts=tuple(text for text in texts if isinstance(text, str) and text.strip()),
    )


def broken(rule: Rule, *, status: int | None = None, smaller: bool = False, received: bool = True) -> Failure:
    """Describe a call without an envelope: a web page, a cut connection, a time-out."""
    too_much = smaller or rule in (TOO_LARGE, HTML)
    return Failure(rule, GraphFault(None, status=status, smaller=too_much, received=received))


def unreadable(body: bytes, status: int, *, address_length: int = 0) -> Failure:
    """Name what came back where JSON was due; ``address_length`` is that of the call's URL, in characters."""
    start = body[:64].lstrip()
    rule = by_status(status)
    if rule in (TOO_LARGE, THROTTLED, URL_TOO_LONG):
        return broken(rule, status=status)
    if not start:
        return broken(EMPTY, status=status)
    # An address past 8,000 characters is answered with a web page (meta-graph-api.md, 0); it will be again.
    if address_length > 8000:
        return broken(URL_TOO_LONG, status=status)
    return broken(TRUNCATED if start[:1] in (b"{", b"[") else HTML, status=status)


def is_about_certificate(problem: BaseException) -> bool:
    """Say whether a server's certificate that cannot be verified is what lies behind an exception."""
    seen: set[int] = set()
    cause: BaseException | None = problem
    while cause is not None and id(cause) not in seen:  # a chain of causes can be a circle
        seen.add(id(cause))
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _number(value: object) -> int | None:
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,12}", value, re.ASCII) else None

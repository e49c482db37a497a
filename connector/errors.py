"""Every error connector raises, sorted by what its reader can do next.

::

    ConnectorError            1   a bug, if nothing below fits
    ├── ConfigError           2   fix a file, a flag, a mapping
    ├── SourceError           3   look at the source of the profiles
    ├── AccessError           4   ask the person the message names
    ├── RejectedError         5   Meta refuses and will refuse again
    ├── TransientError        6   try later; nothing is lost
    ├── GuardError            8   stopped on purpose before anything was sent
    └── InterruptedRunError 130   stopped by hand; the next run goes on

Exit 7, finished in part, is a report and no error. A message says what and where and never holds an attribute, a digest or a token.
This module knows no other part of connector.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class GraphFault:
    """What Meta's error envelope said: codes only, never a body.

    ``code`` is ``None`` when no JSON envelope came back (HTML, a cut connection, a time-out). ``smaller`` says that
    the same rows in a smaller request may pass. ``received`` is false only when Meta cannot have seen the request.
    """

    code: int | None
    subcode: int | None = None
    status: int | None = None
    is_transient: bool = False
    smaller: bool = False
    received: bool = True


class ConnectorError(Exception):
    """Something connector can explain.

    Args:
        message: What is wrong and where, one sentence, no attribute, no digest, no token.
        code: A stable dotted word that scripts may branch on, for example ``config.unknown_field``.
        hint: What to do about it, one sentence or a command.
        file: The file the mistake stands in.
        line: Its line, from 1.
        fbtrace_id: Meta's id of the failed call, which their support asks for.
        fault: What Meta answered, when it was Meta who refused.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "bug"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        file: Path | str | None = None,
        line: int | None = None,
        fbtrace_id: str | None = None,
        fault: GraphFault | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.file = str(file) if file is not None else None
        self.line = line
        self.fbtrace_id = fbtrace_id
        self.fault = fault

    @property
    def where(self) -> str | None:
        """``file:line``, ``file``, or nothing."""
        if self.file is None:
            return None
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigError(ConnectorError):
    """A flag, ``connector.yaml``, a mapping or the environment is wrong: exit 2."""

    exit_code = 2
    default_code = "config"


class SourceError(ConnectorError):
    """The profiles could not be read: exit 3."""

    exit_code = 3
    default_code = "source"


class AccessError(ConnectorError):
    """This token may not do this here; the message names who can change that: exit 4."""

    exit_code = 4
    default_code = "access"


class RejectedError(ConnectorError):
    """Meta refuses and will refuse again: exit 5."""

    exit_code = 5
    default_code = "rejected"


class TransientError(ConnectorError):
    """Meta, the network or another run is in the way for now: exit 6."""

    exit_code = 6
    default_code = "transient"


class GuardError(ConnectorError):
    """Stopped on purpose before anything was sent: exit 8."""

    exit_code = 8
    default_code = "guard"


class InterruptedRunError(ConnectorError):
    """Stopped by the person at the keyboard; what was acknowledged is recorded: exit 130."""

    exit_code = 130
    default_code = "interrupted"


ALL_ERRORS: tuple[type[ConnectorError], ...] = (
    ConnectorError,
    ConfigError,
    SourceError,
    AccessError,
    RejectedError,
    TransientError,
    GuardError,
    InterruptedRunError,
)


def did_you_mean(wrong: str, known: Iterable[str]) -> str | None:
    """Say the nearest known name, as a hint, or nothing.

    >>> did_you_mean("emial", ["email", "phone"])
    'Did you mean "email"?'
    """
    near = get_close_matches(wrong, sorted(known), n=1, cutoff=0.6)
    return f'Did you mean "{near[0]}"?' if near else None

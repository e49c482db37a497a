"""Cut a batch that Meta refuses as a whole until the rows that offend are alone, and send the rest.

Also cuts a request that was too large. Must not know sessions or threads: how one request is sent is handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from connector.audiences.graph_errors import ABOUT_ROWS
from connector.errors import RejectedError, TransientError

if TYPE_CHECKING:
    from connector.audiences.batch import Batch
    from connector.audiences.upload import Receipt

SMALLEST = 100  # a request of so few rows that fails for its size will not get better
MOST_REFUSALS = 40  # per batch: two offenders among 10,000 rows take 28; beyond it is hardly about single rows


class Post(Protocol):
    """Sends one request; raises what Meta answers."""

    def __call__(self, batch: Batch, *, last: bool) -> Receipt:
        """Send ``batch``; ``last`` closes the session."""


@dataclass(slots=True)
class Sent:
    """What became of one batch: the receipts of its parts, and the places of its rows that Meta refuses."""

    rows: int
    receipts: list[Receipt] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    refusals: int = 0
    refusal: RejectedError | None = None


def send_in_parts(batch: Batch, post: Post, *, last: bool) -> Sent:
    """Send a batch, whole if Meta takes it so.

    Raises:
        RejectedError: the refusal is not about single rows, or more than ``MOST_REFUSALS`` did not find them.
        TransientError: as the request raised it.
    """
    sent = Sent(len(batch))
    _send(batch, 0, post, sent, last=last)
    return sent


def _send(batch: Batch, at: int, post: Post, sent: Sent, *, last: bool) -> None:
    try:
        sent.receipts.append(post(batch, last=last))
    except TransientError as error:
        if error.fault is None or not error.fault.smaller or len(batch) <= SMALLEST:
            raise
    except RejectedError as error:
        sent.refusals += 1
        if error.code not in ABOUT_ROWS or sent.refusals > MOST_REFUSALS:
            raise
        if len(batch) == 1:
            sent.refused.append(at)
            sent.refusal = error
            return
    else:
        return
    first, second = batch.halves()
    _send(first, at, post, sent, last=False)
    _send(second, at + len(first), post, sent, last=last)

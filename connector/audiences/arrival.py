"""Whether rows whose answer was lost have arrived: asked of Meta where sending them again could do harm.

Adding and removing twice is harmless. A replacement begins with batch 1, which comes once, and ends with the last one
(meta-graph-api.md §2.3, rule 3). Must not know how rows are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.audiences.answers import read_int, read_objects, read_text

if TYPE_CHECKING:
    from connector.audiences.graph import Graph

REPLACE_FINISHED: Final = 1870159  # a batch after the last one


def rows_arrived(graph: Graph, audience_id: str, session_id: int, *, account: str) -> int:
    """Ask how many rows Meta has received in an upload session; 0 when it knows no such session.

    Raises:
        ConnectorError: Meta did not say.
    """
    answer = graph.get(f"{audience_id}/sessions", account=account, session_id=str(session_id))
    mine = [one for one in read_objects(answer, "data") if read_text(one, "session_id") == str(session_id)]
    return max((read_int(one, "num_received") or 0 for one in mine), default=0)

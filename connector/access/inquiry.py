"""What the checks of one gate run share: the destination, the reads, the policy and what earlier checks learned.

Also the finding a check returns. Knows no rule: those stand in the files named for what they look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connector.access.findings import Asset, Party, Relationship

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from connector.access.grants import Grant
    from connector.access.reads import Answer, Reads
    from connector.state import Destination

ACCOUNT_FIELDS = (
    "id,account_id,name,account_status,disable_reason,business{id,name},is_personal,user_tasks,tos_accepted"
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What an admin decided and Meta cannot know.

    ``allow_personal_until``: an ad account outside any business is taken until that day. ``manage_reason``: why the
    partner or user has MANAGE. ``grant_expires`` beats the end date that was recorded with the grant.
    """

    allow_personal_until: date | None = None
    require_two_factor: bool = False
    manage_reason: str | None = None
    grant_expires: date | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result before it has words: ``word`` names a row of ``remedies.OUTCOMES``.

    ``facts`` is what later checks and the report may use; it is remembered with the check, so it holds ids and names only.
    """

    word: str
    asset: Asset
    found: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[str, ...] | None = None
    answer: Answer | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Inquiry:
    """One run of the gate: what is asked about, how, and what earlier checks learned (``facts``: ids and names)."""

    destination: Destination
    reads: Reads
    policy: Policy
    now: datetime
    app_id: str | None = None
    grant: Grant | None = None
    counts_audiences: bool = False
    terms_since: datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def account(self) -> Asset:
        """The ad account as an asset."""
        return Asset("ad_account", self.destination.ad_account)

    @property
    def owner(self) -> Party | None:
        """The business that owns the ad account, once known."""
        return party(self.facts.get("owner"))

    @property
    def agency(self) -> Party | None:
        """Our own business: as the destination names it, else as the relationship check found it."""
        found = party(self.facts.get("agency"))
        named = self.destination.business
        if named is None or (found is not None and found.id == named):
            return found
        return Party(named, self.businesses.get(named))

    @property
    def businesses(self) -> dict[str, str]:
        """The businesses the token's person is a member of: names by id."""
        return dict(self.facts.get("businesses", {}))

    @property
    def on_behalf_of(self) -> Party | None:
        """The business that an approved on-behalf-of request speaks for."""
        return party(self.facts.get("on_behalf_of"))

    @property
    def relationship(self) -> Relationship:
        """What our business is to the ad account."""
        known: Relationship = self.facts.get("relationship", "unknown")
        return known

    @property
    def sees_businesses(self) -> bool:
        """Whether ``business_management`` is granted; assumed until the scopes are known."""
        return bool(self.facts.get("business_management", True))

    def read_account(self) -> Answer:
        """Read the ad account once, with every field that any check wants."""
        fields = ACCOUNT_FIELDS
        if self.facts.get("token_kind") == "USER":
            fields += ",user_tos_accepted"  # refused for system users: meta-graph-api.md §1.8
        return self.reads.node(self.destination.ad_account, fields=fields)


def party(value: Mapping[str, Any] | None) -> Party | None:
    """Read ``{"id", "name"}``, as Meta and the cache write it."""
    if not value or not value.get("id"):
        return None
    name = value.get("name")
    return Party(str(value["id"]), str(name) if name else None)


def words_of(value: object) -> tuple[str, ...]:
    """Read a list of words, whatever came."""
    return tuple(str(word) for word in value) if isinstance(value, list | tuple) else ()


def number_of(value: object) -> int | None:
    """Read a whole number that may have come as text."""
    if isinstance(value, bool):
        return int(value)
    try:
        return int(value) if isinstance(value, int | float | str) else None
    except ValueError:
        return None


def time_of(value: object) -> datetime | None:
    """Read one of Meta's times: Unix seconds (0 is none) or ISO-8601 with ``+0000``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC) if value > 0 else None
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return read.astimezone(UTC) if read else None

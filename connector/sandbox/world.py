"""What exists in the sandbox: apps, people, tokens, businesses, ad accounts, audiences, grants and requests.

Plain records and the lookups between them. Knows no HTTP, no endpoint and no rule; ``seed`` fills it, ``rules`` reads it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from connector.sandbox.faults import Faults
from connector.sandbox.members import Members
from connector.sandbox.usage import Usage

AssetKind: TypeAlias = Literal["page", "pixel", "product_catalog", "instagram_account"]
TokenKind: TypeAlias = Literal["USER", "APP", "SYSTEM_USER", "PAGE"]

NINETY_MINUTES = 90 * 60
DAY = 86_400


@dataclass(slots=True)
class App:
    """A Meta app: its secret, whether it may use business-to-business edges, whether it insists on a secret proof."""

    id: str
    secret: str
    name: str
    b2b: bool = True
    proof_required: bool = False
    development: bool = False
    installed_on: set[str] = field(default_factory=set)


@dataclass(slots=True)
class User:
    """A person or system user.

    ``accounts`` are its tasks by ad account id. An assignment works through a business that owns the account or is its confirmed
    agency; accounts in ``direct`` were shared with the person alone and need neither.
    """

    id: str
    name: str
    kind: Literal["USER", "SYSTEM_USER"] = "USER"
    roles: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, list[str]] = field(default_factory=dict)
    direct: set[str] = field(default_factory=set)
    two_fac_status: str = "enabled"
    email: str | None = None


@dataclass(slots=True)
class Token:
    """An access token: whose, for which app, with which scopes, until when, and what is wrong with it."""

    value: str
    app: str
    user: str | None
    kind: TokenKind = "USER"
    scopes: dict[str, str] = field(default_factory=dict)
    granular: dict[str, list[str]] = field(default_factory=dict)
    issued_at: int = 0
    expires_at: int = 0
    data_access_expires_at: int = 0
    broken: int | None = None
    page: str | None = None

    def grants(self, scope: str) -> bool:
        """Say whether the person granted this scope and did not take it back."""
        return self.scopes.get(scope) == "granted"


@dataclass(slots=True)
class Grant:
    """One business's agency access to one asset, confirmed or on its way."""

    id: str
    business: str
    permitted_tasks: list[str]
    access_status: str
    requested: int
    updated: int


@dataclass(slots=True)
class Business:
    """A business portfolio; ``terms`` are the people who accepted the Custom Audience terms for it, and when."""

    id: str
    name: str
    verification_status: str = "verified"
    two_factor_type: str = "all_required"
    created: int = 0
    terms: dict[str, int] = field(default_factory=dict)
    requires_admin_approval: bool = False


@dataclass(slots=True)
class AdAccount:
    """An ad account; ``id`` carries ``act_``. ``tier`` overrides the access tier of the settings."""

    id: str
    name: str
    business: str | None
    account_status: int = 1
    disable_reason: int = 0
    currency: str = "EUR"
    timezone_name: str = "Europe/Paris"
    created: int = 0
    agencies: dict[str, Grant] = field(default_factory=dict)
    tier: str | None = None
    spend_cap: str = "0"
    capabilities: list[str] = field(default_factory=list)
    own_requests: dict[str, Grant] = field(default_factory=dict)

    @property
    def account_id(self) -> str:
        """The bare digits."""
        return self.id.removeprefix("act_")


@dataclass(slots=True)
class Asset:
    """A Page, pixel, catalogue or Instagram account: who owns it and who may use it."""

    id: str
    kind: AssetKind
    name: str
    business: str | None
    agencies: dict[str, Grant] = field(default_factory=dict)
    shared_accounts: dict[str, str] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)


@dataclass(slots=True)
class OboRequest:
    """A request of one business to act on behalf of another, about one ad account."""

    id: str
    account: str
    receiving_business: str
    requesting_business: str
    status: str


@dataclass(slots=True)
class Session:
    """One upload session of an audience; counts are over all its batches."""

    id: int
    audience: str
    kind: Literal["users", "usersreplace"]
    started: float
    num_received: int = 0
    num_invalid: int = 0
    ended: float | None = None
    schema: tuple[str, ...] | None = None
    batches: int = 0


@dataclass(slots=True)
class Audience:
    """A Custom Audience and its members. ``status`` pins the operation status; ``pretend`` pins a size for rules."""

    id: str
    account: str
    name: str
    subtype: str = "CUSTOM"
    description: str = ""
    customer_file_source: str | None = "USER_PROVIDED_ONLY"
    is_value_based: bool = False
    retention_days: int | None = None
    opt_out_link: str = ""
    usage_restriction: str = "NONE"
    audience_labels: list[str] = field(default_factory=list)
    created: int = 0
    updated: int = 0
    content_updated: int = 0
    members: Members = field(default_factory=Members)
    staged: Members | None = None
    replace: Session | None = None
    settles: float = 0.0
    sub_type: str | None = None
    status: int | None = None
    computed: int = 410
    can_edit: bool = True
    flagged_fields: list[str] = field(default_factory=list)
    lookalikes: list[str] = field(default_factory=list)
    shared_with: dict[str, str] = field(default_factory=dict)
    delete_time: int = 0
    pretend: int | None = None
    origin: tuple[Any, ...] = ()
    seeded: bool = False


@dataclass(slots=True)
class Settings:
    """What ``POST /_sandbox/world`` may turn. Times are seconds, quotas are calls."""

    tier: str = "full"
    terms_error: int = 1870090
    matched_share: float = 1.0
    replace_settle_seconds: float = 0.0
    minimum_after_removal: int = 0
    uppercase_is_invalid: bool = True
    max_url_bytes: int = 32_000_000
    max_body_bytes: int = 128_000_000
    audience_limit: int = 500
    usage_headers: bool = True
    quota_custom_audience: int | None = None
    quota_ads_management: int | None = None
    quota_score: int | None = None
    quota_app: int | None = None
    flagged_words: list[str] = field(default_factory=list)


@dataclass(slots=True)
class World:
    """All of it. Every lookup is by id; ids are decimal strings and never reused."""

    started: float = field(default_factory=time.time)
    skipped: float = 0.0
    next_id: int = 120_210_000_000_000_001
    settings: Settings = field(default_factory=Settings)
    apps: dict[str, App] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    businesses: dict[str, Business] = field(default_factory=dict)
    accounts: dict[str, AdAccount] = field(default_factory=dict)
    audiences: dict[str, Audience] = field(default_factory=dict)
    assets: dict[str, Asset] = field(default_factory=dict)
    requests: dict[str, OboRequest] = field(default_factory=dict)
    sessions: dict[tuple[str, int], Session] = field(default_factory=dict)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    usage: Usage = field(default_factory=Usage)
    description: dict[str, Any] = field(default_factory=dict)

    def now(self) -> float:
        """Tell the sandbox's time: the clock plus what was skipped by ``advance_seconds``."""
        return time.time() + self.skipped

    def new_id(self) -> str:
        """Give an id nobody has."""
        self.next_id += 1
        return str(self.next_id)

    def audiences_of(self, account: str) -> list[Audience]:
        """List an ad account's own audiences, newest first, as Meta does."""
        return [audience for audience in reversed(self.audiences.values()) if audience.account == account]

    def count(self, edge: str) -> None:
        """Count one call of an edge."""
        self.calls[edge] = self.calls.get(edge, 0) + 1

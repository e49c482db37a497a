"""Every outcome a check can have, as rows: how bad it is, and who does what about it. Data only.

The words stand in ``sentences_en.py``, ``sentences_fr.py`` and ``sentences_ja.py`` under ``check.word`` and ``step.name``.
Source: access.md §2, §3 (path A) and §6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from connector.access.findings import Status, Who


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row: what a check found, how bad that is, and who does what about it. ``check`` ``any`` fits every check.

    ``later`` marks a refusal that goes away by itself: exit 6 instead of 4.
    """

    check: str
    word: str
    status: Status
    who: Who | None = None
    steps: tuple[str, ...] = ()
    link: str | None = None
    command: str = "check"
    later: bool = False


def _passes(check: str, *words: str) -> list[Outcome]:
    return [Outcome(check, word, "pass") for word in words]


_TOKEN: Final = (
    *_passes("token", "ok", "ok_no_end"),
    Outcome("token", "ends_soon", "warn", "connected_person", ("connect",), command="connect"),
    Outcome("token", "system_ends_soon", "warn", "agency_admin", ("system_token",), "settings"),
    *(
        Outcome("token", word, "fail", "connected_person", ("connect",), command="connect")
        for word in ("expired", "app_removed", "password", "logged_out", "invalid")
    ),
    Outcome("token", "checkpoint", "fail", "connected_person", ("log_in",), "facebook"),
    Outcome("token", "unconfirmed", "fail", "connected_person", ("log_in",), "facebook"),
    Outcome("token", "page_role", "fail", "client_admin", ("page_role", "connect"), "settings", "connect"),
    Outcome("token", "system_invalid", "fail", "agency_admin", ("system_token",), "settings"),
    Outcome("token", "unclear", "unknown", "operator", ("app_settings",)),
    *_passes("scopes", "ok"),
    Outcome("scopes", "no_business", "warn", "connected_person", ("connect_tick",), command="connect"),
    *(
        Outcome("scopes", word, "fail", "connected_person", ("connect_tick",), command="connect")
        for word in ("declined", "only_read", "missing")
    ),
    Outcome("scopes", "unclear", "unknown", "operator", ("app_settings",)),
    *_passes("granular", "ok", "ok_all"),
    Outcome("granular", "not_ticked", "fail", "connected_person", ("connect_account",), command="connect"),
    Outcome("granular", "unclear", "unknown", "operator", ("app_settings",)),
    *_passes("app", "ok"),
    Outcome("app", "limited", "warn", "app_owner", ("app_tier",), "apps"),
    Outcome("app", "tier_unseen", "unknown", "app_owner", ("app_tier_look",), "apps"),
    Outcome("app", "other_app", "unknown", "app_owner", ("app_secret",), "apps"),
    Outcome("app", "secret", "fail", "app_owner", ("app_secret",), "apps"),
    Outcome("app", "proof", "fail", "app_owner", ("app_secret",), "apps"),
    Outcome("app", "development", "fail", "app_owner", ("app_review",), "apps"),
    Outcome("app", "capability", "fail", "app_owner", ("app_capability",), "apps"),
)
_ACCOUNT: Final = (
    *_passes("account", "ok"),
    Outcome("account", "not_visible", "fail", "client_admin", ("add_partner", "assign_account"), "partners"),
    Outcome("account", "not_assigned", "fail", "agency_admin", ("assign_person",), "settings"),
    Outcome("account", "partner_pending", "fail", "client_admin", ("approve_request",), "settings"),
    Outcome("account", "token_refused", "fail", "connected_person", ("connect",), command="connect"),
    Outcome("account", "refused", "fail", "client_admin", ("add_partner", "assign_account"), "partners"),
    *_passes("account_status", "ok"),
    Outcome("account_status", "unpaid", "warn", "client_admin", ("payment",), "settings"),
    Outcome("account_status", "in_review", "warn", "meta", ("quality",), "quality"),
    Outcome("account_status", "disabled", "fail", "client_admin", ("quality", "payment"), "quality"),
    Outcome("account_status", "disabled_why", "fail", "client_admin", ("quality", "payment"), "quality"),
    Outcome("account_status", "closed", "fail", "client_admin", ("other_account",), "settings"),
    Outcome("account_status", "unclear", "unknown", "client_admin", ("quality",), "quality"),
    *_passes("in_business", "ok"),
    Outcome("in_business", "allowed", "warn", "client_admin", ("claim",), "settings"),
    Outcome("in_business", "absent", "fail", "client_admin", ("claim", "add_partner", "assign_account"), "settings"),
    Outcome("in_business", "unclear", "unknown", "connected_person", ("connect_tick",), command="connect"),
)
_PARTNER: Final = (
    *_passes("membership", "ok"),
    Outcome("membership", "direct", "warn", "agency_admin", ("add_person",), "settings"),
    Outcome("membership", "outside", "fail", "agency_admin", ("add_person",), "settings"),
    Outcome("membership", "unclear", "unknown", "agency_admin", ("add_person",), "settings"),
    *_passes("relationship", "owner", "agency"),
    Outcome("relationship", "person", "warn", "client_admin", ("add_partner", "assign_account"), "partners"),
    Outcome("relationship", "nobody", "fail", "client_admin", ("add_partner", "assign_account"), "partners"),
    Outcome("relationship", "unclear", "unknown", "client_admin", ("look_partner",), "partners"),
    *_passes("partner_status", "ok", "owner"),
    *(
        Outcome("partner_status", word, "fail", "client_admin", steps, "settings")
        for word, steps in (
            ("pending", ("approve_request",)),
            ("declined", ("ask_again", "approve_request")),
            ("expired", ("ask_again", "approve_request")),
        )
    ),
    Outcome("partner_status", "unclear", "unknown", "client_admin", ("look_partner",), "partners"),
    *_passes("admin_review", "ok"),
    Outcome("admin_review", "waiting", "fail", "client_admin", ("review",), "review"),
    Outcome("admin_review", "unclear", "unknown", "client_admin", ("review",), "review"),
    *_passes("partner_tasks", "ok", "owner"),
    Outcome("partner_tasks", "manage", "warn", "client_admin", ("fewer_tasks",), "partners"),
    Outcome("partner_tasks", "too_few", "fail", "client_admin", ("change_tasks",), "partners"),
    Outcome("partner_tasks", "unclear", "unknown", "client_admin", ("look_partner",), "partners"),
    *_passes("user_tasks", "ok"),
    Outcome("user_tasks", "too_few", "fail", "agency_admin", ("assign_person",), "settings"),
    Outcome("user_tasks", "unclear", "unknown", "agency_admin", ("assign_person",), "settings"),
    *_passes("obo", "ok", "approved"),
    Outcome("obo", "own_account", "warn", "client_admin", ("obo_or_move",), "settings"),
    Outcome("obo", "in_progress", "fail", "client_admin", ("obo_answer",), "settings"),
    Outcome("obo", "in_progress_ours", "fail", "agency_admin", ("obo_answer",), "settings"),
    Outcome("obo", "declined", "fail", "client_admin", ("obo_resend", "obo_answer"), "settings"),
    Outcome("obo", "other", "fail", "client_admin", ("obo_resend", "obo_answer"), "settings"),
    Outcome("obo", "unclear", "unknown", "client_admin", ("obo_look",), "settings"),
)
_TERMS: Final = (
    *_passes("meta_terms", "ok"),
    Outcome("meta_terms", "long_ago", "warn", "client_admin", ("accept_terms",), "terms"),
    Outcome("meta_terms", "not_accepted", "fail", "client_admin", ("accept_terms",), "terms"),
    Outcome("meta_terms", "user_not_accepted", "fail", "agency_admin", ("accept_terms_self",), "terms"),
    Outcome("meta_terms", "unclear", "unknown", "client_admin", ("accept_terms",), "terms"),
    *_passes("data_terms", "ok"),
    Outcome("data_terms", "not_accepted", "fail", "operator", ("data_terms",), command="terms"),
    Outcome("data_terms", "old_version", "fail", "operator", ("data_terms",), command="terms"),
    *_passes("two_factor", "ok"),
    Outcome("two_factor", "none", "warn", "client_admin", ("enforce_2fa",), "security"),
    Outcome("two_factor", "none_ours", "warn", "agency_admin", ("enforce_2fa",), "security"),
    Outcome("two_factor", "admins_only", "warn", "client_admin", ("enforce_2fa",), "security"),
    Outcome("two_factor", "admins_only_ours", "warn", "agency_admin", ("enforce_2fa",), "security"),
    Outcome("two_factor", "required", "fail", "client_admin", ("enforce_2fa",), "security"),
    Outcome("two_factor", "required_ours", "fail", "agency_admin", ("enforce_2fa",), "security"),
    Outcome("two_factor", "hidden", "unknown", "client_admin", ("look_2fa",), "security"),
    Outcome("two_factor", "hidden_ours", "unknown", "agency_admin", ("look_2fa",), "security"),
    Outcome("two_factor", "people", "warn", "agency_admin", ("own_2fa",), "security"),
    Outcome("two_factor", "unclear", "unknown", "client_admin", ("look_2fa",), "security"),
)
_AUDIENCE: Final = (
    *_passes("audience", "ok", "room"),
    Outcome("audience", "nearly_full", "warn", "operator", ("fewer_audiences",)),
    Outcome("audience", "full", "fail", "operator", ("fewer_audiences",)),
    *(
        Outcome("audience", word, "fail", "operator", ("other_audience",))
        for word in ("gone", "other_kind", "shared", "value_mismatch", "cannot_edit", "unreadable")
    ),
    *_passes("operation_status", "ok"),
    Outcome("operation_status", "attention", "warn", "operator", ("look_audience",)),
    Outcome("operation_status", "flagged", "warn", "operator", ("appeal",), "quality"),
    Outcome("operation_status", "replacing", "fail", "operator", ("wait",), later=True),
    Outcome("operation_status", "owner_inactive", "fail", "operator", ("other_audience",)),
    Outcome("operation_status", "needs_action", "fail", "operator", ("look_audience", "other_audience")),
    Outcome("operation_status", "unclear", "unknown", "operator", ("look_audience",)),
    *_passes("flags", "ok"),
    Outcome("flags", "suspicious", "warn", "operator", ("rename",)),
    Outcome("flags", "flagged", "fail", "operator", ("appeal", "other_audience"), "quality"),
    Outcome("flags", "unclear", "unknown", "operator", ("look_audience",)),
    *_passes("grant_expiry", "ok", "no_end"),
    Outcome("grant_expiry", "soon", "warn", "operator", ("renew",)),
    Outcome("grant_expiry", "past", "fail", "operator", ("renew",)),
)
_ANY: Final = (
    Outcome("any", "no_scope", "unknown", "connected_person", ("connect_tick",), command="connect"),
    Outcome("any", "blocked", "skip"),
    Outcome("any", "left_out", "skip"),
    Outcome("any", "not_chosen", "skip"),
    Outcome("any", "no_partnership", "skip"),
)

OUTCOMES: Final[tuple[Outcome, ...]] = (*_TOKEN, *_ACCOUNT, *_PARTNER, *_TERMS, *_AUDIENCE, *_ANY)


def outcome_of(check: str, word: str) -> Outcome:
    """Find the row of a check's word; rows of ``any`` fit every check."""
    return next(row for row in OUTCOMES if row.word == word and row.check in {check, "any"})

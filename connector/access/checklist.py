"""The 21 checks in order, one row each: what is asked, what is wanted, what must hold before, how long the answer stands.

Data; the rules are the functions it names. The reference page of checks is made from this table. Source: access.md §2.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from connector.access.account import check_account, check_account_status, check_in_business
from connector.access.audience import check_audience, check_flags, check_operation_status
from connector.access.credential import check_app, check_granular, check_scopes, check_token
from connector.access.data_terms import DATA_TERMS_VERSION
from connector.access.grants import check_admin_review, check_grant_expiry
from connector.access.onbehalf import check_obo
from connector.access.partner import (
    check_membership,
    check_partner_status,
    check_partner_tasks,
    check_relationship,
    check_user_tasks,
)
from connector.access.terms import check_data_terms, check_meta_terms
from connector.access.two_factor import check_two_factor

if TYPE_CHECKING:
    from collections.abc import Callable

    from connector.access.inquiry import Finding, Inquiry

_TOKEN: Final = ("token", "app")
_GRANTED: Final = ("token", "scopes", "granular", "app")
_ACCOUNT: Final = (*_GRANTED, "account")
_MINUTES: Final = timedelta(minutes=15)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check.

    ``needs`` are checks whose failure makes this one pointless. ``ttl`` is how long a pass or warning is remembered;
    nothing: it is asked every time. ``partner`` checks cannot be answered without ``business_management``.
    """

    id: str
    asks: str
    wanted: tuple[str, ...]
    rule: Callable[[Inquiry], Finding]
    needs: tuple[str, ...] = ()
    ttl: timedelta | None = None
    partner: bool = False


CHECKS: Final[tuple[CheckRow, ...]] = (
    CheckRow("token", "`debug_token`, else `me`", ("valid",), check_token, ttl=_MINUTES),
    CheckRow(
        "scopes",
        "`debug_token`, `me/permissions`",
        ("ads_management", "business_management"),
        check_scopes,
        ("token",),
        _MINUTES,
    ),
    CheckRow("granular", "`debug_token`", ("{account}",), check_granular, ("token",), _MINUTES),
    CheckRow("app", "`debug_token`, `act_…`, usage headers", ("standard_access",), check_app, ("token",), _DAY),
    CheckRow("account", "`act_…`", ("readable",), check_account, _GRANTED, _MINUTES),
    CheckRow("account_status", "`act_…`", ("ACTIVE",), check_account_status, _ACCOUNT, _MINUTES),
    CheckRow("in_business", "`act_…`", ("business",), check_in_business, _ACCOUNT, _DAY),
    CheckRow(
        "membership",
        "`me/businesses`, `{agency}/system_users`",
        ("{agency_id}",),
        check_membership,
        _TOKEN,
        _HOUR,
        partner=True,
    ),
    CheckRow(
        "relationship",
        "`act_…`, `act_…/agencies`, `{agency}/client_ad_accounts`",
        ("owner", "agency"),
        check_relationship,
        _GRANTED,
        _HOUR,
        partner=True,
    ),
    CheckRow("partner_status", "`act_…/agencies`", ("CONFIRMED",), check_partner_status, _GRANTED, partner=True),
    CheckRow("admin_review", "our record, `act_…/agencies`", ("none",), check_admin_review, ("token",), partner=True),
    CheckRow("partner_tasks", "`act_…/agencies`", ("ADVERTISE",), check_partner_tasks, _GRANTED, _HOUR, partner=True),
    CheckRow("user_tasks", "`act_…`, `act_…/assigned_users`", ("ADVERTISE",), check_user_tasks, _ACCOUNT, _HOUR),
    CheckRow(
        "obo",
        "`act_…/onbehalf_requests`, a call a status",
        ("none", "APPROVE"),
        check_obo,
        _ACCOUNT,
        _MINUTES,
        partner=True,
    ),
    CheckRow("meta_terms", "`act_…`", ("1",), check_meta_terms, (*_ACCOUNT, "in_business"), _DAY),
    CheckRow("data_terms", "our record", (DATA_TERMS_VERSION,), check_data_terms),
    CheckRow(
        "two_factor", "`{business}`, `{agency}/business_users`", ("all_required",), check_two_factor, _TOKEN, _DAY
    ),
    CheckRow(
        "audience",
        "the audience; for a new one `act_…/customaudiences`",
        ("CUSTOM", "can_edit", "{account}"),
        check_audience,
        _ACCOUNT,
        _MINUTES,
    ),
    CheckRow("operation_status", "the audience", ("200", "410", "441"), check_operation_status, _ACCOUNT),
    CheckRow("flags", "the audience", ("none",), check_flags, _ACCOUNT),
    CheckRow("grant_expiry", "our record", (">14d",), check_grant_expiry),
)
BEFORE_AUDIENCE: Final = frozenset({"data_terms", "audience", "operation_status", "flags"})
"""What ``add destination`` leaves out while no audience is chosen: checks 1 to 15, 17 and 21 remain."""

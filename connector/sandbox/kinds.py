"""The table of kinds, edges and parameters: what exists in this Graph API, and who answers.

Owns no behaviour. An edge that is not here is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connector.sandbox import accounts, audiences, business, oauth, partners, rules, sharing, uploads
from connector.sandbox.audience_fields import FIELDS as AUDIENCE_FIELDS
from connector.sandbox.audience_fields import sees_audience
from connector.sandbox.call import Edge, Kind, edge
from connector.sandbox.world import AdAccount, App, Asset, Audience, Business, OboRequest, User

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLOAD = uploads.UPLOAD_PARAMETERS
OAUTH_PARAMETERS = (
    "client_id",
    "client_secret",
    "redirect_uri",
    "code",
    "grant_type",
    "fb_exchange_token",
    "set_token_expires_in_60_days",
)

ACCOUNT = Kind(
    "ad_account",
    "AdAccount",
    accounts.FIELDS,
    ("id", "account_id"),
    {
        ("GET", ""): edge(accounts.read_account),
        ("GET", "customaudiences"): edge(
            audiences.list_audiences, "filtering", "business_id", "pixel_id", "fetch_primary_audience"
        ),
        ("POST", "customaudiences"): edge(audiences.create, *audiences.CREATE_PARAMETERS),
        ("GET", "customaudiencestos"): edge(accounts.list_terms),
        ("POST", "customaudiencestos"): edge(accounts.accept_terms, "tos_id", "business_id"),
        ("DELETE", "usersofanyaudience"): edge(uploads.opt_out, *UPLOAD),
        ("GET", "assigned_users"): edge(accounts.list_assigned, "business"),
        ("POST", "assigned_users"): edge(accounts.assign, "user", "tasks", "business"),
        ("DELETE", "assigned_users"): edge(accounts.unassign, "user", "business"),
        ("GET", "adspixels"): edge(accounts.linked_assets("pixel"), "sort_by"),
        ("GET", "promote_pages"): edge(accounts.linked_assets("page")),
        ("GET", "instagram_accounts"): edge(accounts.linked_assets("instagram_account")),
        ("GET", "connected_instagram_accounts"): edge(accounts.linked_assets("instagram_account")),
        ("GET", "saved_audiences"): edge(accounts.list_nothing, "business_id", "filtering"),
        ("GET", "users"): edge(accounts.list_people),
        ("GET", "agencies"): edge(partners.list_agencies, b2b=True),
        ("POST", "agencies"): edge(partners.grant_access, "business", "permitted_tasks", b2b=True),
        ("DELETE", "agencies"): edge(partners.revoke_access, "business", b2b=True),
        ("GET", "onbehalf_requests"): edge(partners.list_account_requests, "status", b2b=True),
    },
    rules.sees_account,
)

AUDIENCE = Kind(
    "custom_audience",
    "CustomAudience",
    AUDIENCE_FIELDS,
    ("id",),
    {
        ("GET", ""): edge(audiences.read, "ad_account_id", "special_ad_categories", "special_ad_category_countries"),
        ("POST", ""): edge(audiences.update, *audiences.CREATE_PARAMETERS),
        ("DELETE", ""): edge(audiences.delete),
        ("POST", "users"): edge(uploads.add_users, *UPLOAD),
        ("DELETE", "users"): edge(uploads.remove_users, *UPLOAD),
        ("POST", "usersreplace"): edge(uploads.replace_users, *UPLOAD),
        ("GET", "sessions"): edge(uploads.list_sessions, "session_id"),
        ("GET", "health"): edge(
            sharing.list_nothing, "calculated_date", "processed_date", "value_aggregation_duration"
        ),
        ("GET", "ads"): edge(sharing.list_nothing, "effective_status", "status"),
        ("GET", "shared_account_info"): edge(sharing.shared_account_info),
        **{
            (method, name): edge(answer, *parameters)
            for name in ("adaccounts", "ad_accounts")
            for method, answer, parameters in (
                ("GET", sharing.list_shared, ("permissions",)),
                ("POST", sharing.share, ("adaccounts", "permissions", "relationship_type", "replace")),
                ("DELETE", sharing.unshare, ("adaccounts",)),
            )
        },
    },
    sees_audience,
    bucket="custom_audience",
)

USER = Kind(
    "user",
    "User",
    {
        "id": lambda _call, user: user.id,
        "name": lambda _call, user: user.name,
        "email": lambda call, user: user.email if call.token and call.token.grants("email") else None,
    },
    ("id", "name"),
    {
        ("GET", ""): edge(lambda _call, user: user),
        ("GET", "permissions"): edge(oauth.list_permissions, "permission", "status"),
        ("DELETE", "permissions"): edge(oauth.drop_permissions, "permission"),
        ("GET", "adaccounts"): edge(oauth.my_ad_accounts),
        ("GET", "assigned_ad_accounts"): edge(oauth.assigned_ad_accounts),
        ("GET", "businesses"): edge(oauth.my_businesses),
        ("GET", "accounts"): edge(oauth.my_pages),
        ("POST", "applications"): edge(oauth.install_app, "business_app"),
        ("POST", "access_tokens"): edge(
            oauth.give_system_token, "business_app", "scope", "set_token_expires_in_60_days"
        ),
    },
    lambda call, user: call.user is user or bool(call.user and set(call.user.roles) & set(user.roles)),
)

APP = Kind(
    "application",
    "Application",
    {"id": lambda _call, app: app.id, "name": lambda _call, app: app.name},
    ("id", "name"),
    {("GET", ""): edge(lambda _call, app: app)},
)

GRANTS = ("business", "permitted_tasks", "permitted_roles")
ASSET = Kind(
    "asset",
    "BusinessAsset",
    business.ASSET_FIELDS,
    ("id", "name"),
    {
        ("GET", ""): edge(lambda _call, asset: asset),
        ("GET", "agencies"): edge(partners.list_agencies, b2b=True),
        ("POST", "agencies"): edge(partners.grant_access, *GRANTS, b2b=True),
        ("DELETE", "agencies"): edge(partners.revoke_access, "business", b2b=True),
        ("GET", "shared_accounts"): edge(partners.list_pixel_accounts, "business", b2b=True),
        ("POST", "shared_accounts"): edge(partners.share_pixel, "business", "account_id", b2b=True),
        ("DELETE", "shared_accounts"): edge(partners.unshare_pixel, "business", "account_id", b2b=True),
        ("GET", "shared_agencies"): edge(business.list_asset_agencies, b2b=True),
    },
    partners.sees_asset,
)

BUSINESS = Kind(
    "business",
    "Business",
    business.FIELDS,
    ("id", "name"),
    {
        ("GET", ""): edge(business.read_business),
        ("GET", "agencies"): edge(business.list_business_agencies, b2b=True),
        ("DELETE", "agencies"): edge(business.drop_agency, "business", b2b=True),
        ("GET", "clients"): edge(business.list_clients, b2b=True),
        ("DELETE", "clients"): edge(business.drop_client, "business", b2b=True),
        ("GET", "client_ad_accounts"): edge(business.list_lent("ad_account"), "search_query", b2b=True),
        ("POST", "client_ad_accounts"): edge(business.ask_for_account, "adaccount_id", "permitted_tasks", b2b=True),
        ("GET", "client_pages"): edge(business.list_lent("page"), b2b=True),
        ("POST", "client_pages"): edge(business.ask_for_page, "page_id", "permitted_tasks", b2b=True),
        ("GET", "client_pixels"): edge(business.list_lent("pixel"), b2b=True),
        ("GET", "client_product_catalogs"): edge(business.list_lent("product_catalog"), b2b=True),
        ("GET", "client_instagram_assets"): edge(business.list_lent("instagram_account"), b2b=True),
        ("GET", "pending_client_ad_accounts"): edge(business.list_asked("ad_account"), b2b=True),
        ("GET", "pending_client_pages"): edge(business.list_asked("page"), b2b=True),
        ("GET", "pending_owned_ad_accounts"): edge(business.list_claimed("ad_account")),
        ("GET", "pending_owned_pages"): edge(business.list_claimed("page")),
        ("GET", "owned_ad_accounts"): edge(business.list_owned("ad_account"), "search_query"),
        ("POST", "owned_ad_accounts"): edge(business.claim_account, "adaccount_id"),
        ("DELETE", "ad_accounts"): edge(business.drop_account, "adaccount_id"),
        ("DELETE", "pages"): edge(business.drop_page, "page_id"),
        ("GET", "owned_pages"): edge(business.list_owned("page")),
        ("GET", "owned_pixels"): edge(business.list_owned("pixel")),
        ("GET", "owned_product_catalogs"): edge(business.list_owned("product_catalog")),
        ("GET", "owned_instagram_accounts"): edge(business.list_owned("instagram_account")),
        ("GET", "owned_instagram_assets"): edge(business.list_owned("instagram_account")),
        ("GET", "instagram_accounts"): edge(business.list_owned("instagram_account")),
        ("GET", "owned_apps"): edge(business.list_owned("application")),
        ("GET", "system_users"): edge(business.list_people("SYSTEM_USER")),
        ("GET", "business_users"): edge(business.list_people("USER")),
        ("GET", "received_inprogress_onbehalf_requests"): edge(partners.list_received, b2b=True),
        ("GET", "sent_inprogress_onbehalf_requests"): edge(partners.list_sent, b2b=True),
        ("GET", "initiated_audience_sharing_requests"): edge(business.list_nothing, "recipient_id", "request_status"),
        ("GET", "received_audience_sharing_requests"): edge(business.list_nothing, "initiator_id", "request_status"),
        ("POST", "system_user_access_tokens"): edge(
            business.give_system_token, "system_user_id", "scope", "asset", "set_token_expires_in_60_days", "fetch_only"
        ),
    },
    rules.sees_business,
)

OBO_REQUEST = Kind(
    "onbehalf_request",
    "BusinessOwnedObjectOnBehalfOfRequest",
    partners.OBO_FIELDS,
    ("id",),
    {
        ("GET", ""): edge(partners.read_request, b2b=True),
        ("DELETE", ""): edge(partners.cancel_request, b2b=True),
    },
    partners.sees_request,
)


def _row(title: str, fields: Mapping[str, Any], default: tuple[str, ...]) -> Kind:
    """Make the kind of a row that exists in lists only."""
    return Kind(title.lower(), title, fields, default, {})


KINDS: Mapping[type, Kind] = {
    AdAccount: ACCOUNT,
    Audience: AUDIENCE,
    User: USER,
    App: APP,
    Asset: ASSET,
    Business: BUSINESS,
    OboRequest: OBO_REQUEST,
    partners.Partner: _row("Business", partners.PARTNER_FIELDS, partners.PARTNER_DEFAULT),
    business.Agency: _row("Business", business.RELATION_FIELDS, business.AGENCY_DEFAULT),
    business.Client: _row("Business", business.RELATION_FIELDS, business.CLIENT_DEFAULT),
    business.Member: _row("BusinessUser", business.MEMBER_FIELDS, ("id", "name", "role")),
    business.LentAccount: _row("AdAccount", business.LENT_ACCOUNT_FIELDS, ("id", "account_id", "permitted_tasks")),
    business.LentAsset: _row("BusinessAsset", business.LENT_ASSET_FIELDS, ("id", "name", "permitted_tasks")),
    business.Asked: _row(
        "LegacyBusinessAdAccountRequest", business.ASKED_FIELDS, ("id", "ad_account", "page", "permitted_tasks")
    ),
}

# Paths that are no node: who answers by method, and whether a token is needed.
ROOTS: Mapping[str, tuple[Mapping[str, Edge], bool]] = {
    "oauth/access_token": (
        {"GET": edge(oauth.give_token, *OAUTH_PARAMETERS), "POST": edge(oauth.give_token, *OAUTH_PARAMETERS)},
        False,
    ),
    "debug_token": ({"GET": edge(oauth.debug_token, "input_token")}, True),
}

"""From a finding to words: the sentence, and who does what, where, and what to type then, in English, French or Japanese.

Knows the links and commands; which outcome asks for which of them stands in ``outcomes.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.access.findings import Remedy
from connector.access.sentences_en import SENTENCES as EN
from connector.access.sentences_fr import SENTENCES as FR
from connector.access.sentences_ja import SENTENCES as JA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.access.findings import Asset, Language
    from connector.access.inquiry import Finding, Inquiry
    from connector.access.outcomes import Outcome

TEXTS: Final[Mapping[Language, Mapping[str, str]]] = {"en": EN, "fr": FR, "ja": JA}

LINKS: Final = {
    "terms": "https://business.facebook.com/ads/manage/customaudiences/tos/?act={number}",
    "review": "https://business.facebook.com/settings/requests/admin_reviews",
    "settings": "https://business.facebook.com/settings",
    "partners": "https://business.facebook.com/settings/partners",
    "security": "https://business.facebook.com/settings/security",
    "quality": "https://business.facebook.com/accountquality",
    "facebook": "https://www.facebook.com/",
    "apps": "https://developers.facebook.com/apps/",
}
COMMANDS: Final = {
    "check": "connector check access {destination}",
    "connect": "connector connect {destination}",
    "terms": "connector add destination {destination} --accept-data-terms",
}


def sentence(outcome: Outcome, check: str, values: Mapping[str, str], language: Language) -> str:
    """Say what there is and what is needed."""
    texts = TEXTS[language]
    key = f"{check}.{outcome.word}" if f"{check}.{outcome.word}" in texts else f"any.{outcome.word}"
    return texts[key].format_map(values)


def remedy(outcome: Outcome, values: Mapping[str, str], language: Language, *, own: bool) -> Remedy | None:
    """Say who does what; nothing where there is nothing to do.

    ``own``: our business owns the ad account, so what a client's admin would do is for ours.
    """
    if outcome.who is None:
        return None
    who = "agency_admin" if own and outcome.who == "client_admin" else outcome.who
    steps = tuple(TEXTS[language][f"step.{step}"].format_map(values) for step in outcome.steps)
    link = LINKS[outcome.link].format_map(values) if outcome.link else None
    return Remedy(who, steps, link, COMMANDS[outcome.command].format_map(values))


def request(remedy: Remedy, values: Mapping[str, str], language: Language) -> str:
    """Write the remedy as one line to paste into a message: ask whom, what, where, then what to type."""
    texts = TEXTS[language]
    who = texts[f"who.{remedy.who}"].format_map(values)
    steps = " ".join(remedy.steps) + (f" {remedy.link}" if remedy.link else "")
    return texts["request"].format(who=who, steps=steps, command=remedy.command)


def values_of(inquiry: Inquiry, finding: Finding, wanted: tuple[str, ...], language: Language) -> dict[str, str]:
    """Collect what sentences may name: ids, names of businesses, what was found and wanted. No token is among it."""
    texts, destination = TEXTS[language], inquiry.destination
    owner, agency = inquiry.owner, inquiry.agency
    values = {
        "account": destination.ad_account,
        "number": destination.ad_account.removeprefix("act_"),
        "agency": (agency.name or agency.id) if agency else texts["name.agency"],
        "agency_id": agency.id if agency else "…",
        "asset": _label(finding.asset, owner.name if owner else None),
        "asset_account": destination.ad_account,
        "audience": destination.audience_name or destination.audience_id or "…",
        "client": (owner.name or owner.id) if owner else texts["name.client"],
        "connect": COMMANDS["connect"].format(destination=destination.name),
        "destination": destination.name,
        "found": ", ".join(finding.found) or texts["name.nothing"],
        "request": "…",
        "token_env": destination.token_env,
        **finding.values,
    }
    if "reason" in finding.values:
        values["reason"] = texts.get(finding.values["reason"], texts["disable.other"])
    need = finding.wanted if finding.wanted is not None else wanted
    return {**values, "wanted": ", ".join(word.format_map(values) for word in need)}


def _label(asset: Asset, client: str | None) -> str:
    """Name an asset as people know it: an ad account with its owner."""
    label = asset.id or asset.kind
    return f"{label} ({client})" if client and asset.kind == "ad_account" else label

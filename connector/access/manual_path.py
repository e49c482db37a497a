"""The way by hand: how a person gives, or takes back, partner access in Business Settings, with the ids filled in.

For apps that Meta does not let in, and for whoever would rather click: no API adds a partner as such. English, French and
Japanese. Labels move; the last step says where to look then. Source: access.md §3, path A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from connector.access.remedies import LINKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connector.access.findings import Asset, Language, Party

Purpose = Literal["give", "take_back", "look", "look_requests", "cancel_request"]

HELP: Final = "https://www.facebook.com/business/help/"


@dataclass(frozen=True, slots=True)
class ManualPath:
    """Steps for an admin of the client (to look: of either side), in their language, ready to paste."""

    language: Language
    title: str
    steps: tuple[str, ...]
    link: str
    asset: Asset | None = None
    agency: Party | None = None
    tasks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it, as one message."""
        return "\n".join([self.title, *(f"{n}. {step}" for n, step in enumerate(self.steps, start=1)), self.link])

    def to_json(self) -> dict[str, Any]:
        """Give it for machines, and as a text."""
        return {
            "language": self.language, "title": self.title, "steps": list(self.steps), "link": self.link,
            "asset": {"kind": self.asset.kind, "id": self.asset.id} if self.asset else None,
            "business": {"id": self.agency.id, "name": self.agency.name} if self.agency else None,
            "tasks": list(self.tasks), "text": self.text,
        }  # fmt: skip


def manual_path(
    purpose: Purpose,
    asset: Asset | None = None,
    agency: Party | None = None,
    tasks: tuple[str, ...] = (),
    *,
    client: Party | None = None,
    request: str | None = None,
    language: Language = "en",
) -> ManualPath:
    """Write the steps; to give and to take back need an asset and an agency, an on-behalf-of request its id."""
    words = TEXTS[language]
    named = [words["task"].format(name=words[task], task=task) if task in words else task for task in tasks]
    values = {
        "agency": (f"{agency.name} ({agency.id})" if agency.name else agency.id) if agency else "…",
        "agency_id": agency.id if agency else "…",
        "asset": (asset.id or "…") if asset else "…",
        "category": words[asset.kind] if asset else "…",
        "client": (client.name or client.id) if client else words["client"],
        "request": request or "…",
        "tasks": words["comma"].join(named),
        "help": HELP,
    }
    steps = tuple(words[f"{purpose}.{step}"].format_map(values) for step in STEPS[purpose])
    title, link = words[f"{purpose}.title"].format_map(values), LINKS[_LINKS.get(purpose, "partners")]
    return ManualPath(language, title, steps, link, asset, agency, tasks)


_LINKS: Final[Mapping[Purpose, str]] = {"look_requests": "settings", "cancel_request": "settings"}
STEPS: Final[Mapping[Purpose, tuple[str, ...]]] = {
    "give": ("open", "add", "assign", "tasks", "save", "lost"),
    "take_back": ("open", "choose", "remove", "lost"),
    "look": ("open", "choose"),
    "look_requests": ("open",),
    "cancel_request": ("open", "cancel"),
}
TEXTS: Final[Mapping[Language, Mapping[str, str]]] = {
    "en": {
        "client": "the client", "comma": ", ", "task": "{name} ({task})",
        "ad_account": "Accounts → Ad accounts", "page": "Accounts → Pages", "pixel": "Data sources → Datasets (pixels)",
        "catalog": "Data sources → Catalogues",
        "MANAGE": "Full control", "ADVERTISE": "Manage campaigns", "ANALYZE": "View performance", "EDIT": "Manage", "UPLOAD": "Upload events",
        "give.title": "For an admin of {client}: give {agency} partner access to {asset}",
        "give.open": "Business Settings (business.facebook.com; formerly Business Manager) → Users → Partners.",
        "give.add": "Add → Give a partner access to your assets → enter business id {agency_id}.",
        "give.assign": "Under that partner: {category} → {asset}.",
        "give.tasks": "Switch on only: {tasks}.",
        "give.save": "Save. If a second admin has to approve: Requests → Admin reviews.",
        "give.lost": "Labels move: if you do not find one, search for adding a partner at {help}",
        "take_back.title": "For an admin of {client}: end the partner access of {agency} to {asset}",
        "take_back.open": "Business Settings (business.facebook.com; formerly Business Manager) → Users → Partners.",
        "take_back.choose": "Choose {agency} → {category} → {asset}.",
        "take_back.remove": "Remove → confirm. Other assets of that partner stay as they are.",
        "take_back.lost": "Labels move: if you do not find one, search for removing a partner at {help}",
        "look.title": "See by hand who works with whom",
        "look.open": "Business Settings (business.facebook.com) → Users → Partners.",
        "look.choose": "Choose a partner: its assets and permissions stand there; what waits is under Requests.",
        "look_requests.title": "See on-behalf-of requests by hand",
        "look_requests.open": "Business Settings (business.facebook.com) → Requests.",
        "cancel_request.title": "Cancel on-behalf-of request {request} by hand",
        "cancel_request.open": "Business Settings (business.facebook.com) of the business that asked → Requests → Sent.",
        "cancel_request.cancel": "Choose request {request} → Cancel.",
    },
    "fr": {
        "client": "le client", "comma": ", ", "task": "{name} ({task})",
        "ad_account": "Comptes → Comptes publicitaires", "page": "Comptes → Pages", "pixel": "Sources de données → Ensembles de données (pixels)",
        "catalog": "Sources de données → Catalogues",
        "MANAGE": "Contrôle total", "ADVERTISE": "Gérer les campagnes", "ANALYZE": "Voir les performances", "EDIT": "Gérer", "UPLOAD": "Importer des évènements",
        "give.title": "Pour un administrateur ({client}) : donner à {agency} un accès partenaire à {asset}",
        "give.open": "Paramètres business (business.facebook.com, anciennement Business Manager) → Utilisateurs → Partenaires.",
        "give.add": "Ajouter → Donner à un partenaire l’accès à vos éléments → saisir l’identifiant {agency_id}.",
        "give.assign": "Sous ce partenaire : {category} → {asset}.",
        "give.tasks": "Activer seulement : {tasks}.",
        "give.save": "Enregistrer. Si un second administrateur doit approuver : Demandes → Avis des administrateurs.",
        "give.lost": "Les libellés changent : si vous n’en trouvez pas un, cherchez comment ajouter un partenaire sur {help}",
        "take_back.title": "Pour un administrateur ({client}) : mettre fin à l’accès partenaire de {agency} à {asset}",
        "take_back.open": "Paramètres business (business.facebook.com, anciennement Business Manager) → Utilisateurs → Partenaires.",
        "take_back.choose": "Choisir {agency} → {category} → {asset}.",
        "take_back.remove": "Retirer → confirmer. Les autres éléments de ce partenaire restent inchangés.",
        "take_back.lost": "Les libellés changent : si vous n’en trouvez pas un, cherchez comment retirer un partenaire sur {help}",
        "look.title": "Voir à la main qui travaille avec qui",
        "look.open": "Paramètres business (business.facebook.com) → Utilisateurs → Partenaires.",
        "look.choose": "Choisir un partenaire : ses éléments et autorisations y figurent ; ce qui attend est sous Demandes.",
        "look_requests.title": "Voir à la main les demandes d’action au nom d’un tiers",
        "look_requests.open": "Paramètres business (business.facebook.com) → Demandes.",
        "cancel_request.title": "Annuler à la main la demande {request} d’action au nom d’un tiers",
        "cancel_request.open": "Paramètres business (business.facebook.com) de l’entreprise qui a demandé → Demandes → Envoyées.",
        "cancel_request.cancel": "Choisir la demande {request} → Annuler.",
    },
    "ja": {
        "client": "クライアント", "comma": "、", "task": "{name}({task})",
        "ad_account": "アカウント → 広告アカウント", "page": "アカウント → ページ", "pixel": "データソース → データセット(ピクセル)",
        "catalog": "データソース → カタログ",
        "MANAGE": "全権限", "ADVERTISE": "キャンペーンの管理", "ANALYZE": "パフォーマンスの確認", "EDIT": "管理", "UPLOAD": "イベントのアップロード",
        "give.title": "{client}の管理者の方へ:{agency}に{asset}のパートナーアクセスを付与してください",
        "give.open": "ビジネス設定(business.facebook.com、旧ビジネスマネージャ)→ ユーザー → パートナー。",
        "give.add": "追加 → パートナーにアセットへのアクセスを許可 → ビジネスID {agency_id} を入力します。",
        "give.assign": "そのパートナー → {category} → {asset}。",
        "give.tasks": "次の権限だけをオンにします:{tasks}。",
        "give.save": "保存します。別の管理者の承認が必要な場合:リクエスト → 管理者レビュー。",
        "give.lost": "表示名は変わることがあります。見つからないときは、パートナーの追加方法を {help} で検索してください。",
        "take_back.title": "{client}の管理者の方へ:{agency}の{asset}へのパートナーアクセスを終了してください",
        "take_back.open": "ビジネス設定(business.facebook.com、旧ビジネスマネージャ)→ ユーザー → パートナー。",
        "take_back.choose": "{agency} → {category} → {asset}を選びます。",
        "take_back.remove": "削除 → 確認。このパートナーの他のアセットはそのままです。",
        "take_back.lost": "表示名は変わることがあります。見つからないときは、パートナーの削除方法を {help} で検索してください。",
        "look.title": "パートナーの状況を画面で確認する",
        "look.open": "ビジネス設定(business.facebook.com)→ ユーザー → パートナー。",
        "look.choose": "パートナーを選ぶと、アセットと権限が表示されます。承認待ちはリクエストにあります。",
        "look_requests.title": "代理操作のリクエストを画面で確認する",
        "look_requests.open": "ビジネス設定(business.facebook.com)→ リクエスト。",
        "cancel_request.title": "代理操作のリクエスト{request}を画面で取り消す",
        "cancel_request.open": "リクエストした側のビジネス設定(business.facebook.com)→ リクエスト → 送信済み。",
        "cancel_request.cancel": "リクエスト{request}を選択 → 取り消し。",
    },
}  # fmt: skip

"""Works out connector/profiles/data/native_countries.json: what countries call themselves. Run it after an upgrade of babel.

Names come from CLDR and from the translations of ISO 3166-1 that pycountry ships, which add the long official names
(``Bundesrepublik Deutschland``). Every script of a language counts: Chinese is read in both.
"""

from __future__ import annotations

import gettext
import json
import re
from pathlib import Path

import pycountry
from babel import Locale
from babel.languages import get_official_languages
from babel.localedata import locale_identifiers

from connector.profiles.place_names import alpha_2_codes, name_table, names_of

FILE = Path(__file__).parent.parent / "connector" / "profiles" / "data" / "native_countries.json"


def native_names() -> dict[str, str]:
    """Map keys of every country's names in its own official languages to alpha-2."""
    spoken: dict[str, set[str]] = {}
    for code in alpha_2_codes():
        for language in get_official_languages(code.upper(), regional=True, de_facto=True):
            spoken.setdefault(language.partition("_")[0], set()).add(code)
    rows: list[tuple[str, str]] = []
    for identifier in locale_identifiers():
        language, _, script = identifier.partition("_")
        if language in spoken and (not script or (script.isalpha() and len(script) == 4)):
            names = Locale.parse(identifier).territories
            rows += [(names[code.upper()], code) for code in spoken[language] if code.upper() in names]
    for folder in Path(pycountry.LOCALES_DIR).iterdir():
        codes = spoken.get(re.split("[_@]", folder.name)[0], set())
        rows += _translated(folder.name, codes) if codes else []
    return dict(sorted(name_table(rows).items()))


def _translated(language: str, codes: set[str]) -> list[tuple[str, str]]:
    translation = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[language], fallback=True)
    countries = [country for country in pycountry.countries if country.alpha_2.lower() in codes]
    return [(translation.gettext(name), country.alpha_2.lower()) for country in countries for name in names_of(country)]


if __name__ == "__main__":
    FILE.write_text(json.dumps(native_names(), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")

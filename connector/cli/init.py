"""``connector init``: a workspace to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from connector.cli.answer import Answer, respond
from connector.cli.options import Json
from connector.errors import ConfigError

CONFIG = """\
# connector.yaml – written by the data team, kept in git. No secret ever stands here.
segments:
  loyal_customers:
    description: Bought three times or more
    from: samples/profiles.csv
    where: "orders_12m >= 3"
    mapping: crm
    to: [demo]
guards: {max_shrink: 0.3, min_profiles: 1, max_invalid: 0.001}
"""
MAPPING = """\
# Which attribute feeds which match key. See them all: connector list mappings
key_identifier: email
default_country: US
keys:
  email: email
  phone: mobile
  first_name: first_name
  last_name: last_name
  country: country
  external_id: customer_id
consent: consent_ads
"""
PROFILES = """\
customer_id,email,mobile,first_name,last_name,country,orders_12m,consent_ads
c1,Mary.Jones@example.com,(650) 555-0111,Mary,Jones,US,4,yes
c2, rene@example.org ,06 39 98 12 34,René,O’Neill,France,7,oui
c3,n/a,,Aiko,山田,JP,3,yes
"""
IGNORE = ".connector/\n.env\n"


def init(
    folder: Annotated[Path, typer.Argument(help="Where; made if missing.", show_default="this folder")] = Path(),
    as_json: Json = False,
) -> None:
    """Make a workspace: connector.yaml, a mapping and a tiny sample. Never writes over a file of yours."""

    def work() -> Answer:
        files = {
            "connector.yaml": CONFIG, "mappings/crm.yaml": MAPPING, "samples/profiles.csv": PROFILES, ".gitignore": IGNORE,
        }  # fmt: skip
        there = [name for name in files if name != ".gitignore" and (folder / name).exists()]
        if there:
            raise ConfigError(
                f"{folder / there[0]} exists already",
                code="init.exists",
                hint="Choose an empty folder: connector init DIR",
            )
        made = [name for name, text in files.items() if _write(folder / name, text)]
        listed = "\n".join(f"  {name}" for name in made)
        text = f"A workspace in {folder.resolve()}:\n{listed}\nNext: connector check config --workspace {folder}"
        return Answer({"folder": str(folder), "files": made}, text)

    respond("init", work, as_json=as_json)


def _write(path: Path, text: str) -> bool:
    if path.exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", code="init.write") from None
    return True

"""Write the sample files again: python samples/make_samples.py [--into DIR]. Always the same bytes.

Owns the files' shapes and the counts in README.md. Who the people are stands in people.py, what is wrong with their data in mess.py.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from mess import MESS, READ, Mess, sha256, spoil, spoil_consent
from people import TODAY, WORK_DOMAINS, Dice, Person, countries, draw_person, mailbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

HERE = Path(__file__).parent
ROWS, COPIES, MOVED, COUPLES = 12_000, 110, 60, 50
SHOP_ROWS = 1_500
COLUMNS = (
    "customer_id",
    "email",
    "work_email",
    "mobile",
    "first_name",
    "last_name",
    "gender",
    "birth_date",
    "street",
    "city",
    "state",
    "postal_code",
    "country",
    "orders_12m",
    "last_order",
    "lifetime_value",
    "consent_ads",
)
SHOP_COLUMNS = (
    "Kundennummer",
    "E-Mail",
    "Telefon",
    "Anrede",
    "Vorname",
    "Nachname",
    "Geburtsdatum",
    "Strasse",
    "PLZ",
    "Ort",
    "Land",
    "Bestellungen",
    "Umsatz",
    "Letzte Bestellung",
    "Newsletter",
)
OPTED_OUT = ("customer_id", "email", "mobile", "country", "opted_out_on")
PLAIN_YES = frozenset(["true", "yes", "y", "t", "1"])
YES = PLAIN_YES | frozenset(
    ["ja", "oui", "sí", "sì", "sim", "да", "はい", "是"]
)  # the languages that connector knows; tak, evet, 네 are none
NO = frozenset(["false", "no", "n", "f", "0", "nein", "non", "não", "nee", "нет", "いいえ", "否"])


@dataclass(frozen=True, slots=True)
class Row:
    """One row of profiles.csv, and in which way each of its cells is spoilt."""

    person: Person
    cells: dict[str, str]
    ways: dict[str, Mess | None]

    @property
    def agreed(self) -> bool:
        """Say whether the consent cell holds a known word for yes."""
        return self.cells["consent_ads"].lower() in YES

    @property
    def let_through(self) -> bool:
        """Say whether ``orders_12m >= 3 and consent_ads`` holds: ``where`` reads English words only."""
        orders = self.cells["orders_12m"]
        return self.cells["consent_ads"].lower() in PLAIN_YES and orders.isdigit() and int(orders) >= 3

    def usable(self, column: str) -> bool:
        """Say whether the cell should end as a match key."""
        way = self.ways.get(column)
        return bool(self.cells[column]) and (way is None or way.then == READ)


def make_row(person: Person, dice: Dice) -> Row:
    """Write one person down as a CRM has them."""
    clean = {
        "customer_id": person.customer_id,
        "email": person.email,
        "mobile": person.phone,
        "first_name": person.given,
        "last_name": person.family,
        "gender": dice.pick((person.gender, person.gender.upper(), *person.country.words[person.gender])),
        "birth_date": person.born.strftime("%d/%m/%Y"),
        "city": person.city,
        "state": person.state,
        "postal_code": person.postal,
        "country": person.country.code,
        "orders_12m": str(person.orders),
        "last_order": person.last_order.isoformat(),
        "lifetime_value": f"{person.value:.2f}",
    }
    spoilt = {column: spoil(column, cell, person, dice) for column, cell in clean.items()}
    cells = {column: cell for column, (cell, _) in spoilt.items()}
    ways = {column: way for column, (_, way) in spoilt.items()}
    work = f"{mailbox(person.given, person.family, dice)}@{dice.pick(WORK_DOMAINS)}"
    has_work = dice.roll(0.3 if ways["email"] else 0.15)
    consent = spoil_consent(dice.roll(0.96), person, dice)
    cells |= {"street": person.street, "work_email": work if has_work else "", "consent_ads": consent}
    return Row(person, cells, ways)


def make_rows(dice: Dice) -> list[Row]:
    """Draw all rows of profiles.csv: people, couples with one address, people with two rows, and plain copies."""
    world = countries()
    weights = [country.weight for country in world]
    rows = [make_row(draw_person(n, dice, world, weights), dice) for n in range(ROWS - COPIES - MOVED)]
    for place in range(200, 200 + 200 * COUPLES, 200):
        cells = rows[place].cells | {"email": rows[place - 1].person.email, "work_email": ""}
        rows[place] = Row(rows[place].person, cells, rows[place].ways | {"email": None})
    for _ in range(MOVED):  # they changed street and e-mail; the old row stayed
        place = dice.number(0, len(rows) - 1)
        old = rows[place]
        new = {"email": f"new.{old.person.email}", "street": dice.fill(dice.pick(old.person.country.streets))}
        row = Row(old.person, old.cells | new, old.ways | {"email": None})
        rows.insert(dice.number(place + 1, len(rows)), row)
    for _ in range(COPIES):
        place = dice.number(0, len(rows) - 1)
        rows.insert(dice.number(place + 1, len(rows)), rows[place])
    return rows


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], **dialect: str) -> None:
    """Write a CSV file; ``encoding``, ``delimiter`` and ``lineterminator`` as given."""
    encoding = dialect.pop("encoding", "utf-8")
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, **({"lineterminator": "\n"} | dialect))
        writer.writerow(header)
        writer.writerows(rows)


def typed(rows: Sequence[Row]) -> pl.DataFrame:
    """Lay the same people out as a data lake would: real dates, numbers, booleans, and all e-mails in one list."""
    text = {column: [row.cells[column] for row in rows] for column in COLUMNS}
    emails = [[cell for cell in (row.cells["email"], row.cells["work_email"]) if cell.strip()] or None for row in rows]
    columns = {
        "customer_id": pl.Series(text["customer_id"]),
        "emails": pl.Series(emails, dtype=pl.List(pl.String)),
        **{name: pl.Series(text[name]) for name in ("mobile", "first_name", "last_name", "gender")},
        "birth_date": pl.Series([as_date(cell) for cell in text["birth_date"]], dtype=pl.Date),
        **{name: pl.Series(text[name]) for name in ("street", "city", "state", "postal_code", "country")},
        "orders_12m": pl.Series([int(c) if c.isdigit() else None for c in text["orders_12m"]], dtype=pl.Int32),
        "last_order": pl.Series([as_date(cell) for cell in text["last_order"]], dtype=pl.Date),
        "lifetime_value": pl.Series(text["lifetime_value"]).cast(pl.Float64, strict=False),
        "consent_ads": pl.Series([as_yes_or_no(cell) for cell in text["consent_ads"]], dtype=pl.Boolean),
    }
    return pl.DataFrame(columns)


def as_date(cell: str) -> date | None:
    """Read a date in any of the samples' orders; nonsense and the years before 1900 are nothing."""
    for form in ("%d/%m/%Y", "%Y-%m-%d", "%d.%m.%Y"):
        try:
            day = datetime.strptime(cell, form).date()  # noqa: DTZ007 - a birthday has no time zone
        except ValueError:
            continue
        return day if day.year >= 1900 else None
    return None


def as_yes_or_no(cell: str) -> bool | None:
    """Read a word of consent."""
    return True if cell.lower() in YES else False if cell.lower() in NO else None


def write_opted_out(path: Path, rows: Sequence[Row]) -> set[str]:
    """Write the opt-out list, some of the CRM's columns, and name whom it hits."""
    known = Counter(key for row in rows for key in (row.person.digits, row.person.customer_id))
    certain = [
        row
        for row in rows
        if row.let_through
        and all(row.usable(column) for column in ("email", "mobile", "country"))
        and row.cells["email"] == row.person.email
        and known[row.person.digits] == known[row.person.customer_id] == 1
    ]
    by_email, by_phone, by_id, hashed = certain[40:52], certain[140:148], certain[200:202], certain[240:243]
    lines = [{"email": row.person.email.upper() if n % 4 == 0 else row.person.email} for n, row in enumerate(by_email)]
    lines += [{"mobile": row.cells["mobile"], "country": row.cells["country"]} for row in by_phone]
    lines += [{"customer_id": row.person.customer_id} for row in by_id]
    lines += [{"email": sha256(row.person.email)} for row in hashed[:2]]
    lines += [{"email": sha256(hashed[2].person.email).upper()}]
    lines += [{"email": f"nobody.we.know{n}@example.org"} for n in range(4)]
    days = (TODAY - timedelta(days=place % 28) for place in range(len(lines), 0, -1))
    dated = [line | {"opted_out_on": day.isoformat()} for line, day in zip(lines, days, strict=True)]
    write_csv(path, OPTED_OUT, ([line.get(column, "") for column in OPTED_OUT] for line in dated))
    return {row.person.customer_id for row in (*by_email, *by_phone, *by_id, *hashed)}


def write_shop(path: Path) -> dict[str, int]:
    """Write the web shop's list, another shape and language, and count what an export should find."""
    dice, world = Dice(1984), countries(("DE", "AT", "CH"))
    weights = [country.weight for country in world]
    people = [make_row(draw_person(number, dice, world, weights), dice) for number in range(SHOP_ROWS)]
    lines = [shop_line(number, row, dice) for number, row in enumerate(people)]
    write_csv(path, SHOP_COLUMNS, lines, encoding="utf-8-sig", delimiter=";", lineterminator="\r\n")
    return {
        "rows": len(people),
        "who take the newsletter": sum(row.agreed for row in people),
        "… with a usable e-mail address": sum(row.agreed and row.usable("email") for row in people),
    }


def shop_line(number: int, row: Row, dice: Dice) -> list[str]:
    """Write one shop customer: most Germans leave the country empty, some addresses hold a line break."""
    person, cells = row.person, row.cells
    born = as_date(cells["birth_date"])
    salutation = "" if dice.roll(0.06) else "Frau" if person.gender == "f" else "Herr"
    street = f'{person.street}\n"Hinterhaus"' if number % 500 == 77 else person.street
    land = "" if person.country.code == "DE" and dice.roll(0.85) else person.country.spelled[0]
    value = f"{person.value:,.2f}".translate(str.maketrans(",.", ".,"))
    return [
        f"{70000 + number:07d}",
        cells["email"],
        cells["mobile"],
        salutation,
        cells["first_name"],
        cells["last_name"],
        born.strftime("%d.%m.%Y") if born and dice.roll(0.97) else cells["birth_date"],
        street,
        person.postal,
        cells["city"],
        land,
        str(person.orders),
        value,
        person.last_order.strftime("%d.%m.%Y"),
        dice.pick(("ja", "Ja", "ja", "JA")) if row.agreed else dice.pick(("nein", "nein", "")),
    ]


def count_facts(rows: Sequence[Row], opted_out: Collection[str]) -> dict[str, int]:
    """Count what the file holds, and what an export of the loyal customers should find."""
    named = [row for row in rows if row.usable("customer_id")]
    return {
        "rows": len(rows),
        "countries": len({row.person.country.code for row in rows}),
        "rows equal to an earlier row in every cell": copies_in(rows),
        "rows that share their customer_id with an earlier, different row": (
            len(named) - len({row.cells["customer_id"] for row in named}) - copies_in(named)
        ),
        "rows with the e-mail address of somebody else": COUPLES,
        "rows with a second e-mail address": sum(bool(row.cells["work_email"]) for row in rows),
        "rows with a known word for yes in `consent_ads`": sum(row.agreed for row in rows),
        **fates_of([row for row in rows if row.let_through], opted_out),
    }


def fates_of(loyal: Sequence[Row], opted_out: Collection[str]) -> dict[str, int]:
    """Give every row that the segment's ``where`` lets through its one fate."""
    fates, seen = Counter[str](), set[str | tuple[str, ...]]()
    for row in loyal:
        who = row.cells["customer_id"] if row.usable("customer_id") else tuple(row.cells.values())
        if not (row.usable("email") or row.usable("work_email")):
            fates["no_identifier"] += 1
        elif row.person.customer_id in opted_out:
            fates["suppressed"] += 1
        elif who in seen:
            fates["duplicate"] += 1
        else:
            fates["eligible"] += 1
            seen.add(who)
    what = {
        "no_identifier": "… no_identifier: no usable address in email and work_email",
        "suppressed": "… suppressed: on the opt-out list",
        "duplicate": "… duplicate: an earlier row again, or its customer_id",
        "eligible": "… eligible: the others",
    }
    return {"`orders_12m >= 3 and consent_ads` lets through": len(loyal)} | {what[fate]: fates[fate] for fate in what}


def copies_in(rows: Sequence[Row]) -> int:
    """Count the rows that equal an earlier one."""
    return len(rows) - len({tuple(row.cells.values()) for row in rows})


def count_table(facts: dict[str, int], shop: dict[str, int], tally: Counter[Mess | None]) -> str:
    """Render the counts as Markdown."""
    lines = ["| profiles.csv, profiles.parquet | |", "|---|---:|"]
    lines += [f"| {what} | {count:,} |" for what, count in facts.items()]
    lines += ["", "| shop_customers.csv | |", "|---|---:|"]
    lines += [f"| {what} | {count:,} |" for what, count in shop.items()]
    lines += ["", "| Column of profiles.csv | As some write it | Cells | What becomes of it |", "|---|---|---:|---|"]
    lines += [f"| {mess.column} | {mess.what} | {tally[mess]:,} | {mess.then} |" for mess in MESS]
    return "\n".join(lines)


def write_readme(path: Path, table: str) -> None:
    """Put the counts between README.md's two marks."""
    before, _, rest = (HERE / "README.md").read_text("utf-8").partition("<!-- counts -->\n")
    _, _, after = rest.partition("<!-- end of counts -->\n")
    path.write_text(f"{before}<!-- counts -->\n{table}\n<!-- end of counts -->\n{after}", "utf-8")


def main() -> None:
    """Write everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, default=HERE, help="another folder than samples/")
    folder = parser.parse_args().into
    rows = make_rows(Dice(20260630))
    write_csv(folder / "profiles.csv", COLUMNS, ([row.cells[column] for column in COLUMNS] for row in rows))
    typed(rows).write_parquet(folder / "profiles.parquet", compression="zstd", row_group_size=4_000)
    opted_out = write_opted_out(folder / "opted_out.csv", rows)
    shop = write_shop(folder / "shop_customers.csv")
    tally = Counter(way for row in rows for way in row.ways.values())
    write_readme(folder / "README.md", count_table(count_facts(rows, opted_out), shop, tally))


if __name__ == "__main__":
    main()

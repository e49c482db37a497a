"""People in versions: what somebody is known by differs from one to the next, so nothing of an older one may stay anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.by_hand import digest_of, sha

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

People = dict[int, int]  # who, in which version
MAPPING = "key_identifier: email\nkeys: {email: email, external_id: id, first_name: name}\n"
BEFORE: People = dict.fromkeys(range(12), 0)
# Three changed, three dropped, three new.
AFTER: People = {**dict.fromkeys(range(6), 0), 6: 1, 7: 1, 8: 1, 20: 0, 21: 0, 22: 0}


def write_people(path: Path, people: People) -> None:
    lines = [f"{n},p{n}v{version}@x.example,name{n % 5}\n" for n, version in people.items()]
    path.write_text("id,email,name\n" + "".join(lines), encoding="utf-8")


def rightly(people: Collection[tuple[int, int]]) -> tuple[int, str]:
    """How many members there should be, and their digest."""
    cells = (
        {"EXTERN_ID": str(n), "EMAIL": sha(f"p{n}v{version}@x.example"), "FN": sha(f"name{n % 5}")}
        for n, version in people
    )
    return len(people), digest_of(cells)

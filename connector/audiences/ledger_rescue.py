"""What can still be read of a slice, when its ledger is begun anew: who may be in the audience is not forgotten without need.

Looks at the files as they lie there, whether the book knows them or not. Whatever is found is in doubt: perhaps in the
audience, perhaps not; so it is sent again or taken out, and nothing is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connector.audiences.ledger_book import LedgerBook, Part, SliceRecord, folder_of, part_number, part_run

if TYPE_CHECKING:
    from connector.audiences.ledger_files import LedgerFiles, Survey
    from connector.audiences.members_loading import Kind

OF_ROWS: Final = "mask"  # a column that parts of rows have and others have not


def rescued(
    book: LedgerBook,
    files: LedgerFiles,
    former: SliceRecord | None,
    *,
    audience_id: str,
    segment: str,
    key_mark: str,
    older: bool,
) -> SliceRecord:
    """Make the slice to begin with, in place of ``former``: every part of rows that reads well, nothing acknowledged.

    Rows that the book knows of and that are nowhere are counted as lost, and stay so until the audience is replaced. When
    the book is ``older`` than the files, or knows nothing of them, nobody can tell what is lost; else files of runs that
    it does not know are somebody else's.

    Raises:
        SourceError: a file is there and cannot be read (``ledger.unreadable``): rights can be given back.
    """
    folder = folder_of(audience_id, segment)
    names = [name for name in files.names(folder) if part_number(name) > 0]
    known = {} if former is None else {part.file: part for part in former.files}
    last = max(map(part_number, names), default=0)
    found: dict[int, Part] = {}
    for name in sorted(names, key=lambda name: (name not in known, name)):
        survey = files.survey(f"{folder}/{name}") if older or book.knows_run(part_run(name)) else None
        if survey is not None and OF_ROWS in survey.columns and _may_be(known.get(name), survey):
            part = Part(part_number(name), "rows", survey.rows, 0, survey.checksum, part_run(name))
            found.setdefault(part.part, part)
    following = max(last + 1, 1 if former is None else former.next_part)
    parts = [found[number] for number in sorted(found)]
    lost = 0
    if former is not None:
        lost = former.lost + (0 if older else _rows_not_in(found, former))
    if lost:
        parts.append(Part(following, "lost", lost, 0, "", ""))
        following += 1
    generation = 1 if former is None else former.generation + 1
    return SliceRecord(audience_id, segment, generation, key_mark, following, tuple(parts))


def left_by_crash(files: LedgerFiles, record: SliceRecord, name: str) -> Part | None:
    """Make the part of a file that was written and never entered, because a run was killed in between.

    Its rows were not sent, unless the state database was copied at that moment and the copy brought back: so they are in
    doubt, as if the run had been killed a moment later.
    """
    survey = files.survey(f"{record.folder}/{name}")
    if survey is None:
        return None
    kind: Kind = "rows" if OF_ROWS in survey.columns else "leaving"
    return Part(record.next_part, kind, survey.rows, 0, survey.checksum, part_run(name))


def _rows_not_in(found: dict[int, Part], former: SliceRecord) -> int:
    return sum(part.rows for part in former.files if part.kind == "rows" and part.part not in found)


def _may_be(known: Part | None, survey: Survey) -> bool:
    return known is None or known.checksum == survey.checksum

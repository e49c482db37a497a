"""What one cell of an upload may be, and the exact, cell-by-cell way to check rows and turn them into members.

Owns the table of schema keys and the canonical JSON of a member. ``rows`` does the same for a whole body at once and comes
here whenever it cannot vouch for the answer. Knows neither audiences nor HTTP.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from connector.sandbox.members import Digests, Rows
from connector.sandbox.refusals import Refusal

HASHED = frozenset({"EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "LN", "FN", "FI", "CT", "ST", "ZIP", "COUNTRY"})
PLAIN = frozenset({"EXTERN_ID", "MADID", "APPUID", "PAGEUID", "UID"})
OPTIONS = frozenset({"DATA_PROCESSING_OPTIONS", "DATA_PROCESSING_OPTIONS_COUNTRY", "DATA_PROCESSING_OPTIONS_STATE"})
VALUE = "LOOKALIKE_VALUE"
KEYS = HASHED | PLAIN | OPTIONS | {VALUE}
# A schema that is one string: the key it stands for, and the data source such an upload fixes on the audience.
SINGLE = {
    "EMAIL_SHA256": ("EMAIL", "HASHES_OR_USER_IDS"),
    "PHONE_SHA256": ("PHONE", "HASHES_OR_USER_IDS"),
    "MOBILE_ADVERTISER_ID": ("MADID", "MOBILE_ADVERTISER_IDS"),
    "EXTERN_ID": ("EXTERN_ID", "EXTERNAL_IDS"),
    "UID": ("UID", "USER_IDS"),
}
HEX64 = re.compile(r"[0-9a-f]{64}")
HEX64_ANY_CASE = re.compile(r"[0-9a-fA-F]{64}")
UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?")
SAMPLES = 100
MAX_ROWS = 10_000
MISMATCH = "Data is missing or does not match schema"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of an upload's rows: the valid ones, how many came, how many were invalid, and up to 100 samples."""

    rows: Rows
    received: int
    invalid: int
    samples: dict[str, str] = field(default_factory=dict)


def is_blank(cell: Any) -> bool:
    """Say whether a cell says nothing: an empty text, null, or an empty list of options."""
    return cell is None or cell in ("", [])


def fault_in(key: str, cell: Any, *, strict_case: bool) -> bool:
    """Say whether a non-blank cell breaks the rule of its key (specification §11)."""
    if key in HASHED:
        pattern = HEX64 if strict_case else HEX64_ANY_CASE
        return not (isinstance(cell, str) and pattern.fullmatch(cell))
    if key == "MADID":
        return not (isinstance(cell, str) and UUID.fullmatch(cell))
    if key == VALUE:
        return not _is_value(cell)
    if key == "DATA_PROCESSING_OPTIONS":
        return bool(cell != ["LDU"])
    if key in OPTIONS:
        return isinstance(cell, bool) or not (isinstance(cell, int) or (isinstance(cell, str) and cell.isdecimal()))
    return isinstance(cell, bool) or not isinstance(cell, str | int)


def _is_value(cell: Any) -> bool:
    if isinstance(cell, bool):
        return False
    if isinstance(cell, int | float):
        return math.isfinite(cell) and cell >= 0
    return isinstance(cell, str) and NUMBER.fullmatch(cell) is not None


def print_of(key: str, cell: Any) -> int:
    """Give the 64-bit print of a valid cell, never 0: a hash's own first digits, or Python's keyed hash of the rest."""
    if key in HASHED:
        return int(cell[:16], 16) or 1
    text = cell.encode("utf-8", "surrogatepass") if isinstance(cell, str) else b"\0" + json.dumps(cell).encode()
    return print_of_bytes(text)


def print_of_bytes(text: bytes) -> int:
    """Give the print of a cell that is not a hash; it holds for this process only, as the members do."""
    return hash(text) & 0xFFFF_FFFF_FFFF_FFFF or 1


def canonical(pairs: list[tuple[str, Any]]) -> bytes:
    """Write a member as JSON: ``[["COUNTRY","…"],["EMAIL","…"]]``, sorted by key, without spaces, not escaped to ASCII."""
    ordered = [[key, cell] for key, cell in sorted(pairs, key=lambda pair: pair[0])]
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def words_of(digests: list[bytes]) -> Digests:
    """Lay SHA-256 digests out as (rows, 4) words of 64 bits, the most significant first."""
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 4)


def check_cells(keys: tuple[str, ...], data: list[Any], *, strict_case: bool, digests: bool) -> Checked:
    """Check rows one cell after the other.

    ``data`` is a list of lists as long as ``keys``, or for one key also a list of cells. A row with any invalid cell, or
    with no cell that identifies anybody, is invalid as a whole.

    Raises:
        Refusal: 100 when a row is no list or not as long as the schema.
    """
    samples: dict[str, str] = {}
    kept: list[list[tuple[str, Any]]] = []
    invalid = 0
    for number, given in enumerate(data):
        row = given if isinstance(given, list) else [given]
        if len(row) != len(keys) or (len(keys) > 1 and not isinstance(given, list)):
            raise Refusal(100, f"(#100) {MISMATCH}")
        pairs = [(key, cell) for key, cell in zip(keys, row, strict=True) if not is_blank(cell)]
        wrong = next((cell for key, cell in pairs if fault_in(key, cell, strict_case=strict_case)), None)
        if wrong is None and any(key in HASHED or key in PLAIN for key, _ in pairs):
            kept.append(pairs if strict_case else [(key, _lowered(key, cell)) for key, cell in pairs])
            continue
        invalid += 1
        if len(samples) < SAMPLES:
            samples[str(number)] = "" if wrong is None else str(wrong)[:64]
    return Checked(_rows_of(keys, kept, digests=digests), len(data), invalid, samples)


def _lowered(key: str, cell: Any) -> Any:
    return cell.lower() if key in HASHED else cell


def _rows_of(keys: tuple[str, ...], kept: list[list[tuple[str, Any]]], *, digests: bool) -> Rows:
    prints = {key: np.zeros(len(kept), np.uint64) for key in keys}
    for number, pairs in enumerate(kept):
        for key, cell in pairs:
            prints[key][number] = print_of(key, cell)
    hashes = words_of([hashlib.sha256(canonical(pairs)).digest() for pairs in kept]) if digests else None
    return Rows(prints, hashes, len(kept))

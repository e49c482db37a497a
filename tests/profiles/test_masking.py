"""A mask shows what is wrong with a cell and never enough to recover a person."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.profiles.masking import mask
from connector.profiles.match_keys import MATCH_KEYS

CODES = tuple(key.meta for key in MATCH_KEYS)
MOST_IN_A_ROW = 4
ADDRESSES = st.from_regex(r"[a-z]{1,8}[.+]?[a-z0-9]{0,4}@[a-z]{1,9}\.(com|org|co\.uk|museum|fr)", fullmatch=True)
PHONES = st.from_regex(r"(\+|00)?[0-9]{1,4}([ ()./-]?[0-9]{1,4}){0,5}", fullmatch=True)
DATES = st.from_regex(r"[0-9]{1,4}[-/. ]?[0-9]{1,2}[-/. ]?[0-9]{1,4}( [0-9]{2}:[0-9]{2})?", fullmatch=True)
CELLS = st.one_of(st.text(max_size=80), ADDRESSES, PHONES, DATES, st.text(alphabet="a1@. -/", max_size=6))


def _longest_run_in(cell: str, shown: str) -> int:
    """The longest stretch of letters and digits of ``cell`` that stands in ``shown``."""
    pieces = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", cell))
    return max(
        (
            end - start
            for piece in pieces
            for start in range(len(piece))
            for end in range(start + 1, min(len(piece), start + MOST_IN_A_ROW + 1) + 1)
            if piece[start:end] in shown
        ),
        default=0,
    )


@given(CELLS, st.sampled_from(CODES))
@example("1984", "DOB")
@example("0/1984", "DOB")
@example("@.com", "EMAIL")
@example("a@b.co", "EMAIL")
@example("é", "FN")
def test_a_mask_never_holds_a_whole_cell_nor_more_than_four_letters_or_digits_in_a_row(cell: str, code: str):
    shown = mask(cell, code, note=False)
    if any(c.isalnum() for c in cell) and shown != "(a digest)":
        assert unicodedata.normalize("NFC", cell).strip() not in shown
        assert _longest_run_in(cell, shown) <= MOST_IN_A_ROW


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=3), st.sampled_from(CODES))
def test_a_cell_of_one_to_three_characters_is_never_shown_whole(cell: str, code: str):
    assert unicodedata.normalize("NFC", cell) not in mask(cell, code, note=False)


@given(CELLS, st.sampled_from(CODES))
def test_a_mask_has_one_line_and_no_markup_of_the_cell(cell: str, code: str):
    shown = mask(cell, code)
    assert shown.isprintable()
    assert "[" not in shown
    assert len(shown) < 80


@given(CELLS, st.sampled_from(CODES))
def test_a_note_only_counts_and_names_shapes(cell: str, code: str):
    without = mask(cell, code, note=False)
    note = mask(cell, code).removeprefix(without)
    assert re.fullmatch(
        r"(?: \((?:no @|[0-9]+ @|nothing (?:before|after) @|in brackets|mailto:|with a space|two dots|a dot at an end"
        r"|no dot after @|an odd character|no digits|[0-9]+ (?:digit|letter|character|word)s?(?:, with letters)?"
        r"|with @|no letter|with digits|an e-mail address|a decimal|a rounded number)\))?",
        note,
    )


@pytest.mark.parametrize(
    ("code", "cell", "shown"),
    [
        ("EMAIL", "jane.doe@gmail.com", "j***@g***.com"),
        ("EMAIL", "j@g.com", "***@***.com"),
        ("EMAIL", "jane", "j*** (no @)"),
        ("EMAIL", "jane@a.com, joe@b.com", "j*** (2 @)"),
        ("EMAIL", "Jane <jane@a.com>", "J***@a*** (in brackets)"),
        ("EMAIL", "jane@example", "j***@e*** (no dot after @)"),
        ("EMAIL", "ja..ne@example.com", "j***@e***.com (two dots)"),
        ("EMAIL", "jane;@example.com", "j***@e***.com (an odd character)"),
        ("EMAIL", "jane@example.photography", "j***@e***"),
        ("PHONE", "+33 6 12 34 56 78", "+33*** (11 digits)"),
        ("PHONE", "06123", "*** (5 digits)"),
        ("PHONE", "650 555 0111 ext. 4", "65*** (11 digits, with letters)"),
        ("PHONE", "call me", "*** (no digits)"),
        ("FN", "Mary", "M***"),
        ("FN", "M", "***"),
        ("LN", "山田", "山***"),
        ("LN", "123", "*** (3 digits)"),
        ("LN", "?!", "*** (no letter)"),
        ("LN", "one who lives far away", "o*** (5 words)"),
        ("LN", "a@b.de", "a*** (with @)"),
        ("GEN", "f", "*** (1 letter)"),
        ("COUNTRY", "Germny", "G*** (6 letters)"),
        ("DOB", "12/03/1984", "**/**/1984"),
        ("DOB", "1984-03-12", "1984-**-**"),
        ("DOB", "19840312", "1984****"),
        ("DOB", "12031984", "****1984"),
        ("DOB", "3/4/84", "*/*/**"),
        ("DOB", "1984", "19**"),
        ("DOB", "born on a day I forgot long ago", "b*** (8 words)"),
        ("DOBY", "1984", "19**"),
        ("DOBM", "3", "**"),
        ("ZIP", "94107-1234", "94*** (9 digits)"),
        ("ZIP", "7030.0", "70*** (a decimal)"),
        ("ZIP", "N1", "*** (2 characters)"),
        ("EXTERN_ID", "C-100001", "C1***"),
        ("EXTERN_ID", "1.0E+12", "10*** (a rounded number)"),
        ("EXTERN_ID", "jane@a.com", "ja*** (an e-mail address)"),
        ("LOOKALIKE_VALUE", "-1250.00", "-1***"),
        ("LOOKALIKE_VALUE", "12", "***"),
        ("LOOKALIKE_VALUE", "twelve", "t***"),
        ("PHONE", "ab" * 16, "(a digest)"),
        ("EMAIL", "AB" * 32, "(a digest)"),
        ("EMAIL", " \t", "(blank)"),
    ],
)
def test_the_masks_that_the_page_promises(code: str, cell: str, shown: str):
    assert mask(cell, code) == shown


def test_without_a_note_only_the_mask_is_left():
    assert mask("+33 6 12 34 56 78", "PHONE", note=False) == "+33***"

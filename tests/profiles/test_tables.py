from __future__ import annotations

import csv
import gzip
import io
import random
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.config import TableFile
from connector.errors import ConfigError, SourceError
from connector.profiles.files import File
from connector.profiles.tables import DelimitedFile

if TYPE_CHECKING:
    from pathlib import Path

ANY_FOLDER = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
CANARY = "canary.ringelnatz@example.org"


def table(
    folder: Path, content: bytes | str, *, block: int = 1 << 20, name: str = "profiles.csv", **spec: Any
) -> DelimitedFile:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DelimitedFile(File(str(path), str(path)), TableFile(str(path), **spec), block=block)


def rows_of(file: DelimitedFile, *columns: str, rows: int = 65_536) -> list[tuple[str | None, ...]]:
    frames = list(file.frames(columns or file.columns(), rows=rows))
    assert all(frame.height <= rows for frame in frames)
    assert all(set(frame.dtypes) == {pl.String} for frame in frames)
    return [row for frame in frames for row in frame.rows()]


def refusal(file: DelimitedFile) -> SourceError:
    with pytest.raises(SourceError) as caught:
        rows_of(file)
    return caught.value


# --- what is read right ------------------------------------------------------------------------------------------------


def test_cells_are_text_as_they_stand(tmp_path: Path):
    file = table(tmp_path, "id,zip,phone\n007,02139,+3361234567890123456789\n 1 ,1.0,1e3\n")
    assert rows_of(file) == [("007", "02139", "+3361234567890123456789"), (" 1 ", "1.0", "1e3")]


def test_empty_cells_and_null_words_are_null(tmp_path: Path):
    file = table(tmp_path, 'a,b\n,""\nNULL,x\nnull,-\n', null=("NULL", "-"))
    assert rows_of(file) == [(None, None), (None, "x"), ("null", None)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_recognised(tmp_path: Path, separator: str):
    lines = (("name", "size", "note"), ("Anna", "1.70", "a b"))
    file = table(tmp_path, "".join(separator.join(line) + "\n" for line in lines))
    assert rows_of(file) == [("Anna", "1.70", "a b")]


def test_the_separator_is_the_one_the_lines_agree_on(tmp_path: Path):
    file = table(tmp_path, 'name, first;name, last;"a,b"\nAnna;Huber;1,5\nBo;Li;2\n')
    assert file.columns() == ("name, first", "name, last", "a,b")
    assert rows_of(file)[0] == ("Anna", "Huber", "1,5")
    assert rows_of(table(tmp_path, "name;size, cm\nAnna;170,5\n")) == [("Anna", "170,5")]


@pytest.mark.parametrize("separator", [";", "tab", "\\t", ":"])
def test_a_separator_can_be_named(tmp_path: Path, separator: str):
    character = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    file = table(tmp_path, f"a,x{character}b\n1,5{character}2\n", separator=separator)
    assert rows_of(file) == [("1,5", "2")]


@pytest.mark.parametrize("separator", ["::", "é", '"', "\n", ""])
def test_a_separator_that_is_none_is_refused(tmp_path: Path, separator: str):
    with pytest.raises(ConfigError) as caught:
        table(tmp_path, "a,b\n", separator=separator).columns()
    assert caught.value.code == "config.separator"


def test_excel_may_announce_its_separator(tmp_path: Path):
    assert rows_of(table(tmp_path, "sep=;\r\na,x;b\r\n1;2\r\n")) == [("1", "2")]
    assert refusal(table(tmp_path, "sep=;\r\na;b\r\n1;2;3\r\n")).line == 3


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("ended", [True, False])
def test_lines_end_in_every_known_way(tmp_path: Path, newline: str, ended: bool):
    text = newline.join(["a,b", "1,2", '"x,y",""', "3,4"]) + (newline if ended else "")
    assert rows_of(table(tmp_path, text)) == [("1", "2"), ("x,y", None), ("3", "4")]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path):
    assert rows_of(table(tmp_path, "\n\na,b\n\n1,2\n\n\n3,4\n\n")) == [("1", "2"), ("3", "4")]
    assert refusal(table(tmp_path, "\n\na,b\n\n1,2\n\n\n3,4,5\n\n")).line == 8


def test_a_single_column_needs_no_separator(tmp_path: Path):
    assert rows_of(table(tmp_path, 'email\na@b.c\n\n""\nd@e.f')) == [("a@b.c",), (None,), ("d@e.f",)]


def test_quoted_cells_hold_separators_newlines_and_quotes(tmp_path: Path):
    file = table(tmp_path, 'a,b\n"1,\n2","say ""x"""\r\n"""","a""b"\n')
    assert rows_of(file) == [("1,\n2", 'say "x"'), ('"', 'a"b')]


def test_a_quote_inside_an_unquoted_cell_is_a_quote(tmp_path: Path):
    file = table(tmp_path, 'pipe,nick\n5" pipe,Dwayne "The Rock"\n7",x\n"a,b",c\n')
    assert rows_of(file) == [('5" pipe', 'Dwayne "The Rock"'), ('7"', "x"), ("a,b", "c")]


def test_spaces_before_quotes_are_read_when_the_file_is_written_so(tmp_path: Path):
    file = table(tmp_path, '"a", "b"\n"1,5", " 2"\n3, 4\n')
    assert rows_of(file) == [("1,5", " 2"), ("3", "4")]
    file = table(tmp_path, 'a,b\n1," ""x"\n"2, ""y"" ", z\n')
    assert rows_of(file) == [("1", ' "x'), ('2, "y" ', " z")]


def test_columns_come_alone_and_in_the_order_asked_for(tmp_path: Path):
    file = table(tmp_path, "a,b,c\n1,2,3\n")
    assert rows_of(file, "c", "a") == [("3", "1")]


def test_header_names_are_trimmed_and_blank_ones_left_out(tmp_path: Path):
    file = table(tmp_path, "\ufeff, e-mail ,zip\u00a0,\n0,a@b.c,1,\n1,d@e.f,2,\n")
    assert file.columns() == ("e-mail", "zip")
    assert rows_of(file) == [("a@b.c", "1"), ("d@e.f", "2")]


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path):
    assert rows_of(table(tmp_path, "a,b\n")) == []
    assert rows_of(table(tmp_path, "a,b")) == []


def test_frames_are_bounded(tmp_path: Path):
    file = table(tmp_path, "a,b\n" + "".join(f"{n},x\n" for n in range(1000)))
    assert [frame.height for frame in file.frames(("a",), rows=300)] == [300, 300, 300, 100]


# --- encodings ---------------------------------------------------------------------------------------------------------

PEOPLE = [("Zoë", "München"), ("Łukasz", "Łódź"), ("Ирина", "Москва"), ("山田", "東京"), ("👩‍👩‍👧", "x")]
WESTERN = [("Zoë", "München"), ("Jürgen", "Köln – Süd"), ("D’Arcy", "À l'Île"), ("Anaïs", "€ 5")]


def written(people: list[tuple[str, str]], *, newline: str = "\r\n") -> str:
    return newline.join(["first,city", *(",".join(person) for person in people)]) + newline


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("block", [3, 7, 1 << 20])
def test_unicode_is_recognised_with_and_without_a_byte_order_mark(tmp_path: Path, encoding: str, block: int):
    file = table(tmp_path, written(PEOPLE).encode(encoding), block=block)
    assert file.columns() == ("first", "city")
    assert rows_of(file) == PEOPLE


@pytest.mark.parametrize("bom", [b"\xfe\xff", b""])
def test_utf_16_can_be_big_endian(tmp_path: Path, bom: bytes):
    content = bom + written(PEOPLE).encode("utf-16-be")
    assert rows_of(table(tmp_path, content)) == PEOPLE
    assert rows_of(table(tmp_path, content, encoding="utf-16" if bom else "utf-16-be")) == PEOPLE


def test_utf_16_without_a_mark_is_recognised_whatever_the_sample_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    content = written(PEOPLE).encode("utf-16-le")
    for sample in range(20, len(content)):
        monkeypatch.setattr("connector.profiles.encodings.SAMPLE_BYTES", sample)
        assert rows_of(table(tmp_path, content)) == PEOPLE
    assert rows_of(table(tmp_path, content, encoding="utf-16")) == PEOPLE


def test_a_stray_nul_does_not_make_a_text_utf_16(tmp_path: Path):
    for text in ("a,b\nx\0,2\n", "a,b\nxy\0,2\n" + "1,2\n" * 9, "a,b\n" * 3 + "\0" + "abc\n" * 9):
        error = refusal(table(tmp_path, text))
        assert (error.code, error.line) == ("source.text", text.split("\0")[0].count("\n") + 1)
    error = refusal(table(tmp_path, "a,b\nx\0,2\n".encode("utf-16-le")))
    assert (error.code, error.line) == ("source.text", 1)


@pytest.mark.parametrize("block", [3, 1 << 20])
def test_windows_1252_is_recognised(tmp_path: Path, block: int):
    assert rows_of(table(tmp_path, written(WESTERN).encode("cp1252"), block=block)) == WESTERN


def test_windows_1252_is_recognised_after_megabytes_of_ascii(tmp_path: Path):
    ascii_rows = [("Anna", "Paris")] * 150_000
    rows = rows_of(table(tmp_path, written([*ascii_rows, *WESTERN]).encode("cp1252"), block=1 << 18))
    assert rows[-4:] == WESTERN


@pytest.mark.parametrize(
    ("encoding", "people"),
    [
        ("cp1251", [("Ирина", "Москва"), ("Пётр", "Омск")]),
        ("cp1253", [("Μαρία", "Αθήνα"), ("Νίκος", "Πάτρα")]),
        ("shift_jis", [("山田", "東京"), ("佐藤", "大阪")]),
        ("gb18030", [("王伟", "北京"), ("李娜", "上海")]),
        ("cp1250", [("Łukasz", "Łódź"), ("Małgorzata", "Wrocław")]),
        ("mac-roman", [("Zoë", "München"), ("Jürgen", "Köln")]),
        ("cp850", [("Zoë", "München"), ("Jürgen", "Köln")]),
        ("koi8-r", [("Ирина", "Москва"), ("Пётр", "Омск")]),
    ],
)
def test_another_encoding_is_refused_unless_it_is_named(tmp_path: Path, encoding: str, people: list[tuple[str, str]]):
    content = written(people).encode(encoding)
    error = refusal(table(tmp_path, content))
    assert error.code == "source.encoding"
    assert "encoding:" in (error.hint or "")
    assert error.line is not None
    assert rows_of(table(tmp_path, content, encoding=encoding, block=5)) == people


def test_one_wrong_byte_in_utf_8_is_refused_with_its_line_and_never_turns_the_rest(tmp_path: Path):
    content = written(PEOPLE * 20, newline="\n").encode() + b"Zo\xeb,x\n" + written(PEOPLE).encode()
    for block in (64, 1 << 20):
        error = refusal(table(tmp_path, content, block=block))
        assert (error.code, error.line) == ("source.encoding", 102)


def test_a_wrong_byte_after_megabytes_is_refused_with_its_line(tmp_path: Path):
    content = b"first,city\nZo\xc3\xab,x\n" + b"Anna,Paris\n" * 200_000 + b"Zo\xeb,x\n" + b"Bo,y\n" * 1000
    error = refusal(table(tmp_path, content, block=1 << 18))
    assert (error.code, error.line) == ("source.encoding", 200_003)


def test_a_byte_that_windows_1252_lacks_is_refused_with_its_line(tmp_path: Path):
    content = written(WESTERN * 30, newline="\n").encode("cp1252") + b"a\x81,x\n"
    assert refusal(table(tmp_path, content)).line == 122
    assert refusal(table(tmp_path, content, encoding="cp1252", block=50)).line == 122


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "shift_jis", "gb18030"])
def test_a_text_cut_inside_a_character_is_refused(tmp_path: Path, encoding: str):
    content = "名,x\n東,y\n東".encode(encoding)[:-1]
    assert refusal(table(tmp_path, content, encoding=encoding)).line == 3


def test_utf_32_is_refused(tmp_path: Path):
    assert refusal(table(tmp_path, "a,b\n1,2\n".encode("utf-32"))).code == "source.encoding"


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13"])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, encoding: str):
    with pytest.raises(ConfigError) as caught:
        table(tmp_path, "a,b\n", encoding=encoding).columns()
    assert caught.value.code == "config.encoding"


# --- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("a,b\n1,2\n3\n4,5\n", 3, "source.fields"),
        ("a,b\n1,2\n3,4,5\n4,5\n", 3, "source.fields"),
        ("a,b\n1,2\n3,4,\n", 3, "source.fields"),
        ("a,b\n1\n2,3,4\n", 2, "source.fields"),
        ('a,b\n"x\ny",2\n3\n', 4, "source.fields"),
        ('a,b\n"x\ny"\n', 2, "source.fields"),
        ("a\n1,2\n", 2, "source.fields"),
        ('a,b\n1,"2\n3,4\n', 2, "source.quotes"),
        ('a,b\n"p\nq","2\n3,4\n', 3, "source.quotes"),
        ('a,b\n1,"2"x\n3,4\n', 2, "source.quotes"),
        ('a,b\n1,2\n"a\nb" ,4\n', 3, "source.quotes"),
        ('a,b\n1,"say \\"x\\""\n', 2, "source.quotes"),
        ('a,b\n1,"2\n3,"4"\n', 2, "source.quotes"),
        ('"a", "b"\n"1", "2"x\n', 2, "source.quotes"),
        ("a,b\n1,2\nx\ry,2\n", 3, "source.text"),
        ("a,b\n1,2\n\0,2\n", 3, "source.text"),
        ("a,b,a\n1,2,3\n", 1, "source.header"),
        ("\n a , a\n", 2, "source.header"),
        (",\n1,2\n", 1, "source.header"),
        ("ann@example.com,Ann\nbo@example.com,Bo\n", 1, "source.header"),
        ('a,"b\n1,2\n', 1, "source.quotes"),
        ("", 1, "source.empty"),
        ("\r\n\n", 1, "source.empty"),
        ("\ufeff", 1, "source.empty"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("block", [1, 9, 1 << 20])
def test_what_cannot_be_read_right_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, code: str, block: int
):
    error = refusal(table(tmp_path, text, block=block))
    assert (error.line, error.code) == (line, code), error
    assert error.file == str(tmp_path / "profiles.csv")
    assert error.exit_code == 3


def test_a_quote_that_never_closes_is_refused_without_reading_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("connector.profiles.tables.RECORD_BYTES", 10_000)
    file = table(tmp_path, 'a,b\n1,2\n3,"4\n' + "5,6\n" * 100_000, block=4096)
    error = refusal(file)
    assert (error.line, error.code) == (3, "source.quotes")


def test_a_space_before_a_quote_late_in_the_file_is_refused_with_its_line(tmp_path: Path):
    many = "1,2\n" * 20_000
    assert refusal(table(tmp_path, "a,b\n" + many + '3, "4"\n')).line == 20_002
    assert rows_of(table(tmp_path, "a,b\n" + many + '3," ""4"\n'))[-1] == ("3", ' "4')


def test_a_table_that_is_plainly_right_is_not_read_record_by_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("connector.profiles.tables.exact_records", None)
    file = table(tmp_path, 'a,b,c\n1,"x\ny,""z""",\n,é,"3"\n', block=1)
    assert rows_of(file, "c", "b") == [(None, 'x\ny,"z"'), ("3", "é")]


def test_a_doubtful_record_may_be_longer_than_what_is_looked_at_closely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("connector.profiles.tables.EXACT_BYTES", 100)
    long = "long\n" * 300
    file = table(tmp_path, f'a,b\n1,2\n5" pipe,"{long}"\n3,4\n', block=64)
    assert rows_of(file) == [("1", "2"), ('5" pipe', long), ("3", "4")]


def test_what_polars_will_not_parse_is_read_record_by_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise pl.exceptions.ComputeError(CANARY)

    monkeypatch.setattr(pl, "read_csv", refuse)
    assert rows_of(table(tmp_path, 'a,b\n1,"x\ny"\n')) == [("1", "x\ny")]


def test_text_compressed_with_zstandard_is_refused_where_python_cannot_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "compression", None)
    with pytest.raises(ConfigError) as caught:
        table(tmp_path, b"\x28\xb5\x2f\xfd rest").columns()
    assert caught.value.code == "config.zstandard"


def test_text_compressed_with_zstandard_is_read_where_python_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Python's own reader, from 3.14 on, takes a stream and has read(): stood in for here.
    zstandard = ModuleType("compression.zstd")
    zstandard.ZstdFile = lambda stream: io.BytesIO(stream.read(6)[4:] + stream.read(99))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compression", ModuleType("compression"))
    monkeypatch.setitem(sys.modules, "compression.zstd", zstandard)
    assert rows_of(table(tmp_path, b"\x28\xb5\x2f\xfda,b\n1,2\n")) == [("1", "2")]


def test_a_spreadsheet_is_refused(tmp_path: Path):
    assert refusal(table(tmp_path, b"PK\x03\x04rest of a workbook")).code == "source.format"


def test_a_damaged_gzip_file_is_refused(tmp_path: Path):
    whole = gzip.compress(b"a,b\n" + b"".join(b"%d,x\n" % (n * n) for n in range(10_000)))
    damaged = whole[:5000] + b"zzzz" + whole[5004:]
    for content in (whole[:-9], whole[:4000], damaged):
        assert refusal(table(tmp_path, content, name="profiles.csv.gz", block=4096)).code == "source.damaged"


@pytest.mark.parametrize("module", ["gzip", "bz2", "lzma"])
def test_compressed_text_is_read_whatever_it_is_called(tmp_path: Path, module: str):
    content = __import__(module).compress(written(PEOPLE).encode("utf-16"))
    assert rows_of(table(tmp_path, content, block=10)) == PEOPLE


# --- nothing leaks -----------------------------------------------------------------------------------------------------


def everything_said(error: BaseException) -> str:
    said, seen = "", set()
    queue: list[BaseException | None] = [error]
    while queue:
        each = queue.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        said += f"{each!s} {each!r} {each.args} {vars(each)}"
        queue += [each.__cause__, each.__context__]
    return said


@pytest.mark.parametrize(
    "content",
    [
        f"email,b\n{CANARY}\n",
        f"email,b\n{CANARY},1,2\n",
        f'email,b\n"{CANARY},1\n',
        f'email,b\n"{CANARY}"x,1\n',
        f"email,b\n{CANARY}\r,1\n",
        f"email,b\n{CANARY}\0,1\n",
        f"{CANARY},{CANARY}\n",
        f"a,{CANARY}\n1,2\n",
        f"Ringelnatz,Ringelnatz\n{CANARY},1\n",
        f"email,b\n{CANARY},\u00e9\n".encode() + b"\xe9,1\n",
        f"email,b\n{CANARY},".encode() + b"\x81\x81\xe9\xe9\xe9\n",
        f"email,b\n{CANARY},1\n".encode("utf-16")[:-1],
    ],
)
def test_no_cell_is_in_any_error(tmp_path: Path, content: bytes | str):
    said = everything_said(refusal(table(tmp_path, content)))
    assert "profiles.csv" in said
    assert CANARY not in said
    assert "ringelnatz" not in said.lower()


# --- whatever people write ---------------------------------------------------------------------------------------------

CELLS = st.text(st.sampled_from("abcé漢 ,;\t|\"\n'0."), max_size=6)


@st.composite
def tables(draw: st.DrawFn):
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8))
    return width, rows


def dumped(width: int, rows: list[Any], *, separator: str, newline: str, quoting: int) -> tuple[str, list[int]]:
    """Write a table, and say on which physical line each record begins."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator=newline, quoting=quoting)
    starts, line = [], 1
    for row in [[f"c{n}" for n in range(width)], *rows]:
        starts.append(line)
        before = out.tell()
        writer.writerow(row)
        out.seek(before)
        line += out.read().count("\n")
    return out.getvalue(), starts


DIALECTS = st.fixed_dictionaries(
    {
        "separator": st.sampled_from(",;\t|"),
        "newline": st.sampled_from(["\n", "\r\n"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    }
)


@ANY_FOLDER
@given(
    made=tables(),
    dialect=DIALECTS,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    block=st.sampled_from([1, 2, 5, 17, 1 << 20]),
    ended=st.booleans(),
)
def test_what_csv_writes_is_read_back(
    tmp_path: Path, made: tuple[int, list[list[str]]], dialect: dict[str, Any], encoding: str, block: int, ended: bool
):
    width, rows = made
    text, _ = dumped(width, rows, **dialect)
    if not ended:
        text = text.removesuffix(dialect["newline"])
    file = table(tmp_path, text.encode(encoding), block=block, encoding=encoding, separator=dialect["separator"])
    assert rows_of(file) == [tuple(cell or None for cell in row) for row in rows]


@ANY_FOLDER
@given(
    made=tables(),
    dialect=DIALECTS,
    block=st.sampled_from([1, 5, 17, 1 << 20]),
    at=st.integers(0, 7),
    more=st.booleans(),
)
def test_a_ragged_record_anywhere_is_refused_with_its_line(
    tmp_path: Path, made: tuple[int, list[list[str]]], dialect: dict[str, Any], block: int, at: int, more: bool
):
    width, rows = made
    at = min(at, len(rows))
    ragged = ["x"] * (width + 1 if more or width == 1 else width - 1)
    text, starts = dumped(width, [*rows[:at], ragged, *rows[at:]], **dialect)
    error = refusal(table(tmp_path, text, block=block, separator=dialect["separator"]))
    assert (error.code, error.line) == ("source.fields", starts[at + 1])


@ANY_FOLDER
@given(text=st.text(st.sampled_from('ab,"\n\r'), max_size=40), block=st.sampled_from([1, 3, 1 << 20]))
def test_any_text_is_read_as_csv_reads_it_or_refused(tmp_path: Path, text: str, block: int):
    file = table(tmp_path, "c1,c2\n" + text, block=block, separator=",")
    records: list[list[str]] | None
    try:
        lines = io.StringIO("c1,c2\n" + text, newline="\n")
        records = [record for record in csv.reader(lines, strict=True, skipinitialspace=False) if record][1:]
    except csv.Error:
        records = None
    if records is None or any(len(record) != 2 for record in records):
        assert refusal(file).line is not None
    else:
        assert rows_of(file) == [tuple(cell or None for cell in record) for record in records]


def test_block_borders_and_a_doubtful_line_change_nothing_in_a_large_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    chance = random.Random(7)
    rows = [(str(n), chance.choice(["a", 'b"c', "d,e", "f\ng", "", "é"]), "x") for n in range(60_000)]
    text, starts = dumped(3, rows, separator=",", newline="\r\n", quoting=csv.QUOTE_MINIMAL)
    doubtful = text.replace("\r\n50000,", '\r\n5" pipe,x,y\r\n50000,')
    expected = [tuple(cell or None for cell in row) for row in rows]
    assert rows_of(table(tmp_path, text, block=50_000)) == expected
    for exact in (1000, 50_000, 1 << 20):
        monkeypatch.setattr("connector.profiles.tables.EXACT_BYTES", exact)
        found = rows_of(table(tmp_path, doubtful, block=200_000))
        assert found == [*expected[:50_000], ('5" pipe', "x", "y"), *expected[50_000:]]
    ragged = doubtful.replace("\r\n59000,", "\r\n1,2,3,4\r\n59000,")
    assert refusal(table(tmp_path, ragged, block=200_000)).line == starts[59_001] + 1

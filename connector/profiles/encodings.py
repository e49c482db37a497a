"""Bytes of a text file as UTF-8, with its lines counted.

Owns which encoding a file is in and what an undecodable byte means. Must not know what the text is (a table, JSON).
No message here holds a byte of the file.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import polars as pl

from connector.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from codecs import IncrementalDecoder

SAMPLE_BYTES: Final = 1 << 20
"""How much of a file is looked at to recognise its encoding."""

_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_UTF32_BOMS: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_NEWLINE: Final = ord("\n")
_HINT: Final = "Say which encoding the file is in: from: {path: …, encoding: cp1252}."

_HIGH: Final = re.compile(rb"[\x80-\xff]")
_UTF8_CHARACTER: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
# What Western European words do not hold: three letters beyond ASCII in a row (Cyrillic, Greek, Chinese, Japanese), a
# sign such as ³, ” or ¿ between two letters (Polish, Czech, DOS), or an accented capital inside a word
# (classic Mac OS).
_NOT_WESTERN: Final = re.compile(
    rb"[\x80-\xff]{3,}"
    rb"|(?<=[A-Za-z])[\x8a\x8c\x8e\x9f\xc0-\xd6\xd8-\xde](?=[a-z])"
    rb"|(?<=[A-Za-z\xc0-\xff])[\x80\x82\x84-\x87\x89\x8b\x93-\x95\x98\x99\x9b\xa1-\xa9\xab\xac\xae-\xb3\xb5\xb6\xb8\xb9\xbb-\xbf\xd7\xf7](?=[A-Za-z\xc0-\xff])"
)


class Readable(Protocol):
    """Bytes, read from front to back."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, nothing at the end."""


class Utf8Stream:
    r"""Reads a text file front to back as UTF-8 bytes, without a byte-order mark, with ``\n`` for a lone ``\r``.

    Args:
        raw: The file's own bytes; read once, never sought.
        name: The file, for messages.
        encoding: A Python codec, or ``None`` to recognise it.

    Raises:
        ConfigError: ``encoding`` is no text encoding.
        SourceError: ``source.encoding``, with the line of the first byte that cannot be read.
    """

    def __init__(self, raw: Readable, *, name: str, encoding: str | None = None) -> None:
        self._raw = raw
        self._name = name
        sample = _read_fully(raw, SAMPLE_BYTES)
        # Classic Mac OS and some exports of old programs end lines with \r alone.
        self._line_end = b"\r" if b"\r" in sample and b"\n" not in sample else b"\n"
        codec, bom = _announced(sample, name=name, encoding=encoding)
        self._ahead = io.BytesIO(sample)
        self._ahead.seek(bom)
        self._settle(codec)
        self._lines = 0
        self._tail = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return about ``size`` bytes of UTF-8, always whole characters; nothing only at the end of the file."""
        out = b""
        while not out and not self._ended:
            data = self._take(size)
            self._ended = not data
            out = self._decoded(data)
        if self._line_end == b"\r":
            out = out.replace(b"\r", b"\n")
        self._lines += newlines(out)
        return out

    def _settle(self, codec: str | None) -> None:
        """Take ``codec`` for the rest of the file; ``None`` leaves it open for as long as all is ASCII."""
        self._codec = codec
        self._decoder: IncrementalDecoder | None = None
        if codec not in {None, "utf-8"}:
            self._decoder = codecs.getincrementaldecoder(str(codec))("strict")

    def _take(self, size: int) -> bytes:
        data = self._ahead.read(size)
        if len(data) < size:
            data += _read_fully(self._raw, size - len(data))
        if self._codec is None and not data.isascii():
            rest = self._ahead.read()
            rest += _read_fully(self._raw, SAMPLE_BYTES - len(data) - len(rest))
            self._ahead = io.BytesIO(rest)
            self._settle(self._recognised(data + rest))
        return data

    def _recognised(self, sample: bytes) -> str:
        codec = recognise(sample)
        if codec is None:
            first = _NOT_WESTERN.search(sample)
            raise SourceError(
                "is not UTF-8 and does not read as Windows-1252 (cp1252) either",
                code="source.encoding",
                hint=_HINT,
                file=self._name,
                line=self._lines + sample[: first.start() if first else 0].count(self._line_end) + 1,
            )
        return codec

    def _decoded(self, data: bytes) -> bytes:
        if self._decoder is not None:
            return self._transcoded(self._decoder, data)
        data = self._tail + data
        if data.isascii():
            self._tail = b""
            return data
        used, bad = _utf8_prefix(data, final=self._ended)
        if bad is not None:
            raise self._undecodable("UTF-8", data[:bad].count(self._line_end))
        self._tail = data[used:]
        return data[:used]

    def _transcoded(self, decoder: IncrementalDecoder, data: bytes) -> bytes:
        text, read = _decode(decoder, data, final=self._ended)
        if text is not None:
            return text.encode()
        good = read.decode(str(self._codec), "replace")
        raise self._undecodable(str(self._codec), good.count(self._line_end.decode()))

    def _undecodable(self, codec: str, lines: int) -> SourceError:
        return SourceError(
            f"a byte on this line is not {codec}",
            code="source.encoding",
            hint=_HINT,
            file=self._name,
            line=self._lines + lines + 1,
        )


def recognise(sample: bytes) -> str | None:
    """Say whether bytes without byte-order mark and NUL are UTF-8 or Windows-1252; ``None`` if they are neither.

    A mostly valid UTF-8 sample is called UTF-8, so that its one broken byte is refused with its line and the rest is
    not turned into ``Ã©``.

    >>> recognise("Zoë".encode()), recognise("Zoë".encode("cp1252")), recognise("Зоя".encode("cp1251"))
    ('utf-8', 'cp1252', None)
    """
    _, bad = _utf8_prefix(sample, final=False)
    if bad is None:
        return "utf-8"
    high = len(_HIGH.findall(sample))
    covered = sum(len(character) for character in _UTF8_CHARACTER.findall(sample))
    if 2 * covered > high:
        return "utf-8"
    strange = sum(len(_HIGH.findall(match)) for match in _NOT_WESTERN.findall(sample))
    return None if 10 * strange > high else "cp1252"


def newlines(data: bytes) -> int:
    """Count newlines; seven times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == _NEWLINE))


def _announced(sample: bytes, *, name: str, encoding: str | None) -> tuple[str | None, int]:
    """Return the codec that the configuration, a byte-order mark or NULs announce, and the length of the mark."""
    if encoding is not None:
        codec = _codec_named(encoding)
    elif sample.startswith(_UTF32_BOMS):
        raise SourceError("is UTF-32, which connector does not read", code="source.encoding", file=name)
    else:
        codec = None
    for bom, announced in _BOMS:
        if sample.startswith(bom) and codec in {None, "utf-8", "utf-8-sig", "utf-16", announced}:
            return announced, len(bom)
    if codec == "utf-16":
        return "utf-16-le", 0
    if codec is None and b"\0" in sample:
        return _utf16_without_bom(sample), 0
    return codec, 0


def _codec_named(encoding: str) -> str:
    try:
        b"a".decode(encoding, "ignore")
        return codecs.lookup(encoding).name
    except LookupError:
        pass
    raise ConfigError(
        f'"{encoding}" is no text encoding',
        code="config.encoding",
        hint="For example utf-8, utf-16, cp1252, latin-1, cp1250, shift_jis, gb18030.",
    )


def _utf16_without_bom(sample: bytes) -> str | None:
    """Recognise UTF-16 by where its NULs stand; a stray NUL in an 8-bit file is not enough."""
    codec = "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    try:
        text = sample[: len(sample) & ~1].decode(codec, "strict")
    except UnicodeDecodeError as exc:
        # The sample may end inside a surrogate pair.
        text = sample[: exc.start].decode(codec) if exc.start >= len(sample) - 3 else "\0"
    if "\0" in text:
        return None
    mostly_latin = 4 * sample.count(0) >= len(sample)
    return codec if mostly_latin or 2 * text.count("\n") >= sample.count(b"\n") > 0 else None


def _utf8_prefix(data: bytes, *, final: bool) -> tuple[int, int | None]:
    """Return how many bytes are whole UTF-8 characters, and where the first wrong byte stands."""
    # polars validates six times as fast as Python decodes, but does not say where.
    whole = len(data) if final else _whole_characters(data)
    if _polars_reads(data[:whole]):
        return whole, None
    wrong = 0
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        wrong = exc.start
    return 0, wrong


def _polars_reads(data: bytes) -> bool:
    try:
        pl.Series([data], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True


def _whole_characters(data: bytes) -> int:
    """Return the length of the data without the beginning of a character at its end."""
    for back, byte in enumerate(reversed(data[-3:]), 1):
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < length else len(data)
        if byte < 0x80:
            break
    return len(data)


def _decode(decoder: IncrementalDecoder, data: bytes, *, final: bool) -> tuple[str | None, bytes]:
    """Decode, or return what could be read before the wrong byte. The exception itself holds cells: it ends here."""
    try:
        return decoder.decode(data, final), b""
    except UnicodeDecodeError as exc:
        return None, bytes(exc.object[: exc.start])


def _read_fully(raw: Readable, size: int) -> bytes:
    """Read ``size`` bytes unless the file ends first: compressed and remote files answer with less than asked for."""
    pieces: list[bytes] = []
    while size > 0 and (piece := raw.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)

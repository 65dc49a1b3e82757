"""Files as bytes and lines, before anything is known of their format."""

import codecs
from collections.abc import Iterator

from auditor.audits import InputFile
from auditor.errors import InputError, printable

#: A row that is longer is refused: mostly a quote that was never closed.
MOST_ROW_BYTES = 16 * 1024**2


def is_utf8(file: InputFile) -> bool:
    """Whether all bytes of a file are UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with file.path.open("rb") as stream:
            while block := stream.read(MOST_ROW_BYTES):
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def lines(file: InputFile) -> Iterator[bytes]:
    """Lines of a file, without a byte order mark.

    Raises
    ------
    InputError
        If a line is longer than `MOST_ROW_BYTES`.
    """
    with file.path.open("rb") as stream:
        row = 0
        while line := stream.readline(MOST_ROW_BYTES + 1):
            row += 1
            if len(line) > MOST_ROW_BYTES:
                raise InputError(f"The line has more than {MOST_ROW_BYTES // 1024**2} MiB", file=file.name, row=row)
            yield line.removeprefix(b"\xef\xbb\xbf") if row == 1 else line


def first_line(error: BaseException) -> str:
    """What an error says, as one short printable line."""
    return printable((str(error).splitlines() or [type(error).__name__])[0], 160)

"""Files that hold no plain text: how they are recognized, and what to do with each kind."""

from __future__ import annotations

_TABLE = "save it as CSV UTF-8 (.csv) in the program that wrote it"
_EXPORT = "export it as .csv, .jsonl or .parquet"
_UNPACK = "unpack it and name the files inside"
_TEXT = "save it as plain text in UTF-8 (.txt), one sentence per line"

# Kind: (what it is, what to do).
KINDS = {
    "spreadsheet": ("a spreadsheet", _TABLE),
    "document": ("a word processor's document", _TEXT),
    "pdf": ("a PDF document", "extract its text, for example with `pdftotext`"),
    "archive": ("an archive", _UNPACK),
    "zip": ("a ZIP archive or an Office file", f"{_UNPACK}, or save it as CSV UTF-8 (.csv)"),
    "database": ("a database", _EXPORT),
    "data": ("a binary data file", _EXPORT),
    "pickle": ("a pickle, which can hold code and is never read", _EXPORT),
    "parquet": ("a Parquet file", "give it a name that ends in .parquet"),
    ".gz": ("compressed by gzip", "give it a name that ends in .gz, or unpack it"),
    ".xz": ("compressed by xz", "give it a name that ends in .xz, or unpack it"),
    ".bz2": ("compressed by bzip2", "give it a name that ends in .bz2, or unpack it"),
    ".zst": ("compressed by zstd", "give it a name that ends in .zst, or unpack it"),
}
# Without endings that are languages too, such as .pt: their content tells.
ENDINGS = {
    ending: kind
    for kind, endings in {
        "spreadsheet": ".xlsx .xls .xlsm .xlsb .ods",
        "document": ".docx .doc .odt .rtf",
        "pdf": ".pdf",
        "archive": ".zip .tar .tgz .tbz2 .txz .7z .rar",
        "database": ".db .sqlite .sqlite3 .mdb .accdb",
        "data": ".npy .npz .arrow .feather .orc .avro .h5 .hdf5 .safetensors .sav .dta .rds",
        "pickle": ".pkl .pickle .joblib",
    }.items()
    for ending in endings.split()
}
# (place in the file, the bytes there, kind); no UTF-8 text of sentences begins so.
_SIGNS = (
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheet"),  # .xls and .doc
    (0, b"%PDF-", "pdf"),
    (0, b"{\\rtf", "document"),
    (0, b"\x1f\x8b\x08", ".gz"),
    (0, b"\xfd7zXZ\x00", ".xz"),
    (4, b"1AY&SY", ".bz2"),
    (0, b"\x28\xb5\x2f\xfd", ".zst"),
    (0, b"7z\xbc\xaf\x27\x1c", "archive"),
    (0, b"Rar!\x1a\x07", "archive"),
    (257, b"ustar", "archive"),
    (0, b"PAR1", "parquet"),
    (0, b"ARROW1\x00", "data"),
    (0, b"\x93NUMPY", "data"),
    (0, b"\x89HDF", "data"),
    (0, b"SQLite format 3\x00", "database"),
    (0, b"\x80\x04\x95", "pickle"),
    (0, b"\x80\x05\x95", "pickle"),
)
_IN_A_ZIP = {
    b"xl/": "spreadsheet",
    b"opendocument.spreadsheet": "spreadsheet",
    b"word/": "document",
    b"opendocument.text": "document",
}


def kind_of(head: bytes) -> str | None:
    """The kind of a file that begins with `head`; None if it may be text."""
    for place, sign, kind in _SIGNS:
        if head.startswith(sign, place) and not (kind == "parquet" and b"\0" not in head):
            inside = (found for name, found in _IN_A_ZIP.items() if name in head)
            return next(inside, kind) if kind == "zip" else kind
    return None

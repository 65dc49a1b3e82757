"""A report as a tagged PDF (PDF/UA-1) through typst; the same content gives the same bytes."""

import json
from dataclasses import asdict
from datetime import datetime

from auditor.errors import AuditorError
from auditor.report.blocks import Content
from auditor.resources import resource


def pdf(content: Content) -> bytes:
    """The report as PDF bytes. Texts go in as data, so that none of them is taken for typst markup.

    Raises
    ------
    AuditorError
        If typst cannot set it.
    """
    import typst

    try:
        made = typst.compile(
            resource("report", "report.typ"),
            root=resource("report"),
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards="ua-1",
            timestamp=datetime.fromisoformat(content.time).replace(microsecond=0),
            sys_inputs={"content": json.dumps(asdict(content), ensure_ascii=False)},
        )
    except typst.TypstError as error:
        raise AuditorError(f"The PDF could not be set: {error.message}.") from error
    if not isinstance(made, bytes):
        raise AuditorError("The PDF could not be set: typst gave no document.")
    return made

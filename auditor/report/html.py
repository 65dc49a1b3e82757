"""A report as one HTML file: no network, no script, figures inline."""

from auditor.report.blocks import Content
from auditor.resources import resource


def html(content: Content) -> str:
    """The report as HTML text; everything but the figures, which we drew, is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(resource("report")), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2").render(content=content)

"""The one Jinja environment, for the HTML in templates/.

It escapes every value that is not `markupsafe.Markup`, and a template that names a
value it was not given raises an error.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("zoo.study.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Return a template's text with these values in it."""
    return _environment().get_template(template).render(values)


def verbatim(name: str) -> Markup:
    """Return a file of templates/ as it is: the style sheet, the script."""
    return Markup((Path(__file__).parent / "templates" / name).read_text("utf-8"))

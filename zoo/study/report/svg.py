"""SVG as strings: elements that escape their texts, and the frame of a chart."""

from __future__ import annotations

from markupsafe import Markup, escape

WIDTH = 360.0  # of every chart, in its own units


def element(tag: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element. Escapes children and attributes that are not Markup.

    An underscore in an attribute's name is written as a hyphen, and dropped at the end
    (`class_`). Floats get one decimal. An attribute that is None is left out.
    """
    start = tag
    for name, value in attributes.items():
        if value is not None:
            name = name.rstrip("_").replace("_", "-")
            value = f"{value:.1f}" if isinstance(value, float) else value
            start += f' {name}="{escape(value)}"'
    if not children:
        return Markup(f"<{start}/>")
    inner = "".join(map(escape, children))
    return Markup(f"<{start}>{inner}</{tag}>")


def image(title: str, height: float, *children: str) -> Markup:
    """Return the <svg> of a chart; screen readers read its title aloud."""
    return element(
        "svg",
        element("title", title),
        element("desc", "All numbers are in the table at the end of the page."),
        *children,
        role="img",
        tabindex="0",
        aria_label=title,
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
    )


def text(x: float, y: float, words: str, kind: str = "") -> Markup:
    """Return a line of text; `kind` is its class in the style sheet."""
    return element("text", words, x=float(x), y=float(y), class_=kind or None)


def path(d: str, kind: str | None = None, **attributes: str | float | None) -> Markup:
    """Return a path; `kind` is its class in the style sheet."""
    return element("path", class_=kind, **attributes, d=d)

"""The report of a study for people: one HTML file that needs nothing but a browser.

Pictures, style and script are inside the file. It opens from a disk with no network,
prints on A4, and can be sent to somebody. Every text that comes from a file is escaped.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from ..results import Study
from . import jinja
from .diff import changes
from .marks import patterns, swatch
from .parts import Part, Section
from .rows import Styles, mapping, styles_of, views_of
from .sections import CHARTS, NUMBERS, TABLES
from .summary import summary
from .words import moment


class Command(NamedTuple):
    """The command that started a study."""

    study: str
    command: str
    reason: str  # why it is not known, or ""


def render(studies: Sequence[Study]) -> str:
    """Return the report of one study, or of several side by side, as HTML.

    Args:
        studies: studies as read from their folders, or as just measured. Rows of one
            study from two machines are shown apart, for their times do not mix.
    """
    views = views_of(studies)
    styles = styles_of(views)
    several = len(views) > 1
    parts = [Part(v.label if several else "", summary(v, styles)) for v in views]
    sections = [Section("summary", "In short", "", "summary.html", parts)]
    missing = []
    for topic in (*CHARTS, *TABLES):
        if section := topic.section(views, styles):
            sections.append(section)
        elif topic.absent:
            missing.append(f"“{topic.title}” ({topic.absent})")
    sections.append(_again(studies))
    if numbers := NUMBERS.section(views, styles):
        sections.append(numbers)
    title = " and ".join(dict.fromkeys(study.label for study in studies))
    about = dict.fromkeys(text for study in studies if (text := _about(study)))
    return _page(title, list(about), sections, missing, styles)


def render_diff(before: Study, after: Study) -> str:
    """Return what changed from one study to another, as HTML.

    Args:
        before: the older study.
        after: the newer study. Times are paired by network, framework, mode and batch
            size, and the first machine of the one with the first of the other.
    """
    old, new = views_of([before]), views_of([after])
    styles = styles_of([*old, *new])
    title = f"What changed from {before.label} to {after.label}"
    if before.label == after.label:
        title = f"What changed between two runs of {before.label}"
    sections = [*changes(old, new, styles), _again([before, after])]
    return _page(title, [], sections, [], styles)


def _about(study: Study) -> str:
    about = str(study.info.get("description") or "")
    created = moment(study.info.get("created"))
    return " ".join(filter(None, [about, created and f"Started {created}."]))


def _again(studies: Sequence[Study]) -> Section:
    """Return the section with the commands that measured what is shown."""
    parts = [Part("", _command(study)) for study in studies]
    return Section("do-it-again", "Do it again", "", "commands.html", parts)


def _command(study: Study) -> Command:
    command = study.info.get("command")
    if isinstance(command, list):
        command = shlex.join(map(str, command))
    if not command:
        reason = "study.json is missing"
        if study.info:
            reason = "the study was not started from the command line"
        return Command(study.label, "", reason)
    version = mapping(study.info.get("zoo")).get("version")
    label = study.label + (f" (zoo {version})" if version else "")
    return Command(label, str(command), "")


def _page(
    title: str,
    about: Sequence[str],
    sections: Sequence[Section],
    missing: Sequence[str],
    styles: Styles,
) -> str:
    return jinja.render(
        "page.html",
        title=title,
        about=about,
        sections=sections,
        missing=missing,
        series=[(style, swatch(style)) for style in styles.values()],
        patterns=patterns(styles.values()),
        css=jinja.verbatim("page.css"),
        js=jinja.verbatim("page.js"),
    )

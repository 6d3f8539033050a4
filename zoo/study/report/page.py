"""The report of a study for people: one HTML file that needs nothing but a browser.

Pictures, style and script stand inside it, so it opens from a disk with no network,
prints on A4, and can be sent to somebody. Every word that comes from a file is escaped.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from html import escape as e
from pathlib import Path
from string import Template

from ..results import Study
from . import figures, tables, training
from .charts import patterns, swatch
from .diff import changes
from .rows import View, mapping, styles, views
from .words import Styles, moment, summary

Draw = Callable[[View, Styles], list[tuple[str, str]]]
Tell = Callable[[View, Styles], str]

_CHARTS: tuple[tuple[str, str, str, Draw, str], ...] = (
    (
        "step-times",
        "How long one step takes",
        "Bars are medians over the rounds, whiskers their 95 % intervals; shorter is"
        " better. Every chart has a scale of its own.",
        figures.step_times,
        "no step was timed",
    ),
    (
        "ratios",
        "Who is faster than the baseline",
        "Each round's time over the baseline's of the same round: the median and its"
        " 95 % interval. Left of the line is faster; where the interval meets the line"
        " the dot is hollow, and nobody is called faster.",
        figures.ratios,
        "no step was timed beside a baseline",
    ),
    (
        "scaling",
        "How the work done in a second grows with the batch",
        "Examples per second, with 95 % intervals; both axes count in factors. A line"
        " that turns flat has used up the machine.",
        figures.scaling,
        "it takes two batch sizes",
    ),
    (
        "share-of-peak",
        "How much of the machine each step uses",
        "The model's multiply-adds, counted from its config, over the step's time, as a"
        " share of the fastest large matrix product of any framework in the same run."
        " Near 100 % the machine is the limit; far below it, it is the framework, or"
        " layers that move memory and hardly compute. Above it stands what an algorithm"
        " such as Winograd's saves: it needs fewer multiplications than are counted.",
        figures.shares,
        "no multiply-adds are counted for these networks",
    ),
    (
        "memory",
        "How much memory it takes",
        "The most that a cell's own process ever held, framework included: the highest"
        " mark over all its batch sizes.",
        figures.memory,
        "nothing was measured",
    ),
    (
        "loss-curves",
        "Do the losses agree, step by step?",
        "Loss of each training step; of a long run, means of some steps. Equal curves"
        " lie on each other, and are drawn from wide to thin.",
        training.losses,
        "the study trains nothing",
    ),
    (
        "networks",
        "How do the networks of this study compare?",
        "Loss of each network of the study, all of them in the first framework. Means"
        " of some steps each.",
        training.networks,
        "",
    ),
    (
        "gradients",
        "How much gradient reaches each layer",
        "Norm of the loss's gradient for each weight matrix, from the input to the"
        " output, before the first step. A line that falls by powers of ten towards the"
        " input is a gradient that vanishes; layers that get exactly 0 are left out.",
        training.gradients,
        "the study trains nothing",
    ),
    (
        "learning",
        "How soon each one has learned",
        "Each evaluation on data not trained on, over the seconds spent in training"
        " steps, compilation included.",
        training.progress,
        "the study trains nothing",
    ),
    (
        "time-to-target",
        "How long training takes to reach the target",
        "Seconds in training steps up to the first evaluation that reached it: of"
        " several seeds the median, with the fastest and the slowest.",
        training.targets,
        "no target was set",
    ),
    (
        "final-scores",
        "How well each one ends, over all seeds",
        "Mean over the seeds with its 95 % interval (Student's); intervals that share"
        " much of their length give no reason to call one better.",
        training.scores,
        "it takes training runs from two seeds",
    ),
)
_PAIRS = (figures.ratios, figures.scaling, figures.shares)  # inference, training
# After the charts: tables, each with what its absence means ("" for not worth a word).
_TABLES: tuple[tuple[str, str, str, Tell, str], ...] = (
    (
        "first-steps",
        "What comes before the first steady step",
        "Import of the framework, building the model, and the first calls, which"
        " compile; and the size of what is saved.",
        tables.first_steps,
        "",
    ),
    (
        "training-runs",
        "What the training runs came to",
        "At the end of the recipe: mean over the seeds, with its interval where there"
        " are several.",
        tables.training,
        "",
    ),
    (
        "parity",
        "Are they the same network?",
        "Each box holds log10 of the worst error, relative to its tensor's scale. The"
        " lighter it is, the further inside the tolerance. Cells with a cross were not"
        " timed.",
        tables.parity,
        "parity was not asked for, or there was nothing to compare with",
    ),
    (
        "environment",
        "Where this was measured",
        "The same for every cell, but for what the settings show side by side.",
        tables.environment,
        "",
    ),
)


def render(studies: Sequence[Study]) -> str:
    """Return the report of one study, or of several side by side, as HTML.

    Args:
        studies: what was read from their folders, or measured just now. Rows of one
            study from two machines are shown apart: times do not mix.
    """
    found = views(studies)
    looks = styles(found)
    names = list(dict.fromkeys(s.label for s in studies))
    parts = [_section("summary", "In short", "", summary(found, looks))]
    missing = []
    for name, title, lead, draw, absent in _CHARTS:
        inner = "".join(_grid(v, draw, looks, len(found) > 1) for v in found)
        if inner:
            parts.append(_section(name, title, lead, inner, _legend(looks)))
        elif absent:
            missing.append(f"“{title}” ({absent})")
    for name, title, lead, tell, absent in _TABLES:
        inner = "".join(_labelled(v, tell(v, looks), len(found) > 1) for v in found)
        if inner:
            parts.append(_section(name, title, lead, inner))
        elif absent:
            missing.append(f"“{title}” ({absent})")
    parts.append(_section("do-it-again", "Do it again", "", _commands(studies)))
    numbers = [_labelled(v, tables.everything(v, looks), len(found) > 1) for v in found]
    inner = "".join(numbers)
    if inner:
        more = f"<details><summary>Show every timing</summary>{inner}</details>"
        parts.append(_section("all-numbers", "All numbers", "", more))
    if missing:
        parts.append(f'<p class="lead">Left out: {e("; ".join(missing))}.</p>')
    about = dict.fromkeys(t for s in studies if (t := _about(s)))
    head = "".join(f"<p>{e(t)}</p>" for t in about)
    return _page(" and ".join(names), head + _contents(parts), parts, looks)


def render_diff(before: Study, after: Study) -> str:
    """Return what changed from one study to another, as HTML.

    Args:
        before: the older one.
        after: the newer one. Times are paired by network, framework, mode and batch
            size, and the first machine of the one with the first of the other.
    """
    old, new = views([before]), views([after])
    looks = styles([*old, *new])
    title = f"What changed from {before.label} to {after.label}"
    if before.label == after.label:
        title = f"What changed between two runs of {before.label}"
    parts = [
        _section(name, heading, lead, inner, _legend(looks) if "<svg" in inner else "")
        for name, heading, lead, inner in changes(old, new, looks)
        if inner
    ]
    parts.append(_section("do-it-again", "Do it again", "", _commands([before, after])))
    return _page(title, _contents(parts), parts, looks)


def _about(study: Study) -> str:
    about = str(study.info.get("description") or "")
    created = moment(study.info.get("created"))
    return " ".join(filter(None, [about, created and f"Begun {created}."]))


def _section(name: str, title: str, lead: str, inner: str, legend: str = "") -> str:
    lead = f'<p class="lead">{e(lead)}</p>' if lead else ""
    top = f'<div class="top"><h2>{e(title)}</h2>{lead}{legend}</div>'
    return f'<section id="{name}">{top}{inner}</section>'


def _labelled(view: View, inner: str, several: bool) -> str:
    return f"<h3>{e(view.label)}</h3>{inner}" if several and inner else inner


def _grid(view: View, draw: Draw, looks: Styles, several: bool) -> str:
    inner = "".join(figure(caption, svg) for caption, svg in draw(view, looks))
    kind = "grid pairs" if draw in _PAIRS else "grid"
    return _labelled(view, inner and f'<div class="{kind}">{inner}</div>', several)


def figure(caption: str, svg: str) -> str:
    """Return a chart with its caption."""
    return f"<figure><figcaption>{e(caption)}</figcaption>{svg}</figure>"


def _legend(looks: Styles) -> str:
    buttons = "".join(
        f'<button type="button" aria-pressed="true" data-key="{style.key}">'
        f"{swatch(style)}{e(style.title)}</button>"
        for style in looks.values()
    )
    return f'<div class="legend" role="group" aria-label="Show or hide">{buttons}</div>'


def _contents(parts: Sequence[str]) -> str:
    """Return links to the sections, by their ids."""
    links = []
    for part in parts:
        if part.startswith("<section"):
            name = part.split('"', 2)[1]
            links.append(f'<a href="#{name}">{name.replace("-", " ").capitalize()}</a>')
    return f'<nav aria-label="Sections">{"".join(links)}</nav>'


def _commands(studies: Sequence[Study]) -> str:
    """Return the exact commands that measured what is shown."""
    told = []
    for study in studies:
        command = study.info.get("command")
        if isinstance(command, list):
            command = shlex.join(map(str, command))
        zoo = mapping(study.info.get("zoo"))
        if command:
            version = f" (zoo {zoo['version']})" if zoo.get("version") else ""
            told.append(
                f"<p>{e(study.label + version)}:</p><pre>{e(str(command))}</pre>"
            )
        else:
            why = "it was not begun by one" if study.info else "study.json is missing"
            told.append(f"<p>The command of {e(study.label)} is not known: {why}.</p>")
    return "".join(told)


def _page(title: str, head: str, parts: Sequence[str], looks: Styles) -> str:
    def part(kind: str) -> str:
        return Path(__file__).with_suffix(kind).read_text("utf-8")

    return Template(part(".html")).substitute(
        title=e(title),
        css=part(".css"),
        js=part(".js"),
        patterns=patterns(looks.values()),
        head=head,
        body="\n".join(parts),
    )

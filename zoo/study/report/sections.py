"""The sections of a study's page: their headings, and what draws each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import figures, heat, tables, training
from .parts import Part, Section
from .rows import Styles, View


class Topic(NamedTuple):
    """A section that is shown if any study has something for it."""

    name: str
    title: str
    lead: str
    content: Callable[[View, Styles], Any]  # falsy if there is nothing to show
    absent: str = ""  # why there may be nothing; "" if that needs no mention
    template: str = "figures.html"
    fold: str = ""

    def section(self, views: Sequence[View], styles: Styles) -> Section | None:
        """Return the section, or None if there is nothing to show."""
        several = len(views) > 1
        parts = [
            Part(view.label if several else "", content)
            for view in views
            if (content := self.content(view, styles))
        ]
        if not parts:
            return None
        legend = self.template in ("figures.html", "wide_figures.html")
        return Section(
            self.name, self.title, self.lead, self.template, parts, legend, self.fold
        )


CHARTS = (
    Topic(
        "step-times",
        "How long one step takes",
        "Bars are medians over the rounds, whiskers their 95 % intervals; shorter is"
        " better. Every chart has a scale of its own.",
        figures.step_times,
        "no step was timed",
    ),
    Topic(
        "ratios",
        "Who is faster than the baseline",
        "Each round's time divided by the baseline's time in the same round: the median"
        " and its 95 % interval. Left of the line is faster. Where the interval touches"
        " the line, the dot is hollow and neither is called faster.",
        figures.ratios,
        "no step was timed beside a baseline",
        "wide_figures.html",
    ),
    Topic(
        "scaling",
        "How throughput grows with the batch size",
        "Examples per second, with 95 % intervals; both axes are logarithmic. Where a"
        " line turns flat, the machine is fully used.",
        figures.scaling,
        "needs two batch sizes",
        "wide_figures.html",
    ),
    Topic(
        "share-of-peak",
        "How much of the machine each step uses",
        "The model's multiply-adds, counted from its config, divided by the step's"
        " time, as a share of the fastest large matrix product of any framework in the"
        " same run. Near 100 %, the machine is the limit. Far below, the limit is the"
        " framework, or layers that move memory and hardly compute. More than 100 % is"
        " possible: algorithms such as Winograd's need fewer multiplications than are"
        " counted.",
        figures.shares,
        "no multiply-adds are counted for these networks",
        "wide_figures.html",
    ),
    Topic(
        "memory",
        "How much memory it takes",
        "Peak memory of each cell's own process, framework included: the largest over"
        " all its batch sizes.",
        figures.memory,
        "nothing was measured",
    ),
    Topic(
        "loss-curves",
        "Do the losses agree, step by step?",
        "Loss of each training step; in a long run, each point is the mean of several"
        " steps. Equal curves lie on each other: the first is drawn widest, the last"
        " thinnest.",
        training.losses,
        "the study trains nothing",
    ),
    Topic(
        "networks",
        "How do the networks of this study compare?",
        "Loss of each network of the study, all in the first framework. Each point is"
        " the mean of several steps.",
        training.networks,
    ),
    Topic(
        "gradients",
        "How much gradient reaches each layer",
        "Norm of the loss's gradient for each weight matrix, from the input to the"
        " output, before the first step. A line that falls by powers of ten towards the"
        " input shows a vanishing gradient. Layers whose gradient is exactly 0 are left"
        " out.",
        training.gradients,
        "the study trains nothing",
    ),
    Topic(
        "learning",
        "How fast each one learns",
        "Every evaluation on held-out data, over the seconds spent in training steps,"
        " compilation included.",
        training.progress,
        "the study trains nothing",
    ),
    Topic(
        "time-to-target",
        "How long training takes to reach the target",
        "Seconds in training steps until the first evaluation that reaches the target."
        " With several seeds: the median, and the fastest and slowest seed.",
        training.targets,
        "no target was set",
    ),
    Topic(
        "final-scores",
        "Final scores over all seeds",
        "Mean over the seeds with its 95 % interval (Student's). Where two intervals"
        " overlap widely, there is no reason to call one better.",
        training.scores,
        "needs training runs with two seeds",
    ),
)

TABLES = (
    Topic(
        "first-steps",
        "What happens before the first steady step",
        "Importing the framework, building the model, and the first calls, which"
        " compile; and the size of the saved weights.",
        tables.first_steps,
        template="tables.html",
    ),
    Topic(
        "training-runs",
        "Results of the training runs",
        "At the end of the recipe: the mean over the seeds, with its interval where"
        " there are several.",
        tables.training,
        template="tables.html",
    ),
    Topic(
        "parity",
        "Are they the same network?",
        "Each box shows log10 of the worst error, relative to its tensor's scale. The"
        " lighter the box, the further the error is inside the tolerance. Cells with a"
        " cross were not timed.",
        heat.parity,
        "parity was not asked for, or there was nothing to compare with",
        "heat_map.html",
    ),
    Topic(
        "environment",
        "Where this was measured",
        "The same for every cell, except for the settings shown side by side.",
        tables.environment,
        template="tables.html",
    ),
)

NUMBERS = Topic(
    "all-numbers",
    "All numbers",
    "",
    tables.everything,
    template="tables.html",
    fold="Show every timing",
)

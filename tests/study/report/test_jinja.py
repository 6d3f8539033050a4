"""The templates' environment."""

import pytest
from jinja2 import UndefinedError

from zoo.study.report import jinja


def test_a_value_that_a_template_misses_is_an_error():
    with pytest.raises(UndefinedError):
        jinja.render("legend.html")

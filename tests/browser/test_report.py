"""A study's report in a real browser: from a file, with no network, wide and narrow."""

import base64
import json
import math
import re
import shutil

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.study_rows import HOSTILE, study
from zoo.study.report import page

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CHARTS = (
    "step-times",
    "ratios",
    "scaling",
    "share-of-peak",
    "memory",
    "loss-curves",
    "networks",
    "gradients",
    "learning",
    "time-to-target",
    "final-scores",
)
COORDINATES = """return [...arguments[0].querySelectorAll('*')].flatMap(m =>
    ['d', 'points', 'x', 'y', 'width', 'height', 'transform', 'stroke-width']
        .map(name => m.getAttribute(name)).filter(Boolean))"""
TABLES = ("first-steps", "training-runs", "parity", "environment", "all-numbers")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium and chromedriver, "apt-get install chromium chromium-driver"
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """The report of one study, of two side by side, and of what changed."""
    one, other = study(), study("server", seeds=(0,), machine="f00d", pace=0.7)
    pages = {
        "one": page.render([one]),
        "two": page.render([one, other]),
        "diff": page.render_diff(other, study("server", seeds=(0,), pace=0.6)),
    }
    folder = tmp_path_factory.mktemp("reports")
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


def opened(browser, uri, width=1280, height=900):
    """Open a page in a window of this size; earlier log entries are dropped."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(uri)


def come_to(browser, element):
    """Scroll to an element and give it the focus; wait until the page has scrolled."""
    script = """arguments[0].scrollIntoView({block: 'center'});
        arguments[0].focus?.({preventScroll: true});
        setTimeout(arguments[1], 100)"""
    browser.execute_async_script(script, element)


def visible(browser, key):
    """Return how many marks of a series can be seen."""
    script = """return [...document.querySelectorAll(`svg[role=img] [data-s="${
        arguments[0]}"]`)].filter(m => m.getClientRects().length).length"""
    return browser.execute_script(script, key)


@pytest.mark.parametrize("name", ("one", "two", "diff"))
def test_opens_without_errors_or_network(browser, reports, name):
    opened(browser, reports[name])
    assert browser.get_log("browser") == []
    asked = []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.append(message["params"]["request"]["url"])
    assert reports[name] in asked  # the log does hold requests
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}


def test_hostile_names_are_only_text(browser, reports):
    opened(browser, reports["one"])
    assert len(browser.find_elements(By.TAG_NAME, "script")) == 1  # the page's own
    assert HOSTILE in browser.find_element(By.ID, "summary").text
    assert HOSTILE in browser.find_element(By.ID, "do-it-again").text


def test_all_charts_are_there_with_finite_numbers(browser, reports):
    opened(browser, reports["one"])
    for name in CHARTS:
        charts = browser.find_elements(By.CSS_SELECTOR, f"#{name} figure svg[role=img]")
        assert charts, name
        for chart in charts:
            box = chart.get_dom_attribute("viewBox").split()
            assert chart.get_attribute("aria-label") and len(box) == 4
            for words in browser.execute_script(COORDINATES, chart):
                numbers = re.sub("[MLHVvhmaz,()]|translate|rotate", " ", words).split()
                assert all(math.isfinite(float(n)) for n in numbers), words
        # Every mark lies inside its picture, but for a pixel of a stroke.
        script = """return [...document.querySelectorAll(arguments[0])].every(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('rect, polyline, path, text')].every(m => {
                const b = m.getBoundingClientRect();
                return b.left > frame.left - 4 && b.right < frame.right + 4
                    && b.top > frame.top - 4 && b.bottom < frame.bottom + 4; }); })"""
        assert browser.execute_script(script, f"#{name} svg[role=img]"), name
    for name in TABLES:
        assert browser.find_elements(By.CSS_SELECTOR, f"#{name} table"), name
    assert "failed parity" in browser.find_element(By.ID, "step-times").text
    assert browser.find_elements(By.CSS_SELECTOR, "#parity td.bad")


@pytest.mark.parametrize("name", ("step-times", "ratios", "loss-curves"))
def test_labels_do_not_lie_on_each_other(browser, reports, name):
    opened(browser, reports["one"])
    script = """return [...document.querySelectorAll(arguments[0])].flatMap(svg => {
        const words = [...svg.querySelectorAll('text')].map(t =>
            [t.textContent, t.getBoundingClientRect()]);
        return words.flatMap(([a, p], i) => words.slice(i + 1).filter(([b, q]) =>
            p.left < q.right - 1 && q.left < p.right - 1
            && p.top < q.bottom - 3 && q.top < p.bottom - 3).map(([b]) => [a, b])); })
        """
    assert browser.execute_script(script, f"#{name} svg[role=img]") == []


@pytest.mark.parametrize("how", ("click", "keyboard"))
def test_legend_hides_and_shows_a_series(browser, reports, how):
    opened(browser, reports["one"])
    button = browser.find_element(By.CSS_SELECTOR, "#ratios .legend button:last-child")
    key, twin = button.get_attribute("data-key"), "#scaling .legend button:last-child"
    before, others = visible(browser, key), visible(browser, "0")
    assert before > 10

    def press():
        if how == "click":
            button.click()
        else:
            browser.execute_script("arguments[0].focus()", button)
            ActionChains(browser).send_keys(Keys.SPACE).perform()

    press()
    assert button.get_attribute("aria-pressed") == "false"
    assert browser.find_element(By.CSS_SELECTOR, twin).get_attribute(
        "aria-pressed"
    ) == ("false")  # every legend of the page follows
    assert visible(browser, key) == 0 and visible(browser, "0") == others
    press()
    assert button.get_attribute("aria-pressed") == "true"
    assert visible(browser, key) == before


def test_tooltip_by_pointer_and_by_keys(browser, reports):
    opened(browser, reports["one"])
    tip = browser.find_element(By.ID, "tip")
    assert not tip.is_displayed()
    bar = browser.find_element(By.CSS_SELECTOR, "#step-times [data-tip] rect")
    come_to(browser, bar)
    ActionChains(browser).move_to_element(bar).perform()
    assert tip.is_displayed() and "95 % interval" in tip.text
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not tip.is_displayed()
    chart = browser.find_element(By.CSS_SELECTOR, "#ratios svg[role=img]")
    come_to(browser, chart)
    ActionChains(browser).send_keys(Keys.ARROW_DOWN).perform()
    assert tip.is_displayed() and "×" in tip.text


@pytest.mark.parametrize("name", ("one", "two", "diff"))
@pytest.mark.parametrize("width", (390, 1280))
def test_nothing_is_wider_than_the_window(browser, reports, name, width):
    opened(browser, reports[name], width)
    script = """document.querySelectorAll('details').forEach(d => d.open = true);
        return document.documentElement.scrollWidth"""
    assert browser.execute_script(script) <= width


def test_prints_on_a4(browser, reports):
    opened(browser, reports["one"])
    wanted = {"preferCSSPageSize": True, "printBackground": True}
    printed = browser.execute_cdp_cmd("Page.printToPDF", wanted)
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") >= 4
    # A4 in points, and no other size.
    sizes = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf))
    assert [(round(float(w)), round(float(h))) for w, h in sizes] == [(595, 842)]

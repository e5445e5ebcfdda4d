"""The report says what the summary says, needs no network, and survives short and empty runs."""
import html.parser
import re
import xml.etree.ElementTree

import pytest

import charts
import report
import sample


class Balanced(html.parser.HTMLParser):
    void = {"meta", "br", "rect", "circle", "line", "path"}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag


def test_page_is_whole_and_opens_without_network():
    page = report.page(sample.summary())
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r'(src|href)\s*=|url\(|@import|<script', page)
    for drawing in re.findall(r"<svg.*?</svg>", page, re.S):
        xml.etree.ElementTree.fromstring(drawing)


def test_every_real_refusal_has_its_incident_card():
    summary = sample.summary()
    page = report.page(summary)
    for entry in summary["refused"]:
        assert entry["incident"] in page
        assert (f'id="{entry["incident"]}"' in page) is not entry["injected"]
    assert "untouched" in page and "91 of 92 days published" in page


def test_words_from_data_are_escaped():
    summary = sample.summary(3)
    summary["refused"] = [dict(sample.summary()["refused"][0], date="2013-10-02", check="<b>", failing_rows=[{"<i>": "<script>"}])]
    page = report.page(summary)
    assert "<script" not in page and "&lt;script&gt;" in page and "<b>" not in page.split("<code>")[1].split("</code>")[0]


@pytest.mark.parametrize("count", [1, 2, 12, 40])
def test_short_runs_draw(count):
    summary = sample.summary(count)
    summary["refused"], summary["warnings"], summary["monitors"] = [], [], []
    assert "<svg" in report.page(summary)


@pytest.mark.parametrize("top", [1, 3, 10, 72, 995, 12345])
def test_ticks_cover_the_values(top):
    steps = charts.ticks(top)
    assert steps[0] == 0 and steps[-1] >= top and 3 <= len(steps) <= 7


def test_sample_and_schema_agree():
    import json
    import pathlib
    flights = pathlib.Path(__file__).resolve().parents[2] / "examples" / "flights"
    schema = json.loads((flights / "summary.schema.json").read_text())
    summary = sample.summary()
    assert set(schema["required"]) <= set(summary) <= set(schema["properties"])

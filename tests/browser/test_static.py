"""A lesson as a web page, without a kernel and without a network: every widget has its picture and its words."""

import re

import nbformat
import pytest
from nbconvert import HTMLExporter

from course_utils.machine import ROOT
from tests.browser.conftest import guarded_page
from tests.browser.test_site import stored_pictures

pytestmark = pytest.mark.browser
LESSONS = [file for folder in ("", "deeper") for file in sorted((ROOT / "notebooks" / folder).glob("[0-9]*.ipynb"))]

# nbconvert's own template drops the alt text of pictures, and asks the network for two scripts.
TEMPLATE = """
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block data_png -%}
<img src="data:image/png;base64,{{ output.data['image/png'] }}" alt="{{ output.metadata['image/png'].alt }}">
{%- endblock -%}
"""


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_widget_has_a_picture_with_alt_text(lesson, browser, tmp_path):
    exporter = HTMLExporter(raw_template=TEMPLATE, embed_images=True)
    notebook = nbformat.read(lesson, as_version=4)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"path": str(lesson.parent)}})
    assert "model not found" not in html.lower()
    (tmp_path / "lesson.html").write_text(html, encoding="utf-8")

    outside = []
    page = guarded_page(browser, outside)
    page.goto((tmp_path / "lesson.html").as_uri())
    images = page.locator("img").all()
    pictures = [(image.get_attribute("alt"), image.evaluate("i => i.naturalWidth")) for image in images]
    assert len(pictures) == len(stored_pictures(notebook))
    assert pictures or lesson.parent.name == "deeper"  # some of these have numbers only
    for alt, width in pictures:
        assert len(alt) > 40
        assert not re.search(r"[<{]", alt)
        assert width > 200
    assert outside == []
    page.context.close()

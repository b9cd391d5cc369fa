"""Tables and links hold any text: nothing in a cell, a link or its address breaks out."""

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from course_utils.learner.markup import html_link, html_table, markdown_link, markdown_table

NASTY = [
    "<b>bold</b>",
    "a & b",
    '"quoted"',
    "it's",
    "</td></tr></table><script>alert(1)</script>",
    "&lt;",
    "",
    "日本 🦜",
]


class Read(HTMLParser):
    """The tags and the texts of a page, as a browser reads them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.cells = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.append(dict(attributes))
        if tag in ("td", "th", "a"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


@pytest.mark.parametrize("text", NASTY)
def test_a_page_shows_what_the_cells_hold(text):
    page = Read(html_table([text, "b"], [["1", text], [text, text]]))
    assert page.tags == ["table", "tr", "th", "th", "tr", "td", "td", "tr", "td", "td"]
    assert page.cells == [text, "b", "1", text, text, text]


@pytest.mark.parametrize("text", NASTY)
def test_a_link_leads_where_it_should(text):
    page = Read(html_link(text, f"../{text}"))
    assert (page.tags, page.attributes, page.cells) == (["a"], [{"href": f"../{text}"}], [text])


@pytest.mark.parametrize("says", ["a [b]", "]", "[", "a | b", "a](http://elsewhere.org)"])
@pytest.mark.parametrize(
    "address", ["x.ipynb", "https://a.org/b_(c)", "a b.ipynb", "a)b", "https://a.org/?x=1&y=2#z%20w"]
)
def test_markdown_links_hold_brackets(says, address):
    page = Read(MarkdownIt().render(markdown_link(says, address)).strip())
    assert page.tags == ["p", "a"]
    assert page.cells == [says]
    encoded = {"(": "%28", ")": "%29", " ": "%20"}
    assert page.attributes[1]["href"] == "".join(encoded.get(letter, letter) for letter in address)


@pytest.mark.parametrize("cell", ["a | b", "`a|b`", r"already \| escaped", "||", "plain"])
def test_a_bar_does_not_end_a_cell(cell):
    page = Read(MarkdownIt().enable("table").render(markdown_table(["one", "two"], [[cell, "x"]])))
    assert page.tags.count("td") == 2
    assert page.cells[2].strip() == cell.replace("\\|", "|").replace("`", "")
    assert page.cells[3].strip() == "x"

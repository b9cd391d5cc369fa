"""How Sphinx makes the website; `course site` runs it on a copy of this folder with the notebooks beside it."""

import sys
from pathlib import Path

project = "LLMs by Hand"
author = "the authors of LLMs by Hand"
html_title = project

extensions = ["myst_nb"]
nb_execution_mode = "off"  # the notebooks were executed before they were stored
nb_merge_streams = True
nb_ipywidgets_js = {}  # the default would be two scripts of other servers
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_heading_anchors = 2

html_theme = "furo"  # light and dark, and every file it needs comes with it
html_use_index = False
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["style.css", "static"]
html_css_files = ["live/widgets.css", "style.css"]
# A page that was opened from a folder may not read other pages: there, a search lists titles only.
_TITLES_ONLY = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
html_js_files = ["live/live.js", (None, {"body": _TITLES_ONLY})]

# The pages about the library, in api/.
sys.path.append(str(Path(__file__).parent))
extensions += ["api_docstrings"]
autodoc_typehints = "description"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
toc_object_entries = False
html_domain_indices = False
html_static_path += ["api.css"]
html_css_files += ["api.css"]


def setup(app):
    """Say of the headings over the lists of pages which level they have: Sphinx calls them headings and doesn't."""
    app.connect("html-page-context", _with_levels, priority=900)  # after the theme has made the lists


def _with_levels(_app, _page, _template, context, _doctree):
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')

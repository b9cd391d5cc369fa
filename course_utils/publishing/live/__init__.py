"""Widgets that are alive on a page without a kernel: `record` keeps them, `assets` makes the page's files of them.

`live.js` is what such a page runs: a stand-in for the widget model that anywidget gives to a widget's `render`.
What a widget does is in `course_utils.widgets`, not here.
"""

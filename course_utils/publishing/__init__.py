"""From sources to what people get: notebooks, pages, website, slides, the bundle for a USB stick.

Only authors and the command line call it; no lesson does.
"""

"""Convolutions on web pages: a ``tconv`` fence for Markdown, and an explorer to play with.

`tconvjax.site.fence` has the hooks for Markdown, and `tconvjax.site.explorer` the element alone.
"""

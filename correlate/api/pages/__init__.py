"""Server-rendered HTML: the start page and the flame graph page."""

"""The monitor: predictions and outcomes so far, read from files, judged, and written as one page."""

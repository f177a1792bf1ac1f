"""What a job found, as one page that opens anywhere."""

from training.report.panel import Panel
from training.report.report import ReportFacts, render

__all__ = ["Panel", "ReportFacts", "render"]

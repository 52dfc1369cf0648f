"""What a stored search looks like: a report in one file, figures, importance of hyperparameters."""

from kt_suite.report.report import plot, write_pictures, write_report

__all__ = ["plot", "write_pictures", "write_report"]

"""``python -m kt_suite``: the command line."""

from __future__ import annotations

from kt_suite.cli import main

if __name__ == "__main__":
    main(prog_name="kt-suite")

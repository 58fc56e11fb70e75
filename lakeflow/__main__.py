"""`python -m lakeflow`: the command line where the script isn't on the path."""

from __future__ import annotations

from lakeflow.cli import main

main()

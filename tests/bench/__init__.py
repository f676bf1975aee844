"""The benchmark: `make bench`, or `python -m tests.bench` from the top of the tree. README.md says what is measured."""

from __future__ import annotations

import sys
from pathlib import Path

# The daemon's API, its configuration and the counting receiver are those of the system tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

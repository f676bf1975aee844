"""`python -m daemon.cli`: the same program where no console script is at hand (`demo` starts its daemon so)."""

from __future__ import annotations

from daemon.cli.root import main

main()

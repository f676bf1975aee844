"""The command line, `tenant-webhooks …`: thin clients of the HTTP API, but for what runs or reads the daemon itself."""

from __future__ import annotations

from daemon.cli.root import main

__all__ = ["main"]

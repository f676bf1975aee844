"""Tenant Webhooks: one process that delivers tenant-scoped events, each exactly once per webhook."""

from importlib.metadata import version

__version__ = version("tenant-webhooks")

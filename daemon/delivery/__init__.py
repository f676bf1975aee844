"""Brings accepted events to webhooks: claims work from the store, attempts each once, reports what happened."""

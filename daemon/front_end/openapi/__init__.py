"""The API as an OpenAPI 3.1 document, made from the table of routes and the types they name. Pure."""

from daemon.front_end.openapi.document import Document, document

__all__ = ["Document", "document"]

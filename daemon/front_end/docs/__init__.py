"""Pages for people, written here from the API's own document: no script, nothing from elsewhere. Pure."""

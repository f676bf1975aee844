"""Everything that is on disk. All SQL lives here; another store may stand behind the same commands one day."""

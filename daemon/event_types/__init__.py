"""Event types: the built-in ones and those of the configuration, in one catalogue. Pure; no room above knows more of a
type than what `EventType` says."""

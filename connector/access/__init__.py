"""May we? Token, gate, partners, on-behalf-of."""

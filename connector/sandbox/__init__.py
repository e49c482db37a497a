"""A faithful Graph API on localhost. It restates Meta's rules for itself and imports no other part of connector."""

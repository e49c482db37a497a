"""Knows Meta: hashed keys and plain ids, nothing raw."""

"""Knows people: raw attributes live here and nowhere else."""

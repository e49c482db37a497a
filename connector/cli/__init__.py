"""One file per verb; render.py holds every print."""

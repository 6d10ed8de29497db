"""Slurm: its directives and its programs."""

"""The linter for batch scripts: what sbatch refuses, and what it accepts with another meaning than the user's.

Each rule is a function in one of the files here, registered under its name; docs/rules/ has a page for each.
"""

"""Chains of jobs: stages on modules of their own, models handed on through a queue of files, a ranking at the end.

`chainfile` says what a chain file may hold, `condition` when a stage begins, `folder` where all of it lies, `start` how
the stages come into a site's queue or run here; `queue` is the hand-over between them, `ranking` their result.
"""

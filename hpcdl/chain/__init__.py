"""Chains of jobs: stages on modules of their own, models handed on through a queue of files, a ranking at the end.

`chainfile` says what a chain file may hold, `condition` when a stage begins, `folder` where all of it lies; `submit` and
`local` start the stages, `queue` is the hand-over between them, `ranking` their result.
"""

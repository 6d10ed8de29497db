"""Chains of jobs: stages on modules of their own, models handed on through a queue of files, a ranking at the end.

`chainfile` says what a chain file may hold, `condition` when a stage begins, `folder` where all lies, `steps` what
is to be started; `submit` does so at a site, `local` here; `queue` is the hand-over, `ranking` the result.
"""

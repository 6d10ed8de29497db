"""How sbatch 22.05.8 reads a batch script: words, options, values, the checks it makes before it asks the controller.

Written from the behaviour of the released program and checked against it script by script
(tests/batch_scripts/test_differential.py); `hpcdl.slurm.directives` is the door.
"""

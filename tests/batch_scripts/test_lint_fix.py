"""Every script that `hpcdl lint --fix` writes is read by the real sbatch as it was meant."""

import pytest
import real_sbatch
from test_lint_pages import example

from hpcdl.slurm.lint import check
from hpcdl.slurm.lint.finding import RULES

VERSION = (22, 5)
# Script -> what sbatch must understand once it is mended.
MEANT = {
    "#!/bin/bash\n#SBATCH -p=gpu\n": {"partition": "gpu"},
    "#!/bin/bash\n#SBATCH -t=10 -N=2\n": {"time": "00:10:00", "nodes": "2"},
    "#!/bin/bash\n#SBATCH -nodes=2\n#SBATCH -output=/x.out\n": {"nodes": "2", "output": "/x.out"},
    "#!/bin/bash\n#SBATCH —nodes=2 –-ntasks=4 –J a\n": {"nodes": "2", "ntasks": "4", "job-name": "a"},
    "#!/bin/bash\n#SBATCH --nodes=2\u00a0--ntasks=4\u00a0\n": {"nodes": "2", "ntasks": "4"},
    "#!/bin/bash\n#SBATCH --job-name=“my job” --nodes=\u200b2\n": {"job-name": "my job", "nodes": "2"},
    "#!/bin/bash\n#SBATCH --job-name=run#3\n": {"job-name": "run#3"},
    "#!/bin/bash\n #SBATCH --nodes=2\n#sbatch --ntasks=4\n": {"nodes": "2", "ntasks": "4"},
    "#!/bin/bash\n#SBTACH --nodes=2\n#BATCH --ntasks=4\n#SBATH: --mem=1G\n": {"nodes": "2", "ntasks": "4", "mem": "1G"},
    "#!/bin/bash\n#!SBATCH --nodes=2\n#SABTCH --ntasks=3\n": {"nodes": "2", "ntasks": "3"},
    "#!/bin/bash\n#SLURM --nodes=2\n": {"nodes": "2"},
    "#!/bin/bash\n#SBATCH --part=gpu --job=a\n": {"partition": "gpu", "job-name": "a"},
    "#!/bin/bash\r\n#SBATCH --nodes=2\r\nhostname\r\n": {"nodes": "2"},
    "\ufeff#!/bin/bash\n#SBATCH --nodes=2\n": {"nodes": "2"},
    "\n  \n#!/bin/bash\n#SBATCH --nodes=2\n": {"nodes": "2"},
    "\ufeff#!/bin/bash\r\n#SBTACH -p=gpu\r\n#SBATCH —mem=1G\r\n": {"partition": "gpu", "mem": "1G"},
}


@pytest.fixture(scope="module")
def sbatch(tmp_path_factory):
    return real_sbatch.start(tmp_path_factory.mktemp("sbatch"))


@pytest.mark.parametrize("script", MEANT)
def test_sbatch_reads_a_mended_script_as_it_was_meant(sbatch, script):
    mended = check.mend(script.encode(), VERSION)
    accepted, options, printed = sbatch.read(mended)
    assert accepted, printed
    options[0].pop("verbose")
    assert options == [MEANT[script]]


@pytest.mark.parametrize("script", MEANT)
def test_nothing_is_left_to_mend(script):
    mended = check.mend(script.encode(), VERSION)
    assert not [finding for finding in check.lint(mended, VERSION) if finding.edits]
    assert check.mend(mended, VERSION) == mended


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_mended_bad_example_is_no_worse(sbatch, rule):
    script = example(rule, "Bad")
    mended = check.mend(script, VERSION)
    if mended == script:
        return
    assert rule not in [finding.rule for finding in check.lint(mended, VERSION)]
    accepted, _, printed = sbatch.read(mended)
    assert accepted, printed

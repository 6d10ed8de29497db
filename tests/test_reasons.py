"""Pending reasons in words: every code that Slurm's page lists is known, or read by its parts."""

import pytest

from hpcdl.slurm.reasons import REASONS, in_words


@pytest.mark.parametrize(
    ("code", "words", "hopeless"),
    [
        ("Resources", "waits for free nodes", False),
        ("DependencyNeverSatisfied", "would wait for ever", True),
        ("PartitionTimeLimit", "longer than its partition allows", True),
        ("(ReqNodeNotAvail, UnavailableNodes:node03)", "UnavailableNodes:node03", True),
        ("QOSGrpNodeLimit", "all jobs of its QOS together use all the nodes", False),
        ("AssocGrpCPURunMinutesLimit", "all jobs of your account together use all the minutes of CPUs", False),
        ("QOSMaxJobsPerUserLimit", "allows no more running jobs for one user", False),
        ("AssocMaxWallDurationPerJobLimit", "your account allows no more wall time for one job", True),
        ("MaxGRESPerAccount", "for one account", False),
        ("QOSMinGRES", "wants more GPUs", True),
        ("SomethingOf2031", "Slurm says: SomethingOf2031", False),
        (None, "not looked at it yet", False),
    ],
)
def test_reason(code, words, hopeless):
    text, remedy = in_words(code)
    assert words in text
    assert (remedy is not None) == hopeless


LISTED = """AccountingPolicy AccountNotAllowed AssocGrpBB AssocGrpBBMinutes AssocGrpBillingRunMinutes AssocGrpCpuLimit
AssocGrpCPUMinutesLimit AssocGrpEnergy AssocGrpGRESMinutes AssocGrpJobsLimit AssocGrpLicense AssocGrpMemLimit
AssocGrpMemRunMinutes AssocGrpNodeLimit AssocGrpSubmitJobsLimit AssocGrpUnknown AssocGrpWallLimit AssocMaxBBPerNode
AssocMaxCpuMinutesPerJobLimit AssocMaxCpuPerNode AssocMaxGRESPerJob AssocMaxJobsLimit AssocMaxNodePerJobLimit
AssocMaxSubmitJobLimit AssociationJobLimit BadConstraints BeginTime BurstBufferStageIn Cleaning Constraints DeadLine
Dependency DependencyNeverSatisfied AssociationTimeLimit AssociationResourceLimit BurstBufferResources
BurstBufferOperation FedJobLock InactiveLimit InvalidAccount InvalidQOS JobArrayTaskLimit JobHeldAdmin JobHeldUser
JobHoldMaxRequeue JobLaunchFailure Licenses MaxBillingPerAccount MaxJobsPerAccount MaxMemoryPerAccount MaxMemPerLimit
MaxSubmitJobsPerAccount NodeDown NonZeroExitCode None OutOfMemory PartitionConfig PartitionDown PartitionInactive
PartitionNodeLimit PartitionTimeLimit Priority Prolog QOSGrpMemoryMinutes QOSGrpSubmitJobsLimit QOSJobLimit
QOSMaxCpuPerUserLimit QOSMaxMemoryPerNode QOSMaxSubmitJobPerUserLimit QOSMaxWallDurationPerJobLimit QOSMinBilling
QOSMinCpuNotSatisfied QOSMinNode QOSNotAllowed QOSResourceLimit QOSTimeLimit QOSUsageThreshold ReqNodeNotAvail
Reservation ReservationDeleted Resources SchedDefer SystemFailure TimeLimit""".split()
"""From https://slurm.schedmd.com/job_reason_codes.html, of each family of limits some."""


@pytest.mark.parametrize("code", LISTED)
def test_no_listed_code_is_unknown(code):
    assert not in_words(code)[0].startswith("Slurm says")


def test_every_code_of_the_table_is_listed():
    assert set(REASONS) <= set(LISTED)

#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=2
#SBATCH --ntasks-per-node=1
#SBATCH --output=mnist_out.%j
#SBATCH --error=mnist_err.%j
#SBATCH --time=00:30:00
#SBATCH --account=example
#SBATCH --mail-user=you@example.org
#SBATCH --mail-type=ALL
#SBATCH --job-name=golden
#SBATCH --partition=gh

work() {
    set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

    ibrun hpcdl train train.yaml
}

# What follows is the same in every script: the run's folder, and in its attempts/ how each start began and ended.
json() { local LC_ALL=C; [[ ${1-} ]] && printf '"%s"' "${1//[^][A-Za-z0-9 _.,:()-]/?}" || printf null; }
record() {  # start or exit; what comes from standard input is there whole, or not at all
    local file=$HPCDL_RUN_FOLDER/attempts/$job.$restart.$1
    mkdir -p "${file%/*}" && cat >"$file.tmp" && mv "$file.tmp" "$file.json"
}
begin() {
    job=$id
    export HPCDL_RUN_FOLDER=$PWD/runs/golden-$id
    signal='' decision='' reason=''
    trap 'finish $?' EXIT
    trap 'signal=TERM' TERM
    record start <<END
{"schema": 1, "job_id": $(json "$job"), "slurm_job_id": $(json "${SLURM_JOB_ID-}"), "restart": $restart,
 "host": $(json "$HOSTNAME"), "nodes": $(json "${SLURM_JOB_NODELIST-}"), "ntasks": 2,
 "cluster": $(json "${SLURM_CLUSTER_NAME-}"), "started": "$(date -u +%FT%T+00:00)"}
END
}
finish() {  # exit code
    [[ $decision ]] || { (($1)) && decision=failed || decision=finished; }
    record exit <<END || true
{"schema": 1, "job_id": $(json "$job"), "restart": $restart, "exit_code": $1, "signal": $(json "$signal"),
 "ended": "$(date -u +%FT%T+00:00)", "decision": "$decision", "reason": $(json "$reason")}
END
}

id=$SLURM_JOB_ID
printf -v restart %d "${SLURM_RESTART_COUNT:-0}"
begin
work

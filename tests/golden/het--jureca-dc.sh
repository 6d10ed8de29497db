#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --output=train_and_infer_out.%j
#SBATCH --error=train_and_infer_err.%j
#SBATCH --time=01:00:00
#SBATCH --account=example
#SBATCH --mail-type=ALL
#SBATCH --job-name=train_and_infer
#SBATCH --partition=dc-gpu
#SBATCH --gres=gpu:4
#SBATCH hetjob
#SBATCH --nodes=1
#SBATCH --ntasks=24
#SBATCH --time=00:30:00
#SBATCH --account=example
#SBATCH --partition=dc-cpu

work() {
    module use "$OTHERSTAGES" || exit
    module load Stages/2025 || exit
    export OMP_NUM_THREADS=8
    set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

    steps=()
    exec {ended}<> <(:)  # a pipe: each group's exit code goes through it as the group ends
    export MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
    MASTER_ADDR=$(first "$SLURM_JOB_NODELIST_HET_GROUP_0") group srun --het-group=0 --kill-on-bad-exit=1 --cpus-per-task=32 python train.py --out 'my results'
    MASTER_ADDR=$(first "$SLURM_JOB_NODELIST_HET_GROUP_1") group srun --het-group=1 --kill-on-bad-exit=1 python infer.py
    together
}

# What follows is the same in every script: the run's folder, and in its attempts/ how each start began and ended.
json() { local LC_ALL=C; [[ ${1-} ]] && printf '"%s"' "${1//[^][A-Za-z0-9 _.,:()-]/?}" || printf null; }
record() {  # start or exit; what comes from standard input is there whole, or not at all
    local file=$HPCDL_RUN_FOLDER/attempts/$job.$restart.$1
    mkdir -p "${file%/*}" && cat >"$file.tmp" && mv "$file.tmp" "$file.json"
}
begin() {
    job=$id
    export HPCDL_RUN_FOLDER=$PWD/runs/train_and_infer-$id
    signal='' decision='' reason=''
    trap 'finish $?' EXIT
    trap 'signal=TERM' TERM
    record start <<END
{"schema": 1, "job_id": $(json "$job"), "slurm_job_id": $(json "${SLURM_JOB_ID-}"), "restart": $restart,
 "host": $(json "$HOSTNAME"), "nodes": $(json "${SLURM_JOB_NODELIST_HET_GROUP_0-},${SLURM_JOB_NODELIST_HET_GROUP_1-}"), "ntasks": 32,
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
first() {  # where ranks of a group that are no MPI ranks meet (torch.distributed): its first node
    scontrol show hostnames "$1" | sed -n 's/$/i/;1p'
}
group() {  # the command of a group, as a step of its own, which runs beside those of the others
    (trap : TERM; code=0; "$@" || code=$?; echo "$code" >&"$ended") &  # SIGTERM to all must not keep the code back
    steps+=("$!")
}
together() {  # until all groups have ended; the first that fails ends the others, and its exit code is the job's
    for _ in "${steps[@]}"; do
        read -r code <&"$ended"
        ((code)) || continue
        echo "error: a group has failed with exit code $code; the others are ended" >&2
        pkill -P "$(IFS=,; echo "${steps[*]}")" || true
        wait || true
        exit "$code"
    done
}

id=$SLURM_JOB_ID
printf -v restart %d "${SLURM_RESTART_COUNT:-0}"
begin
work

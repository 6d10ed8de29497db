#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks=8
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --mem=400G
#SBATCH --output=resnet_out.%j
#SBATCH --error=resnet_err.%j
#SBATCH --time=12:00:00
#SBATCH --account=example
#SBATCH --job-name=resnet
#SBATCH --partition=dc-gpu
#SBATCH --gres=gpu:4
#SBATCH --exclusive

work() {
    module use "$OTHERSTAGES" || exit
    module load Stages/2025 || exit
    module load GCC || exit
    module load CUDA || exit
    source /project/example/venv/bin/activate || exit
    export OMP_NUM_THREADS=8
    export NOTE='one $HOME, taken literally'
    set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

    # Where ranks that are no MPI ranks meet (torch.distributed): the first node, and a port of the job's own.
    MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)i
    export MASTER_ADDR MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
    srun --kill-on-bad-exit=1 --cpus-per-task=32 python train.py --data 'my images' --epochs 90
}

# What follows is the same in every script: the run's folder, and in its attempts/ how each start began and ended.
json() { local LC_ALL=C; [[ ${1-} ]] && printf '"%s"' "${1//[^][A-Za-z0-9 _.,:()-]/?}" || printf null; }
record() {  # start or exit; what comes from standard input is there whole, or not at all
    local file=$HPCDL_RUN_FOLDER/attempts/$job.$restart.$1
    mkdir -p "${file%/*}" && cat >"$file.tmp" && mv "$file.tmp" "$file.json"
}
begin() {
    job=$id
    export HPCDL_RUN_FOLDER=$PWD/runs/resnet-$id
    signal='' decision='' reason=''
    trap 'finish $?' EXIT
    trap 'signal=TERM' TERM
    record start <<END
{"schema": 1, "job_id": $(json "$job"), "slurm_job_id": $(json "${SLURM_JOB_ID-}"), "restart": $restart,
 "host": $(json "$HOSTNAME"), "nodes": $(json "${SLURM_JOB_NODELIST-}"), "ntasks": 8,
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

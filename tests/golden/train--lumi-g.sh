#!/bin/bash -l
#SBATCH --nodes=2
#SBATCH --ntasks=16
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=7
#SBATCH --output=mnist_out.%j
#SBATCH --error=mnist_err.%j
#SBATCH --time=00:30:00
#SBATCH --account=project_example
#SBATCH --mail-user=you@example.org
#SBATCH --mail-type=ALL
#SBATCH --job-name=golden
#SBATCH --partition=standard-g
#SBATCH --gpus-per-node=8
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append

work() {
    module load LUMI/24.03 || exit
    module load partition/G || exit
    export MPICH_GPU_SUPPORT_ENABLED=1
    export NCCL_SOCKET_IFNAME=hsn
    export NCCL_NET_GDR_LEVEL=3
    export CXI_FORK_SAFE=1
    export CXI_FORK_SAFE_HP=1
    export FI_CXI_DISABLE_CQ_HUGETLB=1
    set -euo pipefail  # not before this line: module and activation scripts read variables that are not set

    await srun --kill-on-bad-exit=1 --cpus-per-task=7 --cpu-bind=mask_cpu:fe000000000000,fe00000000000000,fe0000,fe000000,fe,fe00,fe00000000,fe0000000000 bash -c 'ROCR_VISIBLE_DEVICES=$SLURM_LOCALID exec "$@"' select_gpu hpcdl train train.yaml
    # srun may end with 0 though it could start nothing.
    grep -qs '"status": "success"' "$HPCDL_RUN_FOLDER/record.json" || { reason="srun ended with 0, but no training"; exit 1; }
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
 "host": $(json "$HOSTNAME"), "nodes": $(json "${SLURM_JOB_NODELIST-}"), "ntasks": 16,
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
await() {  # a command, in a shell of its own: bash may lose the exit code of a process that ends as a signal comes
    local file=$HPCDL_RUN_FOLDER/attempts/$job.$restart.code
    (trap : TERM; code=0; "$@" || code=$?; echo "$code" >"$file") &
    launcher=$!
    while kill -0 "$launcher" 2>/dev/null; do wait "$launcher" || true; done
    read -r code <"$file" && rm "$file" || code=1
    [[ $code != 75 || $signal != USR1 ]] || requeue
    return "$code"
}
notice() {  # Slurm sends USR1 before the time limit
    trap '' USR1
    signal=USR1
    [[ ! ${launcher-} ]] || scancel --signal=USR1 "$job" || true
}
requeue() {  # back to the queue: the run has stopped with a checkpoint
    if ((restart >= 3)); then
        reason="stopped with a checkpoint before the time limit, and not requeued: on_timeout.requeues is 3"
    else
        decision=requeued
        finish "$code"  # before scontrol, which may end this script at once
        for _ in 1 2 3 4 5; do
            if answer=$(scontrol requeue "$job" 2>&1); then
                trap - EXIT
                exit "$code"
            fi
            sleep 5
        done
        reason="stopped with a checkpoint before the time limit, and scontrol requeue failed: $answer"
    fi
    decision=gave_up
    echo "error: $reason" >&2
}
trap notice USR1

id=$SLURM_JOB_ID
printf -v restart %d "${SLURM_RESTART_COUNT:-0}"
begin
work

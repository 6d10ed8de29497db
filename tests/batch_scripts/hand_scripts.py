"""Scripts written by hand: the mistakes of slurm users, and the corners of sbatch's reader."""

# Each is put between "#!/bin/bash\n" and "\nsrun hostname\n".
BODIES = r"""
#SBATCH --nodes=2
#SBATCH --nodes 2
#SBATCH -N2
#SBATCH -N 2
#SBATCH -N=2
#SBATCH--nodes=2
#SBATCH	--nodes=2
# SBATCH --nodes=2
##SBATCH --nodes=2
 #SBATCH --nodes=2
#sbatch --nodes=2
#SBTACH --nodes=2
#SLURM --nodes=2
#SBATCH
#SBATCH:
#SBATCH : --nodes=2
#SBATCH-N2
#SBATCH_NODES 2
#SBATCHES --nodes=2
#SBATCH --nodes= 2
#SBATCH --nodes =2
#SBATCH --nodes = 2
#SBATCH -nodes=2
#SBATCH -ntasks=2
#SBATCH -output=x.out
#SBATCH -p=gpu
#SBATCH -J=name
#SBATCH -t=10
#SBATCH -n=4
#SBATCH —nodes=2
#SBATCH –N 2
#SBATCH --nodes=2 # two
#SBATCH --nodes=2#two
#SBATCH --job-name=run#3
#SBATCH --job-name="run #3"
#SBATCH --job-name=run\#3
#SBATCH --job-name='it\'s'
#SBATCH --job-name="say \"hi\""
#SBATCH --job-name=my job
#SBATCH --job-name="my job"
#SBATCH --job-name=my\ job
#SBATCH --job-name="open
#SBATCH --job-name='open
#SBATCH --job-name=
#SBATCH --job-name ""
#SBATCH --job-name=""
#SBATCH --job-name "" --nodes=2
#SBATCH --job-name hetjob
#SBATCH --comment=a:b --nodes=1
#SBATCH --output=$HOME/x_%j.out
#SBATCH --output=~/x.out --error=none
#SBATCH --output=/abs/x.out --error=rel/x.err --input=in
#SBATCH --chdir=/p --output=x
#SBATCH --chdir=sub --output=x
#SBATCH --part=gpu
#SBATCH --tasks=2
#SBATCH --tasks-per-node=2
#SBATCH --task=2
#SBATCH --clus=x
#SBATCH --constrain=x
#SBATCH --mem=16
#SBATCH --mem=0
#SBATCH --mem=16G
#SBATCH --mem=16GB
#SBATCH --mem=16Gi
#SBATCH --mem=1.5G
#SBATCH --mem 16 G
#SBATCH --mem=4G --mem-per-cpu=1G
#SBATCH --mem=4G --mem-per-gpu=1G
#SBATCH --mem-per-cpu=4000M
#SBATCH --time=24:00
#SBATCH --time=90
#SBATCH --time=0
#SBATCH --time=1:30
#SBATCH --time=0:01 --time-min=1-00:00:59
#SBATCH --time=24h
#SBATCH --time=1-12
#SBATCH --time=1-12:30
#SBATCH --time=28:00:00:00
#SBATCH --time=2-00:00:00
#SBATCH --time=00:60:00
#SBATCH --time=unlimited
#SBATCH --time=-1
#SBATCH --time 1:00:00 --time-min=30
#SBATCH --gres=gpu:4
#SBATCH --gres=gpus:4
#SBATCH --gres=gpu:a100:4
#SBATCH --gres=gpu
#SBATCH --gres=gpu:4 --gpus-per-node=2
#SBATCH --gres=gpu:a100:1,gpu:1
#SBATCH --gres=none
#SBATCH --gpus=4 --nodes=8
#SBATCH --gpus-per-task=1
#SBATCH --gpus-per-task=1 --ntasks=4
#SBATCH --gpus-per-task=1 --ntasks=4 --gpus=2
#SBATCH --gpus=4 --gpus-per-node=2 --nodes=1
#SBATCH --gpus-per-node=4 --cpus-per-gpu=8
#SBATCH --cpus-per-gpu=8 --cpus-per-task=4
#SBATCH --gpus=2 --cpus-per-gpu=8 --cpus-per-task=4
#SBATCH --mem-per-gpu=4G
#SBATCH --gpus-per-socket=1
#SBATCH --gpus-per-socket=1 --sockets-per-node=2
#SBATCH --ntasks-per-gpu=2 --gpus=2
#SBATCH --ntasks-per-gpu=2 --ntasks-per-node=2 --gpus=2
#SBATCH --ntasks-per-gpu=2
#SBATCH --ntasks=2 --nodes=4
#SBATCH --ntasks=8 --nodes=2 --ntasks-per-node=2
#SBATCH --nodes=2-4 --ntasks=3
#SBATCH --nodes=4-2
#SBATCH --nodes=1k
#SBATCH --nodes=two
#SBATCH --ntasks=0
#SBATCH --ntasks=-1
#SBATCH --ntasks=1.5
#SBATCH --cpus-per-task=0
#SBATCH --exclusive
#SBATCH --exclusive=user
#SBATCH --exclusive=True
#SBATCH --exclusive --oversubscribe
#SBATCH --share
#SBATCH --requeue
#SBATCH --requeue=True
#SBATCH --no-requeue --requeue
#SBATCH --mail-type=ALL
#SBATCH --mail-type=BEGIN,END
#SBATCH --mail-type=END --mail-type=FAIL
#SBATCH --mail-type=ABORT
#SBATCH --mail-type=end,abort
#SBATCH --mail-type=NONE,END
#SBATCH --signal=USR1@90
#SBATCH --signal=B:USR1@90
#SBATCH --signal=SIGTERM
#SBATCH --signal=12@30
#SBATCH --signal=FOO
#SBATCH --signal=B:TERM --signal=USR1
#SBATCH --array=1-10%2
#SBATCH --array=x
#SBATCH --dependency=afterok:1:2
#SBATCH --begin=now+1hour
#SBATCH --begin=tomorrow --deadline=now
#SBATCH --begin=16:00
#SBATCH --begin=2030-01-20T12:34:00
#SBATCH --begin=never
#SBATCH --nodelist=node[01-04],login
#SBATCH --nodelist=node[01-04] --ntasks=2
#SBATCH --nodelist=node[4-1]
#SBATCH --nodelist=./no/such/file
#SBATCH --nodefile=/no/such/file
#SBATCH --exclude=/no/such/file
#SBATCH --bbf=/no/such/file
#SBATCH --export-file=/no/such/file
#SBATCH --export=NONE
#SBATCH --export=ALL,A=1
#SBATCH --distribution=block:cyclic
#SBATCH --distribution=plane=4 --nodes=2 --ntasks=8
#SBATCH --distribution=plane=4 --nodes=4 --ntasks=8
#SBATCH --distribution=arbitrary
#SBATCH --distribution=arbitrary --nodelist=a,b
#SBATCH --hint=nomultithread
#SBATCH --hint=nomultithread --threads-per-core=2
#SBATCH --hint=help
#SBATCH --threads-per-core=1 --ntasks-per-core=2
#SBATCH -B 2:4:1 --nodes=2
#SBATCH --cpu-freq=high
#SBATCH --cpu-freq=powersave
#SBATCH --switches=1@10:00
#SBATCH --propagate=STACK
#SBATCH --propagate=stack
#SBATCH --profile=task
#SBATCH --power=off
#SBATCH --core-spec=2 --thread-spec=2
#SBATCH --wait-all-nodes=2
#SBATCH --nice --no-kill --propagate
#SBATCH --nice=x
#SBATCH --priority=TOP
#SBATCH --wrap=hostname
#SBATCH --help
#SBATCH --verbose --quiet
#SBATCH --version
#SBATCH --uid=nobody --gid=nogroup
#SBATCH --uid=no-such-user
#SBATCH --image=x
#SBATCH --container-image=x
#SBATCH --x11
#SBATCH --workdir=/x
#SBATCH --
#SBATCH -- word
#SBATCH -
#SBATCH -HOW
#SBATCH -vQ
#SBATCH -N1 -n 4 -c2 -p gpu -t 10 -J x
#SBATCH --w
#SBATCH --=x
#SBATCH --account #SBATCH --nodes=2
#SBATCH --nodes=2 \
#SBATCH --nodes=2\
#SBATCH --nodes=2 --nodes=3
#SBATCH --job-name=näme --comment="日本 語"
#SBATCH --output= x
#SBATCH --cluster=a
#SBATCH --ignore-pbs
#PBS -l nodes=2:ppn=4
#PBS -l nodes=2:ppn=4:gpus=1,walltime=1:00:00,mem=4gb
#PBS -l select=2:ncpus=8:mpiprocs=4:mem=16gb
#PBS -N name -q gpu -A acct -V -j oe
#PBS -m abe -M you@example.org
#PBS -l walltime=24h
#PBS -W depend=afterok:1 -W umask=022 -v A=1
#PBS -X
#PBS word
#PBS -t 1-4 -p 5 -h
#BSUB -n 4 -q gpu -W 60 -M 4000 -x
#BSUB -R "span[ptile=4]"
#BSUB -J name -cwd /x
""".strip("\n").split("\n")

# Several lines each.
SCRIPTS = [
    "#SBATCH --account\n#SBATCH --nodes=2",
    "#SBATCH -w\n#SBATCH -A x",
    "#SBATCH --nodes=2\n#SBATCH --nodes=3",
    "set -e\n#SBATCH --nodes=2",
    "\n\n# comment\n   # comment\n#SBATCH --nodes=2",
    "#SBATCH --nodes=2 \\\n   --ntasks=4",
    "#SBATCH --job-name='two\n#SBATCH lines'",
    "#SBATCH --nodes=1\n#SBATCH hetjob\n#SBATCH --nodes=2 --mem=4G\n#SBATCH packjob\n#SBATCH -n 3",
    "#SBATCH --time=10 --hint=nomultithread\n#SBATCH hetjob --nodes=7\n#SBATCH --ntasks=2",
    "#SBATCH --nodes=1\n#PBS -l nodes=4",
    "#SBATCH --ignore-pbs\n#PBS -l nodes=4",
    "#SBATCH --nodes=1\n#BSUB -n 4\n#PBS -l nodes=4",
    "echo\n#PBS -l nodes=4",
    "echo\n" * 101 + "#PBS -l nodes=4",
    "echo\n" * 99 + "#PBS -l nodes=4",
    "#PBS -l nodes=1+node7:ppn=2\n#PBS -l proc=x,mem=1gb,file=2gb",
    "#PBS -l naccelerators=2\n#PBS -l accelerator=true,nice=3",
]

# Whole files.
FILES = [
    b"",
    b"\n \t\n",
    b"#!/bin/bash",
    b"#!/bin/bash\n",
    b"#!\n#SBATCH -N 2\n",
    b"#SBATCH --nodes=2\n",
    b"\n#!/bin/bash\n#SBATCH --nodes=2\n",
    b" #!/bin/bash\n#SBATCH --nodes=2\n",
    b"\xef\xbb\xbf#!/bin/bash\n#SBATCH --nodes=2\n",
    b"#!/bin/bash\r\n#SBATCH --nodes=2\r\nhostname\r\n",
    b"#!/bin/bash\r#SBATCH --nodes=2\rhostname\r",
    b"#!/bin/bash\n#SBATCH --nodes=2\r",
    b"#!/bin/bash\n#SBATCH --nodes=2\nhostname\n# end\r\n",
    b"#!/bin/bash\n#SBATCH --nodes=2\nhostname\0\n",
    b"#!/bin/bash\n# caf\xe9\n#SBATCH --comment=\xff\xfe\n",
    b"#!/bin/bash\n#SBATCH --nodes=2",
    b"#!/bin/bash\n#SBATCH --nodes=2\x0b--ntasks=4\x0c-c 2\n",
    b"#!/bin/bash\n#SBATCH --comment=\x01\x1b[31m\n",
    b"#!/bin/bash\n#SBATCH --output=a\xc2\xa0b\n",
    b"#!/bin/bash\n#SBATCH --comment=" + b"x" * 1_000_000 + b" --nodes=2\n",
    b"#!/bin/bash\n#SBATCH --comment='" + b"a # b " * 200_000 + b"' --nodes=2\n",
    b"#!/bin/bash\n# " + b"y" * 1_000_000 + b"\n#SBATCH --nodes=2\n",
    b"#!/bin/bash\n" + b"#SBATCH --nodes=2\n" * 5000,
]


def all_scripts() -> list[bytes]:
    texts = [f"#!/bin/bash\n{body}\nsrun hostname\n" for body in (*BODIES, *SCRIPTS)]
    return [text.encode() for text in texts] + FILES

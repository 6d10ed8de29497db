# Two commands: make mnist, make test. Each makes its environment first (envs/setup.sh), which is quick when it is there.
# MPI=site, GPU=nccl, PYTHON=..., VENV=... on the command line reach envs/setup.sh.
VENV ?= .venv
RUNS ?= runs
BENCH ?=
BIN := $(VENV)/bin
export VENV

.PHONY: help env mnist test bench bench-page lock

help:
	@echo "make mnist   train the lecture's CNN on 2 MPI ranks on MNIST and print the result table"
	@echo "make test    run the whole test suite"
	@echo "make bench   measure hpcdl beside other programs (25 minutes, or BENCH='mnist speed'); writes docs/performance.md"
	@echo "make bench-page   write docs/performance.md anew from the figures in docs/performance/, without measuring"
	@echo "make env     only make the environment in $(VENV); see envs/setup.sh for MPI=site and GPU=nccl"
	@echo "make lock    choose the versions in envs/constraints.txt anew"

env:
	@envs/setup.sh

mnist: env
	$(BIN)/hpcdl run jobs/mnist.yaml -n 2 --runs $(RUNS) --fallback-data digits
	$(BIN)/hpcdl collect $(RUNS)

test: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -m "not mpi and not slurm and not slow" -n logical --maxprocesses 8
	$(BIN)/pytest -q -m "mpi or slurm or slow" -n 2 --dist loadgroup

bench: env
	$(BIN)/python tests/bench/bench.py $(BENCH)

bench-page: env
	$(BIN)/python tests/bench/bench.py --page

lock:
	envs/lock.sh

# Everything a user or contributor runs. `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
PROFILE ?= small
DATASET ?= default
SEED ?= 0
THREADS ?= 2
RUN_DIR ?= runs/$(PROFILE)

# Idle OpenMP threads must sleep: where they spin, two processes on two cores are a hundred times slower.
export OMP_WAIT_POLICY := PASSIVE
STAMP := $(VENV)/.installed
PY := $(VENV)/bin/python

.PHONY: help install replicate results check-replication run pretrain test check docs bench lab outputs readme
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-18s %s\n", $$1, $$2 }'

install: $(STAMP) ## make .venv with the pinned versions

# Made again whenever the requirements, the packaging or the pins change.
$(STAMP): settings.ini setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "hybrid_iv needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + ". Choose another: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV) || { echo "Could not make $(VENV). On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

replicate: $(STAMP) ## run the paper: PROFILE=smoke|small|full DATASET=default SEED=0, into runs/PROFILE
	@mkdir -p "$(RUN_DIR)"
	OMP_NUM_THREADS=1 $(PY) -m papermill nbs/replication/90_replication.ipynb "$(RUN_DIR)/replication.ipynb" --log-output --no-progress-bar \
	  -p profile '$(PROFILE)' -p dataset '$(DATASET)' -p seed $(SEED) -p run_dir '$(RUN_DIR)'

results: $(STAMP) ## keep what pages read of the last run of PROFILE under results/
	@$(PY) tools/notebooks.py --keep $(RUN_DIR) results/$(PROFILE)

check-replication: $(STAMP) ## the small run twice, and killed three times: the same bytes (half an hour)
	@$(PY) tools/check_replication.py

run: $(STAMP) ## one experiment into runs/NAME: NAME=transfer (none: list them), ARGS=--keep; a killed run resumes
	@OMP_NUM_THREADS=1 $(PY) tools/run_experiment.py $(NAME) $(ARGS)

pretrain: $(STAMP) ## train the shipped weights again, into the package (about an hour of one core; a killed run resumes)
	@OMP_NUM_THREADS=$(THREADS) $(PY) tools/run_experiment.py pretrain
	cp runs/pretrain/hybrid.* hybrid_iv/pretrained/

test: $(STAMP) ## the whole gate; the last line is `N passed, M failed`
	@$(PY) tools/gate.py

check: $(STAMP) ## the quick part of the gate: in step, rhythm and house rules, lint, types
	@$(PY) tools/gate.py sync rules lint

docs: $(STAMP) ## render the site into _docs/
	@$(PY) tools/docs.py --strict

bench: $(STAMP) ## measure against named peers, into runs/bench.csv
	@OMP_NUM_THREADS=1 $(PY) tools/bench.py

lab: $(STAMP) ## JupyterLab on the notebooks; options in ARGS, as root ARGS=--allow-root
	@$(PY) -m jupyterlab nbs $(ARGS)

outputs: $(STAMP) ## run again the notebooks whose stored outputs are stale, and store the new ones
	@$(VENV)/bin/nbdev_export
	@$(PY) tools/notebooks.py

readme: $(STAMP) ## write README.md from nbs/index.ipynb, and results/architecture.png from the modules
	@$(PY) tools/notebooks.py --readme

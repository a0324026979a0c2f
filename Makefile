# Python and Node are all that has to be there; everything else is set up on the first run.
.DEFAULT_GOAL := help
.PHONY: help dev stop reset token test check format lock settings bench

PORT ?= 7071
export PORT

# The first Python 3.6 or later that really runs: a pyenv shim may name a version that is not installed.
PYTHON = $(eval PYTHON := $$(shell for python in python3 python /usr/bin/python3 python3.13 python3.12 python3.11; do \
	"$$$$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null && echo "$$$$python" && break; done))$(PYTHON)
BOOTSTRAP = $(if $(PYTHON),$(PYTHON) -m infra.local.bootstrap,@echo "Python 3 is missing: install it (https://www.python.org or your package manager) and run again." >&2; exit 1;)
LOCAL = .venv/bin/python -m infra.local

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

dev: ## Set everything up and run the whole system with demo data (PORT=7071, WORKERS=…)
	@$(BOOTSTRAP) dev

stop: ## Stop the system that runs in this folder
	@if [ -x .venv/bin/python ]; then $(LOCAL) stop; else echo "Nothing runs in this folder."; fi

reset: ## Stop the system and clear its data
	@if [ -x .venv/bin/python ]; then $(LOCAL) reset; else echo "Nothing to clear."; fi

token: ## Print a bearer token: make -s token AS=coordinator@demo.test
	@if [ -x .venv/bin/python ]; then $(LOCAL) token "$$AS"; else $(BOOTSTRAP) token "$$AS"; fi

test: ## Set everything up, run every check and test (TEST_WORKERS=2)
	@$(BOOTSTRAP) test

check: ## The quick part of test: format, lint, types, import contracts, requirements
	@$(BOOTSTRAP) check

format: ## Format the code, apply the safe fixes
	@$(BOOTSTRAP) format

settings: ## Write docs/settings.md and local.settings.example.json from the settings
	@$(BOOTSTRAP) settings

lock: ## Write requirements.txt from uv.lock
	@$(BOOTSTRAP) lock

bench: ## Print how fast orders, checks and reads are on this machine
	@$(BOOTSTRAP) bench
